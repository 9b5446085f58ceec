//! What log and metrics will say of a request, said exactly once: at its answer's last byte, at its tunnel's end, or when
//! the client leaves before any answer (499). What is cut because the drain's time is over is no client's doing: it has the
//! reason `draining`, and 503 where there was no answer yet.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::USER_AGENT;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, Version};

use super::admission::Caller;
use super::held::HeldSnapshot;
use super::request_id::RequestId;
use super::traced::Traced;
use crate::body::{Body, Outcome, Pulse};
use crate::config::routes::Route;
use crate::error::{GatewayError, Refusal};
use crate::model::{Fault, Reason};
use crate::server::{Connection, Phase};
use crate::session::Session;
use crate::telemetry::{AccessLog, Culprit, Entry, RouteCounters, WorkerMetrics};
use crate::upstream::{Trip, TunnelEnd};

/// Open until the request is over.
#[derive(Debug)]
pub(super) struct Record {
    facts: Rc<Facts>,
}

/// The part that an answer's body or a tunnel holds on to.
#[derive(Debug)]
struct Facts {
    log: Rc<AccessLog>,
    metrics: WorkerMetrics,
    held: HeldSnapshot,
    started: Instant,
    proto: Version,
    method: Method,
    /// The path, and after it what the client says it is: one piece of memory.
    text: String,
    path_length: usize,
    client: HeaderValue,
    connection: Rc<Connection>,
    request_id: RequestId,
    status: Cell<u16>,
    bytes: Cell<u64>,
    /// Through a tunnel; a body's are counted by its pulse.
    bytes_in: Cell<u64>,
    reason: Cell<Option<Reason>>,
    culprit: Cell<Option<Culprit>>,
    route: Cell<Option<usize>>,
    issuer: Cell<Option<usize>>,
    /// For the access line, and only where one is written.
    session: OnceCell<Arc<Session>>,
    trip: Trip,
    pulse: Option<Rc<Pulse>>,
    traced: Option<Rc<Traced>>,
}

/// Bytes of `User-Agent` that stand in a line.
const AGENT: usize = 256;

/// nginx's word for "the client closed the request"; never on the wire.
const CLIENT_LEFT: u16 = 499;

impl Record {
    pub(super) fn begin(
        (log, metrics, held): (&Rc<AccessLog>, &WorkerMetrics, &HeldSnapshot),
        head: &Parts,
        path: String,
        client: HeaderValue,
        connection: &Rc<Connection>,
        (request_id, traced): (RequestId, Option<Rc<Traced>>),
        pulse: Option<Rc<Pulse>>,
    ) -> Self {
        metrics.request_started();
        let path_length = path.len();
        let mut text = path;
        if log.is_enabled()
            && let Some(agent) = head.headers.get(USER_AGENT)
        {
            let agent = agent.to_str().unwrap_or("?");
            text.push_str(agent.get(..AGENT).unwrap_or(agent));
        }
        let facts = Facts {
            log: Rc::clone(log),
            metrics: metrics.clone(),
            held: Rc::clone(held),
            started: Instant::now(),
            proto: head.version,
            method: head.method.clone(),
            text,
            path_length,
            client,
            connection: Rc::clone(connection),
            request_id,
            status: Cell::new(CLIENT_LEFT),
            bytes: Cell::new(0),
            bytes_in: Cell::new(0),
            reason: Cell::new(Some(Reason::ClientGone)),
            culprit: Cell::new(None),
            route: Cell::new(None),
            issuer: Cell::new(None),
            session: OnceCell::new(),
            trip: Trip::default(),
            pulse,
            traced,
        };
        Self {
            facts: Rc::new(facts),
        }
    }

    /// It is let in, by the route at that place.
    pub(super) fn goes(&self, route: Option<usize>, caller: &Caller<'_>) {
        let facts = &self.facts;
        facts.route.set(route);
        let Caller::Session(_, session) = caller else {
            return;
        };
        facts.issuer.set(session.issuer());
        if facts.log.is_enabled() {
            let _ = facts.session.set(Arc::clone(session));
        }
    }

    /// Where it goes is written there.
    pub(super) fn trip(&self) -> &Trip {
        if let Some(traced) = &self.facts.traced {
            traced.hand_over();
        }
        &self.facts.trip
    }

    /// Notes the refusal, and writes its line.
    pub(super) fn refused(&self, refusal: &Refusal, error: &GatewayError) {
        let facts = &self.facts;
        facts.reason.set(Some(refusal.reason));
        facts.culprit.set(culprit(error));
        let (client, id) = (facts.client(), facts.request_id.as_str());
        if matches!(error, GatewayError::Panic) {
            facts.metrics.refused(refusal.reason);
            facts.metrics.panicked();
            tracing::error!(
                reason = refusal.reason.code(),
                "request-id" = id,
                "client.address" = client,
                status = refusal.status.as_u16(),
                "a request's handler panicked"
            );
        } else {
            let route = facts.settings();
            let about = About {
                path: Some(facts.path()),
                route: route.map(|route| route.endpoint.as_str()),
                place: route.map(|route| route.place.as_str()),
            };
            log_refusal(&facts.metrics, refusal, error, (id, client), about);
        }
    }

    /// Lets the answer go; the line is written when its body ends, or the tunnel's guard goes.
    pub(super) fn answered(self, response: Response<Body>) -> Response<Body> {
        let facts = self.facts;
        facts.status.set(response.status().as_u16());
        if facts.reason.get() == Some(Reason::ClientGone) {
            facts.reason.set(None);
        }
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return response;
        }
        response.map(|body| {
            body.on_end(move |end| {
                facts.bytes.set(end.bytes);
                if end.outcome != Outcome::Complete && facts.is_cut_off() {
                    facts.reason.set(Some(Reason::Draining));
                }
            })
        })
    }

    /// To be called when the request's tunnel ends.
    pub(super) fn tunnel_end(&self) -> impl FnOnce(TunnelEnd) + 'static {
        let facts = Rc::clone(&self.facts);
        move |end| {
            facts.bytes.set(end.sent);
            facts.bytes_in.set(end.received);
        }
    }
}

