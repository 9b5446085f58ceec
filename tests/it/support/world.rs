//! Issuer, backend and gateway as most tests want them.

use super::backend::{FakeBackend, Told};
use super::client::{Answer, Call};
use super::gateway::{Builder, TestGateway};
use super::issuer::FakeIssuer;

pub(crate) struct World {
    pub(crate) issuer: FakeIssuer,
    pub(crate) backend: FakeBackend,
    pub(crate) gateway: TestGateway,
}

impl World {
    /// `/files/` leads to a backend that is told `Remote-*`.
    pub(crate) async fn new() -> Self {
        Self::with(|gateway| gateway).await
    }

    pub(crate) async fn with(settings: impl FnOnce(Builder) -> Builder) -> Self {
        Self::telling(Told::Headers, settings).await
    }

    /// With these variables beside the usual ones.
    pub(crate) async fn set(variables: &[(&str, &str)]) -> Self {
        let set = |gateway: Builder, (name, value): &(&str, &str)| gateway.var(name, value);
        Self::with(|gateway| variables.iter().fold(gateway, set)).await
    }

    /// Without userinfo, so that the token alone decides.
    pub(crate) async fn token_only() -> Self {
        Self::with(|gateway| gateway.var("PROXY_OIDC_SKIP_USER_INFO", "true")).await
    }

    pub(crate) async fn telling(told: Told, settings: impl FnOnce(Builder) -> Builder) -> Self {
        let issuer = FakeIssuer::start().await;
        let backend = FakeBackend::told(told).await;
        let gateway = TestGateway::new()
            .issuer(&issuer)
            .backend("/files/", &backend);
        Self {
            gateway: settings(gateway).spawn().await,
            issuer,
            backend,
        }
    }

    pub(crate) fn get(&self, target: &str) -> Call {
        self.gateway.get(target)
    }

    /// One request for a file with this token.
    pub(crate) async fn request(&self, token: &str) -> Answer {
        self.get("/files/a").bearer(token).send().await
    }
}
