//! What a refusal looks like to each kind of client (docs/design/design.md 2.3, RFC 6750 section 3).

use crate::support::client::CLOUD;
use crate::support::world::World;

/// Method, path, content type, and what the body has.
const FORMS: [(&str, &str, &str, &str); 5] = [
    (
        "PROPFIND",
        "/remote.php/dav/files/mara",
        "application/xml",
        r"<s:exception>Sabre\DAV\Exception\NotAuthenticated</s:exception>",
    ),
    (
        "PROPFIND",
        "/files/a",
        "application/xml",
        "xmlns:d=\"DAV:\"",
    ),
    (
        "GET",
        "/graph/v1.0/me",
        "application/json",
        "\"code\":\"unauthenticated\"",
    ),
    (
        "GET",
        "/ocs/v1.php/cloud/user?format=json",
        "application/json; charset=utf-8",
        "\"statuscode\":997",
    ),
    (
        "GET",
        "/files/a",
        "application/problem+json",
        "\"status\":401",
    ),
];

#[tokio::test]
async fn without_a_credential_every_client_gets_a_401_in_its_own_form_and_no_error_code() {
    let world = World::new().await;
    for (method, path, content_type, part) in FORMS {
        let answer = world.gateway.call(method, path).send().await;
        answer.refused(401, "no_credential");
        assert_eq!(answer.header("content-type"), Some(content_type), "{path}");
        assert!(answer.text().contains(part), "{path}: {}", answer.text());
        let challenge = answer.header("www-authenticate").unwrap();
        let metadata = "https://localhost:9200/.well-known/oauth-protected-resource";
        assert_eq!(
            challenge,
            format!(
                "Bearer realm=\"{CLOUD}\", charset=\"UTF-8\", resource_metadata=\"{metadata}\""
            )
        );
    }
    world.backend.saw_nothing();
    world.gateway.stop().await;
}

#[tokio::test]
async fn with_a_bad_token_the_challenge_says_invalid_token() {
    let world = World::new().await;
    let token = world.issuer.token("mara").expires_in(-3600).sign();
    for (method, path, content_type, part) in FORMS {
        let answer = world.gateway.call(method, path).bearer(&token).send().await;
        answer.refused(401, "token_expired");
        assert_eq!(answer.header("content-type"), Some(content_type), "{path}");
        assert!(answer.text().contains(part), "{path}: {}", answer.text());
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
        assert!(challenge.contains("error_description=\""), "{challenge}");
    }
    world.backend.saw_nothing();
    world.gateway.stop().await;
}

#[tokio::test]
async fn row_42_only_a_client_that_names_itself_is_challenged_in_its_own_way() {
    let agents =
        serde_json::json!({"credentials_by_user_agent": {"mirall": "DPoP", "rclone": "bearer"}});
    let world = World::with(|gateway| gateway.yaml("auth_middleware", agents)).await;
    let bad = world.issuer.token("mara").expires_in(-3600).sign();
    for (agent, scheme) in [
        (Some("Mozilla/5.0 (Linux) mirall/5.0"), "DPoP"),
        (Some("rclone/v1.68"), "Bearer"),
        (Some("curl/8"), "Bearer"),
        (Some("mir"), "Bearer"),
        (Some(""), "Bearer"),
        (None, "Bearer"),
    ] {
        for token in [None, Some(&bad)] {
            let mut call = world.get("/files/a");
            if let Some(agent) = agent {
                call = call.header("User-Agent", agent);
            }
            if let Some(token) = token {
                call = call.bearer(token);
            }
            let answer = call.send().await;
            answer.is(401);
            let challenges: Vec<_> = answer.headers.get_all("www-authenticate").iter().collect();
            assert_eq!(challenges.len(), 1, "{agent:?}: {challenges:?}");
            let challenge = challenges[0].to_str().unwrap();
            assert!(
                challenge.starts_with(&format!("{scheme} realm=")),
                "{agent:?}: {challenge}"
            );
            assert_eq!(challenge.contains("algs="), scheme == "DPoP", "{challenge}");
            assert_eq!(
                challenge.contains("invalid_token"),
                token.is_some(),
                "{challenge}"
            );
        }
    }
    world.backend.saw_nothing();
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_script_in_the_browser_gets_no_challenge() {
    let world = World::new().await;
    let call = world
        .gateway
        .get("/files/a")
        .header("X-Requested-With", "XMLHttpRequest");
    let answer = call.send().await;
    answer.refused(401, "no_credential");
    assert_eq!(answer.header("www-authenticate"), None);
    world.gateway.stop().await;
}

#[tokio::test]
async fn row_41_a_host_cannot_break_out_of_the_challenge() {
    let world = World::new().await;
    let answer = crate::support::client::raw(
        world.gateway.addr,
        b"GET /files/a HTTP/1.1\r\nHost: evil\"x\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert!(!answer.contains("evil\"x"), "{answer}");
    world.backend.saw_nothing();
    world.gateway.stop().await;
}

#[tokio::test]
async fn the_clients_request_id_is_kept_and_a_bad_one_replaced() {
    let world = World::new().await;
    let call = world
        .gateway
        .get("/files/a")
        .header("X-Request-Id", "my-id-1");
    assert_eq!(call.send().await.header("x-request-id"), Some("my-id-1"));
    let long = "x".repeat(200);
    for bad in [long.as_str(), "a\tb"] {
        let call = world.gateway.get("/files/a").header("X-Request-Id", bad);
        let id = call.send().await.header("x-request-id").unwrap().to_owned();
        assert!(id != bad && id.len() <= 128, "{id}");
    }
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_refusal_is_one_line_of_the_log_with_reason_and_request_id() {
    let world = World::new().await;
    let token = world.issuer.token("mara").expires_in(-3600).sign();
    let id = uuid::Uuid::new_v4().to_string();
    let call = world.gateway.get("/files/a").header("X-Request-Id", &id);
    call.bearer(&token)
        .send()
        .await
        .refused(401, "token_expired");
    crate::support::until("both lines", || world.gateway.log_lines(&id).len() >= 2).await;
    let lines = world.gateway.log_lines(&id);
    let refusals: Vec<_> = lines
        .iter()
        .filter(|line| line["message"] != "access-log")
        .collect();
    assert_eq!(refusals.len(), 1, "{lines:#?}");
    assert_eq!(refusals[0]["reason"], "token_expired");
    let access: Vec<_> = lines
        .iter()
        .filter(|line| line["message"] == "access-log")
        .collect();
    assert_eq!(access.len(), 1, "{lines:#?}");
    assert_eq!(access[0]["status"], 401);
    assert_eq!(access[0]["path"], "/files/a");
    assert_eq!(access[0]["remote-addr"], "127.0.0.1");
    world.gateway.stop().await;
}
