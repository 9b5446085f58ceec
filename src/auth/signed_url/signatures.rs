//! Signatures of clients: PBKDF2 over the URL with the person's key. Ten thousand rounds each, so their number is bounded
//! and what was worked out is kept.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::{digest, pbkdf2};
use data_encoding::HEXLOWER;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::{ClientSigned, SignedUrlError};

/// The key that the backend keeps for a person, as text. Never empty.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SigningKey(Zeroizing<String>);

impl SigningKey {
    /// `None` for an empty key, which would let any signature pass.
    #[must_use]
    pub(crate) fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(Zeroizing::new(text.to_owned())))
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey")
    }
}

/// Verifies signatures. Clones share the bound and what is kept.
#[derive(Debug, Clone)]
pub(crate) struct Signatures {
    permits: Arc<Semaphore>,
    kept: Arc<Mutex<HashMap<Digest, [u8; SIGNATURE]>>>,
}

type Digest = [u8; digest::SHA256_OUTPUT_LEN];

/// Bytes of a signature.
const SIGNATURE: usize = 32;
/// Rounds, as clients do them.
const ROUNDS: NonZeroU32 = match NonZeroU32::new(10_000) {
    Some(rounds) => rounds,
    None => NonZeroU32::MIN,
};
/// Derivations at once; more wait.
const AT_ONCE: usize = 2;
/// A download by ranges asks for the same URL again and again.
const MAX_KEPT: usize = 4_096;

impl Default for Signatures {
    fn default() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(AT_ONCE)),
            kept: Arc::default(),
        }
    }
}

impl Signatures {
    /// Holds the URL against the person's key.
    ///
    /// # Errors
    /// [`SignedUrlError::NoKey`], [`SignedUrlError::Signature`].
    pub(crate) async fn verify(
        &self,
        url: &ClientSigned,
        key: Option<&SigningKey>,
    ) -> Result<(), SignedUrlError> {
        let key = key.ok_or(SignedUrlError::NoKey)?;
        let given = url.signature().as_bytes();
        for candidate in url.candidates() {
            let wanted = HEXLOWER.encode(&self.signature(key, candidate).await);
            if bool::from(wanted.as_bytes().ct_eq(given)) {
                return Ok(());
            }
        }
        Err(SignedUrlError::Signature)
    }

    async fn signature(&self, key: &SigningKey, text: &str) -> [u8; SIGNATURE] {
        let name = name(key, text);
        if let Some(signature) = self.kept().get(&name) {
            return *signature;
        }
        // Neither is ever closed or panics; if one did, no signature would be all zeros.
        let Ok(_permit) = self.permits.acquire().await else {
            return [0; SIGNATURE];
        };
        let (key, text) = (key.clone(), text.to_owned());
        let derived = tokio::task::spawn_blocking(move || derive(&key, &text)).await;
        let Ok(signature) = derived else {
            return [0; SIGNATURE];
        };
        let mut kept = self.kept();
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(name, signature);
        signature
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Digest, [u8; SIGNATURE]>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Password and salt are the other way round than one would think: the URL is the password, the key's text the salt.
fn derive(key: &SigningKey, text: &str) -> [u8; SIGNATURE] {
    let mut signature = [0; SIGNATURE];
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA512,
        ROUNDS,
        key.0.as_bytes(),
        text.as_bytes(),
        &mut signature,
    );
    signature
}

fn name(key: &SigningKey, text: &str) -> Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&(key.0.len() as u64).to_be_bytes());
    context.update(key.0.as_bytes());
    context.update(text.as_bytes());
    let mut name = Digest::default();
    name.copy_from_slice(context.finish().as_ref());
    name
}
