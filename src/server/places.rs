//! How many connections there are, and which goes when there are too many (docs/design/design.md 1, `PROXY_MAX_CONNECTIONS`).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How long a worker with many connections lets the others go first.
const COURTESY: Duration = Duration::from_millis(1);

/// The connections of each worker, and how many there may be in all.
#[derive(Debug, Clone)]
pub(super) struct Places {
    workers: Arc<[AtomicUsize]>,
    most: usize,
    /// Connections that wait for a place while their own worker has none to give.
    wanted: Arc<AtomicUsize>,
}

/// A connection's place; free again when dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    worker: usize,
}

impl Places {
    pub(super) fn new(workers: usize, most: usize) -> Self {
        Self {
            workers: (0..workers).map(|_| AtomicUsize::new(0)).collect(),
            most: most.max(1),
            wanted: Arc::default(),
        }
    }

    pub(super) fn enter(&self, worker: usize) -> Place {
        if let Some(load) = self.workers.get(worker) {
            load.fetch_add(1, Ordering::Relaxed);
        }
        Place {
            places: self.clone(),
            worker,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        let open = self.workers.iter().map(|load| load.load(Ordering::Relaxed));
        open.sum::<usize>() >= self.most
    }

    /// This worker has no connection to close for a place: another one may have.
    pub(super) fn wish(&self) {
        self.wanted.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether some worker waits for another one's place.
    pub(super) fn has_wish(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) > 0
    }

    /// Takes another worker's wish for a place, which is fulfilled once.
    pub(super) fn take_wish(&self) -> bool {
        let less = |wanted: usize| wanted.checked_sub(1);
        let order = Ordering::Relaxed;
        self.wanted.load(order) > 0 && self.wanted.fetch_update(order, order, less).is_ok()
    }

    /// Waits a moment if another worker, woken by the same connection, holds clearly fewer. Only a
    /// moment: that worker may be busy, and the client is not to wait for it.
    pub(super) async fn give_way(&self, worker: usize) {
        let held = |load: &AtomicUsize| load.load(Ordering::Relaxed);
        let own = self.workers.get(worker).map_or(0, held);
        let least = self.workers.iter().map(held).min().unwrap_or(0);
        if own > least + 1 + least / 16 {
            tokio::time::sleep(COURTESY).await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(load) = self.places.workers.get(self.worker) {
            load.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_workers_share_the_places() {
        let places = Places::new(2, 3);
        let held = [places.enter(0), places.enter(1)];
        assert!(!places.is_full());
        let last = places.enter(1);
        assert!(places.is_full());
        drop(last);
        assert!(!places.is_full());
        drop(held);
    }

    #[test]
    fn a_wish_is_fulfilled_once() {
        let places = Places::new(2, 1);
        assert!(!places.take_wish());
        places.wanted.fetch_add(1, Ordering::Relaxed);
        assert!(places.clone().take_wish());
        assert!(!places.take_wish());
    }
}
