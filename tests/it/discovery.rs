//! The issuer's discovery document as clients get it, and where they read who gives out tokens.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::issuer::{Endpoint, Fault};
use crate::support::world::World;

const WELL_KNOWN: &str = "/.well-known/openid-configuration";

impl World {
    /// With the rewrite on; before the document of `issuer`, if that is another one.
    async fn rewriting(issuer: Option<&str>) -> Self {
        Self::with(|gateway| {
            let gateway = gateway.var("PROXY_OIDC_REWRITE_WELLKNOWN", "true");
            match issuer {
                Some(issuer) => gateway.var("PROXY_OIDC_ISSUER", issuer),
                None => gateway,
            }
        })
        .await
    }
}

#[tokio::test]
async fn clients_get_the_issuers_document_from_the_cache() {
    let world = World::rewriting(None).await;
    let answer = world.get(WELL_KNOWN).send().await;
    answer.is(200);
    assert_eq!(answer.json()["issuer"], world.issuer.url());
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(answer.header("cache-control").is_some());
    let tag = answer.header("etag").unwrap().to_owned();
    let again = world
        .get(WELL_KNOWN)
        .header("If-None-Match", &tag)
        .send()
        .await;
    again.is(304);
    assert!(again.body.is_empty());
    assert_eq!(world.issuer.calls(Endpoint::Discovery), 1);
    world.backend.saw_nothing();
    world.gateway.stop().await;
}

#[tokio::test]
async fn the_last_good_document_is_served_while_the_issuer_is_down() {
    let world = World::rewriting(None).await;
    world.get(WELL_KNOWN).send().await.is(200);
    world.issuer.go_down().await;
    world.get(WELL_KNOWN).send().await.is(200);
    world.gateway.stop().await;
}

#[tokio::test]
async fn without_any_document_the_answer_is_503() {
    let world = World::rewriting(None).await;
    world.issuer.go_down().await;
    let world_of_its_own = World::rewriting(Some(world.issuer.url())).await;
    let answer = world_of_its_own.get(WELL_KNOWN).send().await;
    answer.refused(503, "issuer_unavailable");
    assert!(answer.header("retry-after").is_some());
    world_of_its_own.gateway.stop().await;
}

#[tokio::test]
async fn row_84_a_document_of_another_issuer_is_refused_and_both_names_are_logged() {
    let world = World::new().await;
    let slash = format!("{}/", world.issuer.url());
    let other = World::with(|gateway| gateway.var("PROXY_OIDC_ISSUER", &slash)).await;
    let token = world
        .issuer
        .token("mara")
        .claim("iss", slash.clone())
        .sign();
    other.request(&token).await.refused(503, "issuer_mismatch");
    let named = || {
        let lines = other.gateway.log_lines(&slash);
        lines.iter().any(|line| line["reason"] == "issuer_mismatch")
    };
    crate::support::until("a line with both names", named).await;
    other.gateway.stop().await;
}

#[tokio::test]
async fn row_86_the_document_does_not_follow_the_host() {
    let world = World::rewriting(None).await;
    let plain = world.get(WELL_KNOWN).send().await;
    let spoofed = world
        .get(WELL_KNOWN)
        .header("Host", "evil.example")
        .send()
        .await;
    assert_eq!(plain.json(), spoofed.json());
    assert!(!spoofed.text().contains("evil"));
    world.gateway.stop().await;
}

#[tokio::test]
async fn with_the_rewrite_off_the_document_is_an_ordinary_route() {
    let world = World::new().await;
    world.get(WELL_KNOWN).send().await.is(401);
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_401_names_where_clients_read_who_gives_out_tokens() {
    let world = World::with(|gateway| gateway.var("OC_URL", "https://cloud.example")).await;
    let refused = world.get("/files/a").send().await;
    let challenge = refused.header("www-authenticate").unwrap();
    let (_, address) = challenge.split_once(", resource_metadata=").unwrap();
    let path = address
        .trim_matches('"')
        .strip_prefix("https://cloud.example")
        .unwrap();
    let answer = world.get(path).send().await;
    answer.is(200);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let document = answer.json();
    assert_eq!(document["resource"], "https://cloud.example");
    assert_eq!(
        document["authorization_servers"],
        json!([world.issuer.url()])
    );
    assert_eq!(document["bearer_methods_supported"], json!(["header"]));
    world.gateway.call("POST", path).send().await.is(405);
    world.gateway.call("OPTIONS", path).send().await.is(204);
    world.backend.saw_nothing();
    world.gateway.stop().await;
}

#[tokio::test]
async fn the_issuers_origins_enter_the_content_security_policy() {
    let world = World::rewriting(None).await;
    let start = Instant::now();
    loop {
        let answer = world.get(WELL_KNOWN).send().await;
        let policy = answer.header("content-security-policy").unwrap();
        if policy.contains(world.issuer.url()) {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "{policy}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    world.gateway.stop().await;

    let world = World::with(|gateway| gateway.var("PROXY_CSP_ISSUER_ORIGINS", "false")).await;
    world
        .request(&world.issuer.token("mara").sign())
        .await
        .is(200);
    let answer = world.get(WELL_KNOWN).send().await;
    let policy = answer.header("content-security-policy").unwrap();
    assert!(!policy.contains(world.issuer.url()), "{policy}");
    world.gateway.stop().await;
}

#[tokio::test]
async fn row_85_only_the_document_itself_is_told_on() {
    let world = World::new().await;
    world
        .issuer
        .fault(Endpoint::Discovery, Fault::Body("<html>sorry</html>"));
    let fresh = World::rewriting(Some(world.issuer.url())).await;
    fresh.get(WELL_KNOWN).send().await.is(503);
    world.issuer.fault(Endpoint::Discovery, Fault::Body("null"));
    let answer = fresh.get(WELL_KNOWN).send().await;
    assert_eq!(answer.status, 503);
    fresh.gateway.stop().await;
}
