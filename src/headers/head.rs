//! A head that is free of what only davgate may say, and of what concerned the client's connection.

use std::sync::Arc;

use http::header::{AUTHORIZATION, CONNECTION, HOST, MAX_FORWARDS, TE, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};

use super::names::{DPOP, TRACEPARENT};
use super::{ACCESS_TOKEN, HeaderFault, list, names};
use crate::model::TraceContext;

/// A request head without anything a client may not say, and without what concerned only the client's connection.
///
/// Made by [`super::Reserved::clean`] alone; the forwarder takes nothing else, so that no path around the removal exists.
#[derive(Debug)]
pub struct CleanHead {
    pub(crate) parts: Parts,
    pub(crate) upgrade: Option<HeaderValue>,
    pub(crate) trailers_wanted: bool,
    pub(crate) authorization_is_hop_by_hop: bool,
    /// Names of this configuration that no trailer may have.
    pub(crate) configured: Option<Arc<[HeaderName]>>,
    reva: Option<PresentedReva>,
}

/// The one `x-access-token` of a request, which nobody has looked at: it was taken out, and only as a
/// [`crate::identity::ReturnedToken`] it finds its way to a backend.
#[derive(Debug)]
pub struct PresentedReva(HeaderValue);

impl PresentedReva {
    pub(crate) fn into_value(self) -> HeaderValue {
        self.0
    }
}

impl CleanHead {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            upgrade: None,
            trailers_wanted: false,
            authorization_is_hop_by_hop: false,
            configured: None,
            reva: None,
            parts,
        }
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.parts.method
    }

    /// The target as the client sent it.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.parts.uri
    }

    /// The client's version of HTTP.
    #[must_use]
    pub fn version(&self) -> Version {
        self.parts.version
    }

    /// What is left of the headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// Whether the client asks for another protocol on its connection.
    #[must_use]
    pub fn wants_upgrade(&self) -> bool {
        self.upgrade.is_some()
    }

    /// Counts a hop of an OPTIONS request that says how many it may take. Whether this was the last (RFC 9110 section 7.6.2).
    pub fn ends_here(&mut self) -> bool {
        if self.parts.method != Method::OPTIONS {
            return false;
        }
        let Some(value) = self.parts.headers.get_mut(MAX_FORWARDS) else {
            return false;
        };
        let digits = value.as_bytes();
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return false;
        }
        // More hops than a number can say are as good as any.
        let hops: u32 = value
            .to_str()
            .unwrap_or_default()
            .parse()
            .unwrap_or(u32::MAX);
        *value = HeaderValue::from(hops.saturating_sub(1));
        hops == 0
    }

    /// The reva token that came with the request, to be verified.
    pub fn take_reva(&mut self) -> Option<PresentedReva> {
        self.reva.take()
    }

    /// Takes out a credential that is not for the backend, and the proof (RFC 9449) that came with it.
    pub(crate) fn drop_authorization(&mut self) {
        self.parts.headers.remove(AUTHORIZATION);
        self.parts.headers.remove(DPOP);
    }

    /// Of two nobody can tell which counts, and one that `Connection` names ends here.
    pub(super) fn keep_reva(&mut self, doomed: &[HeaderName]) {
        if doomed.iter().filter(|name| **name == ACCESS_TOKEN).count() != 1 {
            return;
        }
        self.reva = self.parts.headers.remove(ACCESS_TOKEN).map(PresentedReva);
    }

    /// The backend continues this trace.
    pub(crate) fn continue_trace(&mut self, context: &TraceContext) {
        if let Ok(value) = HeaderValue::from_bytes(&context.header()) {
            self.parts.headers.insert(TRACEPARENT, value);
        }
    }

    /// Takes a header out.
    pub(crate) fn take(&mut self, name: &HeaderName) -> Option<HeaderValue> {
        self.parts.headers.remove(name)
    }

    /// Replaces the value of a header that the client sent and that may pass (`Destination`, `If`); others are left alone.
    pub fn rewrite(&mut self, name: &HeaderName, value: HeaderValue) {
        if let Some(slot) = self.parts.headers.get_mut(name) {
            *slot = value;
        }
    }

    /// Reads `Connection`, `Upgrade` and `TE` before they go, and dooms what `Connection` names.
    pub(super) fn read_connection(
        &mut self,
        doomed: &mut Vec<HeaderName>,
    ) -> Result<(), HeaderFault> {
        let headers = &self.parts.headers;
        let mut upgrade = false;
        for token in list(headers, &CONNECTION) {
            if token.eq_ignore_ascii_case(b"keep-alive") || token.eq_ignore_ascii_case(b"close") {
                continue;
            }
            if token.eq_ignore_ascii_case(b"upgrade") {
                upgrade = true;
                continue;
            }
            let Ok(name) = HeaderName::from_bytes(token) else {
                continue;
            };
            if names::frames_the_message(&name) {
                return Err(HeaderFault::Framing);
            }
            if name == AUTHORIZATION {
                self.authorization_is_hop_by_hop = true;
            } else if name != HOST {
                doomed.push(name);
            }
        }
        // RFC 9110 section 7.8: an Upgrade without a Connection that names it, or in HTTP/1.0, means nothing.
        if upgrade && self.parts.version == Version::HTTP_11 {
            self.upgrade = headers.get(UPGRADE).cloned();
        }
        self.trailers_wanted = list(headers, &TE).any(|t| t.eq_ignore_ascii_case(b"trailers"));
        Ok(())
    }
}
