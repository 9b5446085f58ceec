//! A real Keycloak as an issuer: a child process on a port of its own, realms made by deploy/keycloak/setup, people who log in
//! by its own form as a browser does.

mod logins;
mod realm;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use http::Request;
use serde_json::Value;

use super::child::{Server, folder};
pub(crate) use super::code_flow::Tokens;
use super::installed::installed;
use super::user_agent::{FORM, Reply, UserAgent, form, send};
use super::{canary, free_address};

/// The version is written in tests/scripts/install-test-tools too.
const FOLDER: &str = "keycloak-26.4.5";
const ADMIN_PASSWORD: &str = "canary-keycloak-admin";
const PASSWORD: &str = "canary-keycloak-password";
/// A Java machine on two busy cores takes its time.
const START_LIMIT: Duration = Duration::from_secs(240);
/// Half of what an administrator's token is good for.
const TOKEN_LIFE: Duration = Duration::from_secs(30);

/// The server. Stopped when dropped.
pub(crate) struct Keycloak {
    addr: SocketAddr,
    server: Server,
    /// The administrator's token, and when it was given.
    admin: Mutex<Option<(String, Instant)>>,
}

/// A realm of it with OpenCloud's clients.
pub(crate) struct Realm<'k> {
    keycloak: &'k Keycloak,
    name: String,
}

/// A browser that is logged in.
pub(crate) type Browser = UserAgent;

impl Keycloak {
    /// Everything in memory.
    pub(crate) async fn start() -> Self {
        Self::launch(false).await
    }

    /// With a database in a file, so that it can be started again.
    pub(crate) async fn start_with_a_file() -> Self {
        Self::launch(true).await
    }

    async fn launch(file: bool) -> Self {
        canary::secret(ADMIN_PASSWORD);
        canary::secret(PASSWORD);
        let (addr, folder) = (free_address(), folder("kc"));
        let database = file.then(|| folder.join("database"));
        let mut server = Server::start(command(addr, database.as_deref()), folder);
        server.is_up(addr, "/realms/master", START_LIMIT).await;
        let admin = Mutex::default();
        Self {
            addr,
            server,
            admin,
        }
    }

    /// Asks it to end, as before an update.
    pub(crate) fn end(&mut self) {
        self.server.end();
    }

    pub(crate) async fn start_again(&mut self) {
        let database = self.server.folder().join("database");
        self.server.start_again(command(self.addr, Some(&database)));
        self.server
            .is_up(self.addr, "/realms/master", START_LIMIT)
            .await;
    }

    /// A realm that was made before.
    pub(crate) fn known_realm(&self, name: &str) -> Realm<'_> {
        Realm {
            keycloak: self,
            name: name.to_owned(),
        }
    }

    /// It is there and says nothing.
    pub(crate) fn freeze(&self) {
        self.server.freeze();
    }

    pub(crate) fn thaw(&self) {
        self.server.thaw();
    }

    /// The name of a realm that is there or will be.
    pub(crate) fn issuer(&self, realm: &str) -> String {
        format!("http://{}/realms/{realm}", self.addr)
    }

    /// A realm made by the script that the documentation tells people to run.
    pub(crate) async fn realm(&self, name: &str, oc_url: &str) -> Realm<'_> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/keycloak/setup");
        let address = format!("http://{}", self.addr);
        let mut command = Command::new(script);
        command
            .args([&address, name])
            .env("OC_URL", oc_url)
            .env("KEYCLOAK_PASSWORD", ADMIN_PASSWORD);
        let made = tokio::task::spawn_blocking(move || command.output());
        let made = made.await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "deploy/keycloak/setup: {said}");
        self.known_realm(name)
    }

    async fn send(&self, request: http::request::Builder, body: String) -> Reply {
        send(self.addr, request, body).await
    }

    async fn form(&self, path: &str, values: &[(&str, &str)]) -> Reply {
        let request = Request::post(path).header("content-type", FORM);
        self.send(request, form(values)).await
    }

    /// A token for its admin API. It is good for a minute, and a password costs its time.
    async fn admin_token(&self) -> String {
        let known = self.admin.lock().unwrap().clone();
        if let Some((token, _)) = known.filter(|(_, given)| given.elapsed() < TOKEN_LIFE) {
            return token;
        }
        let login = [
            ("grant_type", "password"),
            ("client_id", "admin-cli"),
            ("username", "admin"),
            ("password", ADMIN_PASSWORD),
        ];
        let master = "/realms/master/protocol/openid-connect/token";
        let token: Value = self.form(master, &login).await.ok().json();
        let token = token["access_token"].as_str().unwrap().to_owned();
        *self.admin.lock().unwrap() = Some((token.clone(), Instant::now()));
        token
    }
}

fn command(addr: SocketAddr, database: Option<&Path>) -> Command {
    let mut command = Command::new(installed(FOLDER).join("bin/kc.sh"));
    if let Some(database) = database {
        let url = format!("jdbc:h2:file:{};NON_KEYWORDS=VALUE", database.display());
        command.env("KC_DB_URL", url);
    }
    command
        .args([
            "start",
            "--optimized",
            "--http-enabled=true",
            "--hostname-strict=false",
        ])
        .arg(format!("--http-host={}", addr.ip()))
        .arg(format!("--http-port={}", addr.port()))
        .env("KC_BOOTSTRAP_ADMIN_USERNAME", "admin")
        .env("KC_BOOTSTRAP_ADMIN_PASSWORD", ADMIN_PASSWORD)
        .env("JAVA_OPTS_KC_HEAP", "-Xms128m -Xmx600m");
    command
}
