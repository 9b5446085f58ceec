//! A real Keycloak as an issuer: a child process on a port of its own, realms made by deploy/keycloak/setup, people who log in
//! by its own form as a browser does.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use url::{Url, form_urlencoded};

use super::token::b64;
use super::{canary, free_address};

/// Where `make tools` puts it; the version is written there once, in tests/scripts/install-test-tools.
const VERSION: &str = "26.4.5";
const ADMIN_PASSWORD: &str = "canary-keycloak-admin";
const PASSWORD: &str = "canary-keycloak-password";
/// A Java machine on two busy cores takes its time.
const START_LIMIT: Duration = Duration::from_secs(240);

/// The server. Stopped when dropped.
pub(crate) struct Keycloak {
    addr: SocketAddr,
    child: Child,
    folder: PathBuf,
}

/// A realm of it with OpenCloud's clients.
pub(crate) struct Realm<'k> {
    keycloak: &'k Keycloak,
    name: String,
}

/// A browser that is logged in.
#[derive(Debug, Clone)]
pub(crate) struct Browser {
    cookies: Vec<(String, String)>,
}

/// What the token endpoint gave out.
#[derive(Debug, Clone)]
pub(crate) struct Tokens(pub(crate) Value);

impl Tokens {
    fn text(&self, name: &str) -> &str {
        self.0[name]
            .as_str()
            .unwrap_or_else(|| panic!("no {name} in {}", self.0))
    }

    pub(crate) fn access(&self) -> &str {
        self.text("access_token")
    }

    pub(crate) fn id(&self) -> &str {
        self.text("id_token")
    }

    pub(crate) fn refresh(&self) -> &str {
        self.text("refresh_token")
    }
}

/// An answer of Keycloak.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    #[track_caller]
    fn ok(self) -> Self {
        assert!(
            self.status.is_success(),
            "{}: {}",
            self.status,
            String::from_utf8_lossy(&self.body)
        );
        self
    }
}

/// The folder of the distribution.
#[expect(
    clippy::disallowed_methods,
    reason = "where `make tools` puts things is no setting of the gateway"
)]
fn distribution() -> PathBuf {
    let cache = std::env::var_os("DAVGATE_TEST_TOOLS").map_or_else(
        || {
            let home = std::env::var_os("HOME").expect("HOME");
            Path::new(&home).join(".cache/davgate-tests")
        },
        PathBuf::from,
    );
    let folder = cache.join(format!("keycloak-{VERSION}"));
    assert!(
        folder.join("bin/kc.sh").exists(),
        "{} is missing: run `make tools`",
        folder.display()
    );
    folder
}

impl Keycloak {
    pub(crate) async fn start() -> Self {
        canary::secret(ADMIN_PASSWORD);
        canary::secret(PASSWORD);
        let addr = free_address();
        let folder = std::env::temp_dir().join(format!("davgate-kc-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&folder).unwrap();
        let child = spawn(addr, &folder);
        let mut keycloak = Self {
            addr,
            child,
            folder,
        };
        keycloak.is_up().await;
        keycloak
    }

    /// It is there and says nothing.
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
    }

    pub(crate) fn thaw(&self) {
        self.signal("CONT");
    }

    /// The script starts Java in its own place, and all of it is one process group.
    fn signal(&self, name: &str) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill")
            .args(["-s", name, "--", &group])
            .status();
    }

