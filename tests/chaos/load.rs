//! Requests: all at once, or steadily beside a fault.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet};

use super::support::client::CLOUD;

/// The status of an answer and how long it took; 0 if there was none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) status: u16,
    pub(crate) took: Duration,
}

/// As many streams as the gateway lets run on a connection.
const STREAMS: usize = 100;

pub(crate) fn with_status(samples: &[Sample], status: u16) -> usize {
    samples
        .iter()
        .filter(|sample| sample.status == status)
        .count()
}

pub(crate) fn slowest(samples: &[Sample]) -> Duration {
    samples
        .iter()
        .map(|sample| sample.took)
        .max()
        .unwrap_or_default()
}

/// One request a token, all at the same time, over HTTP/2.
pub(crate) async fn burst(addr: SocketAddr, tokens: &[String]) -> Vec<Sample> {
    let mut connections = JoinSet::new();
    for tokens in tokens.chunks(STREAMS) {
        let bearers: Vec<_> = tokens
            .iter()
            .map(|token| format!("Bearer {token}"))
            .collect();
        connections.spawn(async move {
            let io = TokioIo::new(TcpStream::connect(addr).await.unwrap());
            let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
            tokio::spawn(connection);
            let mut streams = JoinSet::new();
            for bearer in bearers {
                let mut sender = sender.clone();
                streams.spawn(async move {
                    let start = Instant::now();
                    let request = Request::get(format!("http://{CLOUD}/files/a"))
                        .header("authorization", bearer)
                        .body(Empty::<Bytes>::new())
                        .unwrap();
                    sender.ready().await.unwrap();
                    let status = match sender.send_request(request).await {
                        Ok(answer) => {
                            let status = answer.status().as_u16();
                            answer.into_body().collect().await.map_or(0, |_| status)
                        }
                        Err(_) => 0,
                    };
                    let took = start.elapsed();
                    Sample { status, took }
                });
            }
            streams.join_all().await
        });
    }
    connections.join_all().await.concat()
}

/// Known users that go on while something else breaks.
pub(crate) struct Steady {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<Sample>>>,
}

impl Steady {
    /// A client a token, each with a connection of its own and 50 requests a second.
    pub(crate) fn start(addr: SocketAddr, tokens: &[String]) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let clients = tokens
            .iter()
            .map(|token| tokio::spawn(client(addr, format!("Bearer {token}"), Arc::clone(&stop))))
            .collect();
        Self { stop, clients }
    }

    pub(crate) async fn stop(self) -> Vec<Sample> {
        self.stop.store(true, Ordering::Relaxed);
        let mut samples = Vec::new();
        for client in self.clients {
            samples.extend(client.await.unwrap());
        }
        samples
    }
}

async fn client(addr: SocketAddr, bearer: String, stop: Arc<AtomicBool>) -> Vec<Sample> {
    let io = TokioIo::new(TcpStream::connect(addr).await.unwrap());
    let (mut sender, connection) = http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let mut samples = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let request = Request::get("/files/a")
            .header("host", CLOUD)
            .header("authorization", &bearer)
            .body(Empty::<Bytes>::new())
            .unwrap();
        let start = Instant::now();
        sender.ready().await.unwrap();
        let answer = sender.send_request(request).await.unwrap();
        let status = answer.status().as_u16();
        answer.into_body().collect().await.unwrap();
        let took = start.elapsed();
        samples.push(Sample { status, took });
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    samples
}
