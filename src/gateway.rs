//! Composition: the only file that picks implementations. Builds everything from a configuration, starts it, stops it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use crate::accounts::embedded::EmbeddedDirectory;
use crate::accounts::ldap::LdapDirectory;
use crate::accounts::measured::MeasuredDirectory;
use crate::accounts::{DirectoryError, Provisioner, Resolver, UserDirectory};
use crate::admin::{Admin, Readiness};
use crate::auth::{AuthError, OidcAuthenticator};
use crate::client::{self, Client, Proxies};
use crate::config::accounts::AccountBackend;
use crate::config::routes::IdentityMode;
use crate::config::{Config, Loaded};
use crate::identity::Minter;
use crate::model::{Clock, Reason};
use crate::pipeline::Pipeline;
use crate::process::{Process, Snapshot, SnapshotError};
use crate::reload::{Reloader, Source};
use crate::server::{self, Drain, Shared, Signals, Tls, TlsError};
use crate::session::Digester;
use crate::session::freshness::keep_accounts_fresh;
use crate::session::loader::{LiveAccounts, Loader, Rules};
use crate::session::measured::MeasuredLoader;
use crate::session::store::Sessions;
use crate::telemetry::{AccessLog, ControlMetrics, Log, Metrics};
use crate::upstream::{Connector, ConnectorError, Forwarder};

