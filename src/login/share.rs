//! Public links, checked by the CS3 gateway. Whoever visits one has the link's rights and no account.

use std::time::Duration;

use async_trait::async_trait;

use super::failures::Failures;
use super::gateway::{own, undecided};
use super::{Authenticator, Login, OwnLogin};
use crate::auth::AuthError;
use crate::config::Secret;
use crate::credentials::{Credential, CredentialKind, ShareSecret};
use crate::model::{Address, Clock, Reason};
use crate::rpc::cs3::{Authentication, Credentials, Cs3, Refused};
use crate::services::Directory;

/// A link that was taken back, or given another password, is found out within this time.
const RECHECK: Duration = Duration::from_secs(60);

/// Public links.
#[derive(Debug)]
pub(crate) struct Shares {
    cs3: Cs3,
    /// Where the gateway would be known, unless it certainly is there.
    only_if: Option<(Directory, Address)>,
    clock: Clock,
    failures: Failures,
}

impl Shares {
    /// Checked at this gateway. With `only_if` a link is nothing while nobody has said that there is such a gateway.
    #[must_use]
    pub(crate) fn new(cs3: Cs3, only_if: Option<(Directory, Address)>, clock: Clock) -> Self {
        Self {
            cs3,
            only_if,
            failures: Failures::new(clock.clone()),
            clock,
        }
    }
}

impl Shares {
    fn is_there(&self) -> bool {
        match &self.only_if {
            None | Some((_, Address::Endpoint(_))) => true,
            Some((directory, Address::Service(name))) => directory.is_announced(name.as_str()),
        }
    }
}

#[async_trait]
impl Authenticator for Shares {
    fn takes(&self, kind: CredentialKind) -> bool {
        kind == CredentialKind::Share
    }

    async fn authenticate(&self, credential: &Credential) -> Result<Login, AuthError> {
        let Credential::Share(share) = credential else {
            return Err(AuthError::token(Reason::ShareUnknown, "no public link"));
        };
        if !self.is_there() {
            let detail = "no CS3 gateway is known, which would know the link";
            return Err(AuthError::token(Reason::ShareUnknown, detail));
        }
        self.failures.check(&share.token)?;
        let secret;
        let credentials = match &share.secret {
            ShareSecret::Password(password) => {
                secret = Secret::new(password.as_str());
                Credentials::SharePassword {
                    share: &share.token,
                    password: &secret,
                }
            }
            ShareSecret::Signature {
                signature,
                expiration,
            } => Credentials::ShareSignature {
                share: &share.token,
                signature,
                expiration,
            },
        };
        match self
            .cs3
            .authenticate(credentials)
            .await
            .map_err(undecided)?
        {
            Authentication::Granted(granted) => {
                let now = self.clock.now();
                Ok(Login::Ready(OwnLogin {
                    recheck_at: now.plus(RECHECK),
                    ..own(&granted, now)?
                }))
            }
            Authentication::Refused(Refused::Unknown) => Err(AuthError::token(
                Reason::ShareUnknown,
                "there is no such public link",
            )),
            Authentication::Refused(Refused::Wrong) => Err(self.failures.add(&share.token)),
        }
    }
}
