//! Spans: which requests are traced, what is known of each part of one, and the queue in which spans wait for their export.
//!
//! Nobody who serves requests waits for it: where the queue is full, spans are dropped and counted. A request that is not
//! traced costs nothing but the look for its decision; without traces not even that.

mod sampler;
mod span;

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
pub(crate) struct Scope {
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
    let Some(begun) = begun.filter(|begun| begun.context.is_sampled) else {
        return future.await;
    };
    let Some(id) = random_id() else {
        return future.await;
    };
    let context = TraceContext {
        span_id: id,
        ..begun.context
    };
    let spans = begun.spans.clone();
    let started = spans.now();
    let scope = Scope {
        context,
        spans: spans.clone(),
    };
    let output = SCOPE.scope(scope, future).await;
    let mut span = Span::new(context, Some(begun.context.span_id), Kind::Internal, name);
    span.started = started;
    span.ended = spans.now();
    span.error = failed(&output).map(str::to_owned);
    spans.tell(span);
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

/// A call to somebody else is over, which took so long. Told where a traced set-up made it.
pub(crate) fn called(name: impl FnOnce() -> String, took: Duration, error: Option<&'static str>) {
    let _ = SCOPE.try_with(|scope| {
        let Some(id) = random_id() else { return };
        let context = TraceContext {
            span_id: id,
            ..scope.context
        };
        let parent = Some(scope.context.span_id);
        let mut span = Span::new(context, parent, Kind::Client, name());
        span.ended = scope.spans.now();
        span.started = span.ended.saturating_sub(nanos(took));
        span.error = error.map(str::to_owned);
        scope.spans.tell(span);
    });
}

/// A duration in nanoseconds.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn random_id() -> Option<[u8; 8]> {
    let mut id = [0; 8];
    aws_lc_rs::rand::fill(&mut id).ok()?;
    Some(id)
}

#[cfg(test)]
mod tests;
