//! Services with several nodes: who gets a request, and what becomes of those that fail.

use std::sync::atomic::Ordering;

use tokio::net::UnixListener;

use super::faults::refused_address;
use super::*;
use crate::model::Place;

/// A node that takes requests and closes without a word.
async fn mute() -> (SocketAddr, Rc<Cell<usize>>) {
    let requests: Rc<Cell<usize>> = Rc::default();
    let seen = Rc::clone(&requests);
    let address = backend(move |mut socket, _| {
        let seen = Rc::clone(&seen);
        async move {
            if read_head(&mut socket).await.is_some() {
                seen.set(seen.get() + 1);
            }
        }
    });
    (address.await, requests)
}

#[test]
fn the_nodes_of_a_service_take_turns() {
    on_worker(async {
        let (one, at_one) = answering(OK).await;
        let (two, at_two) = answering(OK).await;
        let gateway = Setup::of_nodes(&[one, two]).start().await;
        for _ in 0..10 {
            let answer = gateway.once("GET / HTTP/1.1\r\n\r\n").await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
        assert_eq!((at_one.borrow().len(), at_two.borrow().len()), (5, 5));
    });
}

#[test]
fn a_busy_node_gets_less() {
    on_worker(async {
        let busy = backend(|mut socket, _| async move {
            read_head(&mut socket).await.unwrap();
            std::future::pending::<()>().await;
        })
        .await;
        let (free, at_free) = answering(OK).await;
        let gateway = Setup::of_nodes(&[busy, free]).start().await;
        let mut waiting = Vec::new();
        let request = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
        // One of the first two stays at the busy node, and all others pass it by.
        while waiting.is_empty() {
            let mut client = gateway.connect().await;
            client.write_all(request).await.unwrap();
            let head = read_head(&mut client);
            if tokio::time::timeout(Duration::from_millis(300), head)
                .await
                .is_err()
            {
                waiting.push(client);
            }
        }
        let before = at_free.borrow().len();
        for _ in 0..10 {
            gateway.once("GET / HTTP/1.1\r\n\r\n").await;
        }
        assert_eq!(at_free.borrow().len(), before + 10);
    });
}

#[test]
fn no_request_fails_for_a_node_that_is_gone_and_it_is_left_out_for_a_while() {
    on_worker(async {
        let gone = refused_address().await;
        let (there, heads) = answering_bodies().await;
        let gateway = Setup::of_nodes(&[gone, there]).start().await;
        for _ in 0..10 {
            for request in [
                "GET / HTTP/1.1\r\n\r\n",
                "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
                "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            ] {
                let answer = gateway.once(request).await;
                assert!(answer.starts_with("HTTP/1.1 200"), "{request}: {answer}");
            }
        }
        assert_eq!(heads.get(), 30);
        let at_gone = gateway.metrics.of("files", &gone.to_string());
        let failures = at_gone.connect_failures.load(Ordering::Relaxed);
        assert!((1..=3).contains(&failures), "{failures}");
        assert_eq!(at_gone.ejections.load(Ordering::Relaxed), failures);
        assert_eq!(at_gone.retries.load(Ordering::Relaxed), failures);
    });
}

/// Reads bodies of three bytes too, in either framing.
async fn answering_bodies() -> (SocketAddr, Rc<Cell<usize>>) {
    let requests: Rc<Cell<usize>> = Rc::default();
    let seen = Rc::clone(&requests);
    let address = backend(move |mut socket, _| {
        let seen = Rc::clone(&seen);
        async move {
            while let Some(head) = read_head(&mut socket).await {
                seen.set(seen.get() + 1);
                if !values(&head, "content-length").is_empty() {
                    socket.read_exact(&mut [0; 3]).await.unwrap();
                } else if !values(&head, "transfer-encoding").is_empty() {
                    let mut body = Vec::new();
                    while !body.ends_with(b"0\r\n\r\n") {
                        body.push(socket.read_u8().await.unwrap());
                    }
                }
                socket.write_all(OK.as_bytes()).await.unwrap();
            }
        }
    });
    (address.await, requests)
}

#[test]
fn what_may_be_sent_twice_finds_the_node_that_answers_and_the_rest_is_told() {
    on_worker(async {
        let (mute, at_mute) = mute().await;
        let (there, _) = answering(OK).await;
        let setup = Setup::of_nodes(&[mute, there]);
        let directory = setup.directory.clone();
        let gateway = setup.start().await;
        for _ in 0..10 {
            let answer = gateway.once("PROPFIND / HTTP/1.1\r\n\r\n").await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
        assert!(at_mute.get() >= 1);
        directory.name_registered([(NODES.into(), endpoint(mute))]);
        let answer = gateway
            .once("POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
            .await;
        assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
    });
}

#[test]
fn every_node_that_fails_is_tried_once_and_then_the_failure_is_told() {
    on_worker(async {
        let (one, at_one) = mute().await;
        let (two, at_two) = mute().await;
        let gateway = Setup::of_nodes(&[one, two]).start().await;
        let answer = gateway.once("GET / HTTP/1.1\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
        assert_eq!((at_one.get(), at_two.get()), (1, 1));
    });
}

#[test]
fn nodes_come_and_go_with_the_directory() {
    on_worker(async {
        let (one, at_one) = answering(OK).await;
        let (two, at_two) = answering(OK).await;
        let setup = Setup::of_nodes(&[one]);
        let directory = setup.directory.clone();
        let gateway = setup.start().await;
        let get = "GET / HTTP/1.1\r\n\r\n";
        gateway.once(get).await;
        directory.name_registered([(NODES.into(), endpoint(two))]);
        gateway.once(get).await;
        gateway.once(get).await;
        assert_eq!((at_one.borrow().len(), at_two.borrow().len()), (1, 2));
        directory.name_registered([]);
        let answer = gateway.once(get).await;
        assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
        assert!(answer.contains("backend_unreachable"), "{answer}");
    });
}

#[test]
fn a_node_may_be_a_socket_in_the_file_system() {
    on_worker(async {
        let path = std::env::temp_dir().join(format!("davgate-{}.sock", uuid::Uuid::new_v4()));
        let listener = UnixListener::bind(&path).unwrap();
        spawn_local(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(socket.read_u8().await.unwrap());
            }
            socket.write_all(OK.as_bytes()).await.unwrap();
            std::future::pending::<()>().await;
        });
        let setup = Setup::of_nodes(&[refused_address().await]);
        let node = Endpoint {
            protocol: Protocol::Http,
            tls: false,
            place: Place::Unix(path.clone()),
        };
        setup.directory.name_registered([(NODES.into(), node)]);
        let answer = setup.start().await.once("GET / HTTP/1.1\r\n\r\n").await;
        std::fs::remove_file(&path).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    });
}
