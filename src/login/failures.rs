//! Wrong passwords, counted: guessing is slow, and costs the backend little.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::auth::AuthError;
use crate::model::{Clock, Reason, UnixTime};

/// So many wrong passwords for one user name are looked at within [`WINDOW`]; then nobody's is, for the rest of it. Who is
/// known already is not asked for a password, and goes on.
const MOST: u32 = 10;

/// See [`MOST`].
const WINDOW: Duration = Duration::from_secs(60);

/// User names that are remembered at once.
const NAMES: usize = 4_096;

/// Wrong passwords of each user name within the last minute. Names are kept as keyed hashes.
#[derive(Debug)]
pub(super) struct Failures {
    clock: Clock,
    hasher: RandomState,
    counts: Mutex<HashMap<u64, Count>>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    number: u32,
    until: UnixTime,
}

impl Failures {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            hasher: RandomState::new(),
            counts: Mutex::default(),
        }
    }

    /// Whether a password for that name is looked at now.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`] after too many wrong ones.
    pub(super) fn check(&self, name: &str) -> Result<(), AuthError> {
        let now = self.clock.now();
        let count = self.lock().get(&self.key(name)).copied();
        match count.filter(|count| now < count.until && count.number >= MOST) {
            Some(count) => Err(AuthError::Unavailable {
                reason: Reason::TooManyPasswords,
                detail: format!("{MOST} wrong passwords for this user name within a minute"),
                retry_after: count.until.since(now),
            }),
            None => Ok(()),
        }
    }

    /// Counts a wrong one.
    pub(super) fn add(&self, name: &str) -> AuthError {
        let (now, key) = (self.clock.now(), self.key(name));
        let mut counts = self.lock();
        if counts.len() >= NAMES {
            counts.retain(|_, count| now < count.until);
        }
        if counts.len() < NAMES || counts.contains_key(&key) {
            let fresh = Count {
                number: 0,
                until: now.plus(WINDOW),
            };
            let count = counts.entry(key).or_insert(fresh);
            if now >= count.until {
                *count = fresh;
            }
            count.number = count.number.saturating_add(1);
        }
        AuthError::token(Reason::WrongPassword, "wrong user name or password")
    }

    /// A name counts in any case, as the directory takes it.
    fn key(&self, name: &str) -> u64 {
        self.hasher.hash_one(name.to_lowercase())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Count>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_ten_wrong_passwords_a_name_rests_for_the_rest_of_a_minute_and_others_do_not() {
        let clock = Clock::shifted();
        let failures = Failures::new(clock.clone());
        for _ in 0..MOST {
            assert!(failures.check("mara").is_ok());
            assert_eq!(failures.add("Mara").reason(), Reason::WrongPassword);
        }
        let error = failures.check("MARA").unwrap_err();
        assert!(
            matches!(error, AuthError::Unavailable { retry_after, .. } if retry_after <= WINDOW)
        );
        assert!(failures.check("alan").is_ok());
        clock.advance(61);
        assert!(failures.check("mara").is_ok());
    }

    #[test]
    fn a_flood_of_names_is_bounded() {
        let failures = Failures::new(Clock::shifted());
        for number in 0..2 * NAMES {
            let _ = failures.add(&format!("user{number}"));
        }
        assert!(failures.lock().len() <= NAMES);
    }
}
