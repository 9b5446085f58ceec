//! Metadata of the protected resource (RFC 9728): who gives out tokens for this gateway, and how they are sent. A 401
//! names its address.

use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL};
use http::{HeaderValue, Response};
use serde_json::json;

use crate::auth::PROOF_ALGORITHMS;
use crate::body::Body;
use crate::process::{Process, Snapshot};

/// The issuers are those whose tokens count, in the order of the configuration; a reload does not change them.
pub(super) fn answer(process: &Process, snapshot: &Snapshot) -> Response<Body> {
    let config = &snapshot.config;
    let issuers: Vec<&str> = process.issuers.names().collect();
    let proofs: Vec<&str> = PROOF_ALGORITHMS.split(' ').collect();
    let document = json!({
        // Without the slash of an empty path, as operators and clients write it.
        "resource": config.http.public_url.as_str().trim_end_matches('/'),
        "authorization_servers": issuers,
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": proofs,
    });
    let mut response = super::json(document.to_string());
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=300"),
    );
    response
}
