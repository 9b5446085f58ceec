//! What gateways of one deployment tell each other by a store: logouts, and proofs of possession that were used.
//!
//! Everything here is beside the requests. Who tells does not wait, who hears writes into the memory that workers read; while
//! the store is away each replica goes on alone, and logouts are told later.

mod letter;
mod seal;

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::letter::Letter;
use self::seal::Seal;
use crate::auth::{Logout, Proof, Replays};
use crate::config::stores::Store;
use crate::model::{Clock, Reason};
use crate::session::store::Sessions;
use crate::stores::{self, Heard, KeyValue, Space, StoreError};

/// Logouts are remembered for as long as sessions live at most.
const LOGOUT_LIFE: Duration = Duration::from_secs(24 * 3600);

/// Proofs are good for at most four minutes.
const PROOF_LIFE: Duration = Duration::from_secs(300);

/// What waits to be told; more is dropped, and said.
const QUEUE: usize = 4096;

/// Pauses after failures grow up to this one.
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// The way to tell the other replicas. Clones lead to the same ones.
#[derive(Debug, Clone, Default)]
pub struct Replicas(Option<Arc<Told>>);

#[derive(Debug)]
struct Told {
    seal: Arc<Seal>,
    issuers: Vec<String>,
    logouts: mpsc::Sender<Letter>,
    proofs: mpsc::Sender<Letter>,
}

/// Whose memory what is heard goes into.
#[derive(Debug, Clone)]
pub struct Memory {
    /// Issuers by name, in the order of the configuration.
    pub issuers: Vec<String>,
    /// Sessions.
    pub sessions: Arc<Sessions>,
    /// Used proofs.
    pub proofs: Arc<Replays>,
    /// The wall clock.
    pub clock: Clock,
}

impl Replicas {
    /// Joins the replicas that have this store and this secret, and hears from now on what they tell. Alone where nothing is
    /// shared.
    ///
    /// # Errors
    /// [`StoreError::Settings`].
    pub fn join(
        store: &Store,
        secret: &[u8],
        memory: Memory,
        control: &Handle,
        stop: &CancellationToken,
    ) -> Result<Self, StoreError> {
        let space = |name: &str, life: Duration| Space {
            database: format!("davgate-{name}"),
            table: format!("davgate-{name}:"),
            own: Some(life),
        };
        let logouts = stores::open(store, space("logouts", LOGOUT_LIFE))?;
        let proofs = stores::open(store, space("proofs", PROOF_LIFE))?;
        let (Some(logouts), Some(proofs)) = (logouts, proofs) else {
            return Ok(Self::default());
        };
        let Some(seal) = Seal::new(secret) else {
            tracing::warn!(
                "replicas share nothing: they know each other by OC_JWT_SECRET, which is not set"
            );
            return Ok(Self::default());
        };
        Ok(Self::over(
            Arc::new(seal),
            logouts,
            proofs,
            memory,
            control,
            stop,
        ))
    }

    fn over(
        seal: Arc<Seal>,
        logouts: Arc<dyn KeyValue>,
        proofs: Arc<dyn KeyValue>,
        memory: Memory,
        control: &Handle,
        stop: &CancellationToken,
    ) -> Self {
        let issuers = memory.issuers.clone();
        let tell = |store: &Arc<dyn KeyValue>, life, is_kept| {
            let (sender, letters) = mpsc::channel(QUEUE);
            let told = tell(Arc::clone(store), letters, life, is_kept);
            let stop = stop.clone();
            control.spawn(async move { stop.run_until_cancelled(told).await });
            sender
        };
        let told = Told {
            issuers,
            logouts: tell(&logouts, LOGOUT_LIFE, true),
            proofs: tell(&proofs, PROOF_LIFE, false),
            seal: Arc::clone(&seal),
        };
        for store in [logouts, proofs] {
            let (seal, memory, stop) = (Arc::clone(&seal), memory.clone(), stop.clone());
            control.spawn(async move {
                stop.run_until_cancelled(hear(store, seal, memory)).await;
            });
        }
        Self(Some(Arc::new(told)))
    }

    /// Tells of a logout that was verified here.
    pub fn logged_out(&self, logout: &Logout) {
        let Some(told) = &self.0 else { return };
        let Some(issuer) = told.issuers.get(logout.issuer) else {
            return;
        };
        let letter = Letter::of_logout(&told.seal, issuer, logout);
        if let Some(letter) = letter
            && told.logouts.try_send(letter).is_err()
        {
            tracing::warn!(reason = %Reason::StoreUnavailable, "a logout is not told to other replicas: too many wait");
        }
    }

    /// Tells of a proof that was used here.
    pub fn spent(&self, proof: &Proof) {
        let Some(told) = &self.0 else { return };
        if let Some(letter) = Letter::of_proof(&told.seal, proof) {
            // One that is not told can be repeated elsewhere for four minutes, as without a store; the log says that it is away.
            let _ = told.proofs.try_send(letter);
        }
    }
}

/// Writes letters into the store, in their order. One that is kept is tried until it is there.
async fn tell(
    store: Arc<dyn KeyValue>,
    mut letters: mpsc::Receiver<Letter>,
    life: Duration,
    is_kept: bool,
) {
    let mut is_away = false;
    while let Some(letter) = letters.recv().await {
        let mut pause = Duration::from_millis(50);
        while let Err(error) = store.put(&letter.name, &letter.sealed, life).await {
            if !std::mem::replace(&mut is_away, true) {
                tracing::warn!(reason = %Reason::StoreUnavailable, %error, "other replicas are not told for now");
            }
            if !is_kept {
                break;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
        is_away = false;
    }
}

/// Reads what others wrote.
async fn hear(store: Arc<dyn KeyValue>, seal: Arc<Seal>, memory: Memory) {
    let mut pause = Duration::from_millis(50);
    let mut is_told = false;
    // What was heard already, our own words too: a listing tells everything once more.
    let known = moka::sync::Cache::builder()
        .max_capacity(1_000_000)
        .time_to_live(LOGOUT_LIFE)
        .build();
    loop {
        let (sender, mut heard) = mpsc::channel(1024);
        let mut any = false;
        let listen = async {
            while let Some(Heard { key, value }) = heard.recv().await {
                any = true;
                let is_new = known.entry((key.clone(), value.clone())).or_insert(());
                if is_new.is_fresh()
                    && let Some(fact) = Letter::open(&seal, &key, &value)
                {
                    fact.enter(&memory);
                }
            }
        };
        let (error, ()) = tokio::join!(store.watch(sender), listen);
        if any {
            (pause, is_told) = (Duration::from_millis(50), false);
        }
        if !std::mem::replace(&mut is_told, true) {
            tracing::warn!(reason = %Reason::StoreUnavailable, %error, "other replicas are not heard for now");
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_PAUSE);
    }
}
