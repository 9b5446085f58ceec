//! The provider as a client sees it.

use http::header::{CONTENT_TYPE, LOCATION};
use http_body_util::{BodyExt as _, Full};

use super::*;
use crate::tokens::sha256;

const REDIRECT: &str = "http://127.0.0.1:1234/callback";
const VERIFIER: &str = "a-verifier-that-is-long-enough-for-rfc-7636-x";

fn issuer() -> Issuer {
    Issuer::new("http://127.0.0.1:1".into(), Duration::from_secs(300)).unwrap()
}

fn encoded(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish()
}

async fn get(issuer: &Issuer, path: &str) -> Answer {
    issuer
        .handle(Request::get(path).body(Full::<Bytes>::default()).unwrap())
        .await
}

async fn post(issuer: &Issuer, path: &str, fields: &[(&str, &str)]) -> Answer {
    let request = Request::post(path)
        .body(Full::new(Bytes::from(encoded(fields))))
        .unwrap();
    issuer.handle(request).await
}

async fn value(answer: Answer) -> Value {
    serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

fn authorization<'a>(
    challenge: &'a str,
    changed: &'a [(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let mut fields = vec![
        ("client_id", CLIENT_ID),
        ("redirect_uri", REDIRECT),
        ("response_type", "code"),
        ("scope", "openid profile"),
        ("state", "s&t"),
        ("nonce", "n"),
        ("code_challenge", challenge),
        ("code_challenge_method", "S256"),
    ];
    fields.retain(|(name, _)| !changed.iter().any(|(other, _)| other == name));
    fields.extend_from_slice(changed);
    fields
}

fn returned(answer: &Answer) -> Fields {
    let location = Url::parse(answer.headers()[LOCATION].to_str().unwrap()).unwrap();
    fields(location.query().unwrap().as_bytes()).unwrap()
}

async fn log_in(issuer: &Issuer, username: &str, password: &str) -> Value {
    let challenge = sha256(VERIFIER.as_bytes());
    let credentials = [("username", username), ("password", password)];
    let answer = post(
        issuer,
        "/authorize",
        &authorization(&challenge, &credentials),
    )
    .await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let returned = returned(&answer);
    assert_eq!(
        (returned["state"].as_str(), returned["iss"].as_str()),
        ("s&t", "http://127.0.0.1:1")
    );
    let request = [
        ("grant_type", "authorization_code"),
        ("client_id", CLIENT_ID),
        ("redirect_uri", REDIRECT),
        ("code", &returned["code"]),
        ("code_verifier", VERIFIER),
    ];
    let answer = post(issuer, "/token", &request).await;
    assert_eq!(answer.status(), StatusCode::OK);
    value(answer).await
}

async fn userinfo(issuer: &Issuer, token: &str) -> Answer {
    let request = Request::get("/userinfo")
        .header(AUTHORIZATION, format!("Bearer {token}"))
        .body(Full::<Bytes>::default())
        .unwrap();
    issuer.handle(request).await
}

#[tokio::test]
async fn a_login_yields_tokens_that_name_the_person() {
    let issuer = issuer();
    let tokens = log_in(&issuer, "mary", "basic").await;
    let access = issuer
        .signer
        .verify(ACCESS_TOKEN, tokens["access_token"].as_str().unwrap())
        .unwrap();
    assert_eq!(access["preferred_username"], "mary");
    assert_eq!(access["aud"], AUDIENCE);
    assert_eq!(access["roles"], json!(["opencloudUser"]));
    let id = issuer
        .signer
        .verify(ID_TOKEN, tokens["id_token"].as_str().unwrap())
        .unwrap();
    assert_eq!((&id["aud"], &id["nonce"]), (&json!(CLIENT_ID), &json!("n")));
    let claims = value(userinfo(&issuer, tokens["access_token"].as_str().unwrap()).await).await;
    assert_eq!(claims["sub"], access["sub"]);
}

