//! Servers that keep something for several processes, in the forms that the services beside us use (docs/design/contract.md 4).
//!
//! Nothing here is on the way of a request that a worker serves: control asks and listens, workers read what it found.

pub(crate) mod nats;
pub(crate) mod record;

mod bucket;
mod error;
#[cfg(test)]
pub(crate) mod memory;
mod redis;
mod signing_keys;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;

pub(crate) use error::StoreError;
pub(crate) use signing_keys::SigningKeys;

use crate::config::stores::Store;

/// A store of keys and values, as far as it is ours to use.
#[async_trait]
pub(crate) trait KeyValue: fmt::Debug + Send + Sync {
    /// The value of a key.
    ///
    /// # Errors
    /// [`StoreError`]; a key that is not there is none.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Sets a value, for `life` at least where the store can say so.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn put(&self, key: &str, value: &[u8], life: Duration) -> Result<(), StoreError>;

    /// Tells everything there is, then every value that is set, by whomever; and everything once more whenever something may
    /// have been missed. Ends only with an error, and is to be begun anew then.
    async fn watch(&self, heard: mpsc::Sender<Heard>) -> StoreError;
}

/// A value that was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    /// Its key.
    pub key: String,
    /// It.
    pub value: Vec<u8>,
}

/// Which part of a store, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Space {
    /// Bucket of NATS; Redis has no such part.
    pub database: String,
    /// Before each key.
    pub table: String,
    /// It is ours alone: made if it is not there, for values that live this long, and its changes are announced.
    pub own: Option<Duration>,
}

/// A handle on a part of a store. It connects when it is used.
///
/// # Errors
/// [`StoreError::Settings`]. `None` for a store that is no other process's.
pub(crate) fn open(store: &Store, space: Space) -> Result<Option<Arc<dyn KeyValue>>, StoreError> {
    Ok(match store {
        Store::Memory => None,
        Store::Nats(remote) => Some(Arc::new(bucket::Bucket::new(remote.clone(), space))),
        Store::Redis(remote) => Some(Arc::new(redis::Redis::one(remote, space)?)),
        Store::Sentinel(remote) => Some(Arc::new(redis::Redis::sentinel(remote, space)?)),
    })
}
