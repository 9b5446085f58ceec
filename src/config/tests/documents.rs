use std::collections::BTreeSet;
use std::path::Path;

use regex::Regex;

use super::load;
use crate::config::{Origin, Vars as _, reference, schema, table};

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Fails if a page that is written from the table is not as the table is now; with `UPDATE=1` writes it.
fn written(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if crate::config::ProcessVars.var("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    assert_eq!(file(name), text, "run: UPDATE=1 cargo test --lib documents");
}

#[test]
fn the_settings_page_is_what_the_table_writes() {
    written("docs/settings.md", &reference::markdown());
}

#[test]
fn the_schemas_are_what_the_table_writes() {
    let text = |schema: serde_json::Value| format!("{schema:#}\n");
    written("docs/schema/proxy.schema.json", &text(schema::proxy()));
    written("docs/schema/csp.schema.json", &text(schema::csp()));
}

#[test]
fn the_example_is_what_the_table_writes_and_has_every_key() {
    let text = reference::example();
    written("proxy.yaml.example", &text);
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

#[test]
fn every_key_is_a_line_of_the_table_once() {
    let declared = Regex::new(r"(?m)^pub\(crate\) const ([A-Z_0-9]+): Key<").unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/table");
    let mut keys = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for found in declared.captures_iter(&text) {
            let line = format!("    {}.setting,\n", &found[1]);
            assert_eq!(text.matches(&line).count(), 1, "{} in {path:?}", &found[1]);
            keys += 1;
        }
    }
    let lines: BTreeSet<&str> = table::settings().map(|setting| setting.key).collect();
    assert_eq!(lines.len(), keys, "two lines have one key");
}
