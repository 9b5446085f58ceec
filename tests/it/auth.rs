//! From a token to the backend, and each way a token is refused.

mod accepted;
mod forms;
mod refused;

use crate::support::backend::{FakeBackend, Told};
use crate::support::gateway::{Builder, TestGateway};
use crate::support::issuer::FakeIssuer;

/// Issuer, backend and gateway as most tests here want them.
struct World {
    issuer: FakeIssuer,
    backend: FakeBackend,
    gateway: TestGateway,
}

impl World {
    async fn new() -> Self {
        Self::with(|gateway| gateway).await
    }

    async fn with(settings: impl FnOnce(Builder) -> Builder) -> Self {
        let issuer = FakeIssuer::start().await;
        let backend = FakeBackend::told(Told::Headers).await;
        let gateway = TestGateway::new()
            .issuer(&issuer)
            .backend("/files/", &backend);
        Self {
            gateway: settings(gateway).spawn().await,
            issuer,
            backend,
        }
    }

    /// Without userinfo, so that the token alone decides.
    async fn token_only() -> Self {
        Self::with(|gateway| gateway.var("PROXY_OIDC_SKIP_USER_INFO", "true")).await
    }
}
