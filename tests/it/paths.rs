//! Paths that two parsers could read differently (docs/design/hardening.md 3.3-3.4), over the whole gateway, as raw bytes.

use crate::support::backend::{FakeBackend, Told};
use crate::support::client::status;
use crate::support::gateway::TestGateway;
use crate::support::issuer::FakeIssuer;

/// Protected graph, dav and frontend, and the open paths beside them, as the default routes have them.
struct World {
    issuer: FakeIssuer,
    graph: FakeBackend,
    dav: FakeBackend,
    open: FakeBackend,
    web: FakeBackend,
    gateway: TestGateway,
}

impl World {
    async fn new() -> Self {
        let issuer = FakeIssuer::start().await;
        let graph = FakeBackend::told(Told::Reva).await;
        let dav = FakeBackend::told(Told::Reva).await;
        let open = FakeBackend::start().await;
        let web = FakeBackend::start().await;
        let gateway = TestGateway::new()
            .issuer(&issuer)
            .open("/data", &open)
            .open("/status.php", &open)
            .open("/dav/public-files/", &open)
            .backend("/graph/", &graph)
            .backend("/dav/", &dav)
            .open("/", &web)
            .spawn()
            .await;
        Self {
            issuer,
            graph,
            dav,
            open,
            web,
            gateway,
        }
    }

    async fn status(&self, method: &str, target: &str) -> u16 {
        status(
            &self
                .gateway
                .raw(&format!("{method} {target} HTTP/1.1"))
                .await,
        )
    }

    /// Not one of these reaches any backend.
    async fn all_are(&self, expected: u16, targets: &[&str]) {
        for target in targets {
            assert_eq!(self.status("GET", target).await, expected, "{target}");
        }
        for backend in [&self.graph, &self.dav, &self.open, &self.web] {
            backend.saw_nothing();
        }
    }
}

#[tokio::test]
async fn row_46_and_47_a_query_or_a_longer_name_opens_nothing() {
    let world = World::new().await;
    let targets = [
        "/graph/v1.0/users?x=/ocs/v1.php/config",
        "/graph/v1.0/users?/data",
        "/graph/?x=/status.php",
        "/dav/public-files-2/x",
        "/dav/public-filesx",
    ];
    world.all_are(401, &targets).await;
    world.gateway.stop().await;
}

#[tokio::test]
async fn row_48_to_51_ways_out_of_an_open_path_are_400() {
    let world = World::new().await;
    let targets = [
        "/data/../graph/v1.0/users",
        "/dav/public-files/../spaces/x",
        "/data/..;/graph/",
        "/data/.;x/../graph",
        "/data/%2e%2e/graph",
        "/data/%2E./graph",
        "/data/.%2e/graph",
        "/data%2f..%2fgraph",
        "/data%5c..%5cgraph",
        "/data/..",
        "/data/.",
    ];
    world.all_are(400, &targets).await;
    world.gateway.stop().await;
}

#[tokio::test]
async fn row_50_a_doubly_escaped_dot_stays_what_it_is() {
    let world = World::new().await;
    assert_eq!(world.status("GET", "/data/%252e%252e/x").await, 200);
    assert_eq!(world.open.the_request().target, "/data/%252e%252e/x");
    world.gateway.stop().await;
}

#[tokio::test]
async fn row_51_a_slash_within_a_dav_name_is_kept_byte_for_byte() {
    let world = World::new().await;
    let token = world.issuer.token("mara").sign();
    let answer = world
        .gateway
        .get("/dav/files/a%2Fb")
        .bearer(&token)
        .send()
        .await;
    answer.is(200);
    assert_eq!(world.dav.the_request().target, "/dav/files/a%2Fb");
    world.gateway.stop().await;
}

#[tokio::test]
async fn row_52_escaped_letters_route_and_authenticate_alike() {
    let world = World::new().await;
    assert_eq!(world.status("GET", "/%64av/public-files/x").await, 200);
    assert_eq!(world.open.take_seen().len(), 1);
    world
        .all_are(401, &["/%67raph/v1.0/me", "/gr%61ph/", "/d%61v/spaces/x"])
        .await;
    world.gateway.stop().await;
}

#[tokio::test]
async fn row_53_repeated_slashes_are_merged_before_matching() {
    let world = World::new().await;
    world
        .all_are(
            401,
            &["//graph/v1.0/me", "/graph//v1.0/me", "///dav//spaces/x"],
        )
        .await;
    assert_eq!(world.status("GET", "//data//x").await, 200);
    assert_eq!(world.open.the_request().target, "/data/x");
    world.all_are(400, &["/./graph"]).await;
    world.gateway.stop().await;
}

#[tokio::test]
async fn row_54_55_and_57_bytes_that_mean_nothing_are_400() {
    let world = World::new().await;
    let targets = [
        "/data/a%00b",
        "/data/a%0d%0aX:%20y",
        "/data/a%zz",
        "/data/a%",
        "/data/%c0%ae",
        "/data/a\\..\\b",
    ];
    world.all_are(400, &targets).await;
    world
        .all_are(400, &["/graph/#/status", "/data/x#y", "/data/x?a#b"])
        .await;
    world.gateway.stop().await;
}

#[tokio::test]
async fn row_56_open_paths_are_whole_segments_and_case_counts() {
    let world = World::new().await;
    for target in ["/Data/x", "/STATUS.php", "/status.phpx", "/database"] {
        assert_eq!(world.status("GET", target).await, 200, "{target}");
        assert_eq!(world.web.take_seen().len(), 1, "{target}");
        world.open.saw_nothing();
    }
    world.all_are(401, &["/dav/public-file/x"]).await;
    world.gateway.stop().await;
}

#[tokio::test]
async fn row_58_every_method_gets_a_status_and_unknown_ones_only_dav() {
    let world = World::new().await;
    assert_eq!(world.status("REPORT", "/graph/x").await, 401);
    assert_eq!(world.status("PROPFIND", "/").await, 200);
    assert_eq!(world.status("FOO", "/dav/x").await, 401);
    assert_eq!(world.status("FOO", "/graph/x").await, 405);
    assert_eq!(world.status("FOO", "/data/x").await, 405);
    world.gateway.stop().await;
}

#[tokio::test]
async fn matched_and_forwarded_are_the_same_bytes() {
    let world = World::new().await;
    for (sent, forwarded) in [
        ("/data/a%20b?c=%2F&d", "/data/a%20b?c=%2F&d"),
        ("/data/%7Euser", "/data/~user"),
        ("//data///x", "/data/x"),
        ("/data/%C3%A4", "/data/%C3%A4"),
    ] {
        assert_eq!(world.status("GET", sent).await, 200, "{sent}");
        let seen = world.open.the_request().target;
        let same = seen == forwarded || seen == sent;
        assert!(same, "{sent} became {seen}");
    }
    world.gateway.stop().await;
}
