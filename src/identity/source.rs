//! Where identities come from: minted here, or given out by the CS3 gateway.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderValue;

use crate::model::{Account, Fault, Role, UnixTime};

/// Gives out the token that backends are told in the name of an account. Called once at the set-up of a session, and again
/// when half the token's life is over or the account has changed; never beside a request that waits.
#[async_trait]
pub trait IdentitySource: Debug + Send + Sync {
    /// A token for this account with this role, as of `now`.
    ///
    /// # Errors
    /// [`IdentityError`]; what was given out before stays good.
    async fn issue(
        &self,
        account: &Account,
        role: Option<Role>,
        now: UnixTime,
    ) -> Result<Issued, IdentityError>;
}

/// A token for backends, and how long it may be told.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The reva token.
    pub access_token: HeaderValue,
    /// It is renewed from then on: at half its life.
    pub renew_at: UnixTime,
    /// It is told to nobody from then on.
    pub last_at: UnixTime,
}

/// A token is told to no backend in its last minute.
const MARGIN: Duration = Duration::from_secs(60);

impl Issued {
    /// Of a token that is good from `now` for `lifetime`.
    ///
    /// # Errors
    /// [`IdentityError::Ours`] if the token is no header value.
    pub fn new(token: &str, now: UnixTime, lifetime: Duration) -> Result<Self, IdentityError> {
        let mut access_token = header(token)?;
        access_token.set_sensitive(true);
        let renew_at = now.plus(lifetime / 2);
        Ok(Self {
            access_token,
            renew_at,
            last_at: now.plus(lifetime.saturating_sub(MARGIN)).max(renew_at),
        })
    }
}

/// Why there is no identity.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IdentityError {
    /// Signing or encoding failed: our fault.
    #[error("the identity could not be made: {0}")]
    Ours(String),
    /// Who gives identities out could not be asked, or gave no usable answer; nothing is known.
    #[error("no identity was given out: {0}")]
    Unavailable(String),
    /// Who gives identities out knows no such account, or does not let it in.
    #[error("no identity is given out for this account: {0}")]
    Refused(String),
}

impl IdentityError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Ours(_) => Fault::Ours,
            Self::Unavailable(_) | Self::Refused(_) => Fault::Remote,
        }
    }
}

pub(super) fn header(text: &str) -> Result<HeaderValue, IdentityError> {
    HeaderValue::from_str(text).map_err(|error| IdentityError::Ours(error.to_string()))
}
