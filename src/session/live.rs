//! The accounts of all living sessions, and the turns of those who write for them.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use tokio::sync::{Mutex, MutexGuard};

use super::account::Accounts;
use super::announced::Announced;

/// The accounts of all living sessions; outlives a reload.
#[derive(Debug, Default)]
pub struct LiveAccounts {
    pub(super) states: Accounts,
    writers: Writers,
    pub(super) announced: Announced,
}

impl LiveAccounts {
    /// The right to write an account's role and home: two that are written at once leave a wrong state at the stores
    /// (docs/design/contract.md V0.3).
    pub(super) async fn writer(&self, id: &str) -> MutexGuard<'_, ()> {
        self.writers.turn(id).await
    }
}

/// One lock for each of many groups of accounts; two accounts of a group wait for each other without need, and seldom.
#[derive(Debug)]
struct Writers([Mutex<()>; 64]);

impl Default for Writers {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

impl Writers {
    async fn turn(&self, id: &str) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        let group = usize::try_from(hasher.finish() % 64).unwrap_or(0);
        self.0[group].lock().await
    }
}
