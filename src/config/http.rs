use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use tracing::level_filters::LevelFilter;
use url::Url;

use super::Secret;
use super::words::LogLevel;

/// The public listener and how long things may take.
#[derive(Debug, Clone)]
pub struct Http {
    /// Where to listen.
    pub addr: SocketAddr,
    /// Path below which the gateway is reached, `/` or `/cloud`.
    pub root: String,
    /// TLS on the public listener.
    pub tls: bool,
    /// PEM certificate chain; made when missing.
    pub tls_cert: PathBuf,
    /// PEM key; made when missing.
    pub tls_key: PathBuf,
    /// Whether certificate and key were named by the operator (then a missing file is an error).
    pub tls_files_set: bool,
    /// The URL clients use (`OC_URL`).
    pub public_url: Url,
    /// Peers whose `X-Forwarded-*` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Worker threads.
    pub workers: usize,
    /// Running transfers may go on for this long after SIGTERM.
    pub shutdown_timeout: Duration,
    /// SSE and tunnels may go on for this long after SIGTERM.
    pub shutdown_stream_timeout: Duration,
    /// OPTIONS on protected routes needs a credential.
    pub options_require_auth: bool,
    /// A bearer that was consumed here is passed on.
    pub forward_authorization: bool,
    /// HSTS also when our listener is not TLS (oCIS).
    pub force_hsts: bool,
    /// A body of which nothing moves for this long is cut; zero: never.
    pub transfer_idle_timeout: Duration,
    /// Public connections at once; unset: 80 % of the descriptor limit.
    pub max_connections: Option<usize>,
    /// Connections per client address; off by default.
    pub max_connections_per_address: Option<usize>,
    /// Clients that are challenged in another way; the longest match first.
    pub agent_challenges: Vec<AgentChallenge>,
}

/// How clients of one kind are challenged (`auth_middleware.credentials_by_user_agent`, docs/design/contract.md 9.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentChallenge {
    /// Part of their `User-Agent`; never empty.
    pub agent: String,
    /// The one scheme they are told of.
    pub scheme: ChallengeScheme,
}

/// A scheme a 401 may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChallengeScheme {
    /// RFC 6750.
    Bearer,
    /// RFC 9449.
    Dpop,
    /// RFC 7617.
    Basic,
}

/// Connections to backends (`http.client.*`, `insecure_backends`, `backend_https_cacert`).
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Backend certificates are not verified.
    pub insecure: bool,
    /// PEM file of the CAs backends (and the issuer) are verified with, besides the system's.
    pub cacert: Option<PathBuf>,
    /// A connection has to stand within this time.
    pub connect_timeout: Duration,
    /// TCP keep-alive interval.
    pub keep_alive: Duration,
    /// HTTP/2 to TLS backends.
    pub http2: bool,
    /// Idle connections kept, in all and per backend.
    pub max_idle: usize,
    /// Idle connections kept per backend.
    pub max_idle_per_host: usize,
    /// An idle connection is closed after this time.
    pub idle_timeout: Duration,
    /// A TLS handshake has to end within this time.
    pub tls_handshake_timeout: Duration,
    /// How long a body waits for `100 Continue`.
    pub expect_continue_timeout: Duration,
    /// An answer has to begin within this time, once the whole request was sent; `None`: whenever it likes.
    pub response_header_timeout: Option<Duration>,
}

/// The debug listener.
#[derive(Debug, Clone)]
pub struct DebugListener {
    /// Where to listen.
    pub addr: SocketAddr,
    /// Needed for `/metrics` and `/config`.
    pub token: Option<Secret>,
}

/// Logging.
#[derive(Debug, Clone)]
pub struct Log {
    /// error, warn, info, debug, trace or off. The access log is written from info on.
    pub level: LevelFilter,
    /// Text for people instead of JSON; `None`: on a terminal.
    pub pretty: Option<bool>,
    /// The level in colour; `None`: on a terminal.
    pub color: Option<bool>,
    /// A file instead of standard error.
    pub file: Option<PathBuf>,
}

impl Log {
    /// The level of a word, as the setting has them.
    #[must_use]
    pub fn level_of(word: &str) -> Option<LevelFilter> {
        word.parse().ok().map(LogLevel::filter)
    }
}

/// Proxies between this gateway and the issuers (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`); backends are always called
/// directly.
#[derive(Clone, Default)]
pub struct OutboundProxies {
    /// For `https` issuers.
    pub https: Option<Url>,
    /// For `http` issuers.
    pub http: Option<Url>,
    /// Hosts and domain suffixes that are called directly; `*` means all.
    pub no_proxy: Vec<String>,
}

/// A proxy's URL may have a password in it.
impl std::fmt::Debug for OutboundProxies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutboundProxies")
            .field("https", &self.https.is_some())
            .field("http", &self.http.is_some())
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}
