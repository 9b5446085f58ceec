//! The command against the real provider on a loopback port.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::*;
use crate::issuer::Issuer;
use crate::web;

async fn start(lifetime: u64) -> Url {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let issuer = Arc::new(Issuer::new(address.clone(), Duration::from_secs(lifetime)).unwrap());
    tokio::spawn(web::serve(listener, move |request| {
        let issuer = issuer.clone();
        async move { issuer.handle(request).await }
    }));
    Url::parse(&address).unwrap()
}

fn arguments(issuer: &Url, password: &str, cache: Option<&PathBuf>) -> TokenArguments {
    TokenArguments {
        issuer: issuer.clone(),
        user: Some("alan".into()),
        password: Some(password.into()),
        cache: cache.cloned(),
    }
}

fn cache(name: &str) -> PathBuf {
    let path =
        std::env::temp_dir().join(format!("davgate-demo-cache-{}-{name}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

#[tokio::test]
async fn a_login_is_kept_and_used_again() {
    let issuer = start(300).await;
    let cache = cache("kept");
    let first = token(&arguments(&issuer, "enigma", Some(&cache)))
        .await
        .unwrap();
    let second = token(&arguments(&issuer, "not asked for", Some(&cache)))
        .await
        .unwrap();
    assert_eq!(first, second);
    std::fs::remove_file(cache).unwrap();
}

#[tokio::test]
async fn a_token_near_its_end_is_refreshed() {
    let issuer = start(SPARE).await;
    let cache = cache("refreshed");
    let first = token(&arguments(&issuer, "enigma", Some(&cache)))
        .await
        .unwrap();
    let second = token(&arguments(&issuer, "not asked for", Some(&cache)))
        .await
        .unwrap();
    assert_ne!(first, second);
    std::fs::remove_file(cache).unwrap();
}

#[tokio::test]
async fn tokens_of_an_earlier_issuer_lead_to_a_new_login() {
    let cache = cache("earlier");
    let before = token(&arguments(&start(300).await, "enigma", Some(&cache)))
        .await
        .unwrap();
    let after = token(&arguments(&start(300).await, "enigma", Some(&cache)))
        .await
        .unwrap();
    assert_ne!(before, after);
    std::fs::remove_file(cache).unwrap();
}

#[tokio::test]
async fn the_token_file_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let issuer = start(300).await;
    let cache = cache("owner");
    token(&arguments(&issuer, "enigma", Some(&cache)))
        .await
        .unwrap();
    assert_eq!(
        std::fs::metadata(&cache).unwrap().permissions().mode() & 0o777,
        0o600
    );
    std::fs::remove_file(cache).unwrap();
}

#[tokio::test]
async fn a_wrong_password_is_said_so() {
    let issuer = start(300).await;
    let error = token(&arguments(&issuer, "guess", None)).await.unwrap_err();
    assert_eq!(error.to_string(), "wrong user name or password");
}

#[tokio::test]
async fn a_person_in_a_browser_brings_the_code() {
    let issuer = start(300).await;
    let endpoints = discover(&issuer).await.unwrap();
    let (redirect_uri, answer) = browser::log_in(&endpoints.authorization, |redirect_uri| {
        // Stands for the browser: it comes back to the loopback port as if the login had been done.
        let back = Url::parse(&format!("{redirect_uri}?code=x&state=y")).unwrap();
        tokio::spawn(async move { get(&back).await });
        Vec::new()
    })
    .await
    .unwrap();
    assert_eq!(answer.as_str(), format!("{redirect_uri}?code=x&state=y"));
}
