//! A fake HTTP backend that keeps what it saw and fails the test if it sees what must have been stripped.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::until;

/// The backend. Ends when dropped, and fails the test then if a request bore what it must not.
pub(crate) struct FakeBackend {
    pub(crate) addr: SocketAddr,
    is_tls: bool,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    told: Told,
    script: Mutex<Script>,
    seen: Mutex<VecDeque<Seen>>,
    violations: Mutex<Vec<String>>,
}

/// What the gateway is to tell this backend about the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// `x-access-token`.
    Reva,
    /// `Remote-*`.
    Headers,
    /// Nothing at all.
    Nothing,
    /// Nothing, but the route is open and `Authorization` is the backend's business.
    WhatTheClientSent,
    /// `x-access-token`, and on paths of links what the client sent.
    RevaAndWhatTheClientSent,
}

/// One request, exactly as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) version: http::Version,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: BodySeen,
}

/// A body that went by: its hash and size, and its first bytes.
#[derive(Debug, Clone, Default)]
pub(crate) struct BodySeen {
    pub(crate) bytes: u64,
    pub(crate) sha256: Vec<u8>,
    pub(crate) start: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
    /// The body ended with an error.
    pub(crate) cut: bool,
}

pub(crate) type ReplyBody = BoxBody<Bytes, std::io::Error>;
type Reply = Pin<Box<dyn Future<Output = Response<ReplyBody>> + Send>>;

/// What a test has a backend answer.
trait Answering: Fn(&Seen) -> Response<ReplyBody> + Send + Sync {}

impl<F: Fn(&Seen) -> Response<ReplyBody> + Send + Sync> Answering for F {}

#[derive(Clone)]
enum Script {
    /// Reads and records the body, then answers.
    Answer(Arc<dyn Answering>),
    /// Records the head and leaves everything else to the test.
    TakeOver(Arc<dyn Fn(Request<Incoming>) -> Reply + Send + Sync>),
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl FakeBackend {
    /// A backend that is told nothing about users.
    pub(crate) async fn start() -> Self {
        Self::told(Told::Nothing).await
    }

    pub(crate) async fn told(told: Told) -> Self {
        Self::over(told, None).await
    }

    /// A backend with TLS for `localhost` that offers HTTP/2, told nothing about users; and its certificate as PEM.
    pub(crate) async fn with_tls() -> (Self, String) {
        let (acceptor, certificate) = tls_of_localhost();
        (Self::over(Told::Nothing, Some(acceptor)).await, certificate)
    }

    async fn over(told: Told, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            told,
            script: Mutex::new(Script::Answer(Arc::new(|_| reply("ok")))),
            seen: Mutex::default(),
            violations: Mutex::default(),
        });
        Self {
            addr,
            is_tls: tls.is_some(),
            server: tokio::spawn(serve(listener, tls, Arc::clone(&shared))),
            shared,
        }
    }

    pub(crate) fn url(&self) -> String {
        if self.is_tls {
            return format!("https://localhost:{}", self.addr.port());
        }
        format!("http://{}", self.addr)
    }

    pub(crate) fn identity(&self) -> &'static str {
        match self.shared.told {
            Told::Reva | Told::RevaAndWhatTheClientSent => "reva",
            Told::Headers => "headers",
            Told::Nothing | Told::WhatTheClientSent => "none",
        }
    }

    /// From now on requests are read and recorded, then answered so.
    pub(crate) fn answers(
        &self,
        script: impl Fn(&Seen) -> Response<ReplyBody> + Send + Sync + 'static,
    ) {
        *self.shared.script.lock().unwrap() = Script::Answer(Arc::new(script));
    }

    /// From now on only heads are recorded, and `script` does what it wants with the request.
    pub(crate) fn takes_over<F>(
        &self,
        script: impl Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = Response<ReplyBody>> + Send + 'static,
    {
        let script = move |request| Box::pin(script(request)) as Reply;
        *self.shared.script.lock().unwrap() = Script::TakeOver(Arc::new(script));
    }

    /// Answers every request with a stream that sends one event for each permit.
    pub(crate) fn sends_events(&self) -> Arc<Semaphore> {
        let permits = Arc::new(Semaphore::new(0));
        let given = Arc::clone(&permits);
        self.takes_over(move |_| {
            let permits = Arc::clone(&given);
            async move {
                let events = stream::unfold(permits, |permits| async {
                    permits.acquire().await.ok()?.forget();
                    let event = Frame::data(Bytes::from_static(b"data: x\n\n"));
                    Some((Ok(event), permits))
                });
                let mut answer = Response::new(StreamBody::new(events).boxed());
                let kind = HeaderValue::from_static("text/event-stream");
                answer.headers_mut().insert("content-type", kind);
                answer
            }
        });
        permits
    }

    /// Everything that arrived since the last call.
    pub(crate) fn take_seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().drain(..).collect()
    }

    /// The one request that arrived since the last call.
    #[track_caller]
    pub(crate) fn the_request(&self) -> Seen {
        let mut seen = self.take_seen();
        assert_eq!(seen.len(), 1, "one request, not {seen:#?}");
        seen.remove(0)
    }

    /// Waits for a request, for tests whose client does not wait for the answer.
    pub(crate) async fn next_request(&self) -> Seen {
        until("a request at the backend", || {
            !self.shared.seen.lock().unwrap().is_empty()
        })
        .await;
        self.shared.seen.lock().unwrap().pop_front().unwrap()
    }

    #[track_caller]
    pub(crate) fn saw_nothing(&self) {
        let seen = self.take_seen();
        assert!(seen.is_empty(), "the backend saw {seen:#?}");
    }
}

