//! Tokens that are bad (docs/design/hardening.md 3.6), and issuers that say something else than the token (3.7).

use serde_json::{Value, json};

use crate::support::client::Call;
use crate::support::gateway::JWT_SECRET;
use crate::support::issuer::Endpoint;
use crate::support::keys::Key;
use crate::support::now;
use crate::support::token::b64;
use crate::support::world::World;

impl World {
    /// The token is a 401 with this reason, and no backend hears of it.
    #[track_caller]
    fn refuses(&self, what: &str, token: &str, reason: &str) -> impl Future<Output = ()> {
        let call = self.gateway.get("/files/a").bearer(token);
        let what = what.to_owned();
        let reason = reason.to_owned();
        async move {
            let answer = call.send().await;
            assert_eq!(answer.status, 401, "{what}: {}", answer.text());
            assert_eq!(answer.reason(), reason, "{what}");
            let challenge = answer.header("www-authenticate").unwrap();
            assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
        }
    }
}

#[tokio::test]
async fn row_66_a_token_without_a_real_algorithm_is_refused() {
    let world = World::token_only().await;
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let token = world.issuer.token("mara").unsigned(alg);
        let answer = world.request(&token).await;
        assert_eq!(answer.status, 401, "{alg}");
    }
    for alg in [Value::Null, json!(256), json!(["RS256"])] {
        let token = world.issuer.token("mara").header("alg", alg.clone()).sign();
        let answer = world.request(&token).await;
        assert_eq!(answer.status, 401, "{alg}");
    }
    world.backend.saw_nothing();
    world.gateway.stop().await;
}

#[tokio::test]
async fn row_67_and_68_hmac_is_never_accepted_whatever_the_secret() {
    let world = World::token_only().await;
    let public = Key::shared().public_forms();
    let others = [JWT_SECRET.as_bytes().to_vec(), Vec::new()];
    for secret in public.iter().chain(&others) {
        let token = world.issuer.token("mara").sign_hs256(secret);
        world.refuses("HS256", &token, "token_algorithm").await;
    }
    world.backend.saw_nothing();
    world.gateway.stop().await;
}

#[tokio::test]
async fn row_68_a_token_in_the_backends_header_is_no_credential_and_never_arrives() {
    let world = World::token_only().await;
    let token = world.issuer.token("mara").sign();
    let smuggled = |call: Call| call.header("X-Access-Token", &token);
    let alone = smuggled(world.get("/files/a")).send().await;
    alone.refused(401, "no_credential");
    world.backend.saw_nothing();
    let beside = smuggled(world.get("/files/a").bearer(&token)).send().await;
    beside.is(200);
    assert_eq!(world.backend.the_request().header("x-access-token"), None);
    world.gateway.stop().await;
}

#[tokio::test]
async fn row_69_keys_that_the_token_brings_along_are_ignored() {
    let world = World::token_only().await;
    let attacker = Key::new("key-1", "RS256");
    let token = world
        .issuer
        .token("mara")
        .by(&attacker)
        .header("jwk", attacker.jwk());
    world.refuses("jwk", &token.sign(), "bad_signature").await;
    let address = format!("{}/jwks?attacker", world.issuer.url());
    for name in ["jku", "x5u"] {
        let token = world.issuer.token("mara").by(&attacker);
        let token = token.header(name, address.clone()).sign();
        world.refuses(name, &token, "bad_signature").await;
    }
    assert_eq!(world.issuer.calls(Endpoint::Jwks), 1);
    world.gateway.stop().await;
}

#[tokio::test]
async fn row_70_one_key_needs_no_kid_and_two_do() {
    let world = World::token_only().await;
    let without = || world.issuer.token("mara").without_header("kid").sign();
    let answer = world
        .gateway
        .get("/files/a")
        .bearer(&without())
        .send()
        .await;
    answer.is(200);
    world.gateway.stop().await;

    let world = World::token_only().await;
    world.issuer.rotate(Key::new("key-2", "RS256"), true);
    let token = world.issuer.token("mara").without_header("kid").sign();
    let answer = world.request(&token).await;
    assert_eq!(answer.status, 401, "{}", answer.text());
    world.gateway.stop().await;
}

