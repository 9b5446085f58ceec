//! A collector of traces that takes them by gRPC and by HTTP, and reads them by OpenTelemetry's own messages.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::deployment::grpc::{self, Server};
use super::deployment::proto::Message;
use super::until;

/// What came so far.
#[derive(Debug, Default)]
struct Came {
    spans: Vec<Span>,
    resource: HashMap<String, String>,
    metadata: HashMap<String, String>,
}

impl Came {
    fn take(&mut self, bytes: Bytes, metadata: HashMap<String, String>) {
        let request = ExportTraceServiceRequest::decode(bytes).unwrap();
        for of_resource in request.resource_spans {
            self.resource = texts(&of_resource.resource.unwrap().attributes);
            let scopes = of_resource.scope_spans;
            self.spans
                .extend(scopes.into_iter().flat_map(|scope| scope.spans));
        }
        self.metadata = metadata;
    }
}

/// A collector. Ends when dropped.
pub(crate) struct Collector {
    pub(crate) addr: SocketAddr,
    came: Arc<Mutex<Came>>,
    _grpc: Option<Server>,
    http: Option<JoinHandle<()>>,
}

impl Collector {
    /// By gRPC.
    pub(crate) async fn grpc() -> Self {
        Self::grpc_on(0).await
    }

    pub(crate) async fn grpc_on(port: u16) -> Self {
        let came = Arc::<Mutex<Came>>::default();
        let into = Arc::clone(&came);
        let server = Server::start(port, move |call: grpc::Call| {
            assert_eq!(
                call.path,
                "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
            );
            into.lock().unwrap().take(call.bytes, call.metadata);
            async { Ok(Message(Vec::new())) }
        })
        .await;
        Self {
            addr: server.addr,
            came,
            _grpc: Some(server),
            http: None,
        }
    }

    /// By HTTP.
    pub(crate) async fn http() -> Self {
        let came = Arc::<Mutex<Came>>::default();
        let into = Arc::clone(&came);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let http = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let into = Arc::clone(&into);
                let service = service_fn(move |request| posted(request, Arc::clone(&into)));
                tokio::spawn(async move {
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self {
            addr,
            came,
            _grpc: None,
            http: Some(http),
        }
    }

    /// So many spans, once they came.
    pub(crate) async fn spans(&self, count: usize) -> Vec<Span> {
        until("the spans come", || {
            self.came.lock().unwrap().spans.len() >= count
        })
        .await;
        let spans = self.came.lock().unwrap().spans.clone();
        assert_eq!(spans.len(), count, "{spans:#?}");
        spans
    }

    /// What came until now.
    pub(crate) fn so_far(&self) -> Vec<Span> {
        self.came.lock().unwrap().spans.clone()
    }

    /// Who sent them.
    pub(crate) fn resource(&self, name: &str) -> String {
        self.came.lock().unwrap().resource[name].clone()
    }

    /// Header of the last batch.
    pub(crate) fn header(&self, name: &str) -> String {
        self.came.lock().unwrap().metadata[name].clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if let Some(http) = &self.http {
            http.abort();
        }
    }
}

async fn posted(
    request: Request<Incoming>,
    into: Arc<Mutex<Came>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let headers = head.headers.iter();
    let mut metadata: HashMap<String, String> = headers
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    metadata.insert(":path".to_owned(), head.uri.path().to_owned());
    let body = body.collect().await.unwrap().to_bytes();
    into.lock().unwrap().take(body, metadata);
    Ok(Response::new(Full::default()))
}

/// Attributes as texts.
pub(crate) fn texts(attributes: &[KeyValue]) -> HashMap<String, String> {
    attributes
        .iter()
        .map(|pair| {
            let Some(AnyValue { value: Some(value) }) = &pair.value else {
                panic!("{pair:?}");
            };
            let text = match value {
                Value::StringValue(text) => text.clone(),
                Value::IntValue(number) => number.to_string(),
                other => panic!("{other:?}"),
            };
            (pair.key.clone(), text)
        })
        .collect()
}

/// An id as it is written.
pub(crate) fn hex(id: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(id)
}
