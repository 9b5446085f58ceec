//! The discovery document as clients get it from here: the issuer's own bytes, and nothing else of its answer.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;

use super::discovery::Discovery;

/// Answer of the discovery rewrite (docs/design/hardening.md row 85).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WellKnown {
    /// The document, `application/json`.
    pub body: Bytes,
    /// A strong entity tag, quotes included.
    pub etag: String,
    /// `Cache-Control`.
    pub cache_control: &'static str,
}

impl WellKnown {
    pub(super) fn of(discovery: &Discovery) -> Self {
        let hash = digest(&SHA256, &discovery.raw);
        let mut etag = String::with_capacity(34);
        etag.push('"');
        for byte in hash.as_ref().iter().take(16) {
            let _ = write!(etag, "{byte:02x}");
        }
        etag.push('"');
        Self {
            body: discovery.raw.clone(),
            etag,
            cache_control: "public, max-age=300",
        }
    }
}
