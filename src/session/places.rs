//! Places for set-ups: bounded in all, shared out among the issuers, and where nothing has proven a token yet among client
//! addresses (docs/design/design.md 2, Set-ups). One issuer that hangs, or one address that sends rubbish, leaves others' logins alone.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::auth::Standing;

/// Sessions in set-up at once; more are told to come back (docs/design/design.md 2, Sessions).
pub(super) const MAX_SET_UPS: usize = 1024;

/// Of them, those of one address whose tokens nothing has proven yet.
const MAX_UNPROVEN: usize = 64;

/// The places that are free.
#[derive(Debug)]
pub(super) struct Places {
    lanes: Vec<Arc<Semaphore>>,
    unproven: Arc<Mutex<Unproven>>,
}

type Unproven = HashMap<IpAddr, usize>;

/// One set-up's place, free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    address: Option<(IpAddr, Arc<Mutex<Unproven>>)>,
}

impl Places {
    /// As many lanes as there are issuers that must not wait for each other.
    pub(super) fn new(lanes: usize) -> Self {
        let each = MAX_SET_UPS.checked_div(lanes).unwrap_or(MAX_SET_UPS).max(1);
        Self {
            lanes: (0..lanes.max(1))
                .map(|_| Arc::new(Semaphore::new(each)))
                .collect(),
            unproven: Arc::default(),
        }
    }

    /// A place, if the token's lane has one and its address may have another. `from` is nobody where the token was proven by
    /// a session it had.
    pub(super) fn take(&self, standing: Standing, from: Option<IpAddr>) -> Option<Place> {
        let lane = standing.lane.min(self.lanes.len() - 1);
        let permit = Arc::clone(self.lanes.get(lane)?).try_acquire_owned().ok()?;
        let mut place = Place {
            _permit: permit,
            address: None,
        };
        if let Some(address) = from.filter(|_| !standing.is_proven) {
            let mut unproven = lock(&self.unproven);
            let taken = unproven.entry(address).or_default();
            if *taken >= MAX_UNPROVEN {
                return None;
            }
            *taken += 1;
            place.address = Some((address, Arc::clone(&self.unproven)));
        }
        Some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((address, unproven)) = &self.address else {
            return;
        };
        let mut unproven = lock(unproven);
        if let Some(taken) = unproven.get_mut(address) {
            *taken -= 1;
            if *taken == 0 {
                unproven.remove(address);
            }
        }
    }
}

fn lock(unproven: &Mutex<Unproven>) -> MutexGuard<'_, Unproven> {
    // Nothing below the lock can leave a count half changed.
    unproven.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROVEN: Standing = Standing {
        lane: 0,
        is_proven: true,
    };
    const UNPROVEN: Standing = Standing {
        lane: 0,
        is_proven: false,
    };

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn issue_15_8_rubbish_of_one_address_leaves_the_others_their_places() {
        let places = Places::new(1);
        let take_all = |standing, from| -> Vec<Place> {
            std::iter::from_fn(|| places.take(standing, from)).collect()
        };
        let rubbish = take_all(UNPROVEN, address(1));
        assert_eq!(rubbish.len(), MAX_UNPROVEN);
        assert_eq!(take_all(UNPROVEN, address(2)).len(), MAX_UNPROVEN);
        // A token that is proven is no rubbish, and one that had a session neither.
        assert!(places.take(PROVEN, address(1)).is_some());
        assert!(places.take(UNPROVEN, None).is_some());
        drop(rubbish);
        assert!(lock(&places.unproven).is_empty());
        assert_eq!(take_all(UNPROVEN, address(1)).len(), MAX_UNPROVEN);
        assert_eq!(take_all(PROVEN, address(1)).len(), MAX_SET_UPS);
    }

    #[test]
    fn issue_15_29_one_issuers_set_ups_take_no_place_of_anothers() {
        let places = Places::new(3);
        let of = |lane| Standing {
            lane,
            is_proven: true,
        };
        let hanging: Vec<Place> = std::iter::from_fn(|| places.take(of(0), address(1))).collect();
        assert_eq!(hanging.len(), MAX_SET_UPS / 3);
        for lane in [1, 2, 9] {
            assert!(places.take(of(lane), address(1)).is_some(), "{lane}");
        }
    }
}
