//! Why a call to an issuer did not give an answer.

use std::time::Duration;

use crate::trust::CaFileError;

/// The call failed before there was a usable answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No connection: refused, unreachable, or the name does not resolve.
    #[error("no connection: {0}")]
    Refused(String),
    /// No connection or answer in time.
    #[error("no answer in time")]
    Timeout,
    /// The TLS handshake failed.
    #[error("TLS: {0}{hint}", hint = hint(.0))]
    Tls(String),
    /// The answer is not HTTP, or it was cut.
    #[error("unusable answer: {0}")]
    Protocol(String),
    /// The answer is larger than 1 MiB.
    #[error("the answer is larger than 1 MiB")]
    TooLarge,
    /// A redirect that is not followed.
    #[error("redirected {0}")]
    Redirect(String),
    /// The address cannot be called.
    #[error("address: {0}")]
    Address(String),
    /// Not called, because the remote asked for patience or was unreachable a moment ago.
    #[error("not called again yet")]
    Backoff {
        /// When it may be called.
        retry_after: Duration,
    },
    /// Too many calls are under way.
    #[error("too many calls under way")]
    Busy,
}

/// What can be done about a handshake that failed, by rustls' own words.
fn hint(why: &str) -> &'static str {
    // What rustls says of an answer in plain text.
    let is_plain = [
        "corrupt message",
        "InvalidContentType",
        "unexpected message",
    ];
    if is_plain.iter().any(|words| why.contains(words)) {
        "; no TLS is spoken on that port: the address has to begin with http://, or name the port of https"
    } else if why.contains("UnknownIssuer") {
        "; if the issuer has a private certificate authority, name it in PROXY_HTTPS_CACERT"
    } else if why.contains("NotValidForName") {
        "; the certificate is for another name"
    } else if why.contains("Expired") {
        "; the certificate is expired"
    } else {
        ""
    }
}

impl CallError {
    /// When it makes sense to try again, at least a second.
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        match self {
            Self::Backoff { retry_after } => (*retry_after).max(Duration::from_secs(1)),
            _ => Duration::from_secs(1),
        }
    }

    /// Whether the remote as a whole is out of reach.
    pub(crate) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Timeout | Self::Tls(_))
    }
}

/// The client could not be built.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The file of certificate authorities cannot be used.
    #[error("backend_https_cacert (PROXY_HTTPS_CACERT): {0}")]
    CaFile(#[from] CaFileError),
    /// rustls refused the configuration.
    #[error("TLS configuration: {0}")]
    Tls(#[from] rustls::Error),
}
