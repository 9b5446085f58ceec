//! How long a backend may take to begin its answer.

use std::time::Instant;

use super::*;

const LIMIT: Duration = Duration::from_millis(300);

async fn impatient(backend: SocketAddr) -> Gateway {
    let mut setup = Setup::new(backend);
    setup.settings.response_header_timeout = Some(LIMIT);
    setup.start().await
}

#[test]
fn a_backend_that_has_the_request_and_says_nothing_is_504() {
    on_worker(async {
        let backend = backend(|mut socket, _| async move {
            read_head(&mut socket).await.unwrap();
            std::future::pending::<()>().await;
        })
        .await;
        let gateway = impatient(backend).await;
        for request in [
            "GET / HTTP/1.1\r\n\r\n",
            "PUT / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
        ] {
            let begin = Instant::now();
            let answer = gateway.once(request).await;
            assert!(answer.starts_with("HTTP/1.1 504"), "{answer}");
            assert!(answer.contains("backend_timeout"), "{answer}");
            assert!(begin.elapsed() >= LIMIT, "{:?}", begin.elapsed());
        }
    });
}

#[test]
fn an_upload_and_an_answers_body_may_take_longer() {
    on_worker(async {
        let backend = backend(|mut socket, _| async move {
            read_head(&mut socket).await.unwrap();
            let mut body = [0; 3];
            socket.read_exact(&mut body).await.unwrap();
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
            socket.write_all(head).await.unwrap();
            for byte in [b"o", b"k"] {
                tokio::time::sleep(LIMIT).await;
                socket.write_all(byte).await.unwrap();
            }
        })
        .await;
        let gateway = impatient(backend).await;
        let mut client = TcpStream::connect(gateway.address).await.unwrap();
        let head = b"PUT / HTTP/1.1\r\nConnection: close\r\nContent-Length: 3\r\n\r\n";
        client.write_all(head).await.unwrap();
        for byte in [b"a", b"b", b"c"] {
            tokio::time::sleep(LIMIT).await;
            client.write_all(byte).await.unwrap();
        }
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    });
}
