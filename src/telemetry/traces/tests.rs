//! Sampling, the queue, and spans of what a set-up calls.

use proptest::prelude::*;

use super::*;
use crate::config::Flavor;
use crate::config::traces::{Collector, Protocol, Sampling};
use crate::telemetry::Metrics;

fn settings(sampling: Sampling, ratio: f64) -> Traces {
    Traces {
        collector: Collector {
            protocol: Protocol::Grpc,
            host: "localhost".into(),
            port: 4317,
            tls: None,
            path: String::new(),
            headers: Vec::new(),
            timeout: Duration::from_secs(1),
        },
        sampling,
        ratio,
        delay: Duration::ZERO,
        resource: Vec::new(),
    }
}

fn tracer(sampling: Sampling) -> (Tracer, mpsc::Receiver<Span>) {
    let metrics = Metrics::new(Flavor::OpenCloud, "0", 1, std::sync::Arc::default());
    Tracer::new(&settings(sampling, 0.5), metrics.control(), Clock::system())
}

fn context(is_sampled: bool) -> TraceContext {
    TraceContext {
        trace_id: [7; 16],
        span_id: [8; 8],
        is_sampled,
    }
}

#[test]
fn a_clients_decision_counts_where_the_sampler_is_parent_based_and_nowhere_else() {
    use Sampling as S;
    for (sampling, alone, sampled, unsampled) in [
        (S::AlwaysOn, true, true, true),
        (S::AlwaysOff, false, false, false),
        (S::ParentBasedAlwaysOn, true, true, false),
        (S::ParentBasedAlwaysOff, false, true, false),
    ] {
        let sampler = Sampler::new(sampling, 0.0);
        let takes = |parent| sampler.takes(&[1; 16], parent);
        assert_eq!(
            [takes(None), takes(Some(true)), takes(Some(false))],
            [alone, sampled, unsampled],
            "{sampling:?}"
        );
    }
    let parent_based = Sampler::new(S::ParentBasedTraceIdRatio, 0.0);
    assert!(parent_based.takes(&[1; 16], Some(true)) && !parent_based.takes(&[1; 16], None));
    assert!(!Sampler::new(S::TraceIdRatio, 0.0).takes(&[1; 16], Some(true)));
}

#[test]
fn a_share_of_the_traces_is_a_share_and_the_same_one_everywhere() {
    let quarter = Sampler::new(Sampling::TraceIdRatio, 0.25);
    let (tracer, _spans) = tracer(Sampling::AlwaysOn);
    let ids = (0..4000).map(|_| tracer.begin(None).unwrap().context.trace_id);
    let taken = ids.filter(|id| quarter.takes(id, None)).count();
    assert!((800..1200).contains(&taken), "{taken}");
    let mut id = [0xff; 16];
    id[8..].copy_from_slice(&(0x4000_0000_0000_0000_u64 - 1).to_be_bytes());
    assert!(quarter.takes(&id, None));
    id[8..].copy_from_slice(&0x4000_0000_0000_0000_u64.to_be_bytes());
    assert!(!quarter.takes(&id, None));
}

proptest! {
    #[test]
    fn nothing_and_everything_are_shares_too(id: [u8; 16]) {
        prop_assert!(Sampler::new(Sampling::TraceIdRatio, 1.0).takes(&id, None));
        prop_assert!(!Sampler::new(Sampling::TraceIdRatio, 0.0).takes(&id, None));
    }
}

#[test]
fn a_request_continues_the_trace_it_came_with_or_begins_one() {
    let (tracer, _spans) = tracer(Sampling::ParentBasedAlwaysOn);
    let continued = tracer.begin(Some(context(true))).unwrap();
    assert_eq!(continued.context.trace_id, [7; 16]);
    assert_eq!(continued.parent, Some([8; 8]));
    assert_ne!(continued.context.span_id, [8; 8]);
    let (one, other) = (tracer.begin(None).unwrap(), tracer.begin(None).unwrap());
    assert_ne!(one.context.trace_id, other.context.trace_id);
    assert_eq!(one.parent, None);
}

#[test]
fn a_full_queue_drops_and_counts() {
    let (tracer, spans) = tracer(Sampling::AlwaysOn);
    let begun = tracer.begin(None).unwrap();
    let span = || Span::new(begun.context, None, Kind::Server, "GET");
    for _ in 0..WAITING + 3 {
        begun.spans.tell(span());
    }
    assert_eq!(spans.len(), WAITING);
    assert_eq!(
        begun
            .spans
            .metrics
            .spans_so_far(crate::telemetry::SpanFate::Dropped),
        3
    );
}

#[tokio::test]
async fn what_a_set_up_calls_is_its_child_in_a_task_of_its_own_too() {
    let (tracer, mut spans) = tracer(Sampling::AlwaysOn);
    let begun = tracer.begin(None).unwrap();
    let set_up = async {
        let task = carried(async {
            called(
                || "issuer jwks".into(),
                Duration::from_millis(2),
                Some("failed"),
            )
        });
        tokio::spawn(task).await.unwrap();
    };
    within(Some(&begun), "session set-up", set_up, |()| None).await;
    let (call, parent) = (spans.recv().await.unwrap(), spans.recv().await.unwrap());
    assert_eq!(parent.name, "session set-up");
    assert_eq!(parent.parent, Some(begun.context.span_id));
    assert_eq!(call.parent, Some(parent.context.span_id));
    assert_eq!(
        (call.name.as_ref(), call.error.as_deref()),
        ("issuer jwks", Some("failed"))
    );
    assert!(call.ended - call.started >= 2_000_000);
    // Neither an unsampled request nor none at all tells anything.
    let unsampled = Begun {
        context: context(false),
        ..begun
    };
    within(
        Some(&unsampled),
        "session set-up",
        carried(async { called(String::new, Duration::ZERO, None) }),
        |()| None,
    )
    .await;
    called(String::new, Duration::ZERO, None);
    assert!(spans.is_empty());
}
