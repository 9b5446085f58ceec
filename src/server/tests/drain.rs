//! The drain: what may go on, what ends, and when it is over.

use super::*;

impl Fixture {
    /// Runs the drain on a thread of its own; the time it took comes back.
    fn start_drain(&self) -> JoinHandle<Duration> {
        let drain = self.drain.clone();
        std::thread::spawn(move || {
            let began = Instant::now();
            block_on(drain.run());
            began.elapsed()
        })
    }
}

fn wait_for(what: impl Fn() -> bool) {
    let began = Instant::now();
    while !what() {
        assert!(began.elapsed() < Duration::from_secs(5), "it never happens");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn f20_an_upload_goes_on_while_idle_connections_close_and_new_ones_are_refused() {
    let server = Fixture::start(2, Timeouts::default());
    let mut idle = server.connect();
    idle.write_all(GET).unwrap();
    response(&mut idle);
    let mut silent = server.connect();
    let mut upload = server.connect();
    upload
        .write_all(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n1234")
        .unwrap();
    wait_for(|| server.drain.open() == 3);
    std::thread::sleep(Duration::from_millis(50));

    let drained = server.start_drain();
    assert!(closed_after(&mut idle) < Duration::from_secs(1));
    assert!(closed_after(&mut silent) < Duration::from_secs(1));
    assert!(server.drain.is_draining());
    wait_for(|| TcpStream::connect(server.addr).is_err());
    assert!(!drained.is_finished());

    upload.write_all(b"5678").unwrap();
    let answer = response(&mut upload);
    assert!(
        answer.ends_with("8 bytes") && answer.contains("connection: close"),
        "{answer}"
    );
    let last_byte = Instant::now();
    drained.join().unwrap();
    assert!(
        last_byte.elapsed() < Duration::from_millis(350),
        "{:?}",
        last_byte.elapsed()
    );
}

#[test]
fn an_idle_process_ends_at_once() {
    let server = Fixture::start(2, Timeouts::default());
    assert!(server.start_drain().join().unwrap() < Duration::from_secs(1));
}

#[test]
fn a_connection_that_waits_in_the_queue_is_still_answered() {
    let server = Fixture::start(1, Timeouts::default());
    let mut sockets: Vec<_> = (0..20)
        .map(|_| {
            let mut socket = server.connect();
            socket.write_all(GET).unwrap();
            socket
        })
        .collect();
    let drained = server.start_drain();
    for socket in &mut sockets {
        assert!(response(socket).starts_with("http/1.1 200"));
    }
    drop(sockets);
    drained.join().unwrap();
}

#[test]
fn a_request_whose_header_is_half_here_is_still_answered() {
    let server = Fixture::start(1, Timeouts::default());
    let mut socket = server.connect();
    socket.write_all(GET).unwrap();
    response(&mut socket);
    socket.write_all(b"GET / HTTP/1.1\r\nHo").unwrap();
    std::thread::sleep(Duration::from_millis(50));
    let drained = server.start_drain();
    std::thread::sleep(Duration::from_millis(300));
    socket.write_all(b"st: a\r\n\r\n").unwrap();
    assert!(response(&mut socket).contains("connection: close"));
    drop(socket);
    drained.join().unwrap();
}

#[test]
fn a_header_that_stays_half_holds_the_drain_for_less_than_a_second() {
    let server = Fixture::start(1, Timeouts::default());
    let mut half = server.connect();
    half.write_all(GET).unwrap();
    response(&mut half);
    let mut first = server.connect();
    for socket in [&mut half, &mut first] {
        socket.write_all(b"GET / HTTP/1.1\r\nHo").unwrap();
    }
    std::thread::sleep(Duration::from_millis(50));
    let drained = server.start_drain();
    // A byte now and then gives it no more time.
    while !drained.is_finished() {
        std::thread::sleep(Duration::from_millis(50));
        let _ = half.write_all(b"s");
    }
    let lasted = drained.join().unwrap();
    assert!(lasted >= Duration::from_millis(500), "{lasted:?}");
    assert!(lasted < Duration::from_millis(1500), "{lasted:?}");
}

#[test]
fn http2_gets_goaway_and_its_running_stream_is_finished() {
    let server = Fixture::start(1, Timeouts::default());
    let drained = block_on(async {
        let socket = tokio::net::TcpStream::connect(server.addr).await.unwrap();
        let (mut client, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(socket))
                .await
                .unwrap();
        let connection = tokio::spawn(connection);
        let (body, sender) = channel_body();
        let request = Request::post("http://a/upload").body(body).unwrap();
        let answer = tokio::spawn(client.send_request(request));
        sender.send(Bytes::from_static(b"1234")).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;

        let drained = server.start_drain();
        // GOAWAY reaches the client: it takes no further requests.
        let told = Instant::now();
        loop {
            let (body, _) = channel_body();
            let request = Request::get("http://a/").body(body).unwrap();
            if client.send_request(request).await.is_err() {
                break;
            }
            assert!(told.elapsed() < Duration::from_secs(5));
        }
        assert!(!drained.is_finished());
        sender.send(Bytes::from_static(b"5678")).unwrap();
        drop(sender);
        let body = answer.await.unwrap().unwrap().into_body();
        assert_eq!(body.collect().await.unwrap().to_bytes(), "8 bytes");
        connection.await.unwrap().unwrap();
        drained
    });
    drained.join().unwrap();
}

type Chunk = Result<http_body::Frame<Bytes>, BoxError>;

fn channel_body() -> (
    StreamBody<impl futures_util::Stream<Item = Chunk> + Unpin + Send>,
    tokio::sync::mpsc::UnboundedSender<Bytes>,
) {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel::<Bytes>();
    let stream = futures_util::stream::poll_fn(move |cx| {
        receiver
            .poll_recv(cx)
            .map(|bytes| bytes.map(|bytes| Ok(http_body::Frame::data(bytes))))
    });
    (StreamBody::new(stream), sender)
}

#[test]
fn an_event_stream_ends_cleanly_at_its_own_limit() {
    let server = Fixture::start(1, Timeouts::default());
    let mut socket = server.connect();
    socket
        .write_all(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    let mut start = [0; 12];
    socket.read_exact(&mut start).unwrap();
    let drained = server.start_drain();
    let events = rest(&mut socket);
    assert!(
        events.ends_with(b"data: 1\n\n\r\n0\r\n\r\n"),
        "{}",
        String::from_utf8_lossy(&events)
    );
    let lasted = drained.join().unwrap();
    assert!(lasted >= Duration::from_millis(290), "{lasted:?}");
    assert!(lasted < Duration::from_secs(5), "{lasted:?}");
}

#[test]
fn a_tunnel_is_counted_and_ends_at_the_limit_of_streams() {
    let server = Fixture::start(1, Timeouts::default());
    let mut socket = server.connect();
    socket
        .write_all(
            b"GET /tunnel HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n",
        )
        .unwrap();
    assert!(response(&mut socket).starts_with("http/1.1 101"));
    let drained = server.start_drain();
    for _ in 0..5 {
        socket.write_all(b"ping").unwrap();
        let mut echo = [0; 4];
        socket.read_exact(&mut echo).unwrap();
        assert_eq!(&echo, b"ping");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!drained.is_finished());
    assert!(rest(&mut socket).is_empty());
    assert!(drained.join().unwrap() >= Duration::from_millis(290));
}

#[test]
fn the_second_signal_cuts_what_is_open_within_two_seconds() {
    let server = Fixture::start(1, Timeouts::default());
    let mut upload = server.connect();
    upload
        .write_all(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n1234")
        .unwrap();
    wait_for(|| server.drain.open() == 1);
    let drained = server.start_drain();
    wait_for(|| server.drain.is_draining());
    server.drain.end();
    assert!(closed_after(&mut upload) < Duration::from_secs(2));
    assert!(drained.join().unwrap() < Duration::from_secs(2));
}

#[test]
fn transfers_are_cut_when_their_time_is_over() {
    let server = Fixture::start(1, Timeouts::default());
    let drain = Drain::new(Duration::from_millis(200), Duration::from_secs(60));
    let open = drain.count();
    let began = Instant::now();
    block_on(drain.run());
    assert!(began.elapsed() >= Duration::from_millis(190));
    assert_eq!(drain.phase(), Phase::Ending);
    drop((open, server));
}
