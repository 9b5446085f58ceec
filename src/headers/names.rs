//! Which header names mean what. One pass over a head asks [`classify`] per name, so it has to be cheap.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName};

use crate::model::TraceContext;

/// What a header name is to a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It passes.
    Free,
    /// It concerns one connection only (RFC 9110 section 7.6.1).
    HopByHop,
    /// Only davgate may say it (docs/design/hardening.md rows 31-37).
    Reserved,
    /// Trace context: passes if well formed (row 36).
    Trace,
}

/// The reva token.
pub(crate) const ACCESS_TOKEN: HeaderName = HeaderName::from_static("x-access-token");
/// The proof of a bound token (RFC 9449 section 4.1).
pub(super) const DPOP: HeaderName = HeaderName::from_static("dpop");
/// oCIS: whether the login had a second factor (docs/design/contract.md 9.15).
pub(crate) const MFA: HeaderName = HeaderName::from_static("x-multi-factor-authentication");
/// The request's id.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Which trace a request belongs to.
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// What tracers on the way add to it.
pub(crate) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The class of a name in lower case, as `HeaderName` keeps it.
#[must_use]
pub fn classify(name: &[u8]) -> Class {
    let Some((first, rest)) = name.split_first() else {
        return Class::Free;
    };
    match first {
        b'x' => match rest.strip_prefix(b"-") {
            Some(rest) if is_reserved_after_x(rest) => Class::Reserved,
            _ => Class::Free,
        },
        b'c' => match rest {
            b"onnection" => Class::HopByHop,
            b"lient-cert" | b"lient-cert-chain" => Class::Reserved,
            _ => Class::Free,
        },
        b't' => match rest {
            b"e" | b"ransfer-encoding" => Class::HopByHop,
            b"rue-client-ip" => Class::Reserved,
            b"raceparent" | b"racestate" => Class::Trace,
            _ => Class::Free,
        },
        b'u' if rest == b"pgrade" => Class::HopByHop,
        b'k' if rest == b"eep-alive" => Class::HopByHop,
        b'p' if rest.starts_with(b"roxy-") => Class::HopByHop,
        // CGI makes the backend's own HTTP_PROXY of it.
        b'p' if rest == b"roxy" => Class::Reserved,
        b'h' if rest == b"ttp2-settings" => Class::HopByHop,
        b'r' if rest.starts_with(b"emote-") => Class::Reserved,
        b'f' if rest == b"orwarded" => Class::Reserved,
        b'a' if rest == b"ccount-id" => Class::Reserved,
        b's' if rest.starts_with(b"sl-client-") => Class::Reserved,
        b'g' if rest.starts_with(b"rpc-metadata-") => Class::Reserved,
        _ => Class::Free,
    }
}

fn is_reserved_after_x(rest: &[u8]) -> bool {
    match rest.first() {
        Some(b'a') => {
            matches!(rest, b"access-token" | b"account-uuid" | b"auth-user")
                || rest.starts_with(b"auth-request-")
        }
        Some(b'c') => rest.starts_with(b"client-cert") || rest == b"client-ip",
        Some(b'f') => rest.starts_with(b"forwarded"),
        Some(b'h') => matches!(rest, b"http-method-override" | b"http-method"),
        Some(b'm') => matches!(rest, b"multi-factor-authentication" | b"method-override"),
        Some(b'o') => {
            matches!(rest, b"original-url" | b"original-uri" | b"original-host")
                || (rest.starts_with(b"oc-") && rest != b"oc-mtime")
        }
        Some(b'r') => {
            matches!(rest, b"real-ip" | b"rewrite-url")
                || rest.starts_with(b"remote-")
                || (rest.starts_with(b"reva-") && rest != b"reva-transfer")
        }
        Some(b's') => rest.starts_with(b"ssl-client-"),
        Some(b'w') => rest.starts_with(b"webauth-"),
        _ => false,
    }
}

/// Names that pass, but whose meaning decides about identity, routing or framing: no other spelling and no trailer may
/// stand in for them.
pub(super) fn has_fixed_meaning(name: &[u8]) -> bool {
    matches!(
        name,
        b"authorization"
            | b"content-length"
            | b"content-encoding"
            | b"content-type"
            | b"content-range"
            | b"cookie"
            | b"set-cookie"
            | b"host"
            | b"expect"
            | b"destination"
            | b"x-request-id"
            | b"public-token"
            | b"www-authenticate"
            | b"cache-control"
            | b"location"
    )
}

/// Whether a name has a meaning of its own, here or on the way.
pub(super) fn has_meaning(name: &[u8]) -> bool {
    classify(name) != Class::Free || has_fixed_meaning(name)
}

/// Letters, digits and dashes mean themselves to every server.
const PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric() || byte as u8 == b'-';
        byte += 1;
    }
    table
};

/// Whether nobody reads the name as another one.
pub(super) fn is_plain(name: &[u8]) -> bool {
    name.iter().all(|byte| PLAIN[usize::from(*byte)])
}

/// The name as the most forgiving server reads it: a dash for each byte that is none of the plain ones.
pub(super) fn folded(name: &[u8]) -> Vec<u8> {
    let plain = |byte: &u8| {
        if PLAIN[usize::from(*byte)] {
            *byte
        } else {
            b'-'
        }
    };
    name.iter().map(plain).collect()
}

pub(super) fn frames_the_message(name: &HeaderName) -> bool {
    *name == CONTENT_LENGTH || *name == TRANSFER_ENCODING
}

/// What the one `traceparent` says, if it is one (W3C Trace Context section 3.2). `tracestate` goes with it.
pub(crate) fn trace_context(headers: &HeaderMap) -> Option<TraceContext> {
    let mut values = headers.get_all(&TRACEPARENT).into_iter();
    match (values.next(), values.next()) {
        (Some(value), None) => TraceContext::parse(value.as_bytes()),
        _ => None,
    }
}
