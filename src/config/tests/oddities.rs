//! What is warned of, cleared, or kept out of sight.

use std::time::Duration;

use super::{load, mistakes};

#[test]
fn what_is_odd_but_may_be_meant_is_a_warning() {
    let yaml = "
policies:
  - name: default
    routes:
      - {endpoint: /dav/, service: web, ident: none}
additional_policies:
  - name: opencloud
    routes:
      - {endpoint: /, service: web}
services: {wep: 'http://127.0.0.1:1'}
";
    let warnings = load(yaml, &[]).unwrap().warnings;
    let expected = [
        "proxy.yaml:5: policies[0].routes[0].ident: unknown key of a route, it has no effect",
        "policies has no route for / in policy \"default\"",
        "proxy.yaml:10: services.wep: no route uses this service",
        "policy \"opencloud\" serves nothing",
    ];
    assert_eq!(warnings.len(), expected.len(), "{warnings:#?}");
    for (warning, expected) in warnings.iter().zip(expected) {
        assert!(warning.starts_with(expected), "{warning}");
    }
}

#[test]
fn proxies_on_the_way_to_issuers_keep_their_passwords_to_themselves() {
    let vars = [
        ("HTTPS_PROXY", "user:pass@proxy.example:3128"),
        ("no_proxy", "localhost, .example"),
    ];
    let loaded = load("", &vars).unwrap();
    let proxies = &loaded.config.outbound_proxies;
    assert_eq!(
        proxies.https.as_ref().and_then(url::Url::password),
        Some("pass")
    );
    assert_eq!(proxies.no_proxy, ["localhost", ".example"]);
    assert!(!format!("{:?} {}", loaded.config, loaded.json()).contains("pass@"));
    let found = mistakes("", &[("HTTPS_PROXY", "socks5://user:hidden@proxy.example")]);
    assert_eq!(
        found,
        ["outbound_proxy.https (HTTPS_PROXY) has to be http://host:port"]
    );
}

#[test]
fn empty_variables_clear_texts_and_leave_the_rest() {
    let vars = [
        ("PROXY_AUTOPROVISION_CLAIM_GROUPS", ""),
        ("PROXY_OIDC_LEEWAY", ""),
        ("PROXY_TLS", ""),
    ];
    let config = load("", &vars).unwrap().config;
    assert!(config.issuers[0].provision_claims.groups.is_empty());
    assert_eq!(config.issuers[0].leeway, Duration::from_secs(5));
    assert!(config.http.tls);
}

#[test]
fn an_empty_url_of_a_compose_file_gives_way_to_the_weaker_one() {
    let vars = [
        ("OC_URL", "https://cloud.example"),
        ("OC_OIDC_ISSUER", ""),
        ("PROXY_OIDC_ISSUER", ""),
    ];
    let loaded = load("", &vars).unwrap();
    assert_eq!(loaded.config.issuers[0].issuer, "https://cloud.example");
    assert_eq!(loaded.config.identity.idp, "https://cloud.example");
    assert_eq!(
        loaded.warnings,
        [
            "OC_OIDC_ISSUER is empty and has no effect",
            "PROXY_OIDC_ISSUER is empty and has no effect",
        ]
    );
    assert!(load("", &[("OC_URL", "")]).is_ok());
    assert!(load("oidc: {issuer: ''}", &[]).is_err());
}

#[test]
fn a_short_signing_secret_and_plain_loopback_servers_are_warned_of() {
    let vars = [
        ("OC_JWT_SECRET", "short"),
        ("PROXY_OIDC_ISSUER", "http://127.0.0.1:1"),
    ];
    let warnings = load("", &vars).unwrap().warnings;
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(
        !warnings.iter().any(|warning| warning.contains("short")),
        "{warnings:?}"
    );
}

#[test]
fn what_is_commonly_mistaken_is_told_with_the_way_out() {
    let warnings = |yaml: &str, vars: &[(&str, &str)]| load(yaml, vars).unwrap().warnings;
    let found = warnings("proxy:\n  http: {addr: '127.0.0.1:1'}\n", &[]);
    assert_eq!(
        found,
        [
            "proxy.yaml:1: proxy: has no effect in proxy.yaml, where its keys stand at the top; take the line out and move them to the left"
        ]
    );
    let found = warnings("", &[("PROXY_TRUSTED_PROXIES", "0.0.0.0/0,::/0")]);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].contains("0.0.0.0/0 believes everybody"),
        "{found:?}"
    );
    let slips = [
        ("OC_LDAP_BIND_PASWORD", "OC_LDAP_BIND_PASSWORD"),
        ("OC_OIDC_ISSUR", "OC_OIDC_ISSUER"),
        ("OC_ULR", "OC_URL"),
        ("OC_JWT_SERCET", ""),
    ];
    for (slip, meant) in slips {
        let found = warnings("", &[(slip, "x")]);
        // The secret is set here, so that its slip is no slip.
        let expected =
            (!meant.is_empty()).then(|| format!("{slip}: unknown variable; did you mean {meant}?"));
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
    }
    for other in [
        "OC_SYSTEM_USER_ID",
        "OC_ADMIN_USER_ID",
        "OC_RUN_SERVICES",
        "OC_SPACES_MAX_QUOTA",
    ] {
        assert_eq!(warnings("", &[(other, "x")]), Vec::<String>::new());
    }
}

#[test]
fn a_file_beside_the_folder_that_is_read_is_told() {
    let data = std::env::temp_dir().join(format!("davgate-beside-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir_all(data.join("proxy")).unwrap();
    std::fs::write(data.join("proxy/proxy.yaml"), "http: {}\n").unwrap();
    let vars = [
        ("PROXY_ACCOUNT_BACKEND_TYPE", "embedded"),
        ("OC_JWT_SECRET", super::SECRET),
        ("OC_CONFIG_DIR", "/nonexistent"),
        ("OC_BASE_DATA_PATH", data.to_str().unwrap()),
    ];
    let options = crate::config::LoadOptions::default();
    let loaded = crate::config::Config::load(&options, &vars).unwrap();
    std::fs::remove_dir_all(&data).unwrap();
    let expected =
        "proxy/proxy.yaml: is not read; the folder of proxy.yaml is /nonexistent (OC_CONFIG_DIR)";
    assert!(
        loaded.warnings[0].ends_with(expected),
        "{:?}",
        loaded.warnings
    );
}