#[tokio::test]
async fn row_71_unknown_kids_fetch_the_keys_once_and_leave_known_ones_alone() {
    let world = World::token_only().await;
    let good = world.issuer.token("mara").sign();
    world.request(&good).await.is(200);
    let stranger = Key::new("stranger", "ES256");
    for number in 0..20 {
        let token = world.issuer.token("mara").by(&stranger);
        let token = token
            .header("kid", format!("kid-{number}"))
            .claim("iat", now() + 1);
        let answer = world
            .gateway
            .get("/files/a")
            .bearer(&token.sign())
            .send()
            .await;
        assert!(
            matches!(answer.status.as_u16(), 401 | 503),
            "{}",
            answer.text()
        );
    }
    assert!(world.issuer.calls(Endpoint::Jwks) <= 2);
    world.request(&good).await.is(200);
    world.gateway.stop().await;
}

#[tokio::test]
async fn row_72_and_73_algorithms_that_do_not_fit_and_critical_headers_are_refused() {
    let world = World::token_only().await;
    let token = world.issuer.token("mara");
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!(["x"])),
        ("crit", json!([])),
        ("zip", json!("DEF")),
    ] {
        let token = token.clone().header(name, value.clone()).sign();
        let answer = world.request(&token).await;
        assert_eq!(answer.status, 401, "{name}: {value}");
    }
    // Signed rightly with PSS, but the key is for RS256 only.
    let pss = token.clone().header("alg", "PS256").sign();
    world
        .refuses("PS256 with an RS256 key", &pss, "token_algorithm")
        .await;
    world.backend.saw_nothing();
    world.gateway.stop().await;
}

#[tokio::test]
async fn row_74_times_of_the_wrong_type_are_refused() {
    let world = World::token_only().await;
    let token = world.issuer.token("mara");
    for exp in [
        json!("1"),
        json!(null),
        json!(-1),
        json!([now() + 60]),
        json!({}),
    ] {
        let token = token.clone().claim("exp", exp.clone()).sign();
        let answer = world.request(&token).await;
        assert_eq!(answer.status, 401, "exp: {exp}");
    }
    let missing = token.clone().without("exp").sign();
    world.refuses("no exp", &missing, "token_times").await;
    world.gateway.stop().await;
}

#[tokio::test]
async fn row_76_the_issuer_is_compared_byte_for_byte() {
    let world = World::token_only().await;
    let issuer = world.issuer.url().to_owned();
    for other in [
        json!(format!("{issuer}/")),
        json!(issuer.to_uppercase()),
        json!([issuer]),
        json!(format!("{issuer}.evil.example")),
        Value::Null,
    ] {
        let token = world
            .issuer
            .token("mara")
            .claim("iss", other.clone())
            .sign();
        let answer = world.request(&token).await;
        assert_eq!(answer.status, 401, "iss: {other}");
    }
    world.gateway.stop().await;
}

