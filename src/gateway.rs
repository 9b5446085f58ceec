//! Composition: the only file that picks implementations. Builds everything from a configuration, starts it, stops it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use crate::accounts::embedded::EmbeddedDirectory;
use crate::accounts::{DirectoryError, Provisioner, Resolver, UserDirectory};
use crate::auth::{AuthError, OidcAuthenticator};
use crate::client::{self, Client, Proxies};
use crate::config::accounts::AccountBackend;
use crate::config::routes::IdentityMode;
use crate::config::{Config, Loaded};
use crate::identity::Minter;
use crate::model::Clock;
use crate::pipeline::Pipeline;
use crate::process::{Process, Snapshot, SnapshotError};
use crate::server::{self, Drain, Shared};
use crate::session::Digester;
use crate::session::freshness::keep_accounts_fresh;
use crate::session::loader::{LiveAccounts, Loader, Rules};
use crate::session::store::Sessions;
use crate::telemetry::{AccessLog, Log, Metrics};
use crate::upstream::{Connector, ConnectorError, Forwarder, PoolCounters};

/// A gateway that serves. Dropping it does not stop it; [`Running::stop`] does.
#[derive(Debug)]
pub struct Running {
    addr: SocketAddr,
    drain: Drain,
    workers: Vec<JoinHandle<()>>,
    stop: CancellationToken,
    control: Option<Runtime>,
    process: Arc<Process>,
}

