//! The authenticator for OpenID Connect issuers: picks the issuer of a token, verifies it, fetches claims, admits.

mod trusted;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use trusted::{RETRY, Trusted, opaque_in_jwt_mode, unverified_issuer};

use super::jwk::shown;
use super::jws::{Shape, shape};
use super::keys::Keys;
use super::provider::Provider;
use super::{AuthError, Authenticator, IssuerLogin, Logout, Standing, WellKnown, hints, logout};
use crate::client::Client;
use crate::config::oidc::{Issuer, VerifyMethod};
use crate::credentials::BearerToken;
use crate::model::{Clock, Reason};
use crate::telemetry::IssuerLevel;

/// Verifies tokens of the configured issuers. Dropping it ends its refreshing.
pub struct OidcAuthenticator {
    issuers: Vec<Arc<Trusted>>,
    tasks: Vec<AbortHandle>,
}

impl OidcAuthenticator {
    /// Calls nobody yet; documents and keys are loaded by tasks on `runtime`, and by the first token that needs them.
    ///
    /// # Errors
    /// If an issuer is no address.
    pub fn new(
        issuers: &[Issuer],
        client: &Client,
        clock: &Clock,
        runtime: &Handle,
    ) -> Result<Self, AuthError> {
        let share = issuers.len();
        let issuers = issuers
            .iter()
            .enumerate()
            .map(|(position, settings)| {
                let provider = Provider::new(settings.clone(), client.share(share), clock.clone())
                    .map(Arc::new)?;
                Ok(Arc::new(Trusted {
                    position,
                    keys: Keys::new(Arc::clone(&provider)),
                    provider,
                }))
            })
            .collect::<Result<Vec<_>, AuthError>>()?;
        let tasks = issuers
            .iter()
            .map(|issuer| {
                runtime
                    .spawn(Arc::clone(issuer).keep_fresh())
                    .abort_handle()
            })
            .collect();
        Ok(Self { issuers, tasks })
    }

