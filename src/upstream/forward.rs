//! One request to one backend: what is sent, in whose name, and what comes back.

use std::rc::Rc;
use std::sync::Arc;

use http::{HeaderValue, Method, Response, StatusCode};
use hyper::upgrade::OnUpgrade;

use super::answer::{check_framing, deliver};
use super::call::Call;
use super::exchange::{Patience, exchange};
use super::head::{Head, HeadRules, Told};
use super::pool::{Limits, Pools};
use super::tunnel::{self, Wish};
use super::{BackendFault, Connector, UpstreamError};
use crate::body::{Body, TrailerRule};
use crate::config::Config;
use crate::config::routes::Route;
use crate::headers::{CleanHead, IdentityHeaders};
use crate::identity::ReturnedToken;
use crate::routes::{LocationScope, ProtectedRoute, PublicRoute, turn_locations_back};
use crate::services::Directory;
use crate::telemetry::PoolMetrics;

/// Sends requests to backends. One per worker, made inside its runtime; cloning shares the pools.
#[derive(Debug, Clone)]
pub(crate) struct Forwarder {
    pools: Rc<Pools>,
    rules: Rc<HeadRules>,
    patience: Patience,
}

impl Forwarder {
    /// A forwarder with empty pools. Has to be called on the worker: it starts the task that closes idle connections.
    #[must_use]
    pub(crate) fn new(
        config: &Config,
        connector: Connector,
        directory: Directory,
        metrics: PoolMetrics,
    ) -> Self {
        let limits = Limits::share(&config.upstream, config.http.workers);
        let rules = HeadRules {
            forward_authorization: config.http.forward_authorization,
            mfa: config.mfa.clone(),
        };
        let pools = Pools::new(connector, limits, directory, metrics);
        Self::over(pools, rules, Patience::new(&config.upstream))
    }

    pub(super) fn over(pools: Rc<Pools>, rules: HeadRules, patience: Patience) -> Self {
        Self {
            pools,
            rules: Rc::new(rules),
            patience,
        }
    }

    /// Sends a request in a user's name.
    ///
    /// # Errors
    /// See [`UpstreamError`]. An answer of the backend, also 5xx, is no error.
    pub(crate) fn send_as<'r>(
        &'r self,
        route: ProtectedRoute<'r>,
        identity: &'r IdentityHeaders,
        call: Call<'r>,
    ) -> impl Future<Output = Result<Response<Body>, UpstreamError>> + use<'r> {
        self.send(route.settings(), Told::User(identity), call)
    }

    /// Sends a request in nobody's name, or with the reva token of a backend that calls back.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub(crate) fn send_public<'r>(
        &'r self,
        route: PublicRoute<'r>,
        returned: Option<&'r ReturnedToken>,
        mut call: Call<'r>,
    ) -> impl Future<Output = Result<Response<Body>, UpstreamError>> + use<'r> {
        if !route.keeps_authorization() {
            call.head.drop_authorization();
        }
        if !route.may_upgrade() {
            call.head.upgrade = None;
        }
        let returned = returned.filter(|_| route.takes_reva_tokens());
        let told = returned.map_or(Told::Nobody, Told::Returned);
        self.send(route.settings(), told, call)
    }

    #[expect(
        clippy::manual_async_fn,
        reason = "an async fn holds its arguments twice, and a call is large"
    )]
    pub(super) fn send<'r>(
        &'r self,
        route: &'r Route,
        told: Told<'r>,
        mut call: Call<'r>,
    ) -> impl Future<Output = Result<Response<Body>, UpstreamError>> + use<'r> {
        async move {
            let backend = &route.backend;
            let wish = upgrade_wish(&mut call.head);
            let trailers_wanted = call.head.trailers_wanted;
            let body = call.body.with_trailers(if trailers_wanted {
                TrailerRule::Filter(call.head.configured.take())
            } else {
                TrailerRule::Drop
            });
            let head = Head::new(
                call.head,
                route,
                told,
                call.ingress,
                &call.target,
                &self.rules,
                call.second_factor,
            )?;
            let nodes = self.pools.nodes(backend);
            let first = nodes.pick(&[]);
            let first = first.ok_or_else(|| UpstreamError::nowhere(backend))?;
            let (mut answer, pool) =
                exchange(&nodes, first, head, body, self.patience, call.trip).await?;
            if let Err(text) = check_framing(answer.response.headers()) {
                return Err(pool.error(BackendFault::Malformed(text.to_owned())));
            }
            if answer.response.status() == StatusCode::SWITCHING_PROTOCOLS {
                let counters = Arc::clone(pool.counters());
                return tunnel::open(answer, wish, call.ends, counters, call.on_tunnel_end)
                    .map_err(|fault| pool.error(fault));
            }
            let location = LocationScope {
                endpoint: pool.endpoint(),
                base_path: &backend.base_path,
                upstream_host: text(&call.ingress.own_host),
                scheme: text(&call.ingress.scheme),
                host: text(&call.ingress.host),
                removed_prefix: call.target.removed_prefix.as_deref(),
            };
            if !call.keeps_location {
                turn_locations_back(answer.response.headers_mut(), location);
            }
            Ok(deliver(answer, trailers_wanted, call.ends))
        }
    }
}

/// Hosts were checked when the request came; what is no text matches nothing.
fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or_default()
}

/// The protocol the client wants to change to, if it may. What may not is not asked for, as RFC 9110 section 7.8 allows:
/// only GET opens a tunnel, for no other protocol than those of HTTP's own asks by another method.
fn upgrade_wish(head: &mut CleanHead) -> Option<Wish> {
    let protocol = head.upgrade.take().filter(tunnel::is_tunnelled)?;
    if head.parts.method != Method::GET {
        return None;
    }
    let client = head.parts.extensions.remove::<OnUpgrade>()?;
    head.upgrade = Some(protocol.clone());
    Some(Wish { protocol, client })
}
