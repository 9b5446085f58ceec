//! Listener, log, debug listener, sessions, connections to backends.

use ipnet::IpNet;
use serde_yaml::Value;
use tracing::level_filters::LevelFilter;
use url::Url;

use super::Build;
use crate::config::http::{
    AgentChallenge, ChallengeScheme, DebugListener, Http, Log, OutboundProxies, Upstream,
};
use crate::config::key::{Address, Key};
use crate::config::logins::Logins;
use crate::config::scalar::scalar_text;
use crate::config::table::{later, listener, routes};
use crate::config::words::LogLevel;
use crate::config::{Secret, Sessions, scalar};

impl Build<'_> {
    pub(super) fn log(&self) -> Log {
        let decided = |key: Key<bool>| self.values.is_set(key).then(|| self.values.get(key));
        Log {
            level: self
                .values
                .get(listener::LOG_LEVEL)
                .map_or(LevelFilter::ERROR, LogLevel::filter),
            pretty: decided(listener::LOG_PRETTY),
            color: decided(listener::LOG_COLOR),
            file: self.values.get(listener::LOG_FILE),
        }
    }

    pub(super) fn debug_listener(&mut self) -> DebugListener {
        if self.values.is_set(listener::DEBUG_TOKEN)
            && self.values.get(listener::DEBUG_TOKEN).is_none()
        {
            self.wrong(
                listener::DEBUG_TOKEN,
                "is empty; set a token, or take it out",
            );
        }
        DebugListener {
            addr: self.address(listener::DEBUG_ADDR),
            token: self.values.get(listener::DEBUG_TOKEN),
        }
    }

    /// Credentials besides access tokens. Where no CS3 gateway is needed for anything else, a default does not ask it.
    pub(super) fn logins(&self, has_gateway: bool) -> Logins {
        let apps = later::AUTH_MIDDLEWARE_ALLOW_APP_AUTH;
        Logins {
            passwords: self.values.get(later::ENABLE_BASIC_AUTH),
            app_passwords: self.values.get(apps) && (has_gateway || self.values.is_set(apps)),
        }
    }

    pub(super) fn public_url(&mut self) -> Option<Url> {
        match scalar::url(&self.values.text(listener::PUBLIC_URL)) {
            Ok(url) => Some(url),
            Err(error) => {
                self.wrong(listener::PUBLIC_URL, error);
                None
            }
        }
    }

    pub(super) fn http(&mut self, public_url: Url) -> Http {
        let root = self.values.get(listener::HTTP_ROOT);
        if !root.starts_with('/') || root.contains(['?', '#', '\\']) {
            self.wrong(
                listener::HTTP_ROOT,
                format!("is {root:?}; it has to be a path that starts with /"),
            );
        }
        let cert_set = self.values.is_set(listener::HTTP_TLS_CERT);
        let key_set = self.values.is_set(listener::HTTP_TLS_KEY);
        if cert_set != key_set {
            let (set, missing) = if cert_set {
                (listener::HTTP_TLS_CERT, listener::HTTP_TLS_KEY)
            } else {
                (listener::HTTP_TLS_KEY, listener::HTTP_TLS_CERT)
            };
            self.wrong(missing, format!("is missing, while {set} is set; set both"));
        }
        let tls = self.values.get(listener::HTTP_TLS);
        if tls && cert_set && key_set {
            self.readable(listener::HTTP_TLS_CERT);
            self.readable(listener::HTTP_TLS_KEY);
        }
        Http {
            addr: self.address(listener::HTTP_ADDR),
            root: match root.trim_end_matches('/') {
                "" => "/".to_owned(),
                root => root.to_owned(),
            },
            tls,
            tls_cert: self.values.get(listener::HTTP_TLS_CERT).unwrap_or_default(),
            tls_key: self.values.get(listener::HTTP_TLS_KEY).unwrap_or_default(),
            tls_files_set: cert_set || key_set,
            public_url,
            trusted_proxies: self.networks(listener::TRUSTED_PROXIES),
            workers: self.workers(),
            shutdown_timeout: self.values.get(listener::SHUTDOWN_TIMEOUT),
            shutdown_stream_timeout: self.values.get(listener::SHUTDOWN_STREAM_TIMEOUT),
            options_require_auth: self.values.get(routes::OPTIONS_REQUIRE_AUTH),
            forward_authorization: self.values.get(routes::FORWARD_AUTHORIZATION),
            force_hsts: self.values.get(routes::FORCE_STRICT_TRANSPORT_SECURITY),
            transfer_idle_timeout: self.values.get(listener::TRANSFER_IDLE_TIMEOUT),
            max_connections: self.bound(listener::MAX_CONNECTIONS),
            max_connections_per_address: self.bound(listener::MAX_CONNECTIONS_PER_ADDRESS),
            agent_challenges: self.agent_challenges(),
        }
    }

    /// A number of connections; zero and empty: no bound of its own.
    fn bound(&self, key: Key<usize>) -> Option<usize> {
        Some(self.values.get(key)).filter(|limit| *limit > 0)
    }

    /// The longest first: the order of a map means nothing to whoever writes it.
    fn agent_challenges(&mut self) -> Vec<AgentChallenge> {
        let key = routes::AUTH_MIDDLEWARE_CREDENTIALS_BY_USER_AGENT;
        let map = match self.values.get(key) {
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
        self.readable(listener::BACKEND_HTTPS_CACERT);
        let insecure = self.values.get(listener::INSECURE_BACKENDS);
        if insecure {
            let place = self.values.place(listener::INSECURE_BACKENDS);
            self.notes.warn(format!(
                "{place}: certificates of backends are not verified"
            ));
        }
        for key in [
            listener::HTTP_CLIENT_DIAL_TIMEOUT,
            listener::HTTP_CLIENT_TLS_HANDSHAKE_TIMEOUT,
            listener::SESSION_SETUP_TIMEOUT,
        ] {
            if self.values.get(key).is_zero() {
                self.wrong(key, "is zero; it has to be a time");
            }
        }
        Upstream {
            insecure,
            cacert: self.values.get(listener::BACKEND_HTTPS_CACERT),
            connect_timeout: self.values.get(listener::HTTP_CLIENT_DIAL_TIMEOUT),
            keep_alive: self.values.get(listener::HTTP_CLIENT_DIAL_KEEP_ALIVE),
            http2: self.values.get(listener::HTTP_CLIENT_FORCE_ATTEMPT_HTTP2),
            max_idle: self.values.get(listener::HTTP_CLIENT_MAX_IDLE_CONNS),
            max_idle_per_host: self
                .values
                .get(listener::HTTP_CLIENT_MAX_IDLE_CONNS_PER_HOST),
            idle_timeout: self.values.get(listener::HTTP_CLIENT_IDLE_CONN_TIMEOUT),
            tls_handshake_timeout: self.values.get(listener::HTTP_CLIENT_TLS_HANDSHAKE_TIMEOUT),
            expect_continue_timeout: self
                .values
                .get(listener::HTTP_CLIENT_EXPECT_CONTINUE_TIMEOUT),
            response_header_timeout: Some(
                self.values
                    .get(listener::HTTP_CLIENT_RESPONSE_HEADER_TIMEOUT),
            )
            .filter(|limit| !limit.is_zero()),
        }
    }

    pub(super) fn outbound_proxies(&mut self) -> OutboundProxies {
        OutboundProxies {
            https: self.proxy(listener::OUTBOUND_PROXY_HTTPS),
            http: self.proxy(listener::OUTBOUND_PROXY_HTTP),
            no_proxy: self.values.get(listener::OUTBOUND_PROXY_NO_PROXY),
        }
    }

    /// `proxy:3128` is written by many.
    fn proxy(&mut self, key: Key<Secret>) -> Option<Url> {
        let secret = self.values.get(key)?;
        let text = secret.reveal();
        let text = if text.contains("://") {
            text.to_owned()
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
            cache_bytes: self.values.get(listener::SESSION_CACHE_BYTES),
            setup_timeout: self.values.get(listener::SESSION_SETUP_TIMEOUT),
        }
    }

    fn address(&mut self, key: Key<Address>) -> std::net::SocketAddr {
        match scalar::address(&self.values.text(key)) {
            Ok(address) => address,
            Err(error) => {
                self.wrong(key, error);
                std::net::SocketAddr::from(([127, 0, 0, 1], 0))
            }
        }
    }

    fn networks(&mut self, key: Key<Vec<String>>) -> Vec<IpNet> {
        let mut networks = Vec::new();
        for text in self.values.get(key) {
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
        if !self.values.text(listener::WORKERS).is_empty() {
            let workers = self.values.get(listener::WORKERS);
            if !(1..=1024).contains(&workers) {
                self.wrong(listener::WORKERS, "has to be between 1 and 1024");
            }
            return workers;
        }
        // Looks at the affinity mask and the cgroup's quota.
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
    }
}
