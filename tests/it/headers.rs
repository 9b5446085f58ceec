//! Security headers on every answer, errors included. The client of this suite looks for them each time; here are the
//! answers that other tests do not get, and the policy's own settings.

use std::fs;

use crate::support::backend::reply;
use crate::support::files::Folder;
use crate::support::world::World;

#[tokio::test]
async fn every_kind_of_answer_has_the_security_headers_once() {
    let world = World::with(|gateway| gateway.var("PROXY_OIDC_REWRITE_WELLKNOWN", "true")).await;
    let token = world.issuer.token("mara").sign();
    let bearer = |target: &str| world.get(target).bearer(&token);
    bearer("/files/a").send().await.is(200);
    world.get("/files/a").send().await.is(401);
    bearer("/files/%zz").send().await.is(400);
    world
        .get("/.well-known/openid-configuration")
        .send()
        .await
        .is(200);
    world
        .gateway
        .call("OPTIONS", "/files/a")
        .send()
        .await
        .is(200);
    world
        .gateway
        .call("FOO", "/files/a")
        .bearer(&token)
        .send()
        .await;
    bearer("/files/a").h2().send().await.is(200);
    for status in [204, 301, 304, 404, 500] {
        world.backend.answers(move |_| {
            let mut answer = reply("");
            *answer.status_mut() = http::StatusCode::from_u16(status).unwrap();
            answer
        });
        bearer("/files/a").send().await.is(status);
    }
    world.gateway.stop().await;
}

#[tokio::test]
async fn what_the_backend_says_of_them_is_replaced() {
    let world = World::new().await;
    world.backend.answers(|_| {
        let mut answer = reply("x");
        for (name, value) in [
            ("content-security-policy", "default-src *"),
            ("x-content-type-options", "sniff"),
            ("referrer-policy", "unsafe-url"),
        ] {
            answer.headers_mut().append(name, value.parse().unwrap());
            answer.headers_mut().append(name, value.parse().unwrap());
        }
        answer
    });
    let token = world.issuer.token("mara").sign();
    let answer = world.request(&token).await;
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'"), "{policy}");
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_csp_file_changes_the_policy() {
    let folder = Folder::new("csp");
    let file = folder.0.join("csp.yaml");
    fs::write(
        &file,
        "directives:\n  img-src:\n    - \"https://tiles.example\"\n",
    )
    .unwrap();
    let path = file.to_str().unwrap();
    let world = World::with(|gateway| gateway.var("PROXY_CSP_CONFIG_FILE_LOCATION", path)).await;
    let answer = world.get("/files/a").send().await;
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.contains("https://tiles.example"), "{policy}");
    world.gateway.stop().await;
}
