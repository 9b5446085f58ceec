//! What log and metrics will say of a request, said exactly once: at its answer's last byte, at its tunnel's end, or when
//! the client leaves before any answer (499). What is cut because the drain's time is over is no client's doing: it has the
//! reason `draining`, and 503 where there was no answer yet.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use http::{HeaderValue, Method, Response, StatusCode, Version};

use super::request_id::RequestId;
use crate::body::{Body, Outcome, Pulse};
use crate::error::{GatewayError, Refusal};
use crate::model::Reason;
use crate::server::{Connection, Phase};
use crate::telemetry::{AccessLog, Entry, WorkerMetrics};

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
    started: Instant,
    proto: Version,
    method: Method,
    path: String,
    client: HeaderValue,
    connection: Rc<Connection>,
    request_id: RequestId,
    status: Cell<u16>,
    bytes: Cell<u64>,
    reason: Cell<Option<Reason>>,
    pulse: Option<Rc<Pulse>>,
}

/// nginx's word for "the client closed the request"; never on the wire.
const CLIENT_LEFT: u16 = 499;

impl Record {
    pub(super) fn begin(
        (log, metrics): (&Rc<AccessLog>, &WorkerMetrics),
        (method, proto): (&Method, Version),
        path: String,
        client: HeaderValue,
        connection: &Rc<Connection>,
        request_id: RequestId,
        pulse: Option<Rc<Pulse>>,
    ) -> Self {
        metrics.request_started();
        let facts = Facts {
            log: Rc::clone(log),
            metrics: metrics.clone(),
            started: Instant::now(),
            proto,
            method: method.clone(),
            path,
            client,
            connection: Rc::clone(connection),
            request_id,
            status: Cell::new(CLIENT_LEFT),
            bytes: Cell::new(0),
            reason: Cell::new(Some(Reason::ClientGone)),
            pulse,
        };
        Self {
            facts: Rc::new(facts),
        }
    }

    /// Notes the refusal, and writes its line.
    pub(super) fn refused(&self, refusal: &Refusal, error: &GatewayError) {
        let facts = &self.facts;
        facts.reason.set(Some(refusal.reason));
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
            log_refusal(&facts.metrics, refusal, error, id, client);
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

    /// To be called when the request's tunnel ends, with the bytes sent to the client.
    pub(super) fn tunnel_end(&self) -> impl FnOnce(u64) + 'static {
        let facts = Rc::clone(&self.facts);
        move |bytes| facts.bytes.set(bytes)
    }
}

/// One structured line per refusal, with what is not for the client.
pub(super) fn log_refusal(
    metrics: &WorkerMetrics,
    refusal: &Refusal,
    error: &GatewayError,
    id: &str,
    client: &str,
) {
    metrics.refused(refusal.reason);
    let (reason, status) = (refusal.reason.code(), refusal.status.as_u16());
    let hint = refusal.reason.hint();
    tracing::warn!(reason, "request-id" = id, "client.address" = client, status, detail = %error, hint, "refused");
}

impl Facts {
    fn client(&self) -> &str {
        self.client.to_str().unwrap_or_default()
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
        self.metrics
            .request_finished(self.method.as_str(), status, duration);
        self.log.write(&Entry {
            proto: self.proto,
            request_id: self.request_id.as_str(),
            trace_id: None,
            remote_addr: self.client(),
            method: self.method.as_str(),
            status,
            path: &self.path,
            duration,
            bytes: self.bytes.get(),
            reason: self.reason.get(),
        });
    }
}
