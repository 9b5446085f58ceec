//! An access token, and what its client has shown besides.

use std::fmt;

use zeroize::Zeroizing;

use super::CredentialKind;

/// An access token as the client sent it. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct BearerToken {
    text: Zeroizing<String>,
    possession: Possession,
}

/// Whether the client has shown that it has a key (RFC 9449).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Possession {
    /// It has not: a plain bearer.
    None,
    /// By a proof of the key with this thumbprint.
    Of(Box<str>),
    /// Taken for granted, of whatever key the token names: where a token is explained, nobody is let in.
    Assumed,
}

impl Possession {
    /// Whether this is good for a token that is bound to the key with that thumbprint.
    #[must_use]
    pub fn is_of(&self, thumbprint: &str) -> bool {
        match self {
            Self::None => false,
            Self::Of(own) => **own == *thumbprint,
            Self::Assumed => true,
        }
    }
}

impl BearerToken {
    /// Wraps the token.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: Zeroizing::new(text.into()),
            possession: Possession::None,
        }
    }

    /// A token that came with a proof by the key of that thumbprint. It is another credential than the same text without.
    #[must_use]
    pub fn with_proof(text: impl Into<String>, thumbprint: &str) -> Self {
        Self {
            possession: Possession::Of(thumbprint.into()),
            ..Self::new(text)
        }
    }

    /// A token that is looked at as if the right proof had come with it.
    #[must_use]
    pub fn with_assumed_proof(text: impl Into<String>) -> Self {
        Self {
            possession: Possession::Assumed,
            ..Self::new(text)
        }
    }

    /// What the client has shown besides.
    #[must_use]
    pub fn possession(&self) -> &Possession {
        &self.possession
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> CredentialKind {
        if self.has_proof() {
            CredentialKind::Dpop
        } else {
            CredentialKind::Bearer
        }
    }

    /// Whether a proof of possession came with it.
    #[must_use]
    pub fn has_proof(&self) -> bool {
        self.possession != Possession::None
    }

    /// The token's text, for verification and for calls to its issuer.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(***)")
    }
}