#[tokio::test]
async fn row_78_to_80_what_is_no_compact_jws_is_refused_without_a_call() {
    let world = World::token_only().await;
    let good = world.issuer.token("mara").sign();
    let (input, signature) = good.rsplit_once('.').unwrap();
    let header = b64(br#"{"alg":"RS256","kid":"key-1"}"#);
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    for (what, token) in [
        ("five parts", format!("{good}.x.y")),
        ("dots", ".".repeat(5_000)),
        ("padding", format!("{good}=")),
        ("another alphabet", format!("{input}.{}+", &signature[1..])),
        (
            "deep",
            format!("{header}.{}.{signature}", b64(deep.as_bytes())),
        ),
        (
            "no UTF-8",
            format!("{header}.{}.{signature}", b64(b"{\"sub\":\"\xff\"}")),
        ),
        ("two words", format!("{good} more")),
    ] {
        let answer = world.request(&token).await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
    }
    world.backend.saw_nothing();
    world.gateway.stop().await;
}

/// A token with 300 groups makes 22 KB: its size is the header's matter, and a 401 would only have the client fetch another
/// one of the same size.
#[tokio::test]
async fn issue_14_8_a_token_is_never_bad_for_its_size() {
    for world in [World::new().await, World::token_only().await] {
        let of = |bytes: usize| {
            let token = world.issuer.token("mara");
            token.claim("x", "y".repeat(bytes)).sign()
        };
        for bytes in [13_000, 16_000, 20_000, 23_000] {
            let token = of(bytes);
            assert!(token.len() < 32 * 1024 - 7, "{}", token.len());
            world.request(&token).await.is(200);
        }
        for bytes in [25_000, 40_000, 60_000] {
            let answer = world.request(&of(bytes)).await;
            assert_eq!(answer.status, 431, "{bytes}: {}", answer.text());
        }
        world.gateway.stop().await;
    }
}

#[tokio::test]
async fn row_81_and_82_other_kinds_of_token_are_no_access_tokens() {
    let world = World::token_only().await;
    let token = world.issuer.token("mara");
    let logout = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
    for (what, token) in [
        ("logout+jwt", token.clone().header("typ", "logout+jwt")),
        ("events", token.clone().claim("events", logout)),
        ("ID", token.clone().claim("typ", "ID")),
        ("Refresh", token.clone().claim("typ", "Refresh")),
        ("Offline", token.clone().claim("typ", "Offline")),
    ] {
        world.refuses(what, &token.sign(), "wrong_token_type").await;
    }
    let bound = token.clone().claim("cnf", json!({"jkt": "x"})).sign();
    world.refuses("bound", &bound, "bound_token").await;
    world.backend.saw_nothing();
    world.gateway.stop().await;
}

#[tokio::test]
async fn row_87_userinfo_of_somebody_else_is_refused() {
    let world = World::new().await;
    world.issuer.knows("mara", "sub", "sub-alan");
    let token = world.issuer.token("mara").sign();
    world.refuses("another sub", &token, "sub_mismatch").await;
    world.gateway.stop().await;
}

#[tokio::test]
async fn row_43_a_credential_that_is_not_one_bearer_token_asks_nobody() {
    let world = World::new().await;
    let token = world.issuer.token("mara").sign();
    for value in [
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Bearer {token} x"),
    ] {
        let call = world
            .gateway
            .get("/files/a")
            .header("Authorization", &value);
        call.send().await.is(401);
    }
    let twice = world.gateway.get("/files/a").bearer(&token).bearer(&token);
    twice.send().await.refused(400, "dup_auth");
    assert_eq!(world.issuer.calls(Endpoint::Userinfo), 0);
    for scheme in ["bearer", "BEARER", "Bearer  "] {
        let value = format!("{scheme} {token}");
        let call = world
            .gateway
            .get("/files/a")
            .header("Authorization", &value);
        call.send().await.is(200);
    }
    world.gateway.stop().await;
}

#[tokio::test]
async fn row_44_a_token_in_the_query_is_not_read() {
    let world = World::new().await;
    let token = world.issuer.token("mara").sign();
    let target = format!("/files/a?access_token={token}");
    let answer = world.gateway.get(&target).send().await;
    answer.is(401);
    assert_eq!(world.issuer.calls(Endpoint::Userinfo), 0);
    world.gateway.stop().await;
}

#[tokio::test]
async fn an_opaque_token_in_jwt_mode_is_told_apart_in_the_log() {
    let world = World::new().await;
    let token = world.issuer.opaque("mara", Value::Null);
    let id = uuid::Uuid::new_v4().to_string();
    let call = world.gateway.get("/files/a").header("X-Request-Id", &id);
    call.bearer(&token)
        .send()
        .await
        .refused(401, "opaque_token");
    assert_eq!(world.issuer.calls(Endpoint::Userinfo), 0);
    let named = || {
        let lines = world.gateway.log_lines(&id);
        lines.iter().any(|line| {
            line.to_string()
                .contains("PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD")
        })
    };
    crate::support::until("the line that names the setting", named).await;
    world.gateway.stop().await;
}
