//! Signed URLs: who holds one may do the one thing that it says, until its time is over (docs/design/contract.md 9.7).
//!
//! Two kinds: signed by a person's client with the key that the backend keeps for them, and signed by a server with the
//! deployment's secret. Both are read here, in full, before any key is looked for.

mod client;
mod form;
mod server;
mod signatures;

use http::Method;

pub(crate) use client::ClientSigned;
pub(crate) use server::ServerSigned;
pub(crate) use signatures::{NotVerified, Signatures, SigningKey};

/// A request as it came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Presented<'a> {
    /// Its method.
    pub method: &'a Method,
    /// The authority of an absolute-form target, else `Host`.
    pub host: &'a str,
    /// The scheme of an absolute-form target.
    pub scheme: Option<&'a str>,
    /// The path as it came, escapes and all.
    pub path: &'a str,
    /// The query as it came, without `?`.
    pub query: &'a str,
}

/// Why a signed URL counts for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SignedUrlError {
    /// A part is missing, there twice, or unreadable.
    #[error("{0} is missing, there twice or unreadable")]
    Malformed(&'static str),
    /// The method is not one that signed URLs may have.
    #[error("signed URLs may not have this method")]
    Method,
    /// It was signed for another method.
    #[error("it is signed for another method")]
    Verb,
    /// Its time is over.
    #[error("its time is over")]
    Expired,
    /// It was signed for another address.
    #[error("it is signed for another address")]
    Target,
    /// The person has no key, or an empty one.
    #[error("there is no key that it could be signed with")]
    NoKey,
    /// The signature is another.
    #[error("the signature is wrong")]
    Signature,
}

impl Presented<'_> {
    /// Scheme and authority as the signer saw them: always https, unless the target itself says otherwise.
    fn origin(&self) -> String {
        format!("{}://{}", self.scheme.unwrap_or("https"), self.host)
    }
}

#[cfg(test)]
mod tests;