/// Whose fault it is, unless it is the client's.
fn culprit(error: &GatewayError) -> Option<Culprit> {
    match (error.fault(), error) {
        (Fault::Caller, _) => None,
        (Fault::Ours, _) => Some(Culprit::Gateway),
        (Fault::Remote, GatewayError::Upstream(_)) => Some(Culprit::Backend),
        (Fault::Remote, _) => Some(Culprit::Remote),
    }
}

/// What a refused request was about, as far as that is known.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct About<'a> {
    /// Without query and secrets.
    pub(super) path: Option<&'a str>,
    /// The route's endpoint.
    pub(super) route: Option<&'a str>,
    /// Where the route is written.
    pub(super) place: Option<&'a str>,
}

/// One structured line per refusal, with what is not for the client.
pub(super) fn log_refusal(
    metrics: &WorkerMetrics,
    refusal: &Refusal,
    error: &GatewayError,
    (id, client): (&str, &str),
    about: About<'_>,
) {
    metrics.refused(refusal.reason);
    let (reason, status) = (refusal.reason.code(), refusal.status.as_u16());
    let hint = refusal.reason.hint();
    let About { path, route, place } = about;
    tracing::warn!(reason, "request-id" = id, "client.address" = client, status, path, route, place, detail = %error, hint, "refused");
}

impl Facts {
    fn client(&self) -> &str {
        self.client.to_str().unwrap_or_default()
    }

    fn path(&self) -> &str {
        self.text.get(..self.path_length).unwrap_or_default()
    }

    /// The route's settings, for a line.
    fn settings(&self) -> Option<&Route> {
        self.held.policies.routes().nth(self.route.get()?)
    }

    /// Whether nothing of its bodies moved any more, so that it was cut.
    fn is_stalled(&self) -> bool {
        self.pulse.as_ref().is_some_and(|pulse| pulse.is_stalled())
    }

    /// One line beside the access log's, as of a refusal.
    fn log_stall(&self) {
        let reason = Reason::TransferIdle;
        self.metrics.refused(reason);
        tracing::warn!(
            reason = reason.code(),
            "request-id" = self.request_id.as_str(),
            "client.address" = self.client(),
            status = self.status.get(),
            bytes = self.bytes.get(),
            "a transfer that did not move any more was cut"
        );
    }

    fn route(&self) -> Option<&RouteCounters> {
        self.held.route(self.route.get()?)
    }

    fn bytes_in(&self) -> u64 {
        let of_body = self.pulse.as_ref().map_or(0, |pulse| pulse.received());
        self.bytes_in.get() + of_body
    }

    fn count(&self, status: u16, duration: Duration) {
        self.metrics
            .request_finished(self.method.as_str(), status, duration);
        if let Some(route) = self.route() {
            route.answered(status, duration);
        }
        if let Some(issuer) = self.issuer.get() {
            self.metrics.issuer_served(issuer, status);
        }
        let of_backend = || {
            let answered = self.trip.answered();
            let is_fault = answered.is_some_and(|answered| answered.status >= 500);
            is_fault.then_some(Culprit::Backend)
        };
        if let Some(culprit) = self.culprit.get().or_else(of_backend) {
            self.metrics.failed(culprit);
        }
    }

    /// Whether what is still open is being cut.
    fn is_cut_off(&self) -> bool {
        self.connection.drain.phase() == Phase::Ending
    }
}

/// The last holder writes the line: body, tunnel, or the request itself.
impl Drop for Facts {
    fn drop(&mut self) {
        let duration = self.started.elapsed();
        if self.status.get() == CLIENT_LEFT && self.is_cut_off() {
            self.status.set(StatusCode::SERVICE_UNAVAILABLE.as_u16());
            self.reason.set(Some(Reason::Draining));
        }
        if self.is_stalled() {
            if self.status.get() == CLIENT_LEFT {
                self.status.set(StatusCode::REQUEST_TIMEOUT.as_u16());
            }
            self.reason.set(Some(Reason::TransferIdle));
            self.log_stall();
        }
        let status = self.status.get();
        self.count(status, duration);
        if !self.log.is_enabled() && self.traced.is_none() {
            return;
        }
        let account = self.session.get().and_then(|session| session.account());
        let endpoint = self.trip.endpoint();
        let answered = self.trip.answered();
        let (path, agent) = self.text.split_at(self.path_length);
        let traced = self.traced.as_deref();
        let trace_id = traced.map(|traced| traced.call().trace_text());
        let entry = Entry {
            proto: self.proto,
            request_id: self.request_id.as_str(),
            trace_id: trace_id.as_deref(),
            remote_addr: self.client(),
            method: self.method.as_str(),
            status,
            path,
            duration,
            bytes: self.bytes.get(),
            bytes_in: self.bytes_in(),
            user: account.map(|account| &*account.id),
            route: self.route().map(RouteCounters::route),
            backend: endpoint.as_deref(),
            answered: answered.map(|answered| (answered.status, answered.after)),
            user_agent: Some(agent).filter(|agent| !agent.is_empty()),
            reason: self.reason.get(),
        };
        self.log.write(&entry);
        if let Some(traced) = traced {
            let scheme = if self.connection.tls { "https" } else { "http" };
            traced.end(scheme, &entry);
        }
    }
}
