//! Users with policies of their own: by a claim, by what is known of them, by cookie before the login.

use serde_json::{Value, json};

use crate::support::backend::{FakeBackend, Told};
use crate::support::client::Answer;
use crate::support::issuer::{Endpoint, Fault};
use crate::support::world::World;

/// Two policies with a backend each: `default` opens nothing of `/files/`, `old` opens all of it and its `/web/`.
struct Two {
    world: World,
    old: FakeBackend,
}

impl Two {
    async fn new(selector: Value) -> Self {
        let old = FakeBackend::told(Told::WhatTheClientSent).await;
        let route = |endpoint: &str, open: bool| json!({"endpoint": endpoint, "backend": old.url(), "identity": "none", "unprotected": open});
        let policy = json!([{"name": "old", "routes": [
            route("/files/", true), route("/web/", true), route("/closed/", false), route("/", true),
        ]}]);
        let world = World::with(|gateway| {
            gateway
                .yaml("additional_policies", policy)
                .yaml("policy_selector", selector)
        })
        .await;
        Self { world, old }
    }

    /// Which backend got the one request.
    #[track_caller]
    fn served_by(&self) -> &'static str {
        let (new, old) = (self.world.backend.take_seen(), self.old.take_seen());
        match (new.len(), old.len()) {
            (1, 0) => "new",
            (0, 1) => "old",
            (0, 0) => "none",
            _ => panic!("{new:#?} {old:#?}"),
        }
    }

    async fn with_cookie(&self, path: &str, cookie: &str) -> Answer {
        self.world.get(path).header("Cookie", cookie).send().await
    }
}

fn by_claims(unauthenticated: &str) -> Value {
    json!({"claims": {"default_policy": "default", "unauthenticated_policy": unauthenticated}})
}

#[tokio::test]
async fn a_claim_chooses_the_policy_and_the_browser_remembers_it() {
    let two = Two::new(by_claims("default")).await;
    two.world
        .issuer
        .knows("alan", "opencloud.routing.policy", json!("old"));
    for (name, backend, policy) in [("mara", "new", "default"), ("alan", "old", "old")] {
        let token = two.world.issuer.token(name).sign();
        for path in ["/files/a", "/web/a"] {
            let answer = two.world.get(path).bearer(&token).send().await;
            answer.is(200);
            assert_eq!(two.served_by(), backend, "{name} {path}");
            let set = format!("opencloud-selector={policy}; Path=/; HttpOnly; SameSite=Lax");
            assert_eq!(answer.header("set-cookie"), Some(set.as_str()));
            let cookie = format!("a=b; opencloud-selector={policy}");
            let call = two.world.get(path).bearer(&token).header("Cookie", &cookie);
            assert_eq!(call.send().await.header("set-cookie"), None);
            assert_eq!(two.served_by(), backend, "{name} {path}");
        }
    }
    // The login decides, whatever the cookie says.
    let token = two.world.issuer.token("mara").sign();
    let call = two.world.get("/files/a").bearer(&token);
    call.header("Cookie", "opencloud-selector=old")
        .send()
        .await
        .is(200);
    assert_eq!(two.served_by(), "new");
    two.world.gateway.stop().await;
}

#[tokio::test]
async fn row_45_the_cookie_of_a_stranger_opens_no_path_that_is_closed_without_it() {
    let two = Two::new(by_claims("default")).await;
    for cookie in [
        "opencloud-selector=old",
        "opencloud-selector=none",
        "opencloud-selector=",
    ] {
        let answer = two.with_cookie("/files/a", cookie).await;
        answer.refused(401, "no_credential");
        assert_eq!(two.served_by(), "none", "{cookie}");
    }
    two.world.gateway.stop().await;
}

#[tokio::test]
async fn before_the_login_the_cookie_chooses_among_open_paths() {
    let two = Two::new(by_claims("old")).await;
    // Open for everybody by `old`; closed by `default`, and that is the one this browser had.
    two.world.get("/web/a").send().await.is(200);
    assert_eq!(two.served_by(), "old");
    two.with_cookie("/web/a", "opencloud-selector=old")
        .await
        .is(200);
    assert_eq!(two.served_by(), "old");
    let answer = two
        .with_cookie("/files/a", "opencloud-selector=default")
        .await;
    answer.refused(401, "no_credential");
    two.world
        .get("/closed/a")
        .send()
        .await
        .refused(401, "no_credential");
    assert_eq!(two.served_by(), "none");
    two.world.gateway.stop().await;
}

#[tokio::test]
async fn a_bad_token_is_no_login_and_one_that_cannot_be_judged_goes_nowhere() {
    let two = Two::new(by_claims("old")).await;
    let expired = two.world.issuer.token("mara").expires_in(-3600).sign();
    two.world
        .get("/web/a")
        .bearer(&expired)
        .send()
        .await
        .is(200);
    assert_eq!(two.served_by(), "old");
    let answer = two.world.get("/closed/a").bearer(&expired).send().await;
    answer.refused(401, "token_expired");
    let fault = Fault::Status(500);
    two.world.issuer.fault(Endpoint::Userinfo, fault);
    let token = two.world.issuer.token("mara").sign();
    let answer = two.world.get("/web/a").bearer(&token).send().await;
    answer.refused(503, "issuer_unavailable");
    assert_eq!(two.served_by(), "none");
    two.world.gateway.stop().await;
}

#[tokio::test]
async fn expressions_choose_by_what_is_known_of_the_user() {
    let two = Two::new(json!({"regex": {
        "default_policy": "default", "unauthenticated_policy": "default", "selector_cookie_name": "way",
        "matches_policies": [
            {"priority": 20, "property": "username", "match": ".", "policy": "old"},
            {"priority": 10, "property": "mail", "match": "^mara@example\\.org$", "policy": "default"},
        ],
    }}))
    .await;
    for (name, backend, policy) in [("mara", "new", "default"), ("alan", "old", "old")] {
        let token = two.world.issuer.token(name).sign();
        let answer = two.world.get("/files/a").bearer(&token).send().await;
        answer.is(200);
        assert_eq!(two.served_by(), backend, "{name}");
        let cookie = answer.header("set-cookie").unwrap();
        assert!(cookie.starts_with(&format!("way={policy};")), "{cookie}");
    }
    two.world.gateway.stop().await;
}

#[tokio::test]
async fn a_reload_changes_whose_policy_is_which() {
    let mut two = Two::new(by_claims("default")).await;
    let token = two.world.issuer.token("mara").sign();
    two.world.request(&token).await.is(200);
    assert_eq!(two.served_by(), "new");
    let change =
        |yaml: &mut Value| yaml["policy_selector"]["claims"]["default_policy"] = "old".into();
    assert!(two.world.gateway.reload(change).await);
    two.world.request(&token).await.is(200);
    assert_eq!(two.served_by(), "old");
    two.world.gateway.stop().await;
}
