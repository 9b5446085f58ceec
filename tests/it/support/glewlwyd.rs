//! Debian's glewlwyd as an issuer: a child process with a database, a key and a port of its own, set up by its own API.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use url::{Url, form_urlencoded};

use super::child::{freeze, signal};
use super::keys::Key;
use super::token::b64;
use super::{canary, free_address};

/// A public client that people log in with, and a confidential one that logs in and introspects.
pub(crate) const PUBLIC_CLIENT: &str = "desktop";
pub(crate) const CLIENT_ID: &str = "gateway";
pub(crate) const CLIENT_SECRET: &str = "canary-glewlwyd-secret";

const PASSWORD: &str = "canary-glewlwyd-password";
const REDIRECT: &str = "http://localhost:12345/callback";
const PROGRAM: &str = "/usr/bin/glewlwyd";
/// The tables, as Debian's package puts them in when it is configured.
const SCHEMA: &str = "/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3";
const START_LIMIT: Duration = Duration::from_secs(20);

/// The issuer. Stopped and removed when dropped.
pub(crate) struct Glewlwyd {
    folder: PathBuf,
    addr: SocketAddr,
    /// Where people find it, which is not where it listens if it stands behind a gateway.
    public: SocketAddr,
    child: Child,
}

/// What a login gave out: the whole answer of the token endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Login(pub(crate) Value);

impl Login {
    pub(crate) fn access_token(&self) -> &str {
        self.0["access_token"].as_str().unwrap()
    }

    pub(crate) fn id_token(&self) -> &str {
        self.0["id_token"].as_str().unwrap()
    }
}

impl Glewlwyd {
    /// Starts it with the clients above, and `mara` who is a space admin.
    pub(crate) async fn start() -> Self {
        Self::launch(None).await
    }

    /// The same behind a gateway that will listen there.
    pub(crate) async fn start_behind(gateway: SocketAddr) -> Self {
        Self::launch(Some(gateway)).await
    }

    async fn launch(public: Option<SocketAddr>) -> Self {
        for path in [PROGRAM, SCHEMA] {
            assert!(
                Path::new(path).exists(),
                "{path} is missing: run `make tools` (Debian: apt-get install glewlwyd)"
            );
        }
        canary::secret(CLIENT_SECRET);
        canary::secret(PASSWORD);
        let folder = std::env::temp_dir().join(format!("davgate-glw-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&folder).unwrap();
        let made = Command::new("sqlite3")
            .arg(folder.join("db"))
            .stdin(fs::File::open(SCHEMA).unwrap())
            .status()
            .unwrap_or_else(|error| panic!("sqlite3: {error}; run `make tools`"));
        assert!(made.success(), "sqlite3: {made}");
        let (addr, child) = spawn(&folder, public).await;
        let issuer = Self {
            folder,
            addr,
            public: public.unwrap_or(addr),
            child,
        };
        issuer.set_up().await;
        issuer
    }

    /// Its name, with the slash at the end that installations of it often have.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/api/oidc/", self.public)
    }

    /// It is there and says nothing.
    pub(crate) fn freeze(&self) {
        freeze(self.child.id());
    }

    pub(crate) fn thaw(&self) {
        signal(self.child.id(), "CONT");
    }

    /// Where it listens itself.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The code flow with PKCE, as a browser and a client do it. A confidential client has a secret.
    pub(crate) async fn login(&self, client: &str) -> Login {
        let verifier = b64(&[7; 48]);
        let challenge = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
        let more = [
            ("code_challenge", &*b64(challenge.as_ref())),
            ("code_challenge_method", "S256"),
        ];
        let location = self.authorize(client, "code", &more).await;
        let (_, code) = location
            .query_pairs()
            .find(|(name, _)| name == "code")
            .unwrap_or_else(|| panic!("no code in {location}"));
        self.tokens(
            client,
            &[
                ("grant_type", "authorization_code"),
                ("code", &code),
                ("redirect_uri", REDIRECT),
                ("code_verifier", &verifier),
            ],
        )
        .await
    }

    /// An implicit flow: the access token comes in the fragment of the redirect.
    pub(crate) async fn implicit(&self, client: &str, response_type: &str) -> String {
        let location = self.authorize(client, response_type, &[]).await;
        let fragment = location.fragment().unwrap_or_default();
        let (_, token) = form_urlencoded::parse(fragment.as_bytes())
            .find(|(name, _)| name == "access_token")
            .unwrap_or_else(|| panic!("no token in {location}"));
        canary::secret(token)
    }

    /// Where a person who is logged in and said yes is sent.
    async fn authorize(&self, client: &str, response_type: &str, more: &[(&str, &str)]) -> Url {
        let mara = self.session("mara", PASSWORD).await;
        let scope = json!({"scope": "openid"});
        let grant = format!("/api/auth/grant/{client}");
        self.api("PUT", &grant, &scope, &mara).await;
        let mut query = vec![
            ("response_type", response_type),
            ("client_id", client),
            ("redirect_uri", REDIRECT),
            ("scope", "openid"),
            ("state", "state-1"),
            ("nonce", "nonce-123"),
            // What its login page adds.
            ("g_continue", ""),
        ];
        query.extend(more);
        let target = format!("/api/oidc/auth?{}", form(&query));
        let request = Request::get(target).header("cookie", mara);
        let answer = self.send(self.public, request, String::new()).await;
        Url::parse(answer.headers["location"].to_str().unwrap()).unwrap()
    }

    pub(crate) async fn refresh(&self, client: &str, login: &Login) -> Login {
        let token = login.0["refresh_token"].as_str().unwrap();
        let values = [("grant_type", "refresh_token"), ("refresh_token", token)];
        self.tokens(client, &values).await
    }

    async fn tokens(&self, client: &str, values: &[(&str, &str)]) -> Login {
        let mut request = Request::post("/api/oidc/token")
            .header("content-type", "application/x-www-form-urlencoded");
        let mut values = values.to_vec();
        if client == CLIENT_ID {
            let basic = STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}"));
            request = request.header("authorization", format!("Basic {basic}"));
        } else {
            values.push(("client_id", client));
        }
        let answer = self.send(self.public, request, form(&values)).await;
        let tokens: Value = serde_json::from_slice(&answer.body).unwrap();
        for name in ["access_token", "refresh_token", "id_token"] {
            if let Some(token) = tokens[name].as_str() {
                canary::secret(token);
            }
        }
        Login(tokens)
    }

