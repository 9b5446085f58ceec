mod csp;
mod deployment;
mod documents;
mod fixtures;
mod fuzz;
mod issuers;
mod oddities;
mod releases;
mod rules;
mod traces;
mod words;

use super::accounts::AccountBackend;
use super::routes::IdentityMode;
use super::selector::PolicySelector;
use super::{Config, ConfigErrors, LoadOptions, Loaded};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// Enough to start: embedded accounts and a secret.
pub(super) fn load(yaml: &str, vars: &[(&str, &str)]) -> Result<Loaded, ConfigErrors> {
    let mut all = vec![
        ("PROXY_ACCOUNT_BACKEND_TYPE", "embedded"),
        ("OC_JWT_SECRET", SECRET),
        ("OC_CONFIG_DIR", "/nonexistent"),
        ("OC_BASE_DATA_PATH", "/nonexistent"),
    ];
    all.extend(vars);
    Config::load(&LoadOptions::with_yaml(yaml), &all.as_slice())
}

fn mistakes(yaml: &str, vars: &[(&str, &str)]) -> Vec<String> {
    load(yaml, vars)
        .unwrap_err()
        .mistakes
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn two_variables_are_enough_to_start() {
    let loaded = load("", &[]).unwrap();
    let config = loaded.config;
    assert_eq!(config.issuers[0].issuer, "https://localhost:9200");
    assert!(matches!(
        config.accounts.backend,
        AccountBackend::Embedded { .. }
    ));
    assert!(matches!(&config.policy_selector, PolicySelector::Static(name) if name == "default"));
    assert!(config.policies[0].routes.len() > 30);
    assert_eq!(loaded.warnings, Vec::<String>::new());
}

#[test]
fn a_plain_webdav_backend_is_one_route() {
    let yaml = "
policies:
  - name: default
    routes:
      - {endpoint: /, backend: 'http://127.0.0.1:8080', identity: headers}
";
    let loaded = load(yaml, &[]).unwrap();
    let route = &loaded.config.policies[0].routes[0];
    let origin = route.backend.server.origin().unwrap();
    assert!(origin.to_string().ends_with(":8080"));
    assert_eq!(route.identity, IdentityMode::Headers);
}

#[test]
fn all_mistakes_are_told_with_file_line_key_and_variable() {
    let found = mistakes("http:\n  addr: nowhere\n", &[("PROXY_TLS", "perhaps")]);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].starts_with("proxy.yaml:2: http.addr (PROXY_HTTP_ADDR) is \"nowhere\""),
        "{found:?}"
    );
    assert!(
        found[1].starts_with("http.tls (PROXY_TLS) is \"perhaps\""),
        "{found:?}"
    );
}
