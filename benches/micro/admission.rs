//! What admitting a request costs: the credential read, the token's digest, the look for a claim at its set-up.

use std::hint::black_box;

use davgate::door::credentials::{Presented, presented};
use davgate::door::model::{ClaimPath, Claims};
use davgate::door::session::Digester;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use serde_json::json;

use super::Case;

pub(super) fn cases() -> Vec<Case> {
    let mut headers = HeaderMap::new();
    let token = "e".repeat(867);
    let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    headers.insert(AUTHORIZATION, value);
    let digester = Digester::random().unwrap();
    let mut cases = vec![Case::new(
        "credential_and_digest_867_bytes",
        move || match presented(black_box(&headers)) {
            Ok(Some(Presented::Bearer(token))) => Some(digester.bearer(token.bytes())),
            _ => None,
        },
    )];

    let claims = json!({"sub": "1", "realm_access": {"roles": ["a", "b"]}, "lg.i": {"un": "x"}});
    let claims = Claims(claims.as_object().unwrap().clone());
    for (name, path) in [
        ("plain", "sub"),
        ("nested", "realm_access.roles"),
        ("escaped", r"lg\.i.un"),
        ("missing", "missing.one"),
    ] {
        let (parsed, claims) = (ClaimPath::parse(path), claims.clone());
        cases.push(Case::new(format!("claim_{name}"), move || {
            claims.at(black_box(&parsed)).is_some()
        }));
    }
    cases
}
