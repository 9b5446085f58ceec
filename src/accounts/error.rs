//! Why a login has no account.

use std::time::Duration;

use super::{DirectoryError, RETRY_AFTER};
use crate::model::{Fault, Reason};
use crate::roles::RoleStoreError;

/// Why a login did not become an account.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AccountError {
    /// The person is known but may not enter: 403.
    #[error("{reason}: {detail}")]
    Denied {
        /// Stable word.
        reason: Reason,
        /// For the log.
        detail: String,
    },
    /// Nothing is known, because the directory did not answer or refused a change: 503 with `Retry-After`.
    #[error(transparent)]
    Directory(DirectoryError),
    /// Nothing is known of the account's role, because its store did not answer or refused a change: 503.
    #[error(transparent)]
    RoleStore(#[from] RoleStoreError),
}

impl AccountError {
    /// A refusal.
    pub(super) fn denied(reason: Reason, detail: impl Into<String>) -> Self {
        Self::Denied {
            reason,
            detail: detail.into(),
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Denied { .. } => Fault::Caller,
            Self::Directory(error) => error.fault(),
            Self::RoleStore(error) => error.fault(),
        }
    }

    /// The stable word.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Denied { reason, .. } => *reason,
            Self::Directory(DirectoryError::Refused(_)) => Reason::DirectoryRefused,
            Self::Directory(DirectoryError::Misconfigured { reason, .. }) => *reason,
            Self::Directory(_) => Reason::DirectoryUnavailable,
            Self::RoleStore(error) => error.reason,
        }
    }

    /// When to try again; `None` for a refusal.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Denied { .. } => None,
            Self::Directory(_) | Self::RoleStore(_) => Some(RETRY_AFTER),
        }
    }
}

/// A look-up that finds two is the directory's answer, not its failure: the person is refused.
impl From<DirectoryError> for AccountError {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::Ambiguous(detail) => Self::denied(
                Reason::AccountAmbiguous,
                format!("more than one account matches {detail}"),
            ),
            DirectoryError::Excluded(detail) => Self::denied(Reason::AccountExcluded, detail),
            error => Self::Directory(error),
        }
    }
}
