//! What verifying a new token costs, per algorithm: reading it strictly, its claims, its signature.

use std::hint::black_box;

use davgate::door::auth::PublicKeys;
use davgate::door::credentials::BearerToken;
use serde_json::{Value, json};

use super::Case;

/// Public keys and a token signed with each, the RSA key of 2048 bits. Made once with keys that nobody has kept, because
/// making keys would take longer than all that is measured.
const TOKENS: &str = include_str!("tokens.json");

pub(super) fn cases() -> Vec<Case> {
    let entries: Vec<Value> = serde_json::from_str(TOKENS).unwrap();
    entries.iter().map(verify).collect()
}

fn verify(entry: &Value) -> Case {
    let set = json!({"keys": [entry["key"]]}).to_string();
    let keys = PublicKeys::parse(set.as_bytes()).unwrap();
    let token = BearerToken::new(entry["token"].as_str().unwrap());
    let algorithm = entry["key"]["alg"].as_str().unwrap().to_lowercase();
    assert!(keys.verify(&token).is_ok(), "{algorithm}");
    Case::new(format!("token_verify_{algorithm}"), move || {
        keys.verify(black_box(&token)).is_ok()
    })
}
