//! The store over a loader that counts and can be held, and the loader over a directory that can fail.

mod accounts;
mod fingerprint;
mod logout;
mod principals;
mod renewal;
mod set_up;

use super::account::Origin;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderValue;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::account::AccountSnapshot;
use super::loader::{Loaded, SessionLoader};
use super::store::Sessions;
use super::{
    AccountState, Digest, Digester, Identity, LoadError, Principal, Requirements, Session,
    SessionFacts,
};
use crate::auth::AuthError;
use crate::config;
use crate::credentials::{BearerToken, Credential};
use crate::headers::IdentityHeaders;
use crate::model::{Clock, Reason, UnixTime};

/// Where the requests come from.
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

const MAX_STALE: Duration = Duration::from_secs(3600);

/// A loader whose answers a test scripts per token; tokens without a script get a session of an account of their own.
#[derive(Debug)]
struct CountingLoader {
    clock: Clock,
    loads: AtomicUsize,
    refreshes: AtomicUsize,
    scripts: Mutex<HashMap<String, Script>>,
    /// Set-ups wait while this is `true`.
    held: watch::Sender<bool>,
}

/// What one token comes to.
#[derive(Debug, Clone, Default)]
struct Script {
    refusal: Option<LoadError>,
    sid: Option<&'static str>,
    subject: Option<&'static str>,
    issued_at: Option<UnixTime>,
    expires_at: Option<UnixTime>,
    recheck_after: Option<Duration>,
    was_asked_about: bool,
}

#[async_trait]
impl SessionLoader for CountingLoader {
    async fn load(&self, credential: &Credential, generation: u64) -> Result<Loaded, LoadError> {
        self.loads.fetch_add(1, Ordering::Relaxed);
        let Credential::Bearer(token) = credential else {
            panic!("{credential:?}")
        };
        let script = self.scripts.lock().unwrap().get(token.reveal()).cloned();
        let mut held = self.held.subscribe();
        held.wait_for(|held| !held).await.unwrap();
        let script = script.unwrap_or_default();
        if let Some(refusal) = script.refusal {
            return Err(refusal);
        }
        let now = self.clock.now();
        let facts = SessionFacts {
            kind: token.kind(),
            principal: Principal::Account,
            identity: Identity::OfAccount(Arc::new(AccountState::new(
                token.reveal(),
                Origin::Issuer(0),
                snapshot(now),
            ))),
            issuer: 0,
            expires_at: script.expires_at,
            leeway: Duration::from_secs(5),
            issued_at: script.issued_at,
            auth_time: None,
            key: None,
            mfa: true,
            requirements: Requirements::default(),
            policy: None,
            generation,
        };
        Ok(Loaded {
            facts,
            subject: script.subject.map(Into::into),
            sid: script.sid.map(Into::into),
            was_asked_about: script.was_asked_about,
            recheck_at: script.recheck_after.map(|after| now.plus(after)),
        })
    }

    async fn refresh_account(&self, account: &AccountState) -> Result<(), LoadError> {
        self.refreshes.fetch_add(1, Ordering::Relaxed);
        let mut held = self.held.subscribe();
        held.wait_for(|held| !held).await.unwrap();
        account.replace(snapshot(self.clock.now()));
        Ok(())
    }
}

/// Of an account that is fresh for 30 seconds and serves on for an hour.
fn snapshot(now: UnixTime) -> AccountSnapshot {
    AccountSnapshot {
        role: None,
        identity: IdentityHeaders {
            access_token: Some(HeaderValue::from_static("reva")),
            remote: None,
        },
        fingerprint: 0,
        rare: None,
        checked_at: now,
        renew_at: now.plus(MAX_STALE),
        last_at: now.plus(MAX_STALE),
        fresh_until: now.plus(Duration::from_secs(30)),
        serve_until: now.plus(MAX_STALE),
    }
}

/// A store over a [`CountingLoader`], on a clock that the test moves.
struct World {
    clock: Clock,
    loader: Arc<CountingLoader>,
    sessions: Arc<Sessions>,
    digester: Digester,
}

impl World {
    fn new() -> Self {
        Self::with(config::Sessions {
            cache_bytes: 64 * 1024 * 1024,
            setup_timeout: Duration::from_secs(60),
        })
    }

    /// Requests of this one wait only for a moment.
    fn impatient() -> Self {
        Self::with(config::Sessions {
            cache_bytes: 64 * 1024 * 1024,
            setup_timeout: Duration::from_millis(20),
        })
    }

    fn with(settings: config::Sessions) -> Self {
        let clock = Clock::shifted();
        let loader = Arc::new(CountingLoader {
            clock: clock.clone(),
            loads: AtomicUsize::new(0),
            refreshes: AtomicUsize::new(0),
            scripts: Mutex::default(),
            held: watch::channel(false).0,
        });
        let digester = Digester::random().unwrap();
        let sessions = Sessions::new(
            settings,
            MAX_STALE,
            digester.clone(),
            Arc::clone(&loader) as Arc<dyn SessionLoader>,
            clock.clone(),
            Handle::current(),
        );
        Self {
            clock,
            loader,
            sessions,
            digester,
        }
    }

    fn script(&self, token: &str, script: Script) {
        let mut scripts = self.loader.scripts.lock().unwrap();
        scripts.insert(token.to_owned(), script);
    }

    fn refuse(&self, token: &str, refusal: LoadError) {
        let refusal = Some(refusal);
        self.script(
            token,
            Script {
                refusal,
                ..Script::default()
            },
        );
    }

    fn hold(&self) {
        self.loader.held.send_replace(true);
    }

    fn release(&self) {
        self.loader.held.send_replace(false);
    }

    fn digest(&self, token: &str) -> Digest {
        self.digester.token(&BearerToken::new(token))
    }

    async fn obtain(&self, token: &str) -> Result<Arc<Session>, LoadError> {
        let credential = BearerToken::new(token).into();
        let digest = self.digester.credential(&credential);
        self.sessions.obtain(digest, &credential, HERE).await
    }

    async fn refused(&self, token: &str) -> Reason {
        self.obtain(token).await.unwrap_err().reason()
    }

    fn loads(&self) -> usize {
        self.loader.loads.load(Ordering::Relaxed)
    }

    fn verdict(&self, session: &Session) -> super::Verdict {
        session.verdict(self.clock.now(), self.sessions.generation())
    }
}

/// Waits until `condition` holds. Ten seconds are for a machine under load, not for luck.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait)
        .await
        .unwrap_or_else(|_| panic!("{what} did not happen"));
}

fn bad_token(reason: Reason) -> LoadError {
    AuthError::token(reason, "scripted").into()
}

fn issuer_down() -> LoadError {
    AuthError::unavailable("scripted", Duration::from_secs(5)).into()
}

fn no_account() -> LoadError {
    crate::accounts::AccountError::Denied {
        reason: Reason::AccountUnknown,
        detail: "scripted".into(),
    }
    .into()
}
