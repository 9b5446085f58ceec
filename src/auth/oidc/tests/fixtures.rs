//! Fixtures I1, I2, I4-I7, I9 and I11 of docs/design/identity-providers.md section 6 (there F1, F2 ...): what a login comes to. Through the whole
//! gateway they stand in tests/it/fixtures.

use super::*;

#[tokio::test]
async fn i1_keycloak_with_flat_roles_and_an_encryption_key_in_the_set() {
    let name = "https://kc.idp.test/realms/harbor";
    let idp = FakeIssuer::start().await;
    let (a, b) = (Signer::rsa(), Signer::other_rsa());
    idp.publish(
        name,
        &[
            a.jwk(
                "ka1",
                &json!({"use": "sig", "alg": "RS256", "x5c": ["MIIC"]}),
            ),
            b.jwk("kb1", &json!({"use": "enc", "alg": "RSA-OAEP"})),
        ],
        &json!({}),
    );
    idp.answer(
        "/op/userinfo",
        Reply::json(&json!({"sub": "u-1", "roles": ["opencloudSpaceAdmin"], "preferred_username": "mara", "exp": 1})),
    );
    let it = Setup::on(idp, name, a, |settings| settings.skip_user_info = false);
    let claims = it.claims(&json!({
        "jti": "onrtac:1", "aud": "account", "sub": "u-1", "typ": "Bearer", "azp": "web", "sid": "sid-1",
        "scope": "openid profile email", "roles": ["offline_access", "opencloudSpaceAdmin"]
    }));
    let header = |kid: &str| json!({"alg": "RS256", "typ": "JWT", "kid": kid});
    let token = it.key.sign(&header("ka1"), &claims);
    let login = it.login(&token).await.unwrap();
    assert_eq!(login.claims.text("preferred_username"), Some("mara"));
    assert_eq!(login.client_id.as_deref(), Some("web"));
    assert_eq!(login.sid.as_deref(), Some("sid-1"));
    assert_eq!(login.expires_at, Some(UnixTime(NOW + 290)));
    assert_eq!(login.recheck_at, None);
    let sent = &it.idp.seen("/op/userinfo")[0];
    assert_eq!(sent.authorization, Some(format!("Bearer {token}")));
    let enc = b.sign(&header("kb1"), &claims);
    assert_eq!(it.refusal(&enc).await, Reason::UnknownKey);
}

#[tokio::test]
async fn i2_keycloak_rotation_is_one_fetch_for_ten_requests() {
    let it = Setup::new(|_| {}).await;
    it.ready().await;
    let second = Signer::other_rsa();
    it.idp.answer(
        "/op/jwks",
        Reply::json(&json!({"keys": [second.jwk("ka2", &json!({}))]})),
    );
    let claims = it.claims(
        &json!({"iat": NOW, "nbf": 0, "aud": ["files-api", "account"],
        "realm_access": {"roles": ["opencloudUser"]}, "groups": ["/fleet", "/fleet/dock~/a"]}),
    );
    let token = second.sign(
        &json!({"alg": "RS256", "typ": "at+jwt", "kid": "ka2"}),
        &claims,
    );
    let before = it.idp.calls("/op/jwks");
    let logins = futures_util::future::join_all((0..10).map(|_| it.login(&token))).await;
    for login in logins {
        let claims = login.unwrap().claims;
        assert!(claims.at(&ClaimPath::parse("realm_access.roles")).is_some());
        assert_eq!(claims.0["groups"], json!(["/fleet", "/fleet/dock~/a"]));
    }
    assert_eq!(it.idp.calls("/op/jwks"), before + 1);
    let header = json!({"alg": "RS256", "kid": "ka3"});
    let older = second.sign(&header, &it.claims(&json!({})));
    assert_eq!(unavailable(it.login(&older).await), Reason::KeysPending);
    let fresh = second.sign(&header, &it.claims(&json!({"iat": NOW + 20})));
    assert_eq!(unavailable(it.login(&fresh).await), Reason::KeysPending);
    assert_eq!(it.idp.calls("/op/jwks"), before + 1);
    it.clock.advance(61);
    assert_eq!(it.refusal(&fresh).await, Reason::UnknownKey);
    assert_eq!(it.idp.calls("/op/jwks"), before + 2);
}

