//! Header names that only davgate may speak, those of one hop only, and the heads that are free of both.

mod identity;
mod names;

use std::sync::Arc;

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, MAX_FORWARDS, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version};

use crate::config::routes::Policy;
use crate::model::Reason;

pub use identity::{IdentityHeaders, RemoteHeaders};
pub(crate) use names::{ACCESS_TOKEN, MFA, X_REQUEST_ID};
pub use names::{Class, classify};

/// The names no client may send: the fixed ones (hardening.md rows 31-37) and those the configuration gives a meaning.
#[derive(Debug, Clone, Default)]
pub struct Reserved {
    /// Names that tell backends of this configuration who somebody is, folded.
    identity: Vec<HeaderName>,
    /// These, and the names that routes set for other reasons (`additional_headers`), folded: no other spelling and no
    /// trailer may stand in for them.
    configured: Option<Arc<[HeaderName]>>,
}

/// A request head without anything a client may not say, and without what concerned only the client's connection.
///
/// Made by [`Reserved::clean`] alone; the forwarder takes nothing else, so that no path around the removal exists.
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

/// Longest value of one header (design.md 2, Sizes).
const MAX_VALUE: usize = 32 * 1024;

/// Longest header block, counted as HTTP/1 writes it, for HTTP/2 too (design.md 2, Sizes). The request line has a limit of
/// its own.
const MAX_BLOCK: usize = 64 * 1024;

/// Colon, blank and line end.
const LINE_OVERHEAD: usize = 4;

/// Why a request head is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    /// A name with a meaning, with `_` or another byte in place of a dash, which CGI-like backends read as the real one.
    #[error("a reserved header name is spelled with underscores or other signs in place of dashes")]
    Underscore,
    /// The message is framed in a way that others may read differently, or `Connection` names a header that frames it.
    #[error("the framing is ambiguous")]
    Framing,
    /// A value is longer than 32 KiB, or all headers together are longer than 64 KiB.
    #[error("a header value has more than 32 KiB, or the header block more than 64 KiB")]
    TooLarge,
}

impl HeaderFault {
    /// The word for log and body.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Underscore => Reason::Underscore,
            Self::Framing => Reason::Framing,
            Self::TooLarge => Reason::HeaderTooLarge,
        }
    }
}

impl Reserved {
    /// The fixed names, every `remote_user_header` and all `additional_headers` of any route of any policy.
    #[must_use]
    pub fn new(policies: &[Policy]) -> Self {
        let routes = || policies.iter().flat_map(|policy| &policy.routes);
        let users = routes().filter_map(|route| route.remote_user_header.as_ref());
        // A name that is odd itself would have its plain spelling for a twin.
        let is_odd = |name: &&HeaderName| !names::is_plain(name.as_str().as_bytes());
        let added = || routes().flat_map(|route| &route.additional_headers);
        let odd = added().map(|(name, _)| name).filter(is_odd);
        let identity = distinct(users.chain(odd));
        let all = identity.iter().chain(added().map(|(name, _)| name));
        let configured = distinct(all);
        Self {
            configured: (!configured.is_empty()).then(|| configured.into()),
            identity,
        }
    }

    /// Takes out what a client may not say. `Authorization` and `Host` stay, they are read before forwarding.
    ///
    /// Whoever believes a trusted proxy's `X-Forwarded-*` reads them before this.
    ///
    /// # Errors
    /// See [`HeaderFault`].
    pub fn clean<B>(&self, request: Request<B>) -> Result<(CleanHead, B), HeaderFault> {
        let (parts, body) = request.into_parts();
        let mut doomed: Vec<HeaderName> = Vec::new();
        let mut hop_by_hop = false;
        let mut trace_state = false;
        let mut block = 0;
        for (name, value) in &parts.headers {
            block += name.as_str().len() + value.len() + LINE_OVERHEAD;
            if value.len() > MAX_VALUE || block > MAX_BLOCK {
                return Err(HeaderFault::TooLarge);
            }
            if names::frames_the_message(name) && !frames_plainly(name, value) {
                return Err(HeaderFault::Framing);
            }
            match self.class(name)? {
                Class::Free => {}
                Class::HopByHop => {
                    hop_by_hop = true;
                    doomed.push(name.clone());
                }
                Class::Reserved => doomed.push(name.clone()),
                Class::Trace => trace_state = true,
            }
        }
        if parts.version < Version::HTTP_11 {
            // RFC 9110 section 10.1.1: nobody there knows what it means.
            doomed.push(EXPECT);
        }
        let mut clean = CleanHead {
            upgrade: None,
            trailers_wanted: false,
            authorization_is_hop_by_hop: false,
            configured: None,
            reva: None,
            parts,
        };
        if hop_by_hop {
            if clean
                .parts
                .headers
                .get_all(TRANSFER_ENCODING)
                .iter()
                .count()
                > 1
            {
                return Err(HeaderFault::Framing);
            }
            clean.read_connection(&mut doomed)?;
            if clean.trailers_wanted {
                clean.configured.clone_from(&self.configured);
            }
        }
        if trace_state && !names::trace_context_is_well_formed(&clean.parts.headers) {
            doomed.extend(names::TRACE_CONTEXT);
        }
        clean.keep_reva(&doomed);
        for name in doomed {
            clean.parts.headers.remove(name);
        }
        Ok((clean, body))
    }

