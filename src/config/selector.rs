use std::sync::Arc;

use regex::Regex;

/// Which policy serves a request (`policy_selector`, docs/design/contract.md 9.1).
#[derive(Debug, Clone)]
pub enum PolicySelector {
    /// The same one for everybody.
    Static(String),
    /// Each user's own.
    ByUser(Arc<UserSelector>),
}

/// A policy for each user, decided at the set-up of a session.
#[derive(Debug, Clone)]
pub struct UserSelector {
    /// The policies that may be chosen.
    pub policies: Vec<Arc<str>>,
    /// What decides.
    pub rule: SelectorRule,
    /// For users whom no rule names a policy.
    pub default_policy: Arc<str>,
    /// For requests without a login and without the cookie.
    pub unauthenticated_policy: Arc<str>,
    /// Name of the cookie that remembers a user's policy, for requests without a login.
    pub cookie: String,
}

/// What decides about a user's policy.
#[derive(Debug, Clone)]
pub enum SelectorRule {
    /// The first of these claims that is there names the policy.
    Claims([&'static str; 2]),
    /// The first rule that matches names it; in order of priority.
    Regex(Vec<PolicyMatch>),
}

/// One of `matches_policies`.
#[derive(Debug, Clone)]
pub struct PolicyMatch {
    /// What is looked at.
    pub property: Property,
    /// Matches anywhere in it.
    pub pattern: Regex,
    /// The policy of users who match.
    pub policy: Arc<str>,
}

/// A property of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Property {
    /// The mail address.
    Mail,
    /// The login name.
    Username,
    /// The account's id.
    Id,
}

impl PolicySelector {
    /// The selector, if users differ.
    #[must_use]
    pub fn by_user(&self) -> Option<&Arc<UserSelector>> {
        match self {
            Self::Static(_) => None,
            Self::ByUser(selector) => Some(selector),
        }
    }
}
