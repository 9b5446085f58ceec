//! The demo's configuration, as its script hands it over, means what the demo's pages promise.

use davgate::door::config::accounts::AccountBackend;
use davgate::door::config::routes::IdentityMode;
use davgate::door::config::{Config, LoadOptions};

const ROUTES: &str = include_str!("../../deploy/demo/proxy.yaml");
const SCRIPT: &str = include_str!("../../deploy/demo/stack.sh");

/// The variables of the script, with values that need no shell.
const VARIABLES: &[(&str, &str)] = &[
    ("DEMO_STORE_PORT", "4711"),
    ("OC_BASE_DATA_PATH", "/nowhere/data"),
    ("PROXY_HTTP_ADDR", "127.0.0.1:0"),
    ("PROXY_DEBUG_ADDR", "127.0.0.1:0"),
    ("PROXY_LOG_LEVEL", "info"),
    ("PROXY_OIDC_ISSUER", "http://127.0.0.1:9310"),
    ("PROXY_OIDC_AUDIENCES", "davgate"),
    ("PROXY_ACCOUNT_BACKEND_TYPE", "embedded"),
    ("PROXY_AUTOPROVISION_ACCOUNTS", "true"),
    ("PROXY_ROLE_ASSIGNMENT_DRIVER", "oidc"),
    ("PROXY_JWT_SECRET", "0123456789abcdef0123456789abcdef"),
];

#[test]
fn the_demo_sends_files_to_the_store_with_the_users_name() {
    let loaded = Config::load(&LoadOptions::with_yaml(ROUTES), &VARIABLES).unwrap();
    let [warning] = loaded.warnings.as_slice() else {
        panic!("one warning, not {:?}", loaded.warnings);
    };
    assert!(warning.contains("not encrypted"), "{warning}");
    let [policy] = loaded.config.policies.as_slice() else {
        panic!("one policy, not {:?}", loaded.config.policies);
    };
    let [route, fallback] = policy.routes.as_slice() else {
        panic!("two routes, not {:?}", policy.routes);
    };
    assert_eq!(route.endpoint, "/files/");
    assert_eq!(route.identity, IdentityMode::Headers);
    assert!(!route.unprotected);
    assert_eq!(
        route.backend.server.origin().unwrap().to_string(),
        "127.0.0.1:4711"
    );
    assert_eq!(
        (fallback.endpoint.as_str(), fallback.identity),
        ("/", IdentityMode::None)
    );
}

#[test]
fn the_demo_provisions_embedded_accounts_with_roles_of_claims() {
    let accounts = Config::load(&LoadOptions::with_yaml(ROUTES), &VARIABLES)
        .unwrap()
        .config
        .accounts;
    assert!(matches!(accounts.backend, AccountBackend::Embedded { .. }));
    assert!(accounts.provision);
}

#[test]
fn the_script_sets_the_variables_tested_here() {
    for (name, _) in VARIABLES {
        assert!(SCRIPT.contains(&format!("{name}=")), "{name}");
    }
}
