//! An issuer's signing keys: loaded, refreshed, and asked for again when a token names one nobody has seen.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::header::{ACCEPT, CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::jwk::{Found, KeySet, shown};
use super::jws::Jws;
use super::latest::Latest;
use super::provider::{Provider, bad_status};
use super::{AuthError, Reason};
use crate::client::Call;
use crate::model::UnixTime;
use crate::telemetry::IssuerCall;

/// Between two refreshes at least.
const RETRY: Duration = Duration::from_secs(1);
/// An issuer whose `max-age` is shorter is asked no more often than this.
const SHORTEST_LIFE: Duration = Duration::from_secs(60);
/// A fetch for an unknown key id that failed may be repeated after this time.
const RETRY_FAILED: Duration = Duration::from_secs(5);

/// The keys of one issuer.
pub(super) struct Keys {
    provider: Arc<Provider>,
    current: Latest<Loaded>,
    asked: Mutex<Asked>,
    changes: AtomicU64,
}

struct Loaded {
    set: Arc<KeySet>,
    fetched_at: UnixTime,
    /// To ask only for what changed (RFC 9110 section 8.8.3).
    etag: Option<HeaderValue>,
    /// The issuer's own word on how long the set is good (RFC 9111 section 5.2.2.1).
    max_age: Option<Duration>,
}

/// The last fetch that an unknown key id caused.
#[derive(Default)]
struct Asked {
    /// No other one before this.
    not_before: Option<UnixTime>,
    /// When the last successful one began.
    began: Option<Instant>,
}

impl Keys {
    /// Knows where to ask, asks nobody yet.
    pub(super) fn new(provider: Arc<Provider>) -> Self {
        Self {
            provider,
            current: Latest::new(),
            asked: Mutex::default(),
            changes: AtomicU64::new(0),
        }
    }

    /// Whether keys were loaded once.
    pub(super) fn are_loaded(&self) -> bool {
        self.current.peek().is_some()
    }

    /// Rises whenever the set becomes another one; refusals of bad tokens are void then.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Between two refreshes: as configured, sooner if the issuer gives its set a shorter life. A longer one is not
    /// believed, for a week of `max-age` must not hide a rotation that long.
    pub(super) fn refresh_interval(&self) -> Duration {
        let configured = self.provider.settings.jwks.refresh_interval;
        self.current
            .peek()
            .and_then(|loaded| loaded.max_age)
            .map_or(configured, |age| configured.min(age.max(SHORTEST_LIFE)))
            .max(RETRY)
    }

    /// Fetches the set anew; the old one stays if that fails.
    pub(super) async fn refresh(&self) -> Result<(), AuthError> {
        self.current.reload(self.fetch()).await.map(drop)
    }

    /// Checks the signature of a token, with the rules of design.md 2 (Keys) for a key id nobody has seen.
    ///
    /// # Errors
    /// [`AuthError::Token`] if the token is bad, [`AuthError::Unavailable`] if the keys could not be asked for.
    pub(super) async fn verify(
        &self,
        jws: &Jws<'_>,
        issued_at: Option<UnixTime>,
    ) -> Result<(), AuthError> {
        let arrived = Instant::now();
        let loaded = self.current.get_or_load(self.fetch()).await?;
        if let Some(settled) = self.by(&loaded, jws, issued_at) {
            return settled;
        }
        let mut asked = self.asked.lock().await;
        if let Some(loaded) = self.current.peek()
            && let Some(settled) = self.by(&loaded, jws, issued_at)
        {
            return settled;
        }
        if asked.began.is_some_and(|began| began >= arrived) {
            return Err(unknown(jws));
        }
        let jwks = &self.provider.settings.jwks;
        if !jwks.refresh_unknown_kid {
            return Err(pending(jws, RETRY_FAILED));
        }
        let now = self.provider.clock.now();
        if let Some(not_before) = asked.not_before
            && now < not_before
        {
            // A clock that was set back must not silence us for longer than the limit.
            return Err(pending(jws, not_before.since(now).min(jwks.refresh_limit)));
        }
        let began = Instant::now();
        match self.current.reload(self.fetch()).await {
            Ok(loaded) => {
                asked.not_before = Some(now.plus(jwks.refresh_limit));
                asked.began = Some(began);
                self.by(&loaded, jws, issued_at)
                    .unwrap_or_else(|| Err(unknown(jws)))
            }
            Err(error) => {
                asked.not_before = Some(now.plus(RETRY_FAILED.min(jwks.refresh_limit)));
                Err(error)
            }
        }
    }

