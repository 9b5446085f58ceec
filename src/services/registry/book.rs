//! What is known of the registry's entries, and for how long it counts.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use super::entry::Entry;
use crate::model::{Endpoint, Reason, ServiceName};
use crate::stores::nats::Change;

/// An entry that a full listing no longer has is kept for this time, for whoever has nothing better: writers are late, and their
/// interval may be the bucket's own age (docs/design/contract.md, Refresh).
const LAST_RESORT: Duration = Duration::from_secs(20);

/// Odd entries that are remembered, so that each is told of once.
const MAX_TOLD: usize = 1024;

/// The entries, by their keys as stored. A process that restarts has a new key, so its old entry and its new one stand side by
/// side for a while.
#[derive(Debug, Default)]
pub(super) struct Book {
    entries: HashMap<String, Known>,
    told: HashSet<String>,
}

#[derive(Debug)]
struct Known {
    entry: Entry,
    /// Since when listings lack it.
    missing_since: Option<Instant>,
}

impl Book {
    /// A change as it happens.
    pub(super) fn heard(&mut self, change: &Change) {
        let Some(value) = &change.value else {
            // An orderly stop: the node takes no more requests.
            self.entries.remove(&change.key);
            return;
        };
        match Entry::read(&change.key, value) {
            Ok(entry) => {
                let known = Known {
                    entry,
                    missing_since: None,
                };
                self.entries.insert(change.key.clone(), known);
            }
            Err(fault) => {
                self.entries.remove(&change.key);
                self.tell(&change.key, fault);
            }
        }
    }

    /// Everything there is now. Where there is nothing at all, the bucket was lost with its server and fills again: nothing is
    /// forgotten for that.
    pub(super) fn listed(&mut self, listed: &[Change]) {
        for change in listed {
            self.heard(change);
        }
        let now = Instant::now();
        let listed: HashSet<&str> = listed.iter().map(|change| change.key.as_str()).collect();
        self.entries.retain(|key, known| {
            if listed.contains(key.as_str()) {
                return true;
            }
            let since = *known.missing_since.get_or_insert(now);
            listed.is_empty() || now.saturating_duration_since(since) < LAST_RESORT
        });
    }

    /// The nodes that count: those that are registered, and of a service without one those that were until lately.
    pub(super) fn nodes(&self) -> Vec<(ServiceName, Endpoint)> {
        let is_live = |known: &&Known| known.missing_since.is_none();
        let live: HashSet<&ServiceName> = self
            .entries
            .values()
            .filter(is_live)
            .map(|known| &known.entry.service)
            .collect();
        let counts = |known: &&Known| is_live(known) || !live.contains(&known.entry.service);
        let nodes = self.entries.values().filter(counts).flat_map(|known| {
            let endpoints = known.entry.endpoints.iter();
            endpoints.map(|endpoint| (known.entry.service.clone(), endpoint.clone()))
        });
        nodes.collect()
    }

    fn tell(&mut self, key: &str, fault: &'static str) {
        if self.told.len() < MAX_TOLD && self.told.insert(key.to_owned()) {
            let shown: String = key.chars().take(64).collect();
            tracing::warn!(reason = %Reason::RegistryEntry, key = shown, fault, "an entry of the service registry is left out");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::registry::entry::tests::written;

    fn put(process: &str, port: u16) -> Change {
        let service = format!(r#"{{"name":"a.web.x","nodes":[{{"address":"h:{port}"}}]}}"#);
        let (key, value) = written(&format!("a.web.x@{process}@1"), &service);
        Change {
            key,
            value: Some(value.into()),
        }
    }

    fn deleted(change: &Change) -> Change {
        Change {
            key: change.key.clone(),
            value: None,
        }
    }

    fn other() -> Change {
        let service = r#"{"name":"a.web.y","nodes":[{"address":"y:1"}]}"#;
        let (key, value) = written("a.web.y@1@1", service);
        Change {
            key,
            value: Some(value.into()),
        }
    }

    fn nodes(book: &Book) -> Vec<String> {
        let of_x = book.nodes().into_iter();
        let of_x = of_x.filter(|(name, _)| name.as_str() == "a.web.x");
        let mut told: Vec<String> = of_x.map(|(_, at)| at.to_string()).collect();
        told.sort_unstable();
        told
    }

    #[tokio::test(start_paused = true)]
    async fn the_old_and_the_new_entry_of_a_restarted_process_stand_side_by_side() {
        let mut book = Book::default();
        book.heard(&put("old", 1));
        book.heard(&put("new", 2));
        assert_eq!(nodes(&book), ["h:1", "h:2"]);
        book.listed(&[put("new", 2), other()]);
        assert_eq!(nodes(&book), ["h:2"], "the old one expired");
    }

    #[tokio::test(start_paused = true)]
    async fn a_deletion_counts_at_once() {
        let mut book = Book::default();
        book.heard(&put("1", 1));
        book.heard(&deleted(&put("1", 1)));
        assert!(nodes(&book).is_empty());
        book.heard(&put("1", 1));
        book.listed(&[deleted(&put("1", 1)), other()]);
        assert!(nodes(&book).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn an_entry_that_expired_serves_a_while_where_there_is_nothing_better() {
        let mut book = Book::default();
        book.heard(&put("1", 1));
        book.listed(&[other()]);
        assert_eq!(nodes(&book), ["h:1"]);
        tokio::time::advance(LAST_RESORT).await;
        book.listed(&[other()]);
        assert!(nodes(&book).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_writer_is_whole_again_with_its_next_word() {
        let mut book = Book::default();
        book.heard(&put("1", 1));
        book.heard(&put("2", 2));
        book.listed(&[put("2", 2)]);
        assert_eq!(nodes(&book), ["h:2"]);
        book.heard(&put("1", 1));
        assert_eq!(nodes(&book), ["h:1", "h:2"]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_bucket_after_a_restart_of_the_server_forgets_nothing() {
        let mut book = Book::default();
        book.heard(&put("1", 1));
        for _ in 0..10 {
            book.listed(&[]);
            tokio::time::advance(LAST_RESORT).await;
        }
        assert_eq!(nodes(&book), ["h:1"]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_entry_that_became_garbage_goes_alone() {
        let mut book = Book::default();
        book.heard(&put("1", 1));
        book.heard(&put("2", 2));
        let garbage = Change {
            value: Some(b"\xff".as_slice().into()),
            ..put("1", 1)
        };
        book.heard(&garbage);
        book.heard(&garbage);
        assert_eq!(nodes(&book), ["h:2"]);
        assert_eq!(book.told.len(), 1);
    }
}
