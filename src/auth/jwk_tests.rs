use serde_json::json;

use super::*;

const RSA_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";

fn rsa_key() -> Value {
    json!({"kty": "RSA", "kid": "a", "alg": "RS256", "use": "sig", "n": RSA_N, "e": "AQAB"})
}

/// RFC 7517 appendix A.1.
fn ec_key() -> Value {
    json!({"kty": "EC", "kid": "b", "crv": "P-256", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"})
}

fn with(mut key: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        key[name] = value.clone();
    }
    key
}

#[test]
fn row_83_keys_that_may_not_verify_are_left_out_one_by_one() {
    assert!(Key::parse(&rsa_key()).is_ok());
    assert!(Key::parse(&ec_key()).is_ok());
    let short = URL_SAFE_NO_PAD.encode([0xff_u8; 128]);
    let cases = [
        with(rsa_key(), &json!({"use": "enc"})),
        with(rsa_key(), &json!({"use": null})),
        with(rsa_key(), &json!({"key_ops": ["encrypt"]})),
        with(rsa_key(), &json!({"key_ops": "verify"})),
        with(rsa_key(), &json!({"e": "AQ"})),
        with(rsa_key(), &json!({"e": "Aw"})),
        with(rsa_key(), &json!({"e": "AQAA"})),
        with(rsa_key(), &json!({"e": ""})),
        with(rsa_key(), &json!({"n": short})),
        with(rsa_key(), &json!({"n": 5})),
        with(rsa_key(), &json!({"alg": "HS256"})),
        with(rsa_key(), &json!({"alg": "ES256"})),
        with(rsa_key(), &json!({"alg": "RSA-OAEP"})),
        with(rsa_key(), &json!({"alg": 1})),
        with(rsa_key(), &json!({"d": "AQAB"})),
        with(rsa_key(), &json!({"kid": 7})),
        with(rsa_key(), &json!({"kid": "k".repeat(2_000)})),
        with(ec_key(), &json!({"alg": "ES384"})),
        with(ec_key(), &json!({"crv": "P-384"})),
        with(ec_key(), &json!({"crv": "secp256k1"})),
        with(
            ec_key(),
            &json!({"y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyN"}),
        ),
        with(
            ec_key(),
            &json!({"y": "5Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}),
        ),
        json!({"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}),
        json!({"kty": "OKP", "crv": "X25519", "x": RSA_N}),
        json!({"kty": "OKP", "crv": "Ed25519", "x": "AA"}),
        json!(null),
        json!("key"),
        json!({}),
    ];
    for case in cases {
        assert!(Key::parse(&case).is_err(), "{case}");
        let set = json!({"keys": [case, ec_key()]}).to_string();
        assert_eq!(KeySet::parse(set.as_bytes()).unwrap().len(), 1, "{case}");
    }
}

#[test]
fn row_83_documents_that_are_no_key_set() {
    for document in [
        "null",
        "[]",
        "<html>",
        "",
        r#"{"keys":{}}"#,
        r#"{"keys":[],"keys":[]}"#,
    ] {
        assert!(KeySet::parse(document.as_bytes()).is_err(), "{document}");
    }
    assert_eq!(KeySet::parse(b"{}").unwrap().len(), 0);
    assert_eq!(KeySet::parse(br#"{"keys":[]}"#).unwrap().len(), 0);
    let many = format!(r#"{{"keys":[{}]}}"#, vec!["{}"; 10_000].join(","));
    assert_eq!(KeySet::parse(many.as_bytes()).unwrap().len(), 0);
}

#[test]
fn row_83_one_id_for_two_different_keys_leaves_both_out() {
    let other = with(ec_key(), &json!({"kid": "a"}));
    let set = json!({"keys": [rsa_key(), other, ec_key()]}).to_string();
    let set = KeySet::parse(set.as_bytes()).unwrap();
    assert_eq!(set.len(), 1);
    assert!(matches!(set.find(Some("a")), Found::UnknownKid));
    assert!(matches!(set.find(Some("b")), Found::Key(_)));
    let twice = json!({"keys": [rsa_key(), rsa_key()]}).to_string();
    let twice = KeySet::parse(twice.as_bytes()).unwrap();
    assert!(matches!(twice.find(Some("a")), Found::Key(_)));
}

#[test]
fn row_70_no_kid_is_fine_with_one_key_only() {
    let one = KeySet::parse(json!({"keys": [rsa_key()]}).to_string().as_bytes()).unwrap();
    assert!(matches!(one.find(None), Found::Key(_)));
    let two = json!({"keys": [rsa_key(), ec_key()]}).to_string();
    let two = KeySet::parse(two.as_bytes()).unwrap();
    assert!(matches!(two.find(None), Found::Ambiguous));
    assert!(matches!(
        two.find(Some("../../dev/null")),
        Found::UnknownKid
    ));
}

#[test]
fn a_key_without_alg_is_usable_by_its_type() {
    let mut key = rsa_key();
    key.as_object_mut().unwrap().remove("alg");
    assert_eq!(Key::parse(&key).unwrap().algorithms().count(), 6);
    let key = with(key, &json!({"alg": "PS256"}));
    let only: Vec<_> = Key::parse(&key).unwrap().algorithms().collect();
    assert_eq!(only, [Algorithm::Ps256]);
}

#[test]
fn foreign_text_in_the_log_is_short_and_printable() {
    assert_eq!(shown("a\nb\0"), "a\\nb\\u{0}");
    assert!(shown(&"é".repeat(500)).len() <= 64);
}

proptest::proptest! {
    #[test]
    fn no_document_makes_the_parser_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        let _ = KeySet::parse(&bytes);
    }

    #[test]
    fn no_member_makes_the_parser_panic(name in "(kty|crv|x|y|n|e|alg|use|kid)", value in "[A-Za-z0-9_-]{0,80}") {
        let _ = Key::parse(&with(rsa_key(), &json!({name.clone(): value.clone()})));
        let _ = Key::parse(&with(ec_key(), &json!({name: value})));
    }
}
