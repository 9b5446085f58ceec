//! The real gateway in this process, on a free port, with accounts of its own and its log under watch.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use davgate::door::accounts::embedded;
use davgate::door::config::{Config, LoadOptions};
use davgate::door::gateway::{self, Running};
use davgate::door::model::{Account, Clock};
use davgate::door::reload::Source;
use davgate::door::telemetry::Log;
use serde_json::{Value, json};

use super::backend::FakeBackend;
use super::canary;
use super::client::{self, Call};
use super::issuer::FakeIssuer;

/// What the gateway signs reva tokens with.
pub(crate) const JWT_SECRET: &str = "canary-jwt-secret-of-32-bytes-and-more";

/// Variables of every gateway here.
pub(crate) const VARIABLES: [(&str, &str); 12] = [
    ("PROXY_HTTP_ADDR", "127.0.0.1:0"),
    ("PROXY_DEBUG_ADDR", "127.0.0.1:0"),
    ("PROXY_TLS", "false"),
    ("PROXY_WORKERS", "2"),
    // Whatever runs on this machine beside the tests.
    ("MICRO_REGISTRY", "memory"),
    ("PROXY_EVENTS_ENDPOINT", ""),
    ("PROXY_ACCOUNT_BACKEND_TYPE", "embedded"),
    ("PROXY_AUTOPROVISION_ACCOUNTS", "true"),
    ("PROXY_USER_OIDC_CLAIM", "preferred_username"),
    ("PROXY_USER_CS3_CLAIM", "username"),
    ("PROXY_ROLE_ASSIGNMENT_DRIVER", "default"),
    ("PROXY_JWT_SECRET", JWT_SECRET),
];

/// A gateway in the making.
pub(crate) struct Builder {
    variables: HashMap<String, String>,
    routes: Vec<Value>,
    yaml: serde_json::Map<String, Value>,
    time: Option<i64>,
}

/// A gateway that runs. [`TestGateway::stop`] ends it and looks into its log; dropping it ends it too.
pub(crate) struct TestGateway {
    pub(crate) addr: SocketAddr,
    pub(crate) clock: Clock,
    yaml: Value,
    running: Option<Running>,
    folder: PathBuf,
    /// How long the log was before.
    log_before: u64,
}

impl TestGateway {
    #[expect(
        clippy::new_ret_no_self,
        reason = "reads as the sentence it is in tests"
    )]
    pub(crate) fn new() -> Builder {
        canary::secret(JWT_SECRET);
        let variables = VARIABLES.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Builder {
            variables: variables.into(),
            routes: Vec::new(),
            yaml: serde_json::Map::new(),
            time: None,
        }
    }

    pub(crate) fn call(&self, method: &str, target: &str) -> Call {
        Call::new(self.addr, method, target)
    }

    pub(crate) fn get(&self, target: &str) -> Call {
        self.call("GET", target)
    }

    /// A request line and headers as they are, with a `Host` and `Connection: close` after them.
    pub(crate) async fn raw(&self, head: &str) -> String {
        let request = format!(
            "{head}\r\nHost: {}\r\nConnection: close\r\n\r\n",
            client::CLOUD
        );
        client::raw(self.addr, request.as_bytes()).await
    }

    /// Status and body of a page of the debug listener.
    pub(crate) fn debug_addr(&self) -> SocketAddr {
        self.running().debug_addr()
    }

    pub(crate) async fn debug(&self, path: &str) -> (u16, String) {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = client::raw(self.running().debug_addr(), request.as_bytes()).await;
        (client::status(&answer), answer)
    }

    /// The accounts that there are.
    pub(crate) fn accounts(&self) -> Vec<Account> {
        embedded::admin::list(&self.database()).unwrap()
    }

    pub(crate) fn set_enabled(&self, name: &str, enabled: bool) {
        assert!(embedded::admin::set_enabled(&self.database(), name, enabled).unwrap());
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder.join("accounts.db")
    }

    /// The lines of the log that have this text.
    pub(crate) fn log_lines(&self, text: &str) -> Vec<Value> {
        log().flush();
        let lines = canary::written_since(log_file(), self.log_before);
        let lines = lines.lines().filter(|line| line.contains(text));
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Ends the gateway, and fails if anything secret stands in the log.
    pub(crate) async fn stop(mut self) {
        if let Some(running) = self.running.take() {
            tokio::task::spawn_blocking(|| running.stop())
                .await
                .unwrap();
        }
        log().flush();
        canary::assert_none_in_log(log_file());
    }

    /// Changes `proxy.yaml` and has it read again.
    pub(crate) async fn reload(&mut self, change: impl FnOnce(&mut Value)) -> bool {
        change(&mut self.yaml);
        // In one step, so that the gateway's own watch cannot read half of it.
        let (new, file) = (
            self.folder.join("proxy.yaml.new"),
            self.folder.join("proxy.yaml"),
        );
        fs::write(&new, self.yaml.to_string()).unwrap();
        fs::rename(&new, &file).unwrap();
        let reloader = Arc::clone(self.running().reloader());
        tokio::task::spawn_blocking(move || reloader.reload())
            .await
            .unwrap()
    }

    pub(crate) fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }
}

