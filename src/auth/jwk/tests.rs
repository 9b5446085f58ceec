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
        with(rsa_key(), &json!({"key_ops": ["encrypt"]})),
        with(rsa_key(), &json!({"key_ops": "verify"})),
        with(rsa_key(), &json!({"use": 1})),
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

fn set(keys: &[Value]) -> KeySet {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

/// What a look-up finds, in a word and the number of keys.
fn found(set: &KeySet, kid: Option<&str>, algorithm: Algorithm) -> (&'static str, usize) {
    match set.find(kid, algorithm) {
        Found::Keys(keys) => ("keys", keys.len()),
        Found::OtherAlgorithm(_) => ("other algorithm", 0),
        Found::OtherUse => ("other use", 0),
        Found::Unusable(_) => ("unusable", 0),
        Found::UnknownKid => ("unknown", 0),
        Found::Ambiguous => ("ambiguous", 0),
    }
}

#[test]
fn issue_15_11_entries_of_one_id_are_candidates_by_type_and_algorithm() {
    use Algorithm::{EdDsa, Es256, Ps256, Rs256, Rs512};
    let a = |key: Value, changes: Value| with(with(key, &json!({"kid": "a"})), &changes);
    let rs512 = a(rsa_key(), json!({"alg": "RS512"}));
    let any_rsa = a(rsa_key(), json!({"alg": null}));
    let ec = a(ec_key(), json!({}));
    let enc = a(rsa_key(), json!({"alg": "RSA-OAEP", "use": "enc"}));
    let broken_ec = a(ec_key(), json!({"x": "AA"}));
    let strange = json!({"kty": "AKP", "kid": "a", "alg": "ML-DSA-44", "pub": "AA"});
    for (keys, algorithm, expected) in [
        (vec![rsa_key(), rs512.clone()], Rs256, ("keys", 1)),
        (vec![rsa_key(), rs512.clone()], Rs512, ("keys", 1)),
        (
            vec![rsa_key(), rs512.clone()],
            Ps256,
            ("other algorithm", 0),
        ),
        (vec![rsa_key(), any_rsa.clone(), rs512], Rs256, ("keys", 2)),
        (vec![rsa_key(), rsa_key()], Rs256, ("keys", 1)),
        (vec![rsa_key(), ec.clone()], Es256, ("keys", 1)),
        (vec![ec.clone(), rsa_key()], Rs256, ("keys", 1)),
        (vec![ec.clone(), rsa_key()], EdDsa, ("other algorithm", 0)),
        (vec![ec.clone(), enc.clone()], Rs256, ("other algorithm", 0)),
        (
            vec![with(ec_key(), &json!({"kid": "b"})), enc.clone()],
            Rs256,
            ("other use", 0),
        ),
        (vec![rsa_key(), broken_ec.clone()], Rs256, ("keys", 1)),
        (vec![rsa_key(), broken_ec], Es256, ("unusable", 0)),
        (vec![ec, strange], Rs256, ("unusable", 0)),
        (vec![enc], Rs256, ("unusable", 0)),
        (vec![], Rs256, ("unusable", 0)),
        (
            vec![json!({"kty": "oct", "kid": "z", "k": "AA"})],
            Rs256,
            ("unusable", 0),
        ),
        (
            vec![with(ec_key(), &json!({"kid": "b"}))],
            Rs256,
            ("unknown", 0),
        ),
    ] {
        assert_eq!(
            found(&set(&keys), Some("a"), algorithm),
            expected,
            "{keys:?}"
        );
    }
}

#[test]
fn issue_15_11_at_most_four_keys_of_one_id_are_tried() {
    // Leading zeros make no other key, but another exponent does.
    let keys: Vec<Value> = [65_537_u32, 65_539, 65_541, 65_543, 65_545, 65_547]
        .iter()
        .map(|e| {
            with(
                rsa_key(),
                &json!({"e": URL_SAFE_NO_PAD.encode(e.to_be_bytes())}),
            )
        })
        .collect();
    let set = set(&keys);
    assert_eq!(set.len(), 6);
    assert_eq!(found(&set, Some("a"), Algorithm::Rs256), ("keys", 4));
}

#[test]
fn issue_15_11_keys_are_read_forgivingly_and_are_the_same_keys() {
    let padded = |text: &str| format!("{text}{}", "=".repeat((4 - text.len() % 4) % 4));
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let zeros = |text: &str, n: usize| URL_SAFE_NO_PAD.encode([vec![0; n], bytes(text)].concat());
    let ec = ec_key();
    let (x, y) = (ec["x"].as_str().unwrap(), ec["y"].as_str().unwrap());
    for (key, changes) in [
        (rsa_key(), json!({"n": padded(RSA_N), "e": padded("AQAB")})),
        (
            rsa_key(),
            json!({"n": zeros(RSA_N, 1), "e": zeros("AQAB", 5)}),
        ),
        (
            rsa_key(),
            json!({"use": null, "key_ops": null, "alg": "RS256", "d": null, "x5c": null}),
        ),
        (ec_key(), json!({"x": padded(x), "y": padded(y)})),
        (ec_key(), json!({"x": zeros(x, 1), "y": zeros(y, 7)})),
    ] {
        let forgiven = Key::parse(&with(key.clone(), &changes)).unwrap();
        assert!(forgiven.same_as(&Key::parse(&key).unwrap()), "{changes}");
    }
    let set = set(&[with(rsa_key(), &json!({"kid": null}))]);
    assert_eq!(found(&set, None, Algorithm::Rs256), ("keys", 1));
}

#[test]
fn issue_15_11_a_coordinate_without_its_leading_zeros_is_filled_up() {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
    // One key in 256 begins with a zero; a few thousand tries are enough and quick.
    let pair = (0..20_000)
        .map(|_| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
        .find(|pair| pair.public_key().as_ref()[1] == 0)
        .unwrap();
    let point = pair.public_key().as_ref();
    let jwk = |x: &[u8]| {
        json!({"kty": "EC", "crv": "P-256", "kid": "a", "x": URL_SAFE_NO_PAD.encode(x),
            "y": URL_SAFE_NO_PAD.encode(&point[33..])})
    };
    let whole = Key::parse(&jwk(&point[1..33])).unwrap();
    assert!(Key::parse(&jwk(&point[2..33])).unwrap().same_as(&whole));
    assert!(Key::parse(&jwk(&[&[1_u8][..], &point[1..33]].concat())).is_err());
}

#[test]
fn issue_14_5_what_is_verified_by_a_key_knows_when_it_leaves() {
    let old = set(&[rsa_key(), ec_key()]);
    let Found::Keys(keys) = old.find(Some("a"), Algorithm::Rs256) else {
        panic!("no key");
    };
    let publication = keys[0].publication().clone();
    let mut same = set(&[ec_key(), rsa_key()]);
    assert!(same.same_as(&old));
    assert!(same.follow(&old).is_empty());
    assert!(!publication.is_over());
    // Under the same id another key: the id stays known, the old key is over.
    let mut next = set(&[with(rsa_key(), &json!({"e": "AQAD"})), ec_key()]);
    assert!(next.follow(&same).is_empty());
    assert!(publication.is_over());
    let mut last = set(&[ec_key()]);
    assert_eq!(last.follow(&next), ["a"]);
}

#[test]
fn row_70_no_kid_is_fine_with_one_key_only() {
    let one = set(&[rsa_key()]);
    assert_eq!(found(&one, None, Algorithm::Rs256), ("keys", 1));
    let two = set(&[rsa_key(), ec_key()]);
    assert_eq!(found(&two, None, Algorithm::Rs256), ("ambiguous", 0));
    let odd = found(&two, Some("../../dev/null"), Algorithm::Rs256);
    assert_eq!(odd, ("unknown", 0));
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
