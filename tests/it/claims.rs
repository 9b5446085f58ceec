//! Which claim counts for what: token or userinfo, fallbacks, groups, roles, further attributes.

use davgate::door::accounts::embedded;
use davgate::door::model::{Role, StoredRole};
use serde_json::{Value, json};

use crate::support::backend::{FakeBackend, Told};
use crate::support::gateway::TestGateway;
use crate::support::issuer::FakeIssuer;
use crate::support::world::World;

/// Roles by the claim `roles`.
pub(crate) const MAPPING: [(&str, &str); 2] = [
    ("PROXY_ROLE_ASSIGNMENT_DRIVER", "oidc"),
    (
        "PROXY_ROLE_ASSIGNMENT_OIDC_MAPPING",
        "admin=boss;spaceadmin=lead;user=staff",
    ),
];

pub(crate) fn role_of(world: &World, name: &str) -> Option<Role> {
    let accounts = world.gateway.accounts();
    let account = accounts.iter().find(|one| one.username == name).unwrap();
    match account.role {
        Some(StoredRole::Known(role)) => Some(role),
        _ => None,
    }
}

#[tokio::test]
async fn the_three_ways_to_merge_token_and_userinfo() {
    for (mode, role, name, both) in [
        ("userinfo-wins", Role::SpaceAdmin, "Mara of userinfo", 403),
        ("token-wins", Role::User, "Mara of the token", 403),
        ("union", Role::SpaceAdmin, "Mara of userinfo", 200),
    ] {
        let issuer = FakeIssuer::start().await;
        issuer.knows("mara", "roles", json!(["lead"]));
        issuer.knows("mara", "name", "Mara of userinfo");
        let backend = FakeBackend::told(Told::Headers).await;
        let gateway = MAPPING
            .iter()
            .fold(TestGateway::new(), |gateway, it| gateway.var(it.0, it.1))
            .var("PROXY_OIDC_CLAIMS_MERGE", mode)
            .issuer(&issuer)
            .route(
                "/both/",
                &backend,
                json!({"required_claims": ["roles=lead", "roles=staff"]}),
            )
            .backend("/files/", &backend)
            .spawn()
            .await;
        let world = World {
            issuer,
            backend,
            gateway,
        };
        let token = world
            .issuer
            .token("mara")
            .claim("roles", json!(["staff"]))
            .claim("name", "Mara of the token")
            .sign();
        world.request(&token).await.is(200);
        let seen = world.backend.the_request();
        assert_eq!(seen.header("remote-name"), Some(name), "{mode}");
        assert_eq!(role_of(&world, "mara"), Some(role), "{mode}");
        let answer = world.get("/both/a").bearer(&token).send().await;
        assert_eq!(answer.status, both, "{mode}");
        world.gateway.stop().await;
    }
}

