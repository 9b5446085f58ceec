//! Lines about what lasts are written once in a while, however many requests or logins it concerns.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// When each of several things was last told of. Clones are one: what all workers share is told once by all of them. Waits for
/// a lock; for what is seldom.
#[derive(Debug, Clone)]
pub struct Seldom {
    again: Duration,
    told: Arc<Mutex<HashMap<String, Instant>>>,
}

impl Seldom {
    /// Told again after this time.
    fn each(again: Duration) -> Self {
        Self {
            again,
            told: Arc::default(),
        }
    }

    /// Told once a minute.
    #[must_use]
    pub fn each_minute() -> Self {
        Self::each(Duration::from_secs(60))
    }

    /// Told once in the life of the process.
    #[must_use]
    pub fn once() -> Self {
        Self::each(Duration::MAX)
    }

    /// Whether it is time for a line about this one.
    pub(crate) fn is_due(&self, about: &str) -> bool {
        let now = Instant::now();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told
            .get(about)
            .is_some_and(|last| now.duration_since(*last) < self.again)
        {
            return false;
        }
        told.insert(about.to_owned(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_told_once_by_all_clones() {
        for seldom in [Seldom::once(), Seldom::each_minute()] {
            let told = ["a", "b", "a", "b"].map(|about| seldom.clone().is_due(about));
            assert_eq!(told, [true, true, false, false]);
        }
        let always = Seldom::each(Duration::ZERO);
        assert!(always.is_due("a") && always.is_due("a"));
    }
}
