//! Signing keys of the fake issuer: real ones, by aws-lc-rs, and their JWK form.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::encoding::{
    AsBigEndian as _, AsDer as _, EcPrivateKeyBin, Pkcs8V1Der, PublicKeyX509Der,
};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256,
    RSA_PSS_SHA384, RSA_PSS_SHA512,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// A key pair with its id and the algorithm it signs with.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) kid: String,
    pub(crate) alg: &'static str,
    pair: Pair,
}

#[derive(Clone)]
enum Pair {
    Rsa(Arc<RsaKeyPair>),
    Ec(Arc<EcdsaKeyPair>, &'static str),
    Ed(Arc<Ed25519KeyPair>),
}

impl Key {
    /// A new key for `alg` (`RS256`, `PS512`, `ES256`, `EdDSA`, ...).
    pub(crate) fn new(kid: &str, alg: &'static str) -> Self {
        let pair = match alg {
            "ES256" => ec(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
            "ES384" => ec(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
            "ES512" => ec(&ECDSA_P521_SHA512_FIXED_SIGNING, "P-521"),
            "EdDSA" => Pair::Ed(Arc::new(Ed25519KeyPair::generate().unwrap())),
            _ => Pair::Rsa(Arc::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())),
        };
        Self {
            kid: kid.to_owned(),
            alg,
            pair,
        }
    }

    /// The RSA key that most tests sign with. Making one takes long enough to share it within a process.
    pub(crate) fn shared() -> Self {
        static SHARED: OnceLock<Key> = OnceLock::new();
        SHARED.get_or_init(|| Key::new("key-1", "RS256")).clone()
    }

    /// The same key under another id.
    pub(crate) fn named(mut self, kid: &str) -> Self {
        self.kid = kid.to_owned();
        self
    }

    /// The same key for another algorithm.
    pub(crate) fn of(mut self, alg: &'static str) -> Self {
        self.alg = alg;
        self
    }

    /// Signs bytes with the algorithm of that name, which must fit the key.
    pub(crate) fn sign(&self, alg: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let encoding: &dyn aws_lc_rs::signature::RsaEncoding = match alg {
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    "PS384" => &RSA_PSS_SHA384,
                    "PS512" => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, message, &mut signature)
                    .unwrap();
                signature
            }
            Pair::Ec(pair, _) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// What everybody knows of the key, in the forms in which it goes around: modulus, JWK, DER, PEM.
    pub(crate) fn public_forms(&self) -> Vec<Vec<u8>> {
        let Pair::Rsa(pair) = &self.pair else {
            panic!("no RSA key: {}", self.alg);
        };
        let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        let base64 = STANDARD.encode(der.as_ref());
        let lines: Vec<&str> = base64
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            lines.join("\n")
        );
        let jwk = self.jwk();
        let n = jwk["n"].as_str().unwrap().as_bytes().to_vec();
        vec![
            self.public_bytes(),
            n,
            jwk.to_string().into(),
            der.as_ref().to_vec(),
            pem.trim_end().into(),
            pem.into(),
            base64.into(),
        ]
    }

    /// RSASSA-PSS with SHA-256 and an empty salt: by the `rsa` crate, because aws-lc-rs makes no such signature.
    pub(crate) fn sign_pss_without_salt(&self, message: &[u8]) -> Vec<u8> {
        use rsa::pkcs8::DecodePrivateKey as _;
        use rsa::signature::{RandomizedSigner as _, SignatureEncoding as _};
        let Pair::Rsa(pair) = &self.pair else {
            panic!("no RSA key: {}", self.alg);
        };
        let der: Pkcs8V1Der = pair.as_der().unwrap();
        let key = rsa::RsaPrivateKey::from_pkcs8_der(der.as_ref()).unwrap();
        let signer = rsa::pss::SigningKey::<rsa::sha2::Sha256>::new_with_salt_len(key, 0);
        let mut random = rsa::rand_core::OsRng;
        signer.sign_with_rng(&mut random, message).to_vec()
    }

    /// The public half as a JWK.
    pub(crate) fn jwk(&self) -> Value {
        let b64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match &self.pair {
            Pair::Rsa(pair) => {
                let public = pair.public_key();
                let modulus = public.modulus().big_endian_without_leading_zero();
                let exponent = public.exponent().big_endian_without_leading_zero();
                json!({"kty": "RSA", "n": b64(modulus), "e": b64(exponent)})
            }
            Pair::Ec(pair, curve) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                json!({"kty": "EC", "crv": curve, "x": b64(x), "y": b64(y)})
            }
            Pair::Ed(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": b64(pair.public_key().as_ref())})
            }
        };
        jwk["kid"] = self.kid.clone().into();
        jwk["alg"] = self.alg.into();
        jwk["use"] = "sig".into();
        jwk
    }

    /// The JWK of a key of a curve with its private member, for issuers that bring no key of their own.
    pub(crate) fn private_jwk(&self) -> Value {
        let Pair::Ec(pair, _) = &self.pair else {
            panic!("no key of a curve: {}", self.alg);
        };
        let private: EcPrivateKeyBin = pair.private_key().as_be_bytes().unwrap();
        let mut jwk = self.jwk();
        jwk["d"] = URL_SAFE_NO_PAD.encode(private.as_ref()).into();
        jwk
    }

    /// The RSA modulus, for tokens "signed" with the public key.
    pub(crate) fn public_bytes(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(pair) => pair
                .public_key()
                .modulus()
                .big_endian_without_leading_zero()
                .to_vec(),
            Pair::Ec(pair, _) => pair.public_key().as_ref().to_vec(),
            Pair::Ed(pair) => pair.public_key().as_ref().to_vec(),
        }
    }
}

fn ec(algorithm: &'static EcdsaSigningAlgorithm, curve: &'static str) -> Pair {
    Pair::Ec(Arc::new(EcdsaKeyPair::generate(algorithm).unwrap()), curve)
}
