//! Bad answers of an issuer: rows 84-91 of docs/design/hardening.md.

use super::*;
use crate::auth::discovery::Discovery;
use crate::model::ClaimRequirement;

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[tokio::test]
async fn row_84_discovery_documents_that_lead_elsewhere() {
    let name = "https://idp.test";
    for (member, value) in [
        ("issuer", json!("https://idp.test/")),
        ("issuer", json!("https://IDP.test")),
        ("issuer", json!(null)),
        ("jwks_uri", json!("http://keys.test/jwks")),
        ("jwks_uri", json!("file:///etc/passwd")),
        ("jwks_uri", json!("https://169.254.169.254/jwks")),
        ("jwks_uri", json!(7)),
        ("jwks_uri", json!(null)),
    ] {
        let mut settings = settings(name, "https://127.0.0.1");
        settings.backchannel_url = None;
        let mut document = json!({"issuer": name, "jwks_uri": "https://idp.test/jwks"});
        document[member] = value.clone();
        let parsed = Discovery::parse(&settings, document.to_string().into());
        assert!(
            matches!(parsed, Err(AuthError::Unavailable { .. })),
            "{member} {value}"
        );
    }
}

#[tokio::test]
async fn row_85_what_clients_get_of_the_document() {
    let it = Setup::new(|_| {}).await;
    let path = "/.well-known/openid-configuration";
    let published = it.idp.reply(path);
    it.idp
        .answer(path, published.clone().header("set-cookie", "a=b"));
    let answer = it.auth.well_known().await.unwrap();
    assert_eq!(answer.body, published.body);
    assert!(answer.etag.starts_with('"') && answer.etag.len() == 34);
    assert_eq!(it.auth.browser_origins(), ["https://idp.test"]);
    it.idp.stop();
    assert_eq!(
        it.auth.well_known().await.unwrap(),
        answer,
        "the last good one"
    );

    for (status, body) in [
        (200, "<html>".to_owned()),
        (204, String::new()),
        (304, String::new()),
        (200, " ".repeat(1024 * 1024 + 1)),
    ] {
        let idp = FakeIssuer::start().await;
        idp.answer(
            path,
            Reply {
                status,
                ..Reply::typed("text/html", body)
            },
        );
        let it = Setup::on(idp, "https://idp.test", Signer::rsa(), |_| {});
        assert!(matches!(
            it.auth.well_known().await,
            Err(AuthError::Unavailable { .. })
        ));
    }
}

#[tokio::test]
async fn row_87_userinfo_of_somebody_else() {
    let it = Setup::new(|settings| settings.skip_user_info = false).await;
    it.idp
        .answer("/op/userinfo", Reply::json(&json!({"sub": "s-2"})));
    assert_eq!(it.refusal(&it.token(&json!({}))).await, Reason::SubMismatch);
    let lenient = Setup::new(|settings| {
        settings.skip_user_info = false;
        settings.userinfo_sub_check = false;
    })
    .await;
    lenient
        .idp
        .answer("/op/userinfo", Reply::json(&json!({"sub": "s-2"})));
    let login = lenient.login(&lenient.token(&json!({}))).await.unwrap();
    assert_eq!(login.subject.as_deref(), Some("s-1"));
}

