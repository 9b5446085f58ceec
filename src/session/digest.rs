//! Sessions are found by a keyed digest of the credential and its kind, so that a memory dump of the cache holds no
//! credential, nobody outside can compute a key, and what was sent in one way is never found by what is sent in another.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::rand;

use crate::credentials::{
    BearerToken, Credential, CredentialKind, Possession, ShareSecret, SignedRequest,
};

/// Digest of one credential under this process's key.
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

/// What a digest is of. Those of two subjects never meet, whatever the values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DigestOf {
    /// A credential of that kind.
    Credential(CredentialKind),
    /// A `sid` of an issuer.
    Sid,
    /// A `sub` of an issuer.
    Subject,
}

impl DigestOf {
    const COUNT: usize = CredentialKind::COUNT + 2;

    const fn index(self) -> usize {
        match self {
            Self::Credential(kind) => kind.index(),
            Self::Sid => CredentialKind::COUNT,
            Self::Subject => CredentialKind::COUNT + 1,
        }
    }
}

/// Makes digests. SHA-256 of one block that holds the subject's number and the key, then of the values: the digest never
/// leaves the process, so that extending it gains nobody anything, and it costs two thirds of HMAC (performance.md). The
/// number stands where no value reaches, and costs nothing, because the state after the block is computed once for each.
#[derive(Clone)]
pub struct Digester {
    keyed: Box<[Context; DigestOf::COUNT]>,
}

