//! What the steps of a set-up tell while they are taken.

use crate::accounts::Found;
use crate::config::oidc::Issuer;
use crate::identity::HomeError;
use crate::login::Login;
use crate::model::{Account, Claims, Role, StoredRole};
use crate::roles::{Assigned, RoleError, RoleRules};

/// Hears of each step. The gateway listens to none; `davgate explain` writes them down.
pub trait Trace: Send {
    /// A step was taken.
    fn hear(&mut self, step: Step<'_>);
}

/// A step, and what it came to. One that ends a set-up is told by the error that ends it, unless it says why here.
#[derive(Debug)]
pub enum Step<'a> {
    /// The credential is good; this is what it says.
    Verified {
        /// Who that is.
        login: &'a Login,
        /// Who said so, if an issuer did.
        issuer: Option<&'a Issuer>,
    },
    /// The account was looked up.
    LookedUp(&'a Found),
    /// The role was decided.
    Role {
        /// What decides.
        rules: &'a RoleRules<'a>,
        /// By these claims.
        claims: &'a Claims,
        /// And this role, which is stored.
        stored: Option<&'a StoredRole>,
        /// The outcome.
        outcome: Result<&'a Assigned, &'a RoleError>,
    },
    /// The role is a service client's.
    ServiceRole(Role),
    /// What was missing was written: the account is as it should be.
    Settled(&'a Account),
    /// The role was written to its store.
    RoleKept(Role),
    /// Backends are told an identity.
    Identified,
    /// The home is there, or why not.
    Home(Option<&'a HomeError>),
    /// Others were told of the login.
    Announced,
}

/// Nobody listens.
#[derive(Debug)]
pub(crate) struct Unheard;

impl Trace for Unheard {
    fn hear(&mut self, _: Step<'_>) {}
}
