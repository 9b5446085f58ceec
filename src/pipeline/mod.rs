//! The life of a request.
//!
//! ```text
//! handle          request id, log record                   everything below is logged, also panics and departures
//!   arrival       host, client, target, form of answers    the head is read once, before anything is taken out of it
//!   respond       the steps below, by `?`                  the outer function always answers
//!     host        one host, and https where it has to be
//!     clean       forgeable and hop-by-hop headers go      before any other code reads a header
//!     path        one normal form                          matched and forwarded are the same bytes
//!     local       discovery, logout, webfinger             answered here
//!     select      public or protected; who calls           one comparison, or digest and cache read; else a set-up, on control
//!     policies    may it do that                           asked on control, where there is a query
//!     forward     identity headers, backend                bodies stream
//!     answer      streams watched, nonce, cookie
//!   finish        security headers, request id             once each, on every answer, errors too
//! ```
//!
//! Forwarding a protected route without a session does not compile: only [`crate::routes`] makes a `ProtectedRoute`,
//! and the forwarder takes one only together with an identity.

mod admission;
mod arrival;
mod decision;
mod destinations;
mod held;
mod preflight;
mod proven;
mod record;
mod refused_identity;
mod request_id;
mod selection;
mod traced;
mod transfers;
mod unread;
mod unreadable;
mod worker_sessions;

pub use self::worker_sessions::WorkerSessions;

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::FutureExt as _;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, SET_COOKIE};
use http::{HeaderValue, Method, Request, Response, Version};
use http_body::Body as _;
use tokio_util::sync::CancellationToken;

use self::admission::Caller;
use self::arrival::Arrival;
use self::held::{Held, HeldSnapshot};
use self::record::Record;
use self::request_id::{RequestId, RequestIds};
use self::selection::Selected;
use self::traced::Traced;
use self::unread::UnreadBody;
use crate::body::Body;
use crate::error::GatewayError;
use crate::headers::{CleanHead, HeaderFault};
use crate::local;
use crate::process::Process;
use crate::routes::{RouteError, Target, upstream_target};
use crate::server::{Connection, Handler, OddHead, Stream, UnreadableHead};
use crate::session::Session;
use crate::telemetry::traces::Tracer;
use crate::telemetry::{AccessLog, RouteMetrics, WorkerMetrics};
use crate::upstream::{Call, Ends, EventStream, Forwarder, TunnelEnd};

/// One worker's view of the gateway: what all workers share, and what only this one touches.
#[derive(Debug)]
pub(crate) struct Pipeline {
    process: Arc<Process>,
    snapshot: RefCell<HeldSnapshot>,
    sessions: WorkerSessions,
    forwarder: Forwarder,
    request_ids: RequestIds,
    access_log: Rc<AccessLog>,
    metrics: WorkerMetrics,
    route_metrics: RouteMetrics,
    drain: CancellationToken,
    tracer: Option<Tracer>,
}

impl Handler for Pipeline {
    type Body = Body;

    async fn handle(&self, connection: &Rc<Connection>, request: Request<Body>) -> Response<Body> {
        let snapshot = self.snapshot();
        let request_id = self.request_ids.of(request.headers());
        let (head, body) = request.into_parts();
        let uri = head.uri.clone();
        let arrival = Arrival::read(
            connection,
            &snapshot,
            &head,
            &uri,
            &request_id,
            self.process.accepts,
            Traced::begin(self.tracer.as_ref(), &head.headers),
        );
        let record = Record::begin(
            (&self.access_log, &self.metrics, &snapshot),
            &head,
            arrival.redacted_path(&uri),
            arrival.ingress.client.clone(),
            connection,
            (request_id.clone(), arrival.traced.clone()),
            body.pulse().cloned(),
        );

        let is_head = head.method == Method::HEAD;
        let is_http1 = head.version <= Version::HTTP_11;
        let body = UnreadBody::new(&head, body);
        let request = Request::from_parts(head, ());
        let answered = AssertUnwindSafe(self.respond(&arrival, &record, request, &body))
            .catch_unwind()
            .await;
        let mut response = answered
            .unwrap_or(Err(GatewayError::Panic))
            .unwrap_or_else(|error| {
                let refusal = error.refusal();
                record.refused(&refusal, &error);
                let mut answer = arrival.form.refuse(
                    &refusal,
                    request_id.as_str(),
                    &snapshot.resource_metadata,
                    self.process.clock.now(),
                );
                if body.refuse() || breaks_the_rules(&error, is_http1) {
                    let close = HeaderValue::from_static("close");
                    answer.headers_mut().insert(CONNECTION, close);
                }
                answer
            });

        if is_head {
            leave_body(&mut response);
        }
        snapshot.security_headers().apply(response.headers_mut());
        response
            .headers_mut()
            .insert(RequestId::NAME, request_id.value());
        record.answered(response)
    }

