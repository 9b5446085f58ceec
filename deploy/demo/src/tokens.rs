//! The issuer's key, made at start, and the tokens signed with it: RS256, the default of most providers (RFC 7515, RFC 9068).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{self, SystemRandom};
use aws_lc_rs::rsa::{KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{
    KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde_json::{Value, json};

/// `typ` of an access token (RFC 9068 section 2.1).
pub(crate) const ACCESS_TOKEN: &str = "at+jwt";
/// `typ` of an ID token.
pub(crate) const ID_TOKEN: &str = "JWT";

/// Signs tokens and recognises its own.
pub(crate) struct Signer {
    key: RsaKeyPair,
    kid: String,
}

impl Signer {
    /// A fresh key; tokens of an earlier process are worth nothing.
    pub(crate) fn generate() -> anyhow::Result<Self> {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).context("making the signing key")?;
        let (n, e) = components(&key);
        // RFC 7638: the thumbprint of the required members in this order.
        let canonical = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
        let kid = sha256(canonical.as_bytes());
        Ok(Self { key, kid })
    }

    /// The JWK set (RFC 7517 section 5).
    pub(crate) fn jwks(&self) -> Value {
        let (n, e) = components(&self.key);
        json!({"keys": [
            {"kty": "RSA", "n": n, "e": e, "use": "sig", "alg": "RS256", "kid": self.kid}
        ]})
    }

    /// A compact JWS over `claims`.
    pub(crate) fn sign(&self, typ: &str, claims: &Value) -> anyhow::Result<String> {
        let header = json!({"alg": "RS256", "typ": typ, "kid": self.kid});
        let mut token = format!(
            "{}.{}",
            BASE64URL.encode(header.to_string()),
            BASE64URL.encode(claims.to_string())
        );
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                token.as_bytes(),
                &mut signature,
            )
            .context("signing a token")?;
        token.push('.');
        BASE64URL.encode_string(signature, &mut token);
        Ok(token)
    }

    /// The claims of a token that this key signed with this `typ`, whether or not it has expired.
    pub(crate) fn verify(&self, typ: &str, token: &str) -> Option<Value> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Value = serde_json::from_slice(&BASE64URL.decode(header).ok()?).ok()?;
        if header["alg"] != "RS256" || header["typ"] != typ {
            return None;
        }
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, self.key.public_key().as_ref())
            .verify(signed.as_bytes(), &BASE64URL.decode(signature).ok()?)
            .ok()?;
        serde_json::from_slice(&BASE64URL.decode(claims).ok()?).ok()
    }
}

/// Modulus and exponent of the public key (RFC 7518 section 6.3.1).
fn components(key: &RsaKeyPair) -> (String, String) {
    let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(key.public_key());
    (BASE64URL.encode(n), BASE64URL.encode(e))
}

/// base64url of SHA-256, as PKCE (RFC 7636 section 4.2) and thumbprints want it.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    BASE64URL.encode(digest(&SHA256, bytes))
}

/// 256 bits nobody can guess, as base64url.
pub(crate) fn random() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).context("drawing random bytes")?;
    Ok(BASE64URL.encode(bytes))
}

/// Seconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "the demo is a process of its own and has no need of the gateway's clock"
)]
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_verifies_with_its_own_key_and_type_only() {
        let signer = Signer::generate().unwrap();
        let token = signer.sign(ACCESS_TOKEN, &json!({"sub": "x"})).unwrap();
        assert_eq!(
            signer.verify(ACCESS_TOKEN, &token),
            Some(json!({"sub": "x"}))
        );
        assert_eq!(signer.verify(ID_TOKEN, &token), None);
        assert_eq!(
            Signer::generate().unwrap().verify(ACCESS_TOKEN, &token),
            None
        );
    }

    #[test]
    fn an_altered_token_does_not_verify() {
        let signer = Signer::generate().unwrap();
        let token = signer.sign(ACCESS_TOKEN, &json!({"sub": "mary"})).unwrap();
        let mut parts: Vec<&str> = token.split('.').collect();
        let forged = BASE64URL.encode(json!({"sub": "alan"}).to_string());
        parts[1] = &forged;
        assert_eq!(signer.verify(ACCESS_TOKEN, &parts.join(".")), None);
        for garbage in ["", ".", "..", "a.b.c", &token[..token.len() - 4]] {
            assert_eq!(signer.verify(ACCESS_TOKEN, garbage), None, "{garbage}");
        }
    }

    #[test]
    fn the_published_key_is_named_by_its_thumbprint() {
        let signer = Signer::generate().unwrap();
        let key = signer.jwks()["keys"][0].clone();
        assert_eq!(key["kid"], signer.kid);
        let modulus = BASE64URL.decode(key["n"].as_str().unwrap()).unwrap();
        assert_eq!(modulus.len(), 256);
    }

    #[test]
    fn sha256_is_the_pkce_transformation() {
        // RFC 7636 appendix B.
        assert_eq!(
            sha256(b"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }
}
