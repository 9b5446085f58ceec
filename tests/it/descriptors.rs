//! At the limit of open files: whoever is let in is served, with connections to backends that were not there before.

use serde_json::json;
use tokio::net::TcpStream;

use crate::support::backend::FakeBackend;
use crate::support::client::{Call, raw, status};
use crate::support::issuer::FakeIssuer;
use crate::support::process::GatewayProcess;

/// 200 connections that say nothing, and 200 that said something and rest, each more than there are places for.
#[tokio::test]
async fn issue_15_2_where_idle_clients_took_all_places_new_backend_connections_and_health_work() {
    let issuer = FakeIssuer::start().await;
    let (first, second) = (FakeBackend::start().await, FakeBackend::start().await);
    let yaml = json!({"policies": [{"name": "default", "routes": [
        {"endpoint": "/first/", "backend": first.url(), "unprotected": true},
        {"endpoint": "/second/", "backend": second.url(), "unprotected": true},
    ]}]});
    let vars = [("PROXY_OIDC_ISSUER", issuer.url())];
    for speaks in [false, true] {
        let gateway = GatewayProcess::start_with_descriptors(200, &yaml, &vars).await;
        let mut held = Vec::new();
        for _ in 0..200 {
            let connected = TcpStream::connect(gateway.addr).await.unwrap();
            if speaks {
                let request = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
                // One that is closed meanwhile, for the place of another, fails; the next ones count.
                let _ = connected.try_write(request);
            }
            held.push(connected);
        }
        // Nobody has asked a backend yet, so that each of these needs connections of its own.
        for path in ["/first/a", "/second/a"] {
            let calls = (0..8).map(|_| Call::new(gateway.addr, "GET", path).send());
            for answer in futures_util::future::join_all(calls).await {
                answer.is(200);
            }
        }
        let question = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        assert_eq!(status(&raw(gateway.debug_addr, question).await), 200);
        drop(held);
    }
}
