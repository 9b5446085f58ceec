//! Resumable uploads of OpenCloud from 8.0 on: the backend names a data server inside the deployment, and the gateway leads
//! the client there and back (docs/design/contract.md 9.14).

use http::{HeaderValue, StatusCode};
use serde_json::json;

use crate::support::backend::{FakeBackend, Told, reply};
use crate::support::gateway::{Builder, TestGateway};
use crate::support::issuer::FakeIssuer;

const SECRET: &str = "canary-transfer-secret-of-32-bytes";

struct World {
    issuer: FakeIssuer,
    dav: FakeBackend,
    data: FakeBackend,
    frontend: FakeBackend,
    gateway: TestGateway,
}

impl World {
    async fn with(settings: impl FnOnce(Builder, &FakeBackend) -> Builder) -> Self {
        let issuer = FakeIssuer::start().await;
        let dav = FakeBackend::told(Told::Reva).await;
        let data = FakeBackend::start().await;
        let frontend = FakeBackend::told(Told::WhatTheClientSent).await;
        let location = format!("{}/data/tus/one", data.url());
        dav.answers(move |_| {
            let mut answer = reply("");
            *answer.status_mut() = StatusCode::CREATED;
            let location = HeaderValue::from_str(&location).unwrap();
            answer.headers_mut().insert("location", location);
            answer
        });
        let gateway = TestGateway::new()
            .issuer(&issuer)
            .var("REVA_TRANSFER_SECRET", SECRET)
            .var("PROXY_DATA_SERVERS", &data.addr.to_string())
            .backend("/dav/", &dav)
            .open("/data", &frontend);
        let gateway = settings(gateway, &data).spawn().await;
        Self {
            issuer,
            dav,
            data,
            frontend,
            gateway,
        }
    }

    /// The path of the location that a POST is answered with.
    async fn begin(&self) -> String {
        let token = self.issuer.token("mara").sign();
        let post = self.gateway.call("POST", "/dav/spaces/a").bearer(&token);
        let answer = post.header("Tus-Resumable", "1.0.0").send().await;
        answer.is(201);
        self.dav.the_request();
        answer.header("location").unwrap().to_owned()
    }
}

#[tokio::test]
async fn an_upload_begins_at_the_backend_and_goes_on_at_its_data_server() {
    let world = World::with(|gateway, _| gateway).await;
    let location = world.begin().await;
    let origin = "http://cloud.example";
    let path = location.strip_prefix(origin).unwrap();
    assert!(path.starts_with("/data/tus/one/ey"), "{path}");
    let token = path.rsplit('/').next().unwrap();
    for (path, transfer) in [
        (path, None),
        ("/data", Some(token)),
        ("/data/x", Some(token)),
    ] {
        for h2 in [false, true] {
            let patch = world.gateway.call("PATCH", path).bearer("anything");
            let patch = patch
                .header("Tus-Resumable", "1.0.0")
                .header("Upload-Offset", "0");
            let patch = match transfer {
                Some(token) => patch.header("X-Reva-Transfer", token),
                None => patch,
            };
            let patch = if h2 { patch.h2() } else { patch };
            patch.body("content").send().await.is(200);
            let seen = world.data.the_request();
            assert_eq!(
                (seen.method.as_str(), seen.target.as_str()),
                ("PATCH", "/data/tus/one")
            );
            assert_eq!(
                seen.header("host"),
                Some(world.data.addr.to_string().as_str())
            );
            assert_eq!(seen.header("upload-offset"), Some("0"));
            assert_eq!(seen.header("x-reva-transfer"), None);
            assert_eq!(seen.body.start, b"content");
        }
    }
    // Without the protocol's header the old way stays.
    let get = world.gateway.get("/data/x").header("X-Reva-Transfer", "t");
    get.send().await.is(200);
    assert_eq!(
        world.frontend.the_request().header("x-reva-transfer"),
        Some("t")
    );
    world.gateway.stop().await;
}

#[tokio::test]
async fn no_other_token_leads_anywhere() {
    let world = World::with(|gateway, _| gateway).await;
    let location = world.begin().await;
    let path = location.strip_prefix("http://cloud.example").unwrap();
    let sign = |claims: serde_json::Value, secret: &str, algorithm| {
        let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
        let header = jsonwebtoken::Header::new(algorithm);
        jsonwebtoken::encode(&header, &claims, &key).unwrap()
    };
    let hs256 = jsonwebtoken::Algorithm::HS256;
    let exp = world.gateway.clock.now().0 + 600;
    let target = format!("{}/data/x", world.data.url());
    let elsewhere = format!("{}/data/x", world.frontend.url());
    for token in [
        "none".to_owned(),
        String::new(),
        sign(
            json!({"exp": exp, "target": target}),
            "another secret",
            hs256,
        ),
        sign(
            json!({"exp": exp, "target": target}),
            SECRET,
            jsonwebtoken::Algorithm::HS512,
        ),
        sign(json!({"exp": exp - 700, "target": target}), SECRET, hs256),
        sign(json!({"target": target}), SECRET, hs256),
        sign(json!({"exp": exp}), SECRET, hs256),
        sign(json!({"exp": exp, "target": elsewhere}), SECRET, hs256),
        sign(json!({"exp": exp, "target": "/data/x"}), SECRET, hs256),
    ] {
        let patch = world
            .gateway
            .call("PATCH", &format!("/data/tus/one/{token}"));
        let answer = patch
            .header("Tus-Resumable", "1.0.0")
            .body("x")
            .send()
            .await;
        answer.refused(400, "bad_target");
    }
    world.gateway.clock.advance(24 * 3600 + 1);
    let patch = world
        .gateway
        .call("PATCH", path)
        .header("Tus-Resumable", "1.0.0");
    patch.body("x").send().await.refused(400, "bad_target");
    world.data.saw_nothing();
    world.frontend.saw_nothing();
    world.gateway.stop().await;
}

#[tokio::test]
async fn before_8_0_and_without_the_secret_the_frontend_stands_between() {
    for (name, value) in [
        ("PROXY_COMPAT", "opencloud-7"),
        ("REVA_TRANSFER_SECRET", ""),
    ] {
        let world = World::with(|gateway, _| gateway.var(name, value)).await;
        let location = world.begin().await;
        assert_eq!(location, format!("{}/data/tus/one", world.data.url()));
        let patch = world.gateway.call("PATCH", "/data/token");
        let patch = patch
            .header("Tus-Resumable", "1.0.0")
            .header("X-Reva-Transfer", "token");
        patch.body("x").send().await.is(200);
        let seen = world.frontend.the_request();
        assert_eq!(seen.header("x-reva-transfer"), Some("token"));
        world.gateway.stop().await;
    }
}
