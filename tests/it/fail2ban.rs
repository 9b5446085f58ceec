//! The filter for fail2ban, on lines that davgate wrote.

use std::fs;
use std::process::Command;

use serde_json::json;

use crate::support::client::Call;
use crate::support::files::Folder;
use crate::support::issuer::FakeIssuer;
use crate::support::process::GatewayProcess;
use crate::support::until;

/// Addresses that the filter finds in these lines, one for each line that counts.
fn found_in(log: &str) -> Vec<String> {
    let folder = Folder::new("fail2ban");
    let file = folder.0.join("log");
    fs::write(&file, log).unwrap();
    let filter = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/deploy/fail2ban/filter.d/davgate.conf"
    );
    let output = Command::new("fail2ban-regex")
        .args(["--out", "ip", file.to_str().unwrap(), filter])
        .output()
        .unwrap_or_else(|error| panic!("fail2ban-regex: {error}; run `make tools`"));
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{text}");
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn the_filter_finds_who_guesses_and_nobody_else() {
    let issuer = FakeIssuer::start().await;
    let yaml = json!({"policies": [{"name": "default", "routes": [
        {"endpoint": "/", "backend": "http://127.0.0.1:1", "identity": "headers"},
    ]}]});
    let variables = [
        ("PROXY_OIDC_ISSUER", issuer.url()),
        ("PROXY_TRUSTED_PROXIES", "127.0.0.1"),
    ];
    let gateway = GatewayProcess::start(&yaml, &variables).await;
    let from = |address: &str| {
        Call::new(gateway.addr, "GET", "/secret/path")
            .header("host", "localhost:9200")
            .header("x-forwarded-for", address)
    };
    let good = issuer.token("mara").sign();
    let (_, signature) = good.rsplit_once('.').unwrap();
    let forged = issuer.token("root").sign();
    let (forged, _) = forged.rsplit_once('.').unwrap();

    // Who tries what nobody gave him.
    let wrong = format!("{forged}.{signature}");
    from("198.51.100.1").bearer(&wrong).send().await;
    let two = from("198.51.100.2").bearer("a b").send().await;
    assert_eq!(two.status, 401);
    let inject = "x\",\"client.address\":\"203.0.113.77";
    from("2001:db8::3")
        .header("x-request-id", inject)
        .bearer(&wrong)
        .send()
        .await;
    // Who does what everybody does.
    from("198.51.100.11").send().await;
    let expired = issuer.token("mara").expires_in(-3600).sign();
    from("198.51.100.12").bearer(&expired).send().await;
    let elsewhere = issuer
        .token("mara")
        .claim("iss", "https://other.example")
        .sign();
    from("198.51.100.13").bearer(&elsewhere).send().await;
    assert_eq!(from("198.51.100.14").bearer(&good).send().await.status, 502);

    until("the last line", || gateway.log().contains("198.51.100.14")).await;
    let found = found_in(&gateway.log());
    assert_eq!(
        found,
        ["198.51.100.1", "198.51.100.2", "2001:db8::3"],
        "{}",
        gateway.log()
    );
}
