//! Issuer, backend and the gateway's binary as a process of its own.

use std::time::{Duration, Instant};

use serde_json::json;

use super::load::{Sample, burst};
use super::support::backend::{FakeBackend, Told};
use super::support::issuer::FakeIssuer;
use super::support::keys::Key;
use super::support::process::GatewayProcess;

pub(crate) struct Site {
    pub(crate) issuer: FakeIssuer,
    pub(crate) backend: FakeBackend,
    pub(crate) gateway: GatewayProcess,
}

impl Site {
    pub(crate) async fn new(variables: &[(&str, &str)]) -> Self {
        Self::with_issuer(FakeIssuer::start().await, variables).await
    }

    pub(crate) async fn with_issuer(issuer: FakeIssuer, variables: &[(&str, &str)]) -> Self {
        // Thousands of tokens are signed here, and the issuer's side is not what is measured.
        issuer.rotate(Key::new("key-ec", "ES256"), true);
        let backend = FakeBackend::told(Told::Headers).await;
        let policy = json!({"name": "default", "routes": [
            {"endpoint": "/", "backend": backend.url(), "identity": "headers"},
        ]});
        let yaml = json!({"policies": [policy]});
        let mut all = vec![("PROXY_OIDC_ISSUER", issuer.url())];
        all.extend(variables);
        let gateway = GatewayProcess::start(&yaml, &all).await;
        Self {
            issuer,
            backend,
            gateway,
        }
    }

    /// New tokens of `mara` that are good for ten hours.
    pub(crate) fn tokens(&self, count: usize) -> Vec<String> {
        let token = || self.issuer.token("mara").expires_in(36_000).sign();
        (0..count).map(|_| token()).collect()
    }

    /// Tokens whose sessions are there.
    pub(crate) async fn known(&self, count: usize) -> Vec<String> {
        let tokens = self.tokens(count);
        for sample in self.burst(&tokens).await {
            assert_eq!(sample.status, 200);
        }
        tokens
    }

    pub(crate) async fn burst(&self, tokens: &[String]) -> Vec<Sample> {
        let samples = burst(self.gateway.addr, tokens).await;
        self.backend.take_seen();
        samples
    }

    /// One request with a new token.
    pub(crate) async fn one_new(&self) -> Sample {
        self.burst(&self.tokens(1)).await[0]
    }

    /// Processor time of the gateway so far, with the precision of the system's clock ticks.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.gateway.pid())).unwrap();
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.map(|field| field.parse::<u64>().unwrap()).sum();
        // `USER_HZ` is 100 wherever Linux runs.
        Duration::from_millis(ticks * 10)
    }

    /// How long until a new token is let in.
    pub(crate) async fn until_served(&self) -> Duration {
        let start = Instant::now();
        while self.one_new().await.status != 200 {
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "never served again"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        start.elapsed()
    }
}