/// Why a gateway could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The public address.
    #[error("cannot listen on {addr} (`http.addr`, PROXY_HTTP_ADDR): {source}")]
    Listen {
        /// As configured.
        addr: SocketAddr,
        /// The system's word.
        source: io::Error,
    },
    /// Routes.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The account backend.
    #[error("account backend: {0}")]
    Accounts(#[from] DirectoryError),
    /// Connections to backends.
    #[error(transparent)]
    Connector(#[from] ConnectorError),
    /// Connections to issuers.
    #[error(transparent)]
    Client(#[from] client::SetupError),
    /// An issuer.
    #[error(transparent)]
    Issuer(#[from] AuthError),
    /// The system gave no thread, runtime or randomness.
    #[error("the system refused: {0}")]
    System(#[from] io::Error),
}

/// Threads of the control runtime. It sleeps most of the time; two, so that one slow task never stops the rest.
const CONTROL_THREADS: usize = 2;

/// Builds and starts a gateway: binds, sets everything up, starts the workers.
///
/// # Errors
/// See [`StartError`]. An issuer or a directory that does not answer is none: the gateway starts and is not ready.
pub fn start(loaded: &Loaded, log: &Log, clock: Clock) -> Result<Running, StartError> {
    let config = Arc::new(loaded.config.clone());
    let control = control_runtime()?;
    let snapshot = Snapshot::compile(Arc::clone(&config))?;
    let listener = server::listen(config.http.addr).map_err(|source| StartError::Listen {
        addr: config.http.addr,
        source,
    })?;
    let addr = listener.local_addr()?;
    let connector = Connector::new(&config.upstream, control.handle().clone())?;
    let metrics = Metrics::new(
        config.flavor,
        env!("CARGO_PKG_VERSION"),
        config.http.workers,
        log.writer().dropped(),
    );
    let drain = Drain::new(
        config.http.shutdown_timeout,
        config.http.shutdown_stream_timeout,
    );
    let shared = Shared::new(&config.http, None, drain.clone());
    let stop = CancellationToken::new();

    let process = process(&config, snapshot, &control, clock, &stop)?;
    let workers = (0..config.http.workers)
        .map(|index| {
            let (process, config, connector) =
                (Arc::clone(&process), Arc::clone(&config), connector.clone());
            let (log, metrics, drain) = (log.clone(), metrics.worker(index), drain.streams_end());
            let handler_metrics = metrics.clone();
            let handler = move || {
                let forwarder =
                    Forwarder::new(&config, connector, Arc::new(PoolCounters::default()));
                Pipeline::new(
                    process,
                    forwarder,
                    AccessLog::start(&log),
                    handler_metrics,
                    drain,
                )
            };
            server::spawn_worker(
                index,
                listener.try_clone()?,
                shared.clone(),
                metrics,
                handler,
            )
        })
        .collect::<io::Result<_>>()?;
    tracing::info!(%addr, public_url = %config.http.public_url, "listening");
    Ok(Running {
        addr,
        drain,
        workers,
        stop,
        control: Some(control),
        process,
    })
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Starts, watches and ends the drain.
    #[must_use]
    pub fn drain(&self) -> &Drain {
        &self.drain
    }

    /// What workers share, for reloads and tests.
    #[must_use]
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// Drains and stops: returns when the last connection is gone or its time is over. Blocks.
    pub fn stop(mut self) {
        let control = self.control.take();
        if let Some(control) = &control {
            control.block_on(self.drain.run());
        }
        for worker in self.workers.drain(..) {
            // A worker that panicked has said so in the log.
            let _ = worker.join();
        }
        self.stop.cancel();
        if let Some(control) = control {
            control.shutdown_background();
        }
    }
}

fn control_runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .enable_all()
        .build()
}

/// Everything that workers share, and the control tasks that keep it fresh.
fn process(
    config: &Arc<Config>,
    snapshot: Snapshot,
    control: &Runtime,
    clock: Clock,
    stop: &CancellationToken,
) -> Result<Arc<Process>, StartError> {
    let client = Client::new(client::Options {
        ca_pem: read_ca(config)?,
        extra_roots: Vec::new(),
        proxies: Proxies::default(),
    })?;
    let issuers = Arc::new(OidcAuthenticator::new(
        &config.issuers,
        &client,
        &clock,
        control.handle(),
    )?);
    let (directory, provisioner) = account_backend(config)?;
    let accounts = Arc::new(LiveAccounts::default());
    let loader = Loader {
        authenticator: Arc::clone(&issuers) as _,
        resolver: Resolver::new(
            Arc::clone(&directory),
            provisioner,
            Arc::new(config.accounts.clone()),
        ),
        directory,
        minter: Minter::new(&config.identity, wants_remote_headers(config)),
        rules: Rules::new(config, snapshot.requirements.clone()),
        accounts: Arc::clone(&accounts),
        clock: clock.clone(),
    };
    let digester = Digester::random().map_err(|_| io::Error::other("no randomness"))?;
    let sessions = Sessions::new(
        config.sessions.clone(),
        config.accounts.max_stale,
        digester.clone(),
        Arc::new(loader),
        clock.clone(),
        control.handle().clone(),
    );
    control.spawn(keep_accounts_fresh(
        accounts,
        Arc::clone(&sessions),
        config.accounts.cache_ttl,
        clock.clone(),
        stop.clone(),
    ));
    let process = Arc::new(Process {
        snapshot: ArcSwap::from_pointee(snapshot),
        sessions,
        digester,
        issuers,
        clock,
    });
    control.spawn(follow_issuers(Arc::clone(&process), stop.clone()));
    Ok(process)
}

fn account_backend(
    config: &Config,
) -> Result<(Arc<dyn UserDirectory>, Option<Arc<dyn Provisioner>>), StartError> {
    match &config.accounts.backend {
        AccountBackend::Embedded { database } => {
            if let Some(folder) = database.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let embedded = Arc::new(EmbeddedDirectory::open(database)?);
            Ok((Arc::clone(&embedded) as _, Some(embedded as _)))
        }
        AccountBackend::Ldap(_) => {
            Err(DirectoryError::Unavailable("ldap is not wired yet".to_owned()).into())
        }
    }
}

fn read_ca(config: &Config) -> io::Result<Option<Vec<u8>>> {
    config
        .upstream
        .cacert
        .as_ref()
        .map(std::fs::read)
        .transpose()
}

fn wants_remote_headers(config: &Config) -> bool {
    config
        .policies
        .iter()
        .flat_map(|policy| &policy.routes)
        .any(|route| route.identity == IdentityMode::Headers)
}

/// New keys void the refusals of tokens, and a discovered issuer's origins enter the content security policy.
async fn follow_issuers(process: Arc<Process>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(std::time::Duration::from_secs(1));
    let (mut keys, mut origins) = (0, Vec::new());
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let now = process.issuers.key_changes();
        if now != keys {
            keys = now;
            process.sessions.forget_refusals();
        }
        let known = process.issuers.browser_origins();
        if known != origins {
            process.snapshot.load().admit_issuer_origins(&known);
            origins = known;
        }
    }
}
