//! What replicas write into a store: only who has the deployment's secret can read it, or write what they would believe.

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

const NONCE: usize = 12;

/// Names and seals records.
#[derive(Debug)]
pub(super) struct Seal {
    names: hmac::Key,
    box_key: RandomizedNonceKey,
}

impl Seal {
    /// That of all gateways with this secret. `None` if it is empty, or the library refuses, which it has no reason to.
    pub(super) fn new(secret: &[u8]) -> Option<Self> {
        if secret.is_empty() {
            return None;
        }
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let derived = |purpose: &[u8]| hmac::sign(&secret, purpose);
        let names = derived(b"davgate: names of what replicas share");
        let texts = derived(b"davgate: texts that replicas share");
        Some(Self {
            names: hmac::Key::new(hmac::HMAC_SHA256, names.as_ref()),
            box_key: RandomizedNonceKey::new(&AES_256_GCM, texts.as_ref()).ok()?,
        })
    }

    /// The name of a record about these parts, which tells nobody what they are.
    pub(super) fn name(&self, parts: &[&[u8]]) -> String {
        let mut name = hmac::Context::with_key(&self.names);
        for part in parts {
            // So that no two lists of parts are one text.
            name.update(&part.len().to_be_bytes());
            name.update(part);
        }
        URL_SAFE_NO_PAD.encode(&name.sign().as_ref()[..18])
    }

    pub(super) fn close(&self, name: &str, text: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = text.to_vec();
        let aad = Aad::from(name.as_bytes());
        let nonce = self.box_key.seal_in_place_append_tag(aad, &mut sealed);
        let nonce = nonce.ok()?;
        Some([nonce.as_ref(), sealed.as_slice()].concat())
    }

    /// `None` for what nobody with the secret wrote under this name.
    pub(super) fn open(&self, name: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, text) = sealed.split_at_checked(NONCE)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let aad = Aad::from(name.as_bytes());
        let opened = self.box_key.open_in_place(nonce, aad, &mut text).ok()?;
        Some(opened.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateways_with_one_secret_understand_each_other_and_nobody_else() {
        let [ours, replica, other] = ["a", "a", "b"].map(|s| Seal::new(s.as_bytes()).unwrap());
        let name = ours.name(&[b"logout", b"issuer", b"sid"]);
        assert_eq!(replica.name(&[b"logout", b"issuer", b"sid"]), name);
        for different in [&[&b"logout"[..], b"issuers", b"id"][..], &[b"logout"], &[]] {
            assert_ne!(ours.name(different), name);
        }
        assert_ne!(other.name(&[b"logout", b"issuer", b"sid"]), name);
        let sealed = ours.close(&name, b"text").unwrap();
        assert_eq!(replica.open(&name, &sealed).as_deref(), Some(&b"text"[..]));
        assert_eq!(replica.open("elsewhere", &sealed), None);
        assert_eq!(other.open(&name, &sealed), None);
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert_eq!(replica.open(&name, &altered), None, "{at}");
            assert_eq!(replica.open(&name, &sealed[..at]), None, "{at}");
        }
        assert!(Seal::new(b"").is_none());
    }
}
