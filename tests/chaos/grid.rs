//! Requests that two parsers could read differently, before five real servers: each has seen as many requests as the gateway
//! has passed on, whatever was on the connection before.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::report::exactly;
use super::servers::{SERVERS, Server};
use super::support::gateway::TestGateway;

/// Lines about the length of a body, of which the last in `BODIES` are tried with each.
const FRAMINGS: &[&str] = &[
    "",
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: +5\r\n",
    "Content-Length: 5, 5\r\n",
    "Content-Length: 5\r\nContent-Length: 5\r\n",
    "Content-Length: 5\r\nContent-Length: 0\r\n",
    "Content-Length: 05\r\n",
    "Content-Length: 5 \r\n",
    "Content-Length : 5\r\n",
    "Content-Length: 0x5\r\n",
    "Content-Length: -5\r\n",
    "Content-Length:\t5\r\n",
    "Content-Length: 5\n",
    "Content_Length: 5\r\n",
    "content-length: 18446744073709551621\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: xchunked\r\n",
    "Transfer-Encoding: chunked, identity\r\n",
    "Transfer-Encoding: identity\r\n",
    "Transfer-Encoding: identity, chunked\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding : chunked\r\n",
    "Transfer-Encoding: \x0bchunked\r\n",
    "Transfer-Encoding:\r\n chunked\r\n",
    "Transfer-Encoding: CHUNKED\r\n",
    "Transfer-Encoding: \"chunked\"\r\n",
    "Transfer-Encoding: chunked;a=b\r\n",
    "Transfer_Encoding: chunked\r\nContent-Length: 5\r\n",
    "X: y\r\n\tTransfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    "X: y\rTransfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    "X: y\0\r\nContent-Length: 5\r\n",
    "Connection: content-length\r\nContent-Length: 5\r\n",
    "Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n",
    "Expect: 100-continue\r\nContent-Length: 5\r\n",
    "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: 5\r\n",
    "\r\nContent-Length: 5\r\n",
    ": 5\r\nContent-Length: 5\r\n",
];

/// Bodies, with another request inside or behind. `NEXT` is it.
const BODIES: &[&str] = &[
    "",
    "hello",
    "helloNEXT",
    "NEXT",
    "5\r\nhello\r\n0\r\n\r\n",
    "5\r\nhello\r\n0\r\n\r\nNEXT",
    "0\r\n\r\nNEXT",
    "5\nhello\n0\n\nNEXT",
    "5;a\nb\r\nhello\r\n0\r\n\r\nNEXT",
    "0005\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\nNEXT",
    "fffffffffffffffffffe\r\nhello\r\n0\r\n\r\nNEXT",
];

const METHODS: &[&str] = &["POST", "GET"];

/// What was on the connection before.
const BEFORE: &[(&str, &str, bool)] = &[
    ("idle", "", true),
    (
        "while a request runs",
        "GET /first?ID HTTP/1.1\r\nHost: a\r\n\r\n",
        false,
    ),
    (
        "after a request",
        "GET /first?ID HTTP/1.1\r\nHost: a\r\n\r\n",
        true,
    ),
    (
        "after a body",
        "POST /first?ID HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        true,
    ),
    (
        "behind a body",
        "POST /first?ID HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        false,
    ),
];

/// Reads until the connection ends, or rests: `count` answers are there, or none comes.
async fn answers(socket: &mut TcpStream, seen: &mut Vec<u8>, rest: Duration) {
    let mut buffer = vec![0; 65_536];
    while let Ok(Ok(read @ 1..)) = tokio::time::timeout(rest, socket.read(&mut buffer)).await {
        seen.extend_from_slice(&buffer[..read]);
    }
}