    async fn is_up(&mut self) {
        let started = std::time::Instant::now();
        loop {
            let log = || fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("Keycloak ended with {status}: {}", log());
            }
            assert!(started.elapsed() < START_LIMIT, "not up: {}", log());
            if TcpStream::connect(self.addr).await.is_ok() {
                let request = Request::get("/realms/master");
                if self.send(request, String::new()).await.status == StatusCode::OK {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
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
        Realm {
            keycloak: self,
            name: name.to_owned(),
        }
    }

    async fn send(&self, request: http::request::Builder, body: String) -> Reply {
        let io = TokioIo::new(TcpStream::connect(self.addr).await.unwrap());
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        let request = request
            .header("host", self.addr.to_string())
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
        Reply {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    async fn form(&self, path: &str, values: &[(&str, &str)]) -> Reply {
        let request = Request::post(path).header("content-type", FORM);
        self.send(request, form(values)).await
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

fn form(values: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(values)
        .finish()
}

fn spawn(addr: SocketAddr, folder: &Path) -> Child {
    let log = fs::File::create(folder.join("log")).unwrap();
    Command::new(distribution().join("bin/kc.sh"))
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
        .env("JAVA_OPTS_KC_HEAP", "-Xms128m -Xmx600m")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

impl Drop for Keycloak {
    fn drop(&mut self) {
        self.thaw();
        self.signal("KILL");
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Realm<'_> {
    /// The issuer.
    pub(crate) fn url(&self) -> String {
        self.keycloak.issuer(&self.name)
    }

    fn path(&self, what: &str) -> String {
        format!("/realms/{}/protocol/openid-connect/{what}", self.name)
    }

    /// A call of the admin API below this realm.
    pub(crate) async fn admin(&self, method: &str, path: &str, body: &Value) -> Value {
        let login = [
            ("grant_type", "password"),
            ("client_id", "admin-cli"),
            ("username", "admin"),
            ("password", ADMIN_PASSWORD),
        ];
        let master = "/realms/master/protocol/openid-connect/token";
        let token = self.keycloak.form(master, &login).await.ok().json();
        let token = token["access_token"].as_str().unwrap();
        let request = Request::builder()
            .method(method)
            .uri(format!("/admin/realms/{}{path}", self.name))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json");
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let reply = self.keycloak.send(request, body).await.ok();
        if let Some(location) = reply.headers.get("location") {
            let id = location.to_str().unwrap().rsplit('/').next().unwrap();
            return json!({ "id": id });
        }
        serde_json::from_slice(&reply.body).unwrap_or_default()
    }

    /// The one that is named so in a list of the admin API.
    async fn find(&self, list: &str, key: &str, name: &str) -> Value {
        let all = self.admin("GET", list, &Value::Null).await;
        let mut all = all.as_array().unwrap().iter();
        all.find(|one| one[key] == name)
            .unwrap_or_else(|| panic!("no {name} in {list}"))
            .clone()
    }

    /// Somebody with a realm role and in groups, and their id.
    pub(crate) async fn person(&self, name: &str, role: &str, groups: &[&str]) -> String {
        for group in groups {
            self.group(group).await;
        }
        let paths: Vec<String> = groups.iter().map(|group| format!("/{group}")).collect();
        let user = json!({"username": name, "enabled": true, "email": format!("{name}@example.org"),
            "emailVerified": true, "firstName": name, "lastName": "Lindqvist", "groups": paths,
            "credentials": [{"type": "password", "value": PASSWORD, "temporary": false}]});
        let id = self.admin("POST", "/users", &user).await["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let role = self
            .admin("GET", &format!("/roles/{role}"), &Value::Null)
            .await;
        let path = format!("/users/{id}/role-mappings/realm");
        self.admin("POST", &path, &json!([role])).await;
        id
    }

    /// The id of a group, which is made if it is not there.
    pub(crate) async fn group(&self, name: &str) -> String {
        let known = self.admin("GET", "/groups", &Value::Null).await;
        let known = known
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["name"] == name);
        let id = match known {
            Some(known) => known["id"].clone(),
            None => self
                .admin("POST", "/groups", &json!({ "name": name }))
                .await["id"]
                .clone(),
        };
        id.as_str().unwrap().to_owned()
    }

    /// Changes attributes or other members of a client.
    pub(crate) async fn change_client(&self, client: &str, changes: &Value) {
        let mut known = self.find("/clients?max=100", "clientId", client).await;
        for (name, value) in changes.as_object().unwrap() {
            match (known[name].as_object_mut(), value.as_object()) {
                (Some(members), Some(changes)) => members.extend(changes.clone()),
                _ => known[name] = value.clone(),
            }
        }
        let path = format!("/clients/{}", known["id"].as_str().unwrap());
        self.admin("PUT", &path, &known).await;
    }

    /// A confidential client with a service account and the audience of the others.
    pub(crate) async fn service_client(&self, name: &str, secret: &str) {
        canary::secret(secret);
        let audience = json!({"name": "audience", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
            "config": {"included.custom.audience": "opencloud", "access.token.claim": "true"}});
        let client = json!({"clientId": name, "secret": secret, "publicClient": false, "serviceAccountsEnabled": true,
            "standardFlowEnabled": false, "protocolMappers": [audience]});
        self.admin("POST", "/clients", &client).await;
    }

    /// The code flow with PKCE by the login form, as a browser and a client do it.
    pub(crate) async fn login(
        &self,
        client: &str,
        redirect: &str,
        person: &str,
        scope: &str,
    ) -> (Browser, Tokens) {
        let (browser, code) = self
            .authorize(client, redirect, Some(person), scope, None)
            .await;
        (browser, self.redeem(client, redirect, &code).await)
    }

    /// The same in a browser that is logged in already: no form.
    pub(crate) async fn login_again(
        &self,
        browser: &Browser,
        client: &str,
        redirect: &str,
        scope: &str,
    ) -> Tokens {
        let (_, code) = self
            .authorize(client, redirect, None, scope, Some(browser))
            .await;
        self.redeem(client, redirect, &code).await
    }

    async fn authorize(
        &self,
        client: &str,
        redirect: &str,
        person: Option<&str>,
        scope: &str,
        browser: Option<&Browser>,
    ) -> (Browser, String) {
        let challenge =
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier().as_bytes());
        let query = form(&[
            ("response_type", "code"),
            ("client_id", client),
            ("redirect_uri", redirect),
            ("scope", scope),
            ("state", "state-1"),
            ("nonce", "nonce-1"),
            ("code_challenge", &b64(challenge.as_ref())),
            ("code_challenge_method", "S256"),
        ]);
        let mut browser = browser.cloned().unwrap_or(Browser { cookies: vec![] });
        let target = format!("{}?{query}", self.path("auth"));
        let mut reply = self
            .browse(&mut browser, Request::get(target), String::new())
            .await;
        if let Some(person) = person {
            assert_eq!(
                reply.status,
                200,
                "{}",
                String::from_utf8_lossy(&reply.body)
            );
            let page = String::from_utf8_lossy(&reply.body).into_owned();
            let action = after(&page, "action=\"", '"').replace("&amp;", "&");
            let action = Url::parse(&action).unwrap();
            let target = &action[url::Position::BeforePath..];
            let values = form(&[
                ("username", person),
                ("password", PASSWORD),
                ("credentialId", ""),
            ]);
            let post = Request::post(target).header("content-type", FORM);
            reply = self.browse(&mut browser, post, values).await;
        }
        let location = reply.headers.get("location").unwrap_or_else(|| {
            panic!(
                "no redirect: {} {}",
                reply.status,
                String::from_utf8_lossy(&reply.body)
            )
        });
        let location = Url::parse(location.to_str().unwrap()).unwrap();
        let code = location.query_pairs().find(|(name, _)| name == "code");
        let (_, code) = code.unwrap_or_else(|| panic!("no code in {location}"));
        (browser, code.into_owned())
    }

    async fn browse(
        &self,
        browser: &mut Browser,
        request: http::request::Builder,
        body: String,
    ) -> Reply {
        let cookies: Vec<String> = browser
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let request = request.header("cookie", cookies.join("; "));
        let reply = self.keycloak.send(request, body).await;
        for cookie in reply.headers.get_all("set-cookie") {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            browser.cookies.retain(|(known, _)| known != name);
            browser.cookies.push((name.to_owned(), value.to_owned()));
        }
        reply
    }

    async fn redeem(&self, client: &str, redirect: &str, code: &str) -> Tokens {
        let values = [
            ("grant_type", "authorization_code"),
            ("client_id", client),
            ("code", code),
            ("redirect_uri", redirect),
            ("code_verifier", &verifier()),
        ];
        tokens(
            self.keycloak
                .form(&self.path("token"), &values)
                .await
                .ok()
                .json(),
        )
    }

    /// New tokens, or the status of the refusal.
    pub(crate) async fn refresh(&self, client: &str, old: &Tokens) -> Result<Tokens, StatusCode> {
        let values = [
            ("grant_type", "refresh_token"),
            ("client_id", client),
            ("refresh_token", old.refresh()),
        ];
        let reply = self.keycloak.form(&self.path("token"), &values).await;
        match reply.status {
            StatusCode::OK => Ok(tokens(reply.json())),
            status => Err(status),
        }
    }

    /// A client's own token.
    pub(crate) async fn client_credentials(
        &self,
        client: &str,
        secret: &str,
        scope: &str,
    ) -> Tokens {
        let basic = STANDARD.encode(format!("{client}:{secret}"));
        let request = Request::post(self.path("token"))
            .header("content-type", FORM)
            .header("authorization", format!("Basic {basic}"));
        let mut values = vec![("grant_type", "client_credentials")];
        if !scope.is_empty() {
            values.push(("scope", scope));
        }
        tokens(self.keycloak.send(request, form(&values)).await.ok().json())
    }

    /// The client's own logout, in the browser of the person.
    pub(crate) async fn log_out(&self, browser: &Browser, tokens: &Tokens, client: &str, to: &str) {
        let query = form(&[
            ("id_token_hint", tokens.id()),
            ("client_id", client),
            ("post_logout_redirect_uri", to),
        ]);
        let target = format!("{}?{query}", self.path("logout"));
        let reply = self
            .browse(&mut browser.clone(), Request::get(target), String::new())
            .await;
        assert_eq!(
            reply.status,
            302,
            "{}",
            String::from_utf8_lossy(&reply.body)
        );
    }

    /// Adds a signing key that is used from now on, and returns its component.
    pub(crate) async fn new_key(&self, priority: u32) -> String {
        let realm = self.admin("GET", "", &Value::Null).await["id"].clone();
        let key = json!({"name": format!("key-{priority}"), "providerId": "rsa-generated",
            "providerType": "org.keycloak.keys.KeyProvider", "parentId": realm,
            "config": {"priority": [priority.to_string()], "enabled": ["true"], "active": ["true"],
                "keySize": ["2048"], "algorithm": ["RS256"]}});
        self.admin("POST", "/components", &key).await["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// The component of the key that signs, besides those made here.
    pub(crate) async fn first_key(&self) -> String {
        let all = self
            .admin(
                "GET",
                "/components?type=org.keycloak.keys.KeyProvider",
                &Value::Null,
            )
            .await;
        let mut all = all.as_array().unwrap().iter();
        all.find(|one| one["providerId"] == "rsa-generated")
            .unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Makes a key passive or disables it.
    pub(crate) async fn set_key(&self, id: &str, active: bool, enabled: bool) {
        let path = format!("/components/{id}");
        let mut key = self.admin("GET", &path, &Value::Null).await;
        key["config"]["active"] = json!([active.to_string()]);
        key["config"]["enabled"] = json!([enabled.to_string()]);
        self.admin("PUT", &path, &key).await;
    }
}

fn verifier() -> String {
    b64(&[7; 48])
}

fn tokens(answer: Value) -> Tokens {
    for name in ["access_token", "refresh_token", "id_token"] {
        if let Some(token) = answer[name].as_str() {
            canary::secret(token);
        }
    }
    Tokens(answer)
}

fn after<'a>(text: &'a str, mark: &str, end: char) -> &'a str {
    let start = text
        .find(mark)
        .unwrap_or_else(|| panic!("no {mark} in {text}"))
        + mark.len();
    text[start..].split(end).next().unwrap()
}
