use super::accounts::AccountBackend;
use super::routes::IdentityMode;
use super::{Config, ConfigErrors, LoadOptions, Loaded};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// Enough to start: embedded accounts and a secret.
fn load(yaml: &str, vars: &[(&str, &str)]) -> Result<Loaded, ConfigErrors> {
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
    assert_eq!(config.policy, "default");
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
    assert_eq!(route.backend.port, 8080);
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

mod documents {
    use std::path::Path;

    use super::load;
    use crate::config::{Origin, reference, table};

    fn file(name: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    #[test]
    fn the_settings_page_is_what_the_table_writes() {
        assert_eq!(
            file("docs/settings.md"),
            reference::markdown(),
            "run: davgate config env --markdown > docs/settings.md"
        );
    }

    #[test]
    fn the_example_is_what_the_table_writes_and_has_every_key() {
        let text = file("proxy.yaml.example");
        assert_eq!(
            text,
            reference::example(),
            "run: davgate config env --yaml > proxy.yaml.example"
        );
        let tree: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
        let mut keys = Vec::new();
        leaves(&tree, "", &mut keys);
        let mut known: Vec<String> = table::settings().map(|s| s.key.to_owned()).collect();
        keys.sort();
        known.sort();
        assert_eq!(keys, known);
    }

    #[test]
    fn loading_the_example_changes_nothing() {
        let without = load("", &[]).unwrap();
        let with = load(&file("proxy.yaml.example"), &[]).unwrap();
        assert_eq!(with.warnings, Vec::<String>::new());
        let written = with
            .effective
            .iter()
            .filter(|e| matches!(e.origin, Origin::File(_)))
            .count();
        assert!(written > 80, "{written}");
        for (a, b) in without.effective.iter().zip(&with.effective) {
            assert_eq!((a.key, &a.value), (b.key, &b.value));
        }
    }

    #[test]
    fn no_key_and_no_proxy_variable_is_listed_twice() {
        let mut keys: Vec<&str> = table::settings().map(|s| s.key).collect();
        let all = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), all);
        let mut names: Vec<&str> = table::settings()
            .flat_map(|s| s.names)
            .copied()
            .filter(|name| name.starts_with("PROXY_"))
            .collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    fn leaves(value: &serde_yaml::Value, above: &str, keys: &mut Vec<String>) {
        match value.as_mapping() {
            Some(map) => {
                for (key, value) in map {
                    let key = key.as_str().unwrap();
                    let path = if above.is_empty() {
                        key.to_owned()
                    } else {
                        format!("{above}.{key}")
                    };
                    leaves(value, &path, keys);
                }
            }
            None => keys.push(above.to_owned()),
        }
    }
}
