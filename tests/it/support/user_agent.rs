//! A browser's half of HTTP towards issuers that run here: one connection a request, cookies, redirects that the test follows
//! itself.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use url::{Position, Url, form_urlencoded};

pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// The cookies that a person has.
#[derive(Debug, Clone, Default)]
pub(crate) struct UserAgent {
    cookies: Vec<(String, String)>,
}

/// An answer that was read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert!(self.status.is_success(), "{}: {}", self.status, self.text());
        self
    }

    /// Where it sends the browser.
    #[track_caller]
    pub(crate) fn location(&self) -> Url {
        let location = self.headers.get("location").unwrap_or_else(|| {
            panic!("no redirect: {} {}", self.status, self.text());
        });
        Url::parse(location.to_str().unwrap()).unwrap()
    }
}

/// Sends it over a connection of its own, to a host of this address unless it names another.
pub(crate) async fn send(addr: SocketAddr, request: http::request::Builder, body: String) -> Reply {
    let io = TokioIo::new(TcpStream::connect(addr).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let mut request = request.body(Full::new(Bytes::from(body))).unwrap();
    let host = addr.to_string().parse().unwrap();
    request.headers_mut().entry("host").or_insert(host);
    let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
    Reply {
        status: parts.status,
        headers: parts.headers,
        body: body.collect().await.unwrap().to_bytes(),
    }
}

impl UserAgent {
    /// Opens an address of a server here.
    pub(crate) async fn get(&mut self, url: &Url) -> Reply {
        self.request(url, Request::get(target(url)), String::new())
            .await
    }

    pub(crate) async fn submit(&mut self, url: &Url, values: &[(&str, &str)]) -> Reply {
        let request = Request::post(target(url)).header("content-type", FORM);
        self.request(url, request, form(values)).await
    }

    async fn request(&mut self, url: &Url, request: http::request::Builder, body: String) -> Reply {
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let request = request.header("cookie", cookies.join("; "));
        let reply = send(address(url), request, body).await;
        for cookie in reply.headers.get_all("set-cookie") {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            self.cookies.push((name.to_owned(), value.to_owned()));
        }
        reply
    }
}

pub(crate) fn form(values: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(values)
        .finish()
}

pub(crate) fn target(url: &Url) -> &str {
    &url[Position::BeforePath..Position::AfterQuery]
}

pub(crate) fn address(url: &Url) -> SocketAddr {
    let text = &url[Position::BeforeHost..Position::AfterPort];
    text.parse()
        .unwrap_or_else(|_| panic!("{url} is not the address of a server here"))
}

/// The value of a parameter of an address.
pub(crate) fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs()
        .find(|(found, _)| found == name)
        .map(|(_, value)| value.into_owned())
}
