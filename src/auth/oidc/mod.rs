//! The authenticator for OpenID Connect issuers: picks the issuer of a token, verifies it, fetches claims, admits.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

use super::jwk::shown;
use super::jws::{Jws, Shape, shape};
use super::jwt::{Times, check_binding, numeric_date};
use super::keys::Keys;
use super::provider::Provider;
use super::{
    AuthError, Authenticator, IssuerLogin, Logout, Publication, Standing, WellKnown, claims,
    client_credentials, hints, introspection, json, jwt, logout, token_kind, userinfo,
};
use crate::client::Client;
use crate::config::oidc::{FLAT_ISSUER, Issuer, VerifyMethod};
use crate::credentials::BearerToken;
use crate::model::{Claims, Clock, Reason};
use crate::telemetry::IssuerLevel;

/// Between two refreshes of a discovery document.
const DISCOVERY_REFRESH: Duration = Duration::from_secs(3_600);
/// Between two tries while an issuer is silent; the client lets at most one through per second.
const RETRY: Duration = Duration::from_secs(1);

/// Verifies tokens of the configured issuers. Dropping it ends its refreshing.
pub struct OidcAuthenticator {
    issuers: Vec<Arc<Trusted>>,
    tasks: Vec<AbortHandle>,
}

/// One issuer whose tokens are believed.
struct Trusted {
    position: usize,
    provider: Arc<Provider>,
    keys: Keys,
}

/// What the token itself, or its issuer, said before userinfo.
struct Source {
    /// Vouched for by a signature or by introspection; empty where userinfo decides.
    claims: Map<String, Value>,
    /// The key, if it was a signature.
    key: Option<Publication>,
    was_introspected: bool,
    wants_userinfo: bool,
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
                    "PROXY_OIDC_AUDIENCES (or PROXY_OIDC_ACCESS_TOKEN_VERIFY_AUD, which looks at azp too) names whose do"
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

impl Trusted {
    /// Whether the token's signature holds by the keys that are at hand.
    fn holds(&self, token: &str) -> bool {
        let is_by_keys = matches!(
            self.provider.settings.verify_method,
            VerifyMethod::Jwt | VerifyMethod::Auto
        );
        is_by_keys && Jws::parse(token).is_ok_and(|jws| self.keys.hold(&jws))
    }

    fn takes_opaque(&self) -> bool {
        self.provider.settings.verify_method != VerifyMethod::Jwt
    }

    fn is_ready(&self) -> bool {
        let needs_keys = matches!(
            self.provider.settings.verify_method,
            VerifyMethod::Jwt | VerifyMethod::Auto
        );
        self.provider.known().is_some() && (!needs_keys || self.keys.are_usable())
    }

    async fn login(&self, token: &BearerToken, shape: Shape) -> Result<IssuerLogin, AuthError> {
        let settings = &self.provider.settings;
        let Source {
            mut claims,
            key,
            was_introspected,
            wants_userinfo,
        } = self.source(token, shape).await?;
        let service_client = (self.position == FLAT_ISSUER)
            .then(|| client_credentials::service_client(&claims, settings))
            .flatten();
        // A client's own token: userinfo has nothing about it, and issuers refuse to answer.
        let asks_userinfo = wants_userinfo && service_client.is_none();
        if asks_userinfo {
            let userinfo = userinfo::fetch(&self.provider, &self.keys, token, &claims).await?;
            if settings.userinfo_sub_check {
                userinfo::check_subject(&claims, &userinfo)?;
            }
            claims = claims::merge(claims, userinfo, settings.claims_merge);
        }
        let claims = Claims(claims);
        claims::admit(&claims, settings)?;
        let times = Times::read(&claims.0)?;
        let recheck = key.is_none() || times.expires_at.is_none();
        let text = |name: &str| claims.text(name).map(str::to_owned);
        Ok(IssuerLogin {
            issuer: self.position,
            subject: text("sub"),
            sid: text("sid").filter(|sid| !sid.is_empty()),
            client_id: client_credentials::client_id(&claims).map(str::to_owned),
            expires_at: times.expires_at,
            recheck_at: recheck.then(|| self.provider.clock.now().plus(settings.user_info_ttl)),
            issued_at: times.issued_at,
            was_asked_about: was_introspected || asks_userinfo,
            key,
            service_client,
            auth_time: claims.0.get("auth_time").and_then(numeric_date),
            claims,
        })
    }