    /// The plugin that is the OpenID provider, the clients and the user, by the API its administration page uses.
    async fn set_up(&self) {
        // The password that the tables come with.
        let admin = self.session("admin", "password").await;
        let mut key = Key::new("glw-1", "ES256").private_jwk();
        key.as_object_mut().unwrap().remove("use");
        let claim = |name: &str| json!({"name": name, "user-property": name, "mandatory": true});
        let member = |name: &str| json!({"user-parameter": name, "token-parameter": name});
        let plugin = json!({"module": "oidc", "name": "oidc", "parameters": {
            "iss": self.url(),
            "jwks-private": json!({"keys": [key]}).to_string(),
            "jwks-show": true,
            "access-token-duration": 300,
            "refresh-token-duration": 3600,
            "code-duration": 60,
            "refresh-token-rolling": true,
            "allow-non-oidc": true,
            "auth-type-code-enabled": true,
            "auth-type-token-enabled": true,
            "auth-type-implicit-enabled": true,
            "auth-type-refresh-enabled": true,
            "auth-type-client-enabled": true,
            "pkce-allowed": true,
            "introspection-revocation-allowed": true,
            "introspection-revocation-allow-target-client": true,
            "name-claim": "mandatory",
            "email-claim": "mandatory",
            "claims": [claim("roles"), claim("preferred_username")],
            "additional-parameters": [member("roles"), member("preferred_username")],
        }});
        self.api("POST", "/api/mod/plugin/", &plugin, &admin).await;

        let property = |multiple: bool| json!({"multiple": multiple, "read": true, "write": true});
        let users = json!({"module": "database", "name": "database", "parameters": {
            "use-glewlwyd-connection": true,
            "data-format": {"roles": property(true), "preferred_username": property(false)},
        }});
        let module = "/api/mod/user/database";
        self.api("PUT", module, &users, &admin).await;
        let reset = format!("{module}/reset");
        self.api("PUT", &reset, &json!({}), &admin).await;
        let mara = json!({
            "username": "mara", "password": PASSWORD, "name": "Mara Lindqvist", "email": "mara@example.org",
            "preferred_username": "mara", "roles": ["offline_access", "opencloudSpaceAdmin"],
            "scope": ["g_profile", "openid"],
        });
        self.api("POST", "/api/user/", &mara, &admin).await;

        let grants = json!([
            "code",
            "token",
            "id_token",
            "refresh_token",
            "client_credentials"
        ]);
        for id in [PUBLIC_CLIENT, CLIENT_ID] {
            let mut client = json!({
                "client_id": id, "name": id, "confidential": id == CLIENT_ID, "redirect_uri": [REDIRECT],
                "authorization_type": grants, "scope": ["openid"],
            });
            if id == CLIENT_ID {
                client["client_secret"] = CLIENT_SECRET.into();
                client["token_endpoint_auth_method"] = json!(["client_secret_basic"]);
            }
            self.api("POST", "/api/client/", &client, &admin).await;
        }
    }