#[tokio::test]
async fn each_attribute_has_its_own_ordered_fallbacks() {
    let world = World::set(&[
        ("PROXY_USER_OIDC_CLAIM", "sub"),
        ("GRAPH_USERNAME_MATCH", "none"),
        (
            "PROXY_AUTOPROVISION_CLAIM_USERNAME",
            "preferred_username,upn,sub",
        ),
        ("PROXY_AUTOPROVISION_CLAIM_EMAIL", "email,mail"),
        (
            "PROXY_AUTOPROVISION_CLAIM_DISPLAYNAME",
            "name,profile.nickname",
        ),
        ("PROXY_OIDC_SKIP_USER_INFO", "true"),
    ])
    .await;
    let token = || world.issuer.token("mara").without("preferred_username");
    let cases = [
        (
            token().claim("sub", "s-1").claim("upn", "mara@corp.test"),
            ("mara@corp.test", "Mara Lindqvist", "mara@example.org"),
        ),
        (
            token()
                .claim("sub", "s-2")
                .claim("name", "")
                .claim("profile", json!({"nickname": "Mari"}))
                .claim("email", Value::Null)
                .claim("mail", "mari@corp.test"),
            ("s-2", "Mari", "mari@corp.test"),
        ),
    ];
    for (token, (username, name, mail)) in cases {
        world.request(&token.sign()).await.is(200);
        let seen = world.backend.the_request();
        assert_eq!(seen.header("remote-user"), Some(username));
        assert_eq!(seen.header("remote-name"), Some(name));
        assert_eq!(seen.header("remote-email"), Some(mail));
    }
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_group_with_a_stable_id_is_the_same_after_its_name_changed() {
    let told = |gateway: crate::support::gateway::Builder| {
        gateway
            .var("PROXY_OIDC_SKIP_USER_INFO", "true")
            .var("PROXY_AUTOPROVISION_CLAIM_GROUPS", "groups")
            .var("PROXY_AUTOPROVISION_CLAIM_GROUP_ID", "group_ids")
    };
    let world = World::telling(Told::Reva, told).await;
    // The groups that backends are told, by their ids.
    let groups = async |names: Value, ids: Value| {
        let token = world.issuer.token("mara").claim("groups", names);
        let token = token.claim("group_ids", ids).sign();
        world.request(&token).await.is(200);
        let seen = world.backend.the_request();
        let claims = crate::identity::reva(&seen);
        let mut groups: Vec<String> =
            serde_json::from_value(claims["user"]["groups"].clone()).unwrap_or_default();
        groups.sort();
        groups
    };
    let before = groups(json!(["crew", "dock"]), json!(["g-1", "g-2"])).await;
    assert_eq!(before.len(), 2);
    // One is renamed, and the two come in another order.
    let renamed = groups(json!(["dock", "deck crew"]), json!(["g-2", "g-1"])).await;
    assert_eq!(renamed, before);
    // A new one takes the old name.
    let more = groups(
        json!(["crew", "deck crew", "dock"]),
        json!(["g-3", "g-1", "g-2"]),
    )
    .await;
    assert_eq!(more.len(), 3);
    assert!(before.iter().all(|id| more.contains(id)));
    // Ids by name, as an object, mean the same.
    let by_name = json!({"crew": "g-3", "deck crew": "g-1"});
    let fewer = groups(json!(["deck crew"]), by_name).await;
    assert_eq!(fewer.len(), 1);
    assert!(before.contains(&fewer[0]));
    world.gateway.stop().await;
}

#[tokio::test]
async fn the_ways_to_keep_roles_in_step() {
    for (mode, first, second) in [
        ("always", Some(Role::User), Some(Role::Admin)),
        ("first-login", Some(Role::User), Some(Role::User)),
        ("never", None, None),
    ] {
        let world = World::set(&[MAPPING[0], MAPPING[1], ("PROXY_ROLE_SYNC", mode)]).await;
        world.issuer.knows("mara", "roles", json!(["staff"]));
        let login = async || world.request(&world.issuer.token("mara").sign()).await;
        if first.is_none() {
            // Whoever has no role yet does not get one by a claim.
            login().await.refused(403, "no_role");
            assert!(world.gateway.accounts().is_empty());
            world.gateway.stop().await;
            continue;
        }
        login().await.is(200);
        assert_eq!(role_of(&world, "mara"), first, "{mode}");
        world.issuer.knows("mara", "roles", json!(["boss"]));
        login().await.is(200);
        assert_eq!(role_of(&world, "mara"), second, "{mode}");
        // What an administrator says counts until a claim may decide again.
        let database = world.gateway.database();
        assert!(embedded::admin::set_role(&database, "mara", Role::SpaceAdmin).unwrap());
        login().await.is(200);
        let kept = if mode == "always" {
            Role::Admin
        } else {
            Role::SpaceAdmin
        };
        assert_eq!(role_of(&world, "mara"), Some(kept), "{mode}");
        world.gateway.stop().await;
    }
}

#[tokio::test]
async fn the_bootstrap_admin_is_one_at_first_login_and_nobody_else() {
    for driver in ["default", "oidc"] {
        let world = World::set(&[
            MAPPING[1],
            ("PROXY_ROLE_ASSIGNMENT_DRIVER", driver),
            ("PROXY_ROLE_BOOTSTRAP_ADMIN", "email=mara@example.org"),
        ])
        .await;
        world.issuer.knows("alan", "roles", json!(["staff"]));
        for (name, role) in [("mara", Role::Admin), ("alan", Role::User)] {
            let token = || world.issuer.token(name).sign();
            world.request(&token()).await.is(200);
            assert_eq!(role_of(&world, name), Some(role), "{driver}");
            world.request(&token()).await.is(200);
        }
        world.gateway.stop().await;
    }
}
