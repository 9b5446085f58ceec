//! In the place of the proxy of a deployment that is already there: its environment, its `opencloud.yaml`.

use std::path::PathBuf;

use crate::config::accounts::AccountBackend;
use crate::config::{Config, ConfigErrors, LoadOptions, Loaded};

/// As `opencloud init` writes it, shortened, with a key of another service that needs a variable nobody gives davgate.
const MAIN: &str = "\
token_manager:
  jwt_secret: canary-jwt-secret-0123456789abcdef
machine_auth_api_key: canary-machine
transfer_secret: canary-transfer
url_signing_secret: canary-url
graph:
  application: {id: 4c510ada-c86b-4815-8820-42cdf82c3d51}
  identity: {ldap: {bind_password: canary-ldap}}
  service_account: {service_account_id: other, service_account_secret: other}
notifications:
  smtp_password: ${SMTP_PASSWORD|?set the password}
proxy:
  oidc: {insecure: true}
  insecure_backends: true
  service_account: {service_account_id: svc, service_account_secret: canary-service}
";

/// What the environment of an OpenCloud with its built-in directory has, the secrets left to the file.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("OC_URL", "https://127.0.0.1:9200"),
    ("OC_INSECURE", "true"),
    ("OC_LOG_LEVEL", "warn"),
    ("OC_OIDC_ISSUER", "https://127.0.0.1:9300"),
    ("OC_EXCLUDE_RUN_SERVICES", "idp,proxy"),
    ("PROXY_HTTP_ADDR", "127.0.0.1:9200"),
    ("PROXY_TLS", "true"),
    ("PROXY_OIDC_REWRITE_WELLKNOWN", "true"),
    ("PROXY_AUTOPROVISION_ACCOUNTS", "true"),
    ("PROXY_ROLE_ASSIGNMENT_DRIVER", "oidc"),
    ("PROXY_ACCOUNT_BACKEND_TYPE", "ldap"),
    ("OC_LDAP_URI", "ldaps://localhost:9235"),
];

struct Deployment(PathBuf);

