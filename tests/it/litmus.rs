//! The WebDAV conformance suite `litmus`, against a WebDAV server directly and through the gateway: same results.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::Command;

use http::HeaderValue;
use http::header::AUTHORIZATION;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

use crate::support::gateway::TestGateway;
use crate::support::issuer::FakeIssuer;
use crate::support::webdav::WebDav;

/// litmus knows no bearer tokens, so this hop adds one. It stands before the server alone too, to make both runs equal.
async fn hop(to: SocketAddr, token: Option<String>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let credential = token.map(|token| HeaderValue::try_from(format!("Bearer {token}")).unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let credential = credential.clone();
            let service = service_fn(move |request| pass(to, request, credential.clone()));
            let serve = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(serve);
        }
    });
    addr
}

async fn pass(
    to: SocketAddr,
    mut request: Request<Incoming>,
    credential: Option<HeaderValue>,
) -> Result<Response<Incoming>, Infallible> {
    if let Some(credential) = credential {
        request.headers_mut().insert(AUTHORIZATION, credential);
    }
    let io = TokioIo::new(TcpStream::connect(to).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    Ok(sender.send_request(request).await.unwrap())
}

/// One line a test, as `basic 3. mkcol pass`. What is said about a failure has ports in it and is left out.
async fn litmus(addr: SocketAddr) -> Vec<String> {
    let folder = std::env::temp_dir().join(format!("davgate-litmus-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&folder).unwrap();
    let mut command = Command::new("litmus");
    command
        .args(["--keep-going", &format!("http://{addr}/files/")])
        .current_dir(&folder);
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap_or_else(|error| panic!("litmus: {error}; run `make tools`"));
    std::fs::remove_dir_all(folder).unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut suite = String::new();
    let mut results = Vec::new();
    for line in text.split(['\n', '\r']) {
        if let Some(name) = line.strip_prefix("-> running `") {
            suite = name.trim_end_matches("':").to_owned();
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let verdict = words
            .iter()
            .find(|word| ["pass", "FAIL", "SKIPPED", "WARNING:"].contains(*word));
        if let (Some(verdict), Some(number)) = (verdict, words.first())
            && number.ends_with('.')
            && number.len() < 4
        {
            let name = words[1].trim_end_matches('.');
            results.push(format!("{suite} {number} {name} {verdict}"));
        }
    }
    results
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn litmus_says_the_same_of_a_server_and_of_the_gateway_before_it() {
    let server = WebDav::start().await;
    let direct = litmus(hop(server.addr, None).await).await;
    let passed = |suite: &str| {
        direct
            .iter()
            .filter(|line| line.starts_with(suite) && line.ends_with("pass"))
            .count()
    };
    // The server's own share is known, so that a run that tests nothing is seen.
    assert!(
        passed("basic") >= 14 && passed("copymove") >= 12 && passed("locks") >= 28,
        "{direct:#?}"
    );

    let server = WebDav::start().await;
    let issuer = FakeIssuer::start().await;
    let gateway = TestGateway::new()
        .issuer(&issuer)
        .raw_route(json!({"endpoint": "/", "backend": server.url(), "identity": "headers"}))
        .spawn()
        .await;
    let token = issuer.token("mara").sign();
    let through = litmus(hop(gateway.addr, Some(token)).await).await;
    assert_eq!(through, direct);
    gateway.stop().await;
}
