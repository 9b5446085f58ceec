//! A fake OpenID Connect issuer on a loopback port: real signatures, counted calls, faults on demand.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::keys::Key;
use super::token::Token;
use super::{canary, now};

/// The issuer. Ends when dropped.
pub(crate) struct FakeIssuer {
    shared: Arc<Shared>,
    addr: SocketAddr,
    server: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    url: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    keys: Vec<Key>,
    /// Claims that userinfo and introspection know, by `sub`.
    people: HashMap<String, Map<String, Value>>,
    /// `sub` and further introspection members of opaque tokens.
    opaque: HashMap<String, (String, Map<String, Value>)>,
    faults: HashMap<Endpoint, Fault>,
    calls: HashMap<Endpoint, usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Endpoint {
    Discovery,
    Jwks,
    Userinfo,
    Introspection,
}

#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Answers late.
    Slow(Duration),
    /// Never answers.
    Hang,
    /// This status with a body that is no use.
    Status(u16),
    /// 429 with `Retry-After`.
    TooMany(u64),
    /// 200 with this text.
    Body(&'static str),
}

/// Credentials that the issuer accepts for introspection.
pub(crate) const CLIENT_ID: &str = "davgate";
pub(crate) const CLIENT_SECRET: &str = "canary-client-secret";

impl FakeIssuer {
    /// Starts an issuer with one RSA key that knows `mara` and `alan`.
    pub(crate) async fn start() -> Self {
        canary::secret(CLIENT_SECRET);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let state = State {
            keys: vec![Key::shared()],
            ..State::default()
        };
        let shared = Arc::new(Shared {
            url: format!("http://{addr}"),
            state: Mutex::new(state),
        });
        let issuer = Self {
            server: Mutex::new(Some(tokio::spawn(serve(listener, Arc::clone(&shared))))),
            shared,
            addr,
        };
        issuer.person("mara", "Mara Lindqvist");
        issuer.person("alan", "Alan Türing");
        issuer
    }

    pub(crate) fn url(&self) -> &str {
        &self.shared.url
    }

    /// Makes somebody known, with `sub-NAME` as subject.
    pub(crate) fn person(&self, name: &str, display_name: &str) {
        let claims = json!({
            "sub": format!("sub-{name}"), "preferred_username": name, "name": display_name,
            "email": format!("{name}@example.org"), "email_verified": true,
        });
        let claims = claims.as_object().unwrap().clone();
        self.state(|state| state.people.insert(format!("sub-{name}"), claims));
    }

    /// Changes what userinfo and introspection say about somebody; null takes the claim away.
    pub(crate) fn knows(&self, name: &str, claim: &str, value: impl Into<Value>) {
        let value = value.into();
        self.state(|state| {
            let claims = state.people.get_mut(&format!("sub-{name}")).unwrap();
            if value.is_null() {
                claims.remove(claim);
            } else {
                claims.insert(claim.to_owned(), value);
            }
        });
    }

    /// A token of somebody, valid for five minutes, with the claims userinfo has too.
    pub(crate) fn token(&self, name: &str) -> Token {
        let sub = format!("sub-{name}");
        self.state(|state| {
            let mut claims = state.people.get(&sub).cloned().unwrap_or_default();
            let issued = now();
            for (claim, value) in [
                ("sub", json!(sub)),
                ("iss", json!(self.shared.url)),
                ("aud", json!("davgate")),
                ("azp", json!("desktop")),
                ("iat", json!(issued)),
                ("exp", json!(issued + 300)),
                ("jti", json!(uuid::Uuid::new_v4().to_string())),
            ] {
                claims.insert(claim.to_owned(), value);
            }
            Token::new(&state.keys[0], claims)
        })
    }

    /// An opaque token; `members` enter the answer of introspection.
    pub(crate) fn opaque(&self, name: &str, members: Value) -> String {
        let token = canary::secret(format!("opaque-{}", uuid::Uuid::new_v4().simple()));
        let members = members.as_object().cloned().unwrap_or_default();
        let entry = (format!("sub-{name}"), members);
        self.state(|state| state.opaque.insert(token.clone(), entry));
        token
    }

    /// The issuer no longer knows this opaque token.
    pub(crate) fn revoke(&self, token: &str) {
        self.state(|state| state.opaque.remove(token));
    }

    pub(crate) fn calls(&self, endpoint: Endpoint) -> usize {
        self.state(|state| state.calls.get(&endpoint).copied().unwrap_or(0))
    }

    pub(crate) fn fault(&self, endpoint: Endpoint, fault: Fault) {
        self.state(|state| state.faults.insert(endpoint, fault));
    }

