//! F1 and F3 with Keycloak itself: silent, and started again, while people work.

use std::time::{Duration, Instant};

use serde_json::json;

use super::load::{Sample, Steady, burst, with_status};
use super::report::{at_most, exactly, no_more_than};
use super::support::backend::{FakeBackend, Told};
use super::support::keycloak::{Keycloak, Tokens};
use super::support::process::GatewayProcess;

const REALM: &str = "chaos";
const CLIENT: &str = "OpenCloudDesktop";
const REDIRECT: &str = "http://127.0.0.1/";
const SECOND: Duration = Duration::from_secs(1);

/// One request with this token.
async fn ask(gateway: &GatewayProcess, token: &str) -> Sample {
    burst(gateway.addr, &[token.to_owned()]).await[0]
}

/// How long until a token is let in that nobody has seen.
async fn until_served(gateway: &GatewayProcess, token: &str) -> Duration {
    let start = Instant::now();
    loop {
        let status = ask(gateway, token).await.status;
        if status == 200 {
            return start.elapsed();
        }
        assert_eq!(status, 503, "an outage is 503");
        assert!(start.elapsed() < 60 * SECOND, "never served again");
        tokio::time::sleep(SECOND / 10).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f01_and_f03_keycloak_silent_and_started_again_under_traffic() {
    let mut keycloak = Keycloak::start_with_a_file().await;
    let backend = FakeBackend::told(Told::Headers).await;
    let policy = json!({"name": "default", "routes": [
        {"endpoint": "/", "backend": backend.url(), "identity": "headers"},
    ]});
    let yaml = json!({"policies": [policy]});
    let realm = keycloak.realm(REALM, "http://cloud.example").await;
    realm.person("mara", "opencloudUser", &["crew"]).await;
    let issuer = realm.url();
    let gateway = GatewayProcess::start(&yaml, &[("PROXY_OIDC_ISSUER", &issuer)]).await;
    let mut logins: Vec<Tokens> = Vec::new();
    for _ in 0..8 {
        let scope = "openid profile email offline_access";
        let (_, tokens) = realm.login(CLIENT, REDIRECT, "mara", scope).await;
        logins.push(tokens);
    }
    let unseen = logins.split_off(4);
    let known: Vec<String> = logins.iter().map(|one| one.access().to_owned()).collect();
    for sample in burst(gateway.addr, &known).await {
        assert_eq!(sample.status, 200);
    }
    backend.take_seen();

    let traffic = Steady::start(gateway.addr, &known);
    keycloak.freeze();
    let silent = [
        ask(&gateway, unseen[0].access()).await,
        ask(&gateway, unseen[1].access()).await,
    ];
    keycloak.thaw();
    let back = until_served(&gateway, unseen[0].access()).await;
    exactly(
        "F1",
        "Keycloak silent: new tokens with 503",
        with_status(&silent, 503),
        2,
    );
    at_most(
        "F1",
        "Keycloak silent: served after it speaks again",
        back,
        10 * SECOND,
    );

    keycloak.end();
    let away = [
        ask(&gateway, unseen[2].access()).await,
        ask(&gateway, unseen[2].access()).await,
    ];
    keycloak.start_again().await;
    let back = until_served(&gateway, unseen[2].access()).await;
    exactly(
        "F3",
        "Keycloak ended: new tokens with 503",
        with_status(&away, 503),
        2,
    );
    at_most(
        "F3",
        "Keycloak ended: served after it is started again",
        back,
        10 * SECOND,
    );
    let samples = traffic.stop().await;
    backend.take_seen();
    exactly(
        "F3",
        "Keycloak away: 2xx of known tokens",
        with_status(&samples, 200),
        samples.len(),
    );
    no_more_than("F3", "Keycloak away: 401", with_status(&samples, 401), 0);
    // Sessions outlive its restart.
    let realm = keycloak.known_realm(REALM);
    let refreshed = realm.refresh(CLIENT, &unseen[3]).await.unwrap();
    let sample = ask(&gateway, refreshed.access()).await;
    exactly(
        "F3",
        "Keycloak started again: a refreshed token is let in",
        usize::from(sample.status),
        200,
    );
}