impl Digester {
    /// A digester with a fresh random key.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn random() -> Result<Self, aws_lc_rs::error::Unspecified> {
        let mut block = [0_u8; 64];
        rand::fill(&mut block)?;
        let keyed = std::array::from_fn(|number| {
            block[0] = u8::try_from(number).unwrap_or(u8::MAX);
            let mut context = Context::new(&SHA256);
            context.update(&block);
            context
        });
        Ok(Self {
            keyed: Box::new(keyed),
        })
    }

    /// The digest under which a credential's session is kept.
    #[must_use]
    pub fn credential(&self, credential: &Credential) -> Digest {
        let of = DigestOf::Credential(credential.kind());
        match credential {
            Credential::Bearer(token) | Credential::Dpop(token) => self.token(token),
            Credential::Basic(password) => self.values(
                of,
                &[password.user().as_bytes(), password.reveal().as_bytes()],
            ),
            Credential::Share(share) => {
                let token = share.token.as_bytes();
                match &share.secret {
                    ShareSecret::Password(secret) => self.values(of, &[token, secret.as_bytes()]),
                    ShareSecret::Signature {
                        signature,
                        expiration,
                    } => self.values(of, &[token, signature.as_bytes(), expiration.as_bytes()]),
                }
            }
            Credential::SignedUrl(SignedRequest { method, uri, host }) => self.values(
                of,
                &[
                    method.as_str().as_bytes(),
                    uri.to_string().as_bytes(),
                    host.as_bytes(),
                ],
            ),
        }
    }

    /// The digest under which a token's session is kept.
    #[must_use]
    pub fn token(&self, token: &BearerToken) -> Digest {
        let text = token.reveal();
        match token.possession() {
            Possession::None => self.bearer(text.as_bytes()),
            Possession::Of(key) => self.proven(key, text),
            Possession::Assumed => self.proven("", text),
        }
    }

    /// The digest of what a bearer sent as a token: of a token, the one under which its session is kept.
    #[must_use]
    pub fn bearer(&self, presented: &[u8]) -> Digest {
        let mut context = self.start(DigestOf::Credential(CredentialKind::Bearer));
        context.update(presented);
        finish(context)
    }

    /// The digest of a token that came with a proof by the key of that thumbprint. It is part of what was sent: whoever
    /// has the token and another key finds nothing, and leaves nothing that its owner finds.
    #[must_use]
    pub fn proven(&self, key: &str, token: &str) -> Digest {
        let kind = DigestOf::Credential(CredentialKind::Dpop);
        self.values(kind, &[key.as_bytes(), token.as_bytes()])
    }

    /// A digest of several values; no two lists of values share one.
    #[must_use]
    pub(super) fn values(&self, of: DigestOf, values: &[&[u8]]) -> Digest {
        let mut context = self.start(of);
        for value in values {
            context.update(&(value.len() as u64).to_le_bytes());
            context.update(value);
        }
        finish(context)
    }

    fn start(&self, of: DigestOf) -> Context {
        self.keyed[of.index()].clone()
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
    use http::HeaderMap;
    use http::header::AUTHORIZATION;
    use proptest::prelude::*;

    use super::*;
    use crate::credentials::{Password, Presented, presented};

    #[test]
    fn one_token_has_one_digest_and_another_process_another() {
        let (here, there) = (Digester::random().unwrap(), Digester::random().unwrap());
        let token = BearerToken::new("a.b.c");
        assert_eq!(here.token(&token), here.token(&token));
        assert_ne!(here.token(&token), here.token(&BearerToken::new("a.b.d")));
        let proven = BearerToken::with_proof("a.b.c", "key");
        assert_ne!(here.token(&token), here.token(&proven));
        let other = BearerToken::with_proof("a.b.c", "another key");
        assert_ne!(here.token(&other), here.token(&proven));
        assert_ne!(here.token(&token), there.token(&token));
    }

    #[test]
    fn values_are_not_confused_with_their_concatenation_or_another_subject() {
        let digester = Digester::random().unwrap();
        let values = |of, values: &[&[u8]]| digester.values(of, values);
        assert_ne!(
            values(DigestOf::Sid, &[b"ab", b"c"]),
            values(DigestOf::Sid, &[b"a", b"bc"])
        );
        assert_ne!(
            values(DigestOf::Sid, &[b"a"]),
            values(DigestOf::Subject, &[b"a"])
        );
    }

    /// What an `Authorization` header is taken for, and the digest that its session is looked for under. A thief has a key
    /// of their own.
    fn looked_for(digester: &Digester, value: &[u8]) -> Option<(CredentialKind, Vec<u8>, Digest)> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.try_into().ok()?);
        let found = presented(&headers).ok()??;
        let (bytes, digest) = match found {
            Presented::Bearer(token) => (token.bytes(), digester.bearer(token.bytes())),
            Presented::Dpop(token) => (token.bytes(), digester.proven("thief", token.text().ok()?)),
            Presented::Basic(token) => {
                let password = Password::read(token.bytes()).ok()?;
                (
                    token.bytes(),
                    digester.credential(&Credential::Basic(password)),
                )
            }
        };
        Some((found.kind(), bytes.to_vec(), digest))
    }

    /// Scheme bytes and what follows, as somebody would write them who wants one read as the other.
    fn header() -> impl Strategy<Value = (String, String)> {
        let scheme = prop_oneof![
            Just("Bearer"),
            Just("bearer"),
            Just("DPoP"),
            Just("dpop"),
            Just("DPoP\t"),
            Just("Basic"),
            Just(""),
            Just("BearerDPoP"),
            Just("Bearer DPoP"),
            Just("DPoP Bearer"),
            Just("\u{1}"),
        ];
        let rest = prop_oneof![
            "[ -~]{0,12}",
            "( {0,2}(Bearer|DPoP|bearer|dpop)){0,2} {0,2}a\\.b\\.c",
            Just("\u{0}\u{5}\u{0}owner\u{5}a.b.c".to_owned()),
            Just("a.b.c".to_owned()),
        ];
        (scheme.prop_map(str::to_owned), rest)
    }

    proptest! {
        #[test]
        fn no_two_ways_to_send_something_find_the_same_session(one in header(), other in header()) {
            let digester = Digester::random().unwrap();
            let look = |(scheme, rest): &(String, String)| looked_for(&digester, format!("{scheme} {rest}").as_bytes());
            let owners = digester.proven("owner", "a.b.c");
            let (one, other) = (look(&one), look(&other));
            for found in [&one, &other].into_iter().flatten() {
                prop_assert_ne!(found.2, owners, "{:?}", &found.1);
            }
            if let (Some(one), Some(other)) = (one, other) {
                prop_assert_eq!((one.0, &one.1) == (other.0, &other.1), one.2 == other.2);
            }
        }
    }
}
