//! What the status page is told: which listeners, routes, issuers, directory and backends there are, and how they are. No
//! secret, and nothing of a person.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::accounts::UserDirectory;
use crate::config::Config;
use crate::config::accounts::AccountBackend;
use crate::config::routes::Route;
use crate::process::Process;
use crate::server::Shared;
use crate::telemetry::{History, Levels, Metrics};

/// Who is asked.
pub(super) struct Sources {
    pub(super) process: Arc<Process>,
    pub(super) directory: Arc<dyn UserDirectory>,
    pub(super) directory_answered: Arc<AtomicBool>,
    pub(super) metrics: Metrics,
    pub(super) history: Arc<History>,
    pub(super) listeners: [SocketAddr; 2],
}

/// The levels at any moment.
pub(super) fn levels(sources: &Arc<Sources>) -> impl Fn() -> Levels + Send + Sync + 'static {
    // The metrics hold the answer, so it must not hold the metrics.
    let (process, directory) = (Arc::clone(&sources.process), Arc::clone(&sources.directory));
    let answered = Arc::clone(&sources.directory_answered);
    move || {
        let config = Arc::clone(&process.snapshot.load().config);
        let (set_ups, set_ups_limit) = process.sessions.set_ups();
        Levels {
            connections_limit: Shared::most_connections(&config.http) as u64,
            sessions_bytes_limit: config.sessions.cache_bytes,
            set_ups: set_ups as u64,
            set_ups_limit: set_ups_limit as u64,
            directory: directory.pool(),
            directory_answered: answered.load(Ordering::Relaxed),
            issuers: process.issuers.levels(),
        }
    }
}

impl Sources {
    /// Everything, as JSON.
    pub(super) fn json(&self) -> Value {
        let snapshot = self.process.snapshot.load();
        let config = &*snapshot.config;
        let levels = self.metrics.levels().unwrap_or_default();
        let issuers: Vec<Value> = levels
            .issuers
            .iter()
            .map(|one| {
                let trouble = one.trouble.as_ref();
                let age = one.keys_age.map(|age| age.as_secs());
                json!({
                    "issuer": one.issuer, "ready": one.is_ready, "keys": one.keys, "keys_age": age,
                    "trouble": trouble.map(|(ago, how)| json!({"ago": ago.as_secs(), "text": how})),
                })
            })
            .collect();
        let pool = levels.directory.map(|pool| {
            json!({"used": pool.used, "idle": pool.idle, "waiting": pool.waiting, "limit": pool.limit})
        });
        json!({
            "now": self.process.clock.now().0,
            "public_url": config.http.public_url.as_str(),
            "listeners": [
                {"what": "public", "address": self.listeners[0].to_string(), "tls": config.http.tls},
                {"what": "debug", "address": self.listeners[1].to_string(), "tls": false},
            ],
            "connections_limit": levels.connections_limit,
            "sessions_bytes_limit": levels.sessions_bytes_limit,
            "set_ups_running": levels.set_ups,
            "set_ups_limit": levels.set_ups_limit,
            "issuers": issuers,
            "directory": {
                "kind": kind(config), "answered": levels.directory_answered, "pool": pool,
            },
            "routes": snapshot.policies.routes().map(route).collect::<Vec<_>>(),
            "counted": self.metrics.overview(),
            "hour": self.history.json(&self.metrics),
        })
    }
}

fn kind(config: &Config) -> &'static str {
    match config.accounts.backend {
        AccountBackend::Ldap(_) => "ldap",
        AccountBackend::Embedded { .. } => "embedded",
        AccountBackend::Cs3 => "cs3",
    }
}

fn route(route: &Route) -> Value {
    json!({
        "route": route.endpoint,
        "method": route.method.as_ref().map(http::Method::as_str),
        "backend": route.backend.name,
        "login": !route.unprotected,
    })
}

/// Notes each minute until `stop`.
pub(super) async fn keep_history(
    history: Arc<History>,
    metrics: Metrics,
    stop: tokio_util::sync::CancellationToken,
) {
    let mut minutes = tokio::time::interval(Duration::from_secs(60));
    minutes.tick().await;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = minutes.tick() => history.minute(&metrics),
        }
    }
}
