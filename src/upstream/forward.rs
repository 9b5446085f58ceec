//! One request to one backend: what is sent, in whose name, and what comes back.

use std::rc::Rc;
use std::sync::Arc;

use http::{HeaderValue, Response};
use tokio_util::sync::CancellationToken;

use super::{Connector, PoolCounters, UpstreamError};
use crate::body::{Body, Outcome};
use crate::config::Config;
use crate::config::routes::Route;
use crate::headers::{CleanHead, IdentityHeaders};
use crate::routes::{ProtectedRoute, PublicRoute, UpstreamTarget};

/// Sends requests to backends. One per worker; cloning shares the pools.
#[derive(Debug, Clone)]
pub struct Forwarder {
    inner: Rc<Inner>,
}

#[derive(Debug)]
struct Inner {
    connector: Connector,
    counters: Arc<PoolCounters>,
}

/// One request, ready to be sent.
pub struct Call<'a> {
    /// The cleaned head.
    pub head: CleanHead,
    /// The client's body, not polled yet: the first poll sends `100 Continue`.
    pub body: Body,
    /// Path and query for the backend, from the route's rewriting.
    pub target: UpstreamTarget<'a>,
    /// What is known of the client's connection.
    pub ingress: &'a Ingress,
    /// What ends streams and tunnels early.
    pub ends: Ends,
    /// Called when an upgraded connection ends. The answer's body is empty then.
    pub on_tunnel_end: Option<Box<dyn FnOnce(TunnelEnd)>>,
}

/// What is known of the client's connection, after trusted proxies were believed.
#[derive(Debug, Clone)]
pub struct Ingress {
    /// The client's address, for `X-Forwarded-For`; made once per connection.
    pub client: HeaderValue,
    /// `https` or `http`, as the client sees it.
    pub scheme: HeaderValue,
    /// The host the client asked for, validated.
    pub host: HeaderValue,
    /// The request's id.
    pub request_id: HeaderValue,
}

/// Cancellations that end event streams and tunnels, never transfers.
#[derive(Debug, Clone, Default)]
pub struct Ends {
    /// The session's: logout, disabling, expiry.
    pub session: Option<CancellationToken>,
    /// The listener's: draining.
    pub drain: Option<CancellationToken>,
}

/// How an upgraded connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TunnelEnd {
    /// Bytes from the client.
    pub received: u64,
    /// Bytes to the client.
    pub sent: u64,
    /// Whether it was closed in order, broke, or was ended from here.
    pub outcome: Outcome,
}

impl Forwarder {
    /// A forwarder with empty pools.
    #[must_use]
    pub fn new(_config: &Config, connector: Connector, counters: Arc<PoolCounters>) -> Self {
        Self {
            inner: Rc::new(Inner {
                connector,
                counters,
            }),
        }
    }

    /// Sends a request in a user's name.
    ///
    /// # Errors
    /// See [`UpstreamError`]. An answer of the backend, also 5xx, is no error.
    pub async fn send_as(
        &self,
        route: ProtectedRoute<'_>,
        identity: &IdentityHeaders,
        call: Call<'_>,
    ) -> Result<Response<Body>, UpstreamError> {
        self.send(route.settings(), Some(identity), call).await
    }

    /// Sends a request in nobody's name.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub async fn send_public(
        &self,
        route: PublicRoute<'_>,
        call: Call<'_>,
    ) -> Result<Response<Body>, UpstreamError> {
        self.send(route.settings(), None, call).await
    }

    async fn send(
        &self,
        _route: &Route,
        _identity: Option<&IdentityHeaders>,
        _call: Call<'_>,
    ) -> Result<Response<Body>, UpstreamError> {
        let _ = (&self.inner.counters, &self.inner.connector);
        Err(UpstreamError::Internal("forwarding is not built yet"))
    }
}

impl std::fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call")
            .field("method", self.head.method())
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}
