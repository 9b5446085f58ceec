//! Composition: builds everything from a configuration, starts it, stops it. `parts` picks the implementations.

mod deployment;
mod parts;
mod release;
mod status;
mod traces;
mod upkeep;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use self::deployment::Deployment;
use self::parts::{Access, Parts};
use self::traces::Traces;
use crate::accounts::{DirectoryError, Unwritten};
use crate::auth::AuthError;
use crate::check::{self, Finding};
use crate::client;
use crate::config::{Config, Loaded};
use crate::explain::{Caller, Explanation, Question, Way};
use crate::model::Clock;
use crate::pipeline::Pipeline;
use crate::process::Snapshot;
use crate::reload::{Reloader, Source};
use crate::routes::PoliciesError;
use crate::rpc;
use crate::server::{self, Drain, Shared, Signals, Tls, TlsError, supervisor};
use crate::stores::StoreError;
use crate::telemetry::{AccessLog, Log, Metrics, START};
use crate::upstream::{Connector, ConnectorError, Forwarder};

/// A gateway that serves. Dropping it does not stop it; [`Running::run`] and [`Running::stop`] do.
#[derive(Debug)]
pub struct Running {
    addr: SocketAddr,
    debug_addr: SocketAddr,
    public_url: String,
    drain: Drain,
    workers: Vec<JoinHandle<()>>,
    stop: CancellationToken,
    control: Runtime,
    reloader: Arc<Reloader>,
    traces: Option<Traces>,
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
    Routes(#[from] PoliciesError),
    /// The account backend.
    #[error("account backend: {0}")]
    Accounts(#[from] DirectoryError),
    /// The file of the embedded accounts.
    #[error("cannot open {} (`embedded.database`, PROXY_EMBEDDED_DATABASE): {source}", .file.display())]
    Database {
        /// As configured.
        file: PathBuf,
        /// What stood in the way.
        source: DirectoryError,
    },
    /// Stores and buses.
    #[error(transparent)]
    Stores(#[from] StoreError),
    /// Calls to the deployment's own services.
    #[error(transparent)]
    Deployment(#[from] rpc::TlsError),
    /// Connections to backends.
    #[error(transparent)]
    Connector(#[from] ConnectorError),
    /// Connections to issuers.
    #[error(transparent)]
    Client(#[from] client::SetupError),
    /// The certificate.
    #[error(
        "`http.tls_cert` and `http.tls_key` (PROXY_TRANSPORT_TLS_CERT, PROXY_TRANSPORT_TLS_KEY): {0}"
    )]
    Tls(#[from] TlsError),
    /// An issuer.
    #[error(transparent)]
    Issuer(#[from] AuthError),
    /// The system gave no thread, runtime or randomness.
    #[error("the system refused: {0}")]
    System(#[from] io::Error),
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How long `explain` listens to the registry before it goes by what it knows.
const REGISTRY_WAIT: Duration = Duration::from_secs(2);

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
    start_on(None, loaded, source, log, clock)
}

/// The same on a public listener that was handed over, if there is one.
///
/// # Errors
/// See [`start`].
pub(crate) fn start_on(
    handed_over: Option<TcpListener>,
    loaded: Loaded,
    source: Source,
    log: &Log,
    clock: Clock,
) -> Result<Running, StartError> {
    server::raise_limit();
    let control = control_runtime()?;
    let (loaded, source) = release::settled(loaded, source, &control);
    let config = Arc::new(loaded.config.clone());
    let snapshot = Snapshot::compile(Arc::clone(&config))?;
    let (listener, addr) = bind(&config, handed_over)?;
    let (debug, debug_addr) = upkeep::bind_debug(&config)?;
    let tls = config
        .http
        .tls
        .then(|| Tls::load(&config.http, clock.clone()).map(Arc::new))
        .transpose()?;
    let metrics = Metrics::new(
        config.flavor,
        VERSION,
        config.http.workers,
        log.writer().dropped(),
    );
    let drain = Drain::new(
        config.http.shutdown_timeout,
        config.http.shutdown_stream_timeout,
    );
    let stop = CancellationToken::new();
    let (tracer, traces) = traces::start(&config, &control, &clock, &metrics);

    let Parts {
        process,
        loader,
        directory,
    } = parts::build(
        &config,
        snapshot,
        tls.as_deref(),
        &control,
        clock,
        metrics.control(),
        &stop,
    )?;
    let shared = Shared::new(
        &config.http,
        tls.as_ref().map(|tls| tls.server_config()),
        drain.clone(),
    );
    let connector = Connector::new(&config.upstream, control.handle().clone())?;
    let workers = (0..config.http.workers)
        .map(|index| {
            let (process, config, connector, log) = (
                Arc::clone(&process),
                Arc::clone(&config),
                connector.clone(),
                log.clone(),
            );
            let (worker, pools, routes) =
                (metrics.worker(index), metrics.pools(), metrics.routes());
            let streams_end = drain.streams_end();
            let for_pipeline = worker.clone();
            let directory = process.directory.clone();
            let tracer = tracer.clone();
            let make = move || {
                let forwarder = Forwarder::new(&config, connector, directory, pools);
                Pipeline::new(
                    process,
                    forwarder,
                    AccessLog::start(&log),
                    for_pipeline,
                    routes,
                    streams_end,
                    tracer,
                )
            };
            server::spawn_worker(index, listener.try_clone()?, shared.clone(), worker, make)
        })
        .collect::<io::Result<_>>()?;

    let reloader = Arc::new(Reloader::new(
        source,
        loaded,
        process,
        loader,
        tls.clone(),
        metrics.control(),
        log.level().clone(),
    ));
    let services = reloader.process().directory.clone();
    if let Some(question) = release::Question::new(&config, services) {
        control.spawn(release::follow(
            question,
            Arc::clone(&reloader),
            stop.clone(),
        ));
    }
    let issuers = config.issuers.iter().map(|issuer| issuer.issuer.clone());
    metrics.name_issuers(issuers.collect());
    upkeep::start(
        &control,
        Arc::clone(&reloader),
        directory,
        (debug, [addr, debug_addr]),
        (metrics, log.level().clone()),
        drain.clone(),
        tls,
        &stop,
    );
    Ok(Running {
        addr,
        debug_addr,
        public_url: config.http.public_url.to_string(),
        drain,
        workers,
        stop,
        control,
        reloader,
        traces,
    })
}

fn bind(
    config: &Config,
    handed_over: Option<TcpListener>,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let addr = config.http.addr;
    let bound = server::listen(addr, handed_over)
        .and_then(|listener| Ok((listener.local_addr()?, listener)));
    bound
        .map(|(addr, listener)| (listener, addr))
        .map_err(|source| StartError::Listen { addr, source })
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
            addr,
            debug_addr,
            public_url,
            drain,
            workers,
            stop,
            control,
            reloader,
            traces,
        } = self;
        let ended = control.block_on(async {
            let signals = Signals::install()?;
            // Said when a signal means what it should: whoever reads the line may send one.
            tracing::info!(target: START, %addr, %debug_addr, public_url, workers = workers.len(), "listening");
            supervisor::ready();
            let handle = tokio::runtime::Handle::current();
            signals
                .run(&drain, || {
                    let reloader = Arc::clone(&reloader);
                    handle.spawn_blocking(move || {
                        supervisor::reloading();
                        reloader.reload();
                        supervisor::ready();
                    });
                })
                .await;
            let in_order = Signals::join(workers).await;
            Traces::finish(traces).await;
            Ok(in_order)
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
            Traces::finish(self.traces).await;
        });
        self.stop.cancel();
        self.control.shutdown_background();
    }
}

/// What would stop a start with this configuration, beyond what it says by itself: expressions of routes, certificates and
/// keys, CA files. Opens no connection and makes no file.
#[must_use]
pub(crate) fn preflight(config: &Config) -> Vec<StartError> {
    let mut found: Vec<StartError> = Vec::new();
    if let Err(error) = Snapshot::compile(Arc::new(config.clone())) {
        found.push(error.into());
    }
    let http = &config.http;
    // One that is not named is made at the start, which is not now.
    let is_there = http.tls_cert.exists() && http.tls_key.exists();
    if http.tls
        && (http.tls_files_set || is_there)
        && let Err(error) = Tls::load(http, Clock::system())
    {
        found.push(error.into());
    }
    found.extend(parts::preflight(config));
    found
}

/// Asks issuers, account backend and backends once; see [`check::online`].
///
/// # Errors
/// If the parts cannot be built.
pub(crate) fn check_online(
    config: &Config,
    tell: &mut dyn FnMut(Finding),
) -> Result<(), StartError> {
    let control = control_runtime()?;
    let metrics = Metrics::new(config.flavor, VERSION, 1, Arc::default()).control();
    let tls = own_certificate(config, &Clock::system());
    let (client, directory) = parts::askers(config, tls.as_ref(), &metrics)?;
    let stop = CancellationToken::new();
    let services = parts::services(config, &control, &stop);
    let asked = check::online(config, &client, &*directory, &services, tell);
    control.block_on(asked);
    stop.cancel();
    control.shutdown_background();
    Ok(())
}

/// Only a certificate that is there: none is made for a look.
fn own_certificate(config: &Config, clock: &Clock) -> Option<Tls> {
    Some(&config.http)
        .filter(|http| http.tls && http.tls_cert.exists() && http.tls_key.exists())
        .and_then(|http| Tls::load(http, clock.clone()).ok())
}

/// Says what the gateway would do with a token, a request, or both. Asks issuer and directory as a login does, and writes
/// nothing.
///
/// # Errors
/// If the parts cannot be built; an issuer or a directory that does not answer is part of the explanation.
pub(crate) fn explain(
    config: &Config,
    question: &Question,
    clock: &Clock,
) -> Result<Explanation, StartError> {
    let control = control_runtime()?;
    let snapshot = Snapshot::compile(Arc::new(config.clone()))?;
    let stop = CancellationToken::new();
    let services = parts::services(config, &control, &stop);
    if config.services.registry.is_some()
        && (question.request.is_some() || parts::looks_services_up(config))
    {
        // What the registry does not say at once has its default address.
        let mut changes = services.changes();
        let heard = async move { tokio::time::timeout(REGISTRY_WAIT, changes.changed()).await };
        let _ = control.block_on(heard);
    }
    let mut explained = Explanation::default();
    let login = match &question.token {
        Some(token) => {
            let tls = own_certificate(config, clock);
            let metrics = Metrics::new(config.flavor, VERSION, 1, Arc::default()).control();
            let unwritten = Unwritten::default();
            let access = Access::ReadOnly(unwritten.clone());
            let deployment = Deployment::new(config, services.clone())?;
            let tls = tls.as_ref();
            let logins =
                parts::logins(config, &access, &deployment, tls, &control, clock, &metrics)?;
            let requirements = snapshot.requirements.clone();
            let loader = parts::loader(config, &logins, &deployment, &access, requirements, clock)?;
            let when = (clock.now(), config.flavor);
            let login = explained.login(&loader, token, &unwritten, when);
            Some(control.block_on(login))
        }
        None => None,
    };
    if let Some(request) = &question.request {
        let way = Way {
            snapshot: &snapshot,
            services: &services,
            now: clock.now(),
        };
        let caller = match &login {
            None => Caller::Nobody,
            Some(Ok(facts)) => Caller::Known(facts),
            Some(Err(error)) => Caller::Refused(error),
        };
        explained.request(&way, request, &caller);
    }
    stop.cancel();
    control.shutdown_background();
    Ok(explained)
}

fn control_runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .enable_all()
        .build()
}
