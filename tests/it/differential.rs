//! Mutated tokens, verified here and by `jsonwebtoken`: what that refuses is never accepted here.

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::{Map, Value};

use crate::support::mutated::{Accepted, Subject, accepted_of, unchanged};

/// What `jsonwebtoken` reads from the token, if it accepts it.
fn theirs(subject: &Subject, token: &str) -> Option<Map<String, Value>> {
    let key: Jwk = serde_json::from_value(subject.jwk.clone()).unwrap();
    let key = DecodingKey::from_jwk(&key).unwrap();
    let algorithms = match subject.algorithm.as_str() {
        "ES256" => vec![Algorithm::ES256],
        "ES384" => vec![Algorithm::ES384],
        "EdDSA" => vec![Algorithm::EdDSA],
        _ => vec![
            Algorithm::RS256,
            Algorithm::RS384,
            Algorithm::RS512,
            Algorithm::PS256,
            Algorithm::PS384,
            Algorithm::PS512,
        ],
    };
    let mut validation = Validation::new(algorithms[0]);
    validation.algorithms = algorithms;
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    decode(token, &key, &validation)
        .ok()
        .map(|data| data.claims)
}

fn is_known_to_both((subject, ..): &Accepted) -> bool {
    // `jsonwebtoken` does not know the curve.
    subject.algorithm != "ES512"
}

#[test]
fn what_jsonwebtoken_refuses_is_never_accepted() {
    let all = unchanged().into_iter().chain(accepted_of(2_000));
    let mut compared = 0;
    for (subject, token, claims) in all.filter(is_known_to_both) {
        assert_eq!(theirs(subject, &token), Some(claims), "{token}");
        compared += 1;
    }
    assert!(compared > 9, "the unchanged ones at least");
}