#[tokio::test]
async fn i4_pocket_id_with_ed25519_and_endpoints_on_another_origin() {
    let name = "https://pid.idp.test";
    let idp = FakeIssuer::start().await;
    let key = Signer::ed();
    let internal = idp.origin();
    idp.publish(
        name,
        &[],
        &json!({"jwks_uri": format!("{internal}/in/jwks"), "userinfo_endpoint": format!("{internal}/in/userinfo")}),
    );
    let keys = json!({"keys": [key.jwk("p1", &json!({"alg": "EdDSA"}))]}).to_string();
    idp.answer("/in/jwks", Reply::typed("application/jwk-set+json", keys));
    idp.answer(
        "/in/userinfo",
        Reply::json(&json!({"sub": "u", "groups": ["oc-admins"], "limits": {"gb": 5}})),
    );
    let it = Setup::on(idp, name, key, |settings| settings.skip_user_info = false);
    let claims =
        it.claims(&json!({"sub": "u", "client_id": "c-1", "aud": [name], "scp": ["openid"]}));
    for alg in ["EdDSA", "Ed25519"] {
        let token = it
            .key
            .sign(&json!({"alg": alg, "typ": "at+jwt", "kid": "p1"}), &claims);
        let login = it.login(&token).await.unwrap();
        assert_eq!(login.claims.0["groups"], json!(["oc-admins"]));
        assert_eq!(login.client_id.as_deref(), Some("c-1"));
    }
}

#[tokio::test]
async fn i5_nextcloud_with_opaque_tokens_and_a_redirected_discovery() {
    let name = "https://cloud.idp.test/nc";
    let token = "a1B2".repeat(18);
    for method in [VerifyMethod::None, VerifyMethod::Auto] {
        let idp = FakeIssuer::start().await;
        idp.publish(name, &[], &json!({}));
        let published = "/nc/.well-known/openid-configuration";
        let real = "/nc/index.php/.well-known/openid-configuration";
        idp.answer(real, idp.reply(published));
        idp.answer(published, Reply::status(301).header("location", real));
        idp.answer(
            "/op/userinfo",
            Reply::json(&json!({"sub": "Åsa Berg", "preferred_username": "Åsa Berg",
                "roles": ["admin", "Team Süd"], "email_verified": false, "sid": "forged", "exp": NOW + 9_999})),
        );
        let it = Setup::on(idp, name, Signer::rsa(), |settings| {
            settings.verify_method = method;
            settings.skip_user_info = false;
        });
        let login = it.login(&token).await.unwrap();
        assert_eq!(login.subject.as_deref(), Some("Åsa Berg"));
        assert_eq!((login.sid, login.expires_at), (None, None));
        let recheck = login.recheck_at.unwrap().0;
        assert!((NOW + 9..=NOW + 15).contains(&recheck));
        let refused = Reply {
            status: 400,
            ..Reply::json(&json!({"error": "invalid_grant"}))
        };
        it.idp.answer("/op/userinfo", refused);
        assert_eq!(it.refusal(&token).await, Reason::TokenRejected);
    }
    let it = Setup::new(|_| {}).await;
    let error = it.login(&token).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD")
    );
    assert_eq!(refusal(Err(error)), Reason::OpaqueToken);
}

#[tokio::test]
async fn i6_nextcloud_jwt_and_tokens_signed_with_shared_secrets() {
    let jwk = json!({"key_ops": ["verify"], "alg": "RS256"});
    let it = Setup::of("https://cloud.idp.test/nc", Signer::rsa(), jwk, |_| {}).await;
    let claims = it.claims(
        &json!({"aud": "https://rs.local/", "client_id": "CLNT64", "azp": "CLNT64", "acr": "0",
        "auth_time": NOW - 100, "jti": "4711"}),
    );
    let header = json!({"typ": "at+JWT", "alg": "RS256", "kid": "k1"});
    let login = it.login(&it.key.sign(&header, &claims)).await.unwrap();
    assert_eq!(login.auth_time, Some(UnixTime(NOW - 100)));
    let n = it.key.jwk("k1", &json!({}))["n"]
        .as_str()
        .unwrap()
        .to_owned();
    for secret in ["client-secret", n.as_str(), ""] {
        for header in [
            json!({"typ": "at+JWT", "alg": "HS256"}),
            json!({"alg": "HS256", "kid": "k1"}),
        ] {
            let token = hs256(secret, &header, &claims);
            assert_eq!(it.refusal(&token).await, Reason::TokenAlgorithm);
        }
    }
}

#[tokio::test]
async fn i7_lico_with_ps256_dotted_claims_and_refresh_tokens() {
    let jwk = json!({"kid": "private-key"});
    let it = Setup::of("https://oc.idp.test", Signer::rsa(), jwk, |_| {}).await;
    let claims = |kind: &str| {
        it.claims(
            &json!({"sub": "Zr8kT0pQw2LmNc4d@Xy", "aud": ["web"], "lg.t": kind,
        "scp": "openid profile", "lg.i": {"id": "uid=ines,ou=users", "un": "ines"}}),
        )
    };
    let header = json!({"alg": "PS256", "kid": "private-key", "typ": "JWT"});
    let login = it.login(&it.key.sign(&header, &claims("1"))).await.unwrap();
    assert_eq!(
        login.claims.text_at(&ClaimPath::parse(r"lg\.i.un")),
        Some("ines")
    );
    let refresh = it.key.sign(&header, &claims("2"));
    assert_eq!(it.refusal(&refresh).await, Reason::WrongTokenType);
    let b64 = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let swapped = json!({"alg": "RS256", "kid": "private-key"});
    let swapped = it
        .key
        .sign_parts(&b64(&swapped), &b64(&claims("1")), "PS256");
    assert_eq!(it.refusal(&swapped).await, Reason::BadSignature);
}

