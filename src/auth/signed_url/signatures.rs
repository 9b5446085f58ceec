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

/// Why a signature was not found good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotVerified {
    /// The URL counts for nothing.
    Refused(SignedUrlError),
    /// So many signatures wait to be worked out that nothing was said of this one.
    Busy,
}

/// Verifies signatures. Clones share the bounds and what is kept.
#[derive(Debug, Clone)]
pub(crate) struct Signatures {
    permits: Arc<Semaphore>,
    /// Places to wait in, and to work.
    places: Arc<Semaphore>,
    /// Stands for the key of somebody who has none, so that this takes as long as a wrong signature.
    decoy: SigningKey,
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
/// Those that wait; each costs some 10 ms of a core, and anybody can ask for one.
const MAX_WAITING: usize = 64;
/// A download by ranges asks for the same URL again and again.
const MAX_KEPT: usize = 4_096;

impl Default for Signatures {
    fn default() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(AT_ONCE)),
            places: Arc::new(Semaphore::new(AT_ONCE + MAX_WAITING)),
            decoy: SigningKey(Zeroizing::new(uuid::Uuid::new_v4().to_string())),
            kept: Arc::default(),
        }
    }
}

impl Signatures {
    /// Holds the URL against the person's key. Without a key it is refused after the same work.
    ///
    /// # Errors
    /// [`NotVerified`], with [`SignedUrlError::NoKey`] or [`SignedUrlError::Signature`].
    pub(crate) async fn verify(
        &self,
        url: &ClientSigned,
        key: Option<&SigningKey>,
    ) -> Result<(), NotVerified> {
        let given = url.signature().as_bytes();
        let used = key.unwrap_or(&self.decoy);
        for candidate in url.candidates() {
            let wanted = HEXLOWER.encode(&self.signature(used, candidate).await?);
            if bool::from(wanted.as_bytes().ct_eq(given)) && key.is_some() {
                return Ok(());
            }
        }
        Err(NotVerified::Refused(match key {
            Some(_) => SignedUrlError::Signature,
            None => SignedUrlError::NoKey,
        }))
    }

    async fn signature(
        &self,
        key: &SigningKey,
        text: &str,
    ) -> Result<[u8; SIGNATURE], NotVerified> {
        let name = name(key, text);
        if let Some(signature) = self.kept().get(&name) {
            return Ok(*signature);
        }
        let _place = self.places.try_acquire().map_err(|_| NotVerified::Busy)?;
        let permit = self.permits.acquire().await;
        let _permit = permit.map_err(|_| NotVerified::Busy)?;
        let (key, text) = (key.clone(), text.to_owned());
        let derived = tokio::task::spawn_blocking(move || derive(&key, &text)).await;
        let signature = derived.map_err(|_| NotVerified::Busy)?;
        let mut kept = self.kept();
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(name, signature);
        Ok(signature)
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

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::auth::signed_url::Presented;
    use crate::model::UnixTime;

    fn url(path: &str) -> ClientSigned {
        let presented = Presented {
            method: &Method::GET,
            host: "cloud.example",
            scheme: None,
            path,
            query: "OC-Credential=alan&OC-Date=2026-11-30T10:00:00Z&OC-Expires=1200&OC-Verb=GET\
                    &OC-Signature=00",
        };
        let read = ClientSigned::read(&presented, &[Method::GET], UnixTime(1_700_000_000));
        read.unwrap().unwrap()
    }

    #[tokio::test]
    async fn row_112_nobodys_name_costs_what_a_wrong_signature_costs() {
        let signatures = Signatures::default();
        let key = SigningKey::new("00ff");
        // A path with a space's `$` has two spellings.
        for (path, each) in [("/dav/a", 1), ("/dav/s$p/a", 2)] {
            for (key, error) in [
                (key.as_ref(), SignedUrlError::Signature),
                (None, SignedUrlError::NoKey),
            ] {
                signatures.kept().clear();
                let outcome = signatures.verify(&url(path), key).await;
                assert_eq!(outcome, Err(NotVerified::Refused(error)));
                assert_eq!(signatures.kept().len(), each, "{path} {error}");
            }
        }
    }

    #[tokio::test]
    async fn row_112_of_many_at_once_64_wait_and_the_others_are_told_to_come_again() {
        let signatures = Signatures::default();
        let key = SigningKey::new("00ff");
        let ask = |n: usize| {
            let (signatures, key) = (signatures.clone(), key.clone());
            async move {
                signatures
                    .verify(&url(&format!("/{n}")), key.as_ref())
                    .await
            }
        };
        // All of them ask before the first is done: this thread is the only one that polls them.
        let outcomes = futures_util::future::join_all((0..100).map(ask)).await;
        let busy = outcomes.iter().filter(|o| **o == Err(NotVerified::Busy));
        let busy = busy.count();
        assert_eq!(busy, 100 - AT_ONCE - MAX_WAITING);
        // Afterwards there is room again.
        let wrong = Err(NotVerified::Refused(SignedUrlError::Signature));
        assert_eq!(ask(100).await, wrong);
    }
}
