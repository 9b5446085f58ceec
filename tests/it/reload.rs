//! A new configuration in a running gateway: what it changes, what it leaves alone, and that a wrong one changes nothing.

use serde_json::{Value, json};

use crate::support::client::{raw, status};
use crate::support::world::World;

const CSP: &str = "content-security-policy";

/// Roles by a claim, so that a mapping decides who gets in.
async fn mapped() -> World {
    World::with(|gateway| {
        gateway
            .var("PROXY_ROLE_ASSIGNMENT_DRIVER", "oidc")
            .yaml("role_assignment", mapping("staff"))
    })
    .await
}

fn mapping(value: &str) -> Value {
    json!({"oidc_role_mapper": {"role_claim": "roles", "role_mapping": [
        {"role_name": "user", "claim_value": value},
    ]}})
}

#[tokio::test]
async fn a_new_role_mapping_decides_about_sessions_that_are_cached() {
    let mut world = mapped().await;
    world.issuer.person("mara", "Mara");
    world.issuer.knows("mara", "roles", json!(["staff"]));
    let token = world.issuer.token("mara").sign();
    world.request(&token).await.is(200);
    assert!(
        world
            .gateway
            .reload(|yaml| yaml["role_assignment"] = mapping("others"))
            .await
    );
    world.request(&token).await.refused(403, "no_role");
    assert!(
        world
            .gateway
            .reload(|yaml| yaml["role_assignment"] = mapping("staff"))
            .await
    );
    // The refusal is not remembered either.
    world.request(&token).await.is(200);
    world.gateway.stop().await;
}

#[tokio::test]
async fn routes_change_and_a_file_with_one_mistake_changes_nothing_at_all() {
    let mut world = World::new().await;
    world.get("/files/a").send().await.is(401);
    let open = |yaml: &mut Value| yaml["policies"][0]["routes"][0]["unprotected"] = true.into();
    let half_right = |yaml: &mut Value| {
        open(yaml);
        yaml["insecure_backends"] = "perhaps".into();
    };
    assert!(!world.gateway.reload(half_right).await);
    world.get("/files/a").send().await.is(401);
    let lines = world.gateway.log_lines("the old one stays in force");
    assert!(
        lines.iter().any(|line| line["mistakes"]
            .as_str()
            .unwrap()
            .contains("insecure_backends")),
        "{lines:?}"
    );
    let mended = |yaml: &mut Value| {
        yaml.as_object_mut().unwrap().remove("insecure_backends");
    };
    assert!(world.gateway.reload(mended).await);
    world.get("/files/a").send().await.is(200);
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_policy_file_is_read_again_and_a_wrong_one_leaves_the_old_policy() {
    let file = std::env::temp_dir().join(format!("davgate-csp-{}.yaml", uuid::Uuid::new_v4()));
    let write = |text: &str| std::fs::write(&file, text).unwrap();
    write("directives: {img-src: ['https://one.example']}");
    let name = file.to_str().unwrap().to_owned();
    let mut world =
        World::with(|gateway| gateway.var("PROXY_CSP_CONFIG_FILE_OVERRIDE_LOCATION", &name)).await;
    let policy = async |world: &World| {
        let answer = world.get("/files/a").send().await;
        answer.header(CSP).unwrap().to_owned()
    };
    assert!(policy(&world).await.contains("https://one.example"));
    write("directives: {img-src: ['https://two.example']}");
    assert!(world.gateway.reload(|_| ()).await);
    assert!(policy(&world).await.contains("https://two.example"));
    write("directives: {img-src: ['https://three.example; script-src *']}");
    assert!(!world.gateway.reload(|_| ()).await);
    assert!(policy(&world).await.contains("https://two.example"));
    std::fs::remove_file(&file).unwrap();
    world.gateway.stop().await;
}

#[tokio::test]
async fn what_waits_for_a_restart_is_told_also_of_a_secret() {
    let mut world = World::new().await;
    for secret in ["first-debug-token", "other-debug-token"] {
        let change = |yaml: &mut Value| yaml["debug"] = json!({"token": secret});
        assert!(world.gateway.reload(change).await);
    }
    let lines = world.gateway.log_lines("needs a restart");
    let told = lines.iter().filter(|line| line["key"] == "debug.token");
    assert_eq!(told.count(), 2, "{lines:?}");
    assert!(world.gateway.log_lines("other-debug-token").is_empty());
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_reload_under_load_fails_no_request() {
    let mut world = World::new().await;
    let token = world.issuer.token("mara").sign();
    world.request(&token).await.is(200);
    let call = format!(
        "GET /files/a HTTP/1.1\r\nHost: cloud.example\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    let addr = world.gateway.addr;
    let load = tokio::spawn(async move {
        for _ in 0..200 {
            let answer = raw(addr, call.as_bytes()).await;
            assert_eq!(status(&answer), 200, "{answer}");
        }
    });
    let mut flip = false;
    while !load.is_finished() {
        flip = !flip;
        let identity = json!({"X-Test": flip.to_string()});
        let change = |yaml: &mut serde_json::Value| {
            yaml["policies"][0]["routes"][0]["additional_headers"] = identity;
        };
        assert!(world.gateway.reload(change).await);
    }
    load.await.unwrap();
    world.backend.take_seen();
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_route_that_comes_to_want_remote_headers_gets_them() {
    let mut world = World::new().await;
    let told = |identity: &'static str| {
        move |yaml: &mut Value| {
            for route in yaml["policies"][0]["routes"].as_array_mut().unwrap() {
                route["identity"] = identity.into();
            }
        }
    };
    // As if it had started so: nobody asks for the names.
    assert!(world.gateway.reload(told("none")).await);
    let token = world.issuer.token("mara").sign();
    world.request(&token).await.is(200);
    assert_eq!(world.backend.the_request().header("remote-user"), None);
    assert!(world.gateway.reload(told("headers")).await);
    world.request(&token).await.is(200);
    let seen = world.backend.the_request();
    assert_eq!(seen.header("remote-user"), Some("mara"));
    world.gateway.stop().await;
}