    /// The cookie of somebody who is logged in.
    async fn session(&self, username: &str, password: &str) -> String {
        let login = json!({"username": username, "password": password});
        let answer = self.api("POST", "/api/auth/", &login, "").await;
        let cookie = answer.headers["set-cookie"].to_str().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }

    async fn api(&self, method: &str, path: &str, body: &Value, cookie: &str) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("cookie", cookie)
            .header("content-type", "application/json");
        self.send(self.addr, request, body.to_string()).await
    }

    async fn send(
        &self,
        addr: SocketAddr,
        request: http::request::Builder,
        body: String,
    ) -> Answer {
        let io = TokioIo::new(TcpStream::connect(addr).await.unwrap());
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        let request = request
            .header("host", addr.to_string())
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        let what = format!("{} {}", request.method(), request.uri().path());
        let answer = sender.send_request(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&body);
        assert!(
            parts.status.as_u16() < 400,
            "{what}: {} {text}",
            parts.status
        );
        Answer {
            headers: parts.headers,
            body,
        }
    }
}

impl Drop for Glewlwyd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

struct Answer {
    headers: HeaderMap,
    body: Bytes,
}

fn form(values: &[(&str, &str)]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(values).finish()
}

/// A child that answers on its port. Another test may take the port before it does.
async fn spawn(folder: &Path, public: Option<SocketAddr>) -> (SocketAddr, Child) {
    for _ in 0..5 {
        let addr = free_address();
        let file = folder.join("conf");
        fs::write(&file, configuration(folder, addr, public.unwrap_or(addr))).unwrap();
        let log = fs::File::create(folder.join("log")).unwrap();
        let mut child = Command::new(PROGRAM)
            .arg("--config-file")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let up = async {
            loop {
                if child.try_wait().unwrap().is_some() {
                    return false;
                }
                if TcpStream::connect(addr).await.is_ok() {
                    return true;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(START_LIMIT, up).await == Ok(true) {
            return (addr, child);
        }
        let _ = child.kill();
        let _ = child.wait();
    }
    let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
    panic!("glewlwyd does not start: {log}");
}

fn configuration(folder: &Path, addr: SocketAddr, public: SocketAddr) -> String {
    assert_eq!(addr.ip(), Ipv4Addr::LOCALHOST);
    let (port, folder) = (addr.port(), folder.display());
    // Without the three names of certificate files it does not start, even without TLS.
    format!(
        r#"port={port}
bind_address="127.0.0.1"
external_url="http://{public}"
login_url="login.html"
api_prefix="api"
log_mode="console"
log_level="WARNING"
cookie_secure=0
session_key="GLEWLWYD2_SESSION_ID"
session_expiration=3600
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="/usr/lib/glewlwyd/user"
client_module_path="/usr/lib/glewlwyd/client"
user_auth_scheme_module_path="/usr/lib/glewlwyd/scheme"
plugin_module_path="/usr/lib/glewlwyd/plugin"
use_secure_connection=false
secure_connection_key_file="{folder}/none"
secure_connection_pem_file="{folder}/none"
secure_connection_ca_file="{folder}/none"
hash_algorithm="SHA512"
database={{ type="sqlite3"; path="{folder}/db"; }};
"#
    )
}