impl Drop for FakeBackend {
    fn drop(&mut self) {
        self.server.abort();
        if !std::thread::panicking() {
            let violations = self.shared.violations.lock().unwrap();
            assert!(violations.is_empty(), "the backend saw {violations:#?}");
        }
    }
}

/// An answer with this text.
pub(crate) fn reply(text: impl Into<Bytes>) -> Response<ReplyBody> {
    Response::new(full(text))
}

pub(crate) fn full(text: impl Into<Bytes>) -> ReplyBody {
    Full::new(text.into())
        .map_err(|never: Infallible| match never {})
        .boxed()
}

/// Reads a body to its end.
pub(crate) async fn read(mut body: Incoming) -> BodySeen {
    let mut hash = Context::new(&SHA256);
    let mut seen = BodySeen::default();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            seen.cut = true;
            break;
        };
        match frame.into_data() {
            Ok(data) => {
                hash.update(&data);
                seen.bytes += data.len() as u64;
                let room = 65_536_usize.saturating_sub(seen.start.len());
                seen.start.extend_from_slice(&data[..data.len().min(room)]);
            }
            Err(frame) => seen.trailers = frame.into_trailers().ok(),
        }
    }
    seen.sha256 = hash.finish().as_ref().to_vec();
    seen
}

/// TLS for `localhost` that offers HTTP/2, and its certificate as PEM.
pub(crate) fn tls_of_localhost() -> (TlsAcceptor, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    (TlsAcceptor::from(Arc::new(config)), made.cert.pem())
}

async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let (shared, tls) = (Arc::clone(&shared), tls.clone());
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let shared = Arc::clone(&shared);
                async move { Ok::<_, Infallible>(answer(&shared, request).await) }
            });
            let mut server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            server.http1().max_headers(1000);
            server.http2().max_header_list_size(1 << 20);
            let Some(tls) = tls else {
                let io = TokioIo::new(stream);
                let _ = server.serve_connection_with_upgrades(io, service).await;
                return;
            };
            if let Ok(stream) = tls.accept(stream).await {
                let io = TokioIo::new(stream);
                let _ = server.serve_connection_with_upgrades(io, service).await;
            }
        });
    }
}

async fn answer(shared: &Shared, request: Request<Incoming>) -> Response<ReplyBody> {
    check(shared, request.headers());
    let mut seen = Seen {
        version: request.version(),
        method: request.method().to_string(),
        target: request.uri().to_string(),
        headers: request.headers().clone(),
        body: BodySeen::default(),
    };
    let script = shared.script.lock().unwrap().clone();
    match script {
        Script::Answer(script) => {
            seen.body = read(request.into_body()).await;
            let answer = script(&seen);
            shared.seen.lock().unwrap().push_back(seen);
            answer
        }
        Script::TakeOver(script) => {
            shared.seen.lock().unwrap().push_back(seen);
            script(request).await
        }
    }
}

/// Never from a client, and from the gateway only what the route says (docs/design/hardening.md rows 31-39).
fn check(shared: &Shared, headers: &HeaderMap) {
    let complain = |text: String| shared.violations.lock().unwrap().push(text);
    for (name, value) in headers {
        let name = name.as_str();
        let allowed = match name {
            "x-access-token" => {
                matches!(shared.told, Told::Reva | Told::RevaAndWhatTheClientSent)
            }
            "remote-user" | "remote-name" | "remote-email" | "remote-groups" => {
                shared.told == Told::Headers
            }
            "authorization" => matches!(
                shared.told,
                Told::WhatTheClientSent | Told::RevaAndWhatTheClientSent
            ),
            "proxy-authorization"
            | "proxy-connection"
            | "keep-alive"
            | "forwarded"
            | "x-real-ip"
            | "true-client-ip"
            | "x-original-url"
            | "x-rewrite-url"
            | "x-http-method-override"
            | "account-id"
            | "x-account-uuid" => false,
            _ => !FORBIDDEN.iter().any(|prefix| name.starts_with(prefix)) && !name.contains('_'),
        };
        if !allowed {
            complain(format!("{name}: {value:?}"));
        }
        let once = !matches!(name, "cookie" | "te" | "accept" | "via");
        if once && headers.get_all(name).iter().count() > 1 {
            complain(format!("{name} more than once"));
        }
    }
}

const FORBIDDEN: [&str; 9] = [
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-remote-",
    "x-auth-request-",
    "x-webauth-",
    "ssl-client-",
    "grpc-metadata-",
];
