//! The issuer's discovery document as clients get it, and logouts that the issuer reports.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::client::Answer;
use crate::support::issuer::{Endpoint, Fault};
use crate::support::keys::Key;
use crate::support::now;
use crate::support::token::Token;
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

impl World {
    async fn logout(&self, token: &str) -> Answer {
        let call = self.gateway.call("POST", "/backchannel_logout");
        let form = format!("logout_token={token}");
        let call = call.header("Content-Type", "application/x-www-form-urlencoded");
        let answer = call.body(form).send().await;
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        answer
    }

    /// A logout token as the specification wants it, for the session `login-1`.
    fn logout_token(&self) -> Token {
        let event = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
        self.issuer
            .token("mara")
            .header("typ", "logout+jwt")
            .claim("events", event)
            .claim("sid", "login-1")
    }
}

#[tokio::test]
async fn row_94_a_logout_ends_every_token_of_the_session_seen_or_not() {
    let world = World::new().await;
    let of_session = || world.issuer.token("mara").claim("sid", "login-1").sign();
    let (cached, unseen) = (of_session(), of_session());
    let other = world.issuer.token("mara").claim("sid", "login-2").sign();
    world.request(&cached).await.is(200);
    world.request(&other).await.is(200);
    world.logout(&world.logout_token().sign()).await.is(200);
    world.request(&cached).await.refused(401, "session_ended");
    world.request(&unseen).await.refused(401, "session_ended");
    world.request(&other).await.is(200);
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_logout_by_subject_refuses_earlier_tokens_only() {
    let world = World::new().await;
    let before = world.issuer.token("mara").sign();
    let others = world.issuer.token("alan").sign();
    world.request(&before).await.is(200);
    world.request(&others).await.is(200);
    world
        .logout(&world.logout_token().without("sid").sign())
        .await
        .is(200);
    world.request(&before).await.refused(401, "session_ended");
    world.request(&others).await.is(200);
    let after = world.issuer.token("mara").claim("iat", now() + 2).sign();
    world.gateway.clock.advance(3);
    world.request(&after).await.is(200);
    world.gateway.stop().await;
}

#[tokio::test]
async fn row_92_and_93_what_is_no_logout_token_ends_nothing() {
    let world = World::new().await;
    let session = world.issuer.token("mara").claim("sid", "login-1").sign();
    world.request(&session).await.is(200);
    let token = world.logout_token();
    let bad = [
        ("unsigned", token.clone().unsigned("none")),
        ("HS256", token.clone().sign_hs256(b"secret")),
        (
            "another key",
            token.clone().by(&Key::new("key-1", "RS256")).sign(),
        ),
        (
            "another issuer",
            token.clone().claim("iss", "https://x.example").sign(),
        ),
        ("a nonce", token.clone().claim("nonce", "n").sign()),
        ("no events", token.clone().without("events").sign()),
        (
            "other events",
            token.clone().claim("events", json!({"x": {}})).sign(),
        ),
        ("nobody", token.clone().without("sid").without("sub").sign()),
        ("expired", token.clone().expires_in(-3600).sign()),
        ("old", token.clone().claim("iat", now() - 7200).sign()),
        ("an access token", session.clone()),
        ("junk", "x".to_owned()),
    ];
    for (what, token) in bad {
        let answer = world.logout(&token).await;
        assert_eq!(answer.status, 400, "{what}: {}", answer.text());
        assert_eq!(answer.json()["error"], "invalid_request", "{what}");
        let id = answer.header("x-request-id").unwrap();
        assert_eq!(answer.json()["request-id"], id, "{what}");
        let refused = || {
            let lines = world.gateway.log_lines(id);
            lines
                .iter()
                .any(|line| line["message"] == "refused" && line["client.address"] == "127.0.0.1")
        };
        crate::support::until("a line of the refused logout", refused).await;
        world.request(&session).await.is(200);
    }
    let get = world.get("/backchannel_logout").send().await;
    get.refused(400, "logout_request");
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_repeated_logout_and_one_of_nobody_are_200() {
    let world = World::new().await;
    let token = world.logout_token().sign();
    world.logout(&token).await.is(200);
    world.logout(&token).await.is(200);
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
