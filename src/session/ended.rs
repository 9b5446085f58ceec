//! What logouts leave behind: tokens not seen yet must be refused too.

use std::time::Duration;

use moka::sync::Cache;

use super::index::Key;
use crate::model::UnixTime;

/// Ended sessions by keyed digest of their `sid` or `sub`. The one place where another replica's logouts will enter.
#[derive(Debug)]
pub(super) struct EndedSessions {
    ended: Cache<Key, UnixTime>,
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

    pub(super) fn end(&self, key: Key, at: UnixTime) {
        self.ended.insert(key, at);
    }

    /// When the session of that key was ended, if it was.
    pub(super) fn ended_at(&self, key: Key) -> Option<UnixTime> {
        self.ended.get(&key)
    }
}
