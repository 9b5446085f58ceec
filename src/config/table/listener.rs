//! Listener, log, debug listener, sessions, connections to backends.

use crate::config::setting::{Kind, Preset, Setting};

const fn s(
    key: &'static str,
    names: &'static [&'static str],
    kind: Kind,
    preset: Preset,
    purpose: &'static str,
) -> Setting {
    Setting::new(key, names, kind, preset, purpose)
}

pub(super) const SETTINGS: &[Setting] = &[
    s(
        "log.level",
        &["OC_LOG_LEVEL", "PROXY_LOG_LEVEL"],
        Kind::Word(&[
            "off", "panic", "fatal", "error", "warn", "info", "debug", "trace",
        ]),
        Preset::Text("warn"),
        "least severe level that is written: refusals are warnings, the access log is written from info on; `PUT /log` on the debug listener changes it until the next start",
    )
    .live()
    .shared("log.level"),
    s(
        "log.pretty",
        &["OC_LOG_PRETTY", "PROXY_LOG_PRETTY"],
        Kind::Bool,
        Preset::Derived("true on a terminal"),
        "text for people instead of JSON lines",
    )
    .shared("log.pretty"),
    s(
        "log.color",
        &["OC_LOG_COLOR", "PROXY_LOG_COLOR"],
        Kind::Bool,
        Preset::Derived("true on a terminal"),
        "levels in colour, where the log is text",
    )
    .shared("log.color"),
    s(
        "log.file",
        &["OC_LOG_FILE", "PROXY_LOG_FILE"],
        Kind::Path,
        Preset::Empty,
        "file the log is appended to, instead of standard error",
    )
    .shared("log.file"),
    s(
        "debug.addr",
        &["PROXY_DEBUG_ADDR"],
        Kind::Address,
        Preset::Text("127.0.0.1:9205"),
        "address of the debug listener: health, metrics, status page, configuration",
    ),
    s(
        "debug.token",
        &["PROXY_DEBUG_TOKEN"],
        Kind::Secret,
        Preset::Empty,
        "bearer token for `/metrics` and `/config`; empty: `/metrics` is open, `/config` is off",
    ),
    s(
        "http.addr",
        &["PROXY_HTTP_ADDR"],
        Kind::Address,
        Preset::Text("0.0.0.0:9200"),
        "address of the public listener",
    ),
    s(
        "http.root",
        &["PROXY_HTTP_ROOT"],
        Kind::Text,
        Preset::Text("/"),
        "path below which the gateway is reached",
    ),
    s(
        "http.tls",
        &["PROXY_TLS"],
        Kind::Bool,
        Preset::Text("true"),
        "TLS on the public listener",
    ),
    s(
        "http.tls_cert",
        &["PROXY_TRANSPORT_TLS_CERT"],
        Kind::Path,
        Preset::Text("<data>/proxy/server.crt"),
        "PEM certificate chain; made self-signed if it is not named and missing",
    ),
    s(
        "http.tls_key",
        &["PROXY_TRANSPORT_TLS_KEY"],
        Kind::Path,
        Preset::Text("<data>/proxy/server.key"),
        "PEM key of the certificate",
    ),
    s(
        "public_url",
        &["OC_URL", "PROXY_PUBLIC_URL"],
        Kind::Url,
        Preset::Text("https://localhost:9200"),
        "URL clients use",
    ),
    s(
        "trusted_proxies",
        &["PROXY_TRUSTED_PROXIES"],
        Kind::List,
        Preset::Empty,
        "networks (CIDR) whose `X-Forwarded-*` are believed",
    ),
    s(
        "workers",
        &["PROXY_WORKERS"],
        Kind::Int,
        Preset::Derived("CPUs of the cgroup"),
        "worker threads",
    ),
    s(
        "shutdown_timeout",
        &["PROXY_SHUTDOWN_TIMEOUT"],
        Kind::Duration,
        Preset::Text("30m"),
        "how long running transfers may go on after SIGTERM",
    ),
    s(
        "shutdown_stream_timeout",
        &["PROXY_SHUTDOWN_STREAM_TIMEOUT"],
        Kind::Duration,
        Preset::Text("10s"),
        "how long SSE and tunnels may go on after SIGTERM",
    ),
    s(
        "transfer_idle_timeout",
        &["PROXY_TRANSFER_IDLE_TIMEOUT"],
        Kind::Duration,
        Preset::Text("60s"),
        "a body of which no byte has moved for this long, up or down, is cut on both sides (not event streams and tunnels); 0: never",
    ),
    s(
        "session_cache_bytes",
        &["PROXY_SESSION_CACHE_BYTES"],
        Kind::Bytes,
        Preset::Text("256MiB"),
        "bytes all cached sessions may take",
    ),
    s(
        "session_setup_timeout",
        &["PROXY_SESSION_SETUP_TIMEOUT"],
        Kind::Duration,
        Preset::Text("3s"),
        "how long a request waits for its session, then gets 503 while the set-up goes on",
    ),
    s(
        "max_connections",
        &["PROXY_MAX_CONNECTIONS"],
        Kind::Int,
        Preset::Derived("80 % of the limit of open files"),
        "public connections at once, beyond which the one that has rested longest is closed; the rest of the limit is kept for backends, issuer, directory and the debug listener",
    ),
    s(
        "max_connections_per_address",
        &["PROXY_MAX_CONNECTIONS_PER_ADDRESS"],
        Kind::Int,
        Preset::Empty,
        "connections one client address may have; empty: any number",
    ),
];

