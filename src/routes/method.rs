//! Which methods are registered for HTTP or WebDAV.

use http::Method;

/// The IANA registry without `PRI`, which is no method, in the order of the alphabet.
const REGISTERED: [&str; 39] = [
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "CONNECT",
    "COPY",
    "DELETE",
    "GET",
    "HEAD",
    "LABEL",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "OPTIONS",
    "ORDERPATCH",
    "PATCH",
    "POST",
    "PROPFIND",
    "PROPPATCH",
    "PUT",
    "QUERY",
    "REBIND",
    "REPORT",
    "SEARCH",
    "TRACE",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
];

/// Whether the method is registered for HTTP or WebDAV. Names have case: `get` is not `GET`.
#[must_use]
pub(crate) fn is_registered_method(method: &Method) -> bool {
    REGISTERED.binary_search(&method.as_str()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_17_a_lower_case_get_is_a_method_of_its_own() {
        assert!(REGISTERED.is_sorted());
        assert!(Method::from_bytes(b"GE;T").is_err());
        let lower = Method::from_bytes(b"get").unwrap();
        assert!(is_registered_method(&Method::GET));
        assert!(!is_registered_method(&lower));
    }
}
