//! One at a time per key: writers of one account come one after the other, those of different accounts side by side.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Whose turn it is, per key. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turns {
    keys: Arc<Mutex<HashMap<String, Weak<AsyncMutex<()>>>>>,
}

/// So many keys, and those that nobody waits for are forgotten.
const MANY: usize = 1_024;

impl Turns {
    /// Waits until nobody else has the turn of that key; it is kept until the guard is dropped.
    pub(crate) async fn of(&self, key: &str) -> OwnedMutexGuard<()> {
        let turn = {
            let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
            if keys.len() >= MANY {
                keys.retain(|_, turn| turn.strong_count() > 0);
            }
            match keys.get(key).and_then(Weak::upgrade) {
                Some(turn) => turn,
                None => {
                    let turn = Arc::new(AsyncMutex::new(()));
                    keys.insert(key.to_owned(), Arc::downgrade(&turn));
                    turn
                }
            }
        };
        turn.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn writers_of_one_key_come_one_after_the_other() {
        let (turns, inside) = (Turns::default(), Arc::new(AtomicUsize::new(0)));
        let writers = (0..20).map(|_| {
            let (turns, inside) = (turns.clone(), Arc::clone(&inside));
            tokio::spawn(async move {
                let _turn = turns.of("alan").await;
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                tokio::task::yield_now().await;
                inside.fetch_sub(1, Ordering::SeqCst);
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
    }

    #[tokio::test]
    async fn another_key_does_not_wait() {
        let turns = Turns::default();
        let _alan = turns.of("alan").await;
        let _mary = turns.of("mary").await;
    }

    #[tokio::test]
    async fn keys_that_nobody_waits_for_are_forgotten() {
        let turns = Turns::default();
        for n in 0..3 * MANY {
            drop(turns.of(&n.to_string()).await);
        }
        assert!(turns.keys.lock().unwrap().len() <= MANY);
    }
}
