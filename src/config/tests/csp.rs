//! The Content-Security-Policy: built in, merged, replaced.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::{load, mistakes};
use crate::config::{Config, LoadOptions};

/// A file of the test's own, removed with its folder.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("davgate-csp-{name}-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("proxy")).unwrap();
        let path = folder.join("proxy/csp.yaml");
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let folder = self.0.ancestors().nth(2).map(Path::to_owned);
        let _ = folder.map(std::fs::remove_dir_all);
    }
}

fn sources<'a>(config: &'a Config, directive: &str) -> Vec<&'a str> {
    let found = config.csp.iter().find(|(name, _)| name == directive);
    found
        .map(|(_, sources)| sources.iter().map(String::as_str).collect())
        .unwrap_or_default()
}

const OWN: &str =
    "directives:\n  img-src: [\"'self'\", \"https://${HOST|img.example}\", \"${NOWHERE}\"]\n";

#[test]
fn a_file_merges_from_opencloud_4_on_and_replaces_before_and_in_ocis() {
    let file = File::new("merge", OWN);
    let config = |compat: &str| {
        let vars = [
            ("PROXY_COMPAT", compat),
            ("PROXY_CSP_CONFIG_FILE_LOCATION", file.path()),
        ];
        load("", &vars).unwrap().config
    };
    let merged = config("opencloud-4");
    assert_eq!(merged.csp.len(), 12);
    assert_eq!(
        sources(&merged, "img-src"),
        [
            "'self'",
            "data:",
            "blob:",
            "https://raw.githubusercontent.com/opencloud-eu/awesome-apps/",
            "https://img.example",
        ]
    );
    for compat in ["opencloud-1", "ocis-7", "ocis-8"] {
        let replaced = config(compat);
        assert_eq!(replaced.csp.len(), 1, "{compat}");
        assert_eq!(
            sources(&replaced, "img-src"),
            ["'self'", "https://img.example"]
        );
    }
}

#[test]
fn the_override_replaces_and_the_other_file_is_not_read() {
    let file = File::new("override", OWN);
    let vars = [
        ("PROXY_CSP_CONFIG_FILE_OVERRIDE_LOCATION", file.path()),
        ("PROXY_CSP_CONFIG_FILE_LOCATION", "/nonexistent/csp.yaml"),
    ];
    assert_eq!(load("", &vars).unwrap().config.csp.len(), 1);
}

#[test]
fn the_file_in_the_data_folder_is_found_and_watched() {
    let file = File::new("data", OWN);
    let data = file.0.ancestors().nth(2).unwrap().to_str().unwrap();
    let vars = [
        ("PROXY_ACCOUNT_BACKEND_TYPE", "embedded"),
        ("PROXY_JWT_SECRET", super::SECRET),
        ("OC_CONFIG_DIR", "/nonexistent"),
        ("OC_BASE_DATA_PATH", data),
    ];
    let loaded = Config::load(&LoadOptions::default(), &vars).unwrap();
    assert!(sources(&loaded.config, "img-src").contains(&"https://img.example"));
    assert!(loaded.files.contains(&file.0));
}

#[test]
fn row_119_a_named_file_that_is_missing_or_too_large_stops_the_start() {
    let found = mistakes(
        "",
        &[("PROXY_CSP_CONFIG_FILE_LOCATION", "/nonexistent/csp.yaml")],
    );
    assert_eq!(
        found,
        [
            "csp_config_file_location (PROXY_CSP_CONFIG_FILE_LOCATION) names /nonexistent/csp.yaml, which does not exist"
        ]
    );
    let file = File::new("large", &format!("# {}", "x".repeat(2 << 20)));
    let found = mistakes("", &[("PROXY_CSP_CONFIG_FILE_LOCATION", file.path())]);
    assert!(
        found[0].contains("csp.yaml: is larger than 1 MiB"),
        "{found:?}"
    );
}

#[test]
fn the_example_is_the_built_in_policy() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("csp.yaml");
    let vars = [(
        "PROXY_CSP_CONFIG_FILE_OVERRIDE_LOCATION",
        path.to_str().unwrap(),
    )];
    assert_eq!(
        load("", &vars).unwrap().config.csp,
        load("", &[]).unwrap().config.csp
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn row_119_any_file_gives_a_policy_that_is_a_header_or_a_mistake(source in "\\PC{0,24}", directive in "[a-z-]{1,12}") {
        let quoted = serde_json::to_string(&source).unwrap();
        let file = File::new("prop", &format!("directives:\n  {directive}: [{quoted}]\n  img-src: [{quoted}]\n"));
        let vars = [("PROXY_CSP_CONFIG_FILE_LOCATION", file.path())];
        if let Ok(loaded) = load("", &vars) {
            for source in loaded.config.csp.iter().flat_map(|(_, sources)| sources) {
                prop_assert!(http::HeaderValue::from_str(source).is_ok() && !source.contains(';'), "{}", source);
            }
        }
    }
}
