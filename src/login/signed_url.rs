//! Signed URLs: whoever holds one acts for the person who signed it, or for whom a server did.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::Method;

use super::{Authenticator, Login, UserLogin};
use crate::accounts::{AccountKey, UserDirectory};
use crate::auth::AuthError;
use crate::auth::signed_url::{
    ClientSigned, Presented, ServerSigned, Signatures, SignedUrlError, SigningKey,
};
use crate::config::Secret;
use crate::credentials::{Credential, CredentialKind};
use crate::model::{Clock, Reason, UnixTime};
use crate::stores::SigningKeys;

/// The authenticator of signed URLs.
#[derive(Debug, Clone)]
pub(crate) struct SignedUrls {
    /// Whose name a URL bears.
    pub directory: Arc<dyn UserDirectory>,
    /// People's keys; without them no client's signature counts.
    pub keys: Option<SigningKeys>,
    /// What was verified a moment ago.
    pub signatures: Signatures,
    /// What servers sign with; without it no server's signature counts.
    pub secret: Option<Secret>,
    /// Methods that signed URLs may have.
    pub methods: Vec<Method>,
    /// The wall clock.
    pub clock: Clock,
}

/// How long a good URL is not looked at again; its own end may be earlier.
const RECHECK: Duration = Duration::from_secs(60);
/// When to come back after a store or a directory could not be asked.
const RETRY_AFTER: Duration = Duration::from_secs(5);

#[async_trait]
impl Authenticator for SignedUrls {
    fn takes(&self, kind: CredentialKind) -> bool {
        kind == CredentialKind::SignedUrl
    }

    async fn authenticate(&self, credential: &Credential) -> Result<Login, AuthError> {
        let Credential::SignedUrl(request) = credential else {
            return Err(refused(SignedUrlError::Malformed("the URL")));
        };
        let now = self.clock.now();
        let host = request.host.to_str();
        let presented = Presented {
            method: &request.method,
            host: host.map_err(|_| refused(SignedUrlError::Malformed("Host")))?,
            // What the client signed is its own view, which is https whatever leads here.
            scheme: None,
            path: request.uri.path(),
            query: request.uri.query().unwrap_or_default(),
        };
        let by_client = ClientSigned::read(&presented, &self.methods, now).map_err(refused)?;
        if let Some(url) = by_client {
            return self.by_client(&url, now).await;
        }
        let by_server = ServerSigned::read(&presented, self.secret.as_ref(), &self.methods, now);
        match by_server.map_err(refused)? {
            Some(url) => Ok(login(
                url.account_id(),
                now.plus(RECHECK).min(url.expires_at()),
            )),
            None => Err(refused(SignedUrlError::Malformed("the signature"))),
        }
    }
}

impl SignedUrls {
    async fn by_client(&self, url: &ClientSigned, now: UnixTime) -> Result<Login, AuthError> {
        let Some(keys) = &self.keys else {
            return Err(refused(SignedUrlError::NoKey));
        };
        let name = AccountKey::Username(url.username().to_owned());
        let found = self.directory.find(&name).await;
        let found =
            found.map_err(|error| AuthError::unavailable(error.to_string(), RETRY_AFTER))?;
        // A name is matched without case, and by nothing but the name.
        let account = found.filter(|account| {
            account.enabled && account.username.eq_ignore_ascii_case(url.username())
        });
        let account = account.ok_or_else(|| refused(SignedUrlError::NoKey))?;
        let key = keys.signing_key(&account.id).await;
        let key = key.map_err(|error| AuthError::unavailable(error.to_string(), RETRY_AFTER))?;
        let key = key.and_then(|key| SigningKey::new(key.reveal()));
        let verified = self.signatures.verify(url, key.as_ref()).await;
        verified.map_err(refused)?;
        Ok(login(&account.id, now.plus(RECHECK).min(url.expires_at())))
    }
}

fn login(account_id: &str, recheck_at: UnixTime) -> Login {
    Login::User(UserLogin {
        kind: CredentialKind::SignedUrl,
        account_id: account_id.to_owned(),
        own: None,
        recheck_at,
    })
}

fn refused(error: SignedUrlError) -> AuthError {
    AuthError::token(Reason::SignedUrl, error.to_string())
}
