//! An issuer's signing keys: loaded, refreshed, and asked for again when a token names one nobody has seen.

mod sightings;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use http::header::{ACCEPT, CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::sync::Mutex;
use tokio::time::Instant;

use self::sightings::Sightings;
use super::jwk::{Found, KeySet, MAX_KID, Publication, shown};
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
/// A fetch for an unknown key id that failed may be repeated after this time, and a set that is of no use is asked for
/// again.
const RETRY_FAILED: Duration = Duration::from_secs(5);

/// The keys of one issuer.
pub(super) struct Keys {
    provider: Arc<Provider>,
    current: Latest<Loaded>,
    asked: Mutex<Asked>,
    sightings: StdMutex<Sightings>,
    changes: AtomicU64,
}

struct Loaded {
    set: Arc<KeySet>,
    /// When the fetch was sent off: what was published later is not in it.
    began: Instant,
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
}

impl Keys {
    /// Knows where to ask, asks nobody yet.
    pub(super) fn new(provider: Arc<Provider>) -> Self {
        Self {
            provider,
            current: Latest::new(),
            asked: Mutex::default(),
            sightings: StdMutex::default(),
            changes: AtomicU64::new(0),
        }
    }

    /// Whether a set was loaded once, of use or not.
    pub(super) fn are_loaded(&self) -> bool {
        self.current.peek().is_some()
    }

    /// Whether tokens can be verified.
    pub(super) fn are_usable(&self) -> bool {
        self.current
            .peek()
            .is_some_and(|loaded| loaded.set.len() > 0)
    }

    /// How many keys verify, and since when the issuer has confirmed no others.
    pub(super) fn state(&self) -> (usize, Option<Duration>) {
        let loaded = self.current.peek();
        let loaded = loaded.as_ref();
        (
            loaded.map_or(0, |loaded| loaded.set.len()),
            loaded.map(|loaded| loaded.began.elapsed()),
        )
    }

    /// The last load failed: how long ago, and how.
    pub(super) fn trouble(&self) -> Option<(Duration, String)> {
        self.current.trouble()
    }

    /// Rises whenever the set becomes another one; refusals of bad tokens are void then.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Between two refreshes: as configured, sooner if the issuer gives its set a shorter life, or if nobody can use what
    /// it has. A longer life is not believed, for a week of `max-age` must not hide a rotation that long.
    pub(super) fn refresh_interval(&self) -> Duration {
        let configured = self.provider.settings.jwks.refresh_interval;
        let Some(loaded) = self.current.peek() else {
            return configured.max(RETRY);
        };
        if loaded.set.len() == 0 {
            return RETRY_FAILED;
        }
        loaded
            .max_age
            .map_or(configured, |age| configured.min(age.max(SHORTEST_LIFE)))
            .max(RETRY)
    }

    /// Fetches the set anew; the old one stays if that fails.
    pub(super) async fn refresh(&self) -> Result<(), AuthError> {
        self.current.reload(self.fetch()).await.map(drop)
    }

    /// Checks the signature of a token, with the rules of docs/design/design.md 2 (Keys) for a key id nobody has seen: it is judged by
    /// when it came here first, because the issuer's clock says nothing about when its keys were published.
    ///
    /// # Errors
    /// [`AuthError::Token`] if the token is bad, [`AuthError::Unavailable`] if the keys could not be asked for.
    pub(super) async fn verify(&self, jws: &Jws<'_>) -> Result<Publication, AuthError> {
        let loaded = self.current.get_or_load(self.fetch()).await?;
        if let Said::Settled(settled) = by(&loaded.set, jws) {
            return settled;
        }
        let first_seen = self.sightings().first(kid_of(jws));
        let mut asked = self.asked.lock().await;
        let loaded = self.current.peek().unwrap_or(loaded);
        let unusable = match by(&loaded.set, jws) {
            Said::Settled(settled) => return settled,
            Said::Unusable(error) => Some(error),
            Said::Unknown => None,
        };
        let jwks = &self.provider.settings.jwks;
        let now = self.provider.clock.now();
        let wait = match asked.not_before {
            _ if !jwks.refresh_unknown_kid => Some(RETRY_FAILED),
            // A clock that was set back must not silence us for longer than the limit.
            Some(at) if now < at => Some(at.since(now).min(jwks.refresh_limit)),
            _ => None,
        };
        if let Some(wait) = wait {
            if let Some(error) = unusable {
                return Err(error);
            }
            let is_settled = first_seen <= loaded.began || self.sightings().has_left(kid_of(jws));
            return Err(if is_settled {
                unknown(jws)
            } else {
                pending(jws, wait)
            });
        }
        match self.current.reload(self.fetch()).await {
            Ok(loaded) => {
                asked.not_before = Some(now.plus(jwks.refresh_limit));
                match by(&loaded.set, jws) {
                    Said::Settled(settled) => settled,
                    Said::Unusable(error) => Err(error),
                    Said::Unknown => Err(unknown(jws)),
                }
            }
            Err(error) => {
                asked.not_before = Some(now.plus(RETRY_FAILED.min(jwks.refresh_limit)));
                Err(error)
            }
        }
    }

