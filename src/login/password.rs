//! User names with passwords, checked by the CS3 gateway: those of accounts, and those made for one application.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::failures::Failures;
use super::gateway::{RETRY_AFTER, own, undecided};
use super::{Authenticator, Login, UserLogin};
use crate::auth::AuthError;
use crate::config::Secret;
use crate::credentials::{Credential, CredentialKind, Password};
use crate::model::{Clock, Reason};
use crate::rpc::cs3::{Authentication, Credentials, Cs3};

/// A password that was changed or taken back is found out within this time.
const RECHECK: Duration = Duration::from_secs(300);

/// App passwords that are compared at once: each costs the backend a tenth of a second for every one its user has.
const AT_ONCE: usize = 8;

/// Passwords of accounts.
#[derive(Debug)]
pub(crate) struct AccountPasswords {
    cs3: Cs3,
    clock: Clock,
    failures: Failures,
}

/// Passwords made for one application, with the rights they were made with.
#[derive(Debug)]
pub(crate) struct AppPasswords {
    cs3: Cs3,
    clock: Clock,
    failures: Failures,
    turns: Semaphore,
}

impl AccountPasswords {
    /// Checked at this gateway.
    #[must_use]
    pub(crate) fn new(cs3: Cs3, clock: Clock) -> Self {
        Self {
            cs3,
            failures: Failures::new(clock.clone()),
            clock,
        }
    }
}

impl AppPasswords {
    /// Checked at this gateway.
    #[must_use]
    pub(crate) fn new(cs3: Cs3, clock: Clock) -> Self {
        Self {
            cs3,
            failures: Failures::new(clock.clone()),
            clock,
            turns: Semaphore::new(AT_ONCE),
        }
    }
}

#[async_trait]
impl Authenticator for AccountPasswords {
    fn takes(&self, kind: CredentialKind) -> bool {
        kind == CredentialKind::Basic
    }

    async fn authenticate(&self, credential: &Credential) -> Result<Login, AuthError> {
        let password = password(credential)?;
        self.failures.check(password.user())?;
        let secret = Secret::new(password.reveal());
        let credentials = Credentials::Basic {
            name: password.user(),
            password: &secret,
        };
        match self
            .cs3
            .authenticate(credentials)
            .await
            .map_err(undecided)?
        {
            Authentication::Granted(granted) => Ok(Login::User(UserLogin {
                kind: CredentialKind::Basic,
                account_id: granted.id.opaque_id,
                own: None,
                recheck_at: self.clock.now().plus(RECHECK),
            })),
            Authentication::Refused(_) => Err(self.failures.add(password.user())),
        }
    }
}

#[async_trait]
impl Authenticator for AppPasswords {
    fn takes(&self, kind: CredentialKind) -> bool {
        kind == CredentialKind::Basic
    }

    async fn authenticate(&self, credential: &Credential) -> Result<Login, AuthError> {
        let password = password(credential)?;
        self.failures.check(password.user())?;
        let Ok(_turn) = self.turns.acquire().await else {
            return Err(AuthError::unavailable("closed", RETRY_AFTER));
        };
        let secret = Secret::new(password.reveal());
        let credentials = Credentials::AppPassword {
            name: password.user(),
            password: &secret,
        };
        match self
            .cs3
            .authenticate(credentials)
            .await
            .map_err(undecided)?
        {
            Authentication::Granted(granted) => {
                let now = self.clock.now();
                Ok(Login::User(UserLogin {
                    kind: CredentialKind::AppPassword,
                    own: Some(own(&granted, now)?),
                    account_id: granted.id.opaque_id,
                    recheck_at: now.plus(RECHECK),
                }))
            }
            Authentication::Refused(_) => Err(self.failures.add(password.user())),
        }
    }
}

/// A password that can be one: the gateway says to an empty one what it says when it is in trouble.
fn password(credential: &Credential) -> Result<&Password, AuthError> {
    match credential {
        Credential::Basic(password)
            if !password.user().is_empty() && !password.reveal().is_empty() =>
        {
            Ok(password)
        }
        Credential::Basic(_)
        | Credential::Bearer(_)
        | Credential::Dpop(_)
        | Credential::Share(_)
        | Credential::SignedUrl(_) => Err(AuthError::token(
            Reason::WrongPassword,
            "no user name, or no password",
        )),
    }
}
