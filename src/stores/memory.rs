//! A store of this process alone, for tests of what uses stores.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{broadcast, mpsc};

use super::{Heard, KeyValue, StoreError};

#[derive(Debug)]
pub(crate) struct Memory {
    values: Mutex<HashMap<String, Vec<u8>>>,
    changes: broadcast::Sender<Heard>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            values: Mutex::default(),
            changes: broadcast::Sender::new(1024),
        }
    }
}

impl Memory {
    pub(crate) fn set(&self, key: &str, value: &[u8]) {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        values.insert(key.to_owned(), value.to_vec());
        // Nobody may be watching.
        let _ = self.changes.send(Heard {
            key: key.to_owned(),
            value: value.to_vec(),
        });
    }
}

#[async_trait]
impl KeyValue for Memory {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(values.get(key).cloned())
    }

    async fn put(&self, key: &str, value: &[u8], _life: Duration) -> Result<(), StoreError> {
        self.set(key, value);
        Ok(())
    }

    async fn watch(&self, heard: mpsc::Sender<Heard>) -> StoreError {
        let mut changes = self.changes.subscribe();
        let all: Vec<Heard> = {
            let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
            let all = values.iter().map(|(key, value)| Heard {
                key: key.clone(),
                value: value.clone(),
            });
            all.collect()
        };
        for one in all {
            if heard.send(one).await.is_err() {
                break;
            }
        }
        while let Ok(change) = changes.recv().await {
            if heard.send(change).await.is_err() {
                break;
            }
        }
        StoreError::unavailable("nobody listens any more")
    }
}
