//! Bad tokens: rows 66-82 of docs/design/hardening.md.

use super::*;
use crate::auth::jwt::Times;

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token with these very header and payload bytes, signed well.
fn raw(it: &Setup, header: &str, payload: &str) -> String {
    it.key.sign_parts(&b64(header), &b64(payload), "RS256")
}

#[tokio::test]
async fn row_66_algorithms_that_are_none() {
    let it = Setup::new(|_| {}).await;
    let payload = it.claims(&json!({})).to_string();
    for alg in [
        r#""none""#,
        r#""None""#,
        r#""NONE""#,
        r#""nOnE""#,
        r#""""#,
        "256",
        r#"["RS256"]"#,
        "null",
        r#""rs256""#,
        r#""ES256K""#,
        r#""HS384""#,
    ] {
        let header = format!(r#"{{"alg":{alg},"kid":"k1"}}"#);
        assert_eq!(
            it.refusal(&raw(&it, &header, &payload)).await,
            Reason::TokenAlgorithm,
            "{alg}"
        );
    }
    let missing = raw(&it, r#"{"kid":"k1"}"#, &payload);
    assert_eq!(it.refusal(&missing).await, Reason::TokenAlgorithm);
    let unsigned = format!(
        "{}.{}.",
        b64(r#"{"alg":"RS256","kid":"k1"}"#),
        b64(&payload)
    );
    assert_eq!(it.refusal(&unsigned).await, Reason::TokenMalformed);
}

#[tokio::test]
async fn row_69_keys_that_a_token_brings_along_are_not_looked_at() {
    let it = Setup::new(|_| {}).await;
    it.ready().await;
    let attacker = Signer::other_rsa();
    let url = format!("{}/evil", it.idp.origin());
    let header = json!({"alg": "RS256", "kid": "k1", "jwk": attacker.jwk("k1", &json!({})), "jku": url, "x5u": url, "x5c": ["MIIC"]});
    let token = attacker.sign(&header, &it.claims(&json!({})));
    assert_eq!(it.refusal(&token).await, Reason::BadSignature);
    assert_eq!(it.idp.calls("/evil"), 0);
    assert!(
        it.login(&it.key.sign(&header, &it.claims(&json!({}))))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn row_70_key_ids_of_all_kinds() {
    let it = Setup::new(|_| {}).await;
    it.ready().await;
    let one = it
        .key
        .sign(&json!({"alg": "RS256"}), &it.claims(&json!({})));
    assert!(it.login(&one).await.is_ok(), "one key needs no kid");
    for kid in [
        json!("../../dev/null"),
        json!("' OR 1=1"),
        json!("a\0b"),
        json!(""),
    ] {
        let token = it
            .key
            .sign(&json!({"alg": "RS256", "kid": kid}), &it.claims(&json!({})));
        assert_eq!(it.refusal(&token).await, Reason::UnknownKey);
        // Until then no other id is asked about.
        it.clock.advance(60);
    }
    for kid in [json!(1), json!(null), json!(["k1"])] {
        let token = it
            .key
            .sign(&json!({"alg": "RS256", "kid": kid}), &it.claims(&json!({})));
        assert_eq!(it.refusal(&token).await, Reason::TokenMalformed);
    }
    let long = json!({"alg": "RS256", "kid": "k".repeat(1024 * 1024)});
    let long = it.key.sign(&long, &it.claims(&json!({})));
    assert_eq!(it.refusal(&long).await, Reason::TokenTooLarge);

    let idp = FakeIssuer::start().await;
    let keys = [
        Signer::rsa().jwk("k1", &json!({})),
        Signer::ec().jwk("k2", &json!({})),
    ];
    idp.publish("https://idp.test", &keys, &json!({}));
    let two = Setup::on(idp, "https://idp.test", Signer::rsa(), |_| {});
    assert_eq!(two.refusal(&one).await, Reason::UnknownKey);
}

#[tokio::test]
async fn row_71_ten_thousand_unknown_key_ids_are_one_fetch() {
    let it = Setup::new(|_| {}).await;
    it.ready().await;
    let before = it.idp.calls("/op/jwks");
    let good = it.token(&json!({}));
    let payload = b64(it.claims(&json!({})).to_string());
    for n in 0..10_000 {
        let header = b64(format!(r#"{{"alg":"RS256","kid":"x{n}"}}"#));
        let outcome = it.login(&format!("{header}.{payload}.AAAA")).await;
        assert!(outcome.is_err());
    }
    assert_eq!(it.idp.calls("/op/jwks"), before + 1);
    assert!(it.login(&good).await.is_ok(), "known ids are unaffected");
}

#[tokio::test]
async fn row_72_signatures_that_do_not_fit() {
    let it = Setup::of("https://idp.test", Signer::ec(), json!({}), |_| {}).await;
    let header = json!({"alg": "ES256", "kid": "k1"});
    let good = it.key.sign(&header, &it.claims(&json!({})));
    assert!(it.login(&good).await.is_ok());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let r_and_s = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let der = [
        &[0x30, 68, 2, 32][..],
        &r_and_s[..32],
        &[2, 32],
        &r_and_s[32..],
    ]
    .concat();
    let malleable = [&r_and_s[..32], &[0xff; 32]].concat();
    for bad in [
        vec![0; 64],
        vec![0xff; 64],
        der,
        malleable,
        r_and_s[..63].to_vec(),
        vec![1],
    ] {
        let token = format!("{signed}.{}", b64(bad));
        assert_eq!(it.refusal(&token).await, Reason::BadSignature);
    }
    for alg in ["ES384", "ES512", "RS256", "EdDSA"] {
        let header = json!({"alg": alg, "kid": "k1"});
        let token = it.key.sign(&header, &it.claims(&json!({})));
        assert_eq!(it.refusal(&token).await, Reason::TokenAlgorithm, "{alg}");
    }
    let pinned = Setup::of(
        "https://idp.test",
        Signer::rsa(),
        json!({"alg": "PS512"}),
        |_| {},
    )
    .await;
    assert_eq!(
        pinned.refusal(&pinned.token(&json!({}))).await,
        Reason::TokenAlgorithm
    );
}

#[tokio::test]
async fn row_73_critical_extensions_and_compression() {
    let it = Setup::new(|_| {}).await;
    let payload = it.claims(&json!({})).to_string();
    for member in [
        r#""crit":["exp"]"#,
        r#""crit":["x"]"#,
        r#""crit":[]"#,
        r#""b64":false"#,
        r#""zip":"DEF""#,
    ] {
        let header = format!(r#"{{"alg":"RS256","kid":"k1",{member}}}"#);
        assert_eq!(
            it.refusal(&raw(&it, &header, &payload)).await,
            Reason::TokenHeader,
            "{member}"
        );
    }
}

#[tokio::test]
async fn row_74_times_of_the_wrong_type() {
    let it = Setup::new(|_| {}).await;
    let cases = [
        "\"1900000290\"",
        "null",
        "-1",
        "9223372036854775808",
        "[1]",
        "{}",
        "true",
        "1e300",
    ];
    for name in ["exp", "nbf", "iat"] {
        for value in cases {
            let payload = format!(r#"{{"iss":"https://idp.test","sub":"s","{name}":{value}}}"#);
            let token = raw(&it, r#"{"alg":"RS256","kid":"k1"}"#, &payload);
            assert_eq!(
                it.refusal(&token).await,
                Reason::TokenTimes,
                "{name} {value}"
            );
        }
    }
    for (payload, expected) in [
        (
            r#"{"iss":"https://idp.test","exp":1e400}"#,
            Reason::TokenMalformed,
        ),
        (
            r#"{"iss":"https://idp.test","exp":1900000290,"exp":1900000291}"#,
            Reason::TokenMalformed,
        ),
        (
            r#"{"iss":"https://idp.test","sub":"s"}"#,
            Reason::TokenTimes,
        ),
    ] {
        let token = raw(&it, r#"{"alg":"RS256","kid":"k1"}"#, payload);
        assert_eq!(it.refusal(&token).await, expected, "{payload}");
    }
    let twice = raw(&it, r#"{"alg":"RS256","kid":"k1","kid":"k1"}"#, "{}");
    assert_eq!(it.refusal(&twice).await, Reason::TokenMalformed);
    let float = raw(
        &it,
        r#"{"alg":"RS256","kid":"k1"}"#,
        r#"{"iss":"https://idp.test","exp":1.90000029e9,"nbf":0}"#,
    );
    assert_eq!(
        it.login(&float).await.unwrap().expires_at,
        Some(UnixTime(NOW + 290))
    );
    let lenient = Setup::new(|settings| settings.require_exp = false).await;
    let login = lenient.login(&lenient.token(&json!({"exp": 0}))).await;
    assert_eq!(refusal(login), Reason::TokenExpired);
    let header = json!({"alg": "RS256", "kid": "k1"});
    let timeless = lenient
        .key
        .sign(&header, &json!({"iss": "https://idp.test", "sub": "s"}));
    let login = lenient.login(&timeless).await.unwrap();
    assert!(login.expires_at.is_none() && login.recheck_at.is_some());
}

#[test]
fn row_75_the_leeway_holds_to_the_second() {
    let leeway = Duration::from_secs(5);
    let times = |exp: i64, nbf: i64| Times {
        expires_at: Some(UnixTime(exp)),
        not_before: Some(UnixTime(nbf)),
        issued_at: Some(UnixTime(NOW + 9_999)),
    };
    let check = |exp: i64, nbf: i64| times(exp, nbf).check(leeway, UnixTime(NOW)).is_ok();
    assert!(
        check(NOW + 1, NOW) && check(NOW - 4, NOW) && !check(NOW - 5, NOW) && !check(NOW - 6, NOW)
    );
    assert!(check(NOW + 9, NOW + 5) && !check(NOW + 9, NOW + 6));
    let none = Duration::ZERO;
    assert!(times(NOW, NOW).check(none, UnixTime(NOW)).is_err());
    assert!(times(NOW + 1, NOW).check(none, UnixTime(NOW)).is_ok());
}

#[tokio::test]
async fn row_76_the_issuer_is_compared_byte_for_byte() {
    let it = Setup::new(|_| {}).await;
    for iss in [
        json!("https://idp.test/"),
        json!("https://IDP.test"),
        json!(["https://idp.test"]),
        json!("https://idp.test.evil.test"),
        json!(null),
        json!(""),
    ] {
        assert_eq!(
            it.refusal(&it.token(&json!({"iss": iss}))).await,
            Reason::WrongIssuer,
            "{iss}"
        );
    }
    let error = it
        .login(&it.token(&json!({"iss": "https://idp.test/"})))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("slash"), "{error}");
}

#[tokio::test]
async fn row_77_audiences_are_exact_members() {
    let free = Setup::new(|_| {}).await;
    assert!(free.login(&free.token(&json!({"aud": []}))).await.is_ok());
    let listed =
        Setup::new(|settings| settings.audiences = vec!["files".into(), "web".into()]).await;
    let either = Setup::new(|settings| settings.verify_aud = vec!["web".into()]).await;
    for (changes, by_aud, by_either) in [
        (json!({"aud": "web"}), true, true),
        (json!({"aud": ["account", "web"]}), true, true),
        (json!({"aud": "account", "azp": "web"}), false, true),
        (json!({"aud": "webx"}), false, false),
        (json!({"aud": ["a web"]}), false, false),
        (json!({"aud": {"web": 1}}), false, false),
        (json!({}), false, false),
    ] {
        for (it, expected) in [(&listed, by_aud), (&either, by_either)] {
            let outcome = it.login(&it.token(&changes)).await;
            assert_eq!(outcome.is_ok(), expected, "{changes}");
            if !expected {
                assert_eq!(refusal(outcome), Reason::WrongAudience);
            }
        }
    }
}

#[tokio::test]
async fn row_78_and_79_sizes_dots_and_depth() {
    let it = Setup::new(|_| {}).await;
    let header = r#"{"alg":"RS256","kid":"k1"}"#;
    assert_eq!(it.refusal(&".".repeat(100_000)).await, Reason::OpaqueToken);
    assert_eq!(it.refusal("a.b.c.d.e").await, Reason::OpaqueToken);
    let big = raw(
        &it,
        header,
        &format!(r#"{{"a":"{}"}}"#, "x".repeat(1024 * 1024)),
    );
    assert_eq!(it.refusal(&big).await, Reason::TokenTooLarge);
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
    assert_eq!(
        it.refusal(&raw(&it, header, &deep)).await,
        Reason::TokenMalformed
    );
    for payload in [
        &b"{\"a\":\"\xff\"}"[..],
        br#"{"a":"\ud800"}"#,
        b"\xef\xbb\xbf{}",
        b"[]",
        b"",
        b"{}x",
    ] {
        let token = it.key.sign_parts(&b64(header), &b64(payload), "RS256");
        assert_eq!(it.refusal(&token).await, Reason::TokenMalformed);
    }
}

#[tokio::test]
async fn row_80_a_token_has_one_spelling() {
    let it = Setup::new(|_| {}).await;
    let good = it.token(&json!({}));
    assert!(it.login(&good).await.is_ok());
    let (head, tail) = good.split_at(good.len() - 1);
    // The last of 342 characters of a 256-byte signature carries four bits; the other two must be zero.
    let last = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let at = last.iter().position(|c| tail.as_bytes()[0] == *c).unwrap();
    let stray = format!("{head}{}", char::from(last[at | 1]));
    for token in [
        format!("{good}="),
        format!("{good}=="),
        format!("{good} "),
        format!(" {good}"),
        format!("{good}\n"),
        stray,
        good.replacen('.', "\n.", 1),
        format!("{good}."),
    ] {
        let reason = it.refusal(&token).await;
        assert!(
            matches!(reason, Reason::TokenMalformed | Reason::OpaqueToken),
            "{reason}"
        );
    }
}

#[tokio::test]
async fn row_81_other_kinds_of_tokens() {
    let it = Setup::new(|_| {}).await;
    for typ in [
        "logout+jwt",
        "application/logout+JWT",
        "secevent+jwt",
        "dpop+jwt",
        "token-introspection+jwt",
    ] {
        let header = json!({"alg": "RS256", "kid": "k1", "typ": typ});
        let token = it.key.sign(&header, &it.claims(&json!({})));
        assert_eq!(it.refusal(&token).await, Reason::WrongTokenType, "{typ}");
    }
    for changes in [
        json!({"events": {}}),
        json!({"typ": "ID"}),
        json!({"typ": "Refresh"}),
        json!({"typ": "Offline"}),
        json!({"typ": "Logout"}),
        json!({"type": "refresh_token"}),
        json!({"token_use": "id"}),
        json!({"lg.t": 2}),
    ] {
        assert_eq!(
            it.refusal(&it.token(&changes)).await,
            Reason::WrongTokenType,
            "{changes}"
        );
    }
    for typ in ["JWT", "jwt", "at+jwt", "at+JWT", "application/at+jwt"] {
        let header = json!({"alg": "RS256", "kid": "k1", "typ": typ});
        let token = it
            .key
            .sign(&header, &it.claims(&json!({"typ": "Bearer", "lg.t": 1})));
        assert!(it.login(&token).await.is_ok(), "{typ}");
    }
}

#[tokio::test]
async fn row_82_bound_tokens_are_not_downgraded() {
    let cnf = json!({"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}});
    let it = Setup::new(|_| {}).await;
    assert_eq!(it.refusal(&it.token(&cnf)).await, Reason::BoundToken);
    let lenient = Setup::new(|settings| settings.accept_bound_tokens = true).await;
    assert!(lenient.login(&lenient.token(&cnf)).await.is_ok());
}
