//! Backends behind TLS: in HTTP/1.1, or in HTTP/2 where that is switched on.

use std::fs;

use http::Version;

use crate::support::backend::FakeBackend;
use crate::support::files::Folder;
use crate::support::gateway::TestGateway;
use crate::support::issuer::FakeIssuer;

#[tokio::test]
async fn a_tls_backend_is_spoken_to_in_http_2_only_where_it_is_switched_on() {
    let issuer = FakeIssuer::start().await;
    let (backend, certificate) = FakeBackend::with_tls().await;
    let folder = Folder::new("backend-ca");
    let file = folder.0.join("ca.pem");
    fs::write(&file, certificate).unwrap();
    let body = "x".repeat(300_000);
    for (switch, version) in [("false", Version::HTTP_11), ("true", Version::HTTP_2)] {
        let gateway = TestGateway::new()
            .issuer(&issuer)
            .var("PROXY_HTTPS_CACERT", file.to_str().unwrap())
            .var("PROXY_TRANSPORT_CLIENT_FORCE_ATTEMPT_HTTP2", switch)
            .backend("/files/", &backend)
            .spawn()
            .await;
        let token = issuer.token("mara").sign();
        for call in [
            gateway.call("PROPFIND", "/files/a%20b"),
            gateway.call("PUT", "/files/a%20b").body(body.clone()),
            gateway.call("PUT", "/files/a%20b").body(body.clone()).h2(),
        ] {
            call.bearer(&token).send().await.is(200);
            let seen = backend.the_request();
            assert_eq!(seen.version, version);
            assert!(seen.target.ends_with("/files/a%20b"), "{}", seen.target);
            let expected = if seen.method == "PUT" { body.len() } else { 0 };
            assert_eq!((seen.body.bytes, seen.body.cut), (expected as u64, false));
        }
        gateway.stop().await;
    }
}
