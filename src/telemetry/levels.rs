//! What stands at a level: the use of what is bounded, beside its bound, and how issuers and directory are. Asked for when
//! somebody looks, counted by nobody.

use std::time::Duration;

/// All levels at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Levels {
    /// Public connections there may be.
    pub connections_limit: u64,
    /// Bytes sessions may take.
    pub sessions_bytes_limit: u64,
    /// Sessions in set-up.
    pub set_ups: u64,
    /// Sessions that may be in set-up.
    pub set_ups_limit: u64,
    /// Connections to the account backend, where it has a pool.
    pub directory: Option<PoolLevel>,
    /// Whether the account backend has answered once.
    pub directory_answered: bool,
    /// Each issuer.
    pub issuers: Vec<IssuerLevel>,
}

/// A pool of connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolLevel {
    /// Connections in use.
    pub used: u64,
    /// Connections that wait for work.
    pub idle: u64,
    /// Operations that wait for a connection.
    pub waiting: u64,
    /// Connections there may be.
    pub limit: u64,
}

/// How an issuer is.
#[derive(Debug, Clone, Default)]
pub struct IssuerLevel {
    /// As configured.
    pub issuer: String,
    /// Its document, and the keys its method needs, are at hand.
    pub is_ready: bool,
    /// Keys that verify.
    pub keys: u64,
    /// Since the set of keys was confirmed last.
    pub keys_age: Option<Duration>,
    /// The last load of document or keys failed: how long ago, and how.
    pub trouble: Option<(Duration, String)>,
}
