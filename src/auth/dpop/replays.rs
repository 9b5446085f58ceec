//! Proofs that were used: none counts twice.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use super::{Proof, ProofError, WINDOW_SECONDS};
use crate::model::UnixTime;

/// Most proofs remembered at once, about 50 MB.
const MOST: usize = 1_000_000;

/// The used proofs of this process. Replicas do not know each other's; a proof names one host, and what it allows is
/// to repeat one request within four minutes.
#[derive(Debug)]
pub struct Replays {
    used: Mutex<Used>,
    most: usize,
}

/// Two ages, of which the older is forgotten as a whole once none of it can be good any more.
#[derive(Debug, Default)]
struct Used {
    young: HashSet<[u8; 16]>,
    old: HashSet<[u8; 16]>,
    young_until: UnixTime,
}

impl Default for Replays {
    fn default() -> Self {
        Self::with_room(MOST)
    }
}

impl Replays {
    fn with_room(most: usize) -> Self {
        Self {
            used: Mutex::default(),
            most,
        }
    }

    /// Uses a proof up.
    ///
    /// # Errors
    /// [`ProofError::Invalid`] if it was used before, [`ProofError::Full`] if it could not be remembered: it must not
    /// count then, for it could count again.
    pub fn spend(&self, proof: &Proof, now: UnixTime) -> Result<(), ProofError> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.age(now);
        if used.old.contains(&proof.id) || used.young.contains(&proof.id) {
            return Err(ProofError::invalid("used before"));
        }
        if used.old.len() + used.young.len() >= self.most {
            return Err(ProofError::Full);
        }
        debug_assert!(proof.expires_at.0 <= now.0.saturating_add(2 * WINDOW_SECONDS));
        used.young.insert(proof.id);
        Ok(())
    }
}

impl Used {
    /// A proof is good for at most two windows from now, so that after as long the young ones are old and after twice
    /// as long forgotten.
    fn age(&mut self, now: UnixTime) {
        let lifetime = 2 * WINDOW_SECONDS;
        if now < self.young_until {
            return;
        }
        let is_long_ago = now.0.saturating_sub(self.young_until.0) >= lifetime;
        self.old = std::mem::take(&mut self.young);
        if is_long_ago {
            self.old.clear();
        }
        self.young_until = UnixTime(now.0.saturating_add(lifetime));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(number: u8, at: i64) -> Proof {
        Proof {
            thumbprint: String::new(),
            id: [number; 16],
            expires_at: UnixTime(at + WINDOW_SECONDS),
        }
    }

    #[test]
    fn a_proof_counts_once_for_as_long_as_it_is_good() {
        let replays = Replays::default();
        let start = 1_000;
        for after in [
            0,
            1,
            WINDOW_SECONDS,
            2 * WINDOW_SECONDS,
            2 * WINDOW_SECONDS + 1,
        ] {
            // Made two minutes in the future, which is as long as one can live.
            let outcome = replays.spend(&proof(1, start), UnixTime(start + after));
            assert_eq!(outcome.is_ok(), after == 0, "{after}");
        }
        let forgotten = replays.spend(&proof(1, start), UnixTime(start + 8 * WINDOW_SECONDS));
        assert!(forgotten.is_ok());
    }

    #[test]
    fn what_cannot_be_remembered_does_not_count() {
        let replays = Replays::with_room(2);
        let spend = |number, at| replays.spend(&proof(number, at), UnixTime(at));
        assert!(spend(1, 0).is_ok() && spend(2, 0).is_ok());
        assert_eq!(spend(3, 0), Err(ProofError::Full));
        assert!(spend(3, 9 * WINDOW_SECONDS).is_ok(), "room again");
    }
}
