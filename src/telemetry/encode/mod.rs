//! `/metrics`: the shards summed and written in the OpenMetrics text form. The first four names are those
//! of the existing service (docs/design/contract.md 9.13).

mod backends;
mod requests;
mod writer;

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::registry::Registry;

use self::writer::{Writer, signed};
use super::control::{DirectoryOperation, IssuerCall, Outcome, SpanFate};
use super::families as f;
use super::histogram::{Histogram, Snapshot};
use super::levels::Levels;
use super::metrics::{ClientTimeout, Inner, Metrics, WorkerShard};
use super::process::Usage;
use crate::config::Flavor;

impl Metrics {
    /// The metrics as text of OpenMetrics, see [`super::Exposition`]. Waits for no worker.
    #[must_use]
    pub(crate) fn encode(&self) -> String {
        let prefix = match self.inner.flavor {
            Flavor::OpenCloud => "opencloud_proxy",
            Flavor::Ocis => "ocis_proxy",
        };
        let mut own = Registry::with_prefix(prefix);
        own.register_collector(Box::new(Own(self.clone())));
        let mut of_all = Registry::default();
        of_all.register_collector(Box::new(OfAllProcesses(self.clone())));
        let mut text = String::new();
        // Writing to a string cannot fail, and half an answer is better than none.
        let _ = encode_registry(&mut text, &own);
        let _ = encode_registry(&mut text, &of_all);
        let _ = encode_eof(&mut text);
        text
    }
}

/// The families under the gateway's own prefix.
#[derive(Debug)]
struct Own(Metrics);

/// Those that every process has.
#[derive(Debug)]
struct OfAllProcesses(Metrics);

impl Collector for Own {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Writer(encoder);
        let inner = &self.0.inner;
        let levels = self.0.levels();
        inner.encode_requests(&mut out)?;
        inner.encode_connections(&mut out, levels.as_ref())?;
        inner.encode_sessions(&mut out, levels.as_ref())?;
        inner.encode_calls(&mut out)?;
        if let Some(levels) = &levels {
            encode_remotes(&mut out, levels)?;
        }
        inner.encode_backends(&mut out)?;
        inner.encode_state(&mut out)
    }
}

impl Collector for OfAllProcesses {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Writer(encoder);
        let usage = Usage::read();
        out.seconds(f::PROCESS_CPU, usage.cpu_seconds)?;
        out.known(f::PROCESS_RESIDENT, usage.resident)?;
        out.known(f::PROCESS_VIRTUAL, usage.virtual_size)?;
        out.known(f::PROCESS_FDS, usage.open_fds)?;
        out.known(f::PROCESS_MAX_FDS, usage.max_fds)?;
        out.known(f::PROCESS_THREADS, usage.threads)?;
        out.gauge(f::PROCESS_START, self.0.inner.started.0)
    }
}

impl Inner {
    fn encode_connections(&self, out: &mut Writer<'_>, levels: Option<&Levels>) -> fmt::Result {
        out.gauge(f::CONNECTIONS, self.level(|w| &w.connections))?;
        out.known(
            f::CONNECTIONS_LIMIT,
            levels.map(|levels| levels.connections_limit),
        )?;
        out.counter(f::CONNECTIONS_ACCEPTED, self.sum(|w| &w.connections_total))?;
        let timeouts = ClientTimeout::ALL.into_iter().map(|which| {
            let count = |w: &WorkerShard| w.timeouts.get(which as usize).map(load);
            let sum: u64 = self.workers.iter().filter_map(|w| count(w)).sum();
            ([which.name()], sum)
        });
        out.counters(f::TIMEOUTS, timeouts)?;
        out.counter(f::HANDSHAKES, self.sum(|w| &w.handshakes_failed))
    }

    fn encode_sessions(&self, out: &mut Writer<'_>, levels: Option<&Levels>) -> fmt::Result {
        let lookups = [
            (["hit"], self.sum(|w| &w.session_hits)),
            (["miss"], self.sum(|w| &w.session_misses)),
        ];
        out.counters(f::LOOKUPS, lookups)?;
        let control = &self.control;
        let setups = by_outcome(&control.setups).map(|(o, sum)| ([o.label()], sum));
        out.histograms(f::SETUP, setups)?;
        out.known(f::SETUPS, levels.map(|levels| levels.set_ups))?;
        out.known(f::SETUPS_LIMIT, levels.map(|levels| levels.set_ups_limit))?;
        out.gauge(f::SESSIONS, signed(load(&control.session_entries)))?;
        out.gauge(f::SESSIONS_BYTES, signed(load(&control.session_bytes)))?;
        out.known(
            f::SESSIONS_BYTES_LIMIT,
            levels.map(|levels| levels.sessions_bytes_limit),
        )
    }

