//! Listener, log, debug listener, sessions, connections to backends.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::Secret;
use crate::config::key::{Address, Bytes, Key, Url, Word};
use crate::config::setting::{Preset, Setting};
use crate::config::words::LogLevel;

pub(crate) const LOG_LEVEL: Key<Word<LogLevel>> = Key::new("log.level",&["OC_LOG_LEVEL", "PROXY_LOG_LEVEL"],Preset::Text("warn"),"least severe level that is written: refusals are warnings, the access log is written from info on; `PUT /log` on the debug listener changes it until the next start").live().shared("log.level");

pub(crate) const LOG_PRETTY: Key<bool> = Key::new(
    "log.pretty",
    &["OC_LOG_PRETTY", "PROXY_LOG_PRETTY"],
    Preset::Derived("true on a terminal"),
    "text for people instead of JSON lines",
)
.shared("log.pretty");

pub(crate) const LOG_COLOR: Key<bool> = Key::new(
    "log.color",
    &["OC_LOG_COLOR", "PROXY_LOG_COLOR"],
    Preset::Derived("true on a terminal"),
    "levels in colour, where the log is text",
)
.shared("log.color");

pub(crate) const LOG_FILE: Key<PathBuf> = Key::new(
    "log.file",
    &["OC_LOG_FILE", "PROXY_LOG_FILE"],
    Preset::Empty,
    "file the log is appended to, instead of standard error",
)
.shared("log.file");

pub(crate) const DEBUG_ADDR: Key<Address> = Key::new(
    "debug.addr",
    &["PROXY_DEBUG_ADDR"],
    Preset::Text("127.0.0.1:9205"),
    "address of the debug listener: health, metrics, status page, configuration",
);

pub(crate) const DEBUG_TOKEN: Key<Secret> = Key::new(
    "debug.token",
    &["PROXY_DEBUG_TOKEN"],
    Preset::Empty,
    "bearer token for `/metrics` and `/config`; empty: `/metrics` is open, `/config` is off",
);

pub(crate) const HTTP_ADDR: Key<Address> = Key::new(
    "http.addr",
    &["PROXY_HTTP_ADDR"],
    Preset::Text("0.0.0.0:9200"),
    "address of the public listener",
);

pub(crate) const HTTP_ROOT: Key<String> = Key::new(
    "http.root",
    &["PROXY_HTTP_ROOT"],
    Preset::Text("/"),
    "path below which the gateway is reached",
);

pub(crate) const HTTP_TLS: Key<bool> = Key::new(
    "http.tls",
    &["PROXY_TLS"],
    Preset::Text("true"),
    "TLS on the public listener",
);

pub(crate) const HTTP_TLS_CERT: Key<PathBuf> = Key::new(
    "http.tls_cert",
    &["PROXY_TRANSPORT_TLS_CERT"],
    Preset::Text("<data>/proxy/server.crt"),
    "PEM certificate chain; made self-signed if it is not named and missing",
);

pub(crate) const HTTP_TLS_KEY: Key<PathBuf> = Key::new(
    "http.tls_key",
    &["PROXY_TRANSPORT_TLS_KEY"],
    Preset::Text("<data>/proxy/server.key"),
    "PEM key of the certificate",
);

pub(crate) const PUBLIC_URL: Key<Url> = Key::new(
    "public_url",
    &["OC_URL", "PROXY_PUBLIC_URL"],
    Preset::Text("https://localhost:9200"),
    "URL clients use",
);

pub(crate) const TRUSTED_PROXIES: Key<Vec<String>> = Key::new(
    "trusted_proxies",
    &["PROXY_TRUSTED_PROXIES"],
    Preset::Empty,
    "networks (CIDR) whose `X-Forwarded-*` are believed",
);

pub(crate) const WORKERS: Key<usize> = Key::new(
    "workers",
    &["PROXY_WORKERS"],
    Preset::Derived("CPUs of the cgroup"),
    "worker threads",
);

pub(crate) const SHUTDOWN_TIMEOUT: Key<Duration> = Key::new(
    "shutdown_timeout",
    &["PROXY_SHUTDOWN_TIMEOUT"],
    Preset::Text("30m"),
    "how long running transfers may go on after SIGTERM",
);

