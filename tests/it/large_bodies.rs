//! Bodies that are larger than a process may become.

use http::Response;
use serde_json::json;

use crate::support::backend::{FakeBackend, read};
use crate::support::client::Call;
use crate::support::large::{large, large_body};
use crate::support::process::GatewayProcess;

const TWO_GIB: u64 = 2 << 30;
const MIB_32: u64 = 32 << 20;

async fn process(backend: &FakeBackend) -> GatewayProcess {
    let policy = json!({"name": "default", "routes": [
        {"endpoint": "/", "backend": backend.url(), "unprotected": true, "identity": "none"},
    ]});
    let variables = [("PROXY_OIDC_ISSUER", "http://127.0.0.1:1")];
    GatewayProcess::start(&json!({"policies": [policy]}), &variables).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_gibibytes_go_up_in_constant_memory() {
    let backend = FakeBackend::start().await;
    let gateway = process(&backend).await;
    let (before, _) = gateway.memory();
    let (body, hash) = large(TWO_GIB);
    let call = Call::new(gateway.addr, "PUT", "/large").stream(body);
    call.send().await.is(200);
    let seen = backend.the_request();
    assert_eq!(seen.body.bytes, TWO_GIB);
    assert!(seen.body.sha256 == hash, "the bytes differ");
    let (_, most) = gateway.memory();
    let growth = most - before;
    assert!(growth < MIB_32, "{} KiB more", growth / 1024);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_gibibytes_come_down_in_constant_memory() {
    let backend = FakeBackend::start().await;
    let (_, hash) = large(TWO_GIB);
    backend.answers(|_| Response::new(large(0).0).map(|_| large_body(TWO_GIB)));
    let gateway = process(&backend).await;
    let (before, _) = gateway.memory();
    let answer = Call::new(gateway.addr, "GET", "/large").open().await;
    let seen = read(answer.into_body()).await;
    assert_eq!(seen.bytes, TWO_GIB);
    assert!(seen.sha256 == hash, "the bytes differ");
    let (_, most) = gateway.memory();
    let growth = most - before;
    assert!(growth < MIB_32, "{} KiB more", growth / 1024);
}
