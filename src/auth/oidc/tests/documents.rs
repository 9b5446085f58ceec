//! Documents of issuers that are read forgivingly, and the limits of that.

use super::*;

#[tokio::test]
async fn issue_15_14_documents_with_marks_nulls_and_compression_are_read() {
    use std::io::Write as _;
    let gzip = |text: &str| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packed.write_all(text.as_bytes()).unwrap();
        packed.finish().unwrap()
    };
    let documents = [
        "/.well-known/openid-configuration",
        "/op/jwks",
        "/op/userinfo",
        "/op/introspect",
    ];
    for method in [
        VerifyMethod::Jwt,
        VerifyMethod::None,
        VerifyMethod::Introspection,
    ] {
        for odd in ["mark", "gzip", "mark and gzip"] {
            let idp = FakeIssuer::start().await;
            let key = Signer::rsa();
            let nulls = json!({"introspection_endpoint": "https://idp.test/op/introspect",
                "end_session_endpoint": null, "access_token_issuer": null, "scopes_supported": null});
            idp.publish(
                "https://idp.test",
                &[key.jwk("k1", &json!({"use": null}))],
                &nulls,
            );
            idp.answer(
                "/op/userinfo",
                Reply::json(&json!({"sub": "s-1", "exp": null, "name": ""})),
            );
            let active = json!({"active": true, "sub": "s-1", "exp": null, "nbf": null, "iss": null, "cnf": null});
            idp.answer("/op/introspect", Reply::json(&active));
            for path in documents {
                let mut reply = idp.reply(path);
                let text = std::str::from_utf8(&reply.body).unwrap().to_owned();
                let text = if odd.starts_with("mark") {
                    format!("\u{feff}{text}")
                } else {
                    text
                };
                if odd.ends_with("gzip") {
                    reply.body = gzip(&text).into();
                    reply = reply.header("content-encoding", "gzip");
                } else {
                    reply.body = text.into();
                }
                idp.answer(path, reply);
            }
            let it = Setup::on(idp, "https://idp.test", key, |settings| {
                settings.verify_method = method;
                settings.skip_user_info = false;
                settings.client = Some(ClientCredentials {
                    id: "gate".into(),
                    secret: Secret::new("s"),
                });
            });
            let login = it.login(&it.token(&json!({}))).await;
            let login = login.unwrap_or_else(|error| panic!("{method:?}, {odd}: {error}"));
            assert_eq!(login.subject.as_deref(), Some("s-1"));
            assert!(
                it.login(&it.token(&json!({})))
                    .await
                    .unwrap()
                    .was_asked_about
            );
        }
    }
}

#[tokio::test]
async fn issue_15_14_compressed_answers_are_bounded_and_broken_ones_are_the_issuers_trouble() {
    use std::io::Write as _;
    let it = Setup::new(|settings| settings.skip_user_info = false).await;
    let token = it.token(&json!({}));
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&vec![b' '; 50 * 1024 * 1024]).unwrap();
    let bomb = bomb.finish().unwrap();
    let cut = bomb[..bomb.len() / 2].to_vec();
    for (coding, body) in [
        ("gzip", bomb),
        ("gzip", cut),
        ("gzip", b"{\"sub\":\"s-1\"}".to_vec()),
        ("br", b"{\"sub\":\"s-1\"}".to_vec()),
        ("gzip, gzip", b"{}".to_vec()),
    ] {
        let reply = Reply::typed("application/json", body).header("content-encoding", coding);
        it.idp.answer("/op/userinfo", reply);
        assert_eq!(
            unavailable(it.login(&token).await),
            Reason::IssuerUnavailable
        );
        // After several cuts in a row a remote is left alone for a moment.
        sleep(Duration::from_millis(1_100)).await;
    }
    let plain = Reply::json(&json!({"sub": "s-1"})).header("content-encoding", "identity");
    it.idp.answer("/op/userinfo", plain);
    it.login(&token).await.unwrap();
}

#[tokio::test]
async fn issue_15_14_an_endpoint_is_judged_when_somebody_needs_it() {
    let odd = [
        json!(""),
        json!("nowhere"),
        json!(7),
        json!("ftp://x"),
        json!("https://169.254.1.1/x"),
        json!(null),
    ];
    for value in odd {
        for (endpoint, method, skips) in [
            ("introspection_endpoint", VerifyMethod::Jwt, true),
            ("userinfo_endpoint", VerifyMethod::Jwt, true),
            ("introspection_endpoint", VerifyMethod::None, false),
            ("jwks_uri", VerifyMethod::None, false),
        ] {
            let idp = FakeIssuer::start().await;
            let key = Signer::rsa();
            idp.publish(
                "https://idp.test",
                &[key.jwk("k1", &json!({}))],
                &json!({endpoint: value}),
            );
            idp.answer("/op/userinfo", Reply::json(&json!({"sub": "s-1"})));
            let it = Setup::on(idp, "https://idp.test", key, |settings| {
                settings.verify_method = method;
                settings.skip_user_info = skips;
            });
            let login = it.login(&it.token(&json!({}))).await;
            assert!(login.is_ok(), "{endpoint} {value} {method:?}: {login:?}");
        }
        for (endpoint, method) in [
            ("introspection_endpoint", VerifyMethod::Introspection),
            ("userinfo_endpoint", VerifyMethod::None),
            ("jwks_uri", VerifyMethod::Jwt),
        ] {
            let idp = FakeIssuer::start().await;
            let key = Signer::rsa();
            idp.publish(
                "https://idp.test",
                &[key.jwk("k1", &json!({}))],
                &json!({endpoint: value}),
            );
            let it = Setup::on(idp, "https://idp.test", key, |settings| {
                settings.verify_method = method;
                settings.client = Some(ClientCredentials {
                    id: "gate".into(),
                    secret: Secret::new("s"),
                });
            });
            let outcome = it.login(&it.token(&json!({}))).await;
            let error = outcome.unwrap_err().to_string();
            assert!(error.contains(endpoint), "{endpoint} {value}: {error}");
        }
    }
}