pub(crate) const SHUTDOWN_STREAM_TIMEOUT: Key<Duration> = Key::new(
    "shutdown_stream_timeout",
    &["PROXY_SHUTDOWN_STREAM_TIMEOUT"],
    Preset::Text("10s"),
    "how long SSE and tunnels may go on after SIGTERM",
);

pub(crate) const TRANSFER_IDLE_TIMEOUT: Key<Duration> = Key::new(
    "transfer_idle_timeout",
    &["PROXY_TRANSFER_IDLE_TIMEOUT"],
    Preset::Text("60s"),
    "a body of which no byte has moved for this long, up or down, is cut on both sides (not event streams and tunnels); 0: never",
);

pub(crate) const SESSION_CACHE_BYTES: Key<Bytes> = Key::new(
    "session_cache_bytes",
    &["PROXY_SESSION_CACHE_BYTES"],
    Preset::Text("256MiB"),
    "bytes all cached sessions may take",
);

pub(crate) const SESSION_SETUP_TIMEOUT: Key<Duration> = Key::new(
    "session_setup_timeout",
    &["PROXY_SESSION_SETUP_TIMEOUT"],
    Preset::Text("3s"),
    "how long a request waits for its session, then gets 503 while the set-up goes on",
);

pub(crate) const MAX_CONNECTIONS: Key<usize> = Key::new(
    "max_connections",
    &["PROXY_MAX_CONNECTIONS"],
    Preset::Derived("80 % of the limit of open files"),
    "public connections at once, beyond which the one that has rested longest is closed; the rest of the limit is kept for backends, issuer, directory and the debug listener",
);

pub(crate) const MAX_CONNECTIONS_PER_ADDRESS: Key<usize> = Key::new(
    "max_connections_per_address",
    &["PROXY_MAX_CONNECTIONS_PER_ADDRESS"],
    Preset::Empty,
    "connections one client address may have; empty: any number",
);

/// In the order of the reference.
pub(super) const SETTINGS: &[Setting] = &[
    LOG_LEVEL.setting,
    LOG_PRETTY.setting,
    LOG_COLOR.setting,
    LOG_FILE.setting,
    DEBUG_ADDR.setting,
    DEBUG_TOKEN.setting,
    HTTP_ADDR.setting,
    HTTP_ROOT.setting,
    HTTP_TLS.setting,
    HTTP_TLS_CERT.setting,
    HTTP_TLS_KEY.setting,
    PUBLIC_URL.setting,
    TRUSTED_PROXIES.setting,
    WORKERS.setting,
    SHUTDOWN_TIMEOUT.setting,
    SHUTDOWN_STREAM_TIMEOUT.setting,
    TRANSFER_IDLE_TIMEOUT.setting,
    SESSION_CACHE_BYTES.setting,
    SESSION_SETUP_TIMEOUT.setting,
    MAX_CONNECTIONS.setting,
    MAX_CONNECTIONS_PER_ADDRESS.setting,
];

pub(crate) const INSECURE_BACKENDS: Key<bool> = Key::new(
    "insecure_backends",
    &["PROXY_INSECURE_BACKENDS"],
    Preset::Text("false"),
    "certificates of backends are not verified",
);

pub(crate) const BACKEND_HTTPS_CACERT: Key<PathBuf> = Key::new(
    "backend_https_cacert",
    &["PROXY_HTTPS_CACERT"],
    Preset::Empty,
    "PEM file of further CAs for backends and issuer, besides the system's",
);

pub(crate) const HTTP_CLIENT_DIAL_TIMEOUT: Key<Duration> = Key::new(
    "http.client.dial_timeout",
    &["PROXY_TRANSPORT_CLIENT_DIAL_TIMEOUT"],
    Preset::Text("5s"),
    "a connection has to stand within this time (the existing service: 30s)",
);

pub(crate) const HTTP_CLIENT_DIAL_KEEP_ALIVE: Key<Duration> = Key::new(
    "http.client.dial_keep_alive",
    &["PROXY_TRANSPORT_CLIENT_DIAL_KEEP_ALIVE"],
    Preset::Text("30s"),
    "TCP keep-alive interval",
);

pub(crate) const HTTP_CLIENT_FORCE_ATTEMPT_HTTP2: Key<bool> = Key::new(
    "http.client.force_attempt_http2",
    &["PROXY_TRANSPORT_CLIENT_FORCE_ATTEMPT_HTTP2"],
    Preset::Text("false"),
    "HTTP/2 to TLS backends that offer it; upgrades go by HTTP/1.1",
);

