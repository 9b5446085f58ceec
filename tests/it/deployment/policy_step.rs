//! The policies step: every forwarded request has to pass the policies service, where there is a query.

use serde_json::json;

use super::logins::Place;
use crate::support::deployment::{Fault, User};

async fn place() -> Place {
    let place = Place::with(|builder| {
        builder
            .var("PROXY_AUTOPROVISION_ACCOUNTS", "false")
            .var("PROXY_POLICIES_QUERY", "data.proxy.granted")
    })
    .await;
    place.deployment.add(User::new("mara"));
    place.deployment.world.lock().forbidden = vec![".exe".to_owned()];
    place
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_policies_refuse_is_403_and_goes_nowhere() {
    let place = place().await;
    let token = place.issuer.token("mara").sign();
    let get = |path: &str| place.gateway.get(path).bearer(&token).send();
    get("/dav/report.txt").await.is(200);
    place.backend.the_request();
    let refused = get("/dav/evil.exe").await;
    refused.is(403);
    let body = refused.json();
    assert_eq!(body["error"]["code"], "deniedByPolicy");
    let inner = &body["error"]["innererror"];
    assert_eq!(inner["filename"], "evil.exe");
    assert_eq!(inner["path"], "/dav/evil.exe");
    assert_eq!(inner["method"], "GET");
    place.backend.saw_nothing();
    let asked = place.deployment.world.lock().asked.clone();
    let first = ["GET", "/dav/report.txt", "report.txt", "mara"];
    assert_eq!(asked[0], first.map(str::to_owned));
    place.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_gets_no_forbidden_name_by_a_move_or_an_upload() {
    let place = place().await;
    let token = place.issuer.token("mara").sign();
    let destination = "/dav/evil.exe";
    let moved = place.gateway.call("MOVE", "/dav/a.txt").bearer(&token);
    moved
        .header("destination", destination)
        .send()
        .await
        .is(403);
    // `evil.exe`
    let metadata = "filename ZXZpbC5leGU=";
    let begun = place.gateway.call("POST", "/dav/folder").bearer(&token);
    begun
        .header("upload-metadata", metadata)
        .send()
        .await
        .is(403);
    place.backend.saw_nothing();
    place.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_that_cannot_be_asked_have_not_said_yes() {
    let place = place().await;
    let token = place.issuer.token("mara").sign();
    let fault = Fault::Grpc(2, "rego_parse_error");
    let faults = vec![("Evaluate".to_owned(), fault)];
    place.deployment.world.lock().faults = faults;
    let refused = place
        .gateway
        .get("/dav/report.txt")
        .bearer(&token)
        .send()
        .await;
    refused.is(503);
    assert!(refused.text().contains("policies_unavailable"));
    assert!(refused.header("retry-after").is_some());
    place.backend.saw_nothing();
    let again = place
        .gateway
        .get("/dav/report.txt")
        .bearer(&token)
        .send()
        .await;
    again.is(200);
    place.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_asked_without_a_query() {
    let place = Place::with(|builder| builder.yaml("auto_provision", json!(false))).await;
    place.deployment.add(User::new("mara"));
    let token = place.issuer.token("mara").sign();
    let answer = place
        .gateway
        .get("/dav/evil.exe")
        .bearer(&token)
        .send()
        .await;
    answer.is(200);
    assert!(place.deployment.world.lock().asked.is_empty());
    place.gateway.stop().await;
}

/// docs/design/design.md 2, item 8: nothing secret is logged. A link's token and a transfer's stand in paths.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_of_the_policies_logs_no_secret_of_its_path() {
    let place = Place::with(|builder| {
        builder
            .var("PROXY_AUTOPROVISION_ACCOUNTS", "false")
            .var("PROXY_POLICIES_QUERY", "data.proxy.granted")
    })
    .await;
    place.deployment.add(User::new("mara"));
    place.deployment.world.lock().forbidden = vec!["canary".to_owned()];
    let token = place.issuer.token("mara").sign();
    for path in [
        "/dav/public-files/canary1token/a.txt",
        "/data/canary2.canary3.canary4",
    ] {
        let refused = place.gateway.get(path).bearer(&token).send().await;
        refused.refused(403, "denied_by_policy");
    }
    let of_links = |line: &serde_json::Value| line.to_string().contains("public-files");
    let told = place.gateway.log_lines("denied_by_policy");
    assert!(told.iter().any(of_links), "{told:?}");
    for secret in ["canary1token", "canary2.canary3"] {
        let seen = place.gateway.log_lines(secret);
        assert!(seen.is_empty(), "{seen:?}");
    }
    place.gateway.stop().await;
}
