//! Every check of RFC 9449 section 4.3.

use http::HeaderValue;
use serde_json::json;

use super::*;
use crate::auth::fake_issuer::Signer;

const NOW: i64 = 1_900_000_000;
const URL: &str = "https://cloud.example/dav/a";

/// A proof in the making.
struct Made {
    key: Signer,
    header: Value,
    claims: Value,
}

impl Made {
    fn new() -> Self {
        let key = Signer::ec();
        let mut jwk = key.jwk("k", &json!({}));
        jwk.as_object_mut().unwrap().remove("kid");
        let ath = URL_SAFE_NO_PAD.encode(digest(&SHA256, b"the-token"));
        Self {
            header: json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk}),
            claims: json!({"jti": "1", "htm": "GET", "htu": URL, "iat": NOW, "ath": ath}),
            key,
        }
    }

    fn header(mut self, name: &str, value: Value) -> Self {
        self.header[name] = value;
        self
    }

    fn claim(mut self, name: &str, value: Value) -> Self {
        self.claims[name] = value;
        self
    }

    fn check(&self) -> Result<Proof, ProofError> {
        check(&[&self.key.sign(&self.header, &self.claims)])
    }
}

fn check(proofs: &[&str]) -> Result<Proof, ProofError> {
    let mut headers = HeaderMap::new();
    for proof in proofs {
        headers.append("dpop", HeaderValue::from_str(proof).unwrap());
    }
    let request = ProvenRequest {
        method: &Method::GET,
        targets: &[Target::parse(URL).unwrap()],
        token: "the-token",
        nonces: None,
    };
    Proof::verify(&headers, &request, UnixTime(NOW))
}

#[test]
fn a_proof_is_by_its_key() {
    let made = Made::new();
    let proof = made.check().unwrap();
    let jwk = &made.header["jwk"];
    let expected = thumbprint(jwk).unwrap();
    assert_eq!(proof.key(), expected);
    let other = Made::new().check().unwrap();
    assert_ne!(other.key(), expected);
    assert_ne!(other.owner, proof.owner);
}

#[test]
fn the_thumbprint_is_that_of_the_specification() {
    // RFC 7638 section 3.1.
    let jwk = json!({
        "kty": "RSA", "alg": "RS256", "kid": "2011-04-29", "e": "AQAB",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs\
              tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbIS\
              D08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    });
    assert_eq!(
        thumbprint(&jwk).unwrap(),
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    );
}

#[test]
fn what_is_not_about_this_request_is_refused() {
    let ec = || Made::new();
    let private = json!({"kty": "EC", "crv": "P-256", "x": "a", "y": "b", "d": "c"});
    let bad = [
        ("typ", ec().header("typ", json!("JWT"))),
        ("no key", ec().header("jwk", json!(null))),
        (
            "a symmetric key",
            ec().header("jwk", json!({"kty": "oct", "k": "AAAA"})),
        ),
        ("a private key", ec().header("jwk", private)),
        (
            "another key",
            ec().header("jwk", Signer::ec().jwk("k", &json!({}))),
        ),
        ("HS256", ec().header("alg", json!("HS256"))),
        ("none", ec().header("alg", json!("none"))),
        ("another alg", ec().header("alg", json!("ES384"))),
        ("crit", ec().header("crit", json!(["x"]))),
        ("another method", ec().claim("htm", json!("PUT"))),
        ("a method in small letters", ec().claim("htm", json!("get"))),
        (
            "another path",
            ec().claim("htu", json!("https://cloud.example/dav/b")),
        ),
        (
            "another host",
            ec().claim("htu", json!("https://evil.example/dav/a")),
        ),
        (
            "another scheme",
            ec().claim("htu", json!("http://cloud.example/dav/a")),
        ),
        ("no jti", ec().claim("jti", json!(null))),
        ("an empty jti", ec().claim("jti", json!(""))),
        ("another token", ec().claim("ath", json!("AAAA"))),
        ("no ath", ec().claim("ath", json!(null))),
        (
            "too old",
            ec().claim("iat", json!(NOW - WINDOW_SECONDS - 1)),
        ),
        (
            "too early",
            ec().claim("iat", json!(NOW + WINDOW_SECONDS + 1)),
        ),
        ("no iat", ec().claim("iat", json!(null))),
        ("iat as text", ec().claim("iat", json!(NOW.to_string()))),
    ];
    for (what, made) in bad {
        assert!(
            matches!(made.check(), Err(ProofError::Invalid(_))),
            "{what}"
        );
    }
    assert!(
        ec().claim("iat", json!(NOW - WINDOW_SECONDS))
            .check()
            .is_ok()
    );
}

#[test]
fn exactly_one_header_counts() {
    let made = Made::new();
    let proof = made.key.sign(&made.header, &made.claims);
    assert!(check(&[&proof]).is_ok());
    let proof = proof.as_str();
    for proofs in [&[][..], &[proof, proof], &[""], &["a.b.c"]] {
        assert!(check(proofs).is_err(), "{proofs:?}");
    }
    assert!(check(&[&format!("{proof}, {proof}")]).is_err());
}

#[test]
fn keys_of_every_kind_sign_proofs() {
    for (key, alg) in [
        (Signer::rsa(), "RS256"),
        (Signer::rsa(), "PS256"),
        (Signer::ed(), "EdDSA"),
    ] {
        let made = Made::new();
        let jwk = key.jwk("k", &json!({}));
        let made = Made { key, ..made };
        let made = made.header("alg", json!(alg)).header("jwk", jwk);
        assert!(made.check().is_ok(), "{alg}");
    }
}

proptest::proptest! {
    #[test]
    fn any_text_in_the_header_is_refused(text in "[ -~]{0,80}|[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,9}") {
        proptest::prop_assert!(check(&[&text]).is_err());
    }
}

#[test]
fn with_nonces_a_proof_needs_one_and_the_clients_clock_does_not_count() {
    let nonces = Nonces::new(b"secret");
    let check = |made: &Made| {
        let mut headers = HeaderMap::new();
        let proof = made.key.sign(&made.header, &made.claims);
        headers.insert("dpop", HeaderValue::from_str(&proof).unwrap());
        let request = ProvenRequest {
            method: &Method::GET,
            targets: &[Target::parse(URL).unwrap()],
            token: "the-token",
            nonces: Some(&nonces),
        };
        Proof::verify(&headers, &request, UnixTime(NOW))
    };
    let current = nonces.current(UnixTime(NOW));
    let wanted = ProofError::Nonce(current.clone());
    assert_eq!(check(&Made::new()).unwrap_err(), wanted);
    for bad in [
        json!("x"),
        json!(7),
        json!(Nonces::new(b"other").current(UnixTime(NOW))),
    ] {
        assert_eq!(check(&Made::new().claim("nonce", bad)).unwrap_err(), wanted);
    }
    let wrong_clock = Made::new()
        .claim("nonce", json!(current))
        .claim("iat", json!(NOW - 86_400));
    let proof = check(&wrong_clock).unwrap();
    assert!(proof.expires_at <= UnixTime(NOW + 2 * WINDOW_SECONDS));
    // What else is wrong is told first: a nonce would not mend it.
    let elsewhere = Made::new().claim("htm", json!("PUT"));
    assert!(matches!(check(&elsewhere), Err(ProofError::Invalid(_))));
}