impl Deployment {
    fn new(main: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("davgate-deploy-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("opencloud.yaml"), main).unwrap();
        Self(folder)
    }

    fn load(&self, vars: &[(&str, &str)]) -> Result<Loaded, ConfigErrors> {
        let folder = self.0.to_str().unwrap();
        let mut all = vec![("OC_CONFIG_DIR", folder), ("OC_BASE_DATA_PATH", folder)];
        all.extend(ENVIRONMENT);
        all.extend(vars);
        Config::load(&LoadOptions::default(), &all.as_slice())
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_environment_and_the_file_of_a_running_opencloud_are_enough() {
    let loaded = Deployment::new(MAIN).load(&[]).unwrap();
    let config = &loaded.config;
    let secret = config.identity.jwt_secret.reveal();
    assert_eq!(secret, "canary-jwt-secret-0123456789abcdef");
    let AccountBackend::Ldap(ldap) = &config.accounts.backend else {
        panic!("not LDAP")
    };
    assert_eq!(ldap.bind_password.reveal(), "canary-ldap");
    assert!(config.issuers[0].insecure && config.upstream.insecure);
    for key in [
        "machine_auth_api_key",
        "transfer_secret",
        "url_signing_secret",
        "service_account.service_account_secret",
    ] {
        let entry = loaded.effective.iter().find(|one| one.key == key).unwrap();
        assert_eq!(entry.value, "***", "{key}");
        assert!(
            entry.origin.to_string().contains("opencloud.yaml:"),
            "{key}"
        );
    }
    assert!(!format!("{:?}", loaded.summary()).contains("canary"));
}

#[test]
fn the_file_is_the_weakest_layer_above_the_defaults() {
    let deployment = Deployment::new(MAIN);
    let other = ("OC_JWT_SECRET", "another-secret-of-at-least-32-bytes");
    let loaded = deployment
        .load(&[other, ("PROXY_OIDC_INSECURE", "false")])
        .unwrap();
    assert_eq!(loaded.config.identity.jwt_secret.reveal(), other.1);
    assert!(!loaded.config.issuers[0].insecure);
}

#[test]
fn what_the_file_says_of_other_services_is_no_mistake_here() {
    let ours = "proxy: {http: {root: '${ROOT|?set the root}'}}\n";
    let errors =
        Deployment::new(ours).load(&[("OC_JWT_SECRET", "s"), ("OC_LDAP_BIND_PASSWORD", "p")]);
    let errors = errors.unwrap_err().to_string();
    assert!(
        errors.contains("1 mistake") && errors.contains("set the root"),
        "{errors}"
    );
}

#[test]
fn no_variable_of_the_whole_deployment_stops_the_start_by_a_value_that_is_not_ours() {
    let globals = [
        ("OC_EVENTS_ENABLE_TLS", "perhaps"),
        ("OC_CACHE_STORE", "a-store-of-tomorrow"),
        ("OC_CACHE_TTL", "soon"),
        ("OC_LOG_LEVEL", "notice"),
        ("OC_LOG_PRETTY", ""),
        ("OC_TRACING_TYPE", "zipkin"),
        ("OC_TRACING_ENABLED", "true"),
        ("OC_EVENTS_TLS_ROOT_CA_CERTIFICATE", "/nonexistent"),
        ("OC_GRPC_CLIENT_TLS_MODE", "sometimes"),
        ("MICRO_REGISTRY", "memory"),
    ];
    let loaded = Deployment::new(MAIN).load(&globals).unwrap();
    for name in [
        "OC_EVENTS_ENABLE_TLS",
        "OC_CACHE_STORE",
        "OC_CACHE_TTL",
        "OC_LOG_LEVEL",
    ] {
        let warned = loaded
            .warnings
            .iter()
            .filter(|text| text.contains(name))
            .count();
        assert!(warned >= 1, "{name}: {:#?}", loaded.warnings);
    }
    assert_eq!(
        loaded.config.log.level,
        tracing::level_filters::LevelFilter::WARN
    );
    // The same by a variable that only this service reads is a typing error worth a stop.
    assert!(
        Deployment::new(MAIN)
            .load(&[("PROXY_LOG_LEVEL", "notice")])
            .is_err()
    );
}

#[test]
fn ocis_is_told_its_own_words_and_a_mix_is_warned_of() {
    let vars = [
        ("OCIS_URL", "https://ocis.example"),
        ("OCIS_CONFIG_DIR", "/nonexistent"),
        ("OCIS_BASE_DATA_PATH", "/nonexistent"),
        ("PROXY_ACCOUNT_BACKEND_TYPE", "ldap"),
        ("OCIS_LDAP_URI", "ldap://ldap.example"),
    ];
    let errors = Config::load(&LoadOptions::default(), &vars).unwrap_err();
    let text = errors.to_string();
    assert!(
        text.contains("OCIS_LDAP_INSECURE=true") && text.contains("OCIS_JWT_SECRET"),
        "{text}"
    );
    assert!(!text.contains(" OC_") && !text.contains("(OC_"), "{text}");
    assert_eq!(errors.warnings, Vec::<String>::new());

    let mixed = [
        ("OC_JWT_SECRET", "0123456789abcdef0123456789abcdef"),
        ("OCIS_URL", "https://ocis.example"),
    ];
    let mut all = vec![
        ("PROXY_ACCOUNT_BACKEND_TYPE", "embedded"),
        ("OC_CONFIG_DIR", "/nonexistent"),
    ];
    all.extend(mixed);
    let loaded = Config::load(&LoadOptions::with_yaml(""), &all.as_slice()).unwrap();
    let warned = loaded
        .warnings
        .iter()
        .find(|text| text.contains("both products"));
    assert!(
        warned.is_some_and(|text| text.contains("OCIS_URL")
            && text.contains("those of opencloud apply; set PROXY_FLAVOR")),
        "{:?}",
        loaded.warnings
    );
}

/// A text that names `OC_X` to whoever runs oCIS leads him to turn his deployment into the other product.
#[test]
fn no_text_of_the_builders_names_a_variable_of_one_product_alone() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/build");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        for (number, line) in std::fs::read_to_string(&path).unwrap().lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let named = code.contains("OC_") || code.contains("OCIS_");
            assert!(
                !named || code.contains("own(\""),
                "{}:{}: write own(\"OC_...\")",
                path.display(),
                number + 1
            );
        }
    }
}
