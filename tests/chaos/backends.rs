//! F15 and F16: backends that refuse or break off.

use std::time::{Duration, Instant};

use http_body_util::BodyExt as _;

use super::report::{at_most, exactly};
use super::support::client::Call;
use super::support::gateway::{Builder, TestGateway};
use super::support::issuer::FakeIssuer;
use super::support::raw_backend::{RawBackend, Then};

const RUNS: usize = 500;

async fn gateway(settings: impl FnOnce(Builder) -> Builder) -> (FakeIssuer, TestGateway) {
    let issuer = FakeIssuer::start().await;
    let gateway = settings(TestGateway::new().issuer(&issuer)).spawn().await;
    (issuer, gateway)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f15_a_backend_that_refuses() {
    let gone = RawBackend::start(b"", Then::Close).await.open_route("/");
    let (_issuer, gateway) = gateway(|gateway| gateway.raw_route(gone)).await;
    let (mut slowest, mut bad_gateway) = (Duration::ZERO, 0);
    for number in 0..RUNS {
        let method = ["GET", "PUT", "PROPFIND"][number % 3];
        let start = Instant::now();
        let answer = gateway.call(method, "/a").body("x").send().await;
        slowest = slowest.max(start.elapsed());
        bad_gateway += usize::from(answer.status == 502);
    }
    exactly("F15", "502", bad_gateway, RUNS);
    at_most("F15", "slowest 502", slowest, Duration::from_millis(50));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f16_a_backend_that_breaks_off_in_an_answer() {
    let length = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nstart";
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nstart\r\n";
    for (form, bytes) in [("by length", &length[..]), ("in chunks", &chunked[..])] {
        let backend = RawBackend::start(bytes, Then::Reset).await;
        let (_issuer, gateway) = gateway(|it| it.raw_route(backend.open_route("/"))).await;
        for version in ["HTTP/1", "HTTP/2"] {
            let runs = futures_util::future::join_all((0..RUNS / 10).map(|_| async {
                let call = Call::new(gateway.addr, "GET", "/a");
                let call = if version == "HTTP/2" { call.h2() } else { call };
                match call.try_open().await {
                    Ok(answer) => answer.into_body().collect().await.is_err(),
                    Err(_) => true,
                }
            }));
            let cut = runs.await.into_iter().filter(|cut| *cut).count();
            exactly(
                "F16",
                &format!("{form}, {version}: seen as cut"),
                cut,
                RUNS / 10,
            );
        }
    }
}
