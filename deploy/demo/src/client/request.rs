//! Just enough of an HTTP client for a provider on loopback: one request a connection, no redirects, no TLS.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, LOCATION};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use url::Url;

const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_BODY: usize = 1024 * 1024;

/// What came back.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) location: Option<String>,
    pub(super) body: Bytes,
}

impl Reply {
    pub(super) fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("status {} without JSON", self.status))
    }
}

pub(super) async fn get(url: &Url) -> anyhow::Result<Reply> {
    send(Method::GET, url, Bytes::new()).await
}

pub(super) async fn post(url: &Url, form: &[(&str, String)]) -> anyhow::Result<Reply> {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    send(Method::POST, url, body.into()).await
}

async fn send(method: Method, url: &Url, body: Bytes) -> anyhow::Result<Reply> {
    tokio::time::timeout(TIMEOUT, exchange(method, url, body))
        .await
        .with_context(|| format!("{url} takes too long"))?
        .with_context(|| format!("asking {url}"))
}

async fn exchange(method: Method, url: &Url, body: Bytes) -> anyhow::Result<Reply> {
    ensure!(
        url.scheme() == "http",
        "the demo's issuer speaks plain http only"
    );
    let host = url.host_str().context("no host")?;
    let port = url.port_or_known_default().context("no port")?;
    let stream = TcpStream::connect((host, port)).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(&url[url::Position::BeforePath..url::Position::AfterQuery])
        .header(HOST, format!("{host}:{port}"))
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Full::new(body))?;
    let (parts, body) = sender.send_request(request).await?.into_parts();
    let body = Limited::new(body, MAX_BODY)
        .collect()
        .await
        .map_err(anyhow::Error::from_boxed)?;
    connection.abort();
    Ok(Reply {
        status: parts.status.as_u16(),
        location: parts
            .headers
            .get(LOCATION)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned),
        body: body.to_bytes(),
    })
}
