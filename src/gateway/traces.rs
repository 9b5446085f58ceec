//! Traces, if there are any: the tracer of the workers, and the task that exports.

use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::VERSION;
use crate::config::Config;
use crate::model::{Clock, Reason};
use crate::rpc::otlp::Exporter;
use crate::services::Directory;
use crate::telemetry::Metrics;
use crate::telemetry::traces::Tracer;

/// How long a stop waits for the last batch.
const LAST_BATCH: Duration = Duration::from_secs(2);

/// The task that exports.
#[derive(Debug)]
pub(super) struct Traces {
    end: CancellationToken,
    exporting: JoinHandle<()>,
}

/// Starts it, where the configuration wants traces. Without authorities for the collector there are none: no trace is worth a
/// gateway that does not start.
pub(super) fn start(
    config: &Config,
    control: &Runtime,
    clock: &Clock,
    metrics: &Metrics,
) -> (Option<Tracer>, Option<Traces>) {
    let Some(settings) = &config.traces else {
        return (None, None);
    };
    let directory = Directory::new(config.flavor);
    let exporter = match Exporter::new(settings, VERSION, directory, metrics.control()) {
        Ok(exporter) => exporter,
        Err(error) => {
            let reason = Reason::TracesUnavailable;
            tracing::warn!(%reason, %error, "no traces are made");
            return (None, None);
        }
    };
    let (tracer, spans) = Tracer::new(settings, metrics.control(), clock.clone());
    let end = CancellationToken::new();
    let exporting = control.spawn(exporter.run(spans, end.clone()));
    (Some(tracer), Some(Traces { end, exporting }))
}

impl Traces {
    /// Sends what is left, and waits no longer than it may.
    pub(super) async fn finish(traces: Option<Self>) {
        let Some(Self { end, exporting }) = traces else {
            return;
        };
        end.cancel();
        // A collector that is slower than that has lost the rest.
        let _ = tokio::time::timeout(LAST_BATCH, exporting).await;
    }
}