/// A gateway that serves. Dropping it does not stop it; [`Running::run`] and [`Running::stop`] do.
#[derive(Debug)]
pub struct Running {
    addr: SocketAddr,
    debug_addr: SocketAddr,
    drain: Drain,
    workers: Vec<JoinHandle<()>>,
    stop: CancellationToken,
    control: Runtime,
    reloader: Arc<Reloader>,
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
    /// The debug address.
    #[error("cannot listen on {addr} (`debug.addr`, PROXY_DEBUG_ADDR): {source}")]
    ListenDebug {
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
    /// The certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An issuer.
    #[error(transparent)]
    Issuer(#[from] AuthError),
    /// The system gave no thread, runtime or randomness.
    #[error("the system refused: {0}")]
    System(#[from] io::Error),
}

/// Between looks at what issuers changed.
const FOLLOW: Duration = Duration::from_secs(1);

/// Threads of the control runtime. It sleeps most of the time; two, so that one slow task never stops the rest.
const CONTROL_THREADS: usize = 2;

/// Builds and starts a gateway: binds, sets everything up, starts the workers.
///
/// # Errors
/// See [`StartError`]. An issuer or a directory that does not answer is none: the gateway starts and is not ready.
pub fn start(
    loaded: Loaded,
    source: Source,
    log: &Log,
    clock: Clock,
) -> Result<Running, StartError> {
    let config = Arc::new(loaded.config.clone());
    let control = control_runtime()?;
    let snapshot = Snapshot::compile(Arc::clone(&config))?;
    let listener = server::listen(config.http.addr).map_err(|source| StartError::Listen {
        addr: config.http.addr,
        source,
    })?;
    let addr = listener.local_addr()?;
    let tls = config
        .http
        .tls
        .then(|| Tls::load(&config.http, clock.clone()).map(Arc::new))
        .transpose()?;
    let debug = bind_debug(&config)?;
    let debug_addr = debug.local_addr()?;
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
    let shared = Shared::new(
        &config.http,
        tls.as_ref().map(|tls| tls.server_config()),
        drain.clone(),
    );
    let stop = CancellationToken::new();

    let (process, loader, directory) = process(
        &config,
        snapshot,
        tls.as_deref(),
        &control,
        clock,
        metrics.control(),
        &stop,
    )?;
    let all_metrics = metrics.clone();
    let workers = (0..config.http.workers)
        .map(|index| {
            let (process, config, connector) =
                (Arc::clone(&process), Arc::clone(&config), connector.clone());
            let (log, metrics, drain) = (log.clone(), metrics.worker(index), drain.streams_end());
            let pools = all_metrics.pools();
            let handler_metrics = metrics.clone();
            let handler = move || {
                let forwarder = Forwarder::new(&config, connector, pools);
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
    let reloader = Arc::new(Reloader::new(
        source,
        loaded,
        process,
        loader,
        tls,
        metrics.control(),
    ));
    control.spawn(Arc::clone(&reloader).watch(stop.clone()));
    let directory_answered = Arc::<AtomicBool>::default();
    control.spawn(probe_directory(
        directory,
        Arc::clone(&directory_answered),
        stop.clone(),
    ));
    let admin = Admin {
        readiness: readiness(
            Arc::clone(reloader.process()),
            directory_answered,
            drain.clone(),
        ),
        config: {
            let reloader = Arc::clone(&reloader);
            Box::new(move || reloader.effective_json())
        },
        metrics: metrics.clone(),
        token: config.debug.token.clone(),
        version: env!("CARGO_PKG_VERSION"),
    };
    control.spawn(serve_debug(admin, debug, stop.clone()));
    control.spawn(follow(
        Arc::clone(reloader.process()),
        metrics.control(),
        stop.clone(),
    ));
    tracing::info!(%addr, %debug_addr, public_url = %config.http.public_url, workers = config.http.workers, "listening");
    Ok(Running {
        addr,
        debug_addr,
        drain,
        workers,
        stop,
        control,
        reloader,
    })
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where the debug listener listens.
    #[must_use]
    pub fn debug_addr(&self) -> SocketAddr {
        self.debug_addr
    }

    /// Reads the configuration again; see [`Reloader::reload`].
    #[must_use]
    pub fn reloader(&self) -> &Arc<Reloader> {
        &self.reloader
    }

    /// Serves until a signal, then drains. Blocks; `true` if everything ended in order.
    ///
    /// # Errors
    /// If signals cannot be handled.
    pub fn run(self) -> io::Result<bool> {
        let Self {
            drain,
            workers,
            stop,
            control,
            reloader,
            ..
        } = self;
        let ended = control.block_on(async {
            let signals = Signals::install()?;
            let handle = tokio::runtime::Handle::current();
            signals
                .run(&drain, || {
                    let reloader = Arc::clone(&reloader);
                    handle.spawn_blocking(move || reloader.reload());
                })
                .await;
            Ok(Signals::join(workers).await)
        });
        stop.cancel();
        control.shutdown_background();
        ended
    }

    /// Drains and stops: returns when the last connection is gone or its time is over. Blocks; for tests.
    pub fn stop(self) {
        self.control.block_on(async {
            self.drain.run().await;
            Signals::join(self.workers).await;
        });
        self.stop.cancel();
        self.control.shutdown_background();
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
    tls: Option<&Tls>,
    control: &Runtime,
    clock: Clock,
    metrics: ControlMetrics,
    stop: &CancellationToken,
) -> Result<(Arc<Process>, Arc<Loader>, Arc<dyn UserDirectory>), StartError> {
    let client = Client::new(client::Options {
        ca_pem: read_ca(config)?,
        // The issuer's public name may lead back to this very listener.
        extra_roots: tls.and_then(Tls::own_certificate).into_iter().collect(),
        proxies: Proxies {
            https: config.outbound_proxies.https.clone(),
            http: config.outbound_proxies.http.clone(),
            no_proxy: config.outbound_proxies.no_proxy.clone(),
        },
        metrics: Some(metrics.clone()),
    })?;
    let issuers = Arc::new(OidcAuthenticator::new(
        &config.issuers,
        &client,
        &clock,
        control.handle(),
    )?);
    let (directory, provisioner) = account_backend(config, &metrics)?;
    let accounts = Arc::new(LiveAccounts::default());
    let loader = Arc::new(Loader {
        authenticator: Arc::clone(&issuers) as _,
        resolver: Resolver::new(
            Arc::clone(&directory),
            provisioner,
            Arc::new(config.accounts.clone()),
        ),
        directory: Arc::clone(&directory),
        minter: Minter::new(&config.identity, wants_remote_headers(config)),
        rules: Rules::new(config, snapshot.requirements.clone()),
        accounts: Arc::clone(&accounts),
        clock: clock.clone(),
    });
    let digester = Digester::random().map_err(|_| io::Error::other("no randomness"))?;
    let sessions = Sessions::new(
        config.sessions.clone(),
        config.accounts.max_stale,
        digester.clone(),
        Arc::new(MeasuredLoader::new(Arc::clone(&loader), metrics)),
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
    Ok((process, loader, directory))
}

fn account_backend(
    config: &Config,
    metrics: &ControlMetrics,
) -> Result<(Arc<dyn UserDirectory>, Option<Arc<dyn Provisioner>>), StartError> {
    match &config.accounts.backend {
        AccountBackend::Embedded { database } => {
            if let Some(folder) = database.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let embedded = Arc::new(MeasuredDirectory::new(
                EmbeddedDirectory::open(database)?,
                metrics.clone(),
            ));
            Ok((Arc::clone(&embedded) as _, Some(embedded as _)))
        }
        AccountBackend::Ldap(settings) => {
            let ldap = Arc::new(MeasuredDirectory::new(
                LdapDirectory::new((**settings).clone())?,
                metrics.clone(),
            ));
            let provisioner = settings.write_enabled.then(|| Arc::clone(&ldap) as _);
            Ok((ldap, provisioner))
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

fn bind_debug(config: &Config) -> Result<TcpListener, StartError> {
    let bound = TcpListener::bind(config.debug.addr).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|source| StartError::ListenDebug {
        addr: config.debug.addr,
        source,
    })
}

async fn serve_debug(admin: Admin, listener: TcpListener, stop: CancellationToken) {
    match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => {
            stop.run_until_cancelled(admin.serve(listener)).await;
        }
        Err(error) => tracing::error!(%error, "the debug listener cannot serve"),
    }
}

/// design.md 2, Readiness: an outage later on does not make a ready process unready, draining does.
fn readiness(
    process: Arc<Process>,
    directory_answered: Arc<AtomicBool>,
    drain: Drain,
) -> Box<dyn Fn() -> Readiness + Send + Sync> {
    Box::new(move || {
        let missing = [
            (drain.is_draining(), "draining"),
            (!process.issuers.is_ready(), "no keys of the issuer yet"),
            (
                !directory_answered.load(Ordering::Relaxed),
                "the account backend has not answered yet",
            ),
        ];
        let why: Vec<_> = missing
            .iter()
            .filter(|(is, _)| *is)
            .map(|(_, why)| *why)
            .collect();
        if why.is_empty() {
            Readiness::Ready
        } else {
            Readiness::NotReady(why.join(", "))
        }
    })
}

/// Until the account backend has answered once.
async fn probe_directory(
    directory: Arc<dyn UserDirectory>,
    answered: Arc<AtomicBool>,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        match directory.probe().await {
            Ok(()) => return answered.store(true, Ordering::Relaxed),
            Err(error) => {
                tracing::warn!(reason = %Reason::DirectoryUnavailable, %error, "the account backend does not answer")
            }
        }
        tokio::time::sleep(FOLLOW).await;
    }
}

/// What other parts have to be told: new keys void the refusals of tokens, a discovered issuer's origins enter the content
/// security policy, the session cache's size is a metric.
async fn follow(process: Arc<Process>, metrics: ControlMetrics, stop: CancellationToken) {
    let mut tick = tokio::time::interval(FOLLOW);
    let mut keys = 0;
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
        process
            .snapshot
            .load()
            .admit_issuer_origins(process.issuers.browser_origins());
        let (entries, bytes) = process.sessions.size();
        metrics.sessions_held(entries, bytes);
    }
}
