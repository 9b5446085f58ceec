//! A directory that is down, restarted or silent, seen from the outside (F9-F11, docs/design/design.md 2.1).

use std::time::{Duration, Instant};

use serde_json::json;

use crate::accounts::wire::{Mode, Relay};
use crate::support::backend::{FakeBackend, Told};
use crate::support::client::Answer;
use crate::support::gateway::TestGateway;
use crate::support::issuer::FakeIssuer;
use crate::support::slapd::{BIND_DN, PASSWORD, Slapd, USERS};

struct World {
    issuer: FakeIssuer,
    directory: Slapd,
    backend: FakeBackend,
    gateway: TestGateway,
}

impl World {
    async fn new() -> Self {
        let directory = Slapd::start().await;
        let uri = directory.uri();
        Self::before(directory, &uri).await
    }

    /// `uri` leads to the directory, maybe by way of a relay.
    async fn before(directory: Slapd, uri: &str) -> Self {
        let issuer = FakeIssuer::start().await;
        let backend = FakeBackend::told(Told::Headers).await;
        let gateway = TestGateway::new()
            .issuer(&issuer)
            .var("PROXY_ACCOUNT_BACKEND_TYPE", "ldap")
            .var("OC_LDAP_URI", uri)
            .var("OC_LDAP_BIND_DN", BIND_DN)
            .var("OC_LDAP_BIND_PASSWORD", PASSWORD)
            .backend("/files/", &backend)
            .spawn()
            .await;
        Self {
            issuer,
            directory,
            backend,
            gateway,
        }
    }

    async fn request(&self, token: &str) -> Answer {
        let answer = self.gateway.get("/files/a").bearer(token).send().await;
        self.backend.take_seen();
        answer
    }

    async fn users(&self) -> usize {
        self.directory.entries(USERS).await.len()
    }
}

#[tokio::test]
async fn f9_while_the_directory_is_down_known_users_go_on_and_others_are_503() {
    let mut world = World::new().await;
    let mara = world.issuer.token("mara").expires_in(36_000).sign();
    world.request(&mara).await.is(200);
    world.directory.stop();
    let alan = world.issuer.token("alan").expires_in(36_000).sign();
    for advance in [0, 31, 31, 600] {
        world.gateway.clock.advance(advance);
        world.request(&mara).await.is(200);
    }
    let start = Instant::now();
    let answer = world.request(&alan).await;
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.header("retry-after").is_some());
    // Older than the directory may be silent.
    world.gateway.clock.advance(3600);
    world.request(&mara).await.is(503);

    world.directory.start_again().await;
    assert_eq!(world.users().await, 1, "nobody was made meanwhile");
    world.request(&mara).await.is(200);
    world
        .request(&world.issuer.token("alan").expires_in(36_000).sign())
        .await
        .is(200);
    assert_eq!(world.users().await, 2);
    world.gateway.stop().await;
}

#[tokio::test]
async fn f10_a_silent_directory_holds_known_users_up_for_a_moment_only() {
    let directory = Slapd::start().await;
    let relay = Relay::start(&directory.uri()).await;
    let world = World::before(directory, &relay.uri).await;
    let mara = world.issuer.token("mara").expires_in(36_000).sign();
    world.request(&mara).await.is(200);
    relay.set(Mode::Swallow);
    world.gateway.clock.advance(31);
    for _ in 0..20 {
        let start = Instant::now();
        world.request(&mara).await.is(200);
        assert!(
            start.elapsed() < Duration::from_millis(2_500),
            "{:?}",
            start.elapsed()
        );
    }
    let start = Instant::now();
    let answer = world.request(&world.issuer.token("alan").sign()).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(
        start.elapsed() < Duration::from_secs(6),
        "{:?}",
        start.elapsed()
    );
    relay.set(Mode::Forward);
    let back = Instant::now();
    while world
        .request(&world.issuer.token("alan").sign())
        .await
        .status
        != 200
    {
        assert!(back.elapsed() < Duration::from_secs(12), "not back");
    }
    world.gateway.stop().await;
}

#[tokio::test]
async fn f11_the_first_request_after_a_restart_of_the_directory_succeeds() {
    let mut world = World::new().await;
    let mara = world.issuer.token("mara").sign();
    world.request(&mara).await.is(200);
    world.directory.start_again().await;
    world
        .request(&world.issuer.token("alan").sign())
        .await
        .is(200);
    assert_eq!(world.users().await, 2);
    world.gateway.stop().await;
}

/// What was logged out is known by the gateway alone, so a directory that is away neither holds a logout up nor lets the
/// stale session serve on.
#[tokio::test]
async fn row_96_a_logout_counts_while_the_directory_is_down_and_after() {
    let mut world = World::new().await;
    let of_session = || world.issuer.token("mara").claim("sid", "login-1");
    let (seen, unseen) = (of_session().sign(), of_session().sign());
    let event = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
    let logout = of_session().header("typ", "logout+jwt");
    let form = format!("logout_token={}", logout.claim("events", event).sign());
    world.request(&seen).await.is(200);
    world.directory.stop();
    world.request(&seen).await.is(200);
    let call = world.gateway.call("POST", "/backchannel_logout");
    let call = call.header("Content-Type", "application/x-www-form-urlencoded");
    call.body(form).send().await.is(200);
    world.request(&seen).await.refused(401, "session_ended");
    let answer = world.request(&unseen).await;
    assert!(
        matches!(answer.status.as_u16(), 401 | 503),
        "{}",
        answer.text()
    );
    world.directory.start_again().await;
    for token in [&seen, &unseen] {
        world.request(token).await.refused(401, "session_ended");
    }
    world.gateway.stop().await;
}

#[tokio::test]
async fn an_account_that_the_directory_disables_is_out_within_the_ttl() {
    let world = World::new().await;
    let mara = world.issuer.token("mara").expires_in(3600).sign();
    world.request(&mara).await.is(200);
    let entries = world.directory.entries(USERS).await;
    let dn = entries[0].dn.clone();
    world
        .directory
        .replace(&dn, "openCloudUserEnabled", &["FALSE"])
        .await;
    world.gateway.clock.advance(31);
    world.request(&mara).await.refused(403, "account_disabled");
    world
        .directory
        .replace(&dn, "openCloudUserEnabled", &["TRUE"])
        .await;
    world.gateway.clock.advance(6);
    world.request(&mara).await.is(200);
    world.gateway.stop().await;
}
