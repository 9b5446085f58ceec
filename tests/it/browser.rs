//! A single-page client in a real browser: login, discovery, policies of the browser, logout by the back channel.

use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, Request, Response};
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame, Incoming};
use serde_json::{Value, json};

use crate::support::backend::{FakeBackend, ReplyBody, Told, full};
use crate::support::browser::Browser;
use crate::support::gateway::TestGateway;
use crate::support::oidc_provider::OidcProvider;

const PAGE: &str = "<!doctype html><title>client</title><script src=\"/app/app.js\"></script>";
const APP: &str = include_str!("browser/app.js");

/// The client's page and script, a file with its reader's name, and events without end.
async fn backend() -> FakeBackend {
    let backend = FakeBackend::told(Told::Headers).await;
    backend.takes_over(|request| async move { answer(&request) });
    backend
}

fn answer(request: &Request<Incoming>) -> Response<ReplyBody> {
    let user = |headers: &HeaderMap| {
        let user = headers
            .get("remote-user")
            .map(|name| name.to_str().unwrap());
        user.unwrap_or("nobody").to_owned()
    };
    let (content_type, body) = match (request.method().as_str(), request.uri().path()) {
        // As a backend for browsers of other origins answers the question whether they may.
        ("OPTIONS", _) => ("text/plain", full("")),
        (_, "/app/app.js") => ("text/javascript", full(APP)),
        (_, "/app/" | "/callback") => ("text/html", full(PAGE)),
        (_, "/events") => {
            let event = Ok(Frame::data(Bytes::from_static(b"data: hello\n\n")));
            let events = stream::once(async { event }).chain(stream::pending());
            ("text/event-stream", ReplyBody::new(StreamBody::new(events)))
        }
        _ => (
            "text/plain",
            full(format!("a file of {}", user(request.headers()))),
        ),
    };
    Response::builder()
        .header("content-type", content_type)
        .header("access-control-allow-origin", "*")
        .header("access-control-allow-headers", "authorization")
        .body(body)
        .unwrap()
}

async fn gateway(provider: &OidcProvider, backend: &FakeBackend) -> TestGateway {
    TestGateway::new()
        .var("PROXY_OIDC_ISSUER", provider.issuer())
        .var("PROXY_OIDC_SKIP_USER_INFO", "true")
        .var("PROXY_OIDC_REWRITE_WELLKNOWN", "true")
        .var("PROXY_WEBFINGER", "native")
        .var(
            "WEBFINGER_WEB_OIDC_CLIENT_SCOPES",
            "openid,profile,roles,groups",
        )
        .open("/app/", backend)
        .open("/callback", backend)
        .backend("/", backend)
        .spawn()
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_page_client_logs_in_and_is_logged_out_by_the_back_channel() {
    let provider = OidcProvider::start(&["--tokens", "jwt"]).await;
    let backend = backend().await;
    let gateway = gateway(&provider, &backend).await;
    provider.tells_logouts_to(gateway.addr, true).await;
    let browser = Browser::start().await;

    browser.open(&format!("http://{}/app/", gateway.addr));
    browser.wait_for("window.result && (result.events || result.error)");
    assert_eq!(browser.value("result.error"), Value::Null);
    assert_eq!(browser.value("result.file"), "a file of mary");
    assert_eq!(browser.value("result.events"), "data: hello\n\n");
    assert_eq!(browser.value("result.violations"), json!([]));
    assert_eq!(browser.value("result.ended"), Value::Null);

    // The user logs out at the issuer, in another tab.
    let client = browser.tab();
    let logout = browser.value("result.logout");
    browser.open_tab();
    browser.open(logout.as_str().unwrap());
    browser.wait_for("document.querySelector('button[name=logout]')?.click() ?? true");
    browser.to_tab(&client);
    browser.wait_for("result.ended");
    assert_eq!(browser.wait_for("result.afterLogout"), 401);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_reads_from_another_origin_what_it_may_and_keeps_to_the_policy() {
    let provider = OidcProvider::start(&["--tokens", "jwt"]).await;
    let (backend, elsewhere) = (backend().await, backend().await);
    let gateway = gateway(&provider, &backend).await;
    let browser = Browser::start().await;
    let site = format!("http://{}", gateway.addr);

    browser.open(&format!("{}/", elsewhere.url()));
    let read = |path: &str, init: Value| {
        browser.value(&format!(
            "fetch('{site}{path}', {init}).then((answer) => answer.text(), (error) => 'no')"
        ))
    };
    let document = read("/.well-known/openid-configuration", json!({}));
    let document: Value = serde_json::from_str(document.as_str().unwrap()).unwrap();
    assert_eq!(document["issuer"], provider.issuer());
    let finger = read(
        "/.well-known/webfinger?resource=acct%3Amary%40cloud.example",
        json!({}),
    );
    assert!(
        finger.as_str().unwrap().contains(provider.issuer()),
        "{finger}"
    );
    let mary = provider.login("mary").await;
    let bearer = format!("Bearer {}", mary.access_token);
    let file = read("/files/a", json!({"headers": {"authorization": bearer}}));
    assert_eq!(
        file, "a file of mary",
        "the question before the request had no token"
    );

    // From the gateway's own pages no foreign origin but the issuer's is reached.
    browser.open(&format!("{site}/callback?error=none"));
    let ask = |url: &str| {
        browser.value(&format!(
            "fetch('{url}').then(() => 'yes', (error) => 'no')"
        ))
    };
    assert_eq!(ask(&format!("{}/jwks", provider.issuer())), "yes");
    assert_eq!(ask(&format!("{}/files/a", elsewhere.url())), "no");
    gateway.stop().await;
}
