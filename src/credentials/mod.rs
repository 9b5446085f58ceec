//! What came with a request to show who sent it, read by workers without asking anybody.
//!
//! A credential has a kind, and the kind is part of what it is: the same text sent in another way is another credential,
//! which finds no session of the first.

mod authorization;
mod token;

pub use authorization::{CredentialError, MAX_TOKEN, Presented, PresentedToken, presented};
pub use token::{BearerToken, Possession};

/// How somebody shows who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CredentialKind {
    /// An access token that is good for whoever has it (RFC 6750).
    Bearer,
    /// An access token with a proof of possession of its key (RFC 9449).
    Dpop,
}

impl CredentialKind {
    /// How many there are.
    pub const COUNT: usize = 2;

    /// Its place among them.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Bearer => 0,
            Self::Dpop => 1,
        }
    }
}
