//! The certified npm `oidc-provider` as an issuer: a child process that really logs people in, refreshes, logs out.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::canary;
use super::child::{freeze, signal};

/// The client that introspects, as `tests/oidc-provider/fixtures.mjs` has it.
pub(crate) const CLIENT_ID: &str = "gateway";
pub(crate) const CLIENT_SECRET: &str = "gateway-secret";

/// The issuer. Ends when dropped, and with the test's process whatever happens.
pub(crate) struct OidcProvider {
    issuer: String,
    addr: SocketAddr,
    child: Child,
    _stdin: Option<ChildStdin>,
}

/// What a login gave out.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub(crate) access_token: String,
    /// The whole answer of the token endpoint.
    pub(crate) tokens: Value,
}

impl OidcProvider {
    /// Starts it with options of `tests/oidc-provider/server.mjs`.
    pub(crate) async fn start(options: &[&str]) -> Self {
        canary::secret(CLIENT_SECRET);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oidc-provider");
        assert!(
            folder.join("node_modules/oidc-provider").exists(),
            "the test issuer's Node packages are missing: run `make tools`"
        );
        let mut child = Command::new("node")
            .arg(folder.join("server.mjs"))
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("node: {error}; run `make tools`"));
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().unwrap();
        let first_line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).unwrap();
            line
        });
        let line = first_line.await.unwrap();
        let ready: Value = serde_json::from_str(&line).expect("the issuer does not start");
        let port = u16::try_from(ready["port"].as_u64().unwrap()).unwrap();
        Self {
            issuer: ready["issuer"].as_str().unwrap().to_owned(),
            addr: ([127, 0, 0, 1], port).into(),
            child,
            _stdin: stdin,
        }
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Where it listens itself, which differs from its name behind a proxy.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The code flow with PKCE, over HTTP as a browser and a client do it.
    pub(crate) async fn login(&self, account: &str) -> Login {
        self.log_in(json!({"account": account})).await
    }

    /// A login with members of `POST /test/login`.
    pub(crate) async fn log_in(&self, wanted: Value) -> Login {
        Login::from(self.control("/test/login", wanted).await)
    }

    pub(crate) async fn refresh(&self, login: &Login) -> Login {
        let wanted = json!({"refresh_token": login.tokens["refresh_token"]});
        Login::from(self.control("/test/refresh", wanted).await)
    }

    /// The user logs out at the issuer.
    pub(crate) async fn log_out(&self, login: &Login) {
        let wanted = json!({"login": login.tokens["login"]});
        self.control("/test/logout", wanted).await;
    }

    pub(crate) async fn revoke(&self, login: &Login) {
        let wanted = json!({"token": login.access_token});
        self.control("/test/revoke", wanted).await;
    }

    /// New signing keys; the old ones stay published only if told to.
    pub(crate) async fn rotate(&self, keep: bool) {
        self.control("/test/rotate", json!({"keep": keep})).await;
    }

    /// Logout tokens go to this gateway, by session or by subject only.
    pub(crate) async fn tells_logouts_to(&self, gateway: SocketAddr, by_session: bool) {
        let uri = format!("http://{gateway}/backchannel_logout");
        let wanted = json!({"uri": uri, "session_required": by_session});
        self.control("/test/backchannel", wanted).await;
    }

    /// From the next login on somebody has other claims; null takes one away.
    pub(crate) async fn knows(&self, account: &str, claims: Value) {
        let wanted = json!({"account": account, "claims": claims});
        self.control("/test/accounts", wanted).await;
    }

    /// It is there and says nothing.
    pub(crate) fn freeze(&self) {
        freeze(self.child.id());
    }

    pub(crate) fn thaw(&self) {
        signal(self.child.id(), "CONT");
    }

    /// How often an endpoint was called, by its path.
    pub(crate) async fn calls(&self, path: &str) -> u64 {
        let stats = call(self.addr, "GET", "/test/stats", Value::Null).await;
        stats[path].as_u64().unwrap_or_default()
    }

    async fn control(&self, path: &str, body: Value) -> Value {
        call(self.addr, "POST", path, body).await
    }
}

impl Drop for OidcProvider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl From<Value> for Login {
    fn from(tokens: Value) -> Self {
        let access_token = tokens["access_token"].as_str().unwrap().to_owned();
        canary::secret(&access_token);
        for name in ["refresh_token", "id_token"] {
            if let Some(token) = tokens[name].as_str() {
                canary::secret(token);
            }
        }
        Self {
            access_token,
            tokens,
        }
    }
}

/// One call to the provider itself.
async fn call(addr: SocketAddr, method: &str, path: &str, body: Value) -> Value {
    let io = TokioIo::new(TcpStream::connect(addr).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", addr.to_string())
        .body(Full::new(Bytes::from(body.to_string())))
        .unwrap();
    let answer = sender.send_request(request).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).unwrap()
}
