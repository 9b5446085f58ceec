//! Servers that keep something for several processes: where they are, how they are entered.

use std::path::PathBuf;

use super::Secret;

/// A server, or several that are one.
#[derive(Debug, Clone)]
pub struct Remote {
    /// `host:port` each; Redis Sentinel's first one may name the master, `host:port/master`.
    pub addresses: Vec<String>,
    /// User name and password, if both are set.
    pub login: Option<(String, Secret)>,
    /// TLS; `None`: plain.
    pub tls: Option<RemoteTls>,
}

/// TLS to such a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteTls {
    /// Its certificate is not verified; of no effect beside a file of authorities.
    pub insecure: bool,
    /// A file of certificate authorities, besides the system's.
    pub ca_file: Option<PathBuf>,
}

/// The service registry.
#[derive(Debug, Clone)]
pub struct Registry {
    /// Its NATS servers.
    pub remote: Remote,
    /// The operator named it, so its absence is worth a warning.
    pub is_named: bool,
}

/// What keeps something.
#[derive(Debug, Clone)]
pub enum Store {
    /// This process alone.
    Memory,
    /// Buckets of JetStream.
    Nats(Remote),
    /// One Redis.
    Redis(Remote),
    /// The master that Redis Sentinels name.
    Sentinel(Remote),
}

/// The stores of this process.
#[derive(Debug, Clone)]
pub struct Stores {
    /// What replicas share: userinfo, logouts, used proofs.
    pub sessions: Store,
    /// Where the userinfo of Go proxies lies in it.
    pub userinfo_database: String,
    /// Its table.
    pub userinfo_table: String,
    /// Keys of signed URLs, which another service writes.
    pub signing_keys: Store,
    /// Signed URLs, if they are accepted.
    pub signed_urls: Option<SignedUrls>,
}

/// `pre_signed_url`.
#[derive(Debug, Clone)]
pub struct SignedUrls {
    /// Methods that they may have.
    pub methods: Vec<http::Method>,
    /// What servers sign with.
    pub secret: Option<Secret>,
}

/// The event bus.
#[derive(Debug, Clone)]
pub struct Events {
    /// Its NATS servers.
    pub remote: Remote,
    /// The operator named it, so its absence is worth a warning.
    pub is_named: bool,
}
