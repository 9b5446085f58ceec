//! A request whose URL carries its own permission (docs/design/contract.md 9.7).

use http::header::HOST;
use http::{HeaderMap, HeaderValue, Method, Uri};

/// What is looked at of a request with `OC-Signature` or `oc-jwt-sig`: the URL was signed for one method and host.
#[derive(Debug, Clone)]
pub struct SignedRequest {
    /// The method.
    pub method: Method,
    /// The target, with its query.
    pub uri: Uri,
    /// `Host`, as it was sent.
    pub host: HeaderValue,
}

/// A client's signature, and a server's.
const SIGNATURES: [&str; 2] = ["OC-Signature=", "oc-jwt-sig="];

impl SignedRequest {
    /// The request, if its URL is signed.
    #[must_use]
    pub fn of(method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<Self> {
        let mut pairs = uri.query()?.split('&');
        pairs.find(|pair| SIGNATURES.iter().any(|name| pair.starts_with(name)))?;
        let host = headers.get(HOST).cloned().or_else(|| {
            let authority = uri.authority()?;
            HeaderValue::from_str(authority.as_str()).ok()
        })?;
        Some(Self {
            method: method.clone(),
            uri: uri.clone(),
            host,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_signed_if_it_says_so() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("cloud.example"));
        let of = |uri: &'static str| {
            let uri = Uri::from_static(uri);
            SignedRequest::of(&Method::GET, &uri, &headers)
        };
        let signed = of("/dav/a?OC-Verb=GET&OC-Signature=00").unwrap();
        assert_eq!(signed.host, "cloud.example");
        assert!(of("/dav/a").is_none() && of("/dav/a?x=OC-Signature=").is_none());
    }
}
