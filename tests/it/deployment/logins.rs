//! A gateway with nothing but what the deployment's admin has, in front of the deployment's own services.

use std::time::Duration;

use davgate::door::model::Role;
use futures_util::future::join_all;
use serde_json::json;

use crate::support::backend::{FakeBackend, Told};
use crate::support::deployment::{Deployment, Fault, SERVICE_ACCOUNT, User};
use crate::support::gateway::{Builder, TestGateway};
use crate::support::issuer::FakeIssuer;

/// Everything that stands around a gateway.
pub(super) struct Place {
    pub(super) deployment: Deployment,
    pub(super) issuer: FakeIssuer,
    pub(super) backend: FakeBackend,
    pub(super) gateway: TestGateway,
}

impl Place {
    async fn start() -> Self {
        Self::with(|builder| builder).await
    }

    pub(super) async fn with(change: impl FnOnce(Builder) -> Builder) -> Self {
        Self::of(Deployment::start().await, change).await
    }

    pub(super) async fn of(
        deployment: Deployment,
        change: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        let issuer = FakeIssuer::start().await;
        let backend = FakeBackend::told(Told::Reva).await;
        let builder = TestGateway::new().issuer(&issuer).backend("/", &backend);
        let gateway = change(deployment.configure(builder)).spawn().await;
        Self {
            deployment,
            issuer,
            backend,
            gateway,
        }
    }

    /// One request of whoever has that name at the issuer, with a token of its own.
    pub(super) async fn request(&self, name: &str) -> crate::support::client::Answer {
        let token = self.issuer.token(name).sign();
        self.gateway.get("/dav/a").bearer(&token).send().await
    }

    fn calls(&self) -> [usize; 3] {
        ["Authenticate", "ListRoleAssignments", "CreateHome"].map(|one| self.deployment.calls(one))
    }

    fn roles_of(&self, id: &str) -> Vec<String> {
        self.deployment.world.lock().assignments[id].clone()
    }

