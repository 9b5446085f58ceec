//! What is remembered of a remote that failed or asked for patience.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::CallError;

/// Between two tries of a remote that was out of reach: it is back in use within this time of its return.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// So many calls in a row without a usable answer, and the remote counts as out of reach. One alone may be the fault of
/// what it was asked about, and must not keep others from asking.
const CUTS: u32 = 3;
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
    cuts: u32,
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

    /// It was reached, but hung up or spoke no HTTP, as a load balancer does that has nobody behind it.
    pub(super) fn cut(&self, origin: &str, now: Instant) {
        let cuts = self.lock().get(origin).map_or(0, |state| state.cuts) + 1;
        let out_of_reach = cuts >= CUTS;
        let wait = if out_of_reach {
            RETRY_INTERVAL
        } else {
            Duration::ZERO
        };
        self.set(origin, now + wait, out_of_reach, now);
        if let Some(state) = self.lock().get_mut(origin) {
            state.cuts = cuts;
        }
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
                    cuts: 0,
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
    fn f1_a_remote_that_hangs_up_is_tried_once_a_second_from_the_third_time_on() {
        let (backoff, start) = (Backoff::default(), Instant::now());
        let later = start + Duration::from_secs(1);
        for _ in 0..2 {
            backoff.cut("a", start);
            assert!(backoff.admit("a", start).is_ok(), "once is not always");
        }
        backoff.reached("a");
        for _ in 0..3 {
            assert!(backoff.admit("a", start).is_ok());
            backoff.cut("a", start);
        }
        assert!(backoff.admit("a", start).is_err());
        assert!(backoff.admit("a", later).is_ok(), "one may");
        backoff.cut("a", later);
        assert!(backoff.admit("a", later).is_err(), "still the same");
        assert!(backoff.admit("b", later).is_ok());
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