    /// What a set says of a token; `None` if the key id is unknown and the set may be too old to tell.
    fn by(
        &self,
        loaded: &Loaded,
        jws: &Jws<'_>,
        issued_at: Option<UnixTime>,
    ) -> Option<Result<(), AuthError>> {
        match loaded.set.find(jws.header.kid.as_deref()) {
            Found::Key(key) => Some(jws.verify(key)),
            Found::Ambiguous => Some(Err(AuthError::token(
                Reason::UnknownKey,
                format!(
                    "no kid in the header, and the issuer has {} keys; set PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD=none \
                     or let the issuer name the key",
                    loaded.set.len()
                ),
            ))),
            Found::UnknownKid => {
                let leeway = self.provider.settings.leeway;
                let is_settled = issued_at.is_none_or(|iat| loaded.fetched_at > iat.plus(leeway));
                is_settled.then(|| Err(unknown(jws)))
            }
        }
    }

    async fn fetch(&self) -> Result<Loaded, AuthError> {
        let discovery = self.provider.discovery().await?;
        let url = discovery
            .jwks_uri
            .clone()
            .ok_or_else(|| AuthError::garbage("discovery", "jwks_uri is missing"))?;
        let mut call = Call::get(IssuerCall::Keys, url.url().clone()).header(
            ACCEPT,
            HeaderValue::from_static("application/jwk-set+json, application/json"),
        );
        call.timeout = self.provider.settings.jwks.refresh_timeout;
        let old = self.current.peek();
        if let Some(etag) = old.as_ref().and_then(|old| old.etag.clone()) {
            call = call.header(IF_NONE_MATCH, etag);
        }
        let answer = self.provider.send(call).await?;
        let fetched_at = self.provider.clock.now();
        if let Some(old) = &old
            && old.etag.is_some()
            && answer.status == StatusCode::NOT_MODIFIED
        {
            return Ok(Loaded {
                set: Arc::clone(&old.set),
                fetched_at,
                etag: old.etag.clone(),
                max_age: max_age(&answer.headers).or(old.max_age),
            });
        }
        if answer.status != StatusCode::OK {
            return Err(bad_status("keys", &answer));
        }
        let set =
            KeySet::parse(&answer.body).map_err(|e| AuthError::garbage("keys", &e.to_string()))?;
        let issuer = self.provider.settings.issuer.as_str();
        match old {
            Some(old) if set.len() == 0 && old.set.len() > 0 => {
                return Err(AuthError::garbage(
                    "keys",
                    "no usable key; the old ones are kept",
                ));
            }
            Some(old) if old.set.same_as(&set) => {}
            _ => {
                if set.len() == 0 {
                    tracing::warn!(
                        issuer,
                        "the issuer has no key that may verify; choose an RSA or EC signing key there"
                    );
                }
                tracing::info!(issuer, keys = set.len(), "signing keys of the issuer");
                self.changes.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(Loaded {
            set: Arc::new(set),
            fetched_at,
            etag: answer.headers.get(ETAG).cloned(),
            max_age: max_age(&answer.headers),
        })
    }
}

/// `max-age` of `Cache-Control`; `no-cache` and `no-store` say nothing about a set that has to be kept anyway.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let directives = headers.get(CACHE_CONTROL)?.to_str().ok()?;
    directives.split(',').find_map(|directive| {
        let (name, seconds) = directive.trim().split_once('=')?;
        let seconds = seconds.trim_matches('"').parse().ok()?;
        name.eq_ignore_ascii_case("max-age")
            .then(|| Duration::from_secs(seconds))
    })
}

fn unknown(jws: &Jws<'_>) -> AuthError {
    AuthError::token(Reason::UnknownKey, format!("kid {}", kid(jws)))
}

fn pending(jws: &Jws<'_>, retry_after: Duration) -> AuthError {
    AuthError::Unavailable {
        reason: Reason::KeysPending,
        detail: format!(
            "kid {} is unknown and the keys were asked for a moment ago",
            kid(jws)
        ),
        retry_after: retry_after.max(Duration::from_secs(1)),
    }
}

fn kid(jws: &Jws<'_>) -> String {
    shown(jws.header.kid.as_deref().unwrap_or("-"))
}