#[tokio::test]
async fn i9_authentik_with_a_slash_at_the_end_and_its_ways_to_go_wrong() {
    let name = "https://ak.idp.test/application/o/oc/";
    let it = Setup::of(name, Signer::ec(), json!({"alg": "ES256"}), |_| {}).await;
    let claims = it.claims(
        &json!({"aud": "Kd9", "azp": "Kd9", "sid": "f".repeat(64), "nonce": "n",
        "amr": ["pwd", "mfa"], "groups": ["authentik Admins", "oc"]}),
    );
    let header = json!({"alg": "ES256", "kid": "k1", "typ": "JWT"});
    let token = it.key.sign(&header, &claims);
    it.login(&token).await.unwrap();
    let jwe = URL_SAFE_NO_PAD.encode(r#"{"alg":"dir","enc":"A256GCM"}"#);
    let jwe = format!("{jwe}.a.b.c.d");
    assert_eq!(it.refusal(&jwe).await, Reason::OpaqueToken);
    let line = it.login(&jwe).await.unwrap_err().to_string();
    assert!(
        line.contains("encrypted") && line.contains("VERIFY_METHOD"),
        "{line}"
    );

    let idp = FakeIssuer::start().await;
    idp.publish(name, &[], &json!({}));
    let slashless = name.trim_end_matches('/');
    let other = Setup::on(idp, slashless, Signer::rsa(), |_| {});
    let error = other.login(&token).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("/o/oc\"") && text.contains("/o/oc/\""),
        "{text}"
    );
    assert_eq!(unavailable(Err(error)), Reason::IssuerMismatch);
    assert!(!other.auth.is_ready());

    let idp = FakeIssuer::start().await;
    idp.publish(name, &[], &json!({}));
    idp.answer("/op/jwks", Reply::json(&json!({})));
    let keyless = Setup::on(idp, name, Signer::rsa(), |_| {});
    let symmetric = hs256("secret", &json!({"alg": "HS256"}), &claims);
    let error = keyless.login(&symmetric).await.unwrap_err();
    assert!(error.to_string().contains("signing key"), "{error}");
    assert_eq!(refusal(Err(error)), Reason::TokenAlgorithm);
    let signed = keyless.token(&json!({}));
    assert_eq!(
        unavailable(keyless.login(&signed).await),
        Reason::KeyUnusable
    );
    assert!(!keyless.auth.is_ready());
}

#[tokio::test]
async fn i11_ad_fs_names_itself_otherwise_in_tokens() {
    let name = "https://fs.idp.test/adfs";
    let trust = "http://fs.idp.test/adfs/services/trust";
    let idp = FakeIssuer::start().await;
    let key = Signer::rsa();
    idp.publish(
        name,
        &[key.jwk("f1", &json!({"x5t": "f1"}))],
        &json!({"access_token_issuer": trust}),
    );
    let it = Setup::on(idp, name, key, |_| {});
    let header = json!({"typ": "JWT", "alg": "RS256", "x5t": "f1", "kid": "f1"});
    let changes =
        json!({"iss": trust, "upn": "mara@corp.test", "roles": "opencloudUser", "appid": "app-1"});
    let token = it.key.sign(&header, &it.claims(&changes));
    let login = it.login(&token).await.unwrap();
    assert_eq!(login.client_id.as_deref(), Some("app-1"));
    let own = it.key.sign(&header, &it.claims(&json!({})));
    assert_eq!(it.refusal(&own).await, Reason::WrongIssuer);
}

#[tokio::test]
async fn i11_entra_version_1_tokens_graph_tokens_and_the_common_document() {
    let it = Setup::new(|_| {}).await;
    let token = it.token(&json!({"iss": "https://sts.windows.net/TID/"}));
    let error = it.login(&token).await.unwrap_err();
    assert!(
        error.to_string().contains("requestedAccessTokenVersion"),
        "{error}"
    );
    let graph = json!({"alg": "RS256", "kid": "k1", "nonce": "x"});
    let graph = Signer::other_rsa().sign(&graph, &it.claims(&json!({})));
    let error = it.login(&graph).await.unwrap_err();
    assert!(error.to_string().contains("Microsoft Graph"), "{error}");

    let name = "https://login.idp.test/x/v2.0";
    let idp = FakeIssuer::start().await;
    let common = json!({"issuer": "https://login.idp.test/{tenantid}/v2.0"});
    idp.publish(name, &[], &common);
    let it = Setup::on(idp, name, Signer::rsa(), |_| {});
    assert_eq!(unavailable(it.login(&token).await), Reason::IssuerMismatch);
}
