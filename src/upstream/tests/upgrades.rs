use std::sync::atomic::Ordering;

use super::*;

const ASK: &[u8] = b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n";
const SWITCH: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Accept: a\r\n\r\n";

/// Accepts every upgrade and sends back what comes.
async fn echo() -> SocketAddr {
    backend(|mut socket, _| async move {
        let head = read_head(&mut socket).await.unwrap();
        assert_eq!(values(&head, "upgrade"), ["websocket"]);
        assert_eq!(values(&head, "connection"), ["upgrade"]);
        assert_eq!(values(&head, "sec-websocket-key"), ["k"]);
        socket.write_all(SWITCH).await.unwrap();
        let (mut read, mut write) = socket.split();
        let _ = tokio::io::copy(&mut read, &mut write).await;
    })
    .await
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn an_upgraded_connection_carries_any_bytes_both_ways_and_counts_them() {
    on_worker(async {
        let gateway = Setup::new(echo().await).start().await;
        let mut client = gateway.connect().await;
        client.write_all(ASK).await.unwrap();
        let head = read_head(&mut client).await.unwrap();
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        assert_eq!(values(&head, "sec-websocket-accept"), ["a"]);
        let sent: Vec<u8> = (0..1_000_000u32).map(|n| ((n * 31) >> 3) as u8).collect();
        let mut received = vec![0; sent.len()];
        let (mut read, mut write) = client.split();
        let (wrote, got) = tokio::join!(write.write_all(&sent), read.read_exact(&mut received));
        wrote.unwrap();
        got.unwrap();
        assert!(sent == received);
        assert_eq!(gateway.counters.tunnels.load(Ordering::Relaxed), 1);
        drop(client);
        until(|| !gateway.tunnels.borrow().is_empty()).await;
        let end = gateway.tunnels.borrow()[0];
        assert_eq!((end.received, end.sent), (1_000_000, 1_000_000));
        assert_eq!(gateway.counters.tunnels.load(Ordering::Relaxed), 0);
        assert_eq!(gateway.counters.open.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn the_end_of_the_session_ends_a_tunnel() {
    on_worker(async {
        let gateway = Setup::new(echo().await).start().await;
        let mut client = gateway.connect().await;
        client.write_all(ASK).await.unwrap();
        read_head(&mut client).await.unwrap();
        client.write_all(b"abc").await.unwrap();
        client.read_exact(&mut [0; 3]).await.unwrap();
        gateway.session.cancel();
        assert_eq!(read_to_end(&mut client).await, "");
        until(|| !gateway.tunnels.borrow().is_empty()).await;
        let end = gateway.tunnels.borrow()[0];
        assert_eq!((end.received, end.sent), (3, 3));
        assert_eq!(end.outcome, crate::body::Outcome::Dropped);
    });
}

#[test]
fn a_101_that_nobody_asked_for_or_to_another_protocol_is_502() {
    on_worker(async {
        let backend = backend(|mut socket, _| async move {
            read_head(&mut socket).await;
            let answer =
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n";
            socket.write_all(answer).await.unwrap();
            assert_eq!(read_to_end(&mut socket).await, "", "nothing is tunnelled");
        })
        .await;
        let gateway = Setup::new(backend).start().await;
        let answer = gateway.once("GET / HTTP/1.1\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
        assert!(answer.contains("backend_malformed"));
        let mut client = gateway.connect().await;
        client.write_all(ASK).await.unwrap();
        let head = read_head(&mut client).await.unwrap();
        assert!(head.starts_with("HTTP/1.1 502"), "{head}");
    });
}

#[test]
fn row_27_a_request_behind_an_upgrade_is_its_own_unless_the_backend_switched() {
    on_worker(async {
        let (backend, heads) = answering(OK).await;
        let gateway = signed(backend).start().await;
        let mut client = gateway.connect().await;
        client
            .write_all(b"GET /up HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\nGET /smug HTTP/1.1\r\nHost: h\r\nX-Access-Token: theirs\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        let answers = read_to_end(&mut client).await;
        assert_eq!(answers.matches("HTTP/1.1 200").count(), 2, "{answers}");
        let heads = heads.borrow();
        assert_eq!(heads.len(), 2);
        assert_eq!(values(&heads[1], "x-access-token"), ["reva-token"]);
    });
}

fn signed(backend: SocketAddr) -> Setup {
    Setup::new(backend).with_identity()
}

#[test]
fn bytes_behind_an_upgrade_wait_for_the_101() {
    on_worker(async {
        let backend = backend(|mut socket, _| async move {
            read_head(&mut socket).await.unwrap();
            let mut early = [0; 5];
            let none =
                tokio::time::timeout(Duration::from_millis(50), socket.read_exact(&mut early));
            assert!(none.await.is_err(), "bytes came before the 101");
            socket.write_all(SWITCH).await.unwrap();
            socket.read_exact(&mut early).await.unwrap();
            socket.write_all(&early).await.unwrap();
            read_to_end(&mut socket).await;
        })
        .await;
        let gateway = Setup::new(backend).start().await;
        let mut client = gateway.connect().await;
        client.write_all(&[ASK, b"early"].concat()).await.unwrap();
        assert!(
            read_head(&mut client)
                .await
                .unwrap()
                .starts_with("HTTP/1.1 101")
        );
        let mut back = [0; 5];
        client.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"early");
    });
}

#[test]
fn another_http_is_never_asked_for_inside_a_tunnel() {
    on_worker(async {
        let (backend, heads) = answering(OK).await;
        let gateway = Setup::new(backend).start().await;
        for protocol in ["h2c", "websocket, h2c", "HTTP/2.0", "TLS/1.2", "H2C"] {
            let mut client = gateway.connect().await;
            let request = format!(
                "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: {protocol}\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
            );
            client.write_all(request.as_bytes()).await.unwrap();
            read_to_end(&mut client).await;
            let head = heads.borrow().last().cloned().unwrap();
            for name in ["upgrade", "connection", "http2-settings"] {
                assert!(values(&head, name).is_empty(), "{protocol}: {head}");
            }
        }
    });
}