    /// Whether an issuer's document, and keys where its method needs them, were loaded once. Of several issuers one is
    /// enough: a replica that starts while another one is away must not shut out everybody.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.issuers.iter().any(|issuer| issuer.is_ready())
    }

    /// How each issuer is.
    #[must_use]
    pub fn levels(&self) -> Vec<IssuerLevel> {
        let level = |issuer: &Arc<Trusted>| {
            let (keys, keys_age) = issuer.keys.state();
            IssuerLevel {
                issuer: issuer.provider.settings.issuer.clone(),
                is_ready: issuer.is_ready(),
                keys: keys as u64,
                keys_age,
                trouble: issuer.provider.trouble().or_else(|| issuer.keys.trouble()),
            }
        };
        self.issuers.iter().map(level).collect()
    }

    /// Warns, once at the start, of issuers any of whose tokens counts, whichever client it was given to.
    pub fn warn_of_any_audience(&self) {
        for issuer in &self.issuers {
            let settings = &issuer.provider.settings;
            if !settings.audiences.is_empty() || !settings.verify_aud.is_empty() {
                continue;
            }
            let what_to_do = match settings.verify_method {
                VerifyMethod::None => {
                    "userinfo does not say whom a token is for: another PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD with \
                     PROXY_OIDC_AUDIENCES does"
                }
                VerifyMethod::Jwt | VerifyMethod::Auto | VerifyMethod::Introspection => {
                    "PROXY_OIDC_AUDIENCES (or PROXY_OIDC_ACCESS_TOKEN_VERIFY_AUD, which looks at azp too) takes the clients whose tokens may count"
                }
            };
            tracing::warn!(
                issuer = settings.issuer,
                what_to_do,
                "every access token of the issuer counts, whichever client it was given to"
            );
        }
    }

    /// The issuers whose tokens are believed, by their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.issuers
            .iter()
            .map(|issuer| issuer.provider.settings.issuer.as_str())
    }

    /// Rises whenever some issuer's keys change: refusals of bad tokens that were kept are void then.
    #[must_use]
    pub fn key_changes(&self) -> u64 {
        self.issuers
            .iter()
            .map(|issuer| issuer.keys.changes())
            .sum()
    }

    /// The first issuer's discovery document for clients: the last good one, or a first load.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`] if there is none.
    pub async fn well_known(&self) -> Result<WellKnown, AuthError> {
        let first = self
            .issuers
            .first()
            .ok_or_else(|| AuthError::unavailable("no issuer is configured", RETRY))?;
        Ok(WellKnown::of(&*first.provider.discovery().await?))
    }

    /// Origins of the issuers that a browser client talks to, for the content security policy. Until a document is
    /// loaded, the issuer's own.
    #[must_use]
    pub fn browser_origins(&self) -> Vec<String> {
        let mut origins: Vec<String> = Vec::new();
        for issuer in &self.issuers {
            let known = match issuer.provider.known() {
                Some(discovery) => discovery.browser_origins.clone(),
                None => url::Url::parse(&issuer.provider.settings.issuer)
                    .map(|url| url.origin().ascii_serialization())
                    .into_iter()
                    .collect(),
            };
            for origin in known {
                if !origins.contains(&origin) {
                    origins.push(origin);
                }
            }
        }
        origins
    }

    /// Verifies a back-channel logout token.
    ///
    /// # Errors
    /// [`AuthError::Token`] is 400 at the logout endpoint, [`AuthError::Unavailable`] 503.
    pub async fn verify_logout(&self, token: &str) -> Result<Logout, AuthError> {
        let named = unverified_issuer(token).unwrap_or_default();
        let issuer = self
            .issuers
            .iter()
            .find(|issuer| issuer.provider.settings.issuer == named)
            .or_else(|| self.only());
        match issuer {
            Some(issuer) => {
                logout::verify(token, issuer.position, &issuer.provider, &issuer.keys).await
            }
            None => Err(self.foreign(&named)),
        }
    }

    fn only(&self) -> Option<&Arc<Trusted>> {
        match self.issuers.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// The issuer a JWT names, if it is one of ours; a token of one is never checked against another.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`] if that cannot be told, because an issuer's document was not there yet.
    async fn named(&self, name: &str) -> Result<Option<&Arc<Trusted>>, AuthError> {
        let own = |issuer: &&Arc<Trusted>| issuer.provider.settings.issuer == name;
        if let Some(issuer) = self.issuers.iter().find(own) {
            return Ok(Some(issuer));
        }
        // AD FS: the name in tokens stands in the document only.
        let mut unknown = None;
        for issuer in &self.issuers {
            match issuer.provider.discovery().await {
                Ok(discovery) if discovery.access_token_issuer.as_deref() == Some(name) => {
                    return Ok(Some(issuer));
                }
                Ok(_) => {}
                Err(error) => {
                    unknown.get_or_insert(error);
                }
            }
        }
        unknown.map_or(Ok(None), Err)
    }

    fn foreign(&self, name: &str) -> AuthError {
        let known: Vec<&str> = self.names().collect();
        let hint = known
            .iter()
            .map(|known| hints::issuer(name, known))
            .find(|hint| !hint.is_empty())
            .unwrap_or_default();
        AuthError::token(
            Reason::WrongIssuer,
            format!("iss {:?}, expected one of {known:?}{hint}", shown(name)),
        )
    }

    /// An opaque token names nobody: the issuers that take such tokens are asked in their order. One that cannot be asked
    /// stands in nobody's way but its own.
    async fn opaque(&self, token: &BearerToken, shape: Shape) -> Result<IssuerLogin, AuthError> {
        let (mut undecided, mut refusal) = (None, None);
        for issuer in self.issuers.iter().filter(|issuer| issuer.takes_opaque()) {
            match issuer.login(token, shape).await {
                Err(error @ AuthError::Token { .. }) => {
                    refusal.get_or_insert(error);
                }
                Err(error @ (AuthError::Unavailable { .. } | AuthError::Misconfigured { .. })) => {
                    undecided.get_or_insert(error);
                }
                settled @ (Ok(_) | Err(AuthError::Denied { .. } | AuthError::StepUp { .. })) => {
                    return settled;
                }
            }
        }
        Err(undecided.or(refusal).unwrap_or_else(opaque_in_jwt_mode))
    }
}

#[async_trait]
impl Authenticator for OidcAuthenticator {
    /// One for each issuer, and one for tokens that name none of several.
    fn lanes(&self) -> usize {
        match self.issuers.len() {
            0 | 1 => 1,
            several => several + 1,
        }
    }

    fn standing(&self, token: &BearerToken) -> Standing {
        let shape = shape(token.reveal());
        let issuer = self.only().or_else(|| {
            let name = unverified_issuer(token.reveal())?;
            let mut all = self.issuers.iter();
            all.find(|issuer| issuer.provider.settings.issuer == name)
        });
        Standing {
            lane: issuer.map_or(self.issuers.len(), |issuer| issuer.position),
            is_proven: shape == Shape::Jws
                && issuer.is_some_and(|issuer| issuer.holds(token.reveal())),
        }
    }

    async fn authenticate(&self, token: &BearerToken) -> Result<IssuerLogin, AuthError> {
        let shape = shape(token.reveal());
        if let Some(only) = self.only() {
            return only.login(token, shape).await;
        }
        if shape != Shape::Jws {
            return self.opaque(token, shape).await;
        }
        let name = unverified_issuer(token.reveal()).unwrap_or_default();
        match self.named(&name).await? {
            Some(issuer) => issuer.login(token, shape).await,
            // As with one issuer: where the issuer decides and not a signature, any form is a token.
            None if self.issuers.iter().any(|issuer| issuer.takes_opaque()) => {
                self.opaque(token, shape).await
            }
            None => Err(self.foreign(&name)),
        }
    }
}

impl Drop for OidcAuthenticator {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl fmt::Debug for OidcAuthenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.issuers.iter().map(|it| &it.provider.settings.issuer))
            .finish()
    }
}

#[cfg(test)]
mod tests;