    fn class(&self, name: &HeaderName) -> Result<Class, HeaderFault> {
        let bytes = name.as_str().as_bytes();
        if !names::is_plain(bytes) {
            return self.class_of_odd_spelling(bytes);
        }
        match classify(bytes) {
            Class::Free if self.identity.contains(name) => Ok(Class::Reserved),
            class => Ok(class),
        }
    }

    /// CGI turns `-` into `_`, and some servers do so with whatever is no letter or digit: such a spelling of a name with a
    /// meaning may reach a backend as that name. Other names of that kind are dropped, as nginx does.
    #[cold]
    fn class_of_odd_spelling(&self, name: &[u8]) -> Result<Class, HeaderFault> {
        let folded = names::folded(name);
        let has_meaning = names::has_meaning(&folded)
            || self
                .configured
                .iter()
                .flat_map(|configured| configured.iter())
                .any(|name| name.as_str().as_bytes() == folded);
        if has_meaning {
            Err(HeaderFault::Underscore)
        } else {
            Ok(Class::Reserved)
        }
    }
}

/// Each name once, folded; those with a fixed meaning need no word of the configuration.
fn distinct<'n>(names: impl Iterator<Item = &'n HeaderName>) -> Vec<HeaderName> {
    let mut distinct = Vec::new();
    for name in names {
        let folded = names::folded(name.as_str().as_bytes());
        if !names::has_meaning(&folded)
            && let Ok(name) = HeaderName::from_bytes(&folded)
            && !distinct.contains(&name)
        {
            distinct.push(name);
        }
    }
    distinct
}

impl CleanHead {
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
        self.parts.headers.remove("dpop");
    }

    /// Of two nobody can tell which counts, and one that `Connection` names ends here.
    fn keep_reva(&mut self, doomed: &[HeaderName]) {
        if doomed.iter().filter(|name| **name == ACCESS_TOKEN).count() != 1 {
            return;
        }
        self.reva = self.parts.headers.remove(ACCESS_TOKEN).map(PresentedReva);
    }

    /// Replaces the value of a header that the client sent and that may pass (`Destination`, `If`); others are left alone.
    pub fn rewrite(&mut self, name: &HeaderName, value: HeaderValue) {
        if let Some(slot) = self.parts.headers.get_mut(name) {
            *slot = value;
        }
    }

    /// Reads `Connection`, `Upgrade` and `TE` before they go, and dooms what `Connection` names.
    fn read_connection(&mut self, doomed: &mut Vec<HeaderName>) -> Result<(), HeaderFault> {
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

/// One coding, and it is `chunked`; or a length as everybody writes it (hardening.md rows 4 and 5).
fn frames_plainly(name: &HeaderName, value: &HeaderValue) -> bool {
    let value = value.as_bytes();
    if *name == TRANSFER_ENCODING {
        return value.eq_ignore_ascii_case(b"chunked");
    }
    value == b"0" || (value.iter().all(u8::is_ascii_digit) && !value.starts_with(b"0"))
}

/// The members of a comma-separated header, trimmed, empty ones left out.
pub(crate) fn list<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    headers
        .get_all(name)
        .into_iter()
        .flat_map(|value| value.as_bytes().split(|b| *b == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty())
}

/// Removes what a backend's answer may not tell a client: headers of its connection, and the token it was called with.
///
/// `Trailer` stays: the HTTP library sends only trailers it announces. A 426 keeps its `Upgrade`, which says what to change
/// to (RFC 9110 section 15.5.22), and a 204 has no length, which HTTP/2 would pass on.
pub(crate) fn clean_response(status: StatusCode, headers: &mut HeaderMap) {
    let upgrade = (status == StatusCode::UPGRADE_REQUIRED)
        .then(|| headers.get(UPGRADE).cloned())
        .flatten();
    if status == StatusCode::NO_CONTENT {
        headers.remove(CONTENT_LENGTH);
    }
    let mut doomed: Vec<HeaderName> = Vec::new();
    for name in headers.keys() {
        match classify(name.as_str().as_bytes()) {
            Class::HopByHop => doomed.push(name.clone()),
            Class::Reserved if *name == ACCESS_TOKEN => doomed.push(name.clone()),
            _ => {}
        }
    }
    if doomed.contains(&CONNECTION) {
        let listed: Vec<HeaderName> = list(headers, &CONNECTION)
            .filter_map(|token| HeaderName::from_bytes(token).ok())
            .filter(|name| !names::frames_the_message(name))
            .collect();
        doomed.extend(listed);
    }
    for name in doomed {
        headers.remove(name);
    }
    if let Some(protocol) = upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol);
    }
}

/// Removes the trailers that could pass for a header with a meaning (hardening.md row 22), in whatever spelling.
/// `configured`: names to which the configuration gives one.
pub(crate) fn filter_trailers(trailers: &mut HeaderMap, configured: &[HeaderName]) {
    let doomed: Vec<HeaderName> = trailers
        .keys()
        .filter(|name| {
            let bytes = name.as_str().as_bytes();
            !names::is_plain(bytes)
                || names::has_meaning(bytes)
                || **name == TRAILER
                || configured.contains(*name)
        })
        .cloned()
        .collect();
    for name in doomed {
        trailers.remove(name);
    }
}

#[cfg(test)]
mod tests;
