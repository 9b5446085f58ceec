//! Tokens, keys, documents and proofs of any bytes: none is believed that nobody signed, and none is read in two ways.

use std::collections::HashSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Map, Value, json};

use super::discovery::Discovery;
use super::dpop::{Proof, ProvenRequest, Target};
use super::fake_issuer::{NOW, Signer, settings};
use super::jose::Algorithm;
use super::jwk::{Found, Key, KeySet};
use super::jws::{Jws, Shape, shape};
use super::jwt::Times;
use super::{claims, json as members, subject};
use crate::config::oidc::ClaimsMerge;
use crate::fuzz::fuzz;
use crate::model::{Claims, UnixTime};

const JSON: [&str; 26] = [
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "1e999",
    "-0",
    "9007199254740993",
    "\\u0000",
    "\\ud800",
    ",",
    ":",
    "\"sub\":",
    "\"iss\":",
    "\"aud\":",
    "\"exp\":",
    "\"keys\":",
    "\"kty\":",
    "\"kid\":",
    "\"n\":",
    "\"x\":",
    "\"issuer\":",
    "\"jwks_uri\":",
    "\u{feff}",
    "\"crit\":",
    "\"b64\":",
];

const TOKENS: [&str; 10] = [
    ".",
    "..",
    "=",
    "eyJhbGciOiJub25lIn0",
    "eyJ",
    "e30",
    "bnVsbA",
    "AAAA",
    "+",
    "/",
];

/// The first two parts, which are what was signed.
fn signed(token: &str) -> String {
    token
        .rsplit_once('.')
        .map_or(token, |(signed, _)| signed)
        .to_owned()
}

#[test]
fn fuzz_jws() {
    let signers = [
        ("RS256", Signer::rsa()),
        ("ES256", Signer::ec()),
        ("EdDSA", Signer::ed()),
    ];
    let keys: Vec<Key> = signers
        .iter()
        .map(|(_, signer)| Key::parse(&signer.jwk("k", &json!({}))).unwrap())
        .collect();
    let keys: Vec<&Key> = keys.iter().collect();
    let payload = json!({"iss": "https://idp.test", "sub": "s", "exp": NOW, "aud": ["a", "b"]});
    let mut seeds = Vec::new();
    for (alg, signer) in &signers {
        seeds.push(signer.sign(&json!({"alg": alg, "typ": "at+jwt", "kid": "k"}), &payload));
        seeds.push(signer.sign(&json!({"alg": alg}), &json!({})));
    }
    let good: HashSet<String> = seeds.iter().map(|token| signed(token)).collect();
    let seeds: Vec<Vec<u8>> = seeds.into_iter().map(String::into_bytes).collect();
    fuzz("jws", &seeds, &TOKENS, |bytes| {
        let Ok(token) = std::str::from_utf8(bytes) else {
            return Err("no text".to_owned());
        };
        let form = shape(token);
        let jws = Jws::parse(token).map_err(|error| format!("{form:?} {}", error.reason()))?;
        assert_eq!(form, Shape::Jws, "{token}");
        let claims = jws
            .claims()
            .map_err(|error| format!("claims {}", error.reason()))?;
        let verified = jws.verify(&keys).is_ok();
        assert!(!verified || good.contains(&signed(token)), "{token}");
        Ok((verified, claims.len(), jws.header.kid.is_some()))
    });
}

#[test]
fn fuzz_jwk() {
    let signers = [
        Signer::rsa(),
        Signer::other_rsa(),
        Signer::ec(),
        Signer::ed(),
    ];
    let keys: Vec<Value> = signers
        .iter()
        .map(|signer| signer.jwk("k", &json!({"use": "sig"})))
        .collect();
    let mut seeds = vec![json!({"keys": keys}).to_string().into_bytes()];
    seeds.extend(
        keys.iter()
            .map(|key| json!({"keys": [key, key]}).to_string().into_bytes()),
    );
    fuzz("jwk", &seeds, &JSON, |bytes| {
        let set = KeySet::parse(bytes).map_err(|_| "no set")?;
        let found = ["RS256", "ES256", "EdDSA"].map(|name| {
            let algorithm = Algorithm::from_name(name).unwrap();
            match set.find(Some("k"), algorithm) {
                Found::Keys(keys) => {
                    assert!(keys.len() <= 4);
                    let fits = |key: &&Key| key.algorithms().any(|it| it == algorithm);
                    assert!(keys.iter().all(fits));
                    keys.len()
                }
                _ => 0,
            }
        });
        let again = KeySet::parse(bytes).unwrap();
        assert!(set.same_as(&again));
        Ok::<_, &str>((set.len().min(8), found))
    });
}