impl Drop for TestGateway {
    fn drop(&mut self) {
        let folder = std::mem::take(&mut self.folder);
        let running = self.running.take();
        let end = move || {
            if let Some(running) = running {
                running.stop();
            }
            let _ = fs::remove_dir_all(folder);
        };
        // Stopping blocks, which a runtime's thread must not.
        let _ = std::thread::spawn(end).join();
    }
}

impl Builder {
    pub(crate) fn issuer(self, issuer: &FakeIssuer) -> Self {
        self.var("PROXY_OIDC_ISSUER", issuer.url())
    }

    pub(crate) fn var(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Requests below `endpoint` go to this backend.
    pub(crate) fn backend(self, endpoint: &str, backend: &FakeBackend) -> Self {
        self.route(endpoint, backend, json!({}))
    }

    /// The same, open to everybody.
    pub(crate) fn open(self, endpoint: &str, backend: &FakeBackend) -> Self {
        self.route(endpoint, backend, json!({"unprotected": true}))
    }

    /// A route with further keys of `proxy.yaml`.
    pub(crate) fn route(self, endpoint: &str, backend: &FakeBackend, keys: Value) -> Self {
        let mut route = json!({
            "endpoint": endpoint, "backend": backend.url(), "identity": backend.identity(),
        });
        route
            .as_object_mut()
            .unwrap()
            .extend(keys.as_object().unwrap().clone());
        self.raw_route(route)
    }

    /// A route to an address that is no [`FakeBackend`].
    pub(crate) fn raw_route(mut self, route: Value) -> Self {
        self.routes.push(route);
        self
    }

    /// A key of `proxy.yaml`.
    pub(crate) fn yaml(mut self, key: &str, value: Value) -> Self {
        self.yaml.insert(key.to_owned(), value);
        self
    }

    /// Its clock stands at this time when it starts, instead of now.
    pub(crate) fn at(mut self, time: i64) -> Self {
        self.time = Some(time);
        self
    }

    pub(crate) async fn spawn(mut self) -> TestGateway {
        let folder = std::env::temp_dir().join(format!("davgate-it-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&folder).unwrap();
        let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        self.variables
            .entry("PROXY_EMBEDDED_DATABASE".into())
            .or_insert_with(|| path("accounts.db"));
        self.variables
            .entry("OC_BASE_DATA_PATH".into())
            .or_insert_with(|| path("data"));
        if !self.routes.iter().any(|route| route["endpoint"] == "/") {
            let mut everything_else = self
                .routes
                .last()
                .expect("a gateway without routes")
                .clone();
            everything_else["endpoint"] = "/".into();
            self.routes.push(everything_else);
        }
        self.yaml.insert(
            "policies".into(),
            json!([{"name": "default", "routes": self.routes}]),
        );
        let yaml = Value::Object(self.yaml);
        fs::write(folder.join("proxy.yaml"), yaml.to_string()).unwrap();
        let options = LoadOptions {
            config_dir: Some(folder.clone()),
            ..LoadOptions::default()
        };
        let loaded =
            Config::load(&options, &self.variables).unwrap_or_else(|errors| panic!("{errors}"));
        let clock = Clock::shifted();
        if let Some(time) = self.time {
            clock.advance(time - clock.now().0);
        }
        let (log, for_gateway) = (log().clone(), clock.clone());
        let source = Source {
            options,
            vars: Box::new(self.variables),
        };
        let log_before = fs::metadata(log_file()).map_or(0, |file| file.len());
        // It makes runtimes of its own, which must not happen on one.
        let start = move || gateway::start(loaded, source, &log, for_gateway);
        let running = tokio::task::spawn_blocking(start).await.unwrap().unwrap();
        TestGateway {
            addr: running.addr(),
            clock,
            yaml,
            running: Some(running),
            folder,
            log_before,
        }
    }
}

/// The log of the process: every gateway in it writes to one file, at the finest level.
fn log() -> &'static Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| {
        let settings = davgate::door::config::http::Log {
            level: tracing::level_filters::LevelFilter::TRACE,
            pretty: Some(false),
            color: Some(false),
            file: Some(log_file().to_owned()),
        };
        // A test says by panicking what went wrong, so the text of a panic must be seen.
        let shown = std::panic::take_hook();
        let log = Log::start(&settings, Clock::system()).unwrap();
        let logged = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            shown(panic);
            logged(panic);
        }));
        log
    })
}

fn log_file() -> &'static Path {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let name = format!("davgate-it-{}.log", uuid::Uuid::new_v4());
        std::env::temp_dir().join(name)
    })
}
