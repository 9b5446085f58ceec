use std::sync::atomic::Ordering;
use std::time::Instant;

use socket2::SockRef;

use super::*;
use crate::body::Outcome;

/// Closes with a reset instead of an orderly end.
fn reset(socket: TcpStream) {
    SockRef::from(&socket)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
}

pub(super) async fn refused_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

#[test]
fn f15_a_refused_connection_is_502_at_once_and_a_restarted_backend_is_found() {
    on_worker(async {
        let address = refused_address().await;
        let gateway = Setup::new(address).start().await;
        for _ in 0..10 {
            let begin = Instant::now();
            let answer = gateway
                .once("PUT /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc")
                .await;
            assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
            assert!(answer.contains("backend_unreachable"));
            assert!(begin.elapsed() < Duration::from_millis(500));
        }
        assert!(gateway.counters.connect_failures.load(Ordering::Relaxed) >= 1);
        let listener = TcpListener::bind(address).await.unwrap();
        spawn_local(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                read_head(&mut socket).await;
                socket.write_all(OK.as_bytes()).await.unwrap();
            }
        });
        let begin = Instant::now();
        while !gateway
            .once("GET / HTTP/1.1\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 200")
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(begin.elapsed() < Duration::from_secs(2));
    });
}

#[test]
fn a_name_without_address_is_502() {
    on_worker(async {
        let mut setup = Setup::new(refused_address().await);
        let nowhere = Endpoint::tcp(Protocol::Http, "no-such-host.invalid", 80);
        setup.route.backend.server = Server::Origin(Arc::new(nowhere));
        let answer = setup.start().await.once("GET / HTTP/1.1\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
        assert!(answer.contains("backend_unreachable"));
    });
}

/// The client's view of an answer that its backend did not finish.
async fn cut_answer(answer: &'static str) -> (String, BodyEnd) {
    let backend = backend(move |mut socket, _| async move {
        read_head(&mut socket).await.unwrap();
        socket.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    let gateway = Setup::new(backend).start().await;
    let answer = gateway.once("GET / HTTP/1.1\r\n\r\n").await;
    let end = gateway.ends.borrow().first().copied();
    (answer, end.expect("the body ended"))
}

#[test]
fn f16_an_answer_that_breaks_off_is_seen_as_a_cut() {
    on_worker(async {
        let (answer, end) = cut_answer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(values(&answer, "content-length"), ["9"]);
        assert!(answer.ends_with("\r\n\r\nhalf"), "{answer}");
        assert_eq!((end.outcome, end.bytes), (Outcome::Cut, 4));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
        let (answer, end) = cut_answer(chunked).await;
        assert!(answer.ends_with("half\r\n"), "no last chunk: {answer}");
        assert_eq!(end.outcome, Outcome::Cut);
    });
}

#[test]
fn f16_a_reset_in_an_answer_is_seen_as_a_cut() {
    on_worker(async {
        let backend = backend(|mut socket, _| async move {
            read_head(&mut socket).await.unwrap();
            socket
                .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
                .await
                .unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
            reset(socket);
        })
        .await;
        let gateway = Setup::new(backend).start().await;
        let answer = gateway.once("GET / HTTP/1.1\r\n\r\n").await;
        assert!(answer.ends_with("half\r\n"), "no last chunk: {answer}");
        assert_eq!(gateway.ends.borrow()[0].outcome, Outcome::Cut);
    });
}

#[test]
fn a_reset_in_an_upload_is_502_and_nothing_is_sent_twice() {
    on_worker(async {
        let count = Rc::new(Cell::new(0));
        let seen = Rc::clone(&count);
        let backend = backend(move |mut socket, _| {
            seen.set(seen.get() + 1);
            async move {
                read_head(&mut socket).await.unwrap();
                socket.read_exact(&mut [0; 1000]).await.unwrap();
                reset(socket);
            }
        })
        .await;
        let gateway = Setup::new(backend).start().await;
        let mut client = gateway.connect().await;
        client
            .write_all(b"PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\n")
            .await
            .unwrap();
        let (mut read, mut write) = client.split();
        let upload = async {
            while write.write_all(&[7; 65536]).await.is_ok() {}
            std::future::pending::<()>().await;
        };
        let answer = async {
            let mut head = vec![0; 12];
            read.read_exact(&mut head).await.unwrap();
            head
        };
        let head = tokio::select! { head = answer => head, () = upload => unreachable!() };
        assert_eq!(head, b"HTTP/1.1 502");
        assert_eq!(count.get(), 1);
    });
}

#[test]
fn f17_an_early_refusal_of_an_upload_always_reaches_the_client() {
    on_worker(async {
        for status in [
            "401 Unauthorized",
            "413 Content Too Large",
            "507 Insufficient Storage",
        ] {
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno");
            let backend = backend(move |mut socket, _| {
                let answer = answer.clone();
                async move {
                    read_head(&mut socket).await.unwrap();
                    socket.read_exact(&mut [0; 1000]).await.unwrap();
                    socket.write_all(answer.as_bytes()).await.unwrap();
                    // Closing with unread bytes resets the connection.
                }
            })
            .await;
            let gateway = Setup::new(backend).start().await;
            for _ in 0..100 {
                let mut client = gateway.connect().await;
                client
                    .write_all(b"PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\n")
                    .await
                    .unwrap();
                let (mut read, mut write) = client.split();
                let upload = async {
                    while write.write_all(&[7; 65536]).await.is_ok() {}
                    std::future::pending::<()>().await;
                };
                let answer = async {
                    let mut head = vec![0; 12];
                    read.read_exact(&mut head).await.unwrap();
                    String::from_utf8(head).unwrap()
                };
                let head = tokio::select! { head = answer => head, () = upload => unreachable!() };
                assert_eq!(head, format!("HTTP/1.1 {}", &status[..3]));
            }
        }
    });
}

#[test]
fn a_small_upload_that_was_refused_early_does_not_cost_the_client_its_connection() {
    on_worker(async {
        let backend = backend(|mut socket, _| async move {
            while read_head(&mut socket).await.is_some() {
                let answer = b"HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\nno";
                socket.write_all(answer).await.unwrap();
            }
        })
        .await;
        let gateway = Setup::new(backend).start().await;
        let mut client = gateway.connect().await;
        for _ in 0..20 {
            let head = b"PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n";
            client.write_all(head).await.unwrap();
            client.write_all(&[7; 50_000]).await.unwrap();
            let answer = read_head(&mut client).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 409"), "{answer}");
            client.read_exact(&mut [0; 2]).await.unwrap();
            client.write_all(&[7; 50_000]).await.unwrap();
        }
    });
}

#[test]
fn an_upload_that_the_client_breaks_off_never_looks_complete_to_the_backend() {
    on_worker(async {
        for framing in [
            "Content-Length: 100\r\n\r\nhalf",
            "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        ] {
            let seen: Rc<RefCell<Option<String>>> = Rc::default();
            let slot = Rc::clone(&seen);
            let backend = backend(move |mut socket, _| {
                let slot = Rc::clone(&slot);
                async move {
                    read_head(&mut socket).await.unwrap();
                    let body = read_to_end(&mut socket).await;
                    slot.replace(Some(body));
                }
            })
            .await;
            let gateway = Setup::new(backend).start().await;
            let mut client = gateway.connect().await;
            let request = format!("PUT /a HTTP/1.1\r\nHost: h\r\n{framing}");
            client.write_all(request.as_bytes()).await.unwrap();
            while gateway.counters.open.load(Ordering::Relaxed) == 0 {
                tokio::task::yield_now().await;
            }
            drop(client);
            while seen.borrow().is_none() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let body = seen.take().unwrap();
            assert!(!body.ends_with("0\r\n\r\n"), "{body}");
            assert_eq!(gateway.counters.open.load(Ordering::Relaxed), 0);
        }
    });
}

#[test]
fn row_20_a_bad_chunk_in_an_upload_is_400_and_aborts_the_backends_request() {
    on_worker(async {
        let backend = backend(|mut socket, _| async move {
            read_head(&mut socket).await.unwrap();
            let body = read_to_end(&mut socket).await;
            assert!(!body.contains("0\r\n\r\n"), "{body}");
        })
        .await;
        let gateway = Setup::new(backend).start().await;
        for chunk in [
            "0x1\r\na\r\n",
            "+1\r\na\r\n",
            "fffffffffffffffff\r\na\r\n",
            "1\r\nab\r\n",
        ] {
            let mut client = gateway.connect().await;
            let request = format!(
                "PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n{chunk}"
            );
            client.write_all(request.as_bytes()).await.unwrap();
            let answer = read_to_end(&mut client).await;
            assert!(answer.starts_with("HTTP/1.1 400"), "{chunk}: {answer}");
            assert!(answer.contains("client_body"), "{answer}");
        }
    });
}

#[test]
fn a_client_that_leaves_ends_the_backends_work() {
    on_worker(async {
        let backend = backend(|mut socket, _| async move {
            read_head(&mut socket).await.unwrap();
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n";
            socket.write_all(head).await.unwrap();
            while socket.write_all(&[1; 65536]).await.is_ok() {}
        })
        .await;
        let gateway = Setup::new(backend).start().await;
        let mut client = gateway.connect().await;
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            .await
            .unwrap();
        client.read_exact(&mut [0; 1000]).await.unwrap();
        drop(client);
        while gateway.ends.borrow().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(gateway.ends.borrow()[0].outcome, Outcome::Dropped);
        assert_eq!(gateway.counters.open.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn row_124_an_unusable_answer_is_502_and_its_connection_is_not_reused() {
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(257));
    let large = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(10 << 20));
    let answers: Vec<&'static [u8]> = vec![
        b"HTTP/1.1 99 Low\r\n\r\n",
        b"HTTP/1.1 1000 High\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        many.leak().as_bytes(),
        large.leak().as_bytes(),
    ];
    on_worker(async move {
        for bytes in answers {
            let backend = backend(move |mut socket, _| async move {
                read_head(&mut socket).await.unwrap();
                let _ = socket.write_all(bytes).await;
                read_to_end(&mut socket).await;
            })
            .await;
            let gateway = Setup::new(backend).start().await;
            let answer = gateway.once("GET / HTTP/1.1\r\n\r\n").await;
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]);
            assert!(answer.starts_with("HTTP/1.1 502"), "{shown}: {answer}");
            assert!(answer.contains("backend_malformed"), "{shown}: {answer}");
            assert_eq!(gateway.counters.idle.load(Ordering::Relaxed), 0, "{shown}");
        }
    });
}

#[test]
fn row_124_bytes_beyond_an_answer_end_its_connection_and_reach_nobody() {
    on_worker(async {
        for answer in [
            "HTTP/1.1 204 No Content\r\n\r\nextra",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokextra",
        ] {
            let (backend, heads) = answering(answer).await;
            let gateway = Setup::new(backend).start().await;
            for _ in 0..3 {
                let answer = gateway.once("GET / HTTP/1.1\r\n\r\n").await;
                assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
                assert!(!answer.contains("extra"), "{answer}");
            }
            assert_eq!(heads.borrow().len(), 3);
            assert_eq!(gateway.counters.connects.load(Ordering::Relaxed), 3);
        }
    });
}

#[test]
fn row_124_interim_answers_are_swallowed() {
    on_worker(async {
        let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(1000);
        let answer = format!("{interim}HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n{OK}");
        let (backend, _) = answering(answer.leak()).await;
        let answer = Setup::new(backend)
            .start()
            .await
            .once("GET / HTTP/1.1\r\n\r\n")
            .await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(values(&answer, "link").is_empty());
    });
}

#[test]
fn row_124_a_bad_chunk_is_seen_as_a_cut() {
    on_worker(async {
        let bad =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n0\r\n\r\n";
        let (answer, end) = cut_answer(bad).await;
        assert!(!answer.ends_with("0\r\n\r\n"), "{answer}");
        assert_eq!(end.outcome, Outcome::Cut);
    });
}