    fn unreadable(&self, connection: &Connection, head: UnreadableHead) -> Option<Response<Body>> {
        Some(self.refuse_unreadable(connection, head))
    }
}

impl Pipeline {
    /// The pipeline of the calling worker.
    #[must_use]
    pub(crate) fn new(
        process: Arc<Process>,
        forwarder: Forwarder,
        access_log: Rc<AccessLog>,
        metrics: WorkerMetrics,
        route_metrics: RouteMetrics,
        drain: CancellationToken,
        tracer: Option<Tracer>,
    ) -> Self {
        Self {
            snapshot: RefCell::new(Held::new(process.snapshot.load_full(), &route_metrics)),
            process,
            sessions: WorkerSessions::default(),
            forwarder,
            request_ids: RequestIds::new(),
            access_log,
            metrics,
            route_metrics,
            drain,
            tracer,
        }
    }

    #[expect(
        clippy::manual_async_fn,
        reason = "an async fn holds its arguments twice, and a request is large"
    )]
    fn respond<'r>(
        &'r self,
        arrival: &'r Arrival<'r>,
        record: &'r Record,
        request: Request<()>,
        body: &'r UnreadBody,
    ) -> impl Future<Output = Result<Response<Body>, GatewayError>> + use<'r> {
        async move {
            let snapshot = arrival.snapshot;
            arrival.host?;
            if let Some(location) = &arrival.redirect {
                return Ok(local::redirect(location.clone()));
            }
            let odd_head = request.extensions().get::<OddHead>().copied();
            let (mut head, ()) = snapshot.reserved.clean(request)?;
            only_100_continue(&head)?;
            if let Some(traced) = &arrival.traced {
                head.continue_trace(&traced.call());
            }
            match odd_head {
                Some(OddHead::Fragment) => return Err(RouteError::BadTarget.into()),
                Some(OddHead::Framing) => return Err(HeaderFault::Framing.into()),
                None => {}
            }

            let wants_upgrade = head.wants_upgrade();
            let path = match &arrival.target {
                Ok(Target::Path(path)) => path,
                Ok(Target::Server) => return Ok(local::server_options()),
                Err(error) => return Err((*error).into()),
            };
            if head.ends_here() {
                return Ok(local::server_options());
            }
            if let Some(endpoint) = local::endpoint(snapshot, path) {
                // Boxed, so that other requests do not carry its room.
                let answer = endpoint.answer(&self.process, snapshot, path, head, body.take());
                return Box::pin(answer).await;
            }

            if let Some(gateway) = transfers::of(snapshot, path, &head) {
                let trip = record.trip();
                let sent = self.transfer(arrival, gateway, path, (head, body.take()), trip);
                return Box::pin(sent).await;
            }
            let data_gateway = transfers::begun_by(snapshot, &head);

            let Selected {
                table,
                caller,
                cookie,
            } = self.select(arrival, path, &head).await?;
            record.goes(table.place_of(caller.route().settings()), &caller);
            let services = &self.process.directory;
            destinations::rewrite(arrival, services, table, caller.route(), &mut head)?;
            if let Some(decisions) = &self.process.decisions {
                let traced = arrival.traced.as_deref();
                self.pass_policies(traced, decisions, &caller, path, &head)
                    .await?;
            }

            let returned = self.returned_token(&caller, &mut head);
            let asks_by_browser = preflight::asked_by(&head);
            let session = caller.session();
            let call = Call {
                head,
                body: body.take(),
                target: upstream_target(caller.route().settings(), path, &snapshot.root),
                ingress: &arrival.ingress,
                keeps_location: data_gateway.is_some(),
                second_factor: session.is_some_and(|session| session.facts.mfa),
                ends: Ends {
                    session: session.map(Session::cancellations),
                    drain: Some(&self.drain),
                },
                trip: record.trip(),
                on_tunnel_end: wants_upgrade.then(|| tunnel_end(arrival, record)),
            };
            let response = match &caller {
                Caller::Anyone(route) => {
                    self.forwarder
                        .send_public(*route, returned.as_ref(), call)
                        .await?
                }
                Caller::Session(route, session) => {
                    let identity = admission::identity(*route, session)?;
                    self.forwarder.send_as(*route, &identity, call).await?
                }
            };
            if let Caller::Session(route, _) = &caller {
                let (route, id) = (route.settings(), &arrival.ingress.request_id);
                let told = &self.process.refused_identities;
                refused_identity::look(told, response.status(), route, id, &self.metrics);
            }
            if let Some(origin) = &asks_by_browser {
                let told = &self.process.unanswered_preflights;
                preflight::look(told, origin, caller.route().settings(), response.headers());
            }
            let mut response = self.watch_stream(&caller, response);
            if let Some(gateway) = data_gateway {
                self.tell_location(arrival, gateway, &mut response);
            }
            self.give_nonce(&caller, &mut response);
            if let Some(cookie) = cookie {
                response.headers_mut().append(SET_COOKIE, cookie);
            }
            Ok(response)
        }
    }

    /// Streams end with their session's token, and soon after a drain begins.
    fn watch_stream(&self, caller: &Caller<'_>, mut response: Response<Body>) -> Response<Body> {
        let is_tunnel = response.status() == http::StatusCode::SWITCHING_PROTOCOLS;
        if !is_tunnel && response.extensions().get::<EventStream>().is_none() {
            return response;
        }
        response.extensions_mut().insert(Stream);
        if let Caller::Session(_, session) = caller {
            tokio::task::spawn_local(admission::cut_at_expiry(
                Arc::clone(session),
                self.process.clock.clone(),
            ));
        }
        response
    }

    /// The configuration in force.
    fn snapshot(&self) -> HeldSnapshot {
        let current = self.process.snapshot.load();
        let mut held = self.snapshot.borrow_mut();
        if !held.is_of(&current) {
            *held = Held::new(Arc::clone(&current), &self.route_metrics);
        }
        Rc::clone(&held)
    }
}

