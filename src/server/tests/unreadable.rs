//! What the HTTP library would answer to an unreadable head is exchanged; what only looks like it is not.

use super::*;

/// One whole bare answer of the library.
const BARE: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\
    date: Wed, 25 Nov 2026 01:07:44 GMT\r\n\r\n";

/// An answer whose pieces are such ones.
pub(super) fn looks_bare() -> Response<TestBody> {
    let pieces = [BARE; 3].map(|piece| Ok(http_body::Frame::data(Bytes::from_static(piece))));
    // Each after a turn of the task, so that it is a write of its own.
    let pieces = futures_util::StreamExt::then(futures_util::stream::iter(pieces), |piece| async {
        tokio::task::yield_now().await;
        piece
    });
    let mut response = Response::new(StreamBody::new(pieces).boxed_unsync());
    let length = (3 * BARE.len()).into();
    response.headers_mut().insert("content-length", length);
    response
}

fn read_exactly(socket: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut read = vec![0; length];
    socket.read_exact(&mut read).unwrap();
    read
}

fn read_head(socket: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(read_exactly(socket, 1));
    }
    String::from_utf8(head).unwrap()
}

#[test]
fn a_body_that_looks_like_a_bare_answer_goes_out_as_it_is() {
    let server = Fixture::start(1, Timeouts::default());
    let mut socket = server.connect();
    for pipelined in [false, true] {
        let request = b"GET /looks-bare HTTP/1.1\r\nHost: a\r\n\r\n";
        let requests = if pipelined { 3 } else { 1 };
        socket.write_all(&request.repeat(requests)).unwrap();
        for _ in 0..requests {
            assert!(read_head(&mut socket).starts_with("HTTP/1.1 200"));
            assert_eq!(read_exactly(&mut socket, 3 * BARE.len()), BARE.repeat(3));
        }
    }
    socket.write_all(GET).unwrap();
    assert!(response(&mut socket).starts_with("http/1.1 200"));
}

#[test]
fn so_does_what_passes_through_a_tunnel() {
    let server = Fixture::start(1, Timeouts::default());
    let mut socket = server.connect();
    let upgrade =
        b"GET /tunnel HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n";
    socket.write_all(upgrade).unwrap();
    assert!(read_head(&mut socket).starts_with("HTTP/1.1 101"));
    for _ in 0..3 {
        socket.write_all(BARE).unwrap();
        assert_eq!(read_exactly(&mut socket, BARE.len()), BARE);
    }
}