/// Answers of the server behind, over one connection. A request before that met a connection which its server was just
/// closing (502) is made again.
async fn marked(gateway: SocketAddr, mark: &str, before: &str, waits: bool, input: &str) -> usize {
    let mut socket = TcpStream::connect(gateway).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let mut seen = Vec::new();
    if waits && !before.is_empty() {
        for _ in 0..5 {
            seen.clear();
            socket.write_all(before.as_bytes()).await.unwrap();
            while !seen.ends_with(b"ok") && !seen.ends_with(b"ok\n") && !seen.ends_with(b"}") {
                let read = socket.read_buf(&mut seen).await.unwrap();
                assert!(read > 0, "{}", seen.escape_ascii());
            }
            if !seen.ends_with(b"}") {
                break;
            }
        }
        let _ = socket.write_all(input.as_bytes()).await;
    } else {
        let _ = socket.write_all([before, input].concat().as_bytes()).await;
    }
    answers(&mut socket, &mut seen, Duration::from_millis(250)).await;
    let text = String::from_utf8_lossy(&seen).to_ascii_lowercase();
    text.matches(mark).count()
}

/// Runs the grid before one server. Which inputs came to how many requests more or less than answers.
async fn grid(name: &'static str) -> (usize, Vec<String>) {
    let server = Server::start(name).await;
    let route = json!({
        "endpoint": "/", "backend": format!("http://{}", server.addr), "unprotected": true, "identity": "none",
    });
    let gateway = TestGateway::new()
        .var("PROXY_OIDC_ISSUER", "http://127.0.0.1:1")
        .raw_route(route)
        .spawn()
        .await;
    let mut inputs = Vec::new();
    for method in METHODS {
        for framing in FRAMINGS {
            for body in BODIES {
                let number = inputs.len();
                let next = format!("GET /smuggled?{number}x HTTP/1.1\r\nHost: a\r\n\r\n");
                let body = body.replace("NEXT", &next);
                inputs.push(format!(
                    "{method} /input?{number}x HTTP/1.1\r\nHost: a\r\n{framing}\r\n{body}"
                ));
            }
        }
    }
    let mut faults = Vec::new();
    let mut runs = 0;
    for (what, before, waits) in BEFORE {
        let known = server.requests().len();
        let mut answered: BTreeMap<usize, usize> = BTreeMap::new();
        // Some at once, as most of the time is waiting.
        let numbered: Vec<_> = inputs.iter().enumerate().collect();
        for part in numbered.chunks(32) {
            let calls = part.iter().map(|(number, input)| {
                let before = before.replace("ID", &format!("{number}x"));
                let (addr, mark) = (gateway.addr, server.mark());
                async move { (*number, marked(addr, mark, &before, *waits, input).await) }
            });
            answered.extend(futures_util::future::join_all(calls).await);
        }
        runs += inputs.len();
        // What has come too much would be written by now.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let requests = server.requests();
        let seen = requests.get(known..).unwrap_or_default();
        for (number, input) in inputs.iter().enumerate() {
            let id = format!("?{number}x ");
            let count = seen.iter().filter(|line| line.contains(&id)).count();
            if count != answered[&number] && !is_cut(input, &seen, &id, count, answered[&number]) {
                faults.push(format!(
                    "{name}, {what}: {count} requests, {} answers: {input:?}",
                    answered[&number]
                ));
            }
        }
        let unknown = seen.iter().filter(|line| !line.contains("x HTTP/1."));
        faults.extend(unknown.map(|line| format!("{name}, {what}: saw {line:?}")));
    }
    gateway.stop().await;
    (runs, faults)
}

/// An upload whose body breaks off, or is broken, may reach a server that never answers it: one request, and nothing of what
/// came behind it.
fn is_cut(input: &str, seen: &&[String], id: &str, count: usize, answered: usize) -> bool {
    let smuggled = seen
        .iter()
        .any(|line| line.contains("/smuggled") && line.contains(id));
    let input = input.to_ascii_lowercase();
    let has_body = input.contains("chunked") || input.contains("content-");
    has_body && count == answered + 1 && !smuggled
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_smuggling_grid_before_five_servers() {
    let grids = SERVERS.map(grid);
    for (name, (runs, faults)) in SERVERS
        .into_iter()
        .zip(futures_util::future::join_all(grids).await)
    {
        for fault in faults.iter().take(20) {
            println!("{fault}");
        }
        exactly(
            "-",
            &format!("smuggling grid, {name}: of {runs} runs with other counts"),
            faults.len(),
            0,
        );
    }
}
