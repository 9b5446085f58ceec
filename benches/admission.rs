//! What admitting a warm request costs: the credential read, the token's digest, the look for a claim at its set-up.

#![allow(missing_docs, reason = "criterion's macros make undocumented items")]
#![allow(clippy::expect_used, reason = "a bench has nobody to report to")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use davgate::auth::{Credential, credential};
use davgate::model::{ClaimPath, Claims};
use davgate::session::Digester;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use serde_json::json;

fn admission(criterion: &mut Criterion) {
    let token = "e".repeat(867);
    let mut headers = HeaderMap::new();
    let value = HeaderValue::from_str(&format!("Bearer {token}")).expect("visible characters");
    headers.insert(AUTHORIZATION, value);
    let digester = Digester::random().expect("randomness");

    criterion.bench_function("credential and digest of 867 bytes", |bencher| {
        bencher.iter(|| match credential(black_box(&headers)) {
            Ok(Some(Credential::Bearer(presented))) => Some(digester.presented(presented.bytes())),
            _ => None,
        });
    });

    let claims = json!({"sub": "1", "realm_access": {"roles": ["a", "b"]}, "lg.i": {"un": "x"}});
    let claims = Claims(claims.as_object().cloned().expect("an object"));
    for path in ["sub", "realm_access.roles", r"lg\.i.un", "missing.one"] {
        let parsed = ClaimPath::parse(path);
        criterion.bench_function(&format!("claim at {path}"), |bencher| {
            bencher.iter(|| claims.at(black_box(&parsed)).is_some());
        });
    }
}

criterion_group!(benches, admission);
criterion_main!(benches);
