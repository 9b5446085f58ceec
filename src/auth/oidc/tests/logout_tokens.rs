//! Logout tokens L1-L5 of docs/design/identity-providers.md and rows 92-95 of docs/design/hardening.md.

use super::*;

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// A token like Keycloak's, changed; `null` stays in as `null`, and `drop` names members to leave out.
fn logout(it: &Setup, changes: &Value, drop: &[&str]) -> String {
    let mut claims = json!({"iss": it.name, "aud": "web", "iat": NOW, "exp": NOW + 120, "jti": "j-1", "sub": "s-1",
        "sid": "sid-1", "typ": "Logout", "events": {EVENT: {}, "revoke_offline_access": true}});
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    for name in drop {
        claims.as_object_mut().unwrap().remove(*name);
    }
    let header = json!({"alg": "RS256", "kid": "k1", "typ": "logout+jwt"});
    it.key.sign(&header, &claims)
}

async fn verify(it: &Setup, token: &str) -> Result<Logout, AuthError> {
    it.auth.verify_logout(token).await
}

async fn reason(it: &Setup, token: &str) -> Reason {
    match verify(it, token).await {
        Err(AuthError::Token { reason, .. }) => reason,
        other => panic!("no 400: {other:?}"),
    }
}

#[tokio::test]
async fn l1_to_l4_good_logout_tokens() {
    let it = Setup::new(|_| {}).await;
    let token = logout(&it, &json!({}), &[]);
    let first = verify(&it, &token).await.unwrap();
    assert_eq!(
        first,
        Logout {
            issuer: 0,
            subject: Some("s-1".into()),
            sid: Some("sid-1".into()),
            issued_at: UnixTime(NOW),
            ends_offline_access: true,
        }
    );
    assert_eq!(verify(&it, &token).await.unwrap(), first, "again is fine");
    let old = logout(&it, &json!({"iat": NOW - 3_000}), &["exp", "typ"]);
    verify(&it, &old).await.unwrap();
    let by_sub = verify(&it, &logout(&it, &json!({}), &["sid"]))
        .await
        .unwrap();
    assert_eq!((by_sub.sid, by_sub.subject.is_some()), (None, true));
    let by_sid = verify(&it, &logout(&it, &json!({}), &["sub"]))
        .await
        .unwrap();
    assert_eq!(by_sid.subject, None);
    // Row 95: an empty sid with a subject means all sessions of that subject.
    let empty = verify(&it, &logout(&it, &json!({"sid": ""}), &[]))
        .await
        .unwrap();
    assert_eq!(empty.sid, None);
    let event = json!({"events": {EVENT: {}}});
    let usual = verify(&it, &logout(&it, &event, &[])).await.unwrap();
    assert!(!usual.ends_offline_access);
    // issue 15, number 13: a number is its text here too.
    let number = verify(&it, &logout(&it, &json!({"sub": 17}), &["sid"]))
        .await
        .unwrap();
    assert_eq!(number.subject.as_deref(), Some("17"));
    let star = verify(&it, &logout(&it, &json!({"sid": "*"}), &[]))
        .await
        .unwrap();
    assert_eq!(star.sid.as_deref(), Some("*"));
}

#[tokio::test]
async fn l5_and_row_92_bad_logout_tokens() {
    let it = Setup::new(|settings| settings.logout_audiences = vec!["web".into()]).await;
    for (changes, drop, expected) in [
        (json!({"nonce": "n"}), &[][..], Reason::WrongTokenType),
        (json!({"nonce": null}), &[], Reason::WrongTokenType),
        (json!({}), &["events"], Reason::WrongTokenType),
        (json!({"events": [EVENT]}), &[], Reason::WrongTokenType),
        (
            json!({"events": {"other": {}}}),
            &[],
            Reason::WrongTokenType,
        ),
        (
            json!({"events": {EVENT: true}}),
            &[],
            Reason::WrongTokenType,
        ),
        (json!({}), &["sub", "sid"], Reason::WrongTokenType),
        (json!({"sid": ""}), &["sub"], Reason::WrongTokenType),
        (json!({"sid": 7}), &[], Reason::WrongTokenType),
        (
            json!({"iss": "https://idp.test/"}),
            &[],
            Reason::WrongIssuer,
        ),
        (json!({"exp": NOW - 60}), &[], Reason::TokenExpired),
        (json!({"iat": NOW - 3_700}), &[], Reason::TokenExpired),
        (json!({}), &["iat"], Reason::TokenTimes),
        (json!({"iat": "now"}), &[], Reason::TokenTimes),
        (json!({"aud": "other"}), &[], Reason::WrongAudience),
    ] {
        let token = logout(&it, &changes, drop);
        assert_eq!(reason(&it, &token).await, expected, "{changes} {drop:?}");
    }
    let none = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), "e30");
    reason(&it, &none).await;
    let claims =
        json!({"iss": it.name, "iat": NOW, "sub": "s", "aud": "web", "events": {EVENT: {}}});
    let symmetric = hs256("secret", &json!({"alg": "HS256"}), &claims);
    assert_eq!(reason(&it, &symmetric).await, Reason::TokenAlgorithm);
    let header = json!({"alg": "RS256", "kid": "k1"});
    let forged = Signer::other_rsa().sign(&header, &claims);
    assert_eq!(reason(&it, &forged).await, Reason::BadSignature);
    let huge = logout(&it, &json!({"sid": "s".repeat(1024 * 1024)}), &[]);
    assert_eq!(reason(&it, &huge).await, Reason::TokenTooLarge);
}

#[tokio::test]
async fn row_93_an_id_or_access_token_ends_nothing() {
    let it = Setup::new(|_| {}).await;
    let access = it.token(&json!({"sid": "sid-1"}));
    assert_eq!(reason(&it, &access).await, Reason::WrongTokenType);
    let id = it.token(&json!({"sid": "sid-1", "nonce": "n", "at_hash": "x"}));
    assert_eq!(reason(&it, &id).await, Reason::WrongTokenType);
    let at = json!({"alg": "RS256", "kid": "k1", "typ": "at+jwt"});
    let at = it
        .key
        .sign(&at, &it.claims(&json!({"events": {EVENT: {}}})));
    assert_eq!(reason(&it, &at).await, Reason::WrongTokenType);
}

#[tokio::test]
async fn an_outage_during_logout_is_no_refusal() {
    let it = Setup::new(|_| {}).await;
    it.idp.stop();
    let token = logout(&it, &json!({}), &[]);
    assert!(matches!(
        verify(&it, &token).await,
        Err(AuthError::Unavailable { .. })
    ));
}
