//! What backends are told about people, and that nobody else can tell them (docs/design/hardening.md 3.2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::backend::{FakeBackend, Seen, Told, full};
use crate::support::canary;
use crate::support::client::{raw, status};
use crate::support::gateway::{JWT_SECRET, TestGateway};
use crate::support::issuer::FakeIssuer;
use crate::support::world::World;

/// Names that say who somebody is, in whatever installation (rows 31, 35 and 36).
const IDENTITY: [&str; 19] = [
    "X-Access-Token",
    "X-ACCESS-TOKEN",
    "Remote-User",
    "Remote-Groups",
    "X-Remote-User",
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded-Groups",
    "X-Forwarded-Preferred-Username",
    "X-Auth-Request-User",
    "X-Auth-Request-Access-Token",
    "X-Webauth-User",
    "Ssl-Client-Dn",
    "X-Client-Cert",
    "X-Reva-Anything",
    "Account-Id",
    "X-Account-Uuid",
    "Grpc-Metadata-X-Access-Token",
    "X-Multi-Factor-Authentication",
];

/// What proxies say about the way a request came (row 37).
const WAY: [&str; 12] = [
    "X-Forwarded-Prefix",
    "X-Forwarded-Uri",
    "X-Forwarded-Method",
    "X-Forwarded-Server",
    "X-Forwarded-Port",
    "Forwarded",
    "X-Real-Ip",
    "True-Client-Ip",
    "X-Original-Url",
    "X-Rewrite-Url",
    "X-Http-Method-Override",
    "Proxy-Authorization",
];

pub(crate) fn reva(seen: &Seen) -> Value {
    let values: Vec<_> = seen.headers.get_all("x-access-token").iter().collect();
    assert_eq!(values.len(), 1, "{values:?}");
    let token = values[0].to_str().unwrap().to_owned();
    canary::secret(token.clone());
    let key = jsonwebtoken::DecodingKey::from_secret(JWT_SECRET.as_bytes());
    let mut checks = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::HS256);
    checks.set_audience(&["reva"]);
    jsonwebtoken::decode::<Value>(&token, &key, &checks)
        .unwrap()
        .claims
}

#[tokio::test]
async fn the_reva_token_says_who_the_account_is() {
    let world = World::telling(Told::Reva, |gateway| {
        gateway
            .var("OC_URL", "https://cloud.example")
            .var("PROXY_AUTOPROVISION_CLAIM_GROUPS", "groups")
    })
    .await;
    world
        .issuer
        .knows("mara", "groups", json!(["sailors", "poets"]));
    let token = world.issuer.token("mara").sign();
    world.request(&token).await.is(200);
    let claims = reva(&world.backend.the_request());
    let accounts = world.gateway.accounts();
    let [account] = accounts.as_slice() else {
        panic!("{accounts:?}")
    };
    let user = &claims["user"];
    assert_eq!(user["id"]["opaque_id"], account.id.as_str());
    assert_eq!(user["id"]["idp"], "https://cloud.example");
    assert_eq!(user["id"]["type"], 1);
    assert_eq!(user["username"], "mara");
    assert_eq!(user["display_name"], "Mara Lindqvist");
    assert_eq!(user["mail"], "mara@example.org");
    assert_eq!(user["groups"].as_array().unwrap().len(), 2);
    assert_eq!(claims["iss"], "https://cloud.example");
    assert_eq!(claims["aud"], json!(["reva"]));
    let lifetime = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert_eq!(lifetime, 4 * 3600);
    let roles = user["opaque"]["map"]["roles"]["value"].as_str().unwrap();
    let roles = String::from_utf8(STANDARD.decode(roles).unwrap()).unwrap();
    assert_eq!(
        roles, "[\"d7beeea8-8ff4-406b-8fb6-ab2dd81e6b11\"]",
        "the role `user`"
    );
    world.gateway.stop().await;
}

#[tokio::test]
async fn the_reva_token_is_minted_once_and_renewed_at_half_its_life() {
    let world = World::telling(Told::Reva, |gateway| gateway).await;
    let token = world.issuer.token("mara").expires_in(36_000).sign();
    let mut minted = Vec::new();
    for advance in [0, 600, 2 * 3600] {
        world.gateway.clock.advance(advance);
        world.request(&token).await.is(200);
        let seen = world.backend.the_request();
        minted.push(seen.header("x-access-token").unwrap().to_owned());
    }
    assert_eq!(minted[0], minted[1]);
    assert_ne!(minted[1], minted[2]);
    world.gateway.stop().await;
}

