//! A gRPC server of unary calls, by hand over HTTP/2.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::proto::{Fields, Message};

/// What came.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// `/package.Service/Method`.
    pub(crate) path: String,
    pub(crate) message: Fields,
    /// Its bytes.
    pub(crate) bytes: Bytes,
    pub(crate) metadata: HashMap<String, String>,
}

impl Call {
    pub(crate) fn method(&self) -> &str {
        self.path.rsplit('/').next().unwrap()
    }
}

/// A gRPC status that is not OK.
#[derive(Debug, Clone)]
pub(crate) struct Status(pub(crate) u16, pub(crate) String);

pub(crate) type Answer = Result<Message, Status>;

/// A server that runs until it is dropped; then its connections break too.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Serves on this port; 0 takes a free one.
    pub(crate) async fn start<F, A>(port: u16, answer: F) -> Self
    where
        F: Fn(Call) -> A + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        // The port of a server that was just dropped is free in a moment.
        let bound = async {
            loop {
                match TcpListener::bind(("127.0.0.1", port)).await {
                    Ok(listener) => break listener,
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        let bound = tokio::time::timeout(Duration::from_secs(10), bound);
        let listener = bound.await.unwrap();
        let addr = listener.local_addr().unwrap();
        let answer = Arc::new(answer);
        let task = tokio::spawn(async move {
            // Dropped with this task, and the connections with it.
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    continue;
                };
                let answer = Arc::clone(&answer);
                connections.spawn(async move {
                    let service = service_fn(move |request| serve(request, Arc::clone(&answer)));
                    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { addr, task }
    }
}

type Body =
    StreamBody<futures_util::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>;

async fn serve<F, A>(
    request: Request<Incoming>,
    answer: Arc<F>,
) -> Result<Response<Body>, Infallible>
where
    F: Fn(Call) -> A,
    A: Future<Output = Answer>,
{
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return Ok(respond(Err(Status(13, "the request was cut".to_owned()))));
    };
    let mut body = body.to_bytes();
    let metadata = parts.headers.iter();
    let metadata = metadata
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or("").to_owned()))
        .collect();
    let message = (body.len() >= 5).then(|| {
        body.advance(5);
        Fields::read(&body)
    });
    let answered = match message.flatten() {
        None => Err(Status(
            13,
            "grpc: error unmarshalling request: proto: cannot parse invalid wire-format data"
                .to_owned(),
        )),
        Some(message) => {
            answer(Call {
                path: parts.uri.path().to_owned(),
                message,
                bytes: body,
                metadata,
            })
            .await
        }
    };
    Ok(respond(answered))
}

fn respond(answer: Answer) -> Response<Body> {
    let mut frames = Vec::new();
    let mut trailers = HeaderMap::new();
    match answer {
        Ok(message) => {
            let mut framed = BytesMut::new();
            framed.put_u8(0);
            framed.put_u32(message.0.len() as u32);
            framed.extend_from_slice(&message.0);
            frames.push(Ok(Frame::data(framed.freeze())));
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
        }
        Err(Status(code, text)) => {
            trailers.insert("grpc-status", HeaderValue::from(code));
            let text = text.replace('%', "%25").replace('\n', "%0A");
            trailers.insert("grpc-message", HeaderValue::from_str(&text).unwrap());
        }
    }
    frames.push(Ok(Frame::trailers(trailers)));
    Response::builder()
        .header("content-type", "application/grpc")
        .body(StreamBody::new(futures_util::stream::iter(frames)))
        .unwrap()
}
