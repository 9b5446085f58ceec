//! Header names that only davgate may speak, those of one hop only, and the heads that are free of both.

#[cfg(test)]
mod fuzz;
mod head;
mod identity;
mod names;

use std::sync::Arc;

use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Version};

use crate::config::routes::Policy;
use crate::model::{Fault, Reason};

pub(crate) use head::{CleanHead, PresentedReva};
pub use identity::IdentityHeaders;
pub(crate) use identity::RemoteHeaders;
pub(crate) use names::{ACCESS_TOKEN, MFA, TRACESTATE, X_REQUEST_ID, trace_context};
pub use names::{Class, classify};

/// The names no client may send: the fixed ones (docs/design/hardening.md rows 31-37) and those the configuration gives a meaning.
#[derive(Debug, Clone, Default)]
pub struct Reserved {
    /// Names that tell backends of this configuration who somebody is, folded.
    identity: Vec<HeaderName>,
    /// These, and the names that routes set for other reasons (`additional_headers`), folded: no other spelling and no
    /// trailer may stand in for them.
    configured: Option<Arc<[HeaderName]>>,
}

/// Longest value of one header (docs/design/design.md 2, Sizes).
const MAX_VALUE: usize = 32 * 1024;

/// Longest header block, counted as HTTP/1 writes it, for HTTP/2 too (docs/design/design.md 2, Sizes). The request line has a limit of
/// its own.
const MAX_BLOCK: usize = 64 * 1024;

/// Header fields of a request (docs/design/design.md 2, Sizes).
pub(crate) const MAX_FIELDS: usize = 128;

/// Header fields of a backend's answer (docs/design/design.md 2, Answers of backends).
pub(crate) const MAX_ANSWER_FIELDS: usize = 256;

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
    /// A value is longer than 32 KiB, all headers together are longer than 64 KiB, or more than 128.
    #[error(
        "a header value has more than 32 KiB, or the header block more than 64 KiB or 128 fields"
    )]
    TooLarge,
}

impl HeaderFault {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(self) -> Fault {
        Fault::Caller
    }

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
        let mut fields = 0;
        for (name, value) in &parts.headers {
            // HTTP/2 may have a line for each cookie (RFC 9113 section 8.2.3).
            fields += usize::from(*name != COOKIE);
            block += name.as_str().len() + value.len() + LINE_OVERHEAD;
            if value.len() > MAX_VALUE || block > MAX_BLOCK || fields > MAX_FIELDS {
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
        let mut clean = CleanHead::new(parts);
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
        if trace_state && names::trace_context(&clean.parts.headers).is_none() {
            doomed.extend([names::TRACEPARENT, names::TRACESTATE]);
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

/// One coding, and it is `chunked`; or a length as everybody writes it (docs/design/hardening.md rows 4 and 5).
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

/// Removes the trailers that could pass for a header with a meaning (docs/design/hardening.md row 22), in whatever spelling.
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