/// A tunnel leaves its connection, so log and drain have to know of its end by themselves.
fn tunnel_end(arrival: &Arrival<'_>, record: &Record) -> Box<dyn FnOnce(TunnelEnd)> {
    let log = record.tunnel_end();
    let open = arrival.connection.drain.count();
    Box::new(move |end| {
        log(end);
        drop(open);
    })
}

/// The answer to HEAD: the length is told, the body stays here. The HTTP library would send it on HTTP/2.
fn leave_body(response: &mut Response<Body>) {
    let body = std::mem::take(response.body_mut());
    if let Some(length) = body.size_hint().exact().filter(|length| *length > 0) {
        response
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
}

/// After a head that two parsers could read differently nobody knows what comes next on an HTTP/1 connection.
fn breaks_the_rules(error: &GatewayError, is_http1: bool) -> bool {
    let is_odd = matches!(
        error,
        GatewayError::Headers(_) | GatewayError::Route(RouteError::BadHost | RouteError::BadTarget)
    );
    is_http1 && is_odd
}

/// RFC 9110 section 10.1.1.
fn only_100_continue(head: &CleanHead) -> Result<(), GatewayError> {
    let mut expected = head.headers().get_all(EXPECT).iter();
    if expected.all(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        Ok(())
    } else {
        Err(GatewayError::Expectation)
    }
}
