//! Services that are looked up in a real registry: nodes that come, go, move, and lie.

use std::time::Duration;

use serde_json::json;

use crate::support::backend::{FakeBackend, reply};
use crate::support::free_address;
use crate::support::gateway::{Builder, TestGateway};
use crate::support::issuer::FakeIssuer;
use crate::support::nats::{Nats, Registry};

const SERVICE: &str = "eu.opencloud.web.graph";

/// As services have it, but that expiry is seen while one waits for it.
const AGE: Duration = Duration::from_secs(2);

struct Site {
    nats: Nats,
    registry: Registry,
    gateway: TestGateway,
    _issuer: FakeIssuer,
}

impl Site {
    async fn new() -> Self {
        let nats = Nats::start().await;
        let registry = nats.registry(AGE).await;
        let (gateway, issuer) = gateway(&nats.address()).await;
        Self {
            nats,
            registry,
            gateway,
            _issuer: issuer,
        }
    }

    /// The body of the next answer.
    async fn get(&self) -> String {
        let answer = self.gateway.get("/graph/x").send().await;
        answer.is(200);
        String::from_utf8_lossy(&answer.body).into_owned()
    }

    /// Waits until a node answers.
    async fn until_from(&self, name: &str) {
        let mut last = String::new();
        for _ in 0..400 {
            let answer = self.gateway.get("/graph/x").send().await;
            last = format!(
                "{} {}",
                answer.status,
                String::from_utf8_lossy(&answer.body)
            );
            if answer.status == 200 && answer.body == name {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{name} never answered; at last {last}");
    }
}

fn builder(address: &str, issuer: &FakeIssuer) -> Builder {
    TestGateway::new()
        .issuer(issuer)
        .var("MICRO_REGISTRY", "nats-js-kv")
        .var("MICRO_REGISTRY_ADDRESS", address)
        .raw_route(json!({
            "endpoint": "/graph/", "service": SERVICE, "unprotected": true, "identity": "none",
        }))
}

async fn gateway(address: &str) -> (TestGateway, FakeIssuer) {
    let issuer = FakeIssuer::start().await;
    (builder(address, &issuer).spawn().await, issuer)
}

/// A node that says its name.
async fn node(name: &'static str) -> FakeBackend {
    let node = FakeBackend::start().await;
    node.answers(move |_| reply(name));
    node
}

#[tokio::test]
async fn nodes_are_found_and_an_orderly_stop_counts_at_once() {
    let site = Site::new().await;
    let (one, two) = (node("one").await, node("two").await);
    site.registry
        .register(SERVICE, "p1", &one.addr.to_string())
        .await;
    site.until_from("one").await;
    site.registry
        .register(SERVICE, "p2", &two.addr.to_string())
        .await;
    site.until_from("two").await;
    site.registry
        .register(SERVICE, "p2", &two.addr.to_string())
        .await;
    site.registry.deregister(SERVICE, "p1").await;
    site.until_from("two").await;
    for _ in 0..10 {
        site.registry
            .register(SERVICE, "p2", &two.addr.to_string())
            .await;
        assert_eq!(site.get().await, "two");
    }
    site.gateway.stop().await;
}

#[tokio::test]
async fn a_killed_node_fails_no_request_while_its_entry_lasts_and_its_successor_is_found() {
    let site = Site::new().await;
    let two = node("two").await;
    // Killed: its entry is still there, and nobody answers at its address.
    let gone = free_address();
    site.registry
        .register(SERVICE, "old", &gone.to_string())
        .await;
    site.registry
        .register(SERVICE, "new", &two.addr.to_string())
        .await;
    site.until_from("two").await;
    for _ in 0..30 {
        assert_eq!(site.get().await, "two");
    }
    site.gateway.stop().await;
}

#[tokio::test]
async fn the_registry_may_come_after_the_gateway_and_go_and_come_again() {
    let mut nats = Nats::start().await;
    nats.kill();
    let (gateway, issuer) = gateway(&nats.address()).await;
    let one = node("one").await;
    nats.start_again().await;
    let registry = nats.registry(AGE).await;
    let mut site = Site {
        nats,
        registry,
        gateway,
        _issuer: issuer,
    };
    site.registry
        .register(SERVICE, "p1", &one.addr.to_string())
        .await;
    site.until_from("one").await;

    // Away: what is known goes on. Back: empty, until services write again; also then.
    site.nats.kill();
    for _ in 0..5 {
        assert_eq!(site.get().await, "one");
    }
    site.nats.start_again().await;
    site.until_from("one").await;
    site.registry = site.nats.registry(AGE).await;
    let two = node("two").await;
    site.registry
        .register(SERVICE, "p2", &two.addr.to_string())
        .await;
    site.until_from("two").await;
    site.gateway.stop().await;
}

#[tokio::test]
async fn garbage_in_the_registry_is_left_out_one_by_one() {
    let site = Site::new().await;
    let one = node("one").await;
    for (key, value) in [
        ("not-base32", &b"{}"[..]),
        ("MFRGG===", b"\xff\xfe"),
        ("ONSXE5TJMNSS24TFM5UXG5DSPFPWCQBRIAZA====", b"[1,"),
        ("ONSXE5TJMNSS24TFM5UXG5DSPFPWCQBRIAZA====", &[b'x'; 300_000]),
    ] {
        site.registry.put(key, value).await;
    }
    site.registry
        .register(SERVICE, "p1", &one.addr.to_string())
        .await;
    site.until_from("one").await;
    assert!(!site.gateway.log_lines("registry_entry").is_empty());
    site.gateway.stop().await;
}

#[tokio::test]
async fn without_a_registry_the_gateway_starts_and_the_operators_addresses_count() {
    let issuer = FakeIssuer::start().await;
    let one = node("one").await;
    let nowhere = free_address().to_string();
    let gateway = builder(&nowhere, &issuer)
        .yaml("services", json!({"graph": one.url()}))
        .spawn()
        .await;
    let answer = gateway.get("/graph/x").send().await;
    answer.is(200);
    assert_eq!(answer.body, "one");
    gateway.stop().await;
}

#[tokio::test]
async fn a_registry_that_accepts_and_says_nothing_holds_nobody_up() {
    let mut site = Site::new().await;
    let one = node("one").await;
    site.registry
        .register(SERVICE, "p1", &one.addr.to_string())
        .await;
    site.until_from("one").await;
    site.nats.signal("-STOP");
    for _ in 0..5 {
        assert_eq!(site.get().await, "one");
    }
    site.nats.signal("-CONT");
    // Its bucket has expired meanwhile or not; a new word of the service counts in any case.
    site.nats.start_again().await;
    site.registry = site.nats.registry(AGE).await;
    let two = node("two").await;
    site.registry
        .register(SERVICE, "p2", &two.addr.to_string())
        .await;
    site.until_from("two").await;
    site.gateway.stop().await;
}
