//! Spans: which requests are traced, what is known of each part of one, and the queue in which spans wait for their export.
//!
//! Nobody who serves requests waits for it: where the queue is full, spans are dropped and counted. A request that is not
//! traced costs nothing but the look for its decision; without traces not even that.

mod sampler;
mod span;

use std::borrow::Cow;
use std::time::Duration;

use tokio::sync::mpsc;

pub(crate) use self::sampler::Sampler;
pub(crate) use self::span::{Kind, Span, Value};
use super::ControlMetrics;
use crate::config::traces::Traces;
use crate::model::{Clock, TraceContext};

/// Spans that wait for their export; as many as OpenTelemetry's own batches (`OTEL_BSP_MAX_QUEUE_SIZE`).
const WAITING: usize = 2048;

/// Where finished spans go. Clones are one.
#[derive(Debug, Clone)]
pub(crate) struct Spans {
    waiting: mpsc::Sender<Span>,
    metrics: ControlMetrics,
    clock: Clock,
}

/// Decides which requests are traced. One per worker.
#[derive(Debug, Clone)]
pub(crate) struct Tracer {
    sampler: Sampler,
    spans: Spans,
}

/// A request's place in its trace.
#[derive(Debug, Clone)]
pub(crate) struct Begun {
    /// Its own span, as what it calls is told.
    pub(crate) context: TraceContext,
    /// The span it was called from.
    pub(crate) parent: Option<[u8; 8]>,
    /// The span of its call to a backend.
    pub(crate) call: [u8; 8],
    /// Where its spans go.
    pub(crate) spans: Spans,
}

impl Tracer {
    /// A tracer, and the queue that is to be exported.
    pub(crate) fn new(
        settings: &Traces,
        metrics: ControlMetrics,
        clock: Clock,
    ) -> (Self, mpsc::Receiver<Span>) {
        let (waiting, spans) = mpsc::channel(WAITING);
        let tracer = Self {
            sampler: Sampler::new(settings.sampling, settings.ratio),
            spans: Spans {
                waiting,
                metrics,
                clock,
            },
        };
        (tracer, spans)
    }

    /// A request that came with this context. `None`: there is no randomness, and so no trace.
    pub(crate) fn begin(&self, parent: Option<TraceContext>) -> Option<Begun> {
        let mut random = [0; 32];
        aws_lc_rs::rand::fill(&mut random).ok()?;
        let (made, rest) = random.split_first_chunk::<16>()?;
        let (own, rest) = rest.split_first_chunk::<8>()?;
        let call = rest.first_chunk::<8>()?;
        let trace_id = parent.map_or(*made, |parent| parent.trace_id);
        let is_sampled = self
            .sampler
            .takes(&trace_id, parent.map(|parent| parent.is_sampled));
        Some(Begun {
            context: TraceContext {
                trace_id,
                span_id: *own,
                is_sampled,
            },
            parent: parent.map(|parent| parent.span_id),
            call: *call,
            spans: self.spans.clone(),
        })
    }
}

impl Spans {
    /// Now, in nanoseconds since 1970-01-01 UTC.
    pub(crate) fn now(&self) -> u64 {
        self.clock.now_nanos()
    }

    /// A span is over.
    pub(crate) fn tell(&self, span: Span) {
        if self.waiting.try_send(span).is_err() {
            self.metrics.spans(super::SpanFate::Dropped, 1);
        }
    }
}

/// What runs now belongs to this span: what it calls is a child of it.
#[derive(Debug, Clone)]
struct Scope {
    context: TraceContext,
    spans: Spans,
}

tokio::task_local! {
    static SCOPE: Scope;
}

/// The same future, with what it calls told as children of a span of this name, if the request is traced. For what is seldom:
/// set-ups of sessions, not requests.
pub(crate) async fn within<F: Future>(
    begun: Option<&Begun>,
    name: &'static str,
    future: F,
    failed: impl FnOnce(&F::Output) -> Option<&'static str>,
) -> F::Output {
    let Some(begun) = begun else {
        return future.await;
    };
    let scope = Scope {
        context: begun.context,
        spans: begun.spans.clone(),
    };
    let Some(calling) = scope.call() else {
        return future.await;
    };
    let scope = Scope {
        context: calling.context,
        ..scope
    };
    let output = SCOPE.scope(scope, future).await;
    let error = failed(&output);
    calling.end_as(Kind::Internal, name.into(), error);
    output
}

/// The same future, to be spawned: what it calls belongs to the span that holds where it is spawned.
pub(crate) fn carried<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let scope = SCOPE.try_with(Clone::clone).ok();
    async move {
        match scope {
            Some(scope) => SCOPE.scope(scope, future).await,
            None => future.await,
        }
    }
}

/// A call to a service that continues the trace.
#[derive(Debug)]
pub(crate) struct Calling {
    /// What it is told.
    pub(crate) context: TraceContext,
    scope: Scope,
    started: u64,
}

impl Calling {
    /// A call that begins now, on behalf of a request that belongs to a trace.
    pub(crate) fn begin() -> Option<Self> {
        SCOPE.try_with(Scope::call).ok().flatten()
    }

    /// It is over.
    pub(crate) fn end(self, name: impl FnOnce() -> String, error: Option<&'static str>) {
        if self.context.is_sampled {
            self.end_as(Kind::Client, name().into(), error);
        }
    }

    fn end_as(self, kind: Kind, name: Cow<'static, str>, error: Option<&'static str>) {
        if !self.context.is_sampled {
            return;
        }
        let Scope { context, spans } = self.scope;
        let mut span = Span::new(self.context, Some(context.span_id), kind, name);
        span.started = self.started;
        span.ended = spans.now();
        span.error = error.map(str::to_owned);
        if let Some(error) = error {
            span.text("error.type", error);
        }
        spans.tell(span);
    }
}

impl Scope {
    /// `None`: there is no randomness.
    fn call(&self) -> Option<Calling> {
        let mut span_id = [0; 8];
        aws_lc_rs::rand::fill(&mut span_id).ok()?;
        Some(Calling {
            context: TraceContext {
                span_id,
                ..self.context
            },
            scope: self.clone(),
            started: self.spans.now(),
        })
    }
}

/// A call to somebody else is over, which took so long and was told nothing of the trace. Told where a traced set-up made it.
pub(crate) fn called(name: impl FnOnce() -> String, took: Duration, error: Option<&'static str>) {
    if let Some(mut calling) = Calling::begin() {
        calling.started = calling.started.saturating_sub(nanos(took));
        calling.end(name, error);
    }
}

/// The span that holds here, as it is told to whoever hears of it later.
pub(crate) fn current() -> Option<TraceContext> {
    SCOPE.try_with(|scope| scope.context).ok()
}

/// A duration in nanoseconds.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
