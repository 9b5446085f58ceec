//! A request's spans: one for the request, one for its exchange with a backend, named and described as OpenTelemetry's semantic
//! conventions for HTTP have it. No token, no account, no address of a client; the path is the access log's.

use std::cell::Cell;
use std::rc::Rc;

use http::{HeaderMap, Version};

use crate::headers::{TRACESTATE, trace_context};
use crate::model::TraceContext;
use crate::telemetry::traces::{Begun, Kind, Span, Tracer, nanos};
use crate::telemetry::{Entry, method_label};

/// Longest `tracestate` that is repeated to a collector (W3C Trace Context section 3.3.1.5).
const STATE: usize = 512;

/// A request's place in its trace, and when its parts began.
#[derive(Debug)]
pub(super) struct Traced {
    begun: Begun,
    state: String,
    started: u64,
    /// Zero: it was not handed over.
    handed_over: Cell<u64>,
}

impl Traced {
    /// Of a request with these headers. `None`: there are no traces.
    pub(super) fn begin(tracer: Option<&Tracer>, headers: &HeaderMap) -> Option<Rc<Self>> {
        let tracer = tracer?;
        let parent = trace_context(headers);
        let begun = tracer.begin(parent)?;
        let state = headers.get(&TRACESTATE).filter(|_| parent.is_some());
        let state = state.and_then(|state| state.to_str().ok());
        Some(Rc::new(Self {
            state: state
                .filter(|state| state.len() <= STATE && begun.context.is_sampled)
                .unwrap_or_default()
                .to_owned(),
            started: begun.spans.now(),
            handed_over: Cell::new(0),
            begun,
        }))
    }

    /// For what is done on its behalf elsewhere.
    pub(super) fn begun(&self) -> &Begun {
        &self.begun
    }

    /// What a backend is told.
    pub(super) fn call(&self) -> TraceContext {
        TraceContext {
            span_id: self.begun.call,
            ..self.begun.context
        }
    }

    /// It is handed over to a backend now.
    pub(super) fn hand_over(&self) {
        if self.begun.context.is_sampled {
            self.handed_over.set(self.begun.spans.now());
        }
    }

    /// It is over, and this is its line.
    pub(super) fn end(&self, scheme: &str, entry: &Entry<'_>) {
        if !self.begun.context.is_sampled {
            return;
        }
        let spans = &self.begun.spans;
        if let Some(endpoint) = entry.backend
            && self.handed_over.get() != 0
        {
            spans.tell(self.exchange(endpoint, entry));
        }
        spans.tell(self.request(scheme, entry));
    }

    fn request(&self, scheme: &str, entry: &Entry<'_>) -> Span {
        let method = method(entry.method);
        let name = match entry.route {
            Some(route) => format!("{method} {route}"),
            None => method.to_owned(),
        };
        let mut span = self.span(self.begun.context, self.begun.parent, Kind::Server, name);
        span.started = self.started;
        span.ended = self.started.saturating_add(nanos(entry.duration));
        span.text("http.request.method", method);
        span.text("url.scheme", scheme);
        span.text("url.path", entry.path);
        if let Some(route) = entry.route {
            span.text("http.route", route);
        }
        span.text("network.protocol.version", version(entry.proto));
        span.number("http.response.status_code", entry.status);
        span.number("http.request.body.size", size(entry.bytes_in));
        span.number("http.response.body.size", size(entry.bytes));
        span.text("davgate.request_id", entry.request_id);
        if let Some(reason) = entry.reason {
            span.text("error.type", reason.code());
        }
        // What a client did wrong is no error of who answers.
        if entry.status >= 500 {
            let status = || entry.status.to_string();
            span.error = Some(
                entry
                    .reason
                    .map_or_else(status, |why| why.code().to_owned()),
            );
        }
        span
    }

    /// From handing over to the head of the answer, or to the end if there was none. Attempts are not told apart.
    fn exchange(&self, endpoint: &str, entry: &Entry<'_>) -> Span {
        let method = method(entry.method);
        let parent = Some(self.begun.context.span_id);
        let mut span = self.span(self.call(), parent, Kind::Client, method.to_owned());
        let from = self.handed_over.get();
        span.started = from;
        span.text("http.request.method", method);
        match endpoint.rsplit_once(':') {
            Some((host, port)) if !host.starts_with("unix") => {
                span.text("server.address", host.trim_matches(['[', ']']));
                if let Ok(port) = port.parse::<u16>() {
                    span.number("server.port", port);
                }
            }
            _ => span.text("server.address", endpoint),
        }
        match entry.answered {
            Some((status, after)) => {
                span.ended = from.saturating_add(nanos(after));
                span.number("http.response.status_code", status);
                span.error = (status >= 400).then(|| status.to_string());
            }
            None => {
                span.ended = self.started.saturating_add(nanos(entry.duration)).max(from);
                span.error = Some(
                    entry
                        .reason
                        .map_or("no_answer", |why| why.code())
                        .to_owned(),
                );
            }
        }
        if let Some(error) = &span.error {
            let error = error.clone();
            span.text("error.type", error);
        }
        span
    }

    fn span(
        &self,
        context: TraceContext,
        parent: Option<[u8; 8]>,
        kind: Kind,
        name: String,
    ) -> Span {
        let mut span = Span::new(context, parent, kind, name);
        span.state.clone_from(&self.state);
        span
    }
}

fn version(proto: Version) -> &'static str {
    match proto {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    }
}

fn size(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Unknown ones have one name (semantic conventions for HTTP, `http.request.method`).
fn method(sent: &str) -> &'static str {
    match method_label(sent) {
        "OTHER" => "_OTHER",
        known => known,
    }
}
