use super::*;
use crate::body::Outcome;

/// Takes a chunked message apart: its content and what follows the last chunk.
async fn read_chunked(socket: &mut TcpStream) -> (Vec<u8>, String) {
    let mut content = Vec::new();
    loop {
        let size = usize::from_str_radix(read_line(socket).await.trim(), 16).unwrap();
        if size == 0 {
            break;
        }
        let start = content.len();
        content.resize(start + size, 0);
        socket.read_exact(&mut content[start..]).await.unwrap();
        assert_eq!(read_line(socket).await, "\r\n");
    }
    let mut trailers = String::new();
    loop {
        let line = read_line(socket).await;
        if line == "\r\n" {
            return (content, trailers);
        }
        trailers.push_str(&line);
    }
}

async fn read_line(socket: &mut TcpStream) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        line.push(socket.read_u8().await.unwrap());
    }
    String::from_utf8(line).unwrap()
}

/// Head, content and trailers.
type Upload = (String, Vec<u8>, String);

/// What a chunked request looks like to the backend.
async fn chunked_upload(head: &str, rest: &str) -> Upload {
    let seen: Rc<RefCell<Option<Upload>>> = Rc::default();
    let slot = Rc::clone(&seen);
    let backend = backend(move |mut socket, _| {
        let slot = Rc::clone(&slot);
        async move {
            let head = read_head(&mut socket).await.unwrap();
            let (content, trailers) = read_chunked(&mut socket).await;
            slot.replace(Some((head, content, trailers)));
            socket.write_all(OK.as_bytes()).await.unwrap();
        }
    })
    .await;
    let gateway = Setup::new(backend).start().await;
    let mut client = gateway.connect().await;
    let request = format!("{head}\r\nHost: h\r\nTransfer-Encoding: chunked\r\n{rest}");
    client.write_all(request.as_bytes()).await.unwrap();
    let answer = read_head(&mut client).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    seen.take().unwrap()
}

#[test]
fn a_body_of_unknown_length_stays_one_for_every_method() {
    on_worker(async {
        for method in ["PUT", "GET", "PROPFIND", "DELETE"] {
            let (head, content, _) = chunked_upload(
                &format!("{method} /a HTTP/1.1"),
                "\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n",
            )
            .await;
            assert!(head.starts_with(method));
            assert_eq!(values(&head, "transfer-encoding"), ["chunked"]);
            assert!(values(&head, "content-length").is_empty());
            assert_eq!(content, b"abcdefg", "{method}");
        }
    });
}

#[test]
fn row_22_trailers_pass_only_if_wanted_and_without_meaning() {
    on_worker(async {
        let trailers = "X-Checksum: 1\r\nX-Access-Token: t\r\nAuthorization: a\r\nContent-Length: 9\r\nHost: evil\r\nX-Forwarded-For: 6.6.6.6\r\nx_access_token: t\r\n";
        let names = "X-Checksum, X-Access-Token, Authorization, Content-Length, Host, X-Forwarded-For, x_access_token";
        let rest = format!(
            "Trailer: {names}\r\nTE: trailers\r\nConnection: te\r\n\r\n1\r\na\r\n0\r\n{trailers}\r\n"
        );
        let (head, _, passed) = chunked_upload("PUT /a HTTP/1.1", &rest).await;
        assert_eq!(passed, "x-checksum: 1\r\n");
        assert_eq!(values(&head, "te"), ["trailers"]);
        let rest = format!("Trailer: X-Checksum\r\n\r\n1\r\na\r\n0\r\n{trailers}\r\n");
        let (head, _, passed) = chunked_upload("PUT /a HTTP/1.1", &rest).await;
        assert_eq!(passed, "");
        assert!(values(&head, "trailer").is_empty());
    });
}

