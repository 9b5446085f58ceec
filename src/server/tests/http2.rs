//! HTTP/2 under attack (docs/design/hardening.md 3.5), spoken frame by frame.

use super::*;

/// A client that writes frames as it likes.
pub(super) struct Frames(TcpStream);

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

impl Frames {
    pub(super) fn connect(server: &Fixture) -> Self {
        let mut socket = server.connect();
        socket
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .unwrap();
        let mut frames = Self(socket);
        frames.send(SETTINGS, 0, 0, &[]).unwrap();
        frames
    }

    pub(super) fn send(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
    ) -> std::io::Result<()> {
        self.0.write_all(&frame(kind, flags, stream, payload))
    }

    /// The next frame: kind, flags, stream, payload; `None` once closed.
    pub(super) fn next(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some((head[3], head[4], stream, payload))
    }

    /// The error code of the GOAWAY that comes before the close, if one does.
    fn goaway(&mut self) -> Option<u32> {
        let mut code = None;
        while let Some((kind, _, _, payload)) = self.next() {
            if kind == GOAWAY {
                code = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
            }
        }
        code
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// HPACK without compression: each field a literal with its name.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            let length = text.len();
            assert!(length < 127 + 128);
            if length < 127 {
                block.push(length as u8);
            } else {
                block.extend([127, (length - 127) as u8]);
            }
            block.extend(text.as_bytes());
        }
    }
    block
}

pub(super) fn get_block(path: &str) -> Vec<u8> {
    head_block("GET", path)
}

pub(super) fn post_block(path: &str) -> Vec<u8> {
    head_block("POST", path)
}

fn head_block(method: &str, path: &str) -> Vec<u8> {
    block(&[
        (":method", method),
        (":scheme", "http"),
        (":path", path),
        (":authority", "a"),
    ])
}

const ENHANCE_YOUR_CALM: u32 = 11;

/// Other clients are served as before.
fn assert_serves(server: &Fixture) {
    let mut socket = server.connect();
    socket.write_all(GET).unwrap();
    assert!(response(&mut socket).starts_with("http/1.1 200"));
}

#[test]
fn row_60_rapid_resets_end_the_connection_with_enhance_your_calm() {
    let server = Fixture::start(1, Timeouts::default());
    let mut client = Frames::connect(&server);
    let headers = get_block("/stream");
    let flood: Vec<u8> = (0..2000_u32)
        .flat_map(|n| {
            let stream = 2 * n + 1;
            let mut bytes = frame(HEADERS, END_HEADERS | END_STREAM, stream, &headers);
            bytes.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
            bytes
        })
        .collect();
    let mut writing = client.0.try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        let began = Instant::now();
        // Stream numbers that go back are ignored or refused; what counts is that the server ends it.
        while writing.write_all(&flood).is_ok() && began.elapsed() < Duration::from_secs(8) {}
    });
    let code = client.goaway();
    writer.join().unwrap();
    assert!(matches!(code, None | Some(ENHANCE_YOUR_CALM)), "{code:?}");
    assert_serves(&server);
}

#[test]
fn row_60_a_burst_of_cancels_is_no_attack() {
    let server = Fixture::start(1, Timeouts::default());
    let headers = get_block("/stream");
    for burst in [21, 60, 100_u32] {
        let mut client = Frames::connect(&server);
        let mut bytes = Vec::new();
        for n in 0..burst {
            bytes.extend(frame(
                HEADERS,
                END_HEADERS | END_STREAM,
                2 * n + 1,
                &headers,
            ));
        }
        for n in 0..burst {
            bytes.extend(frame(RST_STREAM, 0, 2 * n + 1, &[0, 0, 0, 8]));
        }
        client.0.write_all(&bytes).unwrap();
        let next = 2 * burst + 1;
        client
            .send(HEADERS, END_HEADERS | END_STREAM, next, &get_block("/"))
            .unwrap();
        loop {
            match client.next() {
                Some((HEADERS, _, stream, payload)) if stream == next => {
                    assert_eq!(payload.first(), Some(&0x88));
                    break;
                }
                Some((kind, ..)) => assert_ne!(kind, GOAWAY, "{burst} cancels"),
                None => panic!("{burst} cancels ended the connection"),
            }
        }
    }
}

#[test]
fn row_30_and_issue_15_3_an_unfinished_header_block_ends_at_the_headers_limit() {
    let server = Fixture::start(
        1,
        Timeouts {
            header: SHORT,
            ..long()
        },
    );
    let block = get_block("/");
    let whole = frame(HEADERS, END_STREAM | END_HEADERS, 3, &block);
    let unfinished = [
        frame(HEADERS, END_STREAM, 3, &block),
        [
            frame(HEADERS, END_STREAM, 3, &block),
            frame(CONTINUATION, 0, 3, &[]),
        ]
        .concat(),
        whole[..whole.len() - 1].to_vec(),
        whole[..9].to_vec(),
    ];
    for bytes in unfinished {
        for has_neighbour in [false, true] {
            let mut client = Frames::connect(&server);
            if has_neighbour {
                // A stream that runs keeps nothing alive that hangs.
                client
                    .send(HEADERS, END_STREAM | END_HEADERS, 1, &get_block("/stream"))
                    .unwrap();
            }
            client.0.write_all(&bytes).unwrap();
            let began = Instant::now();
            client.goaway();
            assert_fired(began.elapsed());
        }
    }
}