    fn encode_calls(&self, out: &mut Writer<'_>) -> fmt::Result {
        let calls = IssuerCall::ALL
            .into_iter()
            .zip(&self.control.issuer_calls)
            .flat_map(|(call, outcomes)| {
                by_outcome(outcomes)
                    .map(move |(outcome, sum)| ([call.label(), outcome.label()], sum))
            });
        out.histograms(f::ISSUER_CALLS, calls)?;
        let operations = DirectoryOperation::ALL
            .into_iter()
            .zip(&self.control.directory_operations)
            .flat_map(|(operation, outcomes)| {
                by_outcome(outcomes)
                    .map(move |(outcome, sum)| ([operation.label(), outcome.label()], sum))
            });
        out.histograms(f::DIRECTORY, operations)
    }

    fn encode_state(&self, out: &mut Writer<'_>) -> fmt::Result {
        let control = &self.control;
        out.gauges(f::BUILD_INFO, [([self.version], 1)])?;
        out.counter(f::LOG_DROPPED, load(&self.log_lines_dropped))?;
        let spans = SpanFate::ALL.into_iter().zip(&control.spans);
        let spans = spans.map(|(fate, count)| ([fate.label()], load(count)));
        out.counters(f::SPANS, spans)?;
        let end = control.certificate_not_after.load(Ordering::Relaxed);
        out.gauges(f::CERTIFICATE_END, (end != 0).then_some(([], end)))?;
        let success = control.reload_success.load(Ordering::Relaxed);
        out.gauge(f::RELOAD_SUCCESS, success)?;
        out.gauge(f::RELOAD_TIME, control.reload_time.load(Ordering::Relaxed))
    }

    fn sum(&self, of: impl Fn(&WorkerShard) -> &AtomicU64) -> u64 {
        self.workers.iter().map(|worker| load(of(worker))).sum()
    }

    fn level(&self, of: impl Fn(&WorkerShard) -> &AtomicI64) -> i64 {
        let levels = self.workers.iter().map(|worker| of(worker));
        levels.map(|level| level.load(Ordering::Relaxed)).sum()
    }
}

/// Issuers and directory.
fn encode_remotes(out: &mut Writer<'_>, levels: &Levels) -> fmt::Result {
    let issuers = &levels.issuers;
    let ready = issuers
        .iter()
        .map(|one| ([one.issuer.as_str()], i64::from(one.is_ready)));
    out.gauges(f::ISSUER_READY, ready)?;
    let keys = issuers
        .iter()
        .map(|one| ([one.issuer.as_str()], signed(one.keys)));
    out.gauges(f::ISSUER_KEYS, keys)?;
    let ages = issuers.iter().filter_map(|one| {
        let age = one.keys_age?.as_secs();
        Some(([one.issuer.as_str()], signed(age)))
    });
    out.gauges(f::ISSUER_KEYS_AGE, ages)?;
    let Some(pool) = &levels.directory else {
        return Ok(());
    };
    let states = [(["used"], signed(pool.used)), (["idle"], signed(pool.idle))];
    out.gauges(f::DIRECTORY_CONNECTIONS, states)?;
    out.gauge(f::DIRECTORY_WAITING, signed(pool.waiting))?;
    out.gauge(f::DIRECTORY_LIMIT, signed(pool.limit))
}

pub(super) fn load(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

/// The histograms that have counted anything.
fn by_outcome(histograms: &[Histogram]) -> impl Iterator<Item = (Outcome, Snapshot)> {
    let counted = Outcome::ALL.into_iter().zip(histograms);
    counted
        .map(|(outcome, histogram)| {
            let mut sum = Snapshot::default();
            histogram.add_to(&mut sum);
            (outcome, sum)
        })
        .filter(|(_, sum)| sum.count() > 0)
}

#[cfg(test)]
mod tests;
