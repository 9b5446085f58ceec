//! Keeps sessions and sets each up exactly once, however many requests ask for it and whoever of them leaves.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use super::ended::{EndedSessions, Outcome as Ending};
use super::index::{Index, Key};
use super::loader::{Loaded, SessionLoader};
use super::places::{MAX_SET_UPS, Place, Places};
use super::{Digest, Digester, LoadError, Session, Verdict};
use crate::auth::Logout;
use crate::config;
use crate::credentials::Credential;
use crate::model::{Clock, UnixTime};
use crate::telemetry::traces;

/// Sessions by digest. Shared by all workers; loaders run as tasks on the control runtime.
#[derive(Debug)]
pub struct Sessions {
    settings: config::Sessions,
    max_stale: Duration,
    clock: Clock,
    control: Handle,
    loader: RwLock<Arc<dyn SessionLoader>>,
    generation: AtomicU64,
    cache: Cache<Digest, Arc<Session>>,
    refusals: Cache<Digest, Refusal>,
    in_flight: Mutex<HashMap<Digest, watch::Receiver<Option<Outcome>>>>,
    places: Places,
    rebuilds: Semaphore,
    index: Arc<Index<Session>>,
    ended: EndedSessions,
    counters: SessionCounters,
}

/// What a set-up comes to, for everybody who waits for it.
pub(crate) type Outcome = Result<Arc<Session>, LoadError>;

/// How often sessions were found and made, since the start.
#[derive(Debug, Default)]
pub struct SessionCounters {
    /// Set-ups started.
    pub set_ups: AtomicU64,
    /// Set-ups that ended in a refusal or failure.
    pub failed: AtomicU64,
    /// Requests that waited for another request's set-up.
    pub joined: AtomicU64,
    /// Requests answered from the refusal cache.
    pub refused: AtomicU64,
}

#[derive(Debug, Clone)]
struct Refusal {
    error: LoadError,
    until: UnixTime,
    generation: u64,
}

/// Sessions that are made anew at once after a reload (docs/design/design.md 3).
const MAX_REBUILDS: usize = 64;

const MAX_REFUSALS: u64 = 4096;

/// Between attempts to ask an issuer again about a token that still serves.
const RECHECK_RETRY: Duration = Duration::from_secs(5);

/// A request waits this long for a renewal, then the old session serves it, if it still may.
const RENEWAL_PATIENCE: Duration = Duration::from_secs(1);

impl Sessions {
    /// A store whose loaders run on `control`.
    #[must_use]
    pub fn new(
        settings: config::Sessions,
        max_stale: Duration,
        digester: Digester,
        loader: Arc<dyn SessionLoader>,
        clock: Clock,
        control: Handle,
    ) -> Arc<Self> {
        let cache = Cache::builder()
            .max_capacity(settings.cache_bytes)
            // Not the default policy, which keeps a new session out of a full cache while old ones were used more often.
            .eviction_policy(EvictionPolicy::lru())
            .weigher(|_, session: &Arc<Session>| session.weight())
            .build();
        let places = Places::new(loader.lanes());
        Arc::new(Self {
            settings,
            max_stale,
            clock,
            control,
            loader: RwLock::new(loader),
            generation: AtomicU64::new(0),
            cache,
            refusals: Cache::new(MAX_REFUSALS),
            in_flight: Mutex::default(),
            places,
            rebuilds: Semaphore::new(MAX_REBUILDS),
            index: Index::new(digester),
            ended: EndedSessions::new(),
            counters: SessionCounters::default(),
        })
    }

    /// The session under that digest as it stands in the shared cache, for the worker's own map. No lock is contended.
    #[must_use]
    pub fn cached(&self, digest: &Digest) -> Option<Arc<Session>> {
        self.cache.get(digest)
    }

    /// The current configuration's generation.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// After a reload that changes what set-ups read: every session is made anew at its next use, by this loader.
    pub fn replace_loader(&self, loader: Arc<dyn SessionLoader>) {
        *self.loader.write().unwrap_or_else(PoisonError::into_inner) = loader;
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.refusals.invalidate_all();
    }

