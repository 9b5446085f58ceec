//! What a worker's pools of backend connections count, summed over workers for `/metrics`.

use std::sync::atomic::{AtomicI64, AtomicU64};

/// Written by one worker with relaxed stores, read by anybody.
#[derive(Debug, Default)]
pub struct PoolCounters {
    /// Connections opened.
    pub connects: AtomicU64,
    /// Attempts to open one that failed.
    pub connect_failures: AtomicU64,
    /// Requests sent on a connection that had served before.
    pub reuses: AtomicU64,
    /// Requests sent a second time on a fresh connection.
    pub retries: AtomicU64,
    /// Requests refused because the queue was full or the wait too long.
    pub refused: AtomicU64,
    /// Requests waiting for a connection now.
    pub waiting: AtomicI64,
    /// Idle connections now.
    pub idle: AtomicI64,
    /// Connections now, idle ones included.
    pub open: AtomicI64,
    /// Upgraded connections now.
    pub tunnels: AtomicI64,
}
