//! The one table from failures to answers. Nothing else in the gateway chooses a status for a failure.
#![deny(clippy::wildcard_enum_match_arm)]

mod credentials;
mod unmet;

use std::borrow::Cow;
use std::time::Duration;

use http::StatusCode;

use self::credentials::{auth, invalid_token, presented, proof};
use crate::accounts::AccountError;
use crate::auth::{AuthError, ProofError};
use crate::credentials::CredentialError;
use crate::headers::HeaderFault;
use crate::identity::IdentityError;
use crate::model::{Fault, Reason};
use crate::roles::RoleError;
use crate::routes::RouteError;
use crate::rpc::RpcError;
use crate::session::LoadError;
use crate::upstream::{BackendFault, UpstreamError};

/// Why a request is not forwarded, or its answer not passed on: one variant per stage.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GatewayError {
    /// The head breaks HTTP's grammar.
    #[error("the head cannot be read")]
    UnreadableHead,
    /// The head.
    #[error(transparent)]
    Headers(#[from] HeaderFault),
    /// The route.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// No credential, and the route needs one.
    #[error("no credential")]
    NoCredential,
    /// What came is no credential.
    #[error(transparent)]
    Presented(#[from] CredentialError),
    /// The credential, before any session.
    #[error(transparent)]
    Credential(#[from] AuthError),
    /// The session.
    #[error(transparent)]
    Session(#[from] LoadError),
    /// The proof of possession that has to come with the token.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// A claim that the route requires is not there.
    #[error("the route requires {0}")]
    RouteClaim(String),
    /// The policies do not allow it.
    #[error("the policies do not allow {} of {:?}", .0.method, .0.filename)]
    Denied(Box<DeniedOperation>),
    /// The policies could not be asked.
    #[error(transparent)]
    Policies(#[from] RpcError),
    /// The identity does not fit into headers.
    #[error("the groups take more than 8 KiB")]
    IdentityTooLarge,
    /// An `Expect` that is not `100-continue`.
    #[error("expectation not supported")]
    Expectation,
    /// A document of the issuer that is to be answered is not at hand.
    #[error("no document of the issuer: {detail}")]
    IssuerDocument {
        /// For the log.
        detail: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// What came to the logout endpoint ends no session.
    #[error("no logout: {detail}")]
    Logout {
        /// The stable word.
        reason: Reason,
        /// For the issuer.
        description: &'static str,
        /// For the log.
        detail: String,
    },
    /// A local endpoint does not know the method.
    #[error("method not allowed here")]
    LocalMethod,
    /// The backend.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// A panic in a handler.
    #[error("the handler panicked")]
    Panic,
}

/// What the policies do not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeniedOperation {
    /// The request's method.
    pub method: String,
    /// Name of the file it is about.
    pub filename: String,
    /// The path it names.
    pub path: String,
}

/// How a failure is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Status for the client.
    pub status: StatusCode,
    /// Stable word, for body, log and metrics.
    pub reason: Reason,
    /// What the client is told; never holds anything internal.
    pub public: Cow<'static, str>,
    /// The challenge of a 401.
    pub challenge: Option<Challenge>,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
    /// What the policies refuse, which the client is told whole.
    pub denied: Option<Box<DeniedOperation>>,
    /// `Allow`, which a 405 has to have (RFC 9110 section 15.5.6).
    pub allow: Option<&'static str>,
}

/// What a challenge is about (RFC 6750 section 3, RFC 9449, RFC 9470 section 3). Its words are in the scheme that the client
/// used, which only the form of the answer knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// No credential was sent.
    Plain,
    /// The credential is bad.
    InvalidToken(&'static str),
    /// The proof is bad.
    InvalidProof(&'static str),
    /// The proof needs this nonce (RFC 9449 section 9).
    UseNonce(String),
    /// A stronger or fresher login is needed.
    StepUp {
        /// Accepted `acr` values.
        acr_values: Vec<String>,
        /// Oldest accepted login.
        max_age: Option<Duration>,
    },
}

/// What any route lets through to its backend, as far as the gateway is concerned.
const USUAL_METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// For failures whose origin names no time.
const RETRY_AFTER: Duration = Duration::from_secs(5);

impl GatewayError {
    /// Whose fault it is.
    #[must_use]
    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::UnreadableHead
            | Self::NoCredential
            | Self::RouteClaim(_)
            | Self::Denied(_)
            | Self::IdentityTooLarge
            | Self::Expectation
            | Self::Logout { .. }
            | Self::LocalMethod => Fault::Caller,
            Self::Headers(error) => error.fault(),
            Self::Route(error) => error.fault(),
            Self::Presented(error) => error.fault(),
            Self::Policies(error) => error.fault(),
            Self::Credential(error) => error.fault(),
            Self::Session(error) => error.fault(),
            Self::Proof(error) => error.fault(),
            Self::IssuerDocument { .. } => Fault::Remote,
            Self::Upstream(error) => error.fault(),
            Self::Panic => Fault::Ours,
        }
    }

    /// The answer to this failure.
    #[must_use]
    pub(crate) fn refusal(&self) -> Refusal {
        match self {
            Self::UnreadableHead => plain(
                StatusCode::BAD_REQUEST,
                Reason::UnreadableHead,
                "the request's head cannot be read",
            ),
            Self::Headers(fault) => plain(
                header_status(*fault),
                fault.reason(),
                "the request's headers are not acceptable",
            ),
            Self::Route(error) => Refusal {
                allow: (*error == RouteError::MethodNotAllowed).then_some(USUAL_METHODS),
                ..plain(route_status(*error), error.reason(), route_text(*error))
            },
            Self::NoCredential => {
                let refusal = plain(
                    StatusCode::UNAUTHORIZED,
                    Reason::NoCredential,
                    "authentication is needed",
                );
                Refusal {
                    challenge: Some(Challenge::Plain),
                    ..refusal
                }
            }
            Self::Presented(error) => presented(*error),
            Self::Credential(error) => auth(error),
            Self::Session(error) => session(error),
            Self::Proof(error) => proof(error),
            Self::RouteClaim(_) => plain(
                StatusCode::FORBIDDEN,
                Reason::RequiredClaim,
                "a required claim is missing",
            ),
            Self::Denied(operation) => Refusal {
                denied: Some(operation.clone()),
                ..plain(
                    StatusCode::FORBIDDEN,
                    Reason::DeniedByPolicy,
                    "Operation denied due to security policies",
                )
            },
            Self::Policies(_) => later(
                Reason::PoliciesUnavailable,
                "the policies could not be asked",
                RETRY_AFTER,
            ),
            Self::IdentityTooLarge => plain(
                StatusCode::FORBIDDEN,
                Reason::IdentityTooLarge,
                "the account is in too many groups",
            ),
            Self::Expectation => plain(
                StatusCode::EXPECTATION_FAILED,
                Reason::ExpectationFailed,
                "only 100-continue can be expected",
            ),
            Self::IssuerDocument { retry_after, .. } => later(
                Reason::IssuerUnavailable,
                "the identity provider could not be asked",
                *retry_after,
            ),
            Self::Logout {
                reason,
                description,
                ..
            } => plain(StatusCode::BAD_REQUEST, *reason, description),
            Self::LocalMethod => Refusal {
                allow: Some("GET, HEAD, OPTIONS"),
                ..plain(
                    StatusCode::METHOD_NOT_ALLOWED,
                    Reason::MethodNotAllowed,
                    "the method may not be used here",
                )
            },
            Self::Upstream(error) => Refusal {
                retry_after: error.retry_after(),
                ..plain(upstream_status(error), error.reason(), upstream_text(error))
            },
            Self::Panic => plain(
                StatusCode::INTERNAL_SERVER_ERROR,
                Reason::Internal,
                "the gateway has a fault",
            ),
        }
    }
}

fn session(error: &LoadError) -> Refusal {
    match error {
        LoadError::Auth(error) => auth(error),
        LoadError::Account(AccountError::Denied { reason, .. }) => {
            plain(StatusCode::FORBIDDEN, *reason, reason.meaning())
        }
        LoadError::Account(AccountError::Directory(_)) => later(
            error.reason(),
            "the account directory could not be asked",
            RETRY_AFTER,
        ),
        LoadError::Account(AccountError::RoleStore(_)) => later(
            error.reason(),
            "the account's role could not be asked for or kept",
            RETRY_AFTER,
        ),
        LoadError::Role(RoleError::NoRole(_)) => plain(
            StatusCode::FORBIDDEN,
            Reason::NoRole,
            "no role is assigned to this account",
        ),
        LoadError::Role(RoleError::Foreign(_)) => later(
            Reason::RoleAttributeForeign,
            "the account's role cannot be read",
            RETRY_AFTER,
        ),
        LoadError::Identity(IdentityError::Unavailable(_) | IdentityError::Refused(_)) => later(
            error.reason(),
            "the account's identity could not be asked for",
            RETRY_AFTER,
        ),
        LoadError::Identity(IdentityError::Ours(_)) | LoadError::Lost => plain(
            StatusCode::INTERNAL_SERVER_ERROR,
            Reason::Internal,
            "the gateway has a fault",
        ),
        LoadError::Ended => invalid_token(Reason::SessionEnded, "the session was ended"),
        LoadError::SetupTimeout => later(
            Reason::SetupTimeout,
            "the login is still being checked",
            Duration::from_secs(1),
        ),
        LoadError::SetupOverload => later(
            Reason::SetupOverload,
            "too many logins at once",
            RETRY_AFTER,
        ),
    }
}

const fn header_status(fault: HeaderFault) -> StatusCode {
    match fault {
        HeaderFault::Underscore | HeaderFault::Framing => StatusCode::BAD_REQUEST,
        HeaderFault::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    }
}

fn route_status(error: RouteError) -> StatusCode {
    match error {
        RouteError::BadTarget
        | RouteError::BadTransfer
        | RouteError::DotSegment
        | RouteError::EscapedSeparator
        | RouteError::BadHost
        | RouteError::BadDestination
        | RouteError::ForeignHost => StatusCode::BAD_REQUEST,
        RouteError::TargetTooLong => StatusCode::URI_TOO_LONG,
        RouteError::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        RouteError::OutsideRoot | RouteError::NoRoute => StatusCode::NOT_FOUND,
        RouteError::ForeignDestination => StatusCode::BAD_GATEWAY,
    }
}

const fn route_text(error: RouteError) -> &'static str {
    match error {
        RouteError::BadTarget | RouteError::DotSegment | RouteError::EscapedSeparator => {
            "the request target is not acceptable"
        }
        RouteError::BadTransfer => "the upload's token is not acceptable",
        RouteError::TargetTooLong => "the request target is too long",
        RouteError::BadHost => "Host is not acceptable",
        RouteError::MethodNotAllowed => "the method may not be used here",
        RouteError::OutsideRoot | RouteError::NoRoute => "nothing is here",
        RouteError::BadDestination => "Destination or If is not acceptable",
        RouteError::ForeignHost | RouteError::ForeignDestination => "the destination is elsewhere",
    }
}

fn upstream_status(error: &UpstreamError) -> StatusCode {
    match error {
        UpstreamError::Backend { fault, .. } => match fault {
            BackendFault::Unreachable(_)
            | BackendFault::Nowhere
            | BackendFault::Broken(_)
            | BackendFault::Malformed(_) => StatusCode::BAD_GATEWAY,
            BackendFault::Timeout(_) | BackendFault::Silent(_) => StatusCode::GATEWAY_TIMEOUT,
            BackendFault::Busy { .. } => StatusCode::SERVICE_UNAVAILABLE,
        },
        UpstreamError::ClientBody(_) => StatusCode::BAD_REQUEST,
        UpstreamError::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn upstream_text(error: &UpstreamError) -> &'static str {
    match upstream_status(error) {
        StatusCode::GATEWAY_TIMEOUT => "the backend does not answer",
        StatusCode::SERVICE_UNAVAILABLE => "the backend is busy",
        StatusCode::BAD_REQUEST => "the request's body broke off",
        StatusCode::INTERNAL_SERVER_ERROR => "the gateway has a fault",
        _ => "the backend could not be reached or gave no usable answer",
    }
}

const fn plain(status: StatusCode, reason: Reason, public: &'static str) -> Refusal {
    Refusal {
        status,
        reason,
        public: Cow::Borrowed(public),
        challenge: None,
        retry_after: None,
        denied: None,
        allow: None,
    }
}

fn later(reason: Reason, public: &'static str, retry_after: Duration) -> Refusal {
    let refusal = plain(StatusCode::SERVICE_UNAVAILABLE, reason, public);
    Refusal {
        retry_after: Some(retry_after),
        ..refusal
    }
}

#[cfg(test)]
mod tests;
