//! Transfers of a minute and more that move, however slowly: the usual limits, and clients of others.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use http::Response;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::backend::{FakeBackend, Told};
use crate::support::gateway::TestGateway;
use crate::support::large::large_body;
use crate::support::world::World;

const LARGE: u64 = 64 << 20;

/// Whether the log says that a transfer of this path was cut. Other tests' gateways write to it, too.
fn was_cut(gateway: &TestGateway, path: &str) -> bool {
    let lines = gateway.log_lines("transfer_idle");
    lines.iter().any(|line| line["path"] == path)
}

/// An open route to a backend whose answers are large, with the limits of a gateway nobody has set.
async fn large_answers() -> (FakeBackend, TestGateway) {
    let backend = FakeBackend::start().await;
    backend.answers(|_| Response::new(large_body(LARGE)));
    let gateway = TestGateway::new()
        .var("PROXY_OIDC_ISSUER", "http://127.0.0.1:1")
        .open("/", &backend)
        .spawn()
        .await;
    (backend, gateway)
}

/// `curl` with these arguments, to its end.
async fn curl(arguments: Vec<String>) -> Output {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--output", "/dev/null"]);
    command.args(arguments).stdin(Stdio::null());
    let ended = tokio::task::spawn_blocking(move || command.output());
    let output = ended.await.unwrap();
    output.unwrap_or_else(|error| panic!("curl: {error}; run `make tools`"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn issue_15_20_downloads_slower_than_any_ping_come_to_their_ends() {
    let (_backend, gateway) = large_answers().await;
    let url = format!("http://{}/large", gateway.addr);
    let began = Instant::now();
    // Long enough for a PING each 20 s and 20 s of patience with its answer, and for the limit of what rests.
    let slow = ["--http2-prior-knowledge", "--http1.1"].map(|protocol| {
        let arguments = ["--limit-rate", "64K", "--max-time", "70", protocol, &url];
        curl(arguments.map(str::to_owned).to_vec())
    });
    for output in futures_util::future::join_all(slow).await {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        // 28: its own time is over.
        assert_eq!(output.status.code(), Some(28), "{text}");
    }
    assert!(began.elapsed() >= Duration::from_secs(70));
    assert!(!was_cut(&gateway, "/large"));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn issue_15_1_a_reader_of_one_kibibyte_a_second_is_not_cut() {
    let (_backend, gateway) = large_answers().await;
    let mut client = TcpStream::connect(gateway.addr).await.unwrap();
    let get = b"GET /kibibytes HTTP/1.1\r\nHost: a\r\n\r\n";
    client.write_all(get).await.unwrap();
    let mut piece = [0; 1024];
    // Longer than the limit, and than its window takes to open by one segment of the loopback.
    for _ in 0..100 {
        client.read_exact(&mut piece).await.expect("it was cut");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(!was_cut(&gateway, "/kibibytes"));
    gateway.stop().await;
}

/// What Python's `http.client` makes of an upload that is refused before it is read.
const SEND_FIRST: &str = r#"
import http.client, sys
host, token, mib = sys.argv[1], sys.argv[2], int(sys.argv[3])
connection = http.client.HTTPConnection(host, timeout=60)
headers = {"Authorization": "Bearer " + token} if token else {}
connection.request("PUT", "/files/a", body=b"x" * (mib << 20), headers=headers)
print(connection.getresponse().status)
"#;

async fn send_first(world: &World, token: &str, mib: &str) -> String {
    let mut command = Command::new("python3");
    command.args([
        "-c",
        SEND_FIRST,
        &world.gateway.addr.to_string(),
        token,
        mib,
    ]);
    let ended = tokio::task::spawn_blocking(move || command.output());
    let output = ended.await.unwrap().expect("python3: run `make tools`");
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn issue_15_21_a_client_that_sends_first_sees_each_early_refusal() {
    let world = World::telling(Told::Headers, |gateway| gateway).await;
    world.backend.takes_over(|_| async {
        let mut answer = crate::support::backend::reply("full");
        *answer.status_mut() = http::StatusCode::INSUFFICIENT_STORAGE;
        answer
    });
    let token = world.issuer.token("mara").sign();
    for mib in ["1", "8", "32"] {
        for _ in 0..2 {
            assert_eq!(send_first(&world, "", mib).await, "401");
            assert_eq!(send_first(&world, "rubbish", mib).await, "401");
            assert_eq!(send_first(&world, &token, mib).await, "507");
        }
    }
    world.gateway.stop().await;
}
