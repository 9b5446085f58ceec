//! A client that looks at every answer: only known headers, the security headers once, a request id, no secret.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::canary;

/// The client gives up after this; nothing in the suite needs as long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Host that requests name unless they say otherwise.
pub(crate) const CLOUD: &str = "cloud.example";

pub(crate) type CallBody = BoxBody<Bytes, std::io::Error>;

/// A request in the making. Each goes over a connection of its own.
pub(crate) struct Call {
    addr: SocketAddr,
    request: http::request::Builder,
    body: CallBody,
    version: Version,
}

/// An answer whose body was read.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Call {
    pub(crate) fn new(addr: SocketAddr, method: &str, target: &str) -> Self {
        let request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(target);
        Self {
            addr,
            request,
            body: empty(),
            version: Version::HTTP_11,
        }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header(AUTHORIZATION.as_str(), &format!("Bearer {token}"))
    }

    pub(crate) fn basic(self, user: &str, password: &str) -> Self {
        let encoded = STANDARD.encode(format!("{user}:{password}"));
        self.header(AUTHORIZATION.as_str(), &format!("Basic {encoded}"))
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = full(body);
        self
    }

    pub(crate) fn stream(mut self, body: CallBody) -> Self {
        self.body = body;
        self
    }

    /// HTTP/2 with prior knowledge.
    pub(crate) fn h2(mut self) -> Self {
        self.version = Version::HTTP_2;
        self
    }

    /// Sends and reads the whole answer.
    pub(crate) async fn send(self) -> Answer {
        let (parts, body) = self.open().await.into_parts();
        let collected = tokio::time::timeout(PATIENCE, body.collect())
            .await
            .expect("the answer's body did not end")
            .expect("the answer's body was cut");
        let trailers = collected.trailers().cloned();
        let answer = Answer {
            status: parts.status,
            headers: parts.headers,
            body: collected.to_bytes(),
            trailers,
        };
        canary::assert_none_in("an answer's body", &answer.text());
        answer
    }

    /// Sends and gives the answer back once its head is there.
    pub(crate) async fn open(self) -> http::Response<Incoming> {
        self.try_open().await.expect("no answer")
    }

    /// The same for tests that expect no answer.
    pub(crate) async fn try_open(self) -> hyper::Result<http::Response<Incoming>> {
        let mut request = self.request.body(self.body).unwrap();
        let stream = TcpStream::connect(self.addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let io = TokioIo::new(stream);
        let answer = if self.version == Version::HTTP_2 {
            let target = format!("http://{CLOUD}{}", request.uri());
            *request.uri_mut() = target.parse().unwrap();
            let (mut sender, connection) =
                hyper::client::conn::http2::Builder::new(TokioExecutor::new())
                    .max_header_list_size(1 << 20)
                    .handshake(io)
                    .await?;
            tokio::spawn(connection);
            tokio::time::timeout(PATIENCE, sender.send_request(request)).await
        } else {
            if !request.headers().contains_key(HOST) {
                let host = HeaderValue::from_static(CLOUD);
                request.headers_mut().insert(HOST, host);
            }
            let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
                .max_headers(1000)
                .handshake(io)
                .await?;
            tokio::spawn(connection.with_upgrades());
            tokio::time::timeout(PATIENCE, sender.send_request(request)).await
        };
        let answer = answer.expect("no answer within a minute")?;
        check(answer.headers());
        Ok(answer)
    }
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The `reason` of a refusal, whatever the form of its body.
    pub(crate) fn reason(&self) -> String {
        let text = self.text();
        let after = |mark: &str, end: char| {
            let start = text.find(mark)? + mark.len();
            let length = text[start..].find(end)?;
            Some(text[start..start + length].to_owned())
        };
        after("\"reason\":\"", '"')
            .or_else(|| after("reason>", '<'))
            .unwrap_or_else(|| panic!("no reason in {}: {text}", self.status))
    }

    #[track_caller]
    pub(crate) fn is(&self, status: u16) -> &Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self
    }

    #[track_caller]
    pub(crate) fn refused(&self, status: u16, reason: &str) -> &Self {
        self.is(status);
        assert_eq!(self.reason(), reason, "{}", self.text());
        let id = self.header("x-request-id").unwrap();
        assert!(self.text().contains(id), "no request id in {}", self.text());
        self
    }
}

/// Bytes sent as they are; the answer as text, read to the end of the connection.
pub(crate) async fn raw(addr: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    // A reset after the answer is as good as an end.
    let _ = read.expect("the connection was not closed");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    canary::assert_none_in("a raw answer", &answer);
    answer
}

/// The status of a raw answer.
#[track_caller]
pub(crate) fn status(answer: &str) -> u16 {
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
    status.unwrap_or_else(|| panic!("no status in {answer:?}"))
}

pub(crate) fn full(body: impl Into<Bytes>) -> CallBody {
    Full::new(body.into())
        .map_err(|never: std::convert::Infallible| match never {})
        .boxed()
}

pub(crate) fn empty() -> CallBody {
    full(Bytes::new())
}

/// Everything that may stand in an answer. `x-test-*` come from the fake backend.
const KNOWN: &str = "accept-ranges access-control-allow-headers access-control-allow-methods \
    access-control-allow-origin allow cache-control connection content-length content-range content-type date dav \
    dpop-nonce etag last-modified location lock-token oc-etag oc-fileid retry-after sec-websocket-accept set-cookie trailer \
    transfer-encoding upgrade vary www-authenticate x-request-id";

const SECURITY: [&str; 7] = [
    "content-security-policy",
    "referrer-policy",
    "x-content-type-options",
    "x-frame-options",
    "x-permitted-cross-domain-policies",
    "x-robots-tag",
    "x-xss-protection",
];

#[track_caller]
fn check(headers: &HeaderMap) {
    let known: HashSet<&str> = KNOWN.split_whitespace().chain(SECURITY).collect();
    for (name, value) in headers {
        let name: &HeaderName = name;
        let allowed = known.contains(name.as_str()) || name.as_str().starts_with("x-test-");
        assert!(allowed, "unexpected in an answer: {name}: {value:?}");
        canary::assert_none_in("an answer's header", &format!("{name}: {value:?}"));
    }
    for name in SECURITY.into_iter().chain(["x-request-id"]) {
        let count = headers.get_all(name).iter().count();
        assert_eq!(count, 1, "{name} stands {count} times in {headers:#?}");
    }
}