    /// After new keys came in: a token refused for its key may be good now.
    pub fn forget_refusals(&self) {
        self.refusals.invalidate_all();
    }

    /// Counters for metrics.
    #[must_use]
    pub fn counters(&self) -> &SessionCounters {
        &self.counters
    }

    /// Sessions in set-up, and how many there may be.
    #[must_use]
    pub fn set_ups(&self) -> (usize, usize) {
        (self.lock().len(), MAX_SET_UPS)
    }

    /// Sessions and bytes in the cache, as of its last housekeeping.
    #[must_use]
    pub fn size(&self) -> (u64, u64) {
        (self.cache.entry_count(), self.cache.weighted_size())
    }

    /// The token's session: the cached one once it is renewed, or a new one.
    ///
    /// # Errors
    /// Why there is none. [`LoadError::SetupTimeout`] after the configured wait, while the set-up goes on.
    pub async fn obtain(
        self: &Arc<Self>,
        digest: Digest,
        credential: &Credential,
        from: IpAddr,
    ) -> Outcome {
        if let Some(error) = self.known_refusal(&digest) {
            self.counters.refused.fetch_add(1, Ordering::Relaxed);
            return Err(error);
        }
        let cached = self.cache.get(&digest).map(|session| {
            let verdict = session.verdict(self.clock.now(), self.generation());
            (session, verdict)
        });
        let old = match cached {
            Some((session, Verdict::Use | Verdict::UseAndRecheck)) => return Ok(session),
            Some((session, Verdict::Renew)) => session,
            Some((_, Verdict::Stale | Verdict::Ended)) => {
                let outcome = self.join_or_start(digest, credential, None)?;
                return wait(outcome, self.settings.setup_timeout).await;
            }
            None => {
                let outcome = self.join_or_start(digest, credential, Some(from))?;
                return wait(outcome, self.settings.setup_timeout).await;
            }
        };
        let patience = RENEWAL_PATIENCE.min(self.settings.setup_timeout);
        let outcome = match self.join_or_start(digest, credential, None) {
            Ok(outcome) => wait(outcome, patience).await,
            Err(error) => Err(error),
        };
        match outcome {
            Err(LoadError::SetupTimeout | LoadError::SetupOverload)
                if old.serve_on(self.clock.now(), RECHECK_RETRY, self.max_stale) =>
            {
                Ok(old)
            }
            outcome => outcome,
        }
    }

    /// Has the issuer asked again about a token that is still good, so that no request has to wait for it.
    pub fn recheck_ahead(
        self: &Arc<Self>,
        digest: Digest,
        credential: &Credential,
        session: &Session,
    ) {
        if session.begin_recheck() {
            // Nobody waits for the outcome; a failure shows when the re-check falls due.
            if self.join_or_start(digest, credential, None).is_err() {
                session.end_recheck();
            }
        }
    }

    /// Ends what a logout names: cached sessions at once, tokens not seen yet when they come.
    /// Returns how many cached sessions it were.
    pub fn end(&self, logout: &Logout) -> usize {
        let issuer = logout.issuer;
        let (key, is_by_session) = match (&logout.sid, &logout.subject) {
            (Some(sid), _) => (self.index.sid_key(issuer, sid), true),
            (None, Some(subject)) => (self.index.subject_key(issuer, subject), false),
            (None, None) => return 0,
        };
        // First the list, then the cache: a set-up that ends in between looks at the list after it entered the cache.
        let ended = self
            .ended
            .end(key, logout.issued_at, logout.ends_offline_access);
        let mut count = 0;
        let living = self.index.sessions(key);
        for session in living.iter().filter(|session| !session.is_ended()) {
            let issued_at = session.facts.issued_at;
            let outcome = match (is_by_session, issued_at) {
                (true, _) => ended.by_session(issued_at),
                (false, Some(_)) => ended.by_subject(issued_at),
                // It was seen before the logout came, so it was issued before.
                (false, None) => Ending::Over,
            };
            match outcome {
                Ending::Counts => continue,
                // Its next use asks the issuer.
                Ending::Undecided => session.supersede(),
                Ending::Over => session.end(),
            }
            count += 1;
        }
        count
    }