#[tokio::test]
async fn roles_come_from_the_claim_by_the_ordered_mapping() {
    let world = World::telling(Told::Reva, |gateway| {
        gateway
            .var("PROXY_ROLE_ASSIGNMENT_DRIVER", "oidc")
            .var("PROXY_ROLE_ASSIGNMENT_OIDC_CLAIM", "roles")
            .var(
                "PROXY_ROLE_ASSIGNMENT_OIDC_MAPPING",
                "admin=boss;user=staff",
            )
    })
    .await;
    for (roles, role) in [
        (
            json!(["staff", "boss"]),
            "71881883-1768-46bd-a24d-a356a2afdf7f",
        ),
        (json!("staff"), "d7beeea8-8ff4-406b-8fb6-ab2dd81e6b11"),
    ] {
        world.issuer.knows("mara", "roles", roles);
        let token = world.issuer.token("mara").sign();
        world.request(&token).await.is(200);
        let claims = reva(&world.backend.the_request());
        let value = claims["user"]["opaque"]["map"]["roles"]["value"]
            .as_str()
            .unwrap();
        let value = String::from_utf8(STANDARD.decode(value).unwrap()).unwrap();
        assert_eq!(value, format!("[\"{role}\"]"));
    }
    world.issuer.knows("alan", "roles", json!(["visitor"]));
    let token = world.issuer.token("alan").sign();
    world.request(&token).await.refused(403, "no_role");
    world.backend.saw_nothing();
    world.gateway.stop().await;
}

#[tokio::test]
async fn remote_headers_are_printable_ascii_whatever_the_name() {
    let world = World::new().await;
    let token = world.issuer.token("alan").sign();
    world.request(&token).await.is(200);
    let seen = world.backend.the_request();
    assert_eq!(seen.header("remote-user"), Some("alan"));
    assert_eq!(seen.header("remote-name"), Some("Alan T%C3%BCring"));
    world.gateway.stop().await;
}

