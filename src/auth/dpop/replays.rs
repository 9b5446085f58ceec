//! Proofs that were used: none counts twice.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use super::{Proof, ProofError, WINDOW_SECONDS};
use crate::model::UnixTime;

/// Most proofs remembered at once, about 50 MB.
const MOST: usize = 1_000_000;

/// Most of one key, so that nobody fills the room of all others: a hundred requests a second for as long as proofs are
/// remembered.
const SHARE: u32 = 50_000;

/// The used proofs of this process, and of its replicas as far as they tell each other: what one allows is to repeat one
/// request within four minutes.
#[derive(Debug)]
pub struct Replays {
    used: Mutex<Used>,
    most: usize,
    share: u32,
}

/// Two ages, of which the older is forgotten as a whole once none of it can be good any more.
#[derive(Debug, Default)]
struct Used {
    young: Age,
    old: Age,
    young_until: UnixTime,
}

/// The proofs of one age, and how many there are of each key.
#[derive(Debug, Default)]
struct Age {
    proofs: HashSet<[u8; 16]>,
    of_key: HashMap<[u8; 16], u32>,
}

impl Default for Replays {
    fn default() -> Self {
        Self::with_room(MOST, SHARE)
    }
}

impl Replays {
    fn with_room(most: usize, share: u32) -> Self {
        Self {
            used: Mutex::default(),
            most,
            share,
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
        if used.old.proofs.contains(&proof.id) || used.young.proofs.contains(&proof.id) {
            return Err(ProofError::invalid("used before"));
        }
        let all = used.old.proofs.len() + used.young.proofs.len();
        let own = used.old.of(proof) + used.young.of(proof);
        if all >= self.most || own >= self.share {
            return Err(ProofError::Full);
        }
        debug_assert!(proof.expires_at.0 <= now.0.saturating_add(2 * WINDOW_SECONDS));
        used.young.add(proof);
        Ok(())
    }
}

impl Replays {
    /// Notes a proof that was used at another replica. Without room it is left out: it counts once more here at worst.
    pub fn note(&self, proof: &Proof, now: UnixTime) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.age(now);
        let is_known = used.old.proofs.contains(&proof.id) || used.young.proofs.contains(&proof.id);
        let all = used.old.proofs.len() + used.young.proofs.len();
        if !is_known && all < self.most {
            used.young.add(proof);
        }
    }
}

impl Age {
    fn of(&self, proof: &Proof) -> u32 {
        self.of_key.get(&proof.owner).copied().unwrap_or(0)
    }

    fn add(&mut self, proof: &Proof) {
        self.proofs.insert(proof.id);
        *self.of_key.entry(proof.owner).or_insert(0) += 1;
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
            self.old = Age::default();
        }
        self.young_until = UnixTime(now.0.saturating_add(lifetime));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(number: u8, at: i64) -> Proof {
        of_key(0, number, at)
    }

    fn of_key(key: u8, number: u8, at: i64) -> Proof {
        Proof {
            thumbprint: String::new(),
            id: [number; 16],
            owner: [key; 16],
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
        let replays = Replays::with_room(2, 2);
        let spend = |number, at| replays.spend(&proof(number, at), UnixTime(at));
        assert!(spend(1, 0).is_ok() && spend(2, 0).is_ok());
        assert_eq!(spend(3, 0), Err(ProofError::Full));
        assert!(spend(3, 9 * WINDOW_SECONDS).is_ok(), "room again");
    }

    #[test]
    fn one_key_fills_its_own_share_and_no_other() {
        let replays = Replays::with_room(100, 2);
        let spend = |key, number, at| replays.spend(&of_key(key, number, at), UnixTime(at));
        assert!(spend(1, 1, 0).is_ok() && spend(1, 2, 0).is_ok());
        assert_eq!(spend(1, 3, 0), Err(ProofError::Full));
        assert!(spend(2, 4, 0).is_ok() && spend(2, 5, 0).is_ok());
        // The share counts both ages, and is free again when they are forgotten.
        let next = 2 * WINDOW_SECONDS;
        assert_eq!(spend(1, 6, next), Err(ProofError::Full));
        assert!(spend(1, 6, 9 * WINDOW_SECONDS).is_ok());
    }
}
