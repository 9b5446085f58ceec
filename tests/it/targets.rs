//! Targets that real clients send, and what of them may be logged.

use serde_json::json;

use crate::support::backend::{FakeBackend, Told};
use crate::support::client::status;
use crate::support::gateway::TestGateway;
use crate::support::issuer::FakeIssuer;
use crate::support::until;

/// An open web app, files behind a login, a plain server whose names are any bytes.
struct World {
    issuer: FakeIssuer,
    web: FakeBackend,
    files: FakeBackend,
    plain: FakeBackend,
    gateway: TestGateway,
}

impl World {
    async fn new() -> Self {
        let issuer = FakeIssuer::start().await;
        let web = FakeBackend::start().await;
        let files = FakeBackend::told(Told::Reva).await;
        let plain = FakeBackend::start().await;
        let gateway = TestGateway::new()
            .issuer(&issuer)
            .var("OC_URL", "https://cloud.example")
            .var("PROXY_TRUSTED_PROXIES", "127.0.0.0/8")
            .open("/", &web)
            .backend("/dav/", &files)
            .route(
                "/plain/",
                &plain,
                json!({"unprotected": true, "path_names": "bytes"}),
            )
            .spawn()
            .await;
        Self {
            issuer,
            web,
            files,
            plain,
            gateway,
        }
    }

    async fn get(&self, target: &str) -> u16 {
        status(&self.gateway.raw(&format!("GET {target} HTTP/1.1")).await)
    }
}

#[tokio::test]
async fn issue_15_26_what_browsers_leave_as_it_is_in_a_query_passes_unchanged() {
    let world = World::new().await;
    for target in [
        "/x?q=`a`",
        "/x?a={b|c}^[d]\\'e'&&=",
        "/x?%60=`",
        "/plain/%E4?`",
    ] {
        assert_eq!(world.get(target).await, 200, "{target}");
        let backend = if target.starts_with("/plain") {
            &world.plain
        } else {
            &world.web
        };
        assert_eq!(backend.the_request().target, target);
    }
    world.gateway.stop().await;
}

#[tokio::test]
async fn issue_15_26_a_folder_is_found_without_its_slash() {
    let world = World::new().await;
    let token = world.issuer.token("mara").sign();
    for h2 in [false, true] {
        let call = world.gateway.call("PROPFIND", "/dav").bearer(&token);
        let call = if h2 { call.h2() } else { call };
        call.send().await.is(200);
        assert_eq!(world.files.the_request().target, "/dav");
        let call = world.gateway.call("PROPFIND", "/dav");
        call.send().await.refused(401, "no_credential");
    }
    world.web.saw_nothing();
    world.gateway.stop().await;
}

#[tokio::test]
async fn issue_15_26_names_of_any_bytes_pass_where_a_route_says_so_and_open_nothing() {
    let world = World::new().await;
    for name in [
        "back%5Cslash.txt",
        "%E4",
        "a%2Fb",
        "https%3A%2F%2Fcloud.example%2Fwopi/ws",
    ] {
        let target = format!("/plain/{name}");
        assert_eq!(world.get(&target).await, 200, "{target}");
        assert_eq!(world.plain.the_request().target, target);
        assert_eq!(world.get(&format!("/{name}")).await, 400, "{name}");
    }
    for target in [
        "/plain/%2e%2e/x",
        "/plain/..%2fx",
        "/plain/%c0%ae%c0%ae/x",
        "/plain/a%00b",
        "/plain/a%0ab",
        "/plain/a%c0%8ab",
        "/plain\\x",
        "/plain/a\\b",
        "/plain%2Fx",
        "/dav%2Fspaces/x",
        "/dav;x/spaces/x",
        "/;x/dav/spaces/x",
    ] {
        assert_eq!(world.get(target).await, 400, "{target}");
    }
    for backend in [&world.web, &world.files, &world.plain] {
        backend.saw_nothing();
    }
    world.gateway.stop().await;
}

#[tokio::test]
async fn issue_15_26_the_metadata_of_a_resource_stand_below_the_well_known_path() {
    let world = World::new().await;
    let metadata = "/.well-known/oauth-protected-resource";
    for (path, resource) in [
        ("", "https://cloud.example"),
        ("/", "https://cloud.example"),
        ("/dav/", "https://cloud.example/dav/"),
        ("/dav", "https://cloud.example/dav"),
        (
            "/dav/spaces/a%20b",
            "https://cloud.example/dav/spaces/a%20b",
        ),
    ] {
        let answer = world.gateway.get(&format!("{metadata}{path}")).send().await;
        assert_eq!(answer.is(200).json()["resource"], resource);
    }
    for path in ["/plain/", "/files/x", "/metrics"] {
        let answer = world.gateway.get(&format!("{metadata}{path}")).send().await;
        answer.refused(404, "no_route");
    }
    world.web.saw_nothing();
    world.gateway.stop().await;
}

#[tokio::test]
async fn issue_15_27_a_logout_with_a_slash_too_many_is_no_page_of_the_web_app() {
    let world = World::new().await;
    for path in ["/backchannel_logout", "/backchannel_logout/"] {
        let call = world.gateway.call("POST", path);
        let call = call.header("Content-Type", "application/x-www-form-urlencoded");
        let answer = call.body("logout_token=none").send().await;
        answer.is(400);
    }
    world.web.saw_nothing();
    world.gateway.stop().await;
}

#[tokio::test]
async fn issue_15_10_no_link_is_written_to_the_access_log() {
    let world = World::new().await;
    let token = "PYvPzCcTgAbKyGd";
    for path in [
        "/s/{}",
        "/dav/public-files/{}/folder/a",
        "/ocs/v1.php/apps/files_sharing/api/v1/tokeninfo/unprotected/{}",
        "/data/{}",
        "/s/{}/../x",
    ] {
        let target = path.replace("{}", token);
        world.get(&format!("{target}?access_token={token}")).await;
        let logged = path.replace("{}", "***");
        until("a line of the request", || {
            let lines = world.gateway.log_lines("access-log");
            assert!(lines.iter().all(|line| !line.to_string().contains(token)));
            lines.iter().any(|line| line["path"] == logged.as_str())
        })
        .await;
    }
    world.gateway.stop().await;
}

#[tokio::test]
async fn issue_15_24_websockets_and_two_proxies_are_not_sent_in_circles() {
    let world = World::new().await;
    for (schemes, addresses, expected) in [
        ("wss", "192.0.2.7", "https"),
        ("https, http", "192.0.2.7, 127.0.0.2", "https"),
        ("https", "192.0.2.7, 127.0.0.2", "https"),
        ("http, https", "192.0.2.7, 127.0.0.2", "http"),
    ] {
        let call = world.gateway.get("/x").header("X-Forwarded-Proto", schemes);
        call.header("X-Forwarded-For", addresses)
            .send()
            .await
            .is(200);
        let seen = world.web.the_request();
        assert_eq!(
            seen.header("x-forwarded-proto"),
            Some(expected),
            "{schemes}"
        );
        assert_eq!(seen.header("x-forwarded-for"), Some("192.0.2.7"));
    }
    let plain = world.gateway.get("/x").header("X-Forwarded-Proto", "ws");
    let answer = plain.send().await;
    answer.is(308);
    assert_eq!(answer.header("location"), Some("https://cloud.example/x"));
    let head = "GET /x HTTP/1.1\r\nX-Forwarded-Proto: ws\r\nUpgrade: websocket";
    let answer = world.gateway.raw(head).await;
    assert_eq!(status(&answer), 200, "{answer}");
    world.gateway.stop().await;
}