    /// The accounts whose living sessions have that `sid`, each once.
    #[must_use]
    pub fn accounts_of(&self, issuer: usize, sid: &str) -> Vec<Arc<str>> {
        let sessions = self.index.sessions(self.index.sid_key(issuer, sid));
        let living = sessions.iter().filter(|session| !session.is_ended());
        let accounts = living.filter_map(|session| session.facts.identity.account());
        let mut ids: Vec<Arc<str>> = accounts.map(|account| Arc::clone(&account.id)).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    fn known_refusal(&self, digest: &Digest) -> Option<LoadError> {
        let refusal = self.refusals.get(digest)?;
        let holds = self.clock.now() < refusal.until && refusal.generation == self.generation();
        holds.then_some(refusal.error)
    }

    fn join_or_start(
        self: &Arc<Self>,
        digest: Digest,
        credential: &Credential,
        from: Option<IpAddr>,
    ) -> Result<watch::Receiver<Option<Outcome>>, LoadError> {
        if let Some(running) = self.lock().get(&digest) {
            self.counters.joined.fetch_add(1, Ordering::Relaxed);
            return Ok(running.clone());
        }
        // Not below the lock: a signature is looked at.
        let standing = self.loader().standing(credential);
        let mut in_flight = self.lock();
        if let Some(running) = in_flight.get(&digest) {
            self.counters.joined.fetch_add(1, Ordering::Relaxed);
            return Ok(running.clone());
        }
        let place = self
            .places
            .take(standing, from)
            .ok_or(LoadError::SetupOverload)?;
        let (done, outcome) = watch::channel(None);
        in_flight.insert(digest, outcome.clone());
        let (store, credential) = (Arc::clone(self), credential.clone());
        let run = async move { store.run(digest, credential, done, place).await };
        // Of several requests that wait for it, the first one's trace has what it calls.
        self.control.spawn(traces::carried(run));
        Ok(outcome)
    }

    async fn run(
        self: Arc<Self>,
        digest: Digest,
        credential: Credential,
        done: watch::Sender<Option<Outcome>>,
        place: Place,
    ) {
        // Removes the entry also if the set-up panics, so that the next request starts afresh.
        let entry = InFlight {
            store: &self,
            digest,
        };
        let outcome = self.renew_or_load(digest, &credential).await;
        drop(place);
        // The cache is filled before the entry goes, so that nobody in between starts a second set-up.
        drop(entry);
        done.send_replace(Some(outcome));
    }

    async fn renew_or_load(&self, digest: Digest, credential: &Credential) -> Outcome {
        // Another set-up may have ended between a request's look and its turn.
        if let Some(error) = self.known_refusal(&digest) {
            return Err(error);
        }
        let Some(session) = self.cache.get(&digest) else {
            return self.load(digest, credential, None).await;
        };
        match session.verdict(self.clock.now(), self.generation()) {
            Verdict::Ended => Err(LoadError::Ended),
            // Of an older configuration, or expired: what it was says nothing, but its streams are this session's.
            Verdict::Stale => {
                // After a reload everybody's session is stale at once; issuer and directory are spared the rush.
                let _turn = self.rebuilds.acquire().await;
                let outcome = self.load(digest, credential, Some(&session)).await;
                // A key that was taken back may be in somebody else's hands: what was opened by it ends now.
                let is_refused = matches!(&outcome, Err(error) if !error.is_temporary());
                if is_refused && session.is_of_a_key_that_left() {
                    session.lapse();
                }
                if matches!(outcome, Err(LoadError::Ended)) {
                    session.end();
                }
                outcome
            }
            Verdict::Use | Verdict::UseAndRecheck | Verdict::Renew => {
                self.renew(digest, credential, session).await
            }
        }
    }

    /// Renews what is due: the account by its id, the token at its issuer.
    async fn renew(
        &self,
        digest: Digest,
        credential: &Credential,
        session: Arc<Session>,
    ) -> Outcome {
        if let Some(account) = session.account()
            && !account.is_fresh(self.clock.now())
        {
            self.loader().refresh_account(account).await?;
        }
        if session
            .account()
            .is_some_and(|account| account.is_shut_out())
        {
            return self.load(digest, credential, Some(&session)).await;
        }
        if !session.wants_recheck(self.clock.now()) {
            return Ok(session);
        }
        let outcome = self.load(digest, credential, Some(&session)).await;
        session.end_recheck();
        match outcome {
            Err(error)
                if error.is_temporary()
                    && session.recheck_failed(self.clock.now(), RECHECK_RETRY, self.max_stale) =>
            {
                Ok(session)
            }
            Err(error) if !error.is_temporary() => {
                session.lapse();
                Err(error)
            }
            outcome => outcome,
        }
    }

    async fn load(
        &self,
        digest: Digest,
        credential: &Credential,
        predecessor: Option<&Session>,
    ) -> Outcome {
        self.counters.set_ups.fetch_add(1, Ordering::Relaxed);
        let generation = self.generation();
        let began = Instant::now();
        let outcome = match self.loader().load(credential, generation).await {
            Ok(loaded) => self.admit(digest, loaded, began, predecessor),
            Err(error) => Err(error),
        };
        if let Err(error) = &outcome {
            self.counters.failed.fetch_add(1, Ordering::Relaxed);
            if let Some(lifetime) = error.refusal_lifetime() {
                let until = self.clock.now().plus(lifetime);
                self.refusals.insert(
                    digest,
                    Refusal {
                        error: error.clone(),
                        until,
                        generation,
                    },
                );
            }
        }
        outcome
    }

    fn admit(
        &self,
        digest: Digest,
        loaded: Loaded,
        began: Instant,
        predecessor: Option<&Session>,
    ) -> Outcome {
        let facts = loaded.facts;
        let asked_at = loaded.was_asked_about.then_some(began);
        let (sid, subject) = (loaded.sid.as_deref(), loaded.subject.as_deref());
        let keys = self.index.keys(facts.issuer, sid, subject);
        let session = Session::register(
            facts,
            keys,
            self.clock.now(),
            loaded.recheck_at,
            predecessor,
            &self.index,
        );
        self.cache.insert(digest, Arc::clone(&session));
        if let Some(predecessor) = predecessor {
            predecessor.supersede();
        }
        // After the registration, so that a logout that came meanwhile is seen here or saw the session there.
        if predecessor.is_some_and(Session::is_ended) || self.was_ended(&session, asked_at) {
            session.end();
            return Err(LoadError::Ended);
        }
        Ok(session)
    }

    pub(super) fn loader(&self) -> Arc<dyn SessionLoader> {
        Arc::clone(&self.loader.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a logout ended the token before its session was made. `asked_at` is when its issuer was asked about it, if
    /// it was.
    fn was_ended(&self, session: &Session, asked_at: Option<Instant>) -> bool {
        let ended = |key: Option<Key>| key.and_then(|key| self.ended.of(key));
        let issued_at = session.facts.issued_at;
        let by_session = ended(session.keys.sid)
            .is_some_and(|ended| ended.by_session(issued_at) == Ending::Over);
        let by_subject =
            ended(session.keys.subject).is_some_and(|ended| match ended.by_subject(issued_at) {
                Ending::Counts => false,
                Ending::Undecided => !asked_at.is_some_and(|at| ended.is_before(at)),
                Ending::Over => true,
            });
        by_session || by_subject
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, watch::Receiver<Option<Outcome>>>> {
        self.in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

async fn wait(mut outcome: watch::Receiver<Option<Outcome>>, patience: Duration) -> Outcome {
    match tokio::time::timeout(patience, outcome.wait_for(Option::is_some)).await {
        Ok(Ok(done)) => done.clone().unwrap_or(Err(LoadError::Lost)),
        Ok(Err(_)) => Err(LoadError::Lost),
        Err(_) => Err(LoadError::SetupTimeout),
    }
}

/// An entry in the table of running set-ups.
struct InFlight<'a> {
    store: &'a Sessions,
    digest: Digest,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.store.lock().remove(&self.digest);
    }
}
