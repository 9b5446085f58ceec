//! Connections to gRPC services: one per node, opened when first used, opened again when broken, none asked for ever.

use std::collections::HashMap;
use std::error::Error as _;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::uri::PathAndQuery;
use prost::Message;
use rustls::ClientConfig;
use tokio::time::Instant;
use tonic::client::Grpc;
use tonic::metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use super::RpcError;
use super::connect::{self, TlsError};
use crate::config::deployment::GrpcTls;
use crate::model::Place;
use crate::services::{Address, Directory};
use crate::telemetry::traces::Calling;

/// The connections of the process. Clones share them.
#[derive(Clone)]
pub struct Channels {
    inner: Arc<Inner>,
}

struct Inner {
    directory: Directory,
    tls: Option<Arc<ClientConfig>>,
    lines: Mutex<HashMap<Place, Line>>,
    turn: AtomicUsize,
}

/// The connection to one node, and how it fared.
struct Line {
    channel: Channel,
    failures: u32,
    not_before: Instant,
}

/// One call. Every method that is called is safe to repeat.
#[derive(Debug)]
pub(super) struct Call<'a, Q> {
    /// Who is called.
    pub(super) service: &'a Address,
    /// `/package.Service/Method`.
    pub(super) path: PathAndQuery,
    /// What is asked.
    pub(super) message: Q,
    /// What goes with it; a value that is no header value is an error of ours.
    pub(super) metadata: Vec<(&'a str, &'a str)>,
    /// How long it may take, connecting included.
    pub(super) deadline: Duration,
}

/// Largest answer: what the deployment's own services allow each other (docs/design/contract.md 1.1).
const MAX_MESSAGE: usize = 10_240_000;
/// Time for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// First pause after a node failed twice in a row.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Longest pause, so that a service that is back is used within seconds.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// A call is sent at most so often.
const ATTEMPTS: u32 = 2;

impl Channels {
    /// Connections to wherever `directory` says, with TLS as the configuration wants it. Blocks on the file of authorities.
    ///
    /// # Errors
    /// If the authorities cannot be read.
    pub fn new(directory: Directory, tls: &GrpcTls) -> Result<Self, TlsError> {
        Ok(Self {
            inner: Arc::new(Inner {
                directory,
                tls: connect::client(tls)?,
                lines: Mutex::default(),
                turn: AtomicUsize::new(0),
            }),
        })
    }

