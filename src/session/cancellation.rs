//! What ends the streams of a session. Most sessions never have a stream, so the token itself is made for the first one:
//! made ahead, it would be a tenth of a session's memory.

use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

/// A cancellation whose token is made at its first use. Fires by itself, or with its parent.
#[derive(Debug, Default)]
pub struct Cancellation {
    fired: AtomicBool,
    token: OnceLock<CancellationToken>,
    parent: Option<Arc<Self>>,
}

impl Cancellation {
    /// One that fires with this one too.
    pub(super) fn child(self: &Arc<Self>) -> Arc<Self> {
        Arc::new(Self {
            parent: Some(Arc::clone(self)),
            ..Self::default()
        })
    }

    /// What a stream waits for.
    #[must_use]
    pub fn token(&self) -> &CancellationToken {
        let token = self.token.get_or_init(|| match &self.parent {
            Some(parent) => parent.token().child_token(),
            None => CancellationToken::new(),
        });
        // Pairs with the fence of `cancel`: either that one finds the token, or this one finds that it has fired.
        fence(Ordering::SeqCst);
        if self.fired.load(Ordering::Relaxed) {
            token.cancel();
        }
        token
    }

    /// Fires.
    pub fn cancel(&self) {
        self.fired.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if let Some(token) = self.token.get() {
            token.cancel();
        }
    }

    /// Whether it has fired.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.fired.load(Ordering::Acquire)
            || self
                .parent
                .as_ref()
                .is_some_and(|parent| parent.is_cancelled())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_made_before_or_after_fires_with_its_parent_and_not_the_other_way() {
        let parent = Arc::new(Cancellation::default());
        let (early, late, other) = (parent.child(), parent.child(), parent.child());
        let token = early.token().clone();
        other.cancel();
        assert!(!parent.is_cancelled() && !token.is_cancelled());
        parent.cancel();
        assert!(token.is_cancelled() && early.is_cancelled());
        assert!(late.token().is_cancelled() && late.is_cancelled());
    }

    #[test]
    fn a_stream_that_begins_while_the_session_ends_is_told() {
        for _ in 0..1000 {
            let cancellation = Arc::new(Cancellation::default());
            let ends = Arc::clone(&cancellation);
            let ending = std::thread::spawn(move || ends.cancel());
            let token = cancellation.token().clone();
            ending.join().unwrap();
            assert!(token.is_cancelled());
        }
    }
}
