//! Whose session it is, and in whose name backends are asked.

use std::ops::Deref;
use std::sync::Arc;

use super::account::{AccountSnapshot, AccountState};
use crate::headers::IdentityHeaders;
use crate::model::UnixTime;

/// Who logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Principal {
    /// A person with an account.
    Account,
    /// A program with an account (`PROXY_SERVICE_CLIENTS`).
    ServiceClient,
    /// A visitor of a public link; nobody's account.
    Share,
}

/// What backends are told in the name of a session.
#[derive(Debug)]
pub enum Identity {
    /// The account's, with all its rights; shared by the account's sessions at one issuer.
    OfAccount(Arc<AccountState>),
    /// One with rights of its own, which no other session is ever given.
    Own(Box<OwnIdentity>),
}

/// An identity that belongs to one credential alone.
#[derive(Debug)]
pub struct OwnIdentity {
    /// What backends are told.
    pub headers: IdentityHeaders,
    /// It is told to nobody from then on.
    pub last_at: UnixTime,
    /// The account behind it, if there is one: who is shut out there is out here.
    pub account: Option<Arc<AccountState>>,
}

impl Identity {
    /// The account behind it.
    #[must_use]
    pub fn account(&self) -> Option<&Arc<AccountState>> {
        match self {
            Self::OfAccount(account) => Some(account),
            Self::Own(own) => own.account.as_ref(),
        }
    }

    /// What backends are told now.
    #[must_use]
    pub fn told(&self) -> Told<'_> {
        match self {
            Self::OfAccount(account) => Told::OfAccount(account.current()),
            Self::Own(own) => {
                if let Some(account) = &own.account {
                    account.mark_used();
                }
                Told::Own(&own.headers)
            }
        }
    }

    /// Whether what backends are told has ended by itself.
    pub(super) fn is_over(&self, now: UnixTime) -> bool {
        match self {
            Self::OfAccount(_) => false,
            Self::Own(own) => now >= own.last_at,
        }
    }

    pub(super) fn weight(&self) -> usize {
        let account = self.account().map_or(0, |account| account.weight());
        match self {
            Self::OfAccount(_) => account,
            Self::Own(own) => account + size_of::<OwnIdentity>() + own.headers.weight(),
        }
    }
}

/// Identity headers, held for one request.
#[derive(Debug)]
pub enum Told<'s> {
    /// As the account stands.
    OfAccount(Arc<AccountSnapshot>),
    /// The session's own.
    Own(&'s IdentityHeaders),
}

impl Deref for Told<'_> {
    type Target = IdentityHeaders;

    fn deref(&self) -> &IdentityHeaders {
        match self {
            Self::OfAccount(account) => &account.identity,
            Self::Own(headers) => headers,
        }
    }
}
