//! Which requests are traced, as OpenTelemetry's SDKs decide it, so that all services of a deployment take the same ones.

use crate::config::traces::Sampling;

/// Decides by the trace's id and what the caller decided.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sampler {
    sampling: Sampling,
    /// Ids below are taken, of 63 bits.
    bound: u64,
}

/// Ids count from zero to this.
const IDS: f64 = (1_u64 << 63) as f64;

impl Sampler {
    /// `ratio`: 0 to 1, for those that take a share.
    pub(crate) fn new(sampling: Sampling, ratio: f64) -> Self {
        Self {
            sampling,
            bound: (ratio * IDS) as u64,
        }
    }

    /// Whether it is traced. `parent`: what the caller decided, if one said so.
    pub(crate) fn takes(&self, trace_id: &[u8; 16], parent: Option<bool>) -> bool {
        match (self.sampling, parent) {
            (
                Sampling::ParentBasedAlwaysOn
                | Sampling::ParentBasedAlwaysOff
                | Sampling::ParentBasedTraceIdRatio,
                Some(parent),
            ) => parent,
            (Sampling::AlwaysOn | Sampling::ParentBasedAlwaysOn, _) => true,
            (Sampling::AlwaysOff | Sampling::ParentBasedAlwaysOff, _) => false,
            (Sampling::TraceIdRatio | Sampling::ParentBasedTraceIdRatio, _) => {
                self.is_in_share(trace_id)
            }
        }
    }

    /// The last 8 bytes decide, as in Go's SDK, which the services beside us use.
    fn is_in_share(&self, trace_id: &[u8; 16]) -> bool {
        let last = trace_id.last_chunk::<8>().copied().unwrap_or_default();
        u64::from_be_bytes(last) >> 1 < self.bound
    }
}
