//! An issuer for unit tests: answers on loopback whatever a test puts there, signs tokens, counts its calls.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::client::{Client, Options};
use crate::config::accounts::{ProvisionClaims, RoleAssignment};
use crate::config::oidc::{ClaimByName, ClaimsMerge, Issuer, Jwks, UserLookup, VerifyMethod};
use crate::model::{ClaimPath, Clock};

/// The clock of all fixtures, docs/design/identity-providers.md section 6.
pub(super) const NOW: i64 = 1_900_000_000;

/// A clock that stands at [`NOW`] (and goes on from there).
pub(super) fn clock() -> Clock {
    let clock = Clock::shifted();
    clock.advance(NOW - clock.now().0);
    clock
}

/// What a path answers.
#[derive(Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
    pub(super) delay: Duration,
}

impl Reply {
    pub(super) fn json(value: &Value) -> Self {
        Self::typed("application/json;charset=UTF-8", value.to_string())
    }

    pub(super) fn typed(media: &str, body: impl Into<Bytes>) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type", media.to_owned())],
            body: body.into(),
            delay: Duration::ZERO,
        }
    }

    pub(super) fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::typed("text/plain", "no")
        }
    }

    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) authorization: Option<String>,
    pub(super) if_none_match: Option<String>,
    pub(super) body: String,
}

#[derive(Default)]
struct State {
    replies: Mutex<HashMap<String, Reply>>,
    seen: Mutex<HashMap<String, Vec<Seen>>>,
    connections: Mutex<Vec<AbortHandle>>,
    running: AtomicUsize,
    most: AtomicUsize,
}

/// The server. Ends with its value.
pub(super) struct FakeIssuer {
    address: SocketAddr,
    state: Arc<State>,
    task: AbortHandle,
}

impl FakeIssuer {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        Self::on(listener, Arc::default())
    }

    fn on(listener: TcpListener, state: Arc<State>) -> Self {
        let address = listener.local_addr().unwrap();
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                let service = service_fn(move |request| reply(Arc::clone(&state), request));
                let connection = tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
                let mut connections = shared.connections.lock().unwrap();
                connections.push(connection.abort_handle());
            }
        })
        .abort_handle();
        Self {
            address,
            state,
            task,
        }
    }

    /// How many requests were under way at the same time, at most.
    pub(super) fn most_at_once(&self) -> usize {
        self.state.most.load(Ordering::Relaxed)
    }

    /// How many connections were made.
    pub(super) fn connections(&self) -> usize {
        self.state.connections.lock().unwrap().len()
    }

    /// Refuses connections from now on.
    pub(super) fn stop(&self) {
        self.task.abort();
        for connection in self.state.connections.lock().unwrap().drain(..) {
            connection.abort();
        }
    }

    /// Listens again at the same address.
    pub(super) async fn restart(self) -> Self {
        self.stop();
        loop {
            if let Ok(listener) = TcpListener::bind(self.address).await {
                return Self::on(listener, Arc::clone(&self.state));
            }
            tokio::task::yield_now().await;
        }
    }

    pub(super) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn answer(&self, path: &str, reply: Reply) {
        let mut replies = self.state.replies.lock().unwrap();
        replies.insert(path.to_owned(), reply);
    }

    pub(super) fn reply(&self, path: &str) -> Reply {
        self.state.replies.lock().unwrap()[path].clone()
    }

    pub(super) fn calls(&self, path: &str) -> usize {
        self.seen(path).len()
    }

    pub(super) fn seen(&self, path: &str) -> Vec<Seen> {
        let seen = self.state.seen.lock().unwrap();
        seen.get(path).cloned().unwrap_or_default()
    }

    /// Publishes a discovery document for `issuer` (a public name) and the given keys. Endpoints are below `/op`.
    pub(super) fn publish(&self, issuer: &str, keys: &[Value], more: &Value) {
        let public = url::Url::parse(issuer).unwrap();
        let origin = public.origin().ascii_serialization();
        let mut document = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{origin}/op/authorize"),
            "token_endpoint": format!("{origin}/op/token"),
            "jwks_uri": format!("{origin}/op/jwks"),
            "userinfo_endpoint": format!("{origin}/op/userinfo"),
            "introspection_endpoint": format!("{origin}/op/introspect"),
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
        });
        for (name, value) in more.as_object().unwrap() {
            document[name] = value.clone();
        }
        let path = public.path().trim_end_matches('/');
        self.answer(
            &format!("{path}/.well-known/openid-configuration"),
            Reply::json(&document),
        );
        self.answer("/op/jwks", Reply::json(&json!({ "keys": keys })));
    }
}

