//! OTLP/HTTP: one batch is one POST, on a connection of its own.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use prost::Message as _;
use rustls::ClientConfig;
use tokio_util::task::AbortOnDropHandle;

use super::messages::ExportResponse;
use crate::config::deployment::GrpcTls;
use crate::config::traces::Collector;
use crate::model::{Endpoint, Protocol};
use crate::rpc::connect::{self, connect};
use crate::rpc::{RpcError, TlsError};

/// Largest answer read.
const MAX_ANSWER: usize = 64 * 1024;

/// A collector that is told by HTTP.
#[derive(Debug)]
pub(super) struct OverHttp {
    endpoint: Endpoint,
    tls: Option<Arc<ClientConfig>>,
    path: String,
    headers: HeaderMap,
    deadline: Duration,
}

impl OverHttp {
    pub(super) fn new(collector: &Collector, tls: &GrpcTls) -> Result<Self, TlsError> {
        let mut endpoint = Endpoint::tcp(Protocol::Http, &collector.host, collector.port);
        let tls = connect::client(tls)?.map(|tls| {
            let mut tls = ClientConfig::clone(&tls);
            tls.alpn_protocols = vec![b"http/1.1".to_vec()];
            Arc::new(tls)
        });
        endpoint.tls = tls.is_some();
        let protobuf = HeaderValue::from_static("application/x-protobuf");
        let mut headers: HeaderMap = collector.headers.iter().cloned().collect();
        headers.insert(CONTENT_TYPE, protobuf);
        headers.insert(USER_AGENT, HeaderValue::from_static("davgate"));
        if let Ok(host) = HeaderValue::from_str(&endpoint.authority()) {
            headers.insert(HOST, host);
        }
        Ok(Self {
            endpoint,
            tls,
            path: collector.path.clone(),
            headers,
            deadline: collector.timeout,
        })
    }

    /// Sends one batch.
    pub(super) async fn send(&self, body: Vec<u8>) -> Result<ExportResponse, RpcError> {
        match tokio::time::timeout(self.deadline, self.exchange(body)).await {
            Ok(answer) => answer,
            Err(_) => Err(RpcError::Timeout {
                service: self.endpoint.to_string(),
                after: self.deadline,
            }),
        }
    }

    async fn exchange(&self, body: Vec<u8>) -> Result<ExportResponse, RpcError> {
        let service = self.endpoint.to_string();
        let unreachable = |error: &dyn std::error::Error| RpcError::Unreachable {
            service: service.clone(),
            detail: error.to_string(),
        };
        let io = connect(self.endpoint.place.clone(), self.tls.clone())
            .await
            .map_err(|error| unreachable(&error))?;
        let (mut sender, connection) = http1::handshake(io)
            .await
            .map_err(|error| unreachable(&error))?;
        let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
        let mut request = Request::post(self.path.as_str())
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| RpcError::unusable(&service, error.to_string()))?;
        *request.headers_mut() = self.headers.clone();
        let answer = sender
            .send_request(request)
            .await
            .map_err(|error| unreachable(&error))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(RpcError::Failed {
                service,
                detail: status.to_string(),
            });
        }
        let body = Limited::new(answer.into_body(), MAX_ANSWER)
            .collect()
            .await
            .map_err(|error| RpcError::unusable(&service, error.to_string()))?
            .to_bytes();
        ExportResponse::decode(body)
            .map_err(|error| RpcError::unusable(&service, error.to_string()))
    }
}
