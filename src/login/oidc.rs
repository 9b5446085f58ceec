//! Access tokens of the configured issuers, plain or with a proof.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Authenticator, Login};
use crate::auth::{self, AuthError, Standing};
use crate::credentials::{Credential, CredentialKind};
use crate::model::Reason;

/// Asks the issuers.
#[derive(Debug)]
pub struct Oidc(pub Arc<dyn auth::Authenticator>);

#[async_trait]
impl Authenticator for Oidc {
    fn takes(&self, kind: CredentialKind) -> bool {
        matches!(kind, CredentialKind::Bearer | CredentialKind::Dpop)
    }

    fn lanes(&self) -> usize {
        self.0.lanes()
    }

    fn standing(&self, credential: &Credential) -> Option<Standing> {
        match credential {
            Credential::Bearer(token) | Credential::Dpop(token) => Some(self.0.standing(token)),
            Credential::Basic(_) | Credential::Share(_) | Credential::SignedUrl(_) => None,
        }
    }

    async fn authenticate(&self, credential: &Credential) -> Result<Login, AuthError> {
        match credential {
            Credential::Bearer(token) | Credential::Dpop(token) => {
                self.0.authenticate(token).await.map(Login::Claims)
            }
            Credential::Basic(_) | Credential::Share(_) | Credential::SignedUrl(_) => Err(
                AuthError::token(Reason::MalformedCredential, "no access token"),
            ),
        }
    }
}
