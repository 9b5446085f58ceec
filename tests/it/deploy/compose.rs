//! The compose files: each variable of davgate's service is a setting, what a file needs beside itself is there, and davgate
//! takes its environment.

use std::collections::BTreeSet;

use regex::Regex;
use serde_yaml::Value;

use super::{Site, Variables, assert_known, documents, read, root, variables};

const FILES: [&str; 4] = [
    "opencloud-keycloak",
    "ocis-pocket-id",
    "nextcloud-issuer",
    "webdav",
];

/// What `prepare` writes into `.env`.
const ENV: [(&str, &str); 11] = [
    ("CLOUD_DOMAIN", "cloud.example.org"),
    ("LOGIN_DOMAIN", "login.example.org"),
    ("ISSUER", "https://login.example.org/realms/main"),
    ("CADDY_OPTIONS", "local_certs"),
    ("OWN_CERTIFICATES", "true"),
    ("JWT_SECRET", "0123456789abcdef0123456789abcdef"),
    ("LDAP_PASSWORD", "secret"),
    ("KEYCLOAK_PASSWORD", "secret"),
    ("KEYCLOAK_DB_PASSWORD", "secret"),
    ("NEXTCLOUD_PASSWORD", "secret"),
    ("POCKET_ID_KEY", "secret"),
];

fn file(name: &str) -> Value {
    let mut found = documents(&format!("deploy/compose/{name}.yaml"));
    assert_eq!(found.len(), 1, "{name}");
    found.remove(0)
}

/// `${NAME}`, `${NAME:-default}` and `${NAME:?why}`, as compose reads them.
fn substituted(text: &str) -> String {
    let name = Regex::new(r"\$\{([A-Z_]+)(?::([-?])([^}]*))?\}").unwrap();
    let value = |found: &regex::Captures<'_>| {
        let set = ENV.iter().find(|(name, _)| *name == &found[1]);
        match (set, found.get(2).map(|sign| sign.as_str())) {
            (Some((_, value)), _) => (*value).to_owned(),
            (None, Some("-")) => found[3].to_owned(),
            (None, _) => panic!("{text}: `prepare` does not write {}", &found[1]),
        }
    };
    let text = name.replace_all(text, value).into_owned();
    assert!(!text.contains("${"), "{text}");
    text
}

fn environment(file: &Value, service: &str) -> Variables {
    variables(&file["services"][service]["environment"])
        .into_iter()
        .map(|(name, value)| (name, substituted(&value)))
        .collect()
}

#[test]
fn every_setting_of_davgate_in_a_compose_file_is_one_and_is_taken() {
    for name in FILES {
        let environment = environment(&file(name), "davgate");
        assert_known(name, environment.keys());
        let mut site = Site::new(&environment);
        site = if environment.contains_key("PROXY_JWT_SECRET") {
            site.config_file("proxy.yaml", &read("deploy/compose/webdav/proxy.yaml"))
        } else {
            site.with_secrets_of_the_deployment()
        };
        if let Some(path) = environment.get("PROXY_CSP_CONFIG_FILE_LOCATION") {
            std::fs::write(site.here(path), read("deploy/compose/ocis/csp.yaml")).unwrap();
        }
        let said = site.is_fine(name);
        assert!(said.contains("https://cloud.example.org"), "{name}: {said}");
    }
}

#[test]
fn what_prepare_writes_is_what_the_files_ask_for() {
    let script = read("deploy/compose/prepare");
    for (name, _) in ENV {
        assert!(script.contains(name), "prepare writes no {name}");
    }
}

