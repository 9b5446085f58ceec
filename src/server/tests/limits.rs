//! Limits: sizes, times, connections of one address, descriptors.

use super::*;

#[test]
fn row_18_a_head_of_any_size_is_431_before_it_is_kept() {
    let server = Fixture::start(1, Timeouts::default());
    let mut socket = server.connect();
    let value = "x".repeat(64 * 1024);
    let fits = format!("GET / HTTP/1.1\r\nHost: a\r\nA: {value}\r\n\r\n");
    socket.write_all(fits.as_bytes()).unwrap();
    assert!(response(&mut socket).starts_with("http/1.1 200"));
    let exceeds = format!("GET / HTTP/1.1\r\nHost: a\r\nA: {value}\r\nB: {value}\r\n\r\n");
    socket.write_all(exceeds.as_bytes()).unwrap();
    assert!(response(&mut socket).starts_with("http/1.1 431"));
    assert!(closed_after(&mut socket) < Duration::from_secs(1));
}

#[test]
fn row_30_a_header_that_comes_byte_by_byte_is_closed_at_the_limit() {
    let server = Fixture::start(
        1,
        Timeouts {
            header: SHORT,
            ..long()
        },
    );
    for start in [&b""[..], GET] {
        let mut socket = server.connect();
        if !start.is_empty() {
            socket.write_all(start).unwrap();
            response(&mut socket);
        }
        let began = Instant::now();
        let mut dripping = socket.try_clone().unwrap();
        let drip = std::thread::spawn(move || {
            while dripping.write_all(b"G").is_ok() && began.elapsed() < Duration::from_secs(5) {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let lasted = closed_after(&mut socket);
        assert_fired(lasted);
        drip.join().unwrap();
    }
}

#[test]
fn a_silent_connection_is_closed_at_its_limit() {
    let server = Fixture::start(
        1,
        Timeouts {
            first_byte: SHORT,
            ..long()
        },
    );
    assert_fired(closed_after(&mut server.connect()));
}

#[test]
fn a_connection_without_a_further_request_is_closed_at_the_idle_limit() {
    let server = Fixture::start(
        1,
        Timeouts {
            idle: SHORT,
            ..long()
        },
    );
    let mut socket = server.connect();
    socket.write_all(GET).unwrap();
    response(&mut socket);
    assert_fired(closed_after(&mut socket));
}

#[test]
fn bodies_in_motion_are_never_cut_by_a_limit() {
    let short = Timeouts {
        first_byte: SHORT,
        header: SHORT,
        idle: SHORT,
        handshake: SHORT,
        transfer: SHORT,
    };
    let server = Fixture::start(1, short);
    let mut socket = server.connect();
    socket
        .write_all(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
        .unwrap();
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(100));
        socket.write_all(b"x").unwrap();
    }
    assert!(response(&mut socket).ends_with("10 bytes"));
}

#[test]
fn an_idle_http2_connection_is_closed_after_goaway() {
    let server = Fixture::start(
        1,
        Timeouts {
            idle: SHORT,
            ..long()
        },
    );
    let lasted = block_on(async {
        let socket = tokio::net::TcpStream::connect(server.addr).await.unwrap();
        let (mut client, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(socket))
                .await
                .unwrap();
        let connection = tokio::spawn(connection);
        let request = Request::get("http://a/")
            .body(Full::<Bytes>::default())
            .unwrap();
        client.send_request(request).await.unwrap();
        let began = Instant::now();
        connection.await.unwrap().unwrap();
        began.elapsed()
    });
    assert_fired(lasted);
}

#[test]
fn row_28_a_refused_upload_gets_its_answer_although_its_body_is_not_read() {
    let server = Fixture::start(1, Timeouts::default());
    for _ in 0..50 {
        let mut socket = server.connect();
        socket
            .write_all(b"POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
            .unwrap();
        // What fits into the buffers; the server reads 256 KiB at most.
        let _ = socket.write_all(&vec![b'G'; 200_000]);
        assert!(response(&mut socket).starts_with("http/1.1 401"));
        assert!(rest(&mut socket).is_empty(), "no body byte is a request");
    }
}

#[test]
fn f24_at_the_limit_the_connection_that_rested_longest_makes_room() {
    for workers in [1, 3] {
        let server = Fixture::start_with(workers, long(), None, |http| {
            http.max_connections = Some(6);
        });
        let mut streaming = server.connect();
        streaming
            .write_all(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
            .unwrap();
        let mut idle = Vec::new();
        for _ in 0..5 {
            let mut socket = server.connect();
            socket.write_all(GET).unwrap();
            response(&mut socket);
            idle.push(socket);
            // The sweep's clock tells them apart.
            std::thread::sleep(Duration::from_millis(300));
        }
        let mut later = Vec::new();
        for _ in 0..3 {
            let mut socket = server.connect();
            socket.write_all(GET).unwrap();
            assert!(response(&mut socket).starts_with("http/1.1 200"));
            later.push(socket);
        }
        let open: i64 = (0..workers)
            .map(|index| server.metrics.worker(index).connections())
            .sum();
        assert!(open <= 6 + workers as i64, "{open} connections");
        if workers == 1 {
            for socket in &mut idle[..3] {
                assert!(closed_after(socket) < Duration::from_secs(1));
            }
            idle[4].write_all(GET).unwrap();
            assert!(response(&mut idle[4]).starts_with("http/1.1 200"));
        }
        let mut chunk = [0; 512];
        assert!(streaming.read(&mut chunk).unwrap() > 0);
    }
}

#[test]
fn f24_connections_that_are_all_in_use_are_not_closed_for_a_new_one() {
    let server = Fixture::start_with(1, long(), None, |http| {
        http.max_connections = Some(2);
    });
    let mut streaming: Vec<_> = (0..2).map(|_| server.connect()).collect();
    for socket in &mut streaming {
        socket
            .write_all(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
            .unwrap();
        assert!(socket.read(&mut [0; 512]).unwrap() > 0);
    }
    let mut surplus = server.connect();
    assert!(closed_after(&mut surplus) < Duration::from_secs(5));
    for socket in &mut streaming {
        socket.set_nonblocking(true).unwrap();
        loop {
            match socket.read(&mut [0; 512]) {
                Ok(0) => panic!("a stream was closed"),
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    break;
                }
            }
        }
    }
}

/// An idle connection is taken apart after a second; nothing of that is seen from outside.
#[test]
fn f25_and_issue_15_6_a_connection_that_was_idle_serves_on_and_ends_at_its_limit() {
    let server = Fixture::start(
        1,
        Timeouts {
            idle: Duration::from_secs(4),
            ..long()
        },
    );
    let pause = Duration::from_millis(1600);
    let mut sockets: Vec<_> = (0..5).map(|_| server.connect()).collect();
    for socket in &mut sockets {
        socket.write_all(GET).unwrap();
        response(socket);
    }
    std::thread::sleep(pause);
    let upload = b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    sockets[0].write_all(upload).unwrap();
    assert!(response(&mut sockets[0]).ends_with("3 bytes"));
    sockets[1].write_all(&GET.repeat(3)).unwrap();
    for _ in 0..3 {
        assert!(response(&mut sockets[1]).starts_with("http/1.1 200"));
    }
    // A head that comes byte by byte.
    for byte in GET {
        sockets[2].write_all(&[*byte]).unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(response(&mut sockets[2]).starts_with("http/1.1 200"));
    sockets[3].write_all(b"what is this\r\n\r\n").unwrap();
    assert!(response(&mut sockets[3]).starts_with("http/1.1 400"));
    assert!(closed_after(&mut sockets[3]) < Duration::from_secs(1));
    std::thread::sleep(pause);
    sockets[0].write_all(GET).unwrap();
    assert!(response(&mut sockets[0]).starts_with("http/1.1 200"));
    let lasted = closed_after(&mut sockets[4]);
    assert!(lasted < Duration::from_secs(8), "{lasted:?}");
}

#[test]
fn an_address_above_its_limit_is_closed_at_once() {
    let server = Fixture::start_with(2, Timeouts::default(), None, |http| {
        http.max_connections_per_address = Some(2);
    });
    let mut held: Vec<_> = (0..2).map(|_| server.connect()).collect();
    for socket in &mut held {
        socket.write_all(GET).unwrap();
        response(socket);
    }
    let mut surplus = server.connect();
    assert!(closed_after(&mut surplus) < Duration::from_secs(1));
}

/// Runs itself in a process of its own with 100 descriptors, as the limit is the whole process's.
#[test]
fn f24_and_issue_15_2_without_descriptors_accepting_rests_running_connections_go_on_and_it_recovers()
 {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let open_files = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    if open_files.split_whitespace().nth(3) != Some("100") {
        // Its own name, as the harness gives it to the test's thread: a name that is written down may be another's one day.
        let name = std::thread::current().name().unwrap().to_owned();
        let output = std::process::Command::new("sh")
            .args([
                "-c",
                "ulimit -n 100; exec \"$0\" --exact \"$1\" --nocapture",
            ])
            .arg(std::env::current_exe().unwrap())
            .arg(name)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}");
        assert!(said.contains("1 passed"), "nothing was run: {said}");
        return;
    }
    let server = Fixture::start(1, long());
    let mut used = std::fs::File::open("/proc/self/stat").unwrap();
    let mut held = server.connect();
    held.write_all(GET).unwrap();
    response(&mut held);
    let mut clients = Vec::new();
    while let Ok(client) = TcpStream::connect(server.addr) {
        clients.push(client);
    }
    let before = cpu_ticks(&mut used);
    std::thread::sleep(Duration::from_secs(1));
    let ticks = cpu_ticks(&mut used) - before;
    // A tick is 10 ms; a spinning loop takes a hundred.
    assert!(ticks <= 10, "{ticks} ticks in a second");
    held.write_all(GET).unwrap();
    assert!(response(&mut held).starts_with("http/1.1 200"));
    clients.clear();
    let began = Instant::now();
    let mut recovered = server.connect();
    recovered.write_all(GET).unwrap();
    assert!(response(&mut recovered).starts_with("http/1.1 200"));
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
}

/// User and system time of this process, from an already open `/proc/self/stat`.
fn cpu_ticks(stat: &mut std::fs::File) -> u64 {
    use std::io::Seek;
    stat.rewind().unwrap();
    let mut text = String::new();
    stat.read_to_string(&mut text).unwrap();
    // The name of the process, in parentheses, may have blanks.
    let after = text.rsplit(')').next().unwrap();
    let mut fields = after.split_whitespace().skip(11);
    let mut next = || fields.next().unwrap().parse::<u64>().unwrap();
    next() + next()
}
