//! Who sent this token? Everything that speaks to an issuer stands below this folder, on the control runtime only.

mod claims;
mod client_credentials;
mod discovery;
mod dpop;
mod hints;
mod inspect;
mod introspection;
mod jose;
mod json;
mod jwk;
mod jws;
mod jwt;
mod keys;
mod latest;
mod logout;
mod oidc;
mod provider;
mod roca;
mod signature;
/// Signed URLs.
pub(crate) mod signed_url;
mod subject;
mod token_kind;
mod userinfo;
mod well_known;

#[cfg(test)]
mod fake_issuer;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod wycheproof;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::credentials::BearerToken;
use crate::model::{Claims, Fault, Reason, UnixTime};

pub(crate) use dpop::{
    Nonces, PROOF_ALGORITHMS, Proof, ProofError, ProvenRequest, Replays, Target,
};
pub(crate) use inspect::{Inspection, inspect};
pub(crate) use jwk::Publication;
pub(crate) use logout::Logout;
pub(crate) use oidc::OidcAuthenticator;
pub use signature::PublicKeys;
pub(crate) use well_known::WellKnown;

/// A person (or client) whose token was verified, with the claims the rest of the set-up decides by.
#[derive(Debug, Clone)]
pub struct IssuerLogin {
    /// Position of the issuer in the configuration.
    pub issuer: usize,
    /// Token and userinfo, merged by the issuer's rule. `iss`, `sub`, `aud`, `exp`, `nbf`, `sid` are the token's.
    pub claims: Claims,
    /// `sub`.
    pub subject: Option<String>,
    /// `sid`, where the token has one.
    pub sid: Option<String>,
    /// `azp`, else `client_id`, else `appid`.
    pub client_id: Option<String>,
    /// `exp`; absent for opaque tokens whose issuer does not tell.
    pub expires_at: Option<UnixTime>,
    /// When a token without expiry (or an introspected one) has to be asked about again.
    pub recheck_at: Option<UnixTime>,
    /// `iat`, for logouts.
    pub issued_at: Option<UnixTime>,
    /// Introspection or userinfo was asked, and said nothing against it.
    pub was_asked_about: bool,
    /// The key of the token's signature, if it was verified by one.
    pub key: Option<Publication>,
    /// The client of `PROXY_SERVICE_CLIENTS` whose own token this is.
    pub service_client: Option<String>,
    /// `auth_time`, for `max_age`.
    pub auth_time: Option<UnixTime>,
}

impl IssuerLogin {
    /// The client of `PROXY_SERVICE_CLIENTS` whose own token this is.
    #[must_use]
    pub fn service_client_id(&self) -> Option<&str> {
        self.service_client.as_deref()
    }
}

/// What is known of a token before anybody is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Whose token it says to be: set-ups of one lane do not wait for those of another.
    pub lane: usize,
    /// Its signature holds by keys that are at hand.
    pub is_proven: bool,
}

/// Turns a token into a login.
///
/// May be called for many tokens at once; the implementation bounds its calls to issuers (64), reuses connections, keeps
/// the last good keys and documents, and remembers `Retry-After` per remote. Safe to cancel, but callers do not: a set-up
/// runs as its own task. Nothing is cached per token here; that is the session's business.
#[async_trait]
pub trait Authenticator: fmt::Debug + Send + Sync {
    /// How many lanes there are.
    fn lanes(&self) -> usize {
        1
    }

    /// What is known of the token without asking anybody.
    fn standing(&self, token: &BearerToken) -> Standing {
        let _ = token;
        Standing {
            lane: 0,
            is_proven: true,
        }
    }

    /// Verifies the token and fetches claims as its issuer's settings say.
    ///
    /// # Errors
    /// See [`AuthError`]: "the token is bad" is never the same variant as "I could not ask".
    async fn authenticate(&self, token: &BearerToken) -> Result<IssuerLogin, AuthError>;
}

/// Why a token did not become a login.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuthError {
    /// The caller's fault: 401, `error="invalid_token"`.
    #[error("{reason}: {detail}")]
    Token {
        /// Stable word.
        reason: Reason,
        /// For the log, without any part of the token but `kid` and `iss`.
        detail: String,
    },
    /// The caller is known but may not enter: 403.
    #[error("{reason}: {detail}")]
    Denied {
        /// Stable word.
        reason: Reason,
        /// For the log.
        detail: String,
    },
    /// The login is too weak or too old: 401 with the challenge of RFC 9470.
    #[error("a stronger or fresher login is needed")]
    StepUp {
        /// Accepted `acr` values.
        acr_values: Vec<String>,
        /// Oldest accepted login.
        max_age: Option<Duration>,
    },
    /// The remote's fault: 503 with `Retry-After`. Nothing is known about the token.
    #[error("{reason}: {detail}")]
    Unavailable {
        /// Stable word.
        reason: Reason,
        /// For the log.
        detail: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// Our fault: the issuer refuses the gateway's own credentials, 502.
    #[error("{reason}: {detail}")]
    Misconfigured {
        /// Stable word.
        reason: Reason,
        /// For the log.
        detail: String,
    },
}

impl AuthError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Token { .. } | Self::Denied { .. } | Self::StepUp { .. } => Fault::Caller,
            Self::Unavailable { .. } => Fault::Remote,
            Self::Misconfigured { .. } => Fault::Ours,
        }
    }

    /// The stable word.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Token { reason, .. }
            | Self::Denied { reason, .. }
            | Self::Unavailable { reason, .. }
            | Self::Misconfigured { reason, .. } => *reason,
            Self::StepUp { .. } => Reason::InsufficientAuthentication,
        }
    }

    /// A token fault.
    pub fn token(reason: Reason, detail: impl Into<String>) -> Self {
        Self::Token {
            reason,
            detail: detail.into(),
        }
    }

    /// An answer of the issuer that makes no sense.
    fn garbage(what: &str, why: &str) -> Self {
        Self::unavailable(
            format!("{what}: unusable answer: {why}"),
            Duration::from_secs(1),
        )
    }

    /// The issuer could not be asked.
    pub fn unavailable(detail: impl Into<String>, retry_after: Duration) -> Self {
        Self::Unavailable {
            reason: Reason::IssuerUnavailable,
            detail: detail.into(),
            retry_after,
        }
    }
}
