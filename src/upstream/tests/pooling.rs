use std::sync::atomic::Ordering;
use std::time::Instant;

use super::*;

#[test]
fn a_thousand_sequential_requests_use_one_connection() {
    on_worker(async {
        let (backend, heads) = answering(OK).await;
        let gateway = Setup::new(backend).start().await;
        let mut client = gateway.connect().await;
        for _ in 0..1000 {
            client
                .write_all(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
                .await
                .unwrap();
            read_head(&mut client).await.unwrap();
            let mut body = [0; 2];
            client.read_exact(&mut body).await.unwrap();
        }
        assert_eq!(heads.borrow().len(), 1000);
        assert_eq!(gateway.counters.connects.load(Ordering::Relaxed), 1);
        assert_eq!(gateway.counters.reuses.load(Ordering::Relaxed), 999);
        assert_eq!(gateway.counters.idle.load(Ordering::Relaxed), 1);
        assert_eq!(gateway.counters.open.load(Ordering::Relaxed), 1);
    });
}

/// Serves one request per connection and then closes it, without saying so.
async fn forgetful_backend() -> SocketAddr {
    backend(|mut socket, _| async move {
        if let Some(head) = read_head(&mut socket).await {
            let length: usize = values(&head, "content-length")
                .first()
                .map_or(0, |length| length.parse().unwrap());
            let mut body = vec![0; length];
            socket.read_exact(&mut body).await.unwrap();
            socket.write_all(OK.as_bytes()).await.unwrap();
        }
    })
    .await
}

#[test]
fn a_connection_that_the_backend_closed_while_idle_costs_no_client_an_error() {
    on_worker(async {
        let gateway = Setup::new(forgetful_backend().await).start().await;
        for _ in 0..20 {
            for request in [
                "GET /a HTTP/1.1\r\n\r\n",
                "PROPFIND /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
                "PUT /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
                "POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
                "DELETE /a HTTP/1.1\r\n\r\n",
            ] {
                let answer = gateway.once(request).await;
                assert!(answer.starts_with("HTTP/1.1 200"), "{request}: {answer}");
            }
        }
    });
}

/// Serves one request per connection; the next one on it is read and then the connection is closed without an answer:
/// what a close looks like that crosses the request on its way.
async fn crossing_backend(seen: Rc<RefCell<Vec<String>>>) -> SocketAddr {
    backend(move |mut socket, number| {
        let seen = Rc::clone(&seen);
        async move {
            let head = read_head(&mut socket).await.unwrap();
            seen.borrow_mut().push(head);
            socket.write_all(OK.as_bytes()).await.unwrap();
            if number == 1 {
                let head = read_head(&mut socket).await.unwrap();
                seen.borrow_mut().push(head);
            } else {
                read_head(&mut socket).await;
            }
        }
    })
    .await
}

async fn second_request_after_a_crossing_close(request: &str) -> (String, usize, u64) {
    let seen: Rc<RefCell<Vec<String>>> = Rc::default();
    let gateway = Setup::new(crossing_backend(Rc::clone(&seen)).await)
        .start()
        .await;
    gateway.once("GET /first HTTP/1.1\r\n\r\n").await;
    let answer = gateway.once(request).await;
    let retries = gateway.counters.retries.load(Ordering::Relaxed);
    let sent = seen.borrow().len() - 1;
    (answer, sent, retries)
}

#[test]
fn a_repeatable_request_is_sent_once_more_when_a_close_crossed_it() {
    on_worker(async {
        for request in [
            "GET /a HTTP/1.1\r\n\r\n",
            "HEAD /a HTTP/1.1\r\n\r\n",
            "DELETE /a HTTP/1.1\r\n\r\n",
            "PROPFIND /a HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        ] {
            let (answer, sent, retries) = second_request_after_a_crossing_close(request).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{request}: {answer}");
            assert_eq!((sent, retries), (2, 1), "{request}");
        }
    });
}

#[test]
fn what_is_sent_once_more_is_the_same_head_with_the_identity() {
    on_worker(async {
        let seen: Rc<RefCell<Vec<String>>> = Rc::default();
        let backend = crossing_backend(Rc::clone(&seen)).await;
        let gateway = Setup::new(backend).with_identity().start().await;
        gateway.once("GET /first HTTP/1.1\r\n\r\n").await;
        let request = "GET /a%2Fb?c=:d HTTP/1.1\r\nX-A: 1\r\nX-A: a:b \t c\r\nX-Empty:\r\n\r\n";
        let answer = gateway.once(request).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let heads = seen.borrow();
        let [_, sent, again] = heads.as_slice() else {
            panic!("{heads:?}")
        };
        assert!(sent.contains("x-access-token: reva-token"), "{sent}");
        assert!(sent.contains("x-a: a:b \t c"), "{sent}");
        assert_eq!(sent, again);
    });
}

#[test]
fn a_small_report_body_is_sent_again_byte_for_byte() {
    on_worker(async {
        let bodies: Rc<RefCell<Vec<Vec<u8>>>> = Rc::default();
        let seen = Rc::clone(&bodies);
        let backend = backend(move |mut socket, number| {
            let seen = Rc::clone(&seen);
            async move {
                for turn in 0.. {
                    if read_head(&mut socket).await.is_none() {
                        return;
                    }
                    let mut body = vec![0; 5];
                    socket.read_exact(&mut body).await.unwrap();
                    seen.borrow_mut().push(body);
                    if (number, turn) == (1, 1) {
                        return;
                    }
                    socket.write_all(OK.as_bytes()).await.unwrap();
                }
            }
        })
        .await;
        let gateway = Setup::new(backend).start().await;
        for body in ["first", "again"] {
            let request = format!("REPORT /a HTTP/1.1\r\nContent-Length: 5\r\n\r\n{body}");
            assert!(gateway.once(&request).await.starts_with("HTTP/1.1 200"));
        }
        assert_eq!(*bodies.borrow(), [&b"first"[..], b"again", b"again"]);
    });
}

#[test]
fn a_request_that_may_have_acted_is_never_sent_twice() {
    on_worker(async {
        for request in [
            "POST /a HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
            "MOVE /a HTTP/1.1\r\n\r\n",
            "MKCOL /a HTTP/1.1\r\n\r\n",
            "LOCK /a HTTP/1.1\r\n\r\n",
            "PUT /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
        ] {
            let (answer, sent, retries) = second_request_after_a_crossing_close(request).await;
            assert!(answer.starts_with("HTTP/1.1 502"), "{request}: {answer}");
            assert!(answer.contains("backend_unreachable"), "{answer}");
            assert_eq!((sent, retries), (1, 0), "{request}");
        }
    });
}

#[test]
fn connections_are_bounded_and_waiting_requests_are_served_in_order() {
    on_worker(async {
        let (backend, heads) = answering(OK).await;
        let mut setup = Setup::new(backend);
        setup.limits.connections = 2;
        let gateway = setup.start().await;
        let answers = futures_util::future::join_all((0..50).map(|n| {
            let gateway = &gateway;
            async move { gateway.once(&format!("GET /{n} HTTP/1.1\r\n\r\n")).await }
        }))
        .await;
        assert!(
            answers
                .iter()
                .all(|answer| answer.starts_with("HTTP/1.1 200"))
        );
        assert_eq!(heads.borrow().len(), 50);
        assert_eq!(gateway.counters.connects.load(Ordering::Relaxed), 2);
        assert_eq!(gateway.counters.waiting.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn a_burst_opens_few_connections_and_reuses_them_and_a_slow_backend_gets_as_many_as_it_needs() {
    on_worker(async {
        for (answers_at_once, least, most) in [(true, 1, 80), (false, 100, 100)] {
            let all_are_there = Rc::new(tokio::sync::Semaphore::new(0));
            let (arrived, gate) = (Rc::new(RefCell::new(0)), Rc::clone(&all_are_there));
            let backend = backend(move |mut socket, _| {
                let (arrived, gate) = (Rc::clone(&arrived), Rc::clone(&gate));
                async move {
                    while read_head(&mut socket).await.is_some() {
                        let here = {
                            let mut arrived = arrived.borrow_mut();
                            *arrived += 1;
                            *arrived
                        };
                        if !answers_at_once {
                            if here == 100 {
                                gate.add_permits(100);
                            }
                            gate.acquire().await.unwrap().forget();
                        }
                        socket.write_all(OK.as_bytes()).await.unwrap();
                    }
                }
            })
            .await;
            let mut setup = Setup::new(backend);
            setup.limits.opening = 4;
            let gateway = setup.start().await;
            let answers = futures_util::future::join_all(
                (0..100).map(|_| gateway.once("GET /a HTTP/1.1\r\n\r\n")),
            );
            for answer in answers.await {
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            }
            let opened = gateway.counters.connects.load(Ordering::Relaxed);
            assert!((least..=most).contains(&opened), "{opened} connections");
            assert_eq!(gateway.counters.waiting.load(Ordering::Relaxed), 0);
        }
    });
}

#[test]
fn a_request_whose_connection_is_slow_to_stand_takes_one_that_becomes_free() {
    on_worker(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let listener = socket.listen(1).unwrap();
        let backend = listener.local_addr().unwrap();
        let gateway = Setup::new(backend).start().await;
        let first = gateway.once("GET /a HTTP/1.1\r\n\r\n");
        let server = async {
            let (mut served, _) = listener.accept().await.unwrap();
            read_head(&mut served).await.unwrap();
            // Nobody accepts any more, so that the next connection is dropped and tried again a second later.
            let full = [
                TcpStream::connect(backend).await.unwrap(),
                TcpStream::connect(backend).await.unwrap(),
            ];
            let start = Instant::now();
            let second = gateway.once("GET /b HTTP/1.1\r\n\r\n");
            let answers = async {
                // The second request is on its way to a connection of its own.
                while gateway.counters.open.load(Ordering::Relaxed) < 2 {
                    tokio::task::yield_now().await;
                }
                for _ in 0..2 {
                    served.write_all(OK.as_bytes()).await.unwrap();
                    read_head(&mut served).await;
                }
            };
            tokio::select! {
                answer = second => assert!(answer.starts_with("HTTP/1.1 200"), "{answer}"),
                () = async { answers.await; std::future::pending().await } => {}
            }
            drop(full);
            start.elapsed()
        };
        let (answer, took) = tokio::join!(first, server);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(took < Duration::from_millis(900), "{took:?}");
        assert_eq!(gateway.counters.connects.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn beyond_the_queue_a_request_is_503_with_retry_after() {
    on_worker(async {
        let silent = backend(|mut socket, _| async move {
            read_to_end(&mut socket).await;
        })
        .await;
        let mut setup = Setup::new(silent);
        setup.limits = Limits {
            connections: 1,
            queue: 1,
            wait: Duration::from_millis(200),
            ..limits()
        };
        let gateway = setup.start().await;
        let requests = (0..3).map(|_| gateway.once("GET / HTTP/1.1\r\n\r\n"));
        let answers = tokio::time::timeout(
            Duration::from_secs(1),
            futures_util::future::select_all(requests.map(Box::pin)),
        )
        .await
        .unwrap();
        assert!(answers.0.starts_with("HTTP/1.1 503"), "{}", answers.0);
        assert!(answers.0.contains("backend_busy"));
        let waited = futures_util::future::select_all(answers.2).await.0;
        assert!(waited.starts_with("HTTP/1.1 503"), "{waited}");
        assert_eq!(gateway.counters.refused.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn a_client_that_leaves_frees_its_place_for_the_next_in_the_queue() {
    on_worker(async {
        let backend = backend(|mut socket, number| async move {
            read_head(&mut socket).await;
            if number > 1 {
                socket.write_all(OK.as_bytes()).await.unwrap();
            }
            read_to_end(&mut socket).await;
        })
        .await;
        let mut setup = Setup::new(backend);
        setup.limits.connections = 1;
        let gateway = setup.start().await;
        let mut leaving = gateway.connect().await;
        leaving
            .write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            .await
            .unwrap();
        while gateway.counters.open.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        let waiting = gateway.once("GET /next HTTP/1.1\r\n\r\n");
        let leave = async {
            while gateway.counters.waiting.load(Ordering::Relaxed) == 0 {
                tokio::task::yield_now().await;
            }
            drop(leaving);
        };
        let (answer, ()) = tokio::join!(waiting, leave);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    });
}

#[test]
fn an_idle_connection_is_given_up_after_its_time() {
    on_worker(async {
        let (backend, _) = answering(OK).await;
        let mut setup = Setup::new(backend);
        setup.limits.idle_timeout = Duration::ZERO;
        let gateway = setup.start().await;
        gateway.once("GET / HTTP/1.1\r\n\r\n").await;
        gateway.once("GET / HTTP/1.1\r\n\r\n").await;
        assert_eq!(gateway.counters.connects.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn an_answer_with_connection_close_is_not_reused() {
    on_worker(async {
        let (backend, _) =
            answering("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok").await;
        let gateway = Setup::new(backend).start().await;
        for _ in 0..2 {
            let answer = gateway.once("GET / HTTP/1.1\r\n\r\n").await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
        assert_eq!(gateway.counters.connects.load(Ordering::Relaxed), 2);
        assert_eq!(gateway.counters.open.load(Ordering::Relaxed), 0);
    });
}
