//! Transfers that rest are cut, those that move are not (docs/design/design.md 2, Transfers; docs/design/hardening.md F19 and F27).

use super::http2::{
    DATA, END_HEADERS, END_STREAM, Frames, HEADERS, RST_STREAM, get_block, post_block,
};
use super::*;

fn short() -> Timeouts {
    Timeouts {
        transfer: SHORT,
        ..long()
    }
}

/// Heads of uploads of which ten bytes or a chunk are still to come.
const UPLOADS: [&[u8]; 4] = [
    b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n",
    b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc",
    b"POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n",
];

#[test]
fn f27_an_upload_that_stops_is_cut_before_and_after_its_first_byte() {
    let server = Fixture::start(1, short());
    for upload in UPLOADS {
        let mut socket = server.connect();
        socket.write_all(upload).unwrap();
        assert_fired(closed_after(&mut socket));
        // A request before makes no difference, nor does the time that passed since.
        let mut socket = server.connect();
        socket.write_all(GET).unwrap();
        response(&mut socket);
        std::thread::sleep(2 * SHORT);
        socket.write_all(upload).unwrap();
        assert_fired(closed_after(&mut socket));
    }
}

#[test]
fn f27_a_download_that_nobody_reads_is_cut() {
    let server = Fixture::start(1, short());
    let mut socket = server.connect();
    socket
        .write_all(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    let mut first = [0; 12];
    socket.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    // Until nothing moves any more, and for its limit.
    wait_until("the connection is gone", || {
        server.metrics.worker(0).connections() == 0
    });
    rest(&mut socket);
}

#[test]
fn f27_a_download_that_is_read_slowly_is_not_cut() {
    let limit = Duration::from_secs(1);
    let server = Fixture::start(
        1,
        Timeouts {
            transfer: limit,
            ..long()
        },
    );
    let mut socket = server.connect();
    socket
        .write_all(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    let mut chunk = vec![0; 256 * 1024];
    let began = Instant::now();
    while began.elapsed() < 3 * limit {
        socket.read_exact(&mut chunk).unwrap();
        std::thread::sleep(limit / 20);
    }
}

#[test]
fn f27_event_streams_and_tunnels_rest_as_long_as_they_like() {
    let server = Fixture::start(1, short());
    let mut stream = server.connect();
    stream
        .write_all(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    let mut tunnel = server.connect();
    tunnel
        .write_all(
            b"GET /tunnel HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n",
        )
        .unwrap();
    std::thread::sleep(5 * SHORT);
    tunnel.write_all(b"still here").unwrap();
    let mut read = Vec::new();
    let mut chunk = [0; 512];
    while !read.ends_with(b"still here") {
        let n = tunnel.read(&mut chunk).unwrap();
        assert!(n > 0, "the tunnel is closed");
        read.extend_from_slice(&chunk[..n]);
    }
    stream.set_nonblocking(true).unwrap();
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => panic!("the stream has ended"),
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                break;
            }
        }
    }
}

/// The stream is reset, and another one of the connection is served afterwards.
fn assert_reset_alone(client: &mut Frames, stream: u32) {
    loop {
        match client.next().expect("the connection is closed") {
            (RST_STREAM, _, reset, _) if reset == stream => break,
            (RST_STREAM, _, other, _) => panic!("stream {other} was reset"),
            _ => {}
        }
    }
    let get = get_block("/");
    client
        .send(HEADERS, END_HEADERS | END_STREAM, stream + 2, &get)
        .unwrap();
    loop {
        match client.next().expect("the connection is closed") {
            (HEADERS, _, answered, payload) if answered == stream + 2 => {
                assert_eq!(payload.first(), Some(&0x88));
                return;
            }
            (RST_STREAM, _, other, _) => panic!("stream {other} was reset"),
            _ => {}
        }
    }
}

#[test]
fn f27_an_upload_that_stops_costs_an_http2_connection_only_its_stream() {
    let server = Fixture::start(1, short());
    for data in [&b""[..], b"abc"] {
        let mut client = Frames::connect(&server);
        let post = post_block("/upload");
        client.send(HEADERS, END_HEADERS, 1, &post).unwrap();
        if !data.is_empty() {
            client.send(DATA, 0, 1, data).unwrap();
        }
        assert_reset_alone(&mut client, 1);
    }
}

#[test]
fn f27_a_download_without_a_window_costs_an_http2_connection_only_its_stream() {
    let server = Fixture::start(1, short());
    let mut client = Frames::connect(&server);
    let get = get_block("/endless");
    client
        .send(HEADERS, END_HEADERS | END_STREAM, 1, &get)
        .unwrap();
    assert_reset_alone(&mut client, 1);
}

#[test]
fn f27_a_stream_that_moves_outlives_one_that_rests() {
    let server = Fixture::start(1, short());
    let mut client = Frames::connect(&server);
    let post = post_block("/upload");
    client.send(HEADERS, END_HEADERS, 1, &post).unwrap();
    client.send(HEADERS, END_HEADERS, 3, &post).unwrap();
    let began = Instant::now();
    while began.elapsed() < 5 * SHORT {
        client.send(DATA, 0, 3, b"x").unwrap();
        std::thread::sleep(SHORT / 8);
    }
    client.send(DATA, END_STREAM, 3, b"x").unwrap();
    let mut was_reset = false;
    loop {
        match client.next().expect("the connection is closed") {
            (RST_STREAM, _, 1, _) => was_reset = true,
            (HEADERS, _, 3, payload) => {
                assert_eq!(payload.first(), Some(&0x88));
                break;
            }
            (RST_STREAM, _, other, _) => panic!("stream {other} was reset"),
            _ => {}
        }
    }
    assert!(was_reset);
}

#[test]
fn a_zero_limit_is_none() {
    let server = Fixture::start(
        1,
        Timeouts {
            transfer: Duration::ZERO,
            header: SHORT,
            ..long()
        },
    );
    let mut socket = server.connect();
    socket
        .write_all(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na")
        .unwrap();
    std::thread::sleep(5 * SHORT);
    socket.write_all(b"b").unwrap();
    assert!(response(&mut socket).ends_with("2 bytes"));
}
