//! Logouts that the issuer reports (OpenID Connect Back-Channel Logout 1.0), through the whole gateway.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderValue, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use serde_json::json;

use crate::support::client::Answer;
use crate::support::issuer::{CLIENT_ID, CLIENT_SECRET, Endpoint, Fault};
use crate::support::keys::Key;
use crate::support::token::Token;
use crate::support::world::World;
use crate::support::{now, until};

const PATIENCE: Duration = Duration::from_secs(20);

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
async fn a_logout_by_subject_refuses_earlier_tokens_only() {
    let world = World::new().await;
    let before = world.issuer.token("mara").claim("iat", now() - 5).sign();
    let others = world.issuer.token("alan").claim("iat", now() - 5).sign();
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

impl World {
    /// An access token of a session; each call is a refresh.
    fn of_session(&self, sid: &str) -> String {
        self.issuer.token("mara").claim("sid", sid).sign()
    }

    /// Every one of these tokens is refused because its session was ended.
    async fn are_ended(&self, tokens: &[String]) {
        for token in tokens {
            self.request(token).await.refused(401, "session_ended");
        }
    }
}

/// docs/design/hardening.md row 94 and list 3.10, number 17: who refreshed has several tokens, and all of them end, also those that
/// were never sent here.
async fn a_session_ends_with_all_its_tokens(world: World) {
    let ended = [(); 3].map(|()| world.of_session("login-1"));
    let other = world.of_session("login-2");
    for token in ended.iter().take(2).chain([&other]) {
        world.request(token).await.is(200);
    }
    let by_session = world.logout_token().without("sub").sign();
    world.logout(&by_session).await.is(200);
    world.are_ended(&ended).await;
    world.request(&other).await.is(200);
    // issue 14, number 1: a desktop client has an offline session under the same id, and goes on refreshing.
    let token = world.issuer.token("mara").claim("sid", "login-1");
    let refreshed_later = token.claim("iat", now() + 2).sign();
    world.request(&refreshed_later).await.is(200);
    let for_good = json!({
        "http://schemas.openid.net/event/backchannel-logout": {}, "revoke_offline_access": true
    });
    let for_good = world.logout_token().claim("events", for_good).sign();
    world.logout(&for_good).await.is(200);
    world.are_ended(&[refreshed_later]).await;
    world.gateway.stop().await;
}

#[tokio::test]
async fn row_94_a_logout_ends_every_token_of_the_session_seen_or_not() {
    a_session_ends_with_all_its_tokens(World::new().await).await;
}

#[tokio::test]
async fn row_94_a_logout_ends_every_token_of_the_session_without_userinfo_too() {
    a_session_ends_with_all_its_tokens(World::token_only().await).await;
}

#[tokio::test]
async fn a_logout_of_session_and_subject_ends_that_session_and_no_other_of_the_person() {
    let world = World::new().await;
    let (first, second) = (world.of_session("login-1"), world.of_session("login-2"));
    let without_session = world.issuer.token("mara").sign();
    for token in [&first, &second, &without_session] {
        world.request(token).await.is(200);
    }
    world.logout(&world.logout_token().sign()).await.is(200);
    world.are_ended(&[first]).await;
    world.request(&second).await.is(200);
    world.request(&without_session).await.is(200);
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_logout_of_the_subject_ends_all_sessions_of_the_person() {
    let world = World::new().await;
    let earlier = || world.issuer.token("mara").claim("iat", now() - 5);
    let tokens = [
        earlier().claim("sid", "login-1").sign(),
        earlier().claim("sid", "login-2").sign(),
        earlier().sign(),
        earlier().claim("sid", "never-seen").sign(),
    ];
    let somebody_else = world.issuer.token("alan").claim("sid", "login-1").sign();
    for token in tokens.iter().take(3).chain([&somebody_else]) {
        world.request(token).await.is(200);
    }
    let by_subject = world.logout_token().without("sid").sign();
    world.logout(&by_subject).await.is(200);
    world.are_ended(&tokens).await;
    world.request(&somebody_else).await.is(200);
    world.gateway.stop().await;
}

/// An opaque token does not say how old it is. Where the issuer tells, that counts; where it does not, one that was in
/// use is over, and one that comes later is good if the issuer, asked after its own logout, still says so.
#[tokio::test]
async fn a_logout_by_subject_and_opaque_tokens() {
    let method = ("PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD", "none");
    let world = World::with(|gateway| gateway.var(method.0, method.1)).await;
    let token = || world.issuer.opaque("mara", json!({}));
    let (used, not_seen, revoked) = (token(), token(), token());
    world.request(&used).await.is(200);
    let out = world.logout_token().without("sid");
    world.logout(&out.sign()).await.is(200);
    world.request(&used).await.refused(401, "session_ended");
    // Also once the refusal is no longer remembered.
    world.gateway.clock.advance(31);
    world.request(&used).await.refused(401, "session_ended");
    world.issuer.revoke(&revoked);
    world.request(&revoked).await.refused(401, "token_rejected");
    world.request(&not_seen).await.is(200);
    world.gateway.stop().await;

    let world = World::with(|gateway| {
        gateway
            .var(method.0, "introspection")
            .var("PROXY_OIDC_CLIENT_ID", CLIENT_ID)
            .var("PROXY_OIDC_CLIENT_SECRET", CLIENT_SECRET)
            .var("PROXY_OIDC_SKIP_USER_INFO", "true")
    })
    .await;
    let issued = |at: i64| {
        world
            .issuer
            .opaque("mara", json!({"iat": at, "exp": now() + 300}))
    };
    let (before, after) = (issued(now() - 5), issued(now() + 2));
    let out = world.logout_token().without("sid");
    world.logout(&out.sign()).await.is(200);
    world.request(&before).await.refused(401, "session_ended");
    world.gateway.clock.advance(3);
    world.request(&after).await.is(200);
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_token_is_no_younger_because_userinfo_says_so() {
    let world = World::new().await;
    let token = world.issuer.token("mara").claim("iat", now() - 5).sign();
    let out = world.logout_token().without("sid");
    world.logout(&out.sign()).await.is(200);
    // As Dex and signed userinfo have it: when the answer was made.
    world.issuer.knows("mara", "iat", now() + 60);
    world.request(&token).await.refused(401, "session_ended");
    world.gateway.stop().await;
}

#[tokio::test]
async fn row_96_a_set_up_that_was_under_way_loses_against_the_logout() {
    let world = World::new().await;
    let token = world.of_session("login-1");
    let slow = Fault::Slow(Duration::from_secs(1));
    world.issuer.fault(Endpoint::Userinfo, slow);
    let waiting = tokio::spawn(world.get("/files/a").bearer(&token).send());
    until("the call of userinfo", || {
        world.issuer.calls(Endpoint::Userinfo) == 1
    })
    .await;
    world.logout(&world.logout_token().sign()).await.is(200);
    waiting.await.unwrap().refused(401, "session_ended");
    world.issuer.heal(Endpoint::Userinfo);
    world.are_ended(&[token]).await;
    world.backend.saw_nothing();
    world.gateway.stop().await;
}

#[tokio::test]
async fn row_96_a_logout_whose_keys_cannot_be_had_is_503_and_works_when_repeated() {
    let world = World::token_only().await;
    let session = world.of_session("login-1");
    world.request(&session).await.is(200);
    let new = Key::new("key-2", "ES256");
    world.issuer.rotate(new, true);
    world.issuer.fault(Endpoint::Jwks, Fault::Status(500));
    let logout = world.logout_token().claim("iat", now() + 30).sign();
    world.logout(&logout).await.is(503);
    world.request(&session).await.is(200);
    world.issuer.heal(Endpoint::Jwks);
    world.gateway.clock.advance(6);
    world.logout(&logout).await.is(200);
    world.are_ended(&[session]).await;
    world.gateway.stop().await;
}

/// Events of a backend that never ends them by itself.
async fn open_events(world: &World, token: &str) -> Incoming {
    let call = world.get("/files/events").bearer(token);
    let mut body = call.open().await.into_body();
    assert!(next_event(&mut body).await.is_some(), "the first event");
    body
}

async fn next_event(body: &mut Incoming) -> Option<Bytes> {
    let frame = tokio::time::timeout(PATIENCE, body.frame())
        .await
        .expect("neither an event nor the end");
    Some(frame?.ok()?.into_data().unwrap())
}

#[tokio::test]
async fn open_event_streams_of_the_session_close_and_no_others() {
    let world = World::new().await;
    world.backend.takes_over(|_| async {
        let event = stream::iter([Ok(Frame::data(Bytes::from_static(b"data: x\n\n")))]);
        let events = StreamBody::new(event.chain(stream::pending()));
        let mut answer = Response::new(BodyExt::boxed(events));
        let kind = HeaderValue::from_static("text/event-stream");
        answer.headers_mut().insert("content-type", kind);
        answer
    });
    let (token, refreshed) = (world.of_session("login-1"), world.of_session("login-1"));
    let mut ending = [
        open_events(&world, &token).await,
        open_events(&world, &refreshed).await,
    ];
    let mut staying = open_events(&world, &world.of_session("login-2")).await;
    world.logout(&world.logout_token().sign()).await.is(200);
    for body in &mut ending {
        assert!(next_event(body).await.is_none(), "the stream goes on");
    }
    let quiet = tokio::time::timeout(Duration::from_millis(300), staying.frame()).await;
    assert!(quiet.is_err(), "another session's stream ended");
    drop(staying);
    world.gateway.stop().await;
}
