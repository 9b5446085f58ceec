//! Connections to issuers: made, kept and used again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::PROXY_AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use url::Url;

use super::tls::Connectors;
use super::{Answer, Call, CallError, Proxies};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Kept connections per remote.
const MAX_IDLE: usize = 64;
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Where one hop goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Target {
    https: bool,
    host: String,
    port: u16,
    path: String,
    insecure: bool,
}

impl Target {
    /// The address of the call after its back-channel rewriting.
    pub(super) fn of(call: &Call) -> Result<Self, CallError> {
        let url = match &call.backchannel {
            Some(backchannel) => backchannel.rewrite(&call.url),
            None => call.url.clone(),
        };
        let https = match url.scheme() {
            "https" => true,
            "http" => false,
            other => return Err(CallError::Address(format!("scheme {other}"))),
        };
        let host = url
            .host_str()
            .ok_or_else(|| CallError::Address("no host".into()))?;
        Ok(Self {
            https,
            host: host.to_owned(),
            port: url
                .port_or_known_default()
                .ok_or_else(|| CallError::Address("no port".into()))?,
            path: url[url::Position::BeforePath..url::Position::AfterQuery].to_owned(),
            insecure: call.insecure,
        })
    }

    /// Scheme, host and port: what back-off is remembered by.
    pub(super) fn origin(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        format!("{scheme}://{}:{}", self.host, self.port)
    }

    /// The `Host` header.
    pub(super) fn authority(&self) -> String {
        if self.port == if self.https { 443 } else { 80 } {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    fn key(&self) -> Key {
        (self.origin(), self.insecure)
    }
}

type Key = (String, bool);
type Sender = http1::SendRequest<Full<Bytes>>;

/// Idle connections by remote, and how to make new ones.
pub(super) struct Pool {
    tls: Connectors,
    proxies: Proxies,
    idle: Mutex<HashMap<Key, Vec<(Sender, Instant)>>>,
}

impl Pool {
    /// An empty pool.
    pub(super) fn new(tls: Connectors, proxies: Proxies) -> Self {
        Self {
            tls,
            proxies,
            idle: Mutex::default(),
        }
    }

    /// One request and its whole answer. A kept connection that died is replaced once: all our calls may be repeated.
    pub(super) async fn exchange(
        &self,
        target: &Target,
        method: &Method,
        headers: &HeaderMap,
        body: &Bytes,
        max_body: usize,
    ) -> Result<Answer, CallError> {
        let proxy = self.proxies.pick(target.https, &target.host);
        let absolute = proxy.filter(|_| !target.https);
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = method.clone();
        *request.headers_mut() = headers.clone();
        let uri = match absolute {
            Some(_) => format!("{}{}", target.origin(), target.path),
            None => target.path.clone(),
        };
        if let Some(value) = absolute.and_then(proxy_authorization) {
            request.headers_mut().insert(PROXY_AUTHORIZATION, value);
        }
        *request.uri_mut() =
            Uri::try_from(uri).map_err(|_| CallError::Address("path is no URI".into()))?;
        if let Some(sender) = self.take(target) {
            match self.on(sender, target, request.clone(), max_body).await {
                Err(CallError::Protocol(_)) => {}
                settled => return settled,
            }
        }
        let sender = tokio::time::timeout(CONNECT_TIMEOUT, self.connect(target))
            .await
            .map_err(|_| CallError::Timeout)??;
        self.on(sender, target, request, max_body).await
    }

    async fn on(
        &self,
        mut sender: Sender,
        target: &Target,
        request: Request<Full<Bytes>>,
        max_body: usize,
    ) -> Result<Answer, CallError> {
        // A kept connection may still be busy with its last answer, or find out now that it was closed.
        sender.ready().await.map_err(protocol)?;
        let response = sender.send_request(request).await.map_err(protocol)?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, max_body)
            .collect()
            .await
            .map_err(|error| {
                if error.is::<LengthLimitError>() {
                    CallError::TooLarge
                } else {
                    CallError::Protocol(error.to_string())
                }
            })?
            .to_bytes();
        self.keep(target, sender);
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        })
    }

    fn take(&self, target: &Target) -> Option<Sender> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle.get_mut(&target.key())?;
        while let Some((sender, since)) = kept.pop() {
            if !sender.is_closed() && since.elapsed() < IDLE_TIMEOUT {
                return Some(sender);
            }
        }
        None
    }

    fn keep(&self, target: &Target, sender: Sender) {
        if sender.is_closed() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|_, kept| {
            kept.retain(|(sender, since)| !sender.is_closed() && since.elapsed() < IDLE_TIMEOUT);
            !kept.is_empty()
        });
        let kept = idle.entry(target.key()).or_default();
        if kept.len() < MAX_IDLE {
            kept.push((sender, Instant::now()));
        }
    }

    async fn connect(&self, target: &Target) -> Result<Sender, CallError> {
        let proxy = self.proxies.pick(target.https, &target.host);
        let (host, port) = match proxy {
            Some(proxy) => (
                proxy.host_str().unwrap_or_default(),
                proxy.port_or_known_default().unwrap_or(3128),
            ),
            None => (target.host.as_str(), target.port),
        };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let mut stream = TcpStream::connect((bare, port))
            .await
            .map_err(|error| CallError::Refused(format!("{host}:{port}: {error}")))?;
        // Requests are one small write each; waiting for more only costs time.
        let _ = stream.set_nodelay(true);
        if !target.https {
            return handshake(stream).await;
        }
        if let Some(proxy) = proxy {
            tunnel(&mut stream, target, proxy).await?;
        }
        let bare = target.host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned())
            .map_err(|_| CallError::Address("host is no server name".into()))?;
        let stream = self
            .tls
            .pick(target.insecure)
            .connect(name, stream)
            .await
            .map_err(|error| CallError::Tls(error.to_string()))?;
        handshake(stream).await
    }
}