    /// Sends the call and waits for its one answer.
    ///
    /// # Errors
    /// See [`RpcError`]: nothing is known then about what was asked.
    pub(super) async fn unary<Q, A>(&self, call: Call<'_, Q>) -> Result<A, RpcError>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let Some(calling) = Calling::begin() else {
            return self.answer(call).await;
        };
        let (path, context) = (call.path.clone(), calling.context.text());
        let mut metadata = call.metadata;
        metadata.push(("traceparent", &context));
        let answer = self.answer(Call { metadata, ..call }).await;
        calling.end(
            || format!("rpc {path}"),
            answer.is_err().then_some("failed"),
        );
        answer
    }

    async fn answer<Q, A>(&self, call: Call<'_, Q>) -> Result<A, RpcError>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let until = Instant::now() + call.deadline;
        let metadata = metadata(&call)?;
        let mut attempt = 1;
        loop {
            let (node, channel) = self.line(call.service)?;
            let mut request = Request::from_parts(
                metadata.clone(),
                tonic::Extensions::default(),
                call.message.clone(),
            );
            let left = until.saturating_duration_since(Instant::now());
            request.set_timeout(left);
            let sent = tokio::time::timeout(left, send(channel, request, call.path.clone()));
            let error = match sent.await {
                Ok(Ok(answer)) => {
                    self.succeeded(&node);
                    return Ok(answer);
                }
                Ok(Err(status)) => of_status(call.service, &status, call.deadline),
                Err(_) => RpcError::Timeout {
                    service: label(call.service),
                    after: call.deadline,
                },
            };
            match &error {
                // It may be a connection that leads nowhere any more.
                RpcError::Timeout { .. } => self.forget(&node),
                error if error.is_of_the_connection() => self.failed(&node),
                _ => self.succeeded(&node),
            }
            if !error.is_of_the_connection() || attempt == ATTEMPTS {
                return Err(error);
            }
            attempt += 1;
        }
    }

    /// The next node in turn that need not be spared, with its connection.
    fn line(&self, service: &Address) -> Result<(Place, Channel), RpcError> {
        let nodes = self.inner.directory.endpoints_of(service);
        if nodes.is_empty() {
            return Err(RpcError::NoNode {
                service: label(service),
            });
        }
        let first = self.inner.turn.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        let mut lines = self.lines();
        let mut wait = Duration::MAX;
        for offset in 0..nodes.len() {
            let node = &nodes[first.wrapping_add(offset) % nodes.len()].place;
            match lines.get(node) {
                Some(line) if now < line.not_before => wait = wait.min(line.not_before - now),
                Some(line) => return Ok((node.clone(), line.channel.clone())),
                None => {
                    let channel = self.open(service, node)?;
                    forget_unknown(&mut lines, now);
                    let line = Line {
                        channel: channel.clone(),
                        failures: 0,
                        not_before: now,
                    };
                    lines.insert(node.clone(), line);
                    return Ok((node.clone(), channel));
                }
            }
        }
        Err(RpcError::Unreachable {
            service: label(service),
            detail: format!(
                "it failed a moment ago; tried again in {} ms",
                wait.as_millis()
            ),
        })
    }

    /// Connects when first used, and again when it broke. Has to be called on a runtime.
    fn open(&self, service: &Address, node: &Place) -> Result<Channel, RpcError> {
        let authority = match node {
            Place::Tcp { .. } => node.to_string(),
            Place::Unix(_) => "localhost".to_owned(),
        };
        let tls = self.inner.tls.clone();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let unusable = |error: tonic::transport::Error| RpcError::Unreachable {
            service: label(service),
            detail: format!("address {node}: {error}"),
        };
        let endpoint = Endpoint::from_shared(format!("{scheme}://{authority}"))
            .and_then(|endpoint| endpoint.user_agent("davgate"))
            .map_err(unusable)?
            .connect_timeout(CONNECT_TIMEOUT);
        let node = node.clone();
        let connector =
            tower::service_fn(move |_: http::Uri| connect::connect(node.clone(), tls.clone()));
        Ok(endpoint.connect_with_connector_lazy(connector))
    }

    fn succeeded(&self, node: &Place) {
        if let Some(line) = self.lines().get_mut(node) {
            line.failures = 0;
        }
    }

    /// The first failure costs nothing: a service that restarted is there again. From the second on the node is spared.
    fn failed(&self, node: &Place) {
        let now = Instant::now();
        if let Some(line) = self.lines().get_mut(node)
            && now >= line.not_before
        {
            line.not_before = now + pause(line.failures);
            line.failures = line.failures.saturating_add(1);
        }
    }

    fn forget(&self, node: &Place) {
        self.lines().remove(node);
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<Place, Line>> {
        self.inner
            .lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channels")
            .field("nodes", &self.lines().len())
            .finish_non_exhaustive()
    }
}

/// Pods come and go with new addresses: connections of gone ones are dropped when there are many.
const MANY: usize = 64;

fn forget_unknown(lines: &mut HashMap<Place, Line>, now: Instant) {
    if lines.len() >= MANY {
        lines.retain(|_, line| line.failures == 0 && line.not_before <= now);
    }
    if lines.len() >= MANY {
        lines.clear();
    }
}

fn pause(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        n => FIRST_PAUSE
            .saturating_mul(1 << (n - 1).min(10))
            .min(LONGEST_PAUSE),
    }
}

async fn send<Q, A>(channel: Channel, request: Request<Q>, path: PathAndQuery) -> Result<A, Status>
where
    Q: Message + 'static,
    A: Message + Default + 'static,
{
    let mut grpc = Grpc::new(channel).max_decoding_message_size(MAX_MESSAGE);
    grpc.ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let codec = ProstCodec::<Q, A>::default();
    Ok(grpc.unary(request, path, codec).await?.into_inner())
}

