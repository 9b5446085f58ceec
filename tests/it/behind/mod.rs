//! Behind other proxies: the lines of the pages below docs/behind, in the proxies themselves. What they have to leave alone,
//! and what they have to say, is asked of each in the same way.

mod fronts;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use self::fronts::{Front, NAME};
use crate::support::backend::{FakeBackend, ReplyBody, Told, full};
use crate::support::client::CallBody;
use crate::support::gateway::TestGateway;
use crate::support::issuer::FakeIssuer;
use crate::support::until;

const PATIENCE: Duration = Duration::from_secs(20);

/// Where the client is, so that it is not mistaken for the proxy.
const CLIENT: &str = "127.0.0.2";

/// A proxy, davgate behind it, a backend behind that.
struct Site {
    issuer: FakeIssuer,
    backend: FakeBackend,
    gateway: TestGateway,
    front: Front,
}

impl Site {
    async fn behind(start: fn(SocketAddr) -> Front) -> Self {
        let issuer = FakeIssuer::start().await;
        let backend = FakeBackend::told(Told::Headers).await;
        let gateway = TestGateway::new()
            .issuer(&issuer)
            // The settings of the page.
            .var("OC_URL", &format!("https://{NAME}"))
            .var("PROXY_TRUSTED_PROXIES", "127.0.0.1/32,::1/128")
            .route(
                "/files/",
                &backend,
                serde_json::json!({"path_names": "bytes"}),
            )
            .spawn()
            .await;
        let front = start(gateway.addr);
        front.is_up().await;
        Self {
            issuer,
            backend,
            gateway,
            front,
        }
    }

    /// A connection of its own from another address than the proxy's.
    async fn connect(&self) -> TlsStream<tokio::net::TcpStream> {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{CLIENT}:0").parse().unwrap()).unwrap();
        let stream = socket.connect(self.front.addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let name = ServerName::try_from(NAME).unwrap();
        let connector = TlsConnector::from(Arc::clone(&self.front.trust));
        connector.connect(name, stream).await.unwrap()
    }

    async fn send(&self, request: Request<CallBody>) -> Response<Incoming> {
        let io = TokioIo::new(self.connect().await);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection.with_upgrades());
        let answer = tokio::time::timeout(PATIENCE, sender.send_request(request)).await;
        answer.expect("no answer").unwrap()
    }

    fn request(&self, method: &str, target: &str) -> http::request::Builder {
        let token = self.issuer.token("mara").sign();
        Request::builder()
            .method(method)
            .uri(target)
            .header("host", NAME)
            .header("authorization", format!("Bearer {token}"))
    }

    async fn all(&self) {
        self.the_client_is_the_one_who_asked().await;
        self.paths_and_long_headers_arrive_as_they_were_sent().await;
        self.a_move_leads_where_the_client_said().await;
        self.a_401_reaches_the_client_with_its_challenge().await;
        self.an_upload_is_passed_on_while_it_is_sent().await;
        self.events_come_one_by_one_and_at_once().await;
        self.a_websocket_is_a_tunnel().await;
    }

    async fn the_client_is_the_one_who_asked(&self) {
        let request = self
            .request("GET", "/files/a")
            .header("x-forwarded-for", "203.0.113.9")
            .header("x-forwarded-proto", "http")
            .header("x-forwarded-host", "evil.example")
            .body(empty())
            .unwrap();
        assert_eq!(self.send(request).await.status(), StatusCode::OK);
        let seen = self.backend.the_request();
        assert_eq!(seen.header("remote-user"), Some("mara"));
        assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
        assert_eq!(seen.header("x-forwarded-host"), Some(NAME));
        let client = seen.header("x-forwarded-for").unwrap();
        assert!(client.contains(CLIENT), "{client}");
        assert!(!client.contains("203.0.113.9"), "{client}");
        until("the line of the client's address", || {
            let lines = self.gateway.log_lines("access-log");
            lines.iter().any(|line| line["remote-addr"] == CLIENT)
        })
        .await;
    }

    async fn paths_and_long_headers_arrive_as_they_were_sent(&self) {
        let target = "/files/B%C3%BCro/100%25%20a%2Fb;c/?x=%2F&y=a+b";
        let many: Vec<String> = (0..500)
            .map(|number| format!("group-{number:032}"))
            .collect();
        let token = self.issuer.token("mara").claim("entitlements", many).sign();
        assert!(token.len() > 24_000, "{}", token.len());
        let request = Request::builder()
            .uri(target)
            .header("host", NAME)
            .header("authorization", format!("Bearer {token}"))
            .body(empty())
            .unwrap();
        let answer = self.send(request).await;
        assert_eq!(answer.status(), StatusCode::OK, "{:?}", answer.headers());
        assert_eq!(self.backend.the_request().target, target);
    }

