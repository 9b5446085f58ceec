//! The Helm chart: values and templates as they are, and what Helm made of them, which deploy/scripts/helm-check leaves in
//! tests/data/helm. Helm itself is not started here.

use std::collections::BTreeSet;
use std::fs;

use regex::Regex;
use serde_yaml::Value;

use super::{KNOWN, Site, assert_known, documents, root, variables};

const CHART: &str = "deploy/helm/davgate";

fn values() -> Value {
    documents(&format!("{CHART}/values.yaml")).remove(0)
}

/// Name and text of each template.
fn templates() -> Vec<(String, String)> {
    let folder = fs::read_dir(root().join(CHART).join("templates")).unwrap();
    let files: Vec<_> = folder
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read_to_string(entry.path()).unwrap())
        })
        .collect();
    assert!(files.len() > 5);
    files
}

#[test]
fn the_charts_settings_and_secrets_are_settings_and_are_taken() {
    let values = values();
    let mut vars = variables(&values["settings"]);
    for (name, _) in variables(&values["secrets"]["variables"]) {
        vars.insert(name, "from-a-secret".to_owned());
    }
    for (name, key) in variables(&values["secrets"]["files"]) {
        vars.insert(
            format!("{name}_FILE"),
            format!("/run/secrets/davgate/{key}"),
        );
    }
    assert_known(CHART, vars.keys());
    Site::new(&vars).is_fine(CHART);
}

#[test]
fn what_a_template_names_is_a_value_and_a_setting() {
    let values = values();
    let path = Regex::new(r"\.Values((?:\.[A-Za-z]+)+)").unwrap();
    let setting = Regex::new(r"(?m)^ +([A-Z]+_[A-Z0-9_]+): ").unwrap();
    let mut named = BTreeSet::new();
    for (file, text) in templates() {
        for found in path.captures_iter(&text) {
            let mut value = &values;
            for part in found[1].split('.').skip(1) {
                value = &value[part];
            }
            assert!(!value.is_null(), "{file}: no value {}", &found[1]);
            named.insert(found[1].split('.').nth(1).unwrap().to_owned());
        }
        for found in setting.captures_iter(&text) {
            assert!(KNOWN.contains(&found[1]), "{file}: {}", &found[1]);
        }
    }
    let keys = values.as_mapping().unwrap().keys();
    let unused: Vec<_> = keys
        .filter(|key| !named.contains(key.as_str().unwrap()))
        .collect();
    assert!(
        unused.is_empty(),
        "values that no template reads: {unused:?}"
    );
}

#[test]
fn what_a_template_opens_it_closes() {
    let action = Regex::new(r"\{\{-?\s*(\w+)").unwrap();
    for (file, text) in templates() {
        assert_eq!(
            text.matches("{{").count(),
            text.matches("}}").count(),
            "{file}"
        );
        let mut open = 0_i32;
        for found in action.captures_iter(&text) {
            match &found[1] {
                "if" | "range" | "with" | "define" => open += 1,
                "end" => open -= 1,
                _ => {}
            }
            assert!(open >= 0, "{file}: an `end` too many");
        }
        assert_eq!(open, 0, "{file}");
    }
}

#[test]
fn the_chart_is_of_this_release() {
    let chart = documents(&format!("{CHART}/Chart.yaml")).remove(0);
    assert_eq!(
        chart["appVersion"].as_str(),
        Some(env!("CARGO_PKG_VERSION"))
    );
}

/// What Helm made of the chart; deploy/scripts/helm-check writes it.
const RENDERED: [&str; 3] = ["default", "everything", "little"];

/// As the script adds it up: `sha256sum` of each file, and of those lines.
fn sum() -> String {
    let mut files = Vec::new();
    let chart = root().join(CHART);
    super::collect(&chart, &mut files);
    let mut names: Vec<String> = files
        .iter()
        .map(|path| {
            path.strip_prefix(&chart)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .map(|name| format!("./{name}"))
        .collect();
    names.sort();
    let hex = |bytes: &[u8]| {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
        data_encoding::HEXLOWER.encode(digest.as_ref())
    };
    let lines: String = names
        .iter()
        .map(|name| format!("{}  {name}\n", hex(&fs::read(chart.join(name)).unwrap())))
        .collect();
    hex(lines.as_bytes())
}

#[test]
fn what_helm_renders_fits_together_and_its_settings_are_taken() {
    let sum = sum();
    for name in RENDERED {
        let path = format!("tests/data/helm/{name}.yaml");
        let text = super::read(&path);
        assert!(
            text.lines().next().unwrap().ends_with(&sum),
            "{path} is of another chart: run deploy/scripts/helm-check"
        );
        let documents: Vec<Value> = documents(&path)
            .into_iter()
            // A NATS beside it has a service of its own.
            .filter(|one| one["metadata"]["name"] != "davgate-nats")
            .collect();
        if name != "little" {
            super::kubernetes::fits_together(&documents);
        }
        let files = documents
            .iter()
            .find(|one| one["metadata"]["name"] == "davgate-files");
        let documents: Vec<Value> = documents
            .iter()
            .filter(|one| one["metadata"]["name"] != "davgate-files")
            .cloned()
            .collect();
        let vars = super::kubernetes::environment(&documents);
        assert_known(&path, vars.keys());
        let mut site = Site::new(&vars);
        if let Some(files) = files {
            let file = |name: &str| files["data"][name].as_str().unwrap();
            site = site.config_file("proxy.yaml", file("proxy.yaml"));
            let csp = site.here(&vars["PROXY_CSP_CONFIG_FILE_LOCATION"]);
            fs::write(csp, file("csp.yaml")).unwrap();
        }
        site.is_fine(&path);
    }
}
