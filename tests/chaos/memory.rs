//! Memory: what connections cost while they rest, what transfers cost that nobody moves on, and what of it comes back
//! (docs/design/design.md 4, and 2, Transfers; issue 15, numbers 1 and 6).

use std::time::Duration;

use futures_util::future::join_all;
use http::Response;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::report::{no_more_than, told};
use super::support::backend::{FakeBackend, reply};
use super::support::large::large_body;
use super::support::process::GatewayProcess;

const GET: &[u8] = b"GET /small HTTP/1.1\r\nHost: a\r\n\r\n";

/// What a connection may cost that rests between two requests, in KiB.
const IDLE: u64 = 16;
/// What a transfer may cost that rests, plain HTTP/1.1, in KiB.
const STALLED: u64 = 96;
/// How far above its start a process may be that holds nothing any more, in KiB.
const LEFT: u64 = 16 * 1024;

/// Small and large answers, uploads that nobody reads, and the gateway before them as a process of its own.
struct Site {
    gateway: GatewayProcess,
    _backend: FakeBackend,
    _deaf: TcpListener,
}

impl Site {
    async fn new(variables: &[(&str, &str)]) -> Self {
        let backend = FakeBackend::start().await;
        backend.answers(|seen| {
            if seen.target.starts_with("/large") {
                Response::new(large_body(64 << 20))
            } else {
                reply("sixteen letters.")
            }
        });
        let deaf = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = |endpoint: &str, backend: String| json!({"endpoint": endpoint, "backend": backend, "unprotected": true, "identity": "none"});
        let yaml = json!({"policies": [{"name": "default", "routes": [
            open("/deaf", format!("http://{}", deaf.local_addr().unwrap())),
            open("/", backend.url()),
        ]}]});
        let mut all = vec![
            ("PROXY_OIDC_ISSUER", "http://127.0.0.1:1"),
            ("PROXY_LOG_LEVEL", "warn"),
        ];
        all.extend(variables);
        let gateway = GatewayProcess::start(&yaml, &all).await;
        let site = Self {
            gateway,
            _backend: backend,
            _deaf: deaf,
        };
        // Whatever is made once is there.
        for _ in 0..20 {
            drop(site.open(50).await);
        }
        site
    }

    /// As many connections, each of which had an answer.
    async fn open(&self, count: usize) -> Vec<TcpStream> {
        let mut all = Vec::with_capacity(count);
        while all.len() < count {
            let some = (count - all.len()).min(100);
            all.extend(join_all((0..some).map(|_| self.one())).await);
        }
        all
    }

    async fn one(&self) -> TcpStream {
        let mut socket = self.sends(GET).await;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(socket.read_u8().await.unwrap());
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"));
        socket.read_exact(&mut [0; 16]).await.unwrap();
        socket
    }

    async fn sends(&self, head: &[u8]) -> TcpStream {
        let mut socket = TcpStream::connect(self.gateway.addr).await.unwrap();
        socket.write_all(head).await.unwrap();
        socket
    }

    /// Resident memory in KiB once it has stopped to fall: allocators give back after a while.
    async fn settled(&self) -> u64 {
        let mut lowest = u64::MAX;
        let mut since = 0;
        while since < 8 {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let now = self.gateway.memory().0 / 1024;
            since = if now + 64 < lowest { 0 } else { since + 1 };
            lowest = lowest.min(now);
        }
        lowest
    }
}

/// KiB a piece above `before`, rounded up.
fn each(now: u64, before: u64, count: usize) -> usize {
    let above = usize::try_from(now.saturating_sub(before)).unwrap();
    above.div_ceil(count)
}

/// A promise about what is shipped: without optimisation the same takes more.
#[track_caller]
fn at_most(fault: &str, what: &str, kib: usize, most: usize) {
    if cfg!(debug_assertions) {
        told(fault, what, &kib.to_string());
    } else {
        no_more_than(fault, what, kib, most);
    }
}

/// Cut, or, where a backend has no place for more, given up while they waited for one.
fn ended(log: &str) -> usize {
    let of = |reason: &str| log.matches(reason).count();
    of("\"transfer_idle\"") + of("\"backend_timeout\"")
}

fn kib(limit: u64) -> usize {
    usize::try_from(limit).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f25_and_issue_15_6_connections_that_rest_and_what_bursts_of_them_leave() {
    let site = Site::new(&[]).await;
    let start = site.settled().await;
    told(
        "F25",
        "resident memory after start",
        &format!("{start} KiB"),
    );
    let idle = site.open(2_000).await;
    let fresh = each(site.settled().await, start, idle.len());
    at_most(
        "F25",
        "KiB for each of 2,000 idle HTTP/1.1 connections",
        fresh,
        kib(IDLE),
    );
    drop(idle);
    for _ in 0..4 {
        drop(site.open(3_000).await);
    }
    let idle = site.open(2_000).await;
    let later = each(site.settled().await, start, idle.len());
    at_most(
        "F25",
        "KiB for each after four bursts of 3,000",
        later,
        kib(IDLE),
    );
    drop(idle);
    let left = site.settled().await.saturating_sub(start);
    let left = usize::try_from(left).unwrap();
    at_most("F25", "KiB above the start with none open", left, kib(LEFT));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f27_and_issue_15_1_transfers_that_rest_and_what_they_leave() {
    const COUNT: usize = 200;
    for (what, head, block) in [
        (
            "uploads nobody reads",
            &b"PUT /deaf/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n"[..],
            64 * 1024,
        ),
        (
            "uploads that stop",
            b"PUT /deaf/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n",
            0,
        ),
        (
            "downloads nobody reads",
            b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n",
            0,
        ),
    ] {
        let site = Site::new(&[("PROXY_TRANSFER_IDLE_TIMEOUT", "20s")]).await;
        let start = site.settled().await;
        let held = join_all((0..COUNT).map(|_| async {
            let mut socket = site.sends(head).await;
            // As much as fits into the sockets on the way.
            let block = vec![b'x'; block];
            let pause = Duration::from_millis(500);
            while !block.is_empty()
                && matches!(
                    tokio::time::timeout(pause, socket.write_all(&block)).await,
                    Ok(Ok(()))
                )
            {}
            socket
        }))
        .await;
        let cost = each(site.settled().await, start, COUNT);
        at_most(
            "F27",
            &format!("KiB for each of 200 {what}"),
            cost,
            kib(STALLED),
        );
        // They are cut at their limit; whoever reads on moves them.
        let is_cut = async {
            while ended(&site.gateway.log()) < COUNT {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(60), is_cut)
            .await
            .is_err()
        {
            let log = site.gateway.log();
            let end: String = log.lines().rev().take(3).collect();
            panic!("of {COUNT} that rest {} ended: {end}", ended(&log));
        }
        drop(held);
        let left = usize::try_from(site.settled().await.saturating_sub(start)).unwrap();
        at_most(
            "F27",
            &format!("KiB above the start after them ({what})"),
            left,
            kib(LEFT),
        );
    }
}
