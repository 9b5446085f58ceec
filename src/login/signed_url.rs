//! Signed URLs: whoever holds one acts for the person who signed it, or for whom a server did.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::Method;

use super::{Authenticator, Login, UserLogin};
use crate::accounts::{AccountKey, UserDirectory};
use crate::auth::AuthError;
use crate::auth::signed_url::{
    ClientSigned, NotVerified, Presented, ServerSigned, Signatures, SignedUrlError, SigningKey,
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

/// How long a good URL is not looked at again, and so how long one lives whose person was shut out or whose key was
/// replaced; its own end may be earlier. What its signature has to be is kept, so that a second look is cheap.
const RECHECK: Duration = Duration::from_secs(1);
/// Whose key is asked for where nobody has the name: who has one is not to be told by the time it takes.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";
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
        let id = account.as_ref().map_or(NOBODY, |account| &account.id);
        let key = keys.signing_key(id).await;
        let key = key.map_err(|error| AuthError::unavailable(error.to_string(), RETRY_AFTER))?;
        let key = key.filter(|_| account.is_some());
        let key = key.and_then(|key| SigningKey::new(key.reveal()));
        let verified = self.signatures.verify(url, key.as_ref()).await;
        verified.map_err(|error| match error {
            NotVerified::Refused(error) => refused(error),
            NotVerified::Busy => AuthError::unavailable("too many signatures wait", RETRY_AFTER),
        })?;
        let end = now.plus(RECHECK).min(url.expires_at());
        account
            .map(|account| login(&account.id, end))
            .ok_or_else(|| refused(SignedUrlError::NoKey))
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
