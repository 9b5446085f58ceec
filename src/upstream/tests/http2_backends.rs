//! Backends that speak HTTP/2 over TLS.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::sync::mpsc::UnboundedReceiver;

use super::*;
use crate::body::{BodyError, Outcome};

/// What a backend saw of a request: its version, method, target, host and body.
type Seen = Rc<RefCell<Vec<String>>>;

/// A TLS backend and how the gateway reaches it.
struct Tls {
    setup: Setup,
    connections: Rc<Cell<usize>>,
    /// Ends the connections there are.
    hang_up: tokio_util::sync::CancellationToken,
}

/// A TLS backend that offers these protocols and answers by `serve`; of HTTP/2 it takes `streams` at once.
async fn tls_backend<F, S>(protocols: &[&str], streams: u32, serve: S) -> Tls
where
    F: Future<Output = Response<Body>> + 'static,
    S: Fn(Request<Incoming>) -> F + Clone + 'static,
{
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let (connections, hang_up) = (
        Rc::new(Cell::new(0)),
        tokio_util::sync::CancellationToken::new(),
    );
    let (count, ended) = (Rc::clone(&connections), hang_up.clone());
    let address = backend(move |socket, number| {
        count.set(number);
        let (acceptor, serve, ended) = (acceptor.clone(), serve.clone(), ended.clone());
        async move {
            let Ok(stream) = acceptor.accept(socket).await else {
                return;
            };
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let service = service_fn(move |request| {
                let answer = serve(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            let io = TokioIo::new(stream);
            let served = async {
                if is_http2 {
                    let mut builder = hyper::server::conn::http2::Builder::new(LocalExecutor);
                    builder.max_concurrent_streams(streams);
                    let _ = builder.serve_connection(io, service).await;
                } else {
                    let builder = hyper::server::conn::http1::Builder::new();
                    let _ = builder.serve_connection(io, service).await;
                }
            };
            tokio::select! {
                () = served => {}
                () = ended.cancelled(), if number == 1 => {}
            }
        }
    })
    .await;
    let mut setup = Setup::new(address);
    setup.route.backend.server = tls_origin("127.0.0.1", address.port());
    setup.settings.insecure = true;
    setup.settings.http2 = true;
    Tls {
        setup,
        connections,
        hang_up,
    }
}

/// Answers with the request's own bytes, and notes what came.
fn noting(
    seen: &Seen,
) -> impl Fn(Request<Incoming>) -> std::pin::Pin<Box<dyn Future<Output = Response<Body>>>> + Clone + use<>
{
    let seen = Rc::clone(seen);
    move |request| {
        let seen = Rc::clone(&seen);
        Box::pin(async move {
            let authority = request.uri().authority().map(ToString::to_string);
            let host = request
                .headers()
                .get("host")
                .map(|host| host.to_str().unwrap().to_owned());
            let line = format!(
                "{:?} {} {} {} {}",
                request.version(),
                request.method(),
                request.uri().path_and_query().unwrap(),
                authority.or(host).unwrap_or_default(),
                request.headers()["x-forwarded-for"].to_str().unwrap(),
            );
            let body = request
                .into_body()
                .collect()
                .await
                .map(|body| body.to_bytes());
            seen.borrow_mut().push(line);
            Response::new(Body::full(
                body.unwrap_or_else(|_| Bytes::from_static(b"cut")),
            ))
        })
    }
}

/// A body of what comes through the channel; `Err` breaks it off.
fn fed(receiver: UnboundedReceiver<Result<&'static str, ()>>) -> Body {
    let frames = futures_util::stream::unfold(receiver, |mut receiver| async {
        let next = match receiver.recv().await? {
            Ok(text) => Ok(Frame::data(Bytes::from_static(text.as_bytes()))),
            Err(()) => Err(BodyError::Unwanted),
        };
        Some((next, receiver))
    });
    Body::stream(StreamBody::new(Box::pin(frames)))
}

#[test]
fn requests_that_arrive_together_are_streams_of_one_connection() {
    on_worker(async {
        let all_here = Rc::new(tokio::sync::Barrier::new(20));
        let backend = tls_backend(&["h2", "http/1.1"], 100, move |_| {
            let all_here = Rc::clone(&all_here);
            async move {
                all_here.wait().await;
                Response::new(Body::full("ok"))
            }
        })
        .await;
        let gateway = backend.setup.start().await;
        let requests = (0..20).map(|_| gateway.once("GET / HTTP/1.1\r\n\r\n"));
        for answer in futures_util::future::join_all(requests).await {
            assert!(
                answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok"),
                "{answer}"
            );
        }
        assert_eq!(backend.connections.get(), 1);
        assert_eq!(gateway.counters.connects.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_request_and_an_upload_arrive_whole() {
    on_worker(async {
        let seen = Seen::default();
        let backend = tls_backend(&["h2"], 100, noting(&seen)).await;
        let gateway = backend.setup.start().await;
        let answer = gateway
            .once("GET /a%2Fb?c=d HTTP/1.1\r\nTE: trailers\r\n\r\n")
            .await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let answer = gateway
            .once("PUT /f HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello")
            .await;
        assert!(answer.ends_with("\r\n\r\nhello"), "{answer}");
        assert_eq!(values(&answer, "content-length"), ["5"]);
        // Large, of unknown length, and behind `Expect`.
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        let head = "PUT /g HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n";
        let answer = gateway
            .once(&format!("{head}{}0\r\n\r\n", chunk.repeat(20)))
            .await;
        assert!(answer.contains("HTTP/1.1 200"), "{}", answer.len());
        let (_, body) = answer.rsplit_once("\r\n\r\n").unwrap();
        assert_eq!(body.len(), 20 * 0x10000);
        assert_eq!(
            *seen.borrow(),
            [
                "HTTP/2.0 GET /a%2Fb?c=d files.example 192.0.2.7",
                "HTTP/2.0 PUT /f files.example 192.0.2.7",
                "HTTP/2.0 PUT /g files.example 192.0.2.7",
            ]
        );
        assert_eq!(backend.connections.get(), 1);
    });
}

#[test]
fn issue_15_27_an_upload_behind_expect_does_not_wait_for_a_100_of_http2() {
    on_worker(async {
        let seen = Seen::default();
        let mut backend = tls_backend(&["h2"], 100, noting(&seen)).await;
        // Longer than the test may take.
        backend.setup.settings.expect_continue_timeout = Duration::from_secs(3600);
        let gateway = backend.setup.start().await;
        for body in ["hello", "hell"] {
            let length = body.len();
            let head =
                format!("PUT /f HTTP/1.1\r\nContent-Length: {length}\r\nExpect: 100-continue");
            let answer = gateway.once(&format!("{head}\r\n\r\n{body}")).await;
            assert!(answer.ends_with(&format!("\r\n\r\n{body}")), "{answer}");
        }
    });
}

#[test]
fn f16_a_stream_that_the_backend_resets_is_seen_as_a_cut_and_no_other_is() {
    on_worker(async {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        let body = Rc::new(RefCell::new(Some(fed(receiver))));
        let backend = tls_backend(&["h2"], 100, move |_| {
            let body = body.borrow_mut().take();
            async move { Response::new(body.unwrap_or_else(|| Body::full("ok"))) }
        })
        .await;
        let gateway = backend.setup.start().await;
        sender.send(Ok("half")).unwrap();
        let mut client = gateway.connect().await;
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        read_head(&mut client).await.unwrap();
        let answer = gateway.once("GET /other HTTP/1.1\r\n\r\n").await;
        assert!(answer.ends_with("ok"), "{answer}");
        sender.send(Err(())).unwrap();
        let rest = read_to_end(&mut client).await;
        assert!(
            rest.contains("half") && !rest.ends_with("0\r\n\r\n"),
            "{rest}"
        );
        let outcomes: Vec<_> = gateway
            .ends
            .borrow()
            .iter()
            .map(|end| end.outcome)
            .collect();
        assert_eq!(outcomes, [Outcome::Complete, Outcome::Cut]);
        assert_eq!(backend.connections.get(), 1);
    });
}

#[test]
fn a_client_that_leaves_resets_its_stream_and_no_other() {
    on_worker(async {
        let ended = Rc::new(tokio::sync::Notify::new());
        let told = Rc::clone(&ended);
        let backend = tls_backend(&["h2"], 100, move |request| {
            let told = Rc::clone(&told);
            async move {
                if request.uri().path() == "/other" {
                    return Response::new(Body::full("ok"));
                }
                let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
                sender.send(Ok("first")).unwrap();
                let body = fed(receiver).on_end(move |_| {
                    told.notify_one();
                    drop(sender);
                });
                Response::new(body)
            }
        })
        .await;
        let gateway = backend.setup.start().await;
        let mut client = gateway.connect().await;
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        read_head(&mut client).await.unwrap();
        drop(client);
        ended.notified().await;
        let answer = gateway.once("GET /other HTTP/1.1\r\n\r\n").await;
        assert!(answer.ends_with("ok"), "{answer}");
        assert_eq!(backend.connections.get(), 1);
    });
}

#[test]
fn events_pass_at_once_and_end_with_their_session() {
    on_worker(async {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        let body = Rc::new(RefCell::new(Some(fed(receiver))));
        let backend = tls_backend(&["h2"], 100, move |_| {
            let mut answer = Response::new(body.borrow_mut().take().unwrap());
            let kind = HeaderValue::from_static("text/event-stream");
            answer.headers_mut().insert("content-type", kind);
            async move { answer }
        })
        .await;
        let gateway = backend.setup.start().await;
        let mut client = gateway.connect().await;
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        read_head(&mut client).await.unwrap();
        for event in ["data: 1\n\n", "data: 2\n\n"] {
            sender.send(Ok(event)).unwrap();
            let mut chunk = vec![0; "9\r\n".len() + event.len() + "\r\n".len()];
            client.read_exact(&mut chunk).await.unwrap();
            assert!(String::from_utf8(chunk).unwrap().contains(event));
        }
        gateway.session.cancel();
        let mut end = [0; 5];
        client.read_exact(&mut end).await.unwrap();
        assert_eq!(&end, b"0\r\n\r\n");
        sender.closed().await;
    });
}

#[test]
fn a_backend_without_http_2_is_spoken_to_in_http_1() {
    on_worker(async {
        let seen = Seen::default();
        let backend = tls_backend(&["http/1.1"], 100, noting(&seen)).await;
        let gateway = backend.setup.start().await;
        for _ in 0..3 {
            let answer = gateway.once("GET / HTTP/1.1\r\n\r\n").await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
        assert!(
            seen.borrow()
                .iter()
                .all(|line| line.starts_with("HTTP/1.1 GET / files.example"))
        );
        assert_eq!(backend.connections.get(), 1);
    });
}

#[test]
fn by_default_and_for_an_upgrade_it_is_http_1() {
    on_worker(async {
        let seen = Seen::default();
        let mut backend = tls_backend(&["h2", "http/1.1"], 100, noting(&seen)).await;
        let upgrade = "GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
        let gateway = backend.setup.start().await;
        let mut client = gateway.connect().await;
        let upgrade = upgrade.replacen("\r\n", "\r\nHost: a\r\nConnection: upgrade\r\n", 1);
        client.write_all(upgrade.as_bytes()).await.unwrap();
        read_head(&mut client).await.unwrap();
        gateway.once("GET / HTTP/1.1\r\n\r\n").await;
        let versions: Vec<_> = seen
            .borrow()
            .iter()
            .map(|line| line[..8].to_owned())
            .collect();
        assert_eq!(versions, ["HTTP/1.1", "HTTP/2.0"]);
        seen.borrow_mut().clear();
        backend = tls_backend(&["h2", "http/1.1"], 100, noting(&seen)).await;
        backend.setup.settings.http2 = false;
        let gateway = backend.setup.start().await;
        gateway.once("GET / HTTP/1.1\r\n\r\n").await;
        assert!(seen.borrow()[0].starts_with("HTTP/1.1 GET"), "{seen:?}");
    });
}

#[test]
fn a_backend_that_takes_few_streams_gets_more_connections() {
    on_worker(async {
        let all_here = Rc::new(tokio::sync::Barrier::new(5));
        let backend = tls_backend(&["h2"], 2, move |request| {
            let all_here = Rc::clone(&all_here);
            async move {
                if request.uri().path() != "/first" {
                    all_here.wait().await;
                }
                Response::new(Body::full("ok"))
            }
        })
        .await;
        let gateway = backend.setup.start().await;
        gateway.once("GET /first HTTP/1.1\r\n\r\n").await;
        let requests = (0..5).map(|_| gateway.once("GET / HTTP/1.1\r\n\r\n"));
        for answer in futures_util::future::join_all(requests).await {
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
        assert!(
            backend.connections.get() >= 2,
            "{}",
            backend.connections.get()
        );
    });
}

#[test]
fn a_lost_connection_is_replaced_and_what_may_be_repeated_is() {
    on_worker(async {
        let seen = Seen::default();
        let backend = tls_backend(&["h2"], 100, noting(&seen)).await;
        let gateway = backend.setup.start().await;
        gateway.once("GET /1 HTTP/1.1\r\n\r\n").await;
        backend.hang_up.cancel();
        for request in [
            "GET /2 HTTP/1.1\r\n\r\n",
            "POST /3 HTTP/1.1\r\nContent-Length: 1\r\n\r\nx",
        ] {
            let answer = gateway.once(request).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
        assert_eq!(seen.borrow().len(), 3);
        assert_eq!(backend.connections.get(), 2);
    });
}