#[tokio::test]
async fn row_89_userinfo_as_a_jwt() {
    let it = Setup::new(|settings| settings.skip_user_info = false).await;
    let token = it.token(&json!({}));
    let header = json!({"alg": "RS256", "kid": "k1"});
    let claims = json!({"sub": "s-1", "iss": "https://idp.test", "name": "Mara"});
    let answer = |text: String| {
        it.idp.answer(
            "/op/userinfo",
            Reply::typed("application/jwt; charset=utf-8", text),
        )
    };
    answer(it.key.sign(&header, &claims));
    assert_eq!(
        it.login(&token).await.unwrap().claims.text("name"),
        Some("Mara")
    );
    let none = format!("{}.{}.", b64(r#"{"alg":"none"}"#), b64(claims.to_string()));
    let foreign = it
        .key
        .sign(&header, &json!({"sub": "s-1", "iss": "https://other.test"}));
    let encrypted = format!("{}.a.b.c.d", b64("{}"));
    for bad in [
        none,
        Signer::other_rsa().sign(&header, &claims),
        foreign,
        encrypted,
    ] {
        answer(bad);
        // issue 15, number 14: nothing is known about the token.
        it.clock.advance(60);
        unavailable(it.login(&token).await);
    }
    answer(format!("\u{feff}{}\n", it.key.sign(&header, &claims)));
    it.login(&token).await.unwrap();
}

#[tokio::test]
async fn row_90_what_userinfo_statuses_mean() {
    let it = Setup::new(|settings| settings.skip_user_info = false).await;
    let token = it.token(&json!({}));
    for status in [400, 401, 403, 404] {
        it.idp.answer("/op/userinfo", Reply::status(status));
        assert_eq!(it.refusal(&token).await, Reason::TokenRejected);
    }
    for body in [
        "",
        "[]",
        "null",
        r#"{"sub":"s-1""#,
        r#"{"sub":"s-1","sub":"s-1"}"#,
        "<html>",
    ] {
        it.idp
            .answer("/op/userinfo", Reply::typed("application/json", body));
        assert_eq!(
            unavailable(it.login(&token).await),
            Reason::IssuerUnavailable,
            "{body}"
        );
    }
    for (body, reason) in [
        ("{}", Reason::TokenRejected),
        (r#"{"sub":null}"#, Reason::TokenRejected),
        (r#"{"sub":7}"#, Reason::SubMismatch),
    ] {
        it.idp
            .answer("/op/userinfo", Reply::typed("application/json", body));
        assert_eq!(it.refusal(&token).await, reason, "{body}");
    }
    it.idp.answer(
        "/op/userinfo",
        Reply::typed("application/json", " ".repeat(2 * 1024 * 1024)),
    );
    assert_eq!(
        unavailable(it.login(&token).await),
        Reason::IssuerUnavailable
    );
    for status in [410, 431, 500, 502] {
        it.idp.answer("/op/userinfo", Reply::status(status));
        assert_eq!(
            unavailable(it.login(&token).await),
            Reason::IssuerUnavailable
        );
    }
    it.idp.answer(
        "/op/userinfo",
        Reply::json(&json!({"sub": "s-1", "email_verified": "true"})),
    );
    assert!(it.login(&token).await.is_ok());
    it.idp.answer(
        "/op/userinfo",
        Reply::status(429).header("retry-after", "17"),
    );
    let before = it.idp.calls("/op/userinfo");
    for _ in 0..3 {
        match it.login(&token).await {
            Err(AuthError::Unavailable { retry_after, .. }) => {
                assert!(
                    (15..=17).contains(&retry_after.as_secs()),
                    "{retry_after:?}"
                );
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(it.idp.calls("/op/userinfo"), before + 1, "patience is kept");
}

#[tokio::test]
async fn row_91_only_true_is_active() {
    let it = Setup::new(|settings| {
        settings.verify_method = VerifyMethod::Introspection;
        settings.client = Some(ClientCredentials {
            id: "gate way".into(),
            secret: Secret::new("s:1"),
        });
    })
    .await;
    let answer = |value: Value| it.idp.answer("/op/introspect", Reply::json(&value));
    answer(
        json!({"active": true, "sub": "s-1", "exp": NOW + 60, "client_id": "c", "ext": {"groups": ["a"], "sub": "x"}}),
    );
    let login = it.login("opaque+token").await.unwrap();
    assert_eq!(
        (login.subject.as_deref(), login.client_id.as_deref()),
        (Some("s-1"), Some("c"))
    );
    assert_eq!(login.claims.0["groups"], json!(["a"]));
    assert_eq!(login.expires_at, Some(UnixTime(NOW + 60)));
    assert!(login.recheck_at.unwrap() < UnixTime(NOW + 20));
    let seen = &it.idp.seen("/op/introspect")[0];
    assert_eq!(
        seen.body,
        "token=opaque%2Btoken&token_type_hint=access_token"
    );
    let basic = base64::engine::general_purpose::STANDARD.encode("gate+way:s%3A1");
    assert_eq!(seen.authorization, Some(format!("Basic {basic}")));

    for active in [json!("true"), json!(1), json!(null)] {
        answer(json!({"active": active, "sub": "s-1"}));
        assert_eq!(unavailable(it.login("t").await), Reason::IssuerUnavailable);
    }
    answer(json!({"active": false}));
    assert_eq!(it.refusal("t").await, Reason::TokenRejected);
    answer(json!({"active": true, "exp": NOW - 60}));
    assert_eq!(it.refusal("t").await, Reason::TokenExpired);
    answer(json!({"active": true, "iss": "https://other.test"}));
    assert_eq!(it.refusal("t").await, Reason::WrongIssuer);
    it.idp
        .answer("/op/introspect", Reply::typed("text/html", "<html>"));
    assert_eq!(unavailable(it.login("t").await), Reason::IssuerUnavailable);
    let signed =
        json!({"iss": "https://idp.test", "token_introspection": {"active": true, "sub": "j"}});
    let signed = it.key.sign(
        &json!({"alg": "RS256", "kid": "k1", "typ": "token-introspection+jwt"}),
        &signed,
    );
    it.idp.answer(
        "/op/introspect",
        Reply::typed("application/token-introspection+jwt", signed),
    );
    assert_eq!(it.login("t").await.unwrap().subject.as_deref(), Some("j"));
    for reply in [
        Reply::status(401),
        Reply {
            status: 400,
            ..Reply::json(&json!({"error": "invalid_client"}))
        },
    ] {
        it.idp.answer("/op/introspect", reply);
        assert!(matches!(
            it.login("t").await,
            Err(AuthError::Misconfigured {
                reason: Reason::IssuerCredentials,
                ..
            })
        ));
    }
}

#[tokio::test]
async fn claims_decide_who_is_let_in() {
    let need = |claim: &str, value: &str| ClaimRequirement {
        claim: ClaimPath::parse(claim),
        value: value.into(),
    };
    let it = Setup::new(|settings| {
        settings.allow_claims = vec![need("groups", "staff"), need("groups", "guests")];
        settings.required_claims = vec![need("acr", "advanced")];
    })
    .await;
    let outcome = it
        .login(&it.token(&json!({"groups": ["x"], "acr": "advanced"})))
        .await;
    assert!(matches!(
        outcome,
        Err(AuthError::Denied {
            reason: Reason::NotAdmitted,
            ..
        })
    ));
    let outcome = it.login(&it.token(&json!({"groups": ["guests"]}))).await;
    assert!(
        matches!(outcome, Err(AuthError::StepUp { acr_values, .. }) if acr_values == ["advanced"])
    );
    assert!(
        it.login(&it.token(&json!({"groups": ["guests"], "acr": "advanced"})))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn our_secret_goes_into_the_form_only_where_the_issuer_takes_it_no_other_way() {
    for (methods, by_post) in [
        (json!(["client_secret_basic", "client_secret_post"]), false),
        (json!(["private_key_jwt"]), false),
        (json!("client_secret_post"), false),
        (json!(["client_secret_post", "none"]), true),
    ] {
        let it = Setup::new(|settings| {
            settings.verify_method = VerifyMethod::Introspection;
            settings.client = Some(ClientCredentials {
                id: "gate".into(),
                secret: Secret::new("hush & more"),
            });
        })
        .await;
        let key = it.key.jwk("k1", &json!({}));
        let listed = json!({"token_endpoint_auth_methods_supported": methods});
        it.idp.publish(&it.name, &[key], &listed);
        let active = json!({"active": true, "sub": "s"});
        it.idp.answer("/op/introspect", Reply::json(&active));
        it.login("opaque").await.unwrap();
        let seen = &it.idp.seen("/op/introspect")[0];
        assert_eq!(seen.authorization.is_none(), by_post, "{methods}");
        let form = "client_id=gate&client_secret=hush+%26+more";
        assert_eq!(seen.body.ends_with(form), by_post, "{methods}");
    }
}

#[tokio::test]
async fn keys_are_asked_for_again_by_their_tag_and_no_later_than_their_life() {
    let it = Setup::new(|settings| {
        settings.jwks.refresh_interval = Duration::from_secs(3_600);
    })
    .await;
    let published = it.idp.reply("/op/jwks").header("etag", "\"v1\"");
    let lives = |seconds: &str| published.clone().header("cache-control", seconds);
    it.idp
        .answer("/op/jwks", lives("public, max-age=600, must-revalidate"));
    it.ready().await;
    let keys = &it.auth.issuers[0].keys;
    let interval = || keys.refresh_interval().as_secs();
    keys.refresh().await.unwrap();
    assert_eq!(interval(), 600);
    let changes = keys.changes();

    it.idp.answer("/op/jwks", Reply::status(304));
    keys.refresh().await.unwrap();
    let asked = it.idp.seen("/op/jwks").last().unwrap().clone();
    assert_eq!(asked.if_none_match.as_deref(), Some("\"v1\""));
    assert_eq!(keys.changes(), changes);
    it.login(&it.token(&json!({}))).await.unwrap();

    for (life, expected) in [
        ("max-age=604800", 3_600),
        ("max-age=0", 60),
        ("no-store", 3_600),
    ] {
        it.idp.answer("/op/jwks", lives(life));
        keys.refresh().await.unwrap();
        assert_eq!(interval(), expected, "{life}");
    }
}

#[tokio::test]
async fn a_304_nobody_asked_for_is_no_key_set() {
    let it = Setup::new(|_| {}).await;
    it.ready().await;
    it.idp.answer("/op/jwks", Reply::status(304));
    assert!(it.auth.issuers[0].keys.refresh().await.is_err());
    it.login(&it.token(&json!({}))).await.unwrap();
}