    fn id_of(&self, name: &str) -> String {
        let state = self.deployment.world.lock();
        state
            .users
            .iter()
            .find(|user| user.name == name)
            .unwrap()
            .id
            .clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cold_login_makes_one_call_of_each_kind_and_a_warm_request_none() {
    let place = Place::with(|b| b.var("PROXY_AUTOPROVISION_ACCOUNTS", "false")).await;
    place.deployment.add(User::new("mara"));
    let token = place.issuer.token("mara").sign();
    let send = || place.gateway.get("/dav/a").bearer(&token).send();
    send().await.is(200);
    assert_eq!(place.calls(), [1, 1, 1]);
    let seen = place.backend.the_request();
    let told = seen.header("x-access-token").unwrap();
    let owner = place.deployment.world.lock().tokens[told].clone();
    assert_eq!(owner, place.id_of("mara"), "the gateway's own token");
    let before = place.deployment.world.lock().calls.len();
    for _ in 0..5 {
        send().await.is(200);
    }
    assert_eq!(place.deployment.world.lock().calls.len(), before);
    place.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_first_logins_at_once_make_one_account_with_one_role_and_one_home() {
    let place = Place::with(|builder| {
        builder
            .var("PROXY_ROLE_ASSIGNMENT_DRIVER", "oidc")
            .yaml("session_setup_timeout", json!("20s"))
    })
    .await;
    place
        .issuer
        .knows("mara", "roles", json!(["opencloudSpaceAdmin"]));
    let tokens: Vec<String> = (0..50)
        .map(|n| place.issuer.token("mara").claim("jti", n).sign())
        .collect();
    let all = tokens
        .iter()
        .map(|token| place.gateway.get("/dav/a").bearer(token).send());
    for answer in join_all(all).await {
        answer.is(200);
    }
    {
        let state = place.deployment.world.lock();
        assert_eq!(state.users.len(), 1, "{:?}", state.users);
        let id = &state.users[0].id;
        assert_eq!(state.assignments[id], [Role::SpaceAdmin.id()]);
        assert!(state.homes.contains_key(id));
        assert!(!state.homes.contains_key(SERVICE_ACCOUNT));
    }
    assert_eq!(place.deployment.calls("AssignRoleToUser"), 1);
    place.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_login_with_unchanged_claims_writes_nothing() {
    let place =
        Place::with(|builder| builder.var("PROXY_AUTOPROVISION_CLAIM_GROUPS", "groups")).await;
    place.issuer.knows("mara", "groups", json!(["sailors"]));
    place.request("mara").await.is(200);
    let writes = |place: &Place| {
        let state = place.deployment.world.lock();
        let is_write = |call: &&String| {
            ["POST", "PATCH", "DELETE", "AssignRole"]
                .iter()
                .any(|word| call.contains(word))
        };
        state.calls.iter().filter(is_write).count()
    };
    let first = writes(&place);
    assert!(first >= 3, "an account, a group, a member");
    place.request("mara").await.is(200);
    assert_eq!(writes(&place), first);
    place.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disabled_account_is_403_with_and_without_provisioning() {
    for provisioning in ["true", "false"] {
        let place = Place::with(|b| b.var("PROXY_AUTOPROVISION_ACCOUNTS", provisioning)).await;
        place.deployment.add(User {
            enabled: false,
            ..User::new("mara")
        });
        let answer = place.request("mara").await;
        let reason = match provisioning {
            "true" => "account_disabled",
            // It is shown as nobody.
            _ => "account_unknown",
        };
        answer.refused(403, reason);
        place.gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_disabled_is_shut_out_within_the_cache_time() {
    let place = Place::start().await;
    place.deployment.add(User::new("mara"));
    let token = place.issuer.token("mara").sign();
    let send = || place.gateway.get("/dav/a").bearer(&token).send();
    send().await.is(200);
    place.deployment.world.lock().users[0].enabled = false;
    place.gateway.clock.advance(40);
    let shut_out = async {
        while send().await.status == 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), shut_out)
        .await
        .unwrap();
    place.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_assignments_are_written_once_more_and_one_right_one_is_not() {
    let place = Place::with(|builder| builder.var("PROXY_ROLE_ASSIGNMENT_DRIVER", "oidc")).await;
    place
        .issuer
        .knows("mara", "roles", json!(["opencloudUser"]));
    let mara = place.deployment.add(User::new("mara"));
    place.request("mara").await.is(200);
    assert_eq!(place.deployment.calls("AssignRoleToUser"), 0);
    let two = vec![Role::User.id().to_owned(), Role::Admin.id().to_owned()];
    place
        .deployment
        .world
        .lock()
        .assignments
        .insert(mara.id.clone(), two);
    place.request("mara").await.is(200);
    assert_eq!(place.roles_of(&mara.id), [Role::User.id()]);
    assert_eq!(place.deployment.calls("AssignRoleToUser"), 1);
    place.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_away_is_503_and_never_401() {
    let place = Place::start().await;
    place.deployment.add(User::new("mara"));
    for (method, fault) in [
        (
            "Authenticate",
            Fault::Cs3(15, "error getting auth provider client"),
        ),
        ("Authenticate", Fault::Grpc(13, "broken")),
        ("ListRoleAssignments", Fault::Grpc(2, "broken")),
    ] {
        place.deployment.fault(method, fault);
        assert_eq!(place.request("mara").await.status, 503, "{method}");
    }
    place.request("mara").await.is(200);
    place.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_home_that_cannot_be_made_keeps_nobody_out() {
    let place = Place::start().await;
    place.deployment.add(User::new("mara"));
    for _ in 0..2 {
        place
            .deployment
            .fault("CreateHome", Fault::Cs3(15, "error creating space"));
    }
    place.request("mara").await.is(200);
    assert_eq!(place.deployment.calls("CreateHome"), 2);
    place.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_without_storage_gets_no_home_and_its_maker_may_be_switched_off() {
    let place = Place::start().await;
    place.deployment.add(User {
        kind: 7,
        ..User::new("lena")
    });
    place.issuer.person("lena", "Lena");
    place.request("lena").await.is(200);
    assert_eq!(place.deployment.calls("CreateHome"), 0);
    place.gateway.stop().await;
    let place = Place::with(|builder| builder.var("PROXY_CREATE_HOME", "off")).await;
    place.deployment.add(User::new("mara"));
    place.request("mara").await.is(200);
    assert_eq!(place.deployment.calls("CreateHome"), 0);
    place.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_of_ones_own_have_roles_and_homes_at_the_deployment_too() {
    let place = Place::with(|builder| {
        builder
            .var("PROXY_ACCOUNT_BACKEND_TYPE", "embedded")
            .var("PROXY_ROLE_ASSIGNMENT_DRIVER", "oidc")
    })
    .await;
    place
        .issuer
        .knows("mara", "roles", json!(["opencloudUser"]));
    place.request("mara").await.is(200);
    let id = place.gateway.accounts()[0].id.clone();
    assert_eq!(place.roles_of(&id), [Role::User.id()]);
    assert_eq!(place.deployment.calls("CreateHome"), 1);
    place.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issuer_that_may_not_claim_by_name_lets_nobody_in_where_names_are_all_there_is() {
    let place = Place::with(|b| b.var("PROXY_ACCOUNT_CLAIM_BY_NAME", "never")).await;
    place.deployment.add(User::new("mara"));
    place
        .request("mara")
        .await
        .refused(403, "account_unclaimed");
    place.gateway.stop().await;
}
