//! Every family of metrics: its name, what it counts, its labels. `docs/metrics.md` is written from here, and only what
//! stands here can be shown.

/// One family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Family {
    /// Without the prefix; counters without `_total`.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// In the order of their values.
    pub(super) labels: &'static [&'static str],
    pub(super) help: &'static str,
}

/// Kinds of families.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Family {
    /// Whether the name stands alone: those that all processes have.
    #[cfg(test)]
    pub(super) fn is_bare(&self) -> bool {
        self.name.starts_with("process_")
    }
}

macro_rules! families {
    ($($constant:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal;)+) => {
        $(pub(super) const $constant: Family = Family {
            name: $name,
            kind: Kind::$kind,
            labels: &[$($label),*],
            help: $help,
        };)+

        /// All of them, in the order of the documentation.
        #[cfg(test)]
        pub(super) const ALL: &[Family] = &[$($constant),+];
    };
}

families! {
    REQUESTS: Counter "requests" ["method"] "Requests answered";
    ERRORS: Counter "errors" ["method"] "Requests answered with 500 or above";
    DURATION: Histogram "duration_seconds" ["method"] "Time to answer a request";
    IN_FLIGHT: Gauge "requests_in_flight" [] "Requests being answered";
    ROUTE_REQUESTS: Counter "route_requests" ["route", "backend", "class"] "Requests of a route by class of status; class `left`: the client left before an answer";
    ROUTE_DURATION: Histogram "route_duration_seconds" ["route", "backend"] "Time to answer a request of a route";
    ISSUER_REQUESTS: Counter "issuer_requests" ["issuer", "class"] "Requests with a session of an issuer by class of status";
    FAULTS: Counter "faults" ["whose"] "Requests that failed, by whose fault it was: `gateway` (ours), `backend` (no usable answer, or 5xx), `remote` (issuer, directory or another service that is asked)";
    REFUSALS: Counter "refusals" ["reason"] "Requests refused; each reason is explained in docs/troubleshooting.md";
    PANICS: Counter "panics" ["part"] "Handlers that panicked";
    CONNECTIONS: Gauge "client_connections" [] "Clients connected";
    CONNECTIONS_LIMIT: Gauge "client_connections_limit" [] "Clients that may be connected (`PROXY_MAX_CONNECTIONS`)";
    CONNECTIONS_ACCEPTED: Counter "client_connections_accepted" [] "Clients that connected";
    TIMEOUTS: Counter "client_timeouts" ["limit"] "Connections closed as too slow or idle";
    HANDSHAKES: Counter "tls_handshake_failures" [] "TLS handshakes that failed";
    LOOKUPS: Counter "session_lookups" ["result"] "Sessions looked for";
    SETUP: Histogram "session_setup_seconds" ["outcome"] "Time to set a session up";
    SETUPS: Gauge "session_setups" [] "Sessions in set-up";
    SETUPS_LIMIT: Gauge "session_setups_limit" [] "Sessions that may be in set-up; more are 503 `setup_overload`";
    SESSIONS: Gauge "sessions" [] "Sessions held";
    SESSIONS_BYTES: Gauge "sessions_bytes" [] "Bytes of sessions held";
    SESSIONS_BYTES_LIMIT: Gauge "sessions_bytes_limit" [] "Bytes sessions may take (`PROXY_SESSION_CACHE_BYTES`)";
    ISSUER_CALLS: Histogram "issuer_call_seconds" ["call", "outcome"] "Time of calls to issuers";
    ISSUER_READY: Gauge "issuer_ready" ["issuer"] "Whether the issuer's document and keys are at hand";
    ISSUER_KEYS: Gauge "issuer_keys" ["issuer"] "Keys of the issuer that verify";
    ISSUER_KEYS_AGE: Gauge "issuer_keys_age_seconds" ["issuer"] "Since the issuer's keys were confirmed last";
    DIRECTORY: Histogram "directory_operation_seconds" ["operation", "outcome"] "Time of operations of the account backend";
    DIRECTORY_CONNECTIONS: Gauge "directory_connections" ["state"] "Connections to the LDAP directory, `used` and `idle`";
    DIRECTORY_WAITING: Gauge "directory_waiting" [] "Operations that wait for a connection to the LDAP directory";
    DIRECTORY_LIMIT: Gauge "directory_connections_limit" [] "Connections there may be (`PROXY_LDAP_POOL_SIZE`)";
    BACKEND_ANSWERS: Counter "backend_answers" ["backend", "endpoint", "class"] "Answers of backends by class of status";
    BACKEND_DURATION: Histogram "backend_duration_seconds" ["backend", "endpoint"] "Time until a backend's answer begins, the wait for a connection included";
    CONNECTS: Counter "upstream_connects" ["backend", "endpoint"] "Connections made to backends";
    CONNECT_FAILURES: Counter "upstream_connect_failures" ["backend", "endpoint"] "Connections to backends that could not be made";
    REUSES: Counter "upstream_reuses" ["backend", "endpoint"] "Requests on kept connections";
    RETRIES: Counter "upstream_retries" ["backend", "endpoint"] "Requests sent again, on a fresh connection or to another endpoint";
    EJECTIONS: Counter "upstream_ejections" ["backend", "endpoint"] "Times an endpoint was left out for a while";
    UPSTREAM_REFUSED: Counter "upstream_refused" ["backend", "endpoint"] "Requests that no connection became free for";
    UPSTREAM_OPEN: Gauge "upstream_connections" ["backend", "endpoint"] "Connections to backends";
    UPSTREAM_IDLE: Gauge "upstream_idle" ["backend", "endpoint"] "Idle connections to backends";
    UPSTREAM_WAITING: Gauge "upstream_waiting" ["backend", "endpoint"] "Requests waiting for a connection";
    UPSTREAM_TUNNELS: Gauge "upstream_tunnels" ["backend", "endpoint"] "Upgraded connections";
    BUILD_INFO: Gauge "build_info" ["version"] "The version";
    LOG_DROPPED: Counter "log_lines_dropped" [] "Log lines that could not be written";
    SPANS: Counter "spans" ["result"] "Spans of traces: `sent` to the collector, `failed` to be taken by it, `dropped` because too many waited";
    CERTIFICATE_END: Gauge "certificate_not_after_seconds" [] "End of the TLS certificate, seconds since 1970";
    RELOAD_SUCCESS: Gauge "config_last_reload_successful" [] "Whether the last reload succeeded";
    RELOAD_TIME: Gauge "config_last_reload_success_timestamp_seconds" [] "When one did";
    PROCESS_CPU: Counter "process_cpu_seconds" [] "CPU time, user and system";
    PROCESS_RESIDENT: Gauge "process_resident_memory_bytes" [] "Bytes in memory";
    PROCESS_VIRTUAL: Gauge "process_virtual_memory_bytes" [] "Bytes of address space";
    PROCESS_FDS: Gauge "process_open_fds" [] "Open descriptors";
    PROCESS_MAX_FDS: Gauge "process_max_fds" [] "Descriptors there may be";
    PROCESS_THREADS: Gauge "process_threads" [] "Threads";
    PROCESS_START: Gauge "process_start_time_seconds" [] "Start of the process, seconds since 1970";
}

#[cfg(test)]
pub(super) mod tests;
