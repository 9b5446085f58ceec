//! The issuer as a backend of the gateway, on an open route, with every flow it has: as OpenCloud and oCIS run theirs.

use serde_json::json;

use crate::support::backend::{FakeBackend, Told};
use crate::support::free_address;
use crate::support::gateway::TestGateway;
use crate::support::oidc_provider::OidcProvider;

struct Behind {
    provider: OidcProvider,
    backend: FakeBackend,
    gateway: TestGateway,
}

/// Issuer and gateway have one name, so the port is chosen before either starts.
async fn behind_the_gateway() -> Behind {
    let address = free_address().to_string();
    let issuer = format!("http://{address}");
    let provider = OidcProvider::start(&["--issuer", &issuer]).await;
    let backend = FakeBackend::told(Told::Headers).await;
    let gateway = TestGateway::new()
        .var("PROXY_HTTP_ADDR", &address)
        .var("PROXY_OIDC_ISSUER", &issuer)
        .var("PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD", "none")
        .backend("/files/", &backend)
        .raw_route(json!({
            "endpoint": "/", "backend": format!("http://{}", provider.addr()),
            "unprotected": true, "identity": "none",
        }))
        .spawn()
        .await;
    Behind {
        provider,
        backend,
        gateway,
    }
}

#[tokio::test]
async fn code_implicit_and_hybrid_flows_run_through_the_gateway() {
    let behind = behind_the_gateway().await;
    for response_type in [
        "code",
        "id_token token",
        "code token",
        "code id_token",
        "code id_token token",
    ] {
        let wanted = json!({
            "account": "mary", "client": "front-channel", "response_type": response_type,
        });
        let login = behind.provider.log_in(wanted).await;
        let front = login.tokens["front"]["access_token"].as_str();
        assert_eq!(front.is_some(), response_type.contains(" token"));
        for token in front.into_iter().chain([login.access_token.as_str()]) {
            let call = behind.gateway.get("/files/a").bearer(token);
            let answer = call.send().await;
            assert_eq!(answer.status, 200, "{response_type}: {}", answer.text());
            let seen = behind.backend.the_request();
            assert_eq!(seen.header("remote-user"), Some("mary"));
        }
    }
    // All of it went by the gateway, userinfo and discovery of its own included.
    let lines = behind.gateway.log_lines("access-log");
    for path in [
        "/auth",
        "/token",
        "/me",
        "/.well-known/openid-configuration",
    ] {
        assert!(lines.iter().any(|line| line["path"] == path), "{path}");
    }
    behind.gateway.stop().await;
}

#[tokio::test]
async fn a_refresh_through_the_gateway_gives_a_token_that_is_let_in() {
    let behind = behind_the_gateway().await;
    let first = behind.provider.login("alan").await;
    let second = behind.provider.refresh(&first).await;
    let call = behind.gateway.get("/files/a").bearer(&second.access_token);
    call.send().await.is(200);
    assert_eq!(behind.gateway.accounts().len(), 1);
    behind.gateway.stop().await;
}
