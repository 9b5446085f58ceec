//! What logouts leave behind: tokens not seen yet must be refused too (docs/design/design.md 2, Back-channel logout).

use std::time::Duration;

use moka::sync::Cache;
use tokio::time::Instant;

use super::index::Key;
use crate::model::UnixTime;

/// Ended sessions by keyed digest of their `sid` or `sub`. The one place where another replica's logouts will enter.
#[derive(Debug)]
pub(super) struct EndedSessions {
    ended: Cache<Key, Ended>,
}

/// The latest logout of one `sid` or `sub`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    /// When the issuer says it was. Compared with its tokens' `iat`, which are of the same clock.
    at: UnixTime,
    /// Nothing comes after it: tokens of the same session that were issued later are refused too.
    for_good: bool,
    /// When it came here.
    received: Instant,
}

/// What a logout means for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was issued after the logout.
    Counts,
    /// Only its issuer can tell.
    Undecided,
    /// It was ended.
    Over,
}

/// Access tokens live shorter than this; a logout need not be remembered for longer.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// Bound of the list; the oldest leave first.
const ENTRIES: u64 = 262_144;

impl EndedSessions {
    pub(super) fn new() -> Self {
        Self {
            ended: Cache::builder()
                .max_capacity(ENTRIES)
                .time_to_live(REMEMBERED)
                .build(),
        }
    }

    /// Notes a logout, and returns what holds for the key now: an older one never takes back a later one.
    pub(super) fn end(&self, key: Key, at: UnixTime, for_good: bool) -> Ended {
        let now = Instant::now();
        let entry = self.ended.entry(key).and_upsert_with(|known| {
            let known = known.map(moka::Entry::into_value);
            Ended {
                at: known.map_or(at, |known| known.at.max(at)),
                for_good: for_good || known.is_some_and(|known| known.for_good),
                received: now,
            }
        });
        entry.into_value()
    }

    /// The logout of that key, if there was one.
    pub(super) fn of(&self, key: Key) -> Option<Ended> {
        self.ended.get(&key)
    }
}

impl Ended {
    /// For a token of the session that was ended. One without `iat` is never later.
    pub(super) fn by_session(self, issued_at: Option<UnixTime>) -> Outcome {
        match issued_at {
            Some(at) if at > self.at && !self.for_good => Outcome::Counts,
            _ => Outcome::Over,
        }
    }

    /// For a token of the subject that was logged out, in whatever session: in the same second the next login may have
    /// begun.
    pub(super) fn by_subject(self, issued_at: Option<UnixTime>) -> Outcome {
        match issued_at {
            Some(at) if at > self.at => Outcome::Counts,
            Some(at) if at < self.at => Outcome::Over,
            _ => Outcome::Undecided,
        }
    }

    /// Whether what began at that moment began after the logout came here.
    pub(super) fn is_before(self, began: Instant) -> bool {
        self.received <= began
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: UnixTime = UnixTime(1_000);

    #[test]
    fn issue_14_1_what_was_issued_before_ends_and_what_is_issued_later_counts() {
        use Outcome::{Counts, Over, Undecided};
        let list = EndedSessions::new();
        let (usual, for_good) = (list.end([1; 16], AT, false), list.end([2; 16], AT, true));
        for (issued_at, by_session, by_session_for_good, by_subject) in [
            (Some(999), Over, Over, Over),
            (Some(1_000), Over, Over, Undecided),
            (Some(1_001), Counts, Over, Counts),
            (Some(90_000), Counts, Over, Counts),
            (None, Over, Over, Undecided),
        ] {
            let issued_at = issued_at.map(UnixTime);
            assert_eq!(usual.by_session(issued_at), by_session, "{issued_at:?}");
            assert_eq!(
                for_good.by_session(issued_at),
                by_session_for_good,
                "{issued_at:?}"
            );
            assert_eq!(usual.by_subject(issued_at), by_subject, "{issued_at:?}");
            assert_eq!(for_good.by_subject(issued_at), by_subject, "{issued_at:?}");
        }
    }

    #[test]
    fn an_older_logout_takes_nothing_back() {
        let list = EndedSessions::new();
        let key = [1; 16];
        list.end(key, AT, true);
        let after = list.end(key, UnixTime(10), false);
        assert_eq!((after.at, after.for_good), (AT, true));
        assert_eq!(list.of(key).unwrap().at, AT);
        assert!(list.of([9; 16]).is_none());
    }
}
