//! Tasks beside the requests: the debug listener, readiness, and what parts have to be told of each other.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::StartError;
use super::status::{self, Sources};
use crate::accounts::{DirectoryError, UserDirectory};
use crate::admin::{Admin, Readiness};
use crate::config::Config;
use crate::model::Reason;
use crate::process::Process;
use crate::reload::Reloader;
use crate::server::{Drain, Tls};
use crate::telemetry::{ControlMetrics, LogLevel, Metrics};

/// Between looks at what issuers changed.
const FOLLOW: Duration = Duration::from_secs(1);

/// Between lines about the same trouble.
const MINUTE: Duration = Duration::from_secs(60);

/// Between warnings of a certificate that will end soon.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Starts everything of this file on the control runtime; it ends with `stop`.
#[expect(
    clippy::too_many_arguments,
    reason = "each is a part of the process that is told of the others here"
)]
pub(super) fn start(
    control: &Runtime,
    reloader: Arc<Reloader>,
    directory: Arc<dyn UserDirectory>,
    (debug, listeners): (TcpListener, [SocketAddr; 2]),
    (metrics, log_level): (Metrics, LogLevel),
    drain: Drain,
    tls: Option<Arc<Tls>>,
    stop: &CancellationToken,
) {
    let process = Arc::clone(reloader.process());
    let directory_answered = Arc::<AtomicBool>::default();
    let token = reloader
        .process()
        .snapshot
        .load()
        .config
        .debug
        .token
        .clone();
    control.spawn(Arc::clone(&reloader).watch(stop.clone()));
    let sources = Arc::new(Sources {
        process: Arc::clone(&process),
        directory: Arc::clone(&directory),
        directory_answered: Arc::clone(&directory_answered),
        metrics: metrics.clone(),
        history: Arc::default(),
        listeners,
    });
    metrics.ask_levels(status::levels(&sources));
    control.spawn(status::keep_history(
        Arc::clone(&sources.history),
        metrics.clone(),
        stop.clone(),
    ));
    control.spawn(probe_directory(
        directory,
        Arc::clone(&directory_answered),
        stop.clone(),
    ));
    control.spawn(follow(
        Arc::clone(&process),
        metrics.control(),
        stop.clone(),
    ));
    if let Some(tls) = tls {
        control.spawn(follow_certificate(tls, metrics.control(), stop.clone()));
    }
    let admin = Admin {
        readiness: readiness(process, directory_answered, drain),
        config: Box::new(move || reloader.effective_json()),
        status: Box::new(move || sources.json()),
        metrics,
        log_level,
        token,
        version: super::VERSION,
    };
    control.spawn(serve_debug(admin, debug, stop.clone()));
}

/// Binds the debug listener, early, so that a taken port stops the start.
pub(super) fn bind_debug(config: &Config) -> Result<(TcpListener, SocketAddr), StartError> {
    let addr = config.debug.addr;
    let bound = TcpListener::bind(addr).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok((listener.local_addr()?, listener))
    });
    bound
        .map(|(addr, listener)| (listener, addr))
        .map_err(|source| StartError::ListenDebug { addr, source })
}

async fn serve_debug(admin: Admin, listener: TcpListener, stop: CancellationToken) {
    match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => {
            stop.run_until_cancelled(admin.serve(listener)).await;
        }
        Err(error) => tracing::error!(%error, "the debug listener cannot serve"),
    }
}

/// docs/design/design.md 2, Readiness: an outage later on does not make a ready process unready, draining does.
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
    let mut told: Option<(Reason, tokio::time::Instant)> = None;
    while !stop.is_cancelled() {
        match directory.probe().await {
            Ok(()) => return answered.store(true, Ordering::Relaxed),
            Err(error) => {
                let reason = match &error {
                    DirectoryError::Misconfigured { reason, .. } => *reason,
                    _ => Reason::DirectoryUnavailable,
                };
                // Each reason once; while it stays the same, once a minute.
                let now = tokio::time::Instant::now();
                if told.is_none_or(|(last, at)| last != reason || now > at + MINUTE) {
                    told = Some((reason, now));
                    tracing::warn!(%reason, %error, hint = reason.hint(), "the account backend cannot be used");
                }
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

/// The certificate's end, as a metric and as a warning in its last days.
async fn follow_certificate(tls: Arc<Tls>, metrics: ControlMetrics, stop: CancellationToken) {
    let mut warned = tokio::time::Instant::now();
    let mut tick = tokio::time::interval(FOLLOW);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        metrics.certificate_loaded(tls.not_after());
        if warned.elapsed() >= DAY {
            warned = tokio::time::Instant::now();
            tls.warn_if_ending();
        }
    }
}
