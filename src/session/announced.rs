//! Which logins other services were told of already: a login has many tokens, and one event.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use moka::sync::Cache;

/// Logins by a keyed hash of issuer and `sid`, or `sub` where there is none.
#[derive(Debug)]
pub(super) struct Announced {
    seen: Cache<u64, ()>,
    hasher: RandomState,
}

/// A login that is still used after this time is told of once more.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// Bound of the list; the oldest leave first.
const ENTRIES: u64 = 262_144;

impl Default for Announced {
    fn default() -> Self {
        Self {
            seen: Cache::builder()
                .max_capacity(ENTRIES)
                .time_to_live(REMEMBERED)
                .build(),
            hasher: RandomState::new(),
        }
    }
}

impl Announced {
    /// Whether this is the first token of its login.
    pub(super) fn is_first(&self, issuer: usize, sid: Option<&str>, subject: &str) -> bool {
        let key = self.hasher.hash_one((issuer, sid, subject));
        self.seen.entry(key).or_insert(()).is_fresh()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_told_of_once_whatever_tokens_it_has() {
        let announced = Announced::default();
        let first = |issuer, sid| announced.is_first(issuer, sid, "mara");
        assert!(first(0, Some("a")));
        assert!(!first(0, Some("a")));
        assert!(first(0, Some("b")) && first(1, Some("a")) && first(0, None));
        assert!(!first(0, None));
        assert!(announced.is_first(0, Some("a"), "alan"));
    }
}