#[tokio::test]
async fn without_credentials_the_login_page_comes() {
    let issuer = issuer();
    let challenge = sha256(VERIFIER.as_bytes());
    let page = get(
        &issuer,
        &format!("/authorize?{}", encoded(&authorization(&challenge, &[]))),
    )
    .await;
    assert_eq!(page.status(), StatusCode::OK);
    assert!(
        page.headers()[CONTENT_TYPE]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
}

#[tokio::test]
async fn a_wrong_password_shows_the_page_again() {
    let issuer = issuer();
    let challenge = sha256(VERIFIER.as_bytes());
    let wrong = [("username", "alan"), ("password", "no")];
    let page = post(&issuer, "/authorize", &authorization(&challenge, &wrong)).await;
    assert_eq!(page.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_foreign_redirect_or_client_is_never_redirected_to() {
    let issuer = issuer();
    let challenge = sha256(VERIFIER.as_bytes());
    for changed in [
        ("redirect_uri", "http://evil.example/"),
        ("redirect_uri", "http://127.0.0.1.evil.example/"),
        ("redirect_uri", "https://127.0.0.1/"),
        ("redirect_uri", "http://127.0.0.1@evil.example/"),
        ("client_id", "other"),
    ] {
        let answer = post(
            &issuer,
            "/authorize",
            &authorization(&challenge, &[changed]),
        )
        .await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{changed:?}");
    }
}

#[tokio::test]
async fn a_request_without_pkce_goes_back_as_an_error() {
    let issuer = issuer();
    for changed in [
        ("code_challenge_method", "plain"),
        ("code_challenge", "short"),
    ] {
        let answer = post(&issuer, "/authorize", &authorization("x", &[changed])).await;
        assert_eq!(returned(&answer)["error"], "invalid_request");
    }
    let challenge = sha256(VERIFIER.as_bytes());
    let answer = post(
        &issuer,
        "/authorize",
        &authorization(&challenge, &[("response_type", "token")]),
    )
    .await;
    assert_eq!(returned(&answer)["error"], "unsupported_response_type");
}

#[tokio::test]
async fn a_refresh_token_is_replaced() {
    let issuer = issuer();
    let tokens = log_in(&issuer, "alan", "enigma").await;
    let request = [
        ("grant_type", "refresh_token"),
        ("client_id", CLIENT_ID),
        ("refresh_token", tokens["refresh_token"].as_str().unwrap()),
    ];
    let renewed = value(post(&issuer, "/token", &request).await).await;
    assert_ne!(renewed["refresh_token"], tokens["refresh_token"]);
    assert_ne!(renewed["access_token"], tokens["access_token"]);
    assert_eq!(
        value(post(&issuer, "/token", &request).await).await["error"],
        "invalid_grant"
    );
}

#[tokio::test]
async fn there_is_no_password_grant() {
    let request = [
        ("grant_type", "password"),
        ("client_id", CLIENT_ID),
        ("username", "alan"),
        ("password", "enigma"),
    ];
    let answer = post(&issuer(), "/token", &request).await;
    assert_eq!(value(answer).await["error"], "unsupported_grant_type");
}

#[tokio::test]
async fn after_the_logout_tokens_are_worth_nothing() {
    let issuer = issuer();
    let tokens = log_in(&issuer, "alan", "enigma").await;
    let hint = [("id_token_hint", tokens["id_token"].as_str().unwrap())];
    assert_eq!(
        post(&issuer, "/logout", &hint).await.status(),
        StatusCode::OK
    );
    let answer = userinfo(&issuer, tokens["access_token"].as_str().unwrap()).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert!(answer.headers().contains_key(WWW_AUTHENTICATE));
}

#[tokio::test]
async fn an_id_token_opens_no_userinfo() {
    let issuer = issuer();
    let tokens = log_in(&issuer, "alan", "enigma").await;
    let answer = userinfo(&issuer, tokens["id_token"].as_str().unwrap()).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn every_endpoint_of_the_discovery_document_is_there() {
    let issuer = issuer();
    let document = value(get(&issuer, "/.well-known/openid-configuration").await).await;
    for name in [
        "authorization_endpoint",
        "token_endpoint",
        "userinfo_endpoint",
        "jwks_uri",
        "end_session_endpoint",
    ] {
        let path = document[name]
            .as_str()
            .unwrap()
            .strip_prefix("http://127.0.0.1:1")
            .unwrap()
            .to_owned();
        assert_ne!(
            get(&issuer, &path).await.status(),
            StatusCode::NOT_FOUND,
            "{name}"
        );
    }
}
