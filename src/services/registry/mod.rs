//! The registry of OpenCloud and oCIS: a bucket of JetStream into which every process writes where its services answer
//! (docs/design/contract.md 3.2). It is read here and never written, nor made: its maximum age would bind all services.
//!
//! A plain subscription hears of changes at once and outlives a restart of the server. What it cannot hear, entries that came
//! while it was away and those that expired, is found by a full listing, after each connect and every few seconds.

mod book;
mod entry;

use std::time::Duration;

use futures_util::StreamExt as _;
use tokio_util::sync::CancellationToken;

use self::book::Book;
use super::Directory;
use crate::config::stores::Registry;
use crate::model::Reason;
use crate::stores::StoreError;
use crate::stores::nats::{self, Nats};

const BUCKET: &str = "service-registry";

/// Between listings.
const LISTED_EVERY: Duration = Duration::from_secs(12);

/// After a listing that failed.
const LISTED_AGAIN: Duration = Duration::from_secs(2);

/// Fills the directory from the registry until `stop`. Nobody waits for it: until it knows better, default addresses count.
pub(crate) async fn follow(registry: Registry, directory: Directory, stop: CancellationToken) {
    let followed = stop.run_until_cancelled(follow_forever(&registry, &directory));
    if let Some(Err(error)) = followed.await {
        tracing::error!(reason = %Reason::RegistryUnavailable, %error, "the service registry is not used");
    }
}

async fn follow_forever(registry: &Registry, directory: &Directory) -> Result<(), StoreError> {
    let nats = Nats::connect(&registry.remote, "registry").await?;
    let all = nats::subject(BUCKET, ">");
    let subscribed = nats.client.subscribe(all).await;
    let mut heard = subscribed.map_err(StoreError::unavailable)?;
    let mut book = Book::default();
    let mut outage = Outage::new(registry);
    let mut next = tokio::time::Instant::now();
    loop {
        let list = tokio::select! {
            message = heard.next() => {
                let Some(message) = message else {
                    return Err(StoreError::unavailable("the connection is closed"));
                };
                if let Some(change) = nats::change(BUCKET, &message) {
                    book.heard(&change);
                }
                // A burst, as all services make at their start, is one change.
                while let Some(Some(message)) = futures_util::FutureExt::now_or_never(heard.next()) {
                    if let Some(change) = nats::change(BUCKET, &message) {
                        book.heard(&change);
                    }
                }
                false
            }
            () = nats.connected.notified() => true,
            () = tokio::time::sleep_until(next) => true,
        };
        if list {
            let pause = match nats.list(BUCKET).await {
                Ok(listed) => {
                    outage.ended(listed.len());
                    book.listed(&listed);
                    LISTED_EVERY
                }
                Err(error) => {
                    outage.began(&error);
                    LISTED_AGAIN
                }
            };
            next = tokio::time::Instant::now() + pause;
        }
        directory.name_registered(book.nodes());
    }
}

/// Says once that the registry is away, and once that it is back.
struct Outage<'r> {
    registry: &'r Registry,
    is_told: bool,
    was_there: bool,
}

impl<'r> Outage<'r> {
    fn new(registry: &'r Registry) -> Self {
        Self {
            registry,
            is_told: false,
            was_there: false,
        }
    }

    fn began(&mut self, error: &StoreError) {
        if std::mem::replace(&mut self.is_told, true) {
            return;
        }
        let addresses = self.registry.remote.addresses.join(",");
        let reason = Reason::RegistryUnavailable;
        if self.was_there || self.registry.is_named {
            tracing::warn!(%reason, addresses, %error, "the service registry does not answer; what is known goes on");
        } else {
            // Nobody asked for one, and a gateway in front of one server needs none.
            tracing::info!(%reason, addresses, %error, "no service registry; services have their default addresses");
        }
    }

    fn ended(&mut self, entries: usize) {
        let first = !std::mem::replace(&mut self.was_there, true);
        if std::mem::take(&mut self.is_told) || first {
            tracing::info!(entries, "the service registry answers");
        }
    }
}
