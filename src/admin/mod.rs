//! The debug listener: health, readiness, metrics, the configuration; and the client of `davgate health`.

mod status;

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::config::Secret;
use crate::config::http::Log;
use crate::telemetry::{Exposition, LogLevel, Metrics};

/// From a connection's begin, or a response's end, to the end of the next request's header.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Clients served at once; others wait in the queue.
const CLIENTS: usize = 64;

/// Whether requests should be sent here (docs/design/design.md 2, Readiness).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// Yes.
    Ready,
    /// No, with the reason for the body.
    NotReady(String),
}

/// What the debug listener tells.
pub(crate) struct Admin {
    /// Asked at each `/readyz`; must not block.
    pub readiness: Box<dyn Fn() -> Readiness + Send + Sync>,
    /// The effective configuration as JSON, secrets masked; must not block.
    pub config: Box<dyn Fn() -> String + Send + Sync>,
    /// What the status page shows, as JSON; must not block.
    pub status: Box<dyn Fn() -> serde_json::Value + Send + Sync>,
    /// What `/metrics` shows.
    pub metrics: Metrics,
    /// What `/log` shows and changes.
    pub log_level: LogLevel,
    /// Needed for `/metrics`, `/config` and `/log`; without one `/metrics` is open, and `/config` and `/log` are not there.
    pub token: Option<Secret>,
    /// Told in `X-PROXY-VERSION`.
    pub version: &'static str,
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin")
            .field("token", &self.token)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl Admin {
    /// Serves until the future is dropped; on the control runtime, so that it answers when a worker is stuck.
    pub(crate) async fn serve(self, listener: TcpListener) {
        let is_loopback = listener
            .local_addr()
            .is_ok_and(|addr| addr.ip().to_canonical().is_loopback());
        let admin = Arc::new(self);
        let clients = Arc::new(Semaphore::new(CLIENTS));
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(16 * 1024);
        loop {
            let Ok(permit) = Arc::clone(&clients).acquire_owned().await else {
                return; // Never closed.
            };
            let socket = match listener.accept().await {
                Ok((socket, _)) => socket,
                Err(error) => {
                    tracing::debug!(%error, "the debug listener accepted nothing");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    continue;
                }
            };
            let admin = Arc::clone(&admin);
            let service = service_fn(move |request| {
                let response = admin.answer(&request, is_loopback);
                std::future::ready(Ok::<_, std::convert::Infallible>(response))
            });
            let connection = http.serve_connection(TokioIo::new(socket), service);
            tokio::spawn(async move {
                let _permit = permit;
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a connection of the debug listener ended early");
                }
            });
        }
    }

