//! Transfers of which nothing moves are cut on both sides and told; early refusals reach clients that read last.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::Request;
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::backend::FakeBackend;
use crate::support::client::CallBody;
use crate::support::gateway::{Builder, TestGateway};
use crate::support::until;
use crate::support::world::World;

const PATIENCE: Duration = Duration::from_secs(20);
const LIMIT: (&str, &str) = ("PROXY_TRANSFER_IDLE_TIMEOUT", "400ms");

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, future).await;
    done.unwrap_or_else(|_| panic!("never: {what}"))
}

/// A backend whose connections the test speaks on by itself, behind an open route.
struct Silent {
    listener: TcpListener,
    gateway: TestGateway,
}

impl Silent {
    async fn start(settings: impl FnOnce(Builder) -> Builder) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let backend = format!("http://{}", listener.local_addr().unwrap());
        let route =
            json!({"endpoint": "/", "backend": backend, "unprotected": true, "identity": "none"});
        let builder = TestGateway::new()
            .var("PROXY_OIDC_ISSUER", "http://127.0.0.1:1")
            .var(LIMIT.0, LIMIT.1)
            .raw_route(route);
        let gateway = settings(builder).spawn().await;
        Self { listener, gateway }
    }

    /// A client that has sent this, and the backend's connection after its head.
    async fn exchange(&self, sent: &[u8]) -> (TcpStream, TcpStream) {
        let mut client = TcpStream::connect(self.gateway.addr).await.unwrap();
        client.write_all(sent).await.unwrap();
        let accepted = within("a backend connection", self.listener.accept()).await;
        let mut backend = accepted.unwrap().0;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(within("a head", backend.read_u8()).await.unwrap());
        }
        (client, backend)
    }

    async fn ends(&self, mut client: TcpStream, mut backend: TcpStream) {
        within("the client's end", drained(&mut client)).await;
        within("the backend's end", drained(&mut backend)).await;
    }

    /// How often the log says of requests for `path` that they were cut: in the access line and in one of its own.
    async fn told(self, path: &str, times: usize) {
        let lines = self.gateway.log_lines("transfer_idle");
        let of_path = lines.iter().filter(|line| line["path"] == path);
        let ids: Vec<_> = of_path.map(|line| &line["request-id"]).collect();
        assert_eq!(ids.len(), times, "{lines:?}");
        let warned = |id: &serde_json::Value| {
            let mut lines = lines.iter();
            lines.any(|line| line["level"] == "warn" && line["request-id"] == *id)
        };
        assert!(ids.into_iter().all(warned), "{lines:?}");
        self.gateway.stop().await;
    }
}

/// Reads until the other side ends, by a close or a reset.
async fn drained(socket: &mut TcpStream) {
    let mut buffer = vec![0; 65_536];
    while matches!(socket.read(&mut buffer).await, Ok(1..)) {}
}

