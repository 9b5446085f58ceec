//! The last good state of something remote: loaded by one caller at a time, kept when a later load fails.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::AuthError;

/// For so long after a failed load nobody else tries: a thousand waiters are one call.
const NEGATIVE: Duration = Duration::from_millis(900);

/// A remote document and the one load that may be under way.
pub(super) struct Latest<T> {
    value: ArcSwapOption<T>,
    /// The last load failed.
    trouble: ArcSwapOption<Failure>,
    flight: Mutex<Option<Failure>>,
}

#[derive(Clone)]
struct Failure {
    ended: Instant,
    error: AuthError,
}

impl<T> Latest<T> {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self {
            value: ArcSwapOption::empty(),
            trouble: ArcSwapOption::empty(),
            flight: Mutex::new(None),
        }
    }

    /// The last good state, without waiting.
    pub(super) fn peek(&self) -> Option<Arc<T>> {
        self.value.load_full()
    }

    /// The last load failed: how long ago, and how.
    pub(super) fn trouble(&self) -> Option<(Duration, String)> {
        let failure = self.trouble.load_full()?;
        Some((failure.ended.elapsed(), failure.error.to_string()))
    }

    /// The last good state; if there is none, it is loaded.
    pub(super) async fn get_or_load<F>(&self, load: F) -> Result<Arc<T>, AuthError>
    where
        F: Future<Output = Result<T, AuthError>>,
    {
        if let Some(value) = self.peek() {
            return Ok(value);
        }
        let arrived = Instant::now();
        let mut flight = self.flight.lock().await;
        if let Some(value) = self.peek() {
            return Ok(value);
        }
        if let Some(failure) = &*flight
            && (failure.ended >= arrived || failure.ended.elapsed() < NEGATIVE)
        {
            return Err(failure.error.clone());
        }
        self.settle(&mut flight, load.await)
    }

    /// Loads anew. The old state stays if that fails.
    pub(super) async fn reload<F>(&self, load: F) -> Result<Arc<T>, AuthError>
    where
        F: Future<Output = Result<T, AuthError>>,
    {
        let mut flight = self.flight.lock().await;
        let outcome = load.await;
        self.settle(&mut flight, outcome)
    }

    fn settle(
        &self,
        flight: &mut Option<Failure>,
        outcome: Result<T, AuthError>,
    ) -> Result<Arc<T>, AuthError> {
        match outcome {
            Ok(value) => {
                let value = Arc::new(value);
                self.value.store(Some(Arc::clone(&value)));
                self.trouble.store(None);
                *flight = None;
                Ok(value)
            }
            Err(error) => {
                let failure = Failure {
                    ended: Instant::now(),
                    error: error.clone(),
                };
                self.trouble.store(Some(Arc::new(failure.clone())));
                *flight = Some(failure);
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn f6_a_thousand_waiters_are_one_load_also_when_it_fails() {
        let latest: Arc<Latest<u8>> = Arc::new(Latest::new());
        let loads = Arc::new(AtomicUsize::new(0));
        let mut waiters = tokio::task::JoinSet::new();
        for _ in 0..1_000 {
            let (latest, loads) = (Arc::clone(&latest), Arc::clone(&loads));
            waiters.spawn(async move {
                latest
                    .get_or_load(async {
                        loads.fetch_add(1, Ordering::Relaxed);
                        tokio::task::yield_now().await;
                        Err(AuthError::unavailable("down", NEGATIVE))
                    })
                    .await
                    .is_err()
            });
        }
        assert!(waiters.join_all().await.into_iter().all(|failed| failed));
        assert_eq!(loads.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn f3_a_failed_reload_keeps_the_last_good_state() {
        let latest = Latest::new();
        assert!(latest.get_or_load(async { Ok(1) }).await.is_ok());
        let failed = latest.reload(async { Err(AuthError::unavailable("down", NEGATIVE)) });
        assert!(failed.await.is_err());
        assert_eq!(latest.peek().as_deref(), Some(&1));
        assert!(latest.trouble().unwrap().1.contains("down"));
        assert!(latest.reload(async { Ok(2) }).await.is_ok());
        assert_eq!(latest.peek().as_deref(), Some(&2));
        assert_eq!(latest.trouble(), None);
    }
}