    async fn a_move_leads_where_the_client_said(&self) {
        let request = self
            .request("MOVE", "/files/a")
            .header("destination", format!("https://{NAME}/files/b%20c"))
            .body(empty())
            .unwrap();
        assert_eq!(self.send(request).await.status(), StatusCode::OK);
        let seen = self.backend.the_request();
        // As the request itself is for the backend: the client's host, without TLS.
        let wanted = format!("http://{NAME}/files/b%20c");
        assert_eq!(seen.header("destination"), Some(wanted.as_str()));
        assert_eq!(seen.header("host"), Some(NAME));
    }

    async fn a_401_reaches_the_client_with_its_challenge(&self) {
        let request = Request::builder()
            .method("PROPFIND")
            .uri("/files/a")
            .header("host", NAME)
            .body(empty())
            .unwrap();
        let answer = self.send(request).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
        assert!(challenge.starts_with("Bearer"), "{challenge}");
        assert!(
            challenge.contains(&format!("https://{NAME}/")),
            "{challenge}"
        );
    }

    /// The backend has the head while most of the body is not sent yet; then all of 64 MiB.
    async fn an_upload_is_passed_on_while_it_is_sent(&self) {
        const PIECE: usize = 1 << 20;
        let (arrived, mut at_backend) = mpsc::unbounded_channel();
        self.backend.takes_over(move |request: Request<Incoming>| {
            let arrived = arrived.clone();
            async move {
                let mut body = request.into_body();
                let mut bytes = 0;
                while let Some(Ok(frame)) = body.frame().await {
                    bytes += frame.data_ref().map_or(0, Bytes::len);
                    let _ = arrived.send(bytes);
                }
                Response::new(full(bytes.to_string()))
            }
        });
        let (pieces, given) = mpsc::channel::<usize>(1);
        let body = stream::unfold(given, |mut given| async {
            let length = given.recv().await?;
            let piece = Bytes::from(vec![7; length]);
            Some((Ok::<_, std::io::Error>(Frame::data(piece)), given))
        });
        let request = self
            .request("PUT", "/files/large")
            .header("content-length", 64 * PIECE)
            .body(StreamBody::new(body).boxed())
            .unwrap();
        let sending = self.send(request);
        let feeding = async {
            pieces.send(PIECE).await.unwrap();
            let first = tokio::time::timeout(PATIENCE, at_backend.recv()).await;
            first
                .expect("the proxy keeps the upload to itself")
                .unwrap();
            for _ in 1..64 {
                pieces.send(PIECE).await.unwrap();
            }
            drop(pieces);
        };
        let (answer, ()) = tokio::join!(sending, feeding);
        assert_eq!(answer.status(), StatusCode::OK);
        let text = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(text, (64 * PIECE).to_string());
        self.backend.take_seen();
    }

    async fn events_come_one_by_one_and_at_once(&self) {
        let permits = self.backend.sends_events();
        let request = self.request("GET", "/files/events").body(empty()).unwrap();
        permits.add_permits(1);
        let mut body = self.send(request).await.into_body();
        for _ in 0..3 {
            let frame = tokio::time::timeout(PATIENCE, body.frame()).await;
            let frame = frame.expect("no event").unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), "data: x\n\n");
            permits.add_permits(1);
        }
        self.backend.take_seen();
    }

    async fn a_websocket_is_a_tunnel(&self) {
        self.backend.takes_over(echo);
        let mut stream = self.connect().await;
        let token = self.issuer.token("mara").sign();
        let head = format!(
            "GET /files/socket HTTP/1.1\r\nHost: {NAME}\r\nAuthorization: Bearer {token}\r\n\
             Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let byte = tokio::time::timeout(PATIENCE, stream.read_u8()).await;
            answer.push(byte.expect("no answer").unwrap());
        }
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
        for message in [b"hello".as_slice(), &[0, 255, 13, 10], &[9; 5000]] {
            stream.write_all(message).await.unwrap();
            let mut back = vec![0; message.len()];
            let read = stream.read_exact(&mut back);
            tokio::time::timeout(PATIENCE, read).await.unwrap().unwrap();
            assert_eq!(back, message);
        }
        self.backend.take_seen();
    }
}

/// Answers 101 and sends back what comes.
async fn echo(request: Request<Incoming>) -> Response<ReplyBody> {
    let mut answer = Response::new(full(""));
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    // RFC 6455 section 1.3, for the key of the test: proxies look at it.
    for (name, value) in [
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    ] {
        let value = HeaderValue::from_static(value);
        answer.headers_mut().insert(name, value);
    }
    tokio::spawn(async move {
        let tunnel = hyper::upgrade::on(request).await.unwrap();
        let (mut from, mut to) = tokio::io::split(TokioIo::new(tunnel));
        let _ = tokio::io::copy(&mut from, &mut to).await;
    });
    answer
}

fn empty() -> CallBody {
    full("")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_as_on_its_page() {
    Site::behind(fronts::nginx).await.all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn haproxy_as_on_its_page() {
    Site::behind(fronts::haproxy).await.all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caddy_as_on_its_page() {
    Site::behind(fronts::caddy).await.all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traefik_as_on_its_page() {
    Site::behind(fronts::traefik).await.all().await;
}