    /// Whether the signature holds by the set that is at hand.
    pub(super) fn hold(&self, jws: &Jws<'_>) -> bool {
        let loaded = self.current.peek();
        loaded.is_some_and(|loaded| matches!(by(&loaded.set, jws), Said::Settled(Ok(_))))
    }

    fn sightings(&self) -> std::sync::MutexGuard<'_, Sightings> {
        // Nothing below the lock can leave the lists half changed.
        self.sightings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(&self) -> Result<Loaded, AuthError> {
        let discovery = self.provider.discovery().await?;
        let mut call = Call::get(IssuerCall::Keys, discovery.jwks_uri.address()?).header(
            ACCEPT,
            HeaderValue::from_static("application/jwk-set+json, application/json"),
        );
        call.timeout = self.provider.settings.jwks.refresh_timeout;
        let old = self.current.peek();
        if let Some(etag) = old.as_ref().and_then(|old| old.etag.clone()) {
            call = call.header(IF_NONE_MATCH, etag);
        }
        let began = Instant::now();
        let answer = self.provider.send(call).await?;
        if let Some(old) = &old
            && old.etag.is_some()
            && answer.status == StatusCode::NOT_MODIFIED
        {
            return Ok(Loaded {
                set: Arc::clone(&old.set),
                began,
                etag: old.etag.clone(),
                max_age: max_age(&answer.headers).or(old.max_age),
            });
        }
        if answer.status != StatusCode::OK {
            return Err(bad_status("keys", &answer));
        }
        let mut set =
            KeySet::parse(&answer.body).map_err(|e| AuthError::garbage("keys", &e.to_string()))?;
        let issuer = self.provider.settings.issuer.as_str();
        match &old {
            Some(old) if set.len() == 0 && old.set.len() > 0 => {
                return Err(AuthError::garbage(
                    "keys",
                    "no usable key; the old ones are kept",
                ));
            }
            Some(old) if old.set.same_as(&set) => {
                set.follow(&old.set);
            }
            _ => {
                if let Some(old) = &old {
                    self.sightings().leave(set.follow(&old.set));
                }
                set.log_left_out(issuer);
                if set.len() == 0 {
                    tracing::warn!(
                        issuer, reason = %Reason::KeyUnusable,
                        "the issuer has no key that may verify; choose an RSA or EC signing key there"
                    );
                }
                tracing::info!(issuer, keys = set.len(), "signing keys of the issuer");
                self.changes.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(Loaded {
            set: Arc::new(set),
            began,
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

/// What a set says of a token.
enum Said {
    /// Good or bad; a newer set would say the same.
    Settled(Result<Publication, AuthError>),
    /// The issuer's trouble, which a newer set may not have.
    Unusable(AuthError),
    /// The set may be too old to tell.
    Unknown,
}

fn by(set: &KeySet, jws: &Jws<'_>) -> Said {
    let (kid, algorithm) = (jws.header.kid.as_deref(), jws.header.algorithm);
    let refused = |why: String| Said::Settled(Err(AuthError::token(Reason::UnknownKey, why)));
    match set.find(kid, algorithm) {
        Found::Keys(keys) => Said::Settled(jws.verify(&keys).map(|key| key.publication().clone())),
        Found::OtherAlgorithm(key) => Said::Settled(Err(jws.misfit(key))),
        Found::OtherUse => refused(format!("kid {} is of no signing key", shown_kid(jws))),
        Found::Unusable(why) => Said::Unusable(AuthError::Unavailable {
            reason: Reason::KeyUnusable,
            detail: format!(
                "kid {}: the issuer's key cannot be used: {why}",
                shown_kid(jws)
            ),
            retry_after: RETRY_FAILED,
        }),
        Found::Ambiguous => refused(format!(
            "no kid in the header, and the issuer has {} keys; set PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD=none or let the \
             issuer name the key",
            set.len()
        )),
        Found::UnknownKid if kid.is_some_and(|kid| kid.len() > MAX_KID) => {
            Said::Settled(Err(unknown(jws)))
        }
        Found::UnknownKid => Said::Unknown,
    }
}

fn unknown(jws: &Jws<'_>) -> AuthError {
    AuthError::token(Reason::UnknownKey, format!("kid {}", shown_kid(jws)))
}

fn pending(jws: &Jws<'_>, retry_after: Duration) -> AuthError {
    AuthError::Unavailable {
        reason: Reason::KeysPending,
        detail: format!(
            "kid {} is unknown and the keys were asked for a moment ago",
            shown_kid(jws)
        ),
        retry_after: retry_after.max(Duration::from_secs(1)),
    }
}

fn kid_of<'j>(jws: &'j Jws<'_>) -> &'j str {
    jws.header.kid.as_deref().unwrap_or_default()
}

fn shown_kid(jws: &Jws<'_>) -> String {
    shown(jws.header.kid.as_deref().unwrap_or("-"))
}
