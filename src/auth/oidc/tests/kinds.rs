//! Which kinds of tokens, subjects and clients an issuer may speak of.

use super::*;

#[tokio::test]
async fn issue_14_2_no_other_kind_of_token_by_any_method() {
    let header = |typ: &str| json!({"alg": "RS256", "kid": "k1", "typ": typ});
    for method in [
        VerifyMethod::Jwt,
        VerifyMethod::Auto,
        VerifyMethod::None,
        VerifyMethod::Introspection,
    ] {
        let it = Setup::new(|settings| {
            settings.verify_method = method;
            settings.skip_user_info = method != VerifyMethod::None;
            settings.client = Some(ClientCredentials {
                id: "gate".into(),
                secret: Secret::new("s"),
            });
        })
        .await;
        it.idp
            .answer("/op/userinfo", Reply::json(&json!({"sub": "s-1"})));
        let active = |more: Value| {
            let mut answer = json!({"active": true, "sub": "s-1"});
            answer
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            it.idp.answer("/op/introspect", Reply::json(&answer));
        };
        active(json!({}));
        for (typ, claims) in [
            ("JWT", json!({"typ": "ID"})),
            ("JWT", json!({"typ": "Offline", "exp": null})),
            ("JWT", json!({"type": "refresh-token"})),
            ("JWT", json!({"type": "access-token"})),
            ("JWT", json!({"c_hash": "x", "nonce": "n"})),
            ("logout+jwt", json!({})),
        ] {
            let token = it.key.sign(&header(typ), &it.claims(&claims));
            let reason = refusal(it.login(&token).await);
            let is_timeless = reason == Reason::TokenTimes;
            assert!(
                is_timeless || reason == Reason::WrongTokenType,
                "{method:?} {typ} {claims}: {reason}"
            );
        }
        for (typ, claims) in [
            ("JWT", json!({"nonce": "n", "at_hash": "x"})),
            ("at+jwt", json!({"typ": "Bearer"})),
            ("JWT", json!({"typ": "DPoP", "type": "oauth-access-token"})),
        ] {
            let token = it.key.sign(&header(typ), &it.claims(&claims));
            let login = it.login(&token).await;
            assert!(login.is_ok(), "{method:?} {typ} {claims}: {login:?}");
        }
        if method == VerifyMethod::Introspection {
            for other in [
                json!({"token_type": "Refresh", "typ": "Refresh"}),
                json!({"token_type": "ID"}),
                json!({"token_use": "refresh_token"}),
                json!({"typ": "Offline"}),
            ] {
                active(other.clone());
                assert_eq!(
                    it.refusal("opaque").await,
                    Reason::WrongTokenType,
                    "{other}"
                );
            }
            active(json!({"token_type": "Bearer", "token_use": "access_token"}));
            it.login("opaque").await.unwrap();
        }
    }
}

#[tokio::test]
async fn issue_14_2_the_types_of_the_list_and_no_others() {
    let it = Setup::new(|settings| settings.access_token_types = vec!["at+jwt".into()]).await;
    for (typ, accepted) in [
        (json!("at+jwt"), true),
        (json!("application/AT+JWT"), true),
        (json!("JWT"), false),
        (json!(""), false),
    ] {
        let header = json!({"alg": "RS256", "kid": "k1", "typ": typ});
        let login = it
            .login(&it.key.sign(&header, &it.claims(&json!({}))))
            .await;
        assert_eq!(login.is_ok(), accepted, "{typ}");
    }
    let none = it.key.sign(
        &json!({"alg": "RS256", "kid": "k1"}),
        &it.claims(&json!({})),
    );
    assert_eq!(it.refusal(&none).await, Reason::WrongTokenType);
    let opaque = Setup::new(|settings| {
        settings.verify_method = VerifyMethod::None;
        settings.skip_user_info = false;
        settings.access_token_types = vec!["at+jwt".into()];
    })
    .await;
    opaque
        .idp
        .answer("/op/userinfo", Reply::json(&json!({"sub": "s"})));
    opaque
        .login("opaque, of which nobody knows a type")
        .await
        .unwrap();
    assert_eq!(
        opaque.refusal(&it.token(&json!({}))).await,
        Reason::WrongTokenType
    );
}

