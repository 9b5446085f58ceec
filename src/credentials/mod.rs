//! What came with a request to show who sent it, read by workers without asking anybody.
//!
//! A credential has a kind, and the kind is part of what it is: the same text sent in another way is another credential,
//! which finds no session of the first.

mod authorization;
mod offered;
mod password;
mod share;
mod signed;
mod token;

pub(crate) use authorization::{CredentialError, PresentedToken, Scheme, scheme};
pub use authorization::{Presented, presented};
pub(crate) use offered::{Accepts, offered};
pub(crate) use password::Password;
pub(crate) use share::{Share, ShareSecret};
pub(crate) use signed::SignedRequest;
pub use token::BearerToken;
pub(crate) use token::Possession;

/// How somebody shows who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CredentialKind {
    /// An access token that is good for whoever has it (RFC 6750).
    Bearer,
    /// An access token with a proof of possession of its key (RFC 9449).
    Dpop,
    /// A user name with a password (RFC 7617).
    Basic,
    /// A user name with a password made for one application. It comes as [`CredentialKind::Basic`] does; only who checks it
    /// knows which of the two it is.
    AppPassword,
    /// The token of a public link, and what it is protected with.
    Share,
    /// A URL that somebody signed for a single use (docs/design/contract.md 9.7).
    SignedUrl,
}

impl CredentialKind {
    /// How many there are.
    pub const COUNT: usize = 6;

    /// Its place among them.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Bearer => 0,
            Self::Dpop => 1,
            Self::Basic => 2,
            Self::AppPassword => 3,
            Self::Share => 4,
            Self::SignedUrl => 5,
        }
    }
}

/// A credential, taken out of its request to be checked.
#[derive(Debug, Clone)]
pub enum Credential {
    /// An access token.
    Bearer(BearerToken),
    /// An access token that came with a proof which holds for the request.
    Dpop(BearerToken),
    /// A user name and a password, or an application's password.
    Basic(Password),
    /// A public link.
    Share(Share),
    /// A signed URL.
    SignedUrl(SignedRequest),
}

impl Credential {
    /// Its kind, as it came.
    #[must_use]
    pub const fn kind(&self) -> CredentialKind {
        match self {
            Self::Bearer(_) => CredentialKind::Bearer,
            Self::Dpop(_) => CredentialKind::Dpop,
            Self::Basic(_) => CredentialKind::Basic,
            Self::Share(_) => CredentialKind::Share,
            Self::SignedUrl(_) => CredentialKind::SignedUrl,
        }
    }
}

/// A token is the one or the other by what its client has shown.
impl From<BearerToken> for Credential {
    fn from(token: BearerToken) -> Self {
        if token.has_proof() {
            Self::Dpop(token)
        } else {
            Self::Bearer(token)
        }
    }
}