/// As much as fits into the sockets on the way.
async fn fill(socket: &mut TcpStream) {
    let block = vec![b'x'; 65_536];
    let pause = Duration::from_millis(200);
    while let Ok(Ok(())) = tokio::time::timeout(pause, socket.write_all(&block)).await {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f19_and_f27_whatever_side_rests_both_are_cut_and_the_log_says_so() {
    let silent = Silent::start(|gateway| gateway).await;
    let put = b"PUT /rests HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n";
    let get = b"GET /rests HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n";

    // A client that stops.
    let (client, backend) = silent.exchange(put).await;
    silent.ends(client, backend).await;
    // A backend that reads no further.
    let (mut client, backend) = silent.exchange(put).await;
    fill(&mut client).await;
    silent.ends(client, backend).await;
    // A backend that stops in the middle of its answer.
    let (client, mut backend) = silent.exchange(get).await;
    backend.write_all(answer).await.unwrap();
    backend.write_all(b"abc").await.unwrap();
    silent.ends(client, backend).await;
    // A client that reads no further.
    let (client, mut backend) = silent.exchange(get).await;
    backend.write_all(answer).await.unwrap();
    fill(&mut backend).await;
    silent.ends(client, backend).await;
    silent.told("/rests", 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f19_and_f27_what_moves_is_not_cut_however_slowly() {
    let silent = Silent::start(|gateway| gateway).await;
    let pause = Duration::from_millis(100);
    let put = b"PUT /moves HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n";
    let (mut client, mut backend) = silent.exchange(put).await;
    for _ in 0..20 {
        client.write_all(b"x").await.unwrap();
        tokio::time::sleep(pause).await;
    }
    let mut body = [0; 20];
    within("the body", backend.read_exact(&mut body))
        .await
        .unwrap();
    let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    // A backend may take its time before it answers: that is another limit's.
    tokio::time::sleep(8 * pause).await;
    backend.write_all(answer).await.unwrap();
    for _ in 0..20 {
        backend.write_all(b"1\r\ny\r\n").await.unwrap();
        tokio::time::sleep(pause).await;
    }
    backend.write_all(b"0\r\n\r\n").await.unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"0\r\n\r\n") {
        seen.push(within("the answer", client.read_u8()).await.unwrap());
    }
    silent.told("/moves", 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f27_a_user_whose_upload_stops_is_cut_on_both_protocols() {
    let world = World::set(&[LIMIT]).await;
    let token = world.issuer.token("mara").sign();
    for expects in [false, true] {
        let mut head = format!(
            "PUT /files/a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nAuthorization: Bearer {token}\r\n"
        );
        if expects {
            head += "Expect: 100-continue\r\n";
        }
        let mut client = TcpStream::connect(world.gateway.addr).await.unwrap();
        client.write_all(head.as_bytes()).await.unwrap();
        client.write_all(b"\r\n").await.unwrap();
        within("the end", drained(&mut client)).await;
        let seen = within("the backend's end", world.backend.next_request()).await;
        assert!(seen.body.cut, "{seen:?}");
    }
    let body = http_body_util::StreamBody::new(futures_util::stream::pending());
    let body = http_body_util::BodyExt::boxed(body);
    let call = world.gateway.call("PUT", "/files/a").bearer(&token).h2();
    let answer = within("the reset", call.stream(body).try_open()).await;
    assert!(answer.is_err(), "{answer:?}");
    world.gateway.stop().await;
}

/// A client like Python's `http.client`: it sends everything, then reads.
async fn send_first(world: &World, head: &str, mib: usize) -> String {
    let mut client = TcpStream::connect(world.gateway.addr).await.unwrap();
    let length = mib << 20;
    let head = format!("{head}Host: a\r\nContent-Length: {length}\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    let block = vec![b'x'; 1 << 20];
    for _ in 0..mib {
        within("a write", client.write_all(&block)).await.unwrap();
    }
    let mut answer = vec![0; 65_536];
    let read = within("an answer", client.read(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f17_and_row_28_early_refusals_reach_clients_that_send_first_and_read_last() {
    let world = World::new().await;
    let token = world.issuer.token("mara").sign();
    for mib in [1, 24] {
        let answer = send_first(&world, "PUT /files/a HTTP/1.1\r\n", mib).await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        world.backend.saw_nothing();
    }
    world.backend.takes_over(|_| async {
        let mut answer = crate::support::backend::reply("full");
        *answer.status_mut() = http::StatusCode::INSUFFICIENT_STORAGE;
        answer
    });
    let head = format!("PUT /files/a HTTP/1.1\r\nAuthorization: Bearer {token}\r\n");
    for mib in [1, 24] {
        let answer = send_first(&world, &head, mib).await;
        assert!(answer.starts_with("HTTP/1.1 507"), "{answer}");
    }
    world.gateway.stop().await;
}

#[tokio::test]
async fn rows_1_to_25_a_head_that_comes_late_is_looked_at_as_well() {
    let silent = Silent::start(|gateway| gateway).await;
    let odd = [
        "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        "GET /b HTTP/1.1\nHost: a\r\n\r\n",
        "GET /#b HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    let first = [
        "GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ];
    for first in first {
        for odd in odd {
            // While the first request runs.
            let (mut client, mut backend) = silent.exchange(first.as_bytes()).await;
            client.write_all(odd.as_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
            let answer = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
            backend.write_all(answer).await.unwrap();
            let mut seen = Vec::new();
            within("the end", client.read_to_end(&mut seen)).await.ok();
            let seen = String::from_utf8_lossy(&seen).into_owned();
            let statuses = seen.matches("HTTP/1.1 ").count();
            assert!(
                seen.starts_with("HTTP/1.1 204"),
                "{first:?} {odd:?}: {seen}"
            );
            assert!(
                statuses == 1 || seen.contains("HTTP/1.1 400"),
                "{first:?} {odd:?}: {seen}"
            );
        }
    }
    silent.gateway.stop().await;
}

/// A body of 64 MiB, and how many bytes of it were taken.
fn counted() -> (CallBody, Arc<AtomicU64>) {
    let taken = Arc::<AtomicU64>::default();
    let counter = Arc::clone(&taken);
    let pieces = (0..1024).map(move |_| {
        counter.fetch_add(65_536, Ordering::Relaxed);
        Ok(Frame::data(Bytes::from_static(&[b'x'; 65_536])))
    });
    let body = StreamBody::new(futures_util::stream::iter(pieces)).boxed();
    (body, taken)
}

/// More than stalled at once when three of them stopped a connection, and as much as a window each.
const STALLED: usize = 10;
const WINDOW: u64 = 4 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn issue_15_22_ten_uploads_that_nobody_reads_leave_the_connections_other_streams_alone() {
    // Accepts, and reads nothing.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let deaf = format!("http://{}", listener.local_addr().unwrap());
    let open = |endpoint: &str, backend: String| json!({"endpoint": endpoint, "backend": backend, "unprotected": true, "identity": "none"});
    let backend = FakeBackend::start().await;
    let gateway = TestGateway::new()
        .var("PROXY_OIDC_ISSUER", "http://127.0.0.1:1")
        .raw_route(open("/held/", deaf))
        .raw_route(open("/", backend.url()))
        .spawn()
        .await;
    let stream = TcpStream::connect(gateway.addr).await.unwrap();
    let client = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (sender, connection) = client.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let send = |path: &str, body: CallBody| {
        let mut sender = sender.clone();
        let request = Request::put(format!("http://cloud.example{path}"));
        let request = request.body(body).unwrap();
        async move { sender.send_request(request).await }
    };
    let mut taken = Vec::new();
    for number in 0..STALLED {
        let (body, counter) = counted();
        tokio::spawn(send(&format!("/held/{number}"), body));
        taken.push(counter);
    }
    until("ten full windows", || {
        taken
            .iter()
            .all(|taken| taken.load(Ordering::Relaxed) >= WINDOW)
    })
    .await;
    for _ in 0..3 {
        let (body, _) = counted();
        let answer = within("an upload beside them", send("/moves", body)).await;
        assert_eq!(answer.unwrap().status(), 200);
        assert_eq!(backend.the_request().body.bytes, 64 << 20);
    }
    drop(listener);
    gateway.stop().await;
}