pub(super) const UPSTREAM: &[Setting] = &[
    s(
        "insecure_backends",
        &["PROXY_INSECURE_BACKENDS"],
        Kind::Bool,
        Preset::Text("false"),
        "certificates of backends are not verified",
    ),
    s(
        "backend_https_cacert",
        &["PROXY_HTTPS_CACERT"],
        Kind::Path,
        Preset::Empty,
        "PEM file of further CAs for backends and issuer, besides the system's",
    ),
    s(
        "http.client.dial_timeout",
        &["PROXY_TRANSPORT_CLIENT_DIAL_TIMEOUT"],
        Kind::Duration,
        Preset::Text("5s"),
        "a connection has to stand within this time (the existing service: 30s)",
    ),
    s(
        "http.client.dial_keep_alive",
        &["PROXY_TRANSPORT_CLIENT_DIAL_KEEP_ALIVE"],
        Kind::Duration,
        Preset::Text("30s"),
        "TCP keep-alive interval",
    ),
    s(
        "http.client.force_attempt_http2",
        &["PROXY_TRANSPORT_CLIENT_FORCE_ATTEMPT_HTTP2"],
        Kind::Bool,
        Preset::Text("false"),
        "HTTP/2 to TLS backends that offer it; upgrades go by HTTP/1.1",
    ),
    s(
        "http.client.max_idle_conns",
        &["PROXY_TRANSPORT_CLIENT_MAX_IDLE_CONNS"],
        Kind::Int,
        Preset::Text("100"),
        "idle connections kept in all",
    ),
    s(
        "http.client.max_idle_conns_per_host",
        &["PROXY_TRANSPORT_CLIENT_MAX_IDLE_CONNS_PER_HOST"],
        Kind::Int,
        Preset::Text("100"),
        "idle connections kept per backend",
    ),
    s(
        "http.client.idle_conn_timeout",
        &["PROXY_TRANSPORT_CLIENT_IDLE_CONN_TIMEOUT"],
        Kind::Duration,
        Preset::Text("90s"),
        "an idle connection is closed after this time",
    ),
    s(
        "http.client.tls_handshake_timeout",
        &["PROXY_TRANSPORT_CLIENT_TLS_HANDSHAKE_TIMEOUT"],
        Kind::Duration,
        Preset::Text("10s"),
        "a TLS handshake has to end within this time",
    ),
    s(
        "http.client.expect_continue_timeout",
        &["PROXY_TRANSPORT_CLIENT_EXPECT_CONTINUE_TIMEOUT"],
        Kind::Duration,
        Preset::Text("1s"),
        "how long a body waits for `100 Continue`",
    ),
    s(
        "http.client.response_header_timeout",
        &["PROXY_TRANSPORT_CLIENT_RESPONSE_HEADER_TIMEOUT"],
        Kind::Duration,
        Preset::Text("0s"),
        "a backend's answer has to begin within this time, once it has the whole request, else 504; 0: whenever it likes",
    ),
    s(
        "outbound_proxy.https",
        &["https_proxy", "HTTPS_PROXY"],
        Kind::Secret,
        Preset::Empty,
        "proxy on the way to https issuers, `http://host:port`, with user and password if need be",
    ),
    s(
        "outbound_proxy.http",
        &["http_proxy", "HTTP_PROXY"],
        Kind::Secret,
        Preset::Empty,
        "proxy on the way to http issuers",
    ),
    s(
        "outbound_proxy.no_proxy",
        &["no_proxy", "NO_PROXY"],
        Kind::List,
        Preset::Empty,
        "hosts and domain suffixes that are called directly; `*`: all",
    ),
];
