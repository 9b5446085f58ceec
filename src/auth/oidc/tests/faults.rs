//! The issuer on its bad days: F1-F5 and F7 of docs/design/hardening.md section 4. Nothing here may end in a 401.

use super::*;
use crate::credentials::BearerToken;

#[tokio::test]
async fn f1_an_issuer_that_is_down_is_503_and_back_within_a_second() {
    let it = Setup::new(|settings| settings.skip_user_info = false).await;
    it.idp
        .answer("/op/userinfo", Reply::json(&json!({"sub": "s-1"})));
    let token = it.token(&json!({}));
    it.login(&token).await.unwrap();
    it.idp.stop();
    let started = Instant::now();
    for _ in 0..200 {
        assert_eq!(
            unavailable(it.login(&token).await),
            Reason::IssuerUnavailable
        );
    }
    assert!(started.elapsed() < Duration::from_secs(3));
    let Setup { idp, auth, .. } = it;
    let _idp = idp.restart().await;
    let returned = Instant::now();
    while auth
        .authenticate(&BearerToken::new(token.as_str()))
        .await
        .is_err()
    {
        sleep(Duration::from_millis(10)).await;
    }
    assert!(returned.elapsed() < Duration::from_millis(1_500));
}

#[tokio::test]
async fn f1_tokens_that_need_no_userinfo_do_not_notice() {
    let it = Setup::new(|_| {}).await;
    it.ready().await;
    it.idp.stop();
    it.clock.advance(3_000);
    let now = NOW + 3_000;
    let token = it.token(&json!({"iat": now - 10, "exp": now + 290}));
    it.login(&token).await.unwrap();
    assert!(it.auth.is_ready(), "an outage does not undo readiness");
    let header = json!({"alg": "RS256", "kid": "new"});
    let unknown = it
        .key
        .sign(&header, &it.claims(&json!({"iat": now, "exp": now + 290})));
    assert_eq!(
        unavailable(it.login(&unknown).await),
        Reason::IssuerUnavailable
    );
}

