//! What the control runtime counts: session set-ups, calls to issuers and directories, the configuration.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use super::histogram::Histogram;
use super::traces::called;
use crate::model::UnixTime;

/// What the control runtime counts.
#[derive(Debug, Clone)]
pub struct ControlMetrics {
    shard: Arc<ControlShard>,
}

impl ControlMetrics {
    pub(super) fn new(shard: Arc<ControlShard>) -> Self {
        Self { shard }
    }

    /// A session's set-up ended.
    pub fn session_set_up(&self, outcome: Outcome, duration: Duration) {
        if let Some(histogram) = self.shard.setups.get(outcome as usize) {
            histogram.observe(duration);
        }
    }

    /// What the session cache holds now.
    pub fn sessions_held(&self, entries: u64, bytes: u64) {
        let control = &self.shard;
        control.session_entries.store(entries, Ordering::Relaxed);
        control.session_bytes.store(bytes, Ordering::Relaxed);
    }

    /// A call to an issuer ended.
    pub fn issuer_called(&self, call: IssuerCall, outcome: Outcome, duration: Duration) {
        if let Some(histogram) = self
            .shard
            .issuer_calls
            .get(call as usize)
            .and_then(|outcomes| outcomes.get(outcome as usize))
        {
            histogram.observe(duration);
        }
        called(
            || format!("issuer {}", call.label()),
            duration,
            word(outcome),
        );
    }

    /// An operation of the account backend ended.
    pub fn directory_asked(
        &self,
        operation: DirectoryOperation,
        outcome: Outcome,
        duration: Duration,
    ) {
        if let Some(histogram) = self
            .shard
            .directory_operations
            .get(operation as usize)
            .and_then(|outcomes| outcomes.get(outcome as usize))
        {
            histogram.observe(duration);
        }
        let name = || format!("directory {}", operation.label());
        called(name, duration, word(outcome));
    }

    /// So many spans ended so.
    pub fn spans(&self, fate: SpanFate, count: u64) {
        if let Some(spans) = self.shard.spans.get(fate as usize) {
            spans.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// How many did.
    #[cfg(test)]
    pub(crate) fn spans_so_far(&self, fate: SpanFate) -> u64 {
        self.shard.spans[fate as usize].load(Ordering::Relaxed)
    }

    /// The end of the certificate in use.
    pub fn certificate_loaded(&self, not_after: UnixTime) {
        self.shard
            .certificate_not_after
            .store(not_after.0, Ordering::Relaxed);
    }

    /// The configuration was read again; `success`: it is in use now.
    pub fn reloaded(&self, success: bool, now: UnixTime) {
        let control = &self.shard;
        control
            .reload_success
            .store(i64::from(success), Ordering::Relaxed);
        if success {
            control.reload_time.store(now.0, Ordering::Relaxed);
        }
    }
}

/// What went wrong, for a span.
fn word(outcome: Outcome) -> Option<&'static str> {
    (outcome != Outcome::Ok).then(|| outcome.label())
}

#[derive(Debug)]
pub(super) struct ControlShard {
    pub(super) setups: [Histogram; Outcome::ALL.len()],
    pub(super) issuer_calls: [[Histogram; Outcome::ALL.len()]; IssuerCall::ALL.len()],
    pub(super) directory_operations:
        [[Histogram; Outcome::ALL.len()]; DirectoryOperation::ALL.len()],
    pub(super) spans: [AtomicU64; SpanFate::ALL.len()],
    pub(super) session_entries: AtomicU64,
    pub(super) session_bytes: AtomicU64,
    pub(super) certificate_not_after: AtomicI64,
    pub(super) reload_success: AtomicI64,
    pub(super) reload_time: AtomicI64,
}

impl Default for ControlShard {
    fn default() -> Self {
        Self {
            setups: Default::default(),
            issuer_calls: Default::default(),
            directory_operations: Default::default(),
            spans: Default::default(),
            session_entries: AtomicU64::new(0),
            session_bytes: AtomicU64::new(0),
            certificate_not_after: AtomicI64::new(0),
            // The configuration the process started with was read well.
            reload_success: AtomicI64::new(1),
            reload_time: AtomicI64::new(0),
        }
    }
}

macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $label:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            pub(super) const ALL: [Self; [$($label),+].len()] = [$(Self::$variant),+];

            /// The label's value.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)+ }
            }
        }
    };
}

labels! {
    /// How a call to somebody else ended.
    Outcome {
        /// As wished.
        Ok = "ok",
        /// It answered that the thing asked for is not so (a bad token, no such entry).
        Refused = "refused",
        /// It failed: no connection, a broken answer, a server error.
        Failed = "failed",
        /// It took too long.
        TimedOut = "timed_out",
    }
}

labels! {
    /// What became of a span.
    SpanFate {
        /// The collector has it.
        Sent = "sent",
        /// The collector did not take it.
        Failed = "failed",
        /// Too many waited.
        Dropped = "dropped",
    }
}

labels! {
    /// What the issuer is asked for.
    IssuerCall {
        /// The discovery document.
        Discovery = "discovery",
        /// The keys.
        Keys = "jwks",
        /// A user's claims.
        Userinfo = "userinfo",
        /// A token's state.
        Introspection = "introspection",
    }
}

labels! {
    /// What the account backend is asked to do.
    DirectoryOperation {
        /// A new connection, TLS and bind included.
        Connect = "connect",
        /// A search.
        Search = "search",
        /// An entry added.
        Add = "add",
        /// An entry changed.
        Modify = "modify",
    }
}
