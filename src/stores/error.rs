//! Why a store gave no answer. That it has nothing is no error.

/// What went wrong with a store.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The settings cannot be used.
    #[error("{0}")]
    Settings(String),
    /// It does not answer, or not in time.
    #[error("the store does not answer: {0}")]
    Unavailable(String),
    /// What it has under this name is no record.
    #[error("the store's record cannot be read: {0}")]
    Unreadable(String),
}

impl StoreError {
    pub(crate) fn unavailable(error: impl std::fmt::Display) -> Self {
        Self::Unavailable(error.to_string())
    }
}
