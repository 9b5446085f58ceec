//! The Wycheproof suites: every `invalid` is refused, every `valid` asymmetric one accepted.

use serde_json::{Value, json};

use super::jose::Algorithm;
use super::jwk::{Found, Key, KeySet};
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

fn read(file: &str) -> Value {
    let path = format!(
        "{}/tests/vectors/wycheproof/{file}",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn run(file: &str) -> Count {
    let mut count = Count::default();
    for group in read(file)["testGroups"].as_array().unwrap() {
        let material = group.get("public").unwrap_or(&group["private"]);
        let document = if material.get("keys").is_some() {
            material.clone()
        } else {
            json!({ "keys": [material] })
        };
        let keys = KeySet::parse(document.to_string().as_bytes()).unwrap();
        for test in group["tests"].as_array().unwrap() {
            // The mixed suite has encrypted tokens too, which are for nobody here.
            let Some(token) = test["jws"].as_str() else {
                continue;
            };
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
    match keys.find(jws.header.kid.as_deref(), jws.header.algorithm) {
        Found::Keys(keys) => jws.verify(&keys).is_ok(),
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
fn tokens_of_the_mixed_suite_are_refused_and_accepted_alike() {
    let count = run("json_web_crypto_test.json");
    assert_eq!((count.accepted, count.symmetric_refused), (2, 2));
}

/// Runs a suite of bare signatures through our keys; `kind` says which member holds the key.
fn primitives(file: &str, kind: &str, algorithm: Algorithm) -> (usize, usize) {
    let (mut accepted, mut refused) = (0, 0);
    for group in read(file)["testGroups"].as_array().unwrap() {
        // Keys in another form only (bad curve parameters) cannot reach us: issuers publish JWKs.
        let Some(jwk) = group.get(kind) else { continue };
        let mut jwk = jwk.clone();
        jwk.as_object_mut().unwrap().remove("alg");
        let key = Key::parse(&jwk);
        for test in group["tests"].as_array().unwrap() {
            let (message, signature) = (bytes(&test["msg"]), bytes(&test["sig"]));
            let good = key
                .as_ref()
                .is_ok_and(|key| key.verify(algorithm, &message, &signature) == Some(true));
            let name = format!("{file} {} {}", test["tcId"], test["comment"]);
            // Exponent 3 is sound arithmetic, but no key that an issuer should have (row 83).
            let is_exponent_3 = jwk.get("e").is_some_and(|e| e == "Aw");
            match test["result"].as_str().unwrap() {
                "valid" if is_exponent_3 => assert!(!good, "{name}"),
                "valid" => {
                    assert!(good, "{name}");
                    accepted += 1;
                }
                "invalid" => {
                    assert!(!good, "{name}");
                    refused += 1;
                }
                _ => {}
            }
        }
    }
    (accepted, refused)
}

fn bytes(hex: &Value) -> Vec<u8> {
    let digits = hex.as_str().unwrap().as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

#[test]
fn bare_signatures_are_told_apart() {
    for (file, kind, algorithm, expected) in [
        (
            "ed25519_test.json",
            "publicKeyJwk",
            Algorithm::EdDsa,
            (88, 63),
        ),
        (
            "ecdsa_secp256r1_sha256_p1363_test.json",
            "publicKeyJwk",
            Algorithm::Es256,
            (169, 83),
        ),
        (
            "ecdsa_secp384r1_sha384_p1363_test.json",
            "publicKeyJwk",
            Algorithm::Es384,
            (189, 81),
        ),
        (
            "ecdsa_secp521r1_sha512_p1363_test.json",
            "publicKeyJwk",
            Algorithm::Es512,
            (227, 81),
        ),
        (
            "rsa_signature_2048_sha256_test.json",
            "keyJwk",
            Algorithm::Rs256,
            (7, 249),
        ),
        (
            "rsa_pss_2048_sha256_mgf1_32_test.json",
            "publicKeyJwk",
            Algorithm::Ps256,
            (63, 45),
        ),
    ] {
        assert_eq!(primitives(file, kind, algorithm), expected, "{file}");
    }
}

#[test]
fn every_invalid_key_set_is_refused() {
    let count = run("json_web_key_test.json");
    assert_eq!(count.refused, 21);
}