#[tokio::test]
async fn f3_bad_key_documents_never_replace_a_good_set() {
    let it = Setup::new(|settings| settings.jwks.refresh_limit = Duration::ZERO).await;
    it.ready().await;
    let good = it.token(&json!({}));
    let header = json!({"alg": "RS256", "kid": "new"});
    let unknown = it.key.sign(&header, &it.claims(&json!({"iat": NOW + 60})));
    for reply in [
        Reply::status(500),
        Reply::status(404),
        Reply::typed("text/html", "<html>"),
        Reply::typed("application/json", "null"),
        Reply::typed("application/json", "{}"),
        Reply::typed("application/json", r#"{"keys":[{"kty":"oct","k":"AA"}]}"#),
        Reply::typed("application/json", " ".repeat(5 * 1024 * 1024)),
    ] {
        it.idp.answer("/op/jwks", reply);
        let outcome = it.login(&unknown).await;
        assert_eq!(unavailable(outcome), Reason::IssuerUnavailable);
        it.login(&good).await.unwrap();
    }
}

#[tokio::test]
async fn row_84_a_bad_document_never_replaces_a_good_one_nor_makes_a_ready_gateway_unready() {
    let it = Setup::new(|_| {}).await;
    it.ready().await;
    let path = "/.well-known/openid-configuration";
    let good = it.auth.well_known().await.unwrap();
    let document =
        |issuer: &str| Reply::json(&json!({"issuer": issuer, "jwks_uri": "https://idp.test/x"}));
    for reply in [
        document("https://idp.test/"),
        document("https://IDP.test"),
        Reply::json(&json!({"issuer": "https://idp.test", "jwks_uri": "file:///etc/passwd"})),
        Reply::status(302).header("location", "http://127.0.0.1:1/"),
        Reply::status(500),
        Reply::typed("text/html", "<html>"),
    ] {
        it.idp.answer(path, reply);
        assert!(it.auth.issuers[0].provider.refresh().await.is_err());
        assert_eq!(it.auth.well_known().await.unwrap(), good);
        assert!(it.auth.is_ready());
    }
    it.login(&it.token(&json!({}))).await.unwrap();
}

#[tokio::test]
async fn f4_a_rotation_every_90_seconds_refuses_no_good_token() {
    let it = Setup::new(|_| {}).await;
    it.ready().await;
    let keys = [Signer::rsa(), Signer::other_rsa()];
    let before = it.idp.calls("/op/jwks");
    for rotation in 0..10 {
        it.clock.advance(90);
        let now = it.clock.now().0;
        let (key, kid) = (&keys[rotation % 2], format!("r{rotation}"));
        it.idp.answer(
            "/op/jwks",
            Reply::json(&json!({"keys": [key.jwk(&kid, &json!({}))]})),
        );
        let claims = it.claims(&json!({"iat": now, "exp": now + 60}));
        let token = key.sign(&json!({"alg": "RS256", "kid": kid}), &claims);
        it.login(&token).await.unwrap();
    }
    assert_eq!(
        it.idp.calls("/op/jwks"),
        before + 10,
        "one fetch per rotation"
    );
    let changes = it.auth.key_changes();
    assert!(
        changes >= 11,
        "each rotation voids kept refusals: {changes}"
    );
}

#[tokio::test]
async fn f5_starting_without_the_issuer_becomes_ready_by_itself() {
    let idp = FakeIssuer::start().await;
    let key = Signer::rsa();
    idp.publish("https://idp.test", &[key.jwk("k1", &json!({}))], &json!({}));
    idp.stop();
    let it = Setup::on(idp, "https://idp.test", key, |_| {});
    let token = it.token(&json!({}));
    assert_eq!(
        unavailable(it.login(&token).await),
        Reason::IssuerUnavailable
    );
    assert!(!it.auth.is_ready());
    let Setup { idp, auth, .. } = it;
    let _idp = idp.restart().await;
    let returned = Instant::now();
    ready(&auth).await;
    assert!(returned.elapsed() < Duration::from_secs(3));
    auth.authenticate(&BearerToken::new(token)).await.unwrap();
}

#[tokio::test]
async fn f7_many_tokens_at_once_are_all_answered() {
    let it = Setup::new(|settings| settings.skip_user_info = false).await;
    let userinfo = Reply {
        delay: Duration::from_millis(2),
        ..Reply::json(&json!({"sub": "s-1"}))
    };
    it.idp.answer("/op/userinfo", userinfo);
    it.ready().await;
    let token = it.token(&json!({}));
    let logins = futures_util::future::join_all((0..1_000).map(|_| it.login(&token))).await;
    assert!(logins.iter().all(Result::is_ok));
    assert!(it.idp.most_at_once() <= 64);
    assert!(it.idp.connections() <= 70, "connections are used again");
}

#[tokio::test]
async fn a_token_of_one_issuer_is_never_checked_against_another() {
    let clock = clock();
    let mut issuers = Vec::new();
    let mut servers = Vec::new();
    // Both publish the very same key id, and the second one would take any token at its userinfo.
    for (name, key) in [
        ("https://a.test", Signer::rsa()),
        ("https://b.test", Signer::other_rsa()),
    ] {
        let idp = FakeIssuer::start().await;
        idp.publish(name, &[key.jwk("k1", &json!({}))], &json!({}));
        idp.answer("/op/userinfo", Reply::json(&json!({"sub": "opaque"})));
        let mut settings = settings(name, &idp.origin());
        settings.skip_user_info = true;
        issuers.push(settings);
        servers.push((idp, key));
    }
    let auth = |issuers: &[Issuer]| {
        OidcAuthenticator::new(issuers, &client(), &clock, &Handle::current()).unwrap()
    };
    let both = auth(&issuers);
    let header = json!({"alg": "RS256", "kid": "k1"});
    let token = |iss: &str, key: &Signer| {
        let claims = json!({"iss": iss, "sub": "s", "iat": NOW - 10, "exp": NOW + 290});
        BearerToken::new(key.sign(&header, &claims))
    };
    let (a, b) = (&servers[0].1, &servers[1].1);
    let login = both
        .authenticate(&token("https://b.test", b))
        .await
        .unwrap();
    assert_eq!(login.issuer, 1);
    let forged = both.authenticate(&token("https://b.test", a)).await;
    assert_eq!(refusal(forged), Reason::BadSignature);
    let foreign = both.authenticate(&token("https://c.test", a)).await;
    assert_eq!(refusal(foreign), Reason::WrongIssuer);
    let opaque = BearerToken::new("opaque");
    assert_eq!(
        refusal(both.authenticate(&opaque).await),
        Reason::OpaqueToken
    );
    issuers[1].verify_method = VerifyMethod::Auto;
    let login = auth(&issuers).authenticate(&opaque).await.unwrap();
    assert_eq!(
        (login.issuer, login.subject.as_deref()),
        (1, Some("opaque"))
    );
    assert_eq!(servers[0].0.calls("/op/userinfo"), 0);
}

#[tokio::test]
async fn issue_15_12_after_a_rotation_neither_a_slow_clock_nor_a_missing_iat_matters() {
    for iat in [
        json!(NOW - 120),
        json!(NOW - 86_400),
        json!(null),
        json!(0),
        json!(NOW + 3_600),
    ] {
        let it = Setup::new(|_| {}).await;
        it.ready().await;
        it.idp.answer(
            "/op/jwks",
            Reply::json(&json!({"keys": [Signer::other_rsa().jwk("k2", &json!({}))]})),
        );
        let mut claims = it.claims(&json!({"iat": iat}));
        if iat.is_null() {
            claims.as_object_mut().unwrap().remove("iat");
        }
        let token = Signer::other_rsa().sign(&json!({"alg": "RS256", "kid": "k2"}), &claims);
        let login = it.login(&token).await;
        assert!(login.is_ok(), "{iat}: {login:?}");
    }
}

#[tokio::test]
async fn issue_15_12_an_id_that_may_not_be_asked_about_yet_waits_and_is_judged_by_the_next_fetch() {
    let it = Setup::new(|_| {}).await;
    it.ready().await;
    let of = |kid: &str| {
        it.key
            .sign(&json!({"alg": "RS256", "kid": kid}), &it.claims(&json!({})))
    };
    assert_eq!(it.refusal(&of("bad")).await, Reason::UnknownKey);
    let before = it.idp.calls("/op/jwks");
    // Whoever came first used up the fetch; it said nothing about this one.
    for _ in 0..3 {
        assert_eq!(unavailable(it.login(&of("new")).await), Reason::KeysPending);
        assert_eq!(it.refusal(&of("bad")).await, Reason::UnknownKey);
    }
    assert_eq!(it.idp.calls("/op/jwks"), before);
    it.clock.advance(61);
    assert_eq!(it.refusal(&of("another")).await, Reason::UnknownKey);
    assert_eq!(
        it.refusal(&of("new")).await,
        Reason::UnknownKey,
        "it was seen before that fetch"
    );
    assert_eq!(it.idp.calls("/op/jwks"), before + 1);
    it.idp.answer(
        "/op/jwks",
        Reply::json(&json!({"keys": [it.key.jwk("new", &json!({}))]})),
    );
    it.clock.advance(61);
    it.login(&of("new")).await.unwrap();
}

#[tokio::test]
async fn issue_14_5_a_key_that_left_refuses_its_tokens_at_once_and_tells_its_sessions() {
    let it = Setup::new(|_| {}).await;
    let login = it.login(&it.token(&json!({}))).await.unwrap();
    let key = login.key.unwrap();
    it.idp.answer(
        "/op/jwks",
        Reply::json(&json!({"keys": [Signer::other_rsa().jwk("k2", &json!({}))]})),
    );
    let next = Signer::other_rsa().sign(
        &json!({"alg": "RS256", "kid": "k2"}),
        &it.claims(&json!({})),
    );
    assert!(!key.is_over());
    it.login(&next).await.unwrap();
    assert!(key.is_over());
    // No fetch is allowed for a minute, and none is needed.
    assert_eq!(it.refusal(&it.token(&json!({}))).await, Reason::UnknownKey);
    // Enabled again: it is looked for as soon as that is allowed.
    it.idp.answer(
        "/op/jwks",
        Reply::json(&json!({"keys": [it.key.jwk("k1", &json!({}))]})),
    );
    it.clock.advance(61);
    it.login(&it.token(&json!({}))).await.unwrap();
}

#[tokio::test]
async fn issue_15_11_a_set_nobody_can_use_is_503_unready_and_left_behind_by_itself() {
    let idp = FakeIssuer::start().await;
    let key = Signer::rsa();
    let weak = json!({"kty": "RSA", "kid": "k1", "n": "AQAB", "e": "AQAB"});
    idp.publish("https://idp.test", std::slice::from_ref(&weak), &json!({}));
    let it = Setup::on(idp, "https://idp.test", key, |_| {});
    let token = it.token(&json!({}));
    assert_eq!(unavailable(it.login(&token).await), Reason::KeyUnusable);
    assert!(!it.auth.is_ready());
    it.idp.answer(
        "/op/jwks",
        Reply::json(&json!({"keys": [weak, Signer::ec().jwk("k2", &json!({}))]})),
    );
    it.auth.issuers[0].keys.refresh().await.unwrap();
    assert!(it.auth.is_ready());
    assert_eq!(
        unavailable(it.login(&token).await),
        Reason::KeyUnusable,
        "its own key is not"
    );
    let es = it.key.sign(
        &json!({"alg": "ES256", "kid": "k1"}),
        &it.claims(&json!({})),
    );
    assert_eq!(it.refusal(&es).await, Reason::UnknownKey);
    it.idp.answer(
        "/op/jwks",
        Reply::json(&json!({"keys": [it.key.jwk("k1", &json!({}))]})),
    );
    it.auth.issuers[0].keys.refresh().await.unwrap();
    it.login(&token).await.unwrap();
}

#[tokio::test]
async fn issue_15_11_two_keys_under_one_id_serve_both_kinds_of_token() {
    let idp = FakeIssuer::start().await;
    let (rsa, ec, other) = (Signer::rsa(), Signer::ec(), Signer::other_rsa());
    let keys = [
        rsa.jwk("k", &json!({"alg": "RS256"})),
        rsa.jwk("k", &json!({"alg": "RS512"})),
        ec.jwk("k", &json!({})),
        other.jwk("k", &json!({})),
    ];
    idp.publish("https://idp.test", &keys, &json!({}));
    let it = Setup::on(idp, "https://idp.test", Signer::ec(), |_| {});
    let claims = it.claims(&json!({}));
    for (key, alg) in [
        (&rsa, "RS256"),
        (&rsa, "RS512"),
        (&ec, "ES256"),
        (&other, "RS256"),
        (&other, "PS256"),
    ] {
        let token = key.sign(&json!({"alg": alg, "kid": "k"}), &claims);
        let login = it.login(&token).await;
        assert!(login.is_ok(), "{alg}: {login:?}");
    }
    let forged = it.key.sign(&json!({"alg": "ES256", "kid": "k"}), &claims);
    assert_eq!(it.refusal(&forged).await, Reason::BadSignature);
    let misfit = it.key.sign(&json!({"alg": "EdDSA", "kid": "k"}), &claims);
    assert_eq!(it.refusal(&misfit).await, Reason::TokenAlgorithm);
}
