//! Sessions are found by a keyed digest of the token, so that a memory dump of the cache holds no token and nobody
//! outside can compute a key.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::rand;

use crate::auth::BearerToken;

/// Digest of one token under this process's key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Its first half, where memory counts.
    pub(super) fn half(&self) -> [u8; 16] {
        let (half, _) = self.0.as_chunks::<16>();
        half[0]
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest")
    }
}

/// Makes digests. SHA-256 with the key as prefix: the digest never leaves the process, so that extending it gains
/// nobody anything, and it costs two thirds of HMAC (performance.md).
#[derive(Clone)]
pub struct Digester {
    keyed: Context,
}

impl Digester {
    /// A digester with a fresh random key.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn random() -> Result<Self, aws_lc_rs::error::Unspecified> {
        // One whole SHA-256 block, so that the keyed state is computed once.
        let mut key = [0_u8; 64];
        rand::fill(&mut key)?;
        let mut keyed = Context::new(&SHA256);
        keyed.update(&key);
        Ok(Self { keyed })
    }

    /// The digest under which a token's session is kept.
    #[must_use]
    pub fn token(&self, token: &BearerToken) -> Digest {
        if !token.has_proof() {
            return self.presented(token.reveal().as_bytes());
        }
        let mut context = self.keyed.clone();
        // A session that needs a proof must not be found by the token alone. No token has a blank in it.
        context.update(b"DPoP ");
        context.update(token.reveal().as_bytes());
        finish(context)
    }

    /// The digest of what a bearer sent as a token: of a token, the one under which its session is kept.
    #[must_use]
    pub fn presented(&self, bytes: &[u8]) -> Digest {
        let mut context = self.keyed.clone();
        context.update(bytes);
        finish(context)
    }

    /// A digest of several values; no two lists of values share one.
    #[must_use]
    pub(super) fn values(&self, kind: u8, values: &[&[u8]]) -> Digest {
        let mut context = self.keyed.clone();
        context.update(&[kind]);
        for value in values {
            context.update(&(value.len() as u64).to_le_bytes());
            context.update(value);
        }
        finish(context)
    }
}

fn finish(context: Context) -> Digest {
    let mut bytes = [0_u8; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    Digest(bytes)
}

impl fmt::Debug for Digester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digester")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_token_has_one_digest_and_another_process_another() {
        let (here, there) = (Digester::random().unwrap(), Digester::random().unwrap());
        let token = BearerToken::new("a.b.c");
        assert_eq!(here.token(&token), here.token(&token));
        assert_ne!(here.token(&token), here.token(&BearerToken::new("a.b.d")));
        let proven = BearerToken::with_proof("a.b.c");
        assert_ne!(here.token(&token), here.token(&proven));
        assert_ne!(here.token(&token), there.token(&token));
    }

    #[test]
    fn values_are_not_confused_with_their_concatenation() {
        let digester = Digester::random().unwrap();
        assert_ne!(
            digester.values(0, &[b"ab", b"c"]),
            digester.values(0, &[b"a", b"bc"])
        );
        assert_ne!(digester.values(0, &[b"a"]), digester.values(1, &[b"a"]));
    }
}
