//! A client's key and its proofs of possession (RFC 9449).

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::keys::Key;
use super::now;
use super::token::b64;

/// What `cnf` of a bound token names (RFC 7638).
pub(crate) fn thumbprint(key: &Key) -> String {
    let jwk = key.jwk();
    let canonical = format!(
        r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#,
        jwk["x"], jwk["y"]
    );
    b64(digest(&SHA256, canonical.as_bytes()).as_ref())
}

/// A proof for one request, of now; `change` spoils it or adds to it.
pub(crate) fn proof(
    key: &Key,
    method: &str,
    url: &str,
    token: Option<&str>,
    change: impl FnOnce(&mut Value),
) -> String {
    let mut jwk = key.jwk();
    for member in ["kid", "use", "alg"] {
        jwk.as_object_mut().unwrap().remove(member);
    }
    let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk});
    let jti = uuid::Uuid::new_v4().to_string();
    let mut claims = json!({"jti": jti, "htm": method, "iat": now(), "htu": url});
    if let Some(token) = token {
        claims["ath"] = b64(digest(&SHA256, token.as_bytes()).as_ref()).into();
    }
    change(&mut claims);
    let part = |value: &Value| b64(value.to_string().as_bytes());
    let input = format!("{}.{}", part(&header), part(&claims));
    let signature = key.sign("ES256", input.as_bytes());
    format!("{input}.{}", b64(&signature))
}
