//! The Wycheproof suites of JWS and JWK: every `invalid` is refused, every `valid` asymmetric one accepted.

use serde_json::{Value, json};

use super::jwk::{Found, KeySet};
use super::jws::Jws;

#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    refused: usize,
    accepted: usize,
    accepted_without_alg: usize,
    symmetric_refused: usize,
}

/// Vectors whose key names another algorithm than the token (PS256 for PS384), or one that does not exist (ES521).
/// A key's `alg` is binding here, so they are refused, and accepted once the key leaves it out.
const MISNAMED: [u64; 4] = [346, 347, 350, 351];

fn run(file: &str) -> Count {
    let path = format!(
        "{}/tests/vectors/wycheproof/{file}",
        env!("CARGO_MANIFEST_DIR")
    );
    let suite: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut count = Count::default();
    for group in suite["testGroups"].as_array().unwrap() {
        let material = group.get("public").unwrap_or(&group["private"]);
        let document = if material.get("keys").is_some() {
            material.clone()
        } else {
            json!({ "keys": [material] })
        };
        let keys = KeySet::parse(document.to_string().as_bytes()).unwrap();
        for test in group["tests"].as_array().unwrap() {
            let token = test["jws"].as_str().unwrap_or_default();
            let accepted = accepts(&keys, token);
            let name = format!("{file} {} {}", test["tcId"], test["comment"]);
            match test["result"].as_str().unwrap() {
                "valid" if document.to_string().contains("\"oct\"") => {
                    assert!(!accepted, "{name}");
                    count.symmetric_refused += 1;
                }
                "valid" if is_misnamed(file, test) => {
                    assert!(!accepted, "{name}");
                    let mut material = material.clone();
                    material.as_object_mut().unwrap().remove("alg");
                    let document = json!({ "keys": [material] }).to_string();
                    let keys = KeySet::parse(document.as_bytes()).unwrap();
                    assert!(accepts(&keys, token), "{name}");
                    count.accepted_without_alg += 1;
                }
                "valid" => {
                    assert!(accepted, "{name}");
                    count.accepted += 1;
                }
                _ => {
                    assert!(!accepted, "{name}");
                    count.refused += 1;
                }
            }
        }
    }
    count
}

fn is_misnamed(file: &str, test: &Value) -> bool {
    file == "json_web_signature_test.json" && MISNAMED.iter().any(|id| test["tcId"] == *id)
}

fn accepts(keys: &KeySet, token: &str) -> bool {
    let Ok(jws) = Jws::parse(token) else {
        return false;
    };
    match keys.find(jws.header.kid.as_deref()) {
        Found::Key(key) => jws.verify(key).is_ok(),
        _ => false,
    }
}

#[test]
fn every_invalid_jws_is_refused_and_every_valid_asymmetric_one_accepted() {
    assert_eq!(
        run("json_web_signature_test.json"),
        Count {
            refused: 355,
            accepted: 32,
            accepted_without_alg: 4,
            symmetric_refused: 10,
        }
    );
}

#[test]
fn every_invalid_key_set_is_refused() {
    let count = run("json_web_key_test.json");
    assert_eq!(count.refused, 21);
}
