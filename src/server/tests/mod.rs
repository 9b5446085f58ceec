mod drain;
mod fuzz;
mod http2;
mod limits;
mod tls;
mod transfers;
mod unreadable;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::*;
use crate::config::Flavor;
use crate::telemetry::Metrics;

type TestBody = UnsyncBoxBody<Bytes, BoxError>;

/// Answers by path; the same for all tests.
struct Echo;

impl Handler for Echo {
    type Body = TestBody;

    async fn handle(
        &self,
        connection: &Rc<Connection>,
        request: Request<RequestBody>,
    ) -> Response<TestBody> {
        match request.uri().path() {
            "/upload" => match request.into_body().collect().await {
                Ok(body) => text(format!("{} bytes", body.to_bytes().len())),
                Err(_) => status(400),
            },
            "/stream" => {
                let mut response = Response::new(endless().boxed_unsync());
                response.extensions_mut().insert(Stream);
                response
            }
            "/endless" => Response::new(large().boxed_unsync()),
            "/tunnel" => tunnel(connection, request),
            "/looks-bare" => unreadable::looks_bare(),
            "/panic" => panic!("the test wants it"),
            "/refused" => status(401),
            _ => text(format!("{:?} tls={}", connection.protocol, connection.tls)),
        }
    }

    fn answer_to_panic(&self) -> Option<Response<TestBody>> {
        Some(status(500))
    }
}

fn text(text: String) -> Response<TestBody> {
    Response::new(Full::from(text).map_err(Into::into).boxed_unsync())
}

fn status(code: u16) -> Response<TestBody> {
    let mut response = text(String::new());
    *response.status_mut() = http::StatusCode::from_u16(code).unwrap();
    response
}

/// One event, then silence.
fn endless()
-> StreamBody<impl futures_util::Stream<Item = Result<http_body::Frame<Bytes>, BoxError>>> {
    let event = http_body::Frame::data(Bytes::from_static(b"data: 1\n\n"));
    StreamBody::new(futures_util::StreamExt::chain(
        futures_util::stream::iter([Ok(event)]),
        futures_util::stream::pending(),
    ))
}

/// More than anybody reads.
fn large() -> StreamBody<impl futures_util::Stream<Item = Result<http_body::Frame<Bytes>, BoxError>>>
{
    let piece = Bytes::from_static(&[b'x'; 64 * 1024]);
    StreamBody::new(futures_util::stream::iter(
        std::iter::repeat_with(move || Ok(http_body::Frame::data(piece.clone()))).take(1 << 20),
    ))
}

/// Sends back what comes in, until the drain's end for streams.
fn tunnel(connection: &Rc<Connection>, mut request: Request<RequestBody>) -> Response<TestBody> {
    let open = connection.drain.count();
    let ends = connection.drain.streams_end();
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::task::spawn_local(async move {
        let _open = open;
        let Ok(upgraded) = upgrade.await else { return };
        let (mut read, mut write) = tokio::io::split(TokioIo::new(upgraded));
        tokio::select! {
            _ = tokio::io::copy(&mut read, &mut write) => {}
            () = ends.cancelled() => {}
        }
    });
    Response::builder()
        .status(101)
        .header("upgrade", "echo")
        .header("connection", "upgrade")
        .body(text(String::new()).into_body())
        .unwrap()
}

struct Fixture {
    addr: SocketAddr,
    drain: Drain,
    workers: Vec<JoinHandle<()>>,
    metrics: Metrics,
}

impl Fixture {
    fn start(workers: usize, timeouts: Timeouts) -> Self {
        Self::start_with(workers, timeouts, None, |_| {})
    }

    fn start_with(
        workers: usize,
        timeouts: Timeouts,
        tls: Option<Arc<rustls::ServerConfig>>,
        change: impl FnOnce(&mut Http),
    ) -> Self {
        let drain = Drain::new(Duration::from_secs(20), Duration::from_millis(300));
        let mut config = http_config(workers);
        change(&mut config);
        let shared = Shared::new(&config, tls, drain.clone()).with_timeouts(timeouts);
        let metrics = Metrics::new(Flavor::OpenCloud, "0", workers, Arc::<AtomicU64>::default());
        let listener = listen("127.0.0.1:0".parse().unwrap(), None).unwrap();
        let addr = listener.local_addr().unwrap();
        let workers = (0..workers)
            .map(|index| {
                let listener = listener.try_clone().unwrap();
                spawn_worker(
                    index,
                    listener,
                    shared.clone(),
                    metrics.worker(index),
                    || Echo,
                )
                .unwrap()
            })
            .collect();
        Self {
            addr,
            drain,
            workers,
            metrics,
        }
    }

    fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(self.addr).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        socket
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.drain.end();
        for worker in self.workers.drain(..) {
            worker.join().unwrap();
        }
    }
}

