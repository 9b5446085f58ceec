//! F20: the gateway is told to end while uploads run.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use futures_util::stream;
use http::Request;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Body, Frame};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::report::{at_most, exactly, row};
use super::site::Site;
use super::support::client::{CLOUD, raw, status};

const UPLOADS: usize = 300;
/// A part is sent each 100 ms, so each upload runs for four seconds.
const PARTS: usize = 40;
const PART: usize = 10_000;

/// Parts differ by a number at their start, so that none can stand for another.
fn part(upload: usize, number: usize) -> Bytes {
    let mut part = vec![b'.'; PART];
    part[..16].copy_from_slice(format!("{:016}", upload * PARTS + number).as_bytes());
    part.into()
}

/// The status of an upload, 0 if there is none.
async fn put(
    addr: SocketAddr,
    path: String,
    bearer: String,
    parts: impl Body<Data = Bytes, Error = Infallible> + Send + 'static,
) -> u16 {
    let io = TokioIo::new(TcpStream::connect(addr).await.unwrap());
    let (mut sender, connection) = http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let request = Request::put(path)
        .header("host", CLOUD)
        .header("authorization", bearer)
        .body(parts.boxed_unsync())
        .unwrap();
    let answer = sender.send_request(request).await;
    answer.map_or(0, |answer| answer.status().as_u16())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f20_told_to_end_while_uploads_run() {
    let mut site = Site::new(&[]).await;
    let token = site.known(1).await.remove(0);
    let mut uploads = JoinSet::new();
    let mut hashes = HashMap::new();
    for upload in 0..UPLOADS {
        let path = format!("/files/{upload}");
        let whole: Vec<u8> = (0..PARTS).flat_map(|number| part(upload, number)).collect();
        hashes.insert(path.clone(), digest(&SHA256, &whole).as_ref().to_vec());
        let parts = stream::unfold(0, move |number| async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            (number < PARTS).then(|| (Ok(Frame::data(part(upload, number))), number + 1))
        });
        let (addr, bearer) = (site.gateway.addr, format!("Bearer {token}"));
        let parts = StreamBody::new(Box::pin(parts));
        uploads.spawn(put(addr, path, bearer, parts));
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    site.gateway.signal("TERM");
    let told = Instant::now();
    let ready = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    while status(&raw(site.gateway.debug_addr, ready).await) != 503 {}
    at_most(
        "F20",
        "/readyz is 503 after SIGTERM",
        told.elapsed(),
        Duration::from_millis(100),
    );
    while TcpStream::connect(site.gateway.addr).await.is_ok() {
        assert!(told.elapsed() < Duration::from_secs(5), "still open");
    }
    at_most(
        "F20",
        "new connections are refused after SIGTERM",
        told.elapsed(),
        Duration::from_millis(100),
    );
    let statuses = uploads.join_all().await;
    let last = Instant::now();
    let fine = statuses.iter().filter(|status| **status == 200).count();
    exactly("F20", "uploads that finish", fine, UPLOADS);
    let ended = site.gateway.ended().await;
    at_most(
        "F20",
        "the process ends after the last byte",
        last.elapsed(),
        Duration::from_millis(100),
    );
    row(
        "F20",
        "exit code",
        &format!("{:?}", ended.code()),
        "Some(0)",
        ended.success(),
    );
    assert!(ended.success());
    let whole = site.backend.take_seen().into_iter().filter(|seen| {
        hashes
            .get(&seen.target)
            .is_some_and(|hash| *hash == seen.body.sha256)
    });
    exactly(
        "F20",
        "uploads with the same SHA-256 at the backend",
        whole.count(),
        UPLOADS,
    );
}