#[tokio::test]
async fn issue_15_9_an_opaque_token_is_for_nobody_where_audiences_are_required() {
    for lists in [
        (vec!["web".to_owned()], vec![]),
        (vec![], vec!["web".to_owned()]),
    ] {
        let it = Setup::new(|settings| {
            settings.verify_method = VerifyMethod::Auto;
            settings.skip_user_info = false;
            (settings.audiences, settings.verify_aud) = lists;
        })
        .await;
        it.idp.answer(
            "/op/userinfo",
            Reply::json(&json!({"sub": "s-1", "aud": "web"})),
        );
        let foreign = it.token(&json!({"iss": "https://other.test"}));
        for token in ["opaque", "a.b.c.d.e", foreign.as_str()] {
            assert_eq!(it.refusal(token).await, Reason::AudienceUnknown, "{token}");
        }
        assert_eq!(it.idp.calls("/op/userinfo"), 0);
        it.login(&it.token(&json!({"aud": "web"}))).await.unwrap();
        assert_eq!(
            it.refusal(&it.token(&json!({}))).await,
            Reason::WrongAudience
        );
    }
}

#[tokio::test]
async fn issue_15_13_subjects_that_are_numbers_or_missing() {
    let it = Setup::new(|settings| settings.skip_user_info = false).await;
    it.idp
        .answer("/op/userinfo", Reply::json(&json!({"sub": "42"})));
    let login = it.login(&it.token(&json!({"sub": 42}))).await.unwrap();
    assert_eq!(login.subject.as_deref(), Some("42"));
    assert_eq!(
        it.refusal(&it.token(&json!({"sub": 43}))).await,
        Reason::SubMismatch
    );
    it.idp
        .answer("/op/userinfo", Reply::json(&json!({"sub": 42})));
    let login = it.login(&it.token(&json!({"sub": "42"}))).await.unwrap();
    assert_eq!(login.claims.text("sub"), Some("42"));
    it.idp
        .answer("/op/userinfo", Reply::json(&json!({"name": "Mara"})));
    assert_eq!(
        it.refusal(&it.token(&json!({"sub": 42}))).await,
        Reason::TokenRejected
    );
    let nobody = it.login(&it.token(&json!({"sub": null}))).await.unwrap();
    assert_eq!(nobody.subject, None);
    let odd = it.login(&it.token(&json!({"sub": 4.5}))).await;
    assert!(matches!(
        odd,
        Err(AuthError::Denied {
            reason: Reason::ClaimType,
            ..
        })
    ));
}

#[tokio::test]
async fn issue_14_6_service_clients_need_no_userinfo() {
    let it = Setup::new(|settings| {
        settings.skip_user_info = false;
        settings.service_clients = vec!["sync".into()];
    })
    .await;
    // As Keycloak does to a token without the scope openid, and Pocket ID to a client's.
    it.idp.answer("/op/userinfo", Reply::status(403));
    for claims in [
        json!({"sub": "sync", "client_id": "sync"}),
        json!({"sub": "client-sync", "client_id": "sync", "aud": ["sync"]}),
        json!({"sub": "u", "azp": "sync", "client_id": "sync", "preferred_username": "service-account-sync"}),
    ] {
        let login = it.login(&it.token(&claims)).await.unwrap();
        assert_eq!(login.service_client_id(), Some("sync"), "{claims}");
        assert!(!login.was_asked_about);
    }
    assert_eq!(it.idp.calls("/op/userinfo"), 0);
    let other = it.token(&json!({"sub": "other", "client_id": "other"}));
    assert_eq!(it.refusal(&other).await, Reason::TokenRejected);
    // What userinfo says makes nobody a client.
    it.idp.answer(
        "/op/userinfo",
        Reply::json(&json!({"sub": "mara", "azp": "sync", "gty": "client-credentials"})),
    );
    let login = it.login(&it.token(&json!({"sub": "mara"}))).await.unwrap();
    assert_eq!(login.service_client_id(), None);
    assert_eq!(login.client_id, None);
}