/// A gateway with a route of each kind: protected with each way of telling, and open.
async fn every_route() -> (FakeIssuer, Vec<(&'static str, FakeBackend)>, TestGateway) {
    let issuer = FakeIssuer::start().await;
    let backends = vec![
        ("/reva/", FakeBackend::told(Told::Reva).await),
        ("/files/", FakeBackend::told(Told::Headers).await),
        ("/plain/", FakeBackend::told(Told::Nothing).await),
        ("/public/", FakeBackend::told(Told::WhatTheClientSent).await),
    ];
    let mut gateway = TestGateway::new().issuer(&issuer);
    for (endpoint, backend) in &backends {
        let keys = json!({"unprotected": *endpoint == "/public/"});
        gateway = gateway.route(endpoint, backend, keys);
    }
    let gateway = gateway.spawn().await;
    (issuer, backends, gateway)
}

#[tokio::test]
async fn rows_31_to_37_what_only_the_gateway_may_say_is_taken_from_every_request() {
    let (issuer, backends, gateway) = every_route().await;
    let token = issuer.token("mara").sign();
    // Signed with the right secret, as by somebody who got hold of it.
    let forged = forged_reva_token();
    for (endpoint, backend) in &backends {
        for name in IDENTITY.into_iter().chain(WAY) {
            let call = gateway
                .get(&format!("{endpoint}a"))
                .bearer(&token)
                .header(name, &forged)
                .header(name, "");
            call.send().await.is(200);
            let seen = backend.the_request();
            for (seen_name, value) in &seen.headers {
                let value = value.to_str().unwrap();
                assert_ne!(value, forged, "{endpoint}: {name} as {seen_name}");
            }
        }
        let seen = backend.take_seen();
        assert!(seen.is_empty());
    }
    // What the backends complain about fails the test when they go.
    gateway.stop().await;
}

fn forged_reva_token() -> String {
    let key = jsonwebtoken::EncodingKey::from_secret(JWT_SECRET.as_bytes());
    let claims = json!({"iss": "x", "aud": ["reva"], "exp": 4_000_000_000_i64, "user": {"username": "admin"}});
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}

#[tokio::test]
async fn row_45_cookies_choose_nothing_however_many_there_are() {
    let world = World::new().await;
    let token = world.issuer.token("mara").sign();
    let pairs: Vec<String> = (0..3_000).map(|n| format!("c{n}=x")).collect();
    for cookie in [
        pairs.join("; "),
        "opencloud-selector=../../etc".to_owned(),
        "opencloud-selector=no-such-policy; owncloud-selector=100000000".to_owned(),
        String::new(),
    ] {
        let call = world
            .get("/files/a")
            .bearer(&token)
            .header("Cookie", &cookie);
        call.send().await.is(200);
    }
    world.gateway.stop().await;
}

#[tokio::test]
async fn row_33_beside_a_public_token_no_access_token_of_the_client_gets_through() {
    let (issuer, backend, gateway) = shares().await;
    let token = issuer.token("mara").sign();
    let forged = forged_reva_token();
    for path in [
        "/dav/public-files/share1/a",
        "/remote.php/dav/public-files/share1/a",
        "/dav/spaces/a",
    ] {
        let is_share = path.contains("public-files");
        for share_token in ["header", "query"] {
            let call = |with: &str| {
                let call = match share_token {
                    "header" => gateway.get(path).header("public-token", "share1"),
                    _ => gateway.get(&format!("{path}?public-token=share1")),
                };
                call.header(with, &forged).header(with, "")
            };
            let answer = call("X-Access-Token").send().await;
            if is_share {
                answer.is(200);
                let seen = backend.the_request();
                assert_eq!(
                    seen.headers.get_all("x-access-token").iter().count(),
                    0,
                    "{path}"
                );
                let by_header = share_token == "header";
                assert_eq!(
                    seen.header("public-token"),
                    by_header.then_some("share1"),
                    "{path}"
                );
            } else {
                answer.refused(401, "no_credential");
            }
            // With a login beside it the backend hears of the login only.
            call("X-Access-Token").bearer(&token).send().await.is(200);
            assert_eq!(reva(&backend.the_request())["user"]["username"], "mara");
            call("x_access_token")
                .send()
                .await
                .refused(400, "underscore");
            backend.saw_nothing();
        }
    }
    gateway.stop().await;
}

/// A gateway whose one backend serves files and public shares.
async fn shares() -> (FakeIssuer, FakeBackend, TestGateway) {
    let issuer = FakeIssuer::start().await;
    let backend = FakeBackend::told(Told::Reva).await;
    let gateway = TestGateway::new()
        .issuer(&issuer)
        .backend("/dav/", &backend)
        .backend("/remote.php/", &backend)
        .spawn()
        .await;
    (issuer, backend, gateway)
}

#[tokio::test]
async fn row_34_the_underscore_spelling_of_a_reserved_name_is_400() {
    let (issuer, backends, gateway) = every_route().await;
    let token = issuer.token("mara").sign();
    for name in [
        "x_access_token",
        "X_Access-Token",
        "remote_user",
        "x_forwarded_for",
    ] {
        for (endpoint, backend) in &backends {
            let call = gateway.get(&format!("{endpoint}a")).bearer(&token);
            let answer = call.header(name, "x").send().await;
            answer.refused(400, "underscore");
            backend.saw_nothing();
        }
    }
    gateway.stop().await;
}

#[tokio::test]
async fn row_34_a_sign_in_place_of_a_dash_is_400_on_every_route_method_and_protocol() {
    let (issuer, shares, gateway) = shares().await;
    let token = issuer.token("mara").sign();
    let requests = [
        ("GET", "/dav/spaces/a", true),
        ("GET", "/dav/spaces/a", false),
        ("OPTIONS", "/dav/spaces/a", false),
        ("PROPFIND", "/dav/public-files/share1/a", false),
    ];
    for sign in "!#$%&'*+.^_`|~".chars() {
        for name in ["X{}Access-Token", "Remote{}User", "X{}Forwarded{}For"] {
            let name = name.replace("{}", &sign.to_string());
            for (method, path, with_login) in requests {
                for h2 in [false, true] {
                    let call = gateway.call(method, path).header(&name, "x");
                    let call = if with_login {
                        call.bearer(&token)
                    } else {
                        call
                    };
                    let call = if h2 { call.h2() } else { call };
                    call.send().await.refused(400, "underscore");
                }
            }
        }
    }
    shares.saw_nothing();
    gateway.stop().await;
    let (issuer, backends, gateway) = every_route().await;
    let token = issuer.token("mara").sign();
    for (endpoint, backend) in &backends {
        let call = gateway.get(&format!("{endpoint}a")).bearer(&token);
        let answer = call.header("Remote~User", "admin").send().await;
        answer.refused(400, "underscore");
        let call = gateway.get(&format!("{endpoint}a")).bearer(&token);
        call.header("X.My~Own", "x").send().await.is(200);
        assert_eq!(backend.the_request().header("x.my~own"), None);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn row_38_a_header_named_in_connection_does_not_take_ours_along() {
    let (issuer, backends, gateway) = every_route().await;
    let token = issuer.token("mara").sign();
    for (endpoint, backend) in &backends {
        let request = format!(
            "GET {endpoint}a HTTP/1.1\r\nHost: cloud.example\r\nAuthorization: Bearer {token}\r\n\
             Connection: close, x-access-token, remote-user, x-forwarded-for, host, cookie, x-request-id\r\n\r\n"
        );
        let answer = raw(gateway.addr, request.as_bytes()).await;
        assert_eq!(status(&answer), 200, "{endpoint}: {answer}");
        let seen = backend.the_request();
        assert!(seen.header("x-request-id").is_some());
        assert!(seen.header("x-forwarded-for").is_some());
        match *endpoint {
            "/reva/" => drop(reva(&seen)),
            "/files/" => assert_eq!(seen.header("remote-user"), Some("mara")),
            _ => {}
        }
    }
    gateway.stop().await;
}

#[tokio::test]
async fn row_39_framing_headers_named_in_connection_are_400() {
    let (_issuer, backends, gateway) = every_route().await;
    for named in ["content-length", "transfer-encoding"] {
        let request = format!(
            "POST /public/a HTTP/1.1\r\nHost: cloud.example\r\nConnection: close, {named}\r\nContent-Length: 1\r\n\r\nx"
        );
        let answer = raw(gateway.addr, request.as_bytes()).await;
        assert_eq!(status(&answer), 400, "{answer}");
    }
    for (_, backend) in &backends {
        backend.saw_nothing();
    }
    gateway.stop().await;
}

#[tokio::test]
async fn row_40_what_the_backend_says_about_identity_stays_inside() {
    let world = World::with(|gateway| gateway).await;
    world.backend.answers(|_| {
        let mut answer = http::Response::new(full("x"));
        for (name, value) in [
            ("x-access-token", "secret"),
            ("connection", "x-test-hop"),
            ("x-test-hop", "1"),
            ("x-frame-options", "ALLOWALL"),
            ("content-security-policy", "default-src *"),
            ("x-request-id", "the backend's"),
        ] {
            answer.headers_mut().append(name, value.parse().unwrap());
        }
        answer
    });
    let token = world.issuer.token("mara").sign();
    let answer = world.request(&token).await;
    answer.is(200);
    assert_eq!(answer.header("x-test-hop"), None);
    assert_eq!(answer.header("x-frame-options"), Some("SAMEORIGIN"));
    assert_ne!(answer.header("x-request-id"), Some("the backend's"));
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_consumed_bearer_is_not_passed_on_and_the_request_id_is() {
    let world = World::new().await;
    let token = world.issuer.token("mara").sign();
    let call = world
        .get("/files/a")
        .bearer(&token)
        .header("X-Request-Id", "id-7");
    call.send().await.is(200);
    let seen = world.backend.the_request();
    assert_eq!(seen.header("authorization"), None);
    assert_eq!(seen.header("x-request-id"), Some("id-7"));
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.header("x-forwarded-host"), Some("cloud.example"));
    world.gateway.stop().await;
}

#[tokio::test]
async fn an_outer_proxys_host_is_told_beside_the_one_of_its_request() {
    let world = World::with(|gateway| gateway.var("PROXY_TRUSTED_PROXIES", "127.0.0.0/8")).await;
    let token = world.issuer.token("mara").sign();
    let call = world
        .get("/files/a")
        .bearer(&token)
        .header("X-Forwarded-Host", "public.example");
    call.send().await.is(200);
    let seen = world.backend.the_request();
    assert_eq!(seen.header("host"), Some("cloud.example"));
    assert_eq!(seen.header("x-forwarded-host"), Some("public.example"));
    world.gateway.stop().await;
}
