//! One request to one backend: what is sent, in whose name, and what comes back.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::answer::{check_framing, deliver};
use super::exchange::exchange;
use super::head::{Head, HeadRules};
use super::pool::{Limits, Pools};
use super::tunnel::{self, Wish};
use super::{BackendFault, Connector, UpstreamError};
use crate::body::{Body, Outcome, TrailerRule};
use crate::config::Config;
use crate::config::routes::Route;
use crate::headers::{CleanHead, IdentityHeaders};
use crate::routes::{ProtectedRoute, PublicRoute, UpstreamTarget};
use crate::session::Cancellation;
use crate::telemetry::PoolCounters;

/// Sends requests to backends. One per worker, made inside its runtime; cloning shares the pools.
#[derive(Debug, Clone)]
pub struct Forwarder {
    pools: Rc<Pools>,
    rules: Rc<HeadRules>,
    continue_timeout: Duration,
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
    /// The login's `acr` is one of `mfa.auth_level_names` (oCIS).
    pub second_factor: bool,
    /// What ends streams and tunnels early.
    pub ends: Ends<'a>,
    /// Called when an upgraded connection ends; needed only if [`CleanHead::wants_upgrade`]. The answer's body is empty then.
    pub on_tunnel_end: Option<Box<dyn FnOnce(TunnelEnd)>>,
}

/// What is known of the client's connection, after trusted proxies were believed.
#[derive(Debug, Clone)]
pub struct Ingress {
    /// The client's address, for `X-Forwarded-For`; made once per connection.
    pub client: HeaderValue,
    /// `https` or `http`, as the client sees it.
    pub scheme: HeaderValue,
    /// The host the client asked for, as an outer proxy may tell it, validated: `X-Forwarded-Host`.
    pub host: HeaderValue,
    /// The host of the request itself, which the backend gets as `Host` (contract.md 9.1).
    pub own_host: HeaderValue,
    /// The request's id.
    pub request_id: HeaderValue,
}

/// Cancellations that end event streams and tunnels, never transfers.
///
/// Borrowed, because most requests end in neither.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ends<'a> {
    /// The session's: logout, disabling, expiry.
    pub session: Option<&'a Cancellation>,
    /// The listener's: draining.
    pub drain: Option<&'a CancellationToken>,
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
    /// A forwarder with empty pools. Has to be called on the worker: it starts the task that closes idle connections.
    #[must_use]
    pub fn new(config: &Config, connector: Connector, counters: Arc<PoolCounters>) -> Self {
        let limits = Limits::share(&config.upstream, config.http.workers);
        let rules = HeadRules {
            forward_authorization: config.http.forward_authorization,
            mfa: config.mfa.clone(),
        };
        let pools = Pools::new(connector, limits, counters);
        Self::over(pools, rules, config.upstream.expect_continue_timeout)
    }

    pub(super) fn over(pools: Rc<Pools>, rules: HeadRules, continue_timeout: Duration) -> Self {
        Self {
            pools,
            rules: Rc::new(rules),
            continue_timeout,
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

    pub(super) async fn send(
        &self,
        route: &Route,
        identity: Option<&IdentityHeaders>,
        mut call: Call<'_>,
    ) -> Result<Response<Body>, UpstreamError> {
        let backend = &route.backend;
        let wish = upgrade_wish(&mut call.head);
        let trailers_wanted = call.head.trailers_wanted;
        let body = call.body.with_trailers(if trailers_wanted {
            TrailerRule::Filter
        } else {
            TrailerRule::Drop
        });
        let head = Head::new(
            call.head,
            route,
            identity,
            call.ingress,
            &call.target,
            &self.rules,
            call.second_factor,
        )?;
        let pool = self.pools.of(backend);
        let counters = self.pools.counters();
        let answer = exchange(&pool, backend, counters, head, body, self.continue_timeout).await?;
        if let Err(text) = check_framing(answer.response.headers()) {
            let fault = BackendFault::Malformed(text.to_owned());
            return Err(UpstreamError::of(backend, fault));
        }
        if answer.response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let counters = Arc::clone(counters);
            return tunnel::open(answer, wish, call.ends, counters, call.on_tunnel_end)
                .map_err(|fault| UpstreamError::of(backend, fault));
        }
        Ok(deliver(answer, trailers_wanted, call.ends))
    }
}

/// The protocol the client wants to change to, if it may. What may not is not asked for, as RFC 9110 section 7.8 allows.
fn upgrade_wish(head: &mut CleanHead) -> Option<Wish> {
    let protocol = head.upgrade.take().filter(tunnel::is_tunnelled)?;
    let client = head.parts.extensions.remove::<OnUpgrade>()?;
    head.upgrade = Some(protocol.clone());
    Some(Wish { protocol, client })
}

impl Ends<'_> {
    /// Those there are, each as something to wait for.
    pub(super) fn fired(self) -> Vec<Pin<Box<WaitForCancellationFutureOwned>>> {
        let session = self.session.map(Cancellation::token);
        session
            .into_iter()
            .chain(self.drain)
            .map(|token| Box::pin(token.clone().cancelled_owned()))
            .collect()
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
