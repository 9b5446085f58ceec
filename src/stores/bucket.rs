//! One key-value bucket of JetStream, with the keys and envelopes of the services.

use std::time::Duration;

use async_nats::jetstream::{kv, stream};
use async_trait::async_trait;
use futures_util::StreamExt as _;
use tokio::sync::{Mutex, OnceCell, mpsc};

use super::nats::{self, Change, Nats};
use super::{Heard, KeyValue, Space, StoreError, record};
use crate::config::stores::Remote;

/// Between full listings, besides those after each connect: what a subscription may have missed is found by then.
const LISTED_EVERY: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Bucket {
    remote: Remote,
    space: Space,
    nats: OnceCell<Nats>,
    handle: Mutex<Option<kv::Store>>,
}

impl Bucket {
    pub(super) fn new(remote: Remote, space: Space) -> Self {
        Self {
            remote,
            space,
            nats: OnceCell::new(),
            handle: Mutex::new(None),
        }
    }

    async fn nats(&self) -> Result<&Nats, StoreError> {
        let connect = || Nats::connect(&self.remote, "store");
        self.nats.get_or_try_init(connect).await
    }

    /// The bucket; `None` where it is another service's and not there yet.
    async fn handle(&self) -> Result<Option<kv::Store>, StoreError> {
        if let Some(handle) = &*self.handle.lock().await {
            return Ok(Some(handle.clone()));
        }
        let jetstream = self.nats().await?.jetstream();
        let name = &self.space.database;
        let found = match (jetstream.get_key_value(name).await, self.space.own) {
            (Ok(found), _) => Some(found),
            (Err(error), _) if error.kind() != kv_missing() => {
                return Err(StoreError::unavailable(error));
            }
            (Err(_), None) => None,
            (Err(_), Some(life)) => {
                let made = jetstream.create_stream(own_bucket(name, life)).await;
                made.map_err(StoreError::unavailable)?;
                let found = jetstream.get_key_value(name).await;
                Some(found.map_err(StoreError::unavailable)?)
            }
        };
        self.handle.lock().await.clone_from(&found);
        Ok(found)
    }

    /// A handle knows a bucket that may be gone with its server.
    async fn forget(&self, error: impl std::fmt::Display) -> StoreError {
        *self.handle.lock().await = None;
        StoreError::unavailable(error)
    }

    async fn writable(&self) -> Result<kv::Store, StoreError> {
        let missing = || StoreError::unavailable(format!("no bucket {}", self.space.database));
        self.handle().await?.ok_or_else(missing)
    }

    async fn tell(
        &self,
        changes: &[Change],
        heard: &mpsc::Sender<Heard>,
    ) -> Result<(), StoreError> {
        for change in changes {
            let Some(value) = &change.value else { continue };
            let key = record::plain_key(&self.space.table, &change.key);
            // What cannot be read was written by somebody else, and is nothing to us.
            if let (Ok(key), Ok(value)) = (key, record::opened(value)) {
                let told = heard.send(Heard { key, value }).await;
                told.map_err(|_| StoreError::unavailable("nobody listens any more"))?;
            }
        }
        Ok(())
    }

    async fn watch_until_error(&self, heard: &mpsc::Sender<Heard>) -> Result<(), StoreError> {
        let nats = self.nats().await?;
        let bucket = &self.space.database;
        let subscribed = nats.client.subscribe(nats::subject(bucket, ">")).await;
        let mut messages = subscribed.map_err(StoreError::unavailable)?;
        let mut next = tokio::time::Instant::now();
        loop {
            tokio::select! {
                message = messages.next() => {
                    let closed = || StoreError::unavailable("the connection is closed");
                    let message = message.ok_or_else(closed)?;
                    let change = nats::change(bucket, &message);
                    self.tell(change.as_slice(), heard).await?;
                    continue;
                }
                () = nats.connected.notified() => {}
                () = tokio::time::sleep_until(next) => {}
            }
            // Errors pass: the subscription mends itself, and the listing is tried again.
            let pause = match nats.list(bucket).await {
                Ok(listed) => {
                    self.tell(&listed, heard).await?;
                    LISTED_EVERY
                }
                Err(_) => Duration::from_secs(1),
            };
            next = tokio::time::Instant::now() + pause;
        }
    }
}

/// The stream of a bucket. The library's own way asks the server for its limits first, which older ones answer otherwise.
fn own_bucket(name: &str, life: Duration) -> stream::Config {
    stream::Config {
        name: format!("KV_{name}"),
        description: Some("what replicas of davgate tell each other".to_owned()),
        subjects: vec![nats::subject(name, ">")],
        max_messages_per_subject: 1,
        max_age: life,
        storage: stream::StorageType::File,
        discard: stream::DiscardPolicy::Old,
        duplicate_window: life.min(Duration::from_secs(120)),
        allow_rollup: true,
        deny_delete: true,
        allow_direct: true,
        num_replicas: 1,
        ..stream::Config::default()
    }
}

fn kv_missing() -> async_nats::jetstream::context::KeyValueErrorKind {
    async_nats::jetstream::context::KeyValueErrorKind::GetBucket
}

#[async_trait]
impl KeyValue for Bucket {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(handle) = self.handle().await? else {
            return Ok(None);
        };
        let stored = record::stored_key(&self.space.table, key);
        let got = tokio::time::timeout(nats::PATIENCE, handle.get(stored)).await;
        let value = match got {
            Ok(Ok(value)) => value,
            Ok(Err(error)) => return Err(self.forget(error).await),
            Err(late) => return Err(self.forget(late).await),
        };
        let opened = value.map(|value| record::opened(&value)).transpose();
        opened.map_err(|fault| StoreError::Unreadable(fault.to_owned()))
    }

    async fn put(&self, key: &str, value: &[u8], _life: Duration) -> Result<(), StoreError> {
        let stored = record::stored_key(&self.space.table, key);
        let value: bytes::Bytes = record::envelope(key, value).into();
        let handle = self.writable().await?;
        match handle.put(&stored, value.clone()).await {
            Ok(_) => Ok(()),
            // The bucket may be gone with its server; once more on a new one.
            Err(error) => {
                let _ = self.forget(error).await;
                let handle = self.writable().await?;
                let put = handle.put(&stored, value).await;
                put.map(drop).map_err(StoreError::unavailable)
            }
        }
    }

    async fn watch(&self, heard: mpsc::Sender<Heard>) -> StoreError {
        match self.watch_until_error(&heard).await {
            Err(error) => error,
            Ok(()) => StoreError::unavailable("the watch ended"),
        }
    }
}