impl Drop for FakeIssuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn reply(
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let header = |name: &str| {
        let value = request.headers().get(name);
        value.map(|value| value.to_str().unwrap().to_owned())
    };
    let (authorization, if_none_match) = (header("authorization"), header("if-none-match"));
    let body = request.into_body().collect().await.unwrap().to_bytes();
    state
        .seen
        .lock()
        .unwrap()
        .entry(path.clone())
        .or_default()
        .push(Seen {
            authorization,
            if_none_match,
            body: String::from_utf8(body.to_vec()).unwrap(),
        });
    let found = state.replies.lock().unwrap().get(&path).cloned();
    let reply = found.unwrap_or_else(|| Reply::status(404));
    let running = state.running.fetch_add(1, Ordering::Relaxed) + 1;
    state.most.fetch_max(running, Ordering::Relaxed);
    if !reply.delay.is_zero() {
        tokio::time::sleep(reply.delay).await;
    }
    state.running.fetch_sub(1, Ordering::Relaxed);
    let mut response = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        response = response.header(*name, value);
    }
    Ok(response.body(Full::new(reply.body)).unwrap())
}

/// A signing key of the issuer.
pub(super) enum Signer {
    Rsa(&'static RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

/// Making RSA keys takes long, so all tests share two.
static RSA: LazyLock<[RsaKeyPair; 2]> =
    LazyLock::new(|| [0, 1].map(|_| RsaKeyPair::generate(KeySize::Rsa2048).unwrap()));

impl Signer {
    pub(super) fn rsa() -> Self {
        Self::Rsa(&RSA[0])
    }

    pub(super) fn other_rsa() -> Self {
        Self::Rsa(&RSA[1])
    }

    pub(super) fn ec() -> Self {
        Self::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(super) fn ed() -> Self {
        Self::Ed(Ed25519KeyPair::generate().unwrap())
    }

    /// The public half, with `more` members.
    pub(super) fn jwk(&self, kid: &str, more: &Value) -> Value {
        let b64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match self {
            Self::Rsa(pair) => {
                let public = pair.public_key();
                json!({"kty": "RSA", "n": b64(public.modulus().big_endian_without_leading_zero()),
                    "e": b64(public.exponent().big_endian_without_leading_zero())})
            }
            Self::Ec(pair) => {
                let point: &[u8] = pair.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "x": b64(&point[1..33]), "y": b64(&point[33..])})
            }
            Self::Ed(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": b64(pair.public_key().as_ref())})
            }
        };
        jwk["kid"] = kid.into();
        for (name, value) in more.as_object().unwrap() {
            jwk[name] = value.clone();
        }
        jwk
    }

    /// Signs header and claims; the header's `alg` chooses how.
    pub(super) fn sign(&self, header: &Value, claims: &Value) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        self.sign_parts(
            &encode(header),
            &encode(claims),
            header["alg"].as_str().unwrap_or("RS256"),
        )
    }

    /// Signs two parts that are encoded already.
    pub(super) fn sign_parts(&self, header: &str, payload: &str, alg: &str) -> String {
        let message = format!("{header}.{payload}");
        let random = SystemRandom::new();
        let signature = match self {
            Self::Rsa(pair) => {
                let encoding: &dyn signature::RsaEncoding = match alg {
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, message.as_bytes(), &mut signature)
                    .unwrap();
                signature
            }
            Self::Ec(pair) => {
                let signature = pair.sign(&random, message.as_bytes()).unwrap();
                signature.as_ref().to_vec()
            }
            Self::Ed(pair) => pair.sign(message.as_bytes()).as_ref().to_vec(),
        };
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Settings with the defaults of the configuration, for a public issuer name that is really at `base`.
pub(super) fn settings(issuer: &str, base: &str) -> Issuer {
    Issuer {
        issuer: issuer.to_owned(),
        insecure: false,
        verify_method: VerifyMethod::Jwt,
        skip_user_info: false,
        jwks: Jwks {
            refresh_interval: Duration::from_secs(3_600),
            refresh_timeout: Duration::from_secs(10),
            refresh_limit: Duration::from_secs(60),
            refresh_unknown_kid: true,
        },
        user_info_ttl: Duration::from_secs(10),
        client: None,
        verify_aud: Vec::new(),
        audiences: Vec::new(),
        access_token_types: Vec::new(),
        service_clients: Vec::new(),
        require_verified_mail: true,
        logout_audiences: Vec::new(),
        require_exp: true,
        leeway: Duration::from_secs(5),
        required_claims: Vec::new(),
        allow_claims: Vec::new(),
        claims_merge: ClaimsMerge::UserinfoWins,
        userinfo_sub_check: true,
        backchannel_url: Some(url::Url::parse(base).unwrap()),
        introspection_url: None,
        accept_bound_tokens: false,
        user_claim: ClaimPath::parse("preferred_username"),
        user_lookup: UserLookup::Username,
        provision_claims: ProvisionClaims {
            username: Vec::new(),
            email: Vec::new(),
            display_name: Vec::new(),
            groups: vec![],
            group_id: None,
            groups_absent: crate::config::accounts::GroupsAbsent::Keep,
        },
        role_assignment: RoleAssignment::Default,
        claim_by_name: ClaimByName::Never,
    }
}

/// A client that knows no certificate but the system's.
pub(super) fn client() -> Client {
    Client::new(Options::default()).unwrap()
}
