//! What is said of a route is said once a minute, however many requests it concerns.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// Between two lines about one route.
const AGAIN: Duration = Duration::from_secs(60);

/// When each route was last told of, by its endpoint.
#[derive(Debug, Default)]
pub(super) struct Seldom(RefCell<HashMap<String, Instant>>);

impl Seldom {
    /// Whether it is time for a line about this route.
    pub(super) fn is_due(&self, endpoint: &str) -> bool {
        let now = Instant::now();
        let mut told = self.0.borrow_mut();
        if told
            .get(endpoint)
            .is_some_and(|last| now.duration_since(*last) < AGAIN)
        {
            return false;
        }
        told.insert(endpoint.to_owned(), now);
        true
    }
}