/// A status that the server sent has no source; one that our side made has. Ours says "cancelled" of a call whose time is
/// over, and of one whose connection ended before it was sent: the second may be sent again.
fn of_status(service: &Address, status: &Status, deadline: Duration) -> RpcError {
    let is_ours = status.source().is_some();
    let service = label(service);
    match status.code() {
        Code::Cancelled if is_ours && !is_late(status) => RpcError::Unreachable {
            service,
            detail: deepest(status),
        },
        Code::Cancelled | Code::DeadlineExceeded | Code::OutOfRange => {
            RpcError::of_status(&service, status, deadline)
        }
        _ if is_ours => RpcError::Unreachable {
            service,
            detail: deepest(status),
        },
        _ => RpcError::of_status(&service, status, deadline),
    }
}

/// The channel's own timer ended the call.
fn is_late(status: &Status) -> bool {
    let mut source = status.source();
    while let Some(error) = source {
        if error.is::<tonic::TimeoutExpired>() {
            return true;
        }
        source = error.source();
    }
    false
}

/// The outer errors say "transport error"; the innermost says what it was.
fn deepest(status: &Status) -> String {
    let mut error: &dyn std::error::Error = status;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

fn metadata<Q>(call: &Call<'_, Q>) -> Result<MetadataMap, RpcError> {
    let mut map = MetadataMap::new();
    for (name, value) in &call.metadata {
        let mut value: MetadataValue<Ascii> = value.parse().map_err(|_| {
            RpcError::unusable(&label(call.service), format!("{name} is no header value"))
        })?;
        value.set_sensitive(true);
        let key = MetadataKey::from_bytes(name.as_bytes());
        let key = key.map_err(|_| {
            RpcError::unusable(&label(call.service), format!("{name} is no header's name"))
        })?;
        map.insert(key, value);
    }
    Ok(map)
}

/// How a service is called in messages.
pub(super) fn label(service: &Address) -> String {
    match service {
        Address::Service(name) => name.to_string(),
        Address::Endpoint(endpoint) => endpoint.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_fails_is_spared_for_longer_and_longer_but_never_for_long() {
        let pauses: Vec<u128> = (0..9).map(|n| pause(n).as_millis()).collect();
        assert_eq!(pauses, [0, 50, 100, 200, 400, 800, 1_600, 2_000, 2_000]);
        assert_eq!(pause(u32::MAX), LONGEST_PAUSE);
    }
    /// What the library makes of an error of its own.
    fn told(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> RpcError {
        let service = Address::parse("127.0.0.1:1").unwrap();
        let status = Status::from_error(error.into());
        of_status(&service, &status, Duration::from_secs(5))
    }

    #[tokio::test]
    async fn a_call_whose_connection_ended_before_it_was_sent_is_not_late() {
        let (ours, theirs) = tokio::io::duplex(1024);
        let io = hyper_util::rt::TokioIo::new(ours);
        let executor = hyper_util::rt::TokioExecutor::new();
        let made = hyper::client::conn::http2::handshake(executor, io).await;
        let (mut sender, connection) = made.unwrap();
        drop((connection, theirs));
        let request = http::Request::new(http_body_util::Empty::<bytes::Bytes>::new());
        let error = sender.send_request(request).await.unwrap_err();
        assert!(error.is_canceled(), "{error:?}");
        let error = told(error);
        assert!(matches!(error, RpcError::Unreachable { .. }), "{error:?}");
        assert!(error.is_of_the_connection());
    }

    #[test]
    fn a_call_whose_time_is_over_is_late_whoever_says_so() {
        let service = Address::parse("127.0.0.1:1").unwrap();
        let by_the_server = Status::cancelled("context canceled");
        let by_the_server = of_status(&service, &by_the_server, Duration::from_secs(5));
        for error in [told(tonic::TimeoutExpired(())), by_the_server] {
            assert!(matches!(error, RpcError::Timeout { .. }), "{error:?}");
        }
    }
}