#[test]
fn trailers_of_an_answer_pass_only_if_wanted_and_without_meaning() {
    on_worker(async {
        let (backend, _) = answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, X-Access-Token\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\nX-Access-Token: t\r\n\r\n").await;
        let gateway = Setup::new(backend).start().await;
        for (te, expected) in [("TE: trailers\r\n", "x-sum: 7\r\n"), ("", "")] {
            let mut client = gateway.connect().await;
            let request = format!("GET / HTTP/1.1\r\nHost: h\r\nConnection: te\r\n{te}\r\n");
            client.write_all(request.as_bytes()).await.unwrap();
            read_head(&mut client).await.unwrap();
            let (content, trailers) = read_chunked(&mut client).await;
            assert_eq!(content, b"ok");
            assert_eq!(trailers, expected);
        }
    });
}

#[test]
fn answers_without_content_keep_their_headers_and_their_connection() {
    on_worker(async {
        for (method, answer, status, length) in [
            (
                "HEAD",
                "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nETag: \"e\"\r\n\r\n",
                "200",
                Some("1234"),
            ),
            (
                "GET",
                "HTTP/1.1 204 No Content\r\nETag: \"e\"\r\n\r\n",
                "204",
                None,
            ),
            (
                "GET",
                "HTTP/1.1 304 Not Modified\r\nETag: \"e\"\r\n\r\n",
                "304",
                None,
            ),
        ] {
            let (backend, heads) = answering(answer).await;
            let gateway = Setup::new(backend).start().await;
            for _ in 0..3 {
                let answer = gateway.once(&format!("{method} / HTTP/1.1\r\n\r\n")).await;
                assert!(
                    answer.starts_with(&format!("HTTP/1.1 {status}")),
                    "{answer}"
                );
                assert_eq!(values(&answer, "content-length").first().copied(), length);
                assert_eq!(values(&answer, "etag"), ["\"e\""]);
                assert!(answer.ends_with("\r\n\r\n"), "{answer}");
            }
            assert_eq!(heads.borrow().len(), 3);
            let connects = &gateway.counters.connects;
            assert_eq!(
                connects.load(std::sync::atomic::Ordering::Relaxed),
                1,
                "{answer}"
            );
        }
    });
}

#[test]
fn large_bodies_arrive_whole_both_ways() {
    const SIZE: usize = 16 << 20;
    on_worker(async {
        let content: Rc<Vec<u8>> = Rc::new(
            (0..SIZE as u64)
                .map(|n| ((n * 2_654_435_761) >> 13) as u8)
                .collect(),
        );
        let expected = Rc::clone(&content);
        let backend = backend(move |mut socket, _| {
            let content = Rc::clone(&expected);
            async move {
                read_head(&mut socket).await.unwrap();
                let mut body = vec![0; SIZE];
                socket.read_exact(&mut body).await.unwrap();
                assert!(body == *content);
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n");
                socket.write_all(head.as_bytes()).await.unwrap();
                socket.write_all(&body).await.unwrap();
            }
        })
        .await;
        let gateway = Setup::new(backend).start().await;
        let mut client = gateway.connect().await;
        let head = format!("PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: {SIZE}\r\n\r\n");
        client.write_all(head.as_bytes()).await.unwrap();
        client.write_all(&content).await.unwrap();
        assert!(
            read_head(&mut client)
                .await
                .unwrap()
                .starts_with("HTTP/1.1 200")
        );
        let mut back = vec![0; SIZE];
        client.read_exact(&mut back).await.unwrap();
        assert!(back == *content);
        let end = gateway.ends.borrow()[0];
        assert_eq!((end.outcome, end.bytes), (Outcome::Complete, SIZE as u64));
    });
}

#[test]
fn an_event_reaches_the_client_at_once_and_the_stream_ends_in_order_with_its_session() {
    on_worker(async {
        let backend = backend(|mut socket, _| async move {
            read_head(&mut socket).await.unwrap();
            let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n8\r\ndata: 1\n\r\n";
            socket.write_all(head).await.unwrap();
            assert_eq!(read_to_end(&mut socket).await, "");
        })
        .await;
        let gateway = Setup::new(backend).start().await;
        let mut client = gateway.connect().await;
        client
            .write_all(b"GET /sse HTTP/1.1\r\nHost: h\r\n\r\n")
            .await
            .unwrap();
        read_head(&mut client).await.unwrap();
        assert_eq!(read_line(&mut client).await, "8\r\n");
        assert_eq!(read_line(&mut client).await, "data: 1\n");
        gateway.session.cancel();
        assert_eq!(read_line(&mut client).await, "\r\n");
        let (rest, _) = read_chunked(&mut client).await;
        assert!(rest.is_empty());
    });
}

