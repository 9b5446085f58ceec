//! What is remembered of a remote that failed or asked for patience.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::CallError;

/// Between two tries of a remote that was out of reach: it is back in use within this time of its return.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Remotes come from configuration and discovery documents; a document that invents hosts cannot grow this map.
const MAX_REMOTES: usize = 256;

/// Per remote: not before this time.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    remotes: Mutex<HashMap<String, State>>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    not_before: Instant,
    unreachable: bool,
}

impl Backoff {
    /// Whether the remote may be called now. Of many callers of an unreachable remote one may, each second.
    pub(super) fn admit(&self, origin: &str, now: Instant) -> Result<(), CallError> {
        let mut remotes = self.lock();
        let Some(state) = remotes.get_mut(origin) else {
            return Ok(());
        };
        if now < state.not_before {
            return Err(CallError::Backoff {
                retry_after: state.not_before - now,
            });
        }
        if state.unreachable {
            state.not_before = now + RETRY_INTERVAL;
        }
        Ok(())
    }

    /// It was not reached.
    pub(super) fn failed(&self, origin: &str, now: Instant) {
        self.set(origin, now + RETRY_INTERVAL, true, now);
    }

    /// It answered, whatever.
    pub(super) fn reached(&self, origin: &str) {
        self.lock().remove(origin);
    }

    /// It answered 429 or 503.
    pub(super) fn asked_for_patience(&self, origin: &str, wait: Duration, now: Instant) {
        self.set(origin, now + wait, false, now);
    }

    fn set(&self, origin: &str, not_before: Instant, unreachable: bool, now: Instant) {
        let mut remotes = self.lock();
        if remotes.len() >= MAX_REMOTES {
            remotes.retain(|_, state| state.not_before > now);
        }
        if remotes.len() < MAX_REMOTES || remotes.contains_key(origin) {
            remotes.insert(
                origin.to_owned(),
                State {
                    not_before,
                    unreachable,
                },
            );
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, State>> {
        self.remotes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f1_an_unreachable_remote_is_tried_once_a_second() {
        let (backoff, start) = (Backoff::default(), Instant::now());
        let later = start + Duration::from_secs(1);
        assert!(backoff.admit("a", start).is_ok());
        backoff.failed("a", start);
        assert!(backoff.admit("a", start).is_err());
        assert!(backoff.admit("a", later).is_ok(), "one may");
        assert!(backoff.admit("a", later).is_err(), "the others wait");
        backoff.reached("a");
        assert!(backoff.admit("a", later).is_ok());
    }

    #[test]
    fn f3_patience_is_had_with_who_asked_for_it() {
        let (backoff, start) = (Backoff::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        backoff.asked_for_patience("a", Duration::from_secs(7), start);
        assert!(backoff.admit("a", at(6)).is_err());
        assert!(
            backoff.admit("b", at(6)).is_ok(),
            "another remote is not meant"
        );
        assert!(backoff.admit("a", at(7)).is_ok());
    }
}