    /// What there is before userinfo, by the verify method.
    async fn source(&self, token: &BearerToken, shape: Shape) -> Result<Source, AuthError> {
        let settings = &self.provider.settings;
        let is_own_jwt = match settings.verify_method {
            VerifyMethod::Jwt if shape == Shape::Opaque => return Err(opaque_in_jwt_mode()),
            VerifyMethod::Jwt if shape == Shape::Jwe => return Err(encrypted_in_jwt_mode()),
            VerifyMethod::Jwt => true,
            VerifyMethod::Auto => shape == Shape::Jws && self.is_own(token.reveal()).await?,
            VerifyMethod::None | VerifyMethod::Introspection => false,
        };
        if is_own_jwt {
            let (claims, key) = jwt::verify(token, &self.provider, &self.keys).await?;
            return Ok(Source {
                claims,
                key: Some(key),
                was_introspected: false,
                wants_userinfo: !settings.skip_user_info,
            });
        }
        if shape == Shape::Jws {
            token_kind::check_unverified(token.reveal(), settings)?;
        }
        let introspects = match settings.verify_method {
            VerifyMethod::Introspection => true,
            VerifyMethod::Auto => settings.client.is_some(),
            VerifyMethod::Jwt | VerifyMethod::None => false,
        };
        if introspects {
            return Ok(Source {
                claims: introspection::fetch(&self.provider, &self.keys, token).await?,
                key: None,
                was_introspected: true,
                wants_userinfo: !settings.skip_user_info,
            });
        }
        if !settings.audiences.is_empty() || !settings.verify_aud.is_empty() {
            return Err(AuthError::token(
                Reason::AudienceUnknown,
                "userinfo does not say whom a token that is no JWT of the issuer is for; name a client for introspection \
                 (PROXY_OIDC_CLIENT_ID, PROXY_OIDC_CLIENT_SECRET), or let the issuer give out JWT access tokens",
            ));
        }
        // Userinfo does not say what a token is bound to.
        check_binding(&Map::new(), token, settings)?;
        Ok(Source {
            claims: Map::new(),
            key: None,
            was_introspected: false,
            wants_userinfo: true,
        })
    }

    async fn is_own(&self, token: &str) -> Result<bool, AuthError> {
        let Some(name) = unverified_issuer(token) else {
            return Ok(false);
        };
        let discovery = self.provider.discovery().await?;
        Ok(name == self.provider.settings.issuer
            || discovery.access_token_issuer.as_deref() == Some(name.as_str()))
    }

    /// Loads document and keys, and refreshes them for good. An outage changes nothing that is there.
    async fn keep_fresh(self: Arc<Self>) {
        let issuer = self.provider.settings.issuer.as_str();
        let needs_keys = self.provider.settings.verify_method != VerifyMethod::None;
        let mut reported: Option<Instant> = None;
        loop {
            match self.load(needs_keys).await {
                Ok(()) => break,
                Err(error) => {
                    if reported.is_none_or(|at| at.elapsed() > Duration::from_secs(60)) {
                        tracing::warn!(issuer, %error, "the issuer cannot be used yet");
                        reported = Some(Instant::now());
                    }
                    sleep(RETRY).await;
                }
            }
        }
        if self.is_ready() {
            tracing::info!(issuer, "the issuer answers");
        }
        let (mut keys_at, mut document_at) = (
            Instant::now() + self.keys.refresh_interval(),
            Instant::now() + DISCOVERY_REFRESH,
        );
        loop {
            tokio::time::sleep_until(keys_at.min(document_at)).await;
            let now = Instant::now();
            if document_at <= now {
                let outcome = self.provider.refresh().await.map(drop);
                document_at = next(issuer, "discovery", outcome, DISCOVERY_REFRESH);
            }
            if keys_at <= now {
                let outcome = if needs_keys {
                    self.keys.refresh().await
                } else {
                    Ok(())
                };
                keys_at = next(issuer, "keys", outcome, self.keys.refresh_interval());
            }
        }
    }

    async fn load(&self, needs_keys: bool) -> Result<(), AuthError> {
        let discovery = self.provider.discovery().await?;
        // Introspection needs keys for signed answers only.
        let has_keys = !discovery.jwks_uri.is_absent();
        let method = self.provider.settings.verify_method;
        let needs_keys = needs_keys && (has_keys || method != VerifyMethod::Introspection);
        if needs_keys && !self.keys.are_loaded() {
            self.keys.refresh().await?;
        }
        Ok(())
    }
}

/// When to refresh again: after the interval, or soon if it failed.
fn next(issuer: &str, what: &str, outcome: Result<(), AuthError>, interval: Duration) -> Instant {
    match outcome {
        Ok(()) => Instant::now() + interval,
        Err(error) => {
            tracing::warn!(issuer, what, %error, "not refreshed; the last good one stays");
            Instant::now() + interval.min(Duration::from_secs(5))
        }
    }
}

/// `iss` of a JWT nobody has verified: good enough to know whom to ask, and for nothing else.
fn unverified_issuer(token: &str) -> Option<String> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    match json::object(&payload).ok()?.remove("iss")? {
        Value::String(name) => Some(name),
        _ => None,
    }
}

fn opaque_in_jwt_mode() -> AuthError {
    AuthError::token(
        Reason::OpaqueToken,
        "the token is no JWT; set PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD to none or auto, or let the issuer hand out \
         JWT access tokens",
    )
}

fn encrypted_in_jwt_mode() -> AuthError {
    AuthError::token(
        Reason::OpaqueToken,
        "the token is encrypted (a JWE of five parts) and only its issuer can read it; set \
         PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD to none, auto or introspection, or let the issuer give out signed JWT \
         access tokens without encryption",
    )
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