    fn answer(&self, request: &Request<Incoming>, is_loopback: bool) -> Response<Full<Bytes>> {
        let mut response = self.route(
            request.method(),
            request.uri(),
            request.headers(),
            is_loopback,
        );
        let headers = response.headers_mut();
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-cache, no-store, max-age=0, must-revalidate"),
        );
        headers.insert(
            HeaderName::from_static("x-proxy-version"),
            HeaderValue::from_static(self.version),
        );
        response
    }

    fn route(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        is_loopback: bool,
    ) -> Response<Full<Bytes>> {
        let path = uri.path();
        // A page in a browser on this machine could name 127.0.0.1 by a name of its own (DNS rebinding).
        if is_loopback && !names_loopback(headers) {
            return text(StatusCode::FORBIDDEN, "Host is not a loopback address");
        }
        let may_put = path == "/log";
        if !(matches!(*method, Method::GET | Method::HEAD) || may_put && *method == Method::PUT) {
            let methods = if may_put {
                "GET, HEAD, PUT"
            } else {
                "GET, HEAD"
            };
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, methods);
            let allowed = HeaderValue::from_static(methods);
            response.headers_mut().insert(header::ALLOW, allowed);
            return response;
        }
        match path {
            "/healthz" => text(StatusCode::OK, "OK"),
            "/readyz" => match (self.readiness)() {
                Readiness::Ready => text(StatusCode::OK, "OK"),
                Readiness::NotReady(reason) => text(StatusCode::SERVICE_UNAVAILABLE, &reason),
            },
            "/metrics" | "/config" | "/log" | "/status.json" if !self.admits(headers) => {
                unauthorized()
            }
            "/metrics" => {
                let form = Exposition::wanted(headers);
                let text = form.of(self.metrics.encode());
                answer(StatusCode::OK, form.content_type(), text)
            }
            "/config" if self.token.is_some() => {
                answer(StatusCode::OK, "application/json", (self.config)())
            }
            "/log" if self.token.is_some() => self.log(method, uri.query()),
            // What is told of the deployment is for this machine, or for who has the token.
            "/status" if is_loopback || self.token.is_some() => status::page(),
            "/status.json" if is_loopback || self.token.is_some() => answer(
                StatusCode::OK,
                "application/json",
                self.status_json().to_string(),
            ),
            // Profiling is not built in, so `/debug/*` is nowhere.
            _ => text(StatusCode::NOT_FOUND, "Not Found"),
        }
    }

    /// The level of the log; `PUT /log?level=debug` changes it.
    fn log(&self, method: &Method, query: Option<&str>) -> Response<Full<Bytes>> {
        if *method == Method::PUT {
            let word = query.and_then(|query| query.strip_prefix("level="));
            let Some(level) = word.and_then(Log::level_of) else {
                let words = "/log?level= takes off, error, warn, info, debug or trace";
                return text(StatusCode::BAD_REQUEST, words);
            };
            self.log_level.set(level, "the debug listener");
        }
        let told = serde_json::json!({"level": self.log_level.now().to_string()});
        answer(StatusCode::OK, "application/json", told.to_string())
    }

    fn status_json(&self) -> serde_json::Value {
        let mut status = (self.status)();
        status["ready"] = match (self.readiness)() {
            Readiness::Ready => true.into(),
            Readiness::NotReady(why) => why.into(),
        };
        status
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else {
            return true;
        };
        let mut sent = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(sent), None) = (sent.next(), sent.next()) else {
            return false;
        };
        let Some((scheme, credential)) = sent.to_str().ok().and_then(|sent| sent.split_once(' '))
        else {
            return false;
        };
        // Compared in constant time; only the length shows.
        let is_token = credential
            .trim()
            .as_bytes()
            .ct_eq(token.reveal().as_bytes());
        scheme.eq_ignore_ascii_case("bearer") && bool::from(is_token)
    }
}

fn names_loopback(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    let Ok(authority) = host
        .to_str()
        .unwrap_or_default()
        .parse::<http::uri::Authority>()
    else {
        return false;
    };
    if authority.as_str().contains('@') {
        return false;
    }
    let host = authority.host().trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

fn answer(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

fn text(status: StatusCode, body: &str) -> Response<Full<Bytes>> {
    answer(status, "text/plain; charset=utf-8", body.to_owned())
}

/// The error of the existing service, which is OData's.
fn unauthorized() -> Response<Full<Bytes>> {
    let body = r#"{"error":{"code":"unauthenticated","message":"The debug token is needed."}}"#;
    let mut response = answer(
        StatusCode::UNAUTHORIZED,
        "application/json",
        body.to_owned(),
    );
    response.headers_mut().insert(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer realm=\"debug\", charset=\"UTF-8\""),
    );
    response
}

/// Asks the debug listener of a running process, for `davgate health [--ready]`. Blocks, ten seconds at most.
///
/// # Errors
/// If nothing answers, or not with 200; the text says what came.
pub(crate) fn check_health(addr: SocketAddr, ready: bool) -> io::Result<()> {
    let limit = Duration::from_secs(5);
    let addr = reachable(addr);
    let path = if ready { "/readyz" } else { "/healthz" };
    let mut socket = TcpStream::connect_timeout(&addr, limit)
        .map_err(|error| io::Error::new(error.kind(), format!("{path} of {addr}: {error}")))?;
    socket.set_read_timeout(Some(limit))?;
    socket.set_write_timeout(Some(limit))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    socket.take(4096).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) == Some("200") {
        Ok(())
    } else {
        let said = format!("{path} of {addr}: {status}: {body}");
        Err(io::Error::other(said))
    }
}

/// A listener bound to all addresses is asked on this machine's own.
fn reachable(addr: SocketAddr) -> SocketAddr {
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, addr.port())
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "clients are blocking sockets on threads of the test"
)]
mod tests;
