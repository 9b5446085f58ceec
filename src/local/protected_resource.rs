//! Metadata of the protected resource (RFC 9728): who gives out tokens for this gateway, and how they are sent. A 401
//! names its address.

use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL};
use http::{HeaderValue, Response};
use serde_json::json;

use crate::auth::PROOF_ALGORITHMS;
use crate::body::Body;
use crate::error::GatewayError;
use crate::process::{Process, RESOURCE_METADATA, Snapshot};
use crate::routes::{NormalPath, Root, RouteError};

/// The issuers are those whose tokens count, in the order of the configuration; a reload does not change them. Below the
/// well-known path stands the resource's own (RFC 9728 section 3.1).
///
/// # Errors
/// No route that needs a login is there.
pub(super) fn answer(
    process: &Process,
    snapshot: &Snapshot,
    path: &NormalPath<'_>,
) -> Result<Response<Body>, GatewayError> {
    let config = &snapshot.config;
    let resource = match path.without_prefix(RESOURCE_METADATA) {
        None | Some("/") => "",
        Some(resource) => {
            let place = NormalPath::parse(resource, None, &Root::default())?;
            if !snapshot.policies.protects(&place) {
                return Err(RouteError::NoRoute.into());
            }
            resource
        }
    };
    // Without the slash of an empty path, as operators and clients write it.
    let public_url = config.http.public_url.as_str().trim_end_matches('/');
    let issuers: Vec<&str> = process.issuers.names().collect();
    let proofs: Vec<&str> = PROOF_ALGORITHMS.split(' ').collect();
    let document = json!({
        "resource": format!("{public_url}{resource}"),
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
    Ok(response)
}