#[test]
fn row_61_a_flood_of_continuations_ends_the_connection() {
    let server = Fixture::start(1, Timeouts::default());
    let mut client = Frames::connect(&server);
    client
        .send(HEADERS, END_STREAM, 1, &get_block("/"))
        .unwrap();
    let piece = block(&[("x-filler", &"x".repeat(200))]);
    let mut sent = 0;
    for _ in 0..100_000 {
        if client.send(CONTINUATION, 0, 1, &piece).is_err() {
            break;
        }
        sent += piece.len();
    }
    assert!(sent < 20_000_000, "the server went on reading");
    client.goaway();
    assert_serves(&server);
}

#[test]
fn row_62_a_flood_of_empty_data_frames_ends_the_connection() {
    let server = Fixture::start(1, Timeouts::default());
    let mut client = Frames::connect(&server);
    let headers = post_block("/upload");
    client.send(HEADERS, END_HEADERS, 1, &headers).unwrap();
    let flood: Vec<u8> = (0..1000).flat_map(|_| frame(DATA, 0, 1, &[])).collect();
    let ended = (0..1000).any(|_| client.0.write_all(&flood).is_err());
    assert!(ended, "a million empty frames were taken");
    client.goaway();
    assert_serves(&server);
}

#[test]
fn row_63_updates_that_force_resets_end_the_connection() {
    let server = Fixture::start(1, Timeouts::default());
    let mut client = Frames::connect(&server);
    let headers = get_block("/stream");
    // A window that overflows is a stream error, which the server answers with a reset.
    let flood: Vec<u8> = (0..5000_u32)
        .flat_map(|n| {
            let stream = 2 * n + 1;
            let mut bytes = frame(HEADERS, END_HEADERS | END_STREAM, stream, &headers);
            bytes.extend(frame(WINDOW_UPDATE, 0, stream, &[0x7f, 0xff, 0xff, 0xff]));
            bytes
        })
        .collect();
    let mut writing = client.0.try_clone().unwrap();
    let writer = std::thread::spawn(move || writing.write_all(&flood).is_err());
    let code = client.goaway();
    writer.join().unwrap();
    assert!(matches!(code, None | Some(ENHANCE_YOUR_CALM)), "{code:?}");
    assert_serves(&server);
}

#[test]
fn row_64_a_header_list_above_64_kib_is_431_or_a_reset_and_the_101st_stream_is_refused() {
    let server = Fixture::start(1, Timeouts::default());
    let mut client = Frames::connect(&server);
    // One field in the dynamic table, named again and again by one byte each: 40 times 4,000 bytes.
    let mut bomb = get_block("/");
    bomb.extend([0x40, 1, b'x', 127, 0xa1, 0x1e]);
    bomb.extend(vec![b'y'; 4000]);
    bomb.extend([0x80 | 62; 40]);
    client
        .send(HEADERS, END_HEADERS | END_STREAM, 1, &bomb)
        .unwrap();
    let headers = get_block("/stream");
    for n in 1..=101 {
        client
            .send(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, &headers)
            .unwrap();
    }
    let (mut bomb_answered, mut refused) = (false, false);
    while !(bomb_answered && refused) {
        let (kind, _, stream, payload) = client.next().expect("closed before both were answered");
        match (kind, stream) {
            // `:status` 431 is no entry of the static table, so its digits stand there, plain or coded.
            (HEADERS, 1) => bomb_answered = payload.first() != Some(&0x88),
            (RST_STREAM, 1) => bomb_answered = true,
            (RST_STREAM, 203) => refused = payload == [0, 0, 0, 7],
            _ => {}
        }
    }
    assert_serves(&server);
}

#[test]
fn row_65_broken_pseudo_headers_never_reach_the_handler() {
    let server = Fixture::start(1, Timeouts::default());
    let good = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "a"),
    ];
    for extra in [
        (":path", "/b"),
        ("Upper", "x"),
        ("connection", "close"),
        ("te", "gzip"),
        ("x", "a\r\nb"),
        ("x", "a\0b"),
        (":protocol", "websocket"),
    ] {
        let mut client = Frames::connect(&server);
        let fields = [&good[..], &[extra]].concat();
        client
            .send(HEADERS, END_HEADERS | END_STREAM, 1, &block(&fields))
            .unwrap();
        loop {
            match client.next() {
                None | Some((GOAWAY | RST_STREAM, ..)) => break,
                // 200 is entry 8 of the static table.
                Some((HEADERS, _, 1, payload)) => {
                    assert_ne!(payload.first(), Some(&0x88), "{extra:?} was served");
                    break;
                }
                Some(_) => {}
            }
        }
    }
}
