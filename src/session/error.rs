//! Why a credential has no session.

use std::time::Duration;

use crate::accounts::AccountError;
use crate::auth::AuthError;
use crate::identity::IdentityError;
use crate::model::{Fault, Reason};
use crate::roles::RoleError;

/// Why a set-up ended without a session; cloned to everybody who waited for it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LoadError {
    /// The token, or its issuer.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The account, or its directory.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The role.
    #[error(transparent)]
    Role(#[from] RoleError),
    /// The identity told to backends.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A logout ended the session.
    #[error("the session was ended by a logout")]
    Ended,
    /// The set-up takes longer than a request may wait; it goes on.
    #[error("the session is still being set up")]
    SetupTimeout,
    /// Too many set-ups run.
    #[error("too many sessions are being set up")]
    SetupOverload,
    /// The set-up died: our fault.
    #[error("the set-up died")]
    Lost,
}

/// A bad token stays bad for this long (docs/design/design.md 2, Sessions).
const BAD_TOKEN: Duration = Duration::from_secs(30);

/// A missing account or role may be mended any moment.
const NO_ACCOUNT: Duration = Duration::from_secs(5);

impl LoadError {
    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Auth(error) => error.fault(),
            Self::Account(error) => error.fault(),
            Self::Role(error) => error.fault(),
            Self::Identity(error) => error.fault(),
            Self::Ended => Fault::Caller,
            Self::SetupTimeout => Fault::Remote,
            Self::SetupOverload | Self::Lost => Fault::Ours,
        }
    }

    /// Whether nothing is known about credential and account, so that an old session serves on.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        self.fault() != Fault::Caller
    }

    /// The stable word.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Auth(error) => error.reason(),
            Self::Account(error) => error.reason(),
            Self::Role(error) => error.reason(),
            Self::Identity(IdentityError::Ours(_)) | Self::Lost => Reason::Internal,
            Self::Identity(IdentityError::Unavailable(_) | IdentityError::Refused(_)) => {
                Reason::IdentityUnavailable
            }
            Self::Ended => Reason::SessionEnded,
            Self::SetupTimeout => Reason::SetupTimeout,
            Self::SetupOverload => Reason::SetupOverload,
        }
    }

    /// How long the refusal may be repeated without looking again; `None`: never. A 503 is never kept per token.
    #[must_use]
    pub fn refusal_lifetime(&self) -> Option<Duration> {
        match self {
            Self::Auth(AuthError::Token {
                reason: Reason::TokenNotYetValid,
                ..
            }) => None,
            Self::Auth(AuthError::Token { .. }) | Self::Ended => Some(BAD_TOKEN),
            Self::Auth(AuthError::Denied { .. } | AuthError::StepUp { .. }) => Some(NO_ACCOUNT),
            Self::Account(AccountError::Denied { .. }) | Self::Role(RoleError::NoRole(_)) => {
                Some(NO_ACCOUNT)
            }
            Self::Auth(AuthError::Unavailable { .. } | AuthError::Misconfigured { .. })
            | Self::Account(AccountError::Directory(_) | AccountError::RoleStore(_))
            | Self::Role(RoleError::Foreign(_))
            | Self::Identity(_)
            | Self::SetupTimeout
            | Self::SetupOverload
            | Self::Lost => None,
        }
    }
}