#[test]
fn fuzz_discovery() {
    let issuer = "https://idp.test";
    let settings = settings(issuer, issuer);
    fuzz("discovery", &[], &JSON, |bytes| {
        let document = Bytes::copy_from_slice(bytes);
        let read =
            Discovery::parse(&settings, document).map_err(|error| error.reason().to_string())?;
        let address = |endpoint: &super::discovery::Endpoint| {
            let address = endpoint.address();
            if let Ok(url) = &address {
                assert!(
                    matches!(url.scheme(), "http" | "https") && url.has_host(),
                    "{url}"
                );
            }
            (endpoint.is_absent(), address.is_ok())
        };
        let endpoints = [
            &read.jwks_uri,
            &read.userinfo_endpoint,
            &read.introspection_endpoint,
        ]
        .map(address);
        for origin in &read.browser_origins {
            assert!(!origin.contains([' ', ';', ',', '\'', '"']), "{origin}");
        }
        assert_eq!(read.raw, bytes);
        Ok::<_, String>((
            endpoints,
            read.browser_origins.len().min(8),
            read.access_token_issuer.is_some(),
        ))
    });
}

#[test]
fn fuzz_claims() {
    let settings = settings("https://idp.test", "https://idp.test");
    fuzz("claims", &[], &JSON, |bytes| {
        let (which, document) = bytes.split_first().unwrap_or((&0, &[]));
        let (token, userinfo) = document.split_at(
            document
                .iter()
                .position(|byte| *byte == b'\n')
                .unwrap_or(document.len()),
        );
        let read = |bytes: &[u8]| -> Result<Map<String, Value>, &'static str> {
            let mut claims = members::object(bytes).map_err(|_| "no object")?;
            subject::read(&mut claims).map_err(|_| "sub")?;
            Ok(claims)
        };
        let token = read(token)?;
        let userinfo = read(userinfo.trim_ascii()).unwrap_or_default();
        let times = Times::read(&token).map_err(|_| "times")?;
        let is_now = times.check(Duration::from_secs(5), UnixTime(NOW)).is_ok();
        let mode = [
            ClaimsMerge::UserinfoWins,
            ClaimsMerge::TokenWins,
            ClaimsMerge::Union,
        ][usize::from(*which % 3)];
        let merged = claims::merge(token.clone(), userinfo, mode);
        if !token.is_empty() {
            for name in [
                "iss",
                "sub",
                "aud",
                "exp",
                "azp",
                "client_id",
                "acr",
                "amr",
                "auth_time",
            ] {
                let had = token.get(name);
                assert!(
                    merged.get(name) == had || name == "sub" && had.is_none(),
                    "{name}: {merged:?}"
                );
            }
        }
        assert!(merged.get("sub").is_none_or(Value::is_string), "{merged:?}");
        let admitted = claims::admit(&Claims(merged.clone()), &settings).is_ok();
        Ok::<_, &str>((
            is_now,
            claims::has_audience(&merged, "davgate"),
            admitted,
            merged.len().min(8),
        ))
    });
}

#[test]
fn fuzz_dpop() {
    const URL: &str = "https://cloud.example/dav/a";
    let signers = [
        ("ES256", Signer::ec()),
        ("RS256", Signer::rsa()),
        ("EdDSA", Signer::ed()),
    ];
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"the-token");
    let ath = URL_SAFE_NO_PAD.encode(hash.as_ref());
    let mut seeds = Vec::new();
    for (alg, signer) in &signers {
        let mut jwk = signer.jwk("k", &json!({}));
        jwk.as_object_mut().unwrap().remove("kid");
        let header = json!({"typ": "dpop+jwt", "alg": alg, "jwk": jwk});
        let claims = json!({"jti": "1", "htm": "GET", "htu": URL, "iat": NOW, "ath": ath});
        seeds.push(signer.sign(&header, &claims));
    }
    let good: HashSet<String> = seeds.iter().map(|proof| signed(proof)).collect();
    let seeds: Vec<Vec<u8>> = seeds.into_iter().map(String::into_bytes).collect();
    let targets = [Target::parse(URL).unwrap()];
    fuzz("dpop", &seeds, &TOKENS, |bytes| {
        let Ok(value) = HeaderValue::from_bytes(bytes) else {
            return Err("no value".to_owned());
        };
        let mut headers = HeaderMap::new();
        headers.insert("dpop", value);
        let request = ProvenRequest {
            method: &Method::GET,
            targets: &targets,
            token: "the-token",
            nonces: None,
        };
        let proof = Proof::verify(&headers, &request, UnixTime(NOW));
        let proof = proof.map_err(|error| {
            let text = error.to_string();
            text.split(':').take(2).collect::<String>()
        })?;
        let text = std::str::from_utf8(bytes).unwrap();
        assert!(good.contains(&signed(text)), "{text}");
        assert!(!proof.key().is_empty());
        Ok(proof.key().to_owned())
    });
}