    pub(crate) fn heal(&self, endpoint: Endpoint) {
        self.state(|state| state.faults.remove(&endpoint));
    }

    /// Puts a new key first; the old ones stay published only if `keep`.
    pub(crate) fn rotate(&self, key: Key, keep: bool) {
        self.state(|state| {
            if !keep {
                state.keys.clear();
            }
            state.keys.insert(0, key);
        });
    }

    /// Refuses connections from now on and cuts those there are.
    pub(crate) async fn go_down(&self) {
        let server = self.server.lock().unwrap().take();
        if let Some(server) = server {
            server.abort();
            let _ = server.await;
        }
    }

    /// Listens again on the same port.
    pub(crate) async fn come_back(&self) {
        let listener = TcpListener::bind(self.addr).await.unwrap();
        let server = tokio::spawn(serve(listener, Arc::clone(&self.shared)));
        *self.server.lock().unwrap() = Some(server);
    }

    fn state<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.shared.state.lock().unwrap())
    }
}

impl Drop for FakeIssuer {
    fn drop(&mut self) {
        if let Some(server) = self.server.lock().unwrap().take() {
            server.abort();
        }
    }
}

/// Connections are tasks of the set, so that they go with the server.
async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            return;
        };
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(|request| {
                let shared = Arc::clone(&shared);
                async move { Ok::<_, Infallible>(answer(&shared, request).await) }
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(shared: &Shared, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let endpoint = match request.uri().path() {
        "/.well-known/openid-configuration" => Endpoint::Discovery,
        "/jwks" => Endpoint::Jwks,
        "/userinfo" => Endpoint::Userinfo,
        "/introspect" => Endpoint::Introspection,
        _ => return text(StatusCode::NOT_FOUND, "no such page"),
    };
    let authorization = request.headers().get(AUTHORIZATION).cloned();
    let authorization = authorization
        .as_ref()
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let body = request.into_body().collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    let fault = {
        let mut state = shared.state.lock().unwrap();
        *state.calls.entry(endpoint).or_default() += 1;
        state.faults.get(&endpoint).cloned()
    };
    match fault {
        Some(Fault::Slow(time)) => tokio::time::sleep(time).await,
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Status(status)) => {
            return text(StatusCode::from_u16(status).unwrap(), "scripted");
        }
        Some(Fault::TooMany(seconds)) => {
            let mut response = text(StatusCode::TOO_MANY_REQUESTS, "scripted");
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
            return response;
        }
        Some(Fault::Body(body)) => return text(StatusCode::OK, body),
        None => {}
    }
    let state = shared.state.lock().unwrap();
    match endpoint {
        Endpoint::Discovery => document(&discovery(&shared.url)),
        Endpoint::Jwks => {
            let keys: Vec<_> = state.keys.iter().map(Key::jwk).collect();
            document(&json!({"keys": keys}))
        }
        Endpoint::Userinfo => {
            let token = authorization.strip_prefix("Bearer ").unwrap_or_default();
            match subject(&state, token).and_then(|sub| state.people.get(&sub)) {
                Some(claims) => document(&Value::Object(claims.clone())),
                None => text(StatusCode::UNAUTHORIZED, "unknown token"),
            }
        }
        Endpoint::Introspection => introspect(&state, &authorization, &body),
    }
}

fn discovery(url: &str) -> Value {
    json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "userinfo_endpoint": format!("{url}/userinfo"),
        "introspection_endpoint": format!("{url}/introspect"),
        "end_session_endpoint": format!("{url}/logout"),
        "jwks_uri": format!("{url}/jwks"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    })
}

fn subject(state: &State, token: &str) -> Option<String> {
    if let Some((sub, _)) = state.opaque.get(token) {
        return Some(sub.clone());
    }
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    Some(claims.get("sub")?.as_str()?.to_owned())
}

fn introspect(state: &State, authorization: &str, body: &[u8]) -> Response<Full<Bytes>> {
    let expected = STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}"));
    if authorization.strip_prefix("Basic ") != Some(expected.as_str()) {
        return text(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    let token = url::form_urlencoded::parse(body)
        .find(|(name, _)| name == "token")
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default();
    let Some((sub, members)) = state.opaque.get(&token) else {
        return document(&json!({"active": false}));
    };
    let mut claims = state.people.get(sub).cloned().unwrap_or_default();
    claims.insert("active".into(), true.into());
    claims.extend(members.clone());
    document(&Value::Object(claims))
}

fn document(value: &Value) -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::OK, "");
    *response.body_mut() = Full::new(value.to_string().into());
    response.headers_mut().insert(
        CONTENT_TYPE,
        http::HeaderValue::from_static("application/json"),
    );
    response
}

fn text(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response
}