#[test]
fn the_end_of_a_session_cuts_no_transfer() {
    on_worker(async {
        let backend = backend(|mut socket, _| async move {
            read_head(&mut socket).await.unwrap();
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab";
            socket.write_all(head).await.unwrap();
            // The client tells when it has the first half.
            read_head(&mut socket).await;
        })
        .await;
        let gateway = Setup::new(backend).start().await;
        gateway.session.cancel();
        let mut client = gateway.connect().await;
        client
            .write_all(b"GET /file HTTP/1.1\r\nHost: h\r\n\r\n")
            .await
            .unwrap();
        read_head(&mut client).await.unwrap();
        let mut half = [0; 2];
        client.read_exact(&mut half).await.unwrap();
        assert_eq!(&half, b"ab");
        assert!(gateway.ends.borrow().is_empty());
    });
}

const EXPECTING: &[u8] =
    b"PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";

#[test]
fn f18_the_body_waits_for_the_backends_100() {
    on_worker(async {
        let backend = backend(|mut socket, _| async move {
            let head = read_head(&mut socket).await.unwrap();
            assert_eq!(values(&head, "expect"), ["100-continue"]);
            let early = tokio::time::timeout(Duration::from_millis(50), socket.read_u8()).await;
            assert!(early.is_err(), "the body came before the 100");
            socket
                .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
                .await
                .unwrap();
            let mut body = [0; 3];
            socket.read_exact(&mut body).await.unwrap();
            socket.write_all(OK.as_bytes()).await.unwrap();
        })
        .await;
        let mut client = Setup::new(backend).start().await.connect().await;
        client.write_all(EXPECTING).await.unwrap();
        let early = tokio::time::timeout(Duration::from_millis(20), client.readable()).await;
        assert!(early.is_err(), "a 100 came before the backend's");
        let head = read_head(&mut client).await.unwrap();
        assert!(head.starts_with("HTTP/1.1 100"), "{head}");
        client.write_all(b"abc").await.unwrap();
        let head = read_head(&mut client).await.unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    });
}

#[test]
fn f18_a_backend_that_never_says_100_gets_the_body_after_a_second() {
    on_worker(async {
        let backend = backend(|mut socket, _| async move {
            read_head(&mut socket).await.unwrap();
            let mut body = [0; 3];
            socket.read_exact(&mut body).await.unwrap();
            socket.write_all(OK.as_bytes()).await.unwrap();
        })
        .await;
        let mut client = Setup::new(backend).start().await.connect().await;
        client.write_all(EXPECTING).await.unwrap();
        assert!(
            read_head(&mut client)
                .await
                .unwrap()
                .starts_with("HTTP/1.1 100")
        );
        client.write_all(b"abc").await.unwrap();
        assert!(
            read_head(&mut client)
                .await
                .unwrap()
                .starts_with("HTTP/1.1 200")
        );
    });
}

#[test]
fn f18_a_final_status_comes_instead_of_the_100() {
    on_worker(async {
        let backend = backend(|mut socket, _| async move {
            read_head(&mut socket).await.unwrap();
            socket
                .write_all(b"HTTP/1.1 412 Precondition Failed\r\nContent-Length: 2\r\n\r\nno")
                .await
                .unwrap();
            assert_eq!(read_to_end(&mut socket).await, "");
        })
        .await;
        let mut client = Setup::new(backend).start().await.connect().await;
        client.write_all(EXPECTING).await.unwrap();
        let answer = read_to_end(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 412"), "{answer}");
        assert!(answer.ends_with("no"), "{answer}");
    });
}
