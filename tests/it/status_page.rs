//! The status page in a real browser: idle, under load, with the issuer away; light and dark, by keyboard. `UPDATE=1` writes the
//! pictures under docs/status.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::backend::{FakeBackend, Told, reply};
use crate::support::browser::Browser;
use crate::support::gateway::TestGateway;
use crate::support::issuer::FakeIssuer;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/status");

#[expect(
    clippy::disallowed_methods,
    reason = "asks whether to write the pictures; it is no setting of the gateway"
)]
fn keep(name: &str, picture: &[u8]) {
    assert!(picture.starts_with(b"\x89PNG"), "{name} is no picture");
    assert!(picture.len() > 20_000, "{name} shows next to nothing");
    let file = format!("{FOLDER}/{name}.png");
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(FOLDER).unwrap();
        fs::write(&file, picture).unwrap();
    }
    assert!(
        fs::exists(&file).unwrap(),
        "{file} is missing: UPDATE=1 makes it"
    );
}

/// Waits until the page has shown fresh data twice, so that there are rates.
fn settles(browser: &Browser) {
    let shown = browser.value("Number(document.body.dataset.shown || 0)");
    browser.wait_for(&format!(
        "Number(document.body.dataset.shown || 0) >= {} || null",
        shown.as_u64().unwrap() + 2
    ));
}

fn text(browser: &Browser, id: &str) -> String {
    let text = browser.value(&format!("document.getElementById('{id}').innerText"));
    text.as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_page_shows_an_idle_a_busy_and_a_troubled_gateway() {
    let issuer = FakeIssuer::start().await;
    for user in 0..7 {
        issuer.person(&format!("user{user}"), "Somebody");
    }
    let backend = FakeBackend::told(Told::Headers).await;
    backend.answers(|request| {
        let mut answer = reply("a file");
        if request.target.contains("broken") {
            *answer.status_mut() = http::StatusCode::BAD_GATEWAY;
        }
        answer
    });
    let dead = format!("http://{}", crate::support::free_address());
    let gateway = TestGateway::new()
        .issuer(&issuer)
        .backend("/files/", &backend)
        .backend("/graph/", &backend)
        .open("/", &backend)
        .raw_route(json!({"endpoint": "/away/", "backend": dead, "unprotected": true}))
        .spawn()
        .await;
    let browser = Browser::start().await;
    browser.size(1280, 1500);
    browser.open(&format!("http://{}/status", gateway.debug_addr()));
    settles(&browser);
    assert_eq!(text(&browser, "state"), "ready");
    assert!(text(&browser, "nodes").contains("No request was forwarded yet."));
    assert!(text(&browser, "ways").contains("/files/"));
    keep("idle", &browser.picture());

    // Everything on the page came from the listener itself, and its policy was broken by nothing.
    let foreign = browser.value(
        "performance.getEntriesByType('resource').filter((one) => !one.name.startsWith(location.origin)).length",
    );
    assert_eq!(foreign, 0);

    // By keyboard: the way to the figures, the pause.
    browser.press("\u{e004}");
    assert_eq!(browser.value("document.activeElement.className"), "skip");
    browser.press("\u{e007}");
    assert_eq!(browser.value("location.hash"), "#now");
    browser.press("p");
    let pressed = "document.getElementById('pause').getAttribute('aria-pressed')";
    assert_eq!(browser.value(pressed), "true");
    browser.press("p");
    assert_eq!(browser.value(pressed), "false");

    let load = async {
        for round in 0.. {
            let token = issuer.token(&format!("user{}", round % 7)).sign();
            for path in ["/files/a", "/graph/v1.0/me", "/files/b"] {
                gateway.get(path).bearer(&token).send().await;
            }
            gateway.get("/index.html").send().await;
            if round % 3 == 0 {
                gateway.get("/files/broken").bearer(&token).send().await;
                gateway.get("/away/x").send().await;
                gateway.get("/files/a").send().await;
                gateway.get("/files/a").bearer("opaque").send().await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let looks = tokio::task::spawn_blocking(move || {
        settles(&browser);
        settles(&browser);
        browser.prefers("dark");
        keep("load-dark", &browser.picture());
        browser.prefers("light");
        keep("load", &browser.picture());
        browser
    });
    let browser = tokio::select! {
        () = load => unreachable!("it goes on until the page was looked at"),
        browser = looks => browser.unwrap(),
    };
    let nodes = text(&browser, "nodes");
    assert!(nodes.contains("not reachable"), "{nodes}");
    assert!(text(&browser, "ways").contains("/graph/"));
    let reasons = text(&browser, "reasons");
    assert!(!reasons.contains("token_rejected"), "{reasons}");
    for reason in ["backend_unreachable", "no_credential", "opaque_token"] {
        assert!(reasons.contains(reason), "{reasons}");
    }
    let page = browser.value("document.body.innerText");
    for personal in ["user1", "Somebody", "Bearer"] {
        assert!(!page.as_str().unwrap().contains(personal), "{personal}");
    }
    let plots = browser.value("document.querySelectorAll('svg[role=img][aria-label]').length");
    assert!(
        plots.as_u64().unwrap() >= 5,
        "each plot says in words what it shows"
    );
    gateway.stop().await;

    // One whose issuer is away.
    let token = issuer.token("mara").claim("iss", dead.as_str()).sign();
    let troubled = TestGateway::new()
        .var("PROXY_OIDC_ISSUER", &dead)
        .backend("/files/", &backend)
        .spawn()
        .await;
    troubled.get("/files/a").bearer(&token).send().await.is(503);
    browser.open(&format!("http://{}/status", troubled.debug_addr()));
    settles(&browser);
    let state = text(&browser, "state");
    assert!(
        state.contains("not ready: no keys of the issuer yet"),
        "{state}"
    );
    let issuers = text(&browser, "issuers");
    assert!(
        issuers.contains("not ready") && issuers.contains("ago"),
        "{issuers}"
    );
    keep("issuer-down", &browser.picture());
    troubled.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_debug_token_the_page_asks_for_it_and_shows_nothing_before() {
    let issuer = FakeIssuer::start().await;
    let backend = FakeBackend::told(Told::Headers).await;
    let gateway = TestGateway::new()
        .issuer(&issuer)
        .var("PROXY_DEBUG_TOKEN", "canary-debug-token")
        .backend("/files/", &backend)
        .spawn()
        .await;
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/status", gateway.debug_addr()));
    browser.wait_for("document.getElementById('ask').hidden ? null : true");
    assert_eq!(text(&browser, "ways"), "");
    browser.value("document.getElementById('token').focus()");
    browser.press("canary-debug-token\u{e007}");
    settles(&browser);
    assert_eq!(
        browser.value("document.getElementById('ask').hidden"),
        Value::Bool(true)
    );
    assert!(text(&browser, "ways").contains("/files/"));
    gateway.stop().await;
}
