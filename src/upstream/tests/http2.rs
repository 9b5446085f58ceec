use bytes::Bytes;
use http::{StatusCode, Version};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;

use super::*;

type Client = http2::SendRequest<Full<Bytes>>;

async fn client(backend: SocketAddr) -> (Gateway, Client) {
    let mut setup = Setup::new(backend);
    setup.http2 = true;
    let gateway = setup.start().await;
    let io = TokioIo::new(gateway.connect().await);
    let (client, connection) = http2::handshake(LocalExecutor, io).await.unwrap();
    spawn_local(connection);
    (gateway, client)
}

fn request(method: &str, body: &'static str) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri("http://files.example/a?b")
        .version(Version::HTTP_2)
        .body(Full::from(body))
        .unwrap()
}

#[test]
fn a_request_in_http_2_is_a_whole_one_in_http_1() {
    on_worker(async {
        let (backend, heads) = answering(OK).await;
        let (_gateway, mut client) = client(backend).await;
        let mut request = request("GET", "");
        for cookie in ["a=1", "b=2"] {
            let value = HeaderValue::from_static(cookie);
            request.headers_mut().append("cookie", value);
        }
        let response = client.send_request(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "ok");
        let head = heads.borrow()[0].clone();
        assert!(head.starts_with("GET /a?b HTTP/1.1\r\n"), "{head}");
        assert_eq!(values(&head, "host"), ["files.example"]);
        assert_eq!(values(&head, "cookie"), ["a=1; b=2"]);
        for name in ["transfer-encoding", "content-length", "connection"] {
            assert!(values(&head, name).is_empty(), "{name}: {head}");
        }
    });
}

#[test]
fn f16_an_answer_that_breaks_off_resets_its_stream_and_no_other() {
    on_worker(async {
        let backend = backend(|mut socket, number| async move {
            read_head(&mut socket).await.unwrap();
            let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
            socket.write_all(head).await.unwrap();
            if number == 2 {
                socket.write_all(b"0\r\n\r\n").await.unwrap();
            }
        })
        .await;
        let (_gateway, mut client) = client(backend).await;
        let cut = client.send_request(request("GET", "")).await.unwrap();
        assert!(cut.into_body().collect().await.is_err());
        let whole = client.send_request(request("GET", "")).await.unwrap();
        let body = whole.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "half");
    });
}

#[test]
fn f17_an_early_refusal_reaches_an_http_2_client() {
    on_worker(async {
        let backend = backend(|mut socket, _| async move {
            read_head(&mut socket).await.unwrap();
            let answer = b"HTTP/1.1 507 Insufficient Storage\r\nContent-Length: 2\r\n\r\nno";
            socket.write_all(answer).await.unwrap();
        })
        .await;
        let (_gateway, mut client) = client(backend).await;
        let large = "x".repeat(1 << 20).leak();
        for _ in 0..20 {
            let response = client.send_request(request("PUT", large)).await.unwrap();
            assert_eq!(response.status(), StatusCode::INSUFFICIENT_STORAGE);
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, "no");
        }
    });
}
