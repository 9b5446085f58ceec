//! What ends streams. Most sessions never have a stream, so the token itself is made for the first one, or at the end: made
//! ahead, it would be a tenth of a session's memory.

use std::sync::OnceLock;

use tokio_util::sync::CancellationToken;

/// A cancellation whose token is made when somebody waits for it or when it fires.
#[derive(Debug, Default)]
pub struct Cancellation(OnceLock<CancellationToken>);

impl Cancellation {
    /// Another holder of the same one.
    pub(super) fn shared(&self) -> Self {
        Self(OnceLock::from(self.token().clone()))
    }

    /// What a stream waits for.
    #[must_use]
    pub fn token(&self) -> &CancellationToken {
        self.0.get_or_init(CancellationToken::new)
    }

    /// Fires.
    pub fn cancel(&self) {
        self.token().cancel();
    }

    /// Whether it has fired.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.get().is_some_and(CancellationToken::is_cancelled)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_token_made_before_or_after_fires_with_every_holder() {
        let first = Cancellation::default();
        let token = first.token().clone();
        let second = first.shared();
        let other = Cancellation::default();
        assert!(!second.is_cancelled());
        second.cancel();
        assert!(token.is_cancelled() && first.is_cancelled() && first.shared().is_cancelled());
        assert!(!other.is_cancelled());
        other.cancel();
        assert!(other.token().is_cancelled());
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