async fn handshake<T>(stream: T) -> Result<Sender, CallError>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(64 * 1024)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(protocol)?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to an issuer ended");
        }
    });
    Ok(sender)
}

/// RFC 9110 section 9.3.6: asks a forward proxy for a tunnel.
async fn tunnel(stream: &mut TcpStream, target: &Target, proxy: &Url) -> Result<(), CallError> {
    let authority = format!("{}:{}", target.host, target.port);
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
    if let Some(value) = proxy_authorization(proxy) {
        request.push_str("Proxy-Authorization: ");
        request.push_str(value.to_str().unwrap_or_default());
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    let failed = |error: std::io::Error| CallError::Refused(format!("proxy: {error}"));
    stream.write_all(request.as_bytes()).await.map_err(failed)?;
    let mut answer = Vec::with_capacity(256);
    // Byte by byte, so that nothing of the tunnel's own data is swallowed.
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() > 8 * 1024 {
            return Err(CallError::Refused("proxy: answer too long".into()));
        }
        answer.push(stream.read_u8().await.map_err(failed)?);
    }
    if answer.starts_with(b"HTTP/1.1 200") || answer.starts_with(b"HTTP/1.0 200") {
        Ok(())
    } else {
        Err(CallError::Refused("proxy refused the tunnel".into()))
    }
}

fn proxy_authorization(proxy: &Url) -> Option<HeaderValue> {
    use base64::Engine as _;
    if proxy.username().is_empty() {
        return None;
    }
    let user = percent_encoding::percent_decode_str(proxy.username()).decode_utf8_lossy();
    let password = percent_encoding::percent_decode_str(proxy.password().unwrap_or_default())
        .decode_utf8_lossy();
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    HeaderValue::from_str(&format!("Basic {pair}")).ok()
}

fn protocol(error: hyper::Error) -> CallError {
    CallError::Protocol(error.to_string())
}