/// The settings of Pocket ID's own page for oCIS; only the cloud's own web client gets the client id.
#[test]
fn ocis_with_pocket_id_has_the_settings_of_pocket_ids_page() {
    let file = file("ocis-pocket-id");
    let davgate = environment(&file, "davgate");
    for (name, value) in [
        ("OCIS_URL", "https://cloud.example.org"),
        ("PROXY_AUTOPROVISION_ACCOUNTS", "true"),
        ("PROXY_ROLE_ASSIGNMENT_DRIVER", "oidc"),
        ("OCIS_OIDC_ISSUER", "https://login.example.org"),
        ("PROXY_OIDC_REWRITE_WELLKNOWN", "true"),
        ("PROXY_USER_OIDC_CLAIM", "preferred_username"),
    ] {
        assert_eq!(davgate.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(davgate.contains_key("PROXY_CSP_CONFIG_FILE_LOCATION"));
    let ocis = environment(&file, "ocis");
    assert_eq!(ocis["OCIS_EXCLUDE_RUN_SERVICES"], "idp,proxy");
    assert!(ocis.contains_key("WEB_OIDC_CLIENT_ID"));
}

#[test]
fn services_folders_and_networks_that_a_file_names_are_there() {
    for name in FILES {
        let file = file(name);
        let names = |key: &str| -> BTreeSet<String> {
            let mapping = file[key].as_mapping().unwrap();
            let names = mapping.keys().map(|name| name.as_str().unwrap().to_owned());
            names.collect()
        };
        let (services, kept) = (names("services"), names("volumes"));
        let mut mounted = BTreeSet::new();
        for (service, what) in file["services"].as_mapping().unwrap() {
            let place = format!("{name}: {}", service.as_str().unwrap());
            for mount in what["volumes"].as_sequence().into_iter().flatten() {
                let source = mount.as_str().unwrap().split(':').next().unwrap();
                if source.starts_with('.') {
                    // realm.json is written by `prepare`.
                    let is_there = root().join("deploy/compose").join(source).exists();
                    assert!(is_there || source == "./realm.json", "{place}: {source}");
                } else {
                    assert!(kept.contains(source), "{place}: {source} is no volume");
                    mounted.insert(source.to_owned());
                }
            }
            let needed = what["depends_on"].as_sequence().into_iter().flatten();
            for other in needed.map(|other| other.as_str().unwrap()) {
                assert!(services.contains(other), "{place}: no service {other}");
            }
            let mode = what["network_mode"].as_str().unwrap_or("service:davgate");
            let other = mode.strip_prefix("service:").unwrap();
            assert!(services.contains(other), "{place}: no service {other}");
            assert!(what["image"].is_string(), "{place} has no image");
        }
        assert_eq!(mounted, kept, "{name}: volumes that nobody mounts");
        let subnet = &file["networks"]["default"]["ipam"]["config"][0]["subnet"];
        let trusted = &environment(&file, "davgate")["PROXY_TRUSTED_PROXIES"];
        assert_eq!(subnet.as_str().unwrap(), trusted, "{name}");
    }
}

#[test]
fn the_realm_has_the_roles_and_clients_that_davgate_expects() {
    let realm: serde_json::Value =
        serde_json::from_str(&read("deploy/keycloak/realm.json")).unwrap();
    let names = |list: &serde_json::Value, key: &str| -> Vec<String> {
        let list = list.as_array().unwrap().iter();
        list.map(|one| one[key].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        names(&realm["roles"]["realm"], "name"),
        [
            "opencloudAdmin",
            "opencloudSpaceAdmin",
            "opencloudUser",
            "opencloudGuest"
        ]
    );
    let clients = names(&realm["clients"], "clientId");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_davgate"))
        .args(["config", "check"])
        .env_clear()
        .envs([
            ("OC_CONFIG_DIR", "/nonexistent"),
            ("PROXY_ACCOUNT_BACKEND_TYPE", "embedded"),
            ("PROXY_JWT_SECRET", "0123456789abcdef0123456789abcdef"),
        ])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let wanted = Regex::new(r"client id (\S+);").unwrap();
    let mut count = 0;
    for found in wanted.captures_iter(&said) {
        count += 1;
        assert!(clients.contains(&found[1].to_owned()), "{}", &found[1]);
    }
    assert_eq!(count, 4, "{said}");
}
