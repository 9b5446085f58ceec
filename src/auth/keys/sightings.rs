//! Key ids that an issuer's set does not have: when each came here first, and which were in the set before.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};

use tokio::time::Instant;

/// Key ids remembered; the oldest leave first.
const WAITING: usize = 4_096;

/// Bounded, whatever tokens come: ids are kept as keyed hashes, not as text.
#[derive(Default)]
pub(super) struct Sightings {
    hasher: RandomState,
    first: HashMap<u64, Instant>,
    order: VecDeque<u64>,
    left: VecDeque<u64>,
}

impl Sightings {
    /// When that id came first: now, if it is new.
    pub(super) fn first(&mut self, kid: &str) -> Instant {
        let key = self.hasher.hash_one(kid);
        if let Some(first) = self.first.get(&key) {
            return *first;
        }
        if self.order.len() >= WAITING
            && let Some(oldest) = self.order.pop_front()
        {
            self.first.remove(&oldest);
        }
        let now = Instant::now();
        self.first.insert(key, now);
        self.order.push_back(key);
        now
    }

    /// These were in the set, and are not any more.
    pub(super) fn leave(&mut self, kids: Vec<String>) {
        for kid in kids {
            if self.left.len() >= WAITING {
                self.left.pop_front();
            }
            self.left.push_back(self.hasher.hash_one(kid.as_str()));
        }
    }

    /// Whether that id was in the set once. Asked of ids only that are not in it now.
    pub(super) fn has_left(&self, kid: &str) -> bool {
        self.left.contains(&self.hasher.hash_one(kid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issue_15_12_the_first_sight_stays_until_4096_others_came() {
        let mut seen = Sightings::default();
        let first = seen.first("a");
        for n in 0..WAITING - 1 {
            seen.first(&format!("x{n}"));
        }
        assert_eq!(seen.first("a"), first);
        seen.first("one more");
        assert!(seen.first("a") > first);
        assert_eq!((seen.first.len(), seen.order.len()), (WAITING, WAITING));
    }

    #[test]
    fn issue_15_12_ids_that_left_are_known() {
        let mut seen = Sightings::default();
        seen.leave(vec!["old".to_owned()]);
        assert!(seen.has_left("old") && !seen.has_left("older"));
    }
}