pub(crate) const HTTP_CLIENT_MAX_IDLE_CONNS: Key<usize> = Key::new(
    "http.client.max_idle_conns",
    &["PROXY_TRANSPORT_CLIENT_MAX_IDLE_CONNS"],
    Preset::Text("100"),
    "idle connections kept in all",
);

pub(crate) const HTTP_CLIENT_MAX_IDLE_CONNS_PER_HOST: Key<usize> = Key::new(
    "http.client.max_idle_conns_per_host",
    &["PROXY_TRANSPORT_CLIENT_MAX_IDLE_CONNS_PER_HOST"],
    Preset::Text("100"),
    "idle connections kept per backend",
);

pub(crate) const HTTP_CLIENT_IDLE_CONN_TIMEOUT: Key<Duration> = Key::new(
    "http.client.idle_conn_timeout",
    &["PROXY_TRANSPORT_CLIENT_IDLE_CONN_TIMEOUT"],
    Preset::Text("90s"),
    "an idle connection is closed after this time",
);

pub(crate) const HTTP_CLIENT_TLS_HANDSHAKE_TIMEOUT: Key<Duration> = Key::new(
    "http.client.tls_handshake_timeout",
    &["PROXY_TRANSPORT_CLIENT_TLS_HANDSHAKE_TIMEOUT"],
    Preset::Text("10s"),
    "a TLS handshake has to end within this time",
);

pub(crate) const HTTP_CLIENT_EXPECT_CONTINUE_TIMEOUT: Key<Duration> = Key::new(
    "http.client.expect_continue_timeout",
    &["PROXY_TRANSPORT_CLIENT_EXPECT_CONTINUE_TIMEOUT"],
    Preset::Text("1s"),
    "how long a body waits for `100 Continue`",
);

pub(crate) const HTTP_CLIENT_RESPONSE_HEADER_TIMEOUT: Key<Duration> = Key::new(
    "http.client.response_header_timeout",
    &["PROXY_TRANSPORT_CLIENT_RESPONSE_HEADER_TIMEOUT"],
    Preset::Text("0s"),
    "a backend's answer has to begin within this time, once it has the whole request, else 504; 0: whenever it likes",
);

pub(crate) const OUTBOUND_PROXY_HTTPS: Key<Secret> = Key::new(
    "outbound_proxy.https",
    &["https_proxy", "HTTPS_PROXY"],
    Preset::Empty,
    "proxy on the way to https issuers, `http://host:port`, with user and password if need be",
);

pub(crate) const OUTBOUND_PROXY_HTTP: Key<Secret> = Key::new(
    "outbound_proxy.http",
    &["http_proxy", "HTTP_PROXY"],
    Preset::Empty,
    "proxy on the way to http issuers",
);

pub(crate) const OUTBOUND_PROXY_NO_PROXY: Key<Vec<String>> = Key::new(
    "outbound_proxy.no_proxy",
    &["no_proxy", "NO_PROXY"],
    Preset::Empty,
    "hosts and domain suffixes that are called directly; `*`: all",
);

/// In the order of the reference.
pub(super) const UPSTREAM: &[Setting] = &[
    INSECURE_BACKENDS.setting,
    BACKEND_HTTPS_CACERT.setting,
    HTTP_CLIENT_DIAL_TIMEOUT.setting,
    HTTP_CLIENT_DIAL_KEEP_ALIVE.setting,
    HTTP_CLIENT_FORCE_ATTEMPT_HTTP2.setting,
    HTTP_CLIENT_MAX_IDLE_CONNS.setting,
    HTTP_CLIENT_MAX_IDLE_CONNS_PER_HOST.setting,
    HTTP_CLIENT_IDLE_CONN_TIMEOUT.setting,
    HTTP_CLIENT_TLS_HANDSHAKE_TIMEOUT.setting,
    HTTP_CLIENT_EXPECT_CONTINUE_TIMEOUT.setting,
    HTTP_CLIENT_RESPONSE_HEADER_TIMEOUT.setting,
    OUTBOUND_PROXY_HTTPS.setting,
    OUTBOUND_PROXY_HTTP.setting,
    OUTBOUND_PROXY_NO_PROXY.setting,
];
