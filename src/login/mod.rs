//! Who sent this credential? An authenticator for each kind, on the control runtime; each ends in a [`Login`].

mod failures;
mod gateway;
mod oidc;
mod password;
mod share;
mod signed_url;

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

pub use oidc::Oidc;
pub(crate) use password::{AccountPasswords, AppPasswords};
pub(crate) use share::Shares;
pub(crate) use signed_url::SignedUrls;

use crate::auth::{AuthError, IssuerLogin, Standing};
use crate::credentials::{Credential, CredentialKind};
use crate::headers::IdentityHeaders;
use crate::model::{Reason, UnixTime};

/// What a credential comes to, before anybody looks for an account.
#[derive(Debug, Clone)]
pub enum Login {
    /// What an issuer says of a person, or of a client.
    Claims(IssuerLogin),
    /// A user whom the CS3 gateway knows by a password.
    User(UserLogin),
    /// Nobody's account is needed: a share.
    Ready(OwnLogin),
}

/// A user whom the CS3 gateway let in.
#[derive(Debug, Clone)]
pub struct UserLogin {
    /// Which of the passwords it was.
    pub kind: CredentialKind,
    /// The account's id.
    pub account_id: String,
    /// What backends are told instead of the account's own identity, where the password has a scope of its own.
    pub own: Option<OwnLogin>,
    /// When the password has to be checked again.
    pub recheck_at: UnixTime,
}

/// An identity that belongs to one credential alone.
#[derive(Debug, Clone)]
pub struct OwnLogin {
    /// What backends are told.
    pub headers: IdentityHeaders,
    /// Who gave it out is asked again then.
    pub recheck_at: UnixTime,
    /// It is told to nobody from then on.
    pub last_at: UnixTime,
}

/// Checks credentials of some kinds.
///
/// May be called for many at once; bounds its own calls, and keeps nothing per credential, which is the session's business.
#[async_trait]
pub trait Authenticator: Debug + Send + Sync {
    /// Whether it is asked about credentials that came in this way.
    fn takes(&self, kind: CredentialKind) -> bool;

    /// How many lanes of set-ups it tells apart, see [`Standing`].
    fn lanes(&self) -> usize {
        1
    }

    /// What is known of the credential without asking anybody; `None` if nothing ever is.
    fn standing(&self, credential: &Credential) -> Option<Standing> {
        let _ = credential;
        None
    }

    /// Says who sent it.
    ///
    /// # Errors
    /// [`AuthError`]: "it is bad" is never the same variant as "I could not ask".
    async fn authenticate(&self, credential: &Credential) -> Result<Login, AuthError>;
}

/// The authenticators in their order (docs/design/contract.md 9.3).
#[derive(Debug, Clone, Default)]
pub struct Authenticators(Arc<[Arc<dyn Authenticator>]>);

impl Authenticators {
    /// In this order.
    #[must_use]
    pub fn new(list: Vec<Arc<dyn Authenticator>>) -> Self {
        Self(list.into())
    }

    /// How many lanes of set-ups there are.
    #[must_use]
    pub fn lanes(&self) -> usize {
        let lanes = self.0.iter().map(|one| one.lanes());
        lanes.max().unwrap_or(1)
    }

    /// What is known of the credential without asking anybody.
    #[must_use]
    pub fn standing(&self, credential: &Credential) -> Standing {
        let kind = credential.kind();
        let mut taking = self.0.iter().filter(|one| one.takes(kind));
        taking
            .find_map(|one| one.standing(credential))
            .unwrap_or(Standing {
                lane: 0,
                is_proven: false,
            })
    }

    /// Asks those that take the kind, in turn; the first that says yes decides. One that could not be asked might have said
    /// yes, so that its failure counts more than another's no.
    ///
    /// # Errors
    /// [`AuthError`]
    pub async fn authenticate(&self, credential: &Credential) -> Result<Login, AuthError> {
        let kind = credential.kind();
        let (mut undecided, mut refusal) = (None, None);
        for authenticator in self.0.iter().filter(|one| one.takes(kind)) {
            match authenticator.authenticate(credential).await {
                Ok(login) => return Ok(login),
                Err(error @ AuthError::Token { .. }) => {
                    refusal.get_or_insert(error);
                }
                Err(error @ (AuthError::Unavailable { .. } | AuthError::Misconfigured { .. })) => {
                    undecided.get_or_insert(error);
                }
                // Somebody known, who may not enter: nobody else is asked.
                Err(error @ (AuthError::Denied { .. } | AuthError::StepUp { .. })) => {
                    return Err(error);
                }
            }
        }
        Err(undecided.or(refusal).unwrap_or_else(|| {
            AuthError::token(
                Reason::MalformedCredential,
                "credentials of this kind are not taken",
            )
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::credentials::BearerToken;

    /// Says what it was told to.
    #[derive(Debug)]
    struct Scripted(&'static str);

    #[async_trait]
    impl Authenticator for Scripted {
        fn takes(&self, kind: CredentialKind) -> bool {
            self.0 != "other" && kind == CredentialKind::Bearer
        }

        async fn authenticate(&self, _: &Credential) -> Result<Login, AuthError> {
            match self.0 {
                "yes" => Ok(Login::User(UserLogin {
                    kind: CredentialKind::Basic,
                    account_id: "mara".into(),
                    own: None,
                    recheck_at: UnixTime(0),
                })),
                "no" => Err(AuthError::token(Reason::TokenRejected, "no")),
                "out" => Err(AuthError::Denied {
                    reason: Reason::AccountDisabled,
                    detail: "disabled".into(),
                }),
                _ => Err(AuthError::unavailable("down", Duration::from_secs(5))),
            }
        }
    }

    #[tokio::test]
    async fn the_first_yes_decides_and_what_cannot_be_decided_is_no_refusal() {
        for (answers, expected) in [
            (&["yes"][..], None),
            (&["no", "yes"], None),
            (&["down", "yes"], None),
            (&["no", "down"], Some(Reason::IssuerUnavailable)),
            (&["down", "no"], Some(Reason::IssuerUnavailable)),
            (&["out", "yes"], Some(Reason::AccountDisabled)),
            (&["no", "other"], Some(Reason::TokenRejected)),
            (&["other"], Some(Reason::MalformedCredential)),
            (&[], Some(Reason::MalformedCredential)),
        ] {
            let list = answers.iter().map(|answer| Arc::new(Scripted(answer)) as _);
            let authenticators = Authenticators::new(list.collect());
            let credential = Credential::Bearer(BearerToken::new("x"));
            let outcome = authenticators.authenticate(&credential).await;
            let reason = outcome.err().map(|error| error.reason());
            assert_eq!(reason, expected, "{answers:?}");
        }
    }
}
