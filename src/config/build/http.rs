//! Listener, log, debug listener, sessions, connections to backends.

use ipnet::IpNet;
use serde_yaml::Value;
use tracing::level_filters::LevelFilter;
use url::Url;

use super::Build;
use crate::config::document::scalar_text;
use crate::config::http::{
    AgentChallenge, ChallengeScheme, DebugListener, Http, Log, OutboundProxies, Upstream,
};
use crate::config::logins::Logins;
use crate::config::{Sessions, scalar};

impl Build<'_> {
    pub(super) fn log(&self) -> Log {
        let decided = |key| self.values.is_set(key).then(|| self.values.flag(key));
        Log {
            level: Log::level_of(&self.values.text("log.level")).unwrap_or(LevelFilter::ERROR),
            pretty: decided("log.pretty"),
            color: decided("log.color"),
            file: self.values.path("log.file"),
        }
    }

    pub(super) fn debug_listener(&mut self) -> DebugListener {
        if self.values.is_set("debug.token") && self.values.secret("debug.token").is_none() {
            self.wrong("debug.token", "is empty; set a token, or take it out");
        }
        DebugListener {
            addr: self.address("debug.addr"),
            token: self.values.secret("debug.token"),
        }
    }

    /// Credentials besides access tokens. Where no CS3 gateway is needed for anything else, a default does not ask it.
    pub(super) fn logins(&self, has_gateway: bool) -> Logins {
        let apps = "auth_middleware.allow_app_auth";
        Logins {
            passwords: self.values.flag("enable_basic_auth"),
            app_passwords: self.values.flag(apps) && (has_gateway || self.values.is_set(apps)),
        }
    }

    pub(super) fn public_url(&mut self) -> Option<Url> {
        match scalar::url(&self.values.text("public_url")) {
            Ok(url) => Some(url),
            Err(error) => {
                self.wrong("public_url", error);
                None
            }
        }
    }

    pub(super) fn http(&mut self, public_url: Url) -> Http {
        let root = self.values.text("http.root");
        if !root.starts_with('/') || root.contains(['?', '#', '\\']) {
            self.wrong(
                "http.root",
                format!("is {root:?}; it has to be a path that starts with /"),
            );
        }
        let cert_set = self.values.is_set("http.tls_cert");
        let key_set = self.values.is_set("http.tls_key");
        if cert_set != key_set {
            let (set, missing) = if cert_set {
                ("http.tls_cert", "http.tls_key")
            } else {
                ("http.tls_key", "http.tls_cert")
            };
            self.wrong(missing, format!("is missing, while {set} is set; set both"));
        }
        let tls = self.values.flag("http.tls");
        if tls && cert_set && key_set {
            self.readable("http.tls_cert");
            self.readable("http.tls_key");
        }
        Http {
            addr: self.address("http.addr"),
            root: match root.trim_end_matches('/') {
                "" => "/".to_owned(),
                root => root.to_owned(),
            },
            tls,
            tls_cert: self.values.path("http.tls_cert").unwrap_or_default(),
            tls_key: self.values.path("http.tls_key").unwrap_or_default(),
            tls_files_set: cert_set || key_set,
            public_url,
            trusted_proxies: self.networks("trusted_proxies"),
            workers: self.workers(),
            shutdown_timeout: self.values.duration("shutdown_timeout"),
            shutdown_stream_timeout: self.values.duration("shutdown_stream_timeout"),
            options_require_auth: self.values.flag("options_require_auth"),
            forward_authorization: self.values.flag("forward_authorization"),
            force_hsts: self.values.flag("force_strict_transport_security"),
            transfer_idle_timeout: self.values.duration("transfer_idle_timeout"),
            max_connections: self.bound("max_connections"),
            max_connections_per_address: self.bound("max_connections_per_address"),
            agent_challenges: self.agent_challenges(),
        }
    }

    /// A number of connections; zero and empty: no bound of its own.
    fn bound(&mut self, key: &str) -> Option<usize> {
        let text = self.values.some_text(key);
        text.map(|_| self.values.size(key))
            .filter(|limit| *limit > 0)
    }

    /// The longest first: the order of a map means nothing to whoever writes it.
    fn agent_challenges(&mut self) -> Vec<AgentChallenge> {
        let key = "auth_middleware.credentials_by_user_agent";
        let map = match self.values.tree(key) {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::Mapping(map)) => map.clone(),
            Some(_) => {
                self.wrong(key, "has to be a map of user agent to scheme");
                return Vec::new();
            }
        };
        let logins = self.logins(true);
        let takes_passwords = logins.passwords || logins.app_passwords;
        let mut challenges = Vec::new();
        for (agent, scheme) in &map {
            let (agent, scheme) = (scalar_text(agent), scalar_text(scheme));
            let agent = agent.unwrap_or_default();
            if agent.trim().is_empty() {
                self.wrong(key, "has an entry without a user agent; name a part of one");
                continue;
            }
            let inner = format!("{key}.{agent}");
            let scheme = scheme.unwrap_or_default();
            match scheme.to_ascii_lowercase().as_str() {
                "bearer" => challenges.push(AgentChallenge { agent, scheme: ChallengeScheme::Bearer }),
                "dpop" => challenges.push(AgentChallenge { agent, scheme: ChallengeScheme::Dpop }),
                "basic" if takes_passwords => {
                    challenges.push(AgentChallenge { agent, scheme: ChallengeScheme::Basic });
                }
                "basic" => self.at(
                    &inner,
                    "is basic, but no password is accepted; set it to bearer, or enable_basic_auth to true",
                ),
                _ => self.at(&inner, format!("is {scheme:?}; it can be bearer, dpop or basic")),
            }
        }
        challenges.sort_by_key(|one| std::cmp::Reverse(one.agent.len()));
        challenges
    }

    pub(super) fn upstream(&mut self) -> Upstream {
        self.readable("backend_https_cacert");
        let insecure = self.values.flag("insecure_backends");
        if insecure {
            let place = self.values.place("insecure_backends");
            self.notes.warn(format!(
                "{place}: certificates of backends are not verified"
            ));
        }
        for key in [
            "http.client.dial_timeout",
            "http.client.tls_handshake_timeout",
            "session_setup_timeout",
        ] {
            if self.values.duration(key).is_zero() {
                self.wrong(key, "is zero; it has to be a time");
            }
        }
        Upstream {
            insecure,
            cacert: self.values.path("backend_https_cacert"),
            connect_timeout: self.values.duration("http.client.dial_timeout"),
            keep_alive: self.values.duration("http.client.dial_keep_alive"),
            http2: self.values.flag("http.client.force_attempt_http2"),
            max_idle: self.values.size("http.client.max_idle_conns"),
            max_idle_per_host: self.values.size("http.client.max_idle_conns_per_host"),
            idle_timeout: self.values.duration("http.client.idle_conn_timeout"),
            tls_handshake_timeout: self.values.duration("http.client.tls_handshake_timeout"),
            expect_continue_timeout: self.values.duration("http.client.expect_continue_timeout"),
            response_header_timeout: Some(
                self.values.duration("http.client.response_header_timeout"),
            )
            .filter(|limit| !limit.is_zero()),
        }
    }

    pub(super) fn outbound_proxies(&mut self) -> OutboundProxies {
        OutboundProxies {
            https: self.proxy("outbound_proxy.https"),
            http: self.proxy("outbound_proxy.http"),
            no_proxy: self.values.list("outbound_proxy.no_proxy"),
        }
    }

    /// `proxy:3128` is written by many.
    fn proxy(&mut self, key: &str) -> Option<Url> {
        let text = self.values.some_text(key)?;
        let text = if text.contains("://") {
            text
        } else {
            format!("http://{text}")
        };
        let url = Url::parse(&text)
            .ok()
            .filter(|url| url.scheme() == "http" && url.has_host());
        if url.is_none() {
            // The value may have a password, so it is not repeated.
            self.wrong(key, "has to be http://host:port");
        }
        url
    }

    pub(super) fn sessions(&self) -> Sessions {
        Sessions {
            cache_bytes: self.values.bytes("session_cache_bytes"),
            setup_timeout: self.values.duration("session_setup_timeout"),
        }
    }

    fn address(&mut self, key: &str) -> std::net::SocketAddr {
        match scalar::address(&self.values.text(key)) {
            Ok(address) => address,
            Err(error) => {
                self.wrong(key, error);
                std::net::SocketAddr::from(([127, 0, 0, 1], 0))
            }
        }
    }

    fn networks(&mut self, key: &str) -> Vec<IpNet> {
        let mut networks = Vec::new();
        for text in self.values.list(key) {
            let address = || text.parse::<std::net::IpAddr>().ok().map(IpNet::from);
            match text.parse().ok().or_else(address) {
                Some(network) => {
                    if network.prefix_len() == 0 {
                        let place = self.values.place(key);
                        self.notes.warn(format!(
                            "{place}: {network} believes everybody, so that any client can say who it is and by which scheme it came; name the proxy's own network"
                        ));
                    }
                    networks.push(network);
                }
                None => self.wrong(
                    key,
                    format!("has {text:?}; each item has to be a network such as 10.0.0.0/8"),
                ),
            }
        }
        networks
    }

    fn workers(&mut self) -> usize {
        if self.values.some_text("workers").is_some() {
            let workers = self.values.size("workers");
            if !(1..=1024).contains(&workers) {
                self.wrong("workers", "has to be between 1 and 1024");
            }
            return workers;
        }
        // Looks at the affinity mask and the cgroup's quota.
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
    }
}
