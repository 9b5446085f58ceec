//! An issuer that says exactly what a test has it say: a public name that need not exist, any document, keys, answers.
//! The gateway finds it by `PROXY_OIDC_BACKCHANNEL_URL`.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use url::Url;

use super::keys::Key;
use super::token::Token;

/// The clock of everything that uses this issuer.
pub(crate) const NOW: i64 = 1_900_000_000;

/// Where the endpoints are, whatever the issuer's name is.
pub(crate) const JWKS: &str = "/op/jwks";
pub(crate) const USERINFO: &str = "/op/userinfo";
pub(crate) const INTROSPECTION: &str = "/op/introspect";

/// The issuer. Ends when dropped.
pub(crate) struct ScriptedIssuer {
    name: String,
    origin: String,
    shared: Arc<Shared>,
    server: AbortHandle,
}

#[derive(Default)]
struct Shared {
    replies: Mutex<HashMap<String, Reply>>,
    /// `Authorization` and body of each call, by path.
    calls: Mutex<HashMap<String, Vec<(String, String)>>>,
}

/// What a path answers.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

impl Reply {
    pub(crate) fn json(value: &Value) -> Self {
        Self::of("application/json;charset=UTF-8", value.to_string())
    }

    pub(crate) fn of(content_type: &str, body: impl Into<Bytes>) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type", content_type.to_owned())],
            body: body.into(),
        }
    }

    pub(crate) fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

impl ScriptedIssuer {
    /// An issuer of this name with a plain document, these keys, and no userinfo yet.
    pub(crate) async fn start(name: &str, keys: &[Value]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::<Shared>::default();
        let server = tokio::spawn(serve(listener, Arc::clone(&shared)));
        let issuer = Self {
            name: name.to_owned(),
            origin,
            shared,
            server: server.abort_handle(),
        };
        issuer.document(json!({}));
        issuer.keys(keys);
        issuer
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where it really listens.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// The path of its discovery document.
    pub(crate) fn well_known(&self) -> String {
        let name = Url::parse(&self.name).unwrap();
        let path = name.path().trim_end_matches('/');
        format!("{path}/.well-known/openid-configuration")
    }

    /// Publishes the document with these members changed.
    pub(crate) fn document(&self, changes: Value) {
        let name = Url::parse(&self.name).unwrap();
        let base = name.origin().ascii_serialization();
        let mut document = json!({
            "issuer": self.name,
            "authorization_endpoint": format!("{base}/op/authorize"),
            "token_endpoint": format!("{base}/op/token"),
            "end_session_endpoint": format!("{base}/op/logout"),
            "jwks_uri": format!("{base}{JWKS}"),
            "userinfo_endpoint": format!("{base}{USERINFO}"),
            "introspection_endpoint": format!("{base}{INTROSPECTION}"),
            "id_token_signing_alg_values_supported":
                ["PS384", "RS384", "EdDSA", "ES384", "HS256", "HS512", "none", "RS256"],
            "backchannel_logout_supported": true,
        });
        let members = document.as_object_mut().unwrap();
        members.extend(changes.as_object().unwrap().clone());
        self.answers(&self.well_known(), Reply::json(&document));
    }

    pub(crate) fn keys(&self, keys: &[Value]) {
        let keys = json!({"keys": keys}).to_string();
        self.answers(JWKS, Reply::of("application/jwk-set+json", keys));
    }

    pub(crate) fn userinfo(&self, claims: &Value) {
        self.answers(USERINFO, Reply::json(claims));
    }

    pub(crate) fn answers(&self, path: &str, reply: Reply) {
        let mut replies = self.shared.replies.lock().unwrap();
        replies.insert(path.to_owned(), reply);
    }

    /// What a path answers now.
    pub(crate) fn reply(&self, path: &str) -> Reply {
        self.shared.replies.lock().unwrap()[path].clone()
    }

    pub(crate) fn calls(&self, path: &str) -> usize {
        self.shared
            .calls
            .lock()
            .unwrap()
            .get(path)
            .map_or(0, Vec::len)
    }

    /// What the last call of this path showed of itself.
    pub(crate) fn authorization(&self, path: &str) -> String {
        let calls = self.shared.calls.lock().unwrap();
        calls[path].last().unwrap().0.clone()
    }

    /// A token of this key with `iss`, a `sub` and times as usual, and these claims.
    pub(crate) fn token(&self, key: &Key, claims: Value) -> Token {
        let usual = json!({"iss": self.name, "sub": "sub-1", "iat": NOW - 10, "exp": NOW + 290});
        let mut all = usual.as_object().unwrap().clone();
        all.extend(claims.as_object().unwrap().clone());
        Token::new(key, all)
    }
}

impl Drop for ScriptedIssuer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
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
    let path = request.uri().path().to_owned();
    let authorization = request.headers().get("authorization");
    let authorization = authorization.map_or("", |value| value.to_str().unwrap());
    let authorization = authorization.to_owned();
    let body = request.into_body().collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    let body = String::from_utf8_lossy(&body).into_owned();
    let mut calls = shared.calls.lock().unwrap();
    calls
        .entry(path.clone())
        .or_default()
        .push((authorization, body));
    let reply = shared.replies.lock().unwrap().get(&path).cloned();
    let reply = reply.unwrap_or_else(|| Reply::of("text/plain", "no such page").status(404));
    let mut response = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        response = response.header(*name, value);
    }
    response.body(Full::new(reply.body)).unwrap()
}