pub(super) fn http_config(workers: usize) -> Http {
    Http {
        addr: "127.0.0.1:0".parse().unwrap(),
        root: "/".into(),
        tls: false,
        tls_cert: "tls.crt".into(),
        tls_key: "tls.key".into(),
        tls_files_set: false,
        public_url: "https://cloud.example.org".parse().unwrap(),
        trusted_proxies: Vec::new(),
        workers,
        shutdown_timeout: Duration::from_secs(20),
        shutdown_stream_timeout: Duration::from_millis(300),
        options_require_auth: false,
        forward_authorization: false,
        force_hsts: false,
        transfer_idle_timeout: Duration::from_secs(60),
        max_connections: None,
        max_connections_per_address: None,
        agent_challenges: Vec::new(),
    }
}

/// Limits so long that none fires in a test, but for those that the test makes short.
fn long() -> Timeouts {
    let minute = Duration::from_secs(60);
    Timeouts {
        first_byte: minute,
        header: minute,
        idle: minute,
        handshake: minute,
        transfer: minute,
    }
}

const SHORT: Duration = Duration::from_millis(200);

/// The limit fired, and not long before its time: the sweep's clock is up to an eighth behind.
fn assert_fired(lasted: Duration) {
    assert!(lasted >= SHORT - SHORT / 4, "{lasted:?}");
    assert!(lasted < Duration::from_secs(8), "{lasted:?}");
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(20), "not yet: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// Reads one response with a Content-Length.
fn response(socket: &mut TcpStream) -> String {
    let mut read = Vec::new();
    let mut byte = [0];
    while !read.ends_with(b"\r\n\r\n") {
        assert_eq!(socket.read(&mut byte).unwrap(), 1, "closed in the header");
        read.push(byte[0]);
    }
    let head = String::from_utf8(read).unwrap().to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    socket.read_exact(&mut body).unwrap();
    head + std::str::from_utf8(&body).unwrap()
}

/// Everything until the other side closes; a reset is an end as well.
fn rest(socket: &mut TcpStream) -> Vec<u8> {
    let mut read = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match socket.read(&mut chunk) {
            Ok(0) => return read,
            Ok(n) => read.extend_from_slice(&chunk[..n]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return read,
            Err(error) => panic!("the connection stays open: {error}"),
        }
    }
}

fn closed_after(socket: &mut TcpStream) -> Duration {
    let began = Instant::now();
    rest(socket);
    began.elapsed()
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn pipelined_requests_are_answered_in_order_on_one_connection() {
    let server = Fixture::start(1, Timeouts::default());
    let mut socket = server.connect();
    socket
        .write_all(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    assert!(response(&mut socket).ends_with("3 bytes"));
    assert!(response(&mut socket).ends_with("Http1 tls=false"));
}

#[test]
fn http2_with_prior_knowledge_is_served_beside_http1_on_the_same_port() {
    let server = Fixture::start(1, Timeouts::default());
    block_on(async {
        let socket = tokio::net::TcpStream::connect(server.addr).await.unwrap();
        let (mut client, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(socket))
                .await
                .unwrap();
        tokio::spawn(connection);
        let request = Request::get("http://a/")
            .body(Full::<Bytes>::default())
            .unwrap();
        let body = client.send_request(request).await.unwrap().into_body();
        let body = body.collect().await.unwrap().to_bytes();
        assert_eq!(body, "Http2 tls=false");
    });
    let mut socket = server.connect();
    socket.write_all(GET).unwrap();
    assert!(response(&mut socket).ends_with("Http1 tls=false"));
}

#[test]
fn a_preface_that_comes_in_pieces_is_still_recognised() {
    let server = Fixture::start(1, Timeouts::default());
    let mut socket = server.connect();
    socket.set_nodelay(true).unwrap();
    for piece in [&b"PRI * HT"[..], b"TP/2.0\r\n\r\nSM", b"\r\n\r\n"] {
        socket.write_all(piece).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    socket.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).unwrap();
    let mut header = [0; 9];
    socket.read_exact(&mut header).unwrap();
    assert_eq!(header[3], 4, "the server's SETTINGS frame");
    let mut socket = server.connect();
    socket.write_all(b"PRO").unwrap();
    std::thread::sleep(Duration::from_millis(20));
    socket
        .write_all(b"PFIND / HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    assert!(response(&mut socket).starts_with("http/1.1 200"));
}

#[test]
fn f33_a_panic_costs_only_its_own_request() {
    let server = Fixture::start(1, Timeouts::default());
    let mut other = server.connect();
    other.write_all(GET).unwrap();
    response(&mut other);
    let mut socket = server.connect();
    socket
        .write_all(b"GET /panic HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    assert!(response(&mut socket).starts_with("http/1.1 500"));
    other.write_all(GET).unwrap();
    assert!(response(&mut other).starts_with("http/1.1 200"));
}

#[test]
fn connections_spread_over_the_workers() {
    let server = Fixture::start(3, Timeouts::default());
    let mut sockets: Vec<_> = (0..30).map(|_| server.connect()).collect();
    for socket in &mut sockets {
        socket.write_all(GET).unwrap();
        response(socket);
    }
    for index in 0..3 {
        let held = server.metrics.worker(index).connections();
        assert!((4..=20).contains(&held), "worker {index} holds {held}");
    }
}
