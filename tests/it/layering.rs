//! A file imports only lower tiers, and some crates only have one home. The tables below are the architecture.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// Top-level modules, lowest first. Those of one row never import each other.
const TIERS: &[&[&str]] = &[
    &["model"],
    &["config"],
    &["cli", "forwarded", "headers", "telemetry", "trust"],
    &["body"],
    &["client", "credentials", "stores"],
    &["services"],
    &["rpc"],
    &["events", "identity", "roles"],
    &["accounts", "auth", "routes", "security_headers"],
    &["login"],
    &["session"],
    &["replicas"],
    &["process", "upstream"],
    &["error"],
    &["admin", "answer", "server"],
    &["local", "reload"],
    &["check", "explain", "pipeline"],
    &["gateway"],
    &["main"],
];

/// Crates whose types stay behind one door, and the files (or folders) that are the door.
const HOMES: &[(&str, &[&str])] = &[
    ("anyhow", &["main"]),
    ("async_nats", &["stores"]),
    ("jsonwebtoken", &["auth", "identity"]),
    ("ldap3", &["accounts/ldap", "config/ldap_syntax"]),
    ("moka", &["replicas", "session"]),
    ("openidconnect", &["auth"]),
    ("prometheus_client", &["telemetry"]),
    ("prost", &["rpc"]),
    ("redis", &["stores"]),
    ("rusqlite", &["accounts/embedded"]),
    ("saphyr_parser", &["config"]),
    ("serde_yaml", &["config"]),
    ("tonic", &["rpc"]),
];

#[test]
fn files_import_only_lower_tiers() {
    let mut faults = Vec::new();
    for (file, text) in sources() {
        let module = module_of(&file);
        let Some(tier) = tier_of(&module) else {
            faults.push(format!(
                "{file}: give `{module}` a tier in tests/it/layering.rs"
            ));
            continue;
        };
        for imported in imports(&text) {
            if imported != module && tier_of(&imported).is_none_or(|other| other >= tier) {
                faults.push(format!("{file}: `{module}` must not import `{imported}`"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn crates_stay_in_their_homes() {
    let mut faults = Vec::new();
    for (name, homes) in HOMES {
        let path = Regex::new(&format!(r"\b{name}::|\buse {name}\b")).unwrap();
        for (file, text) in sources() {
            let at_home = homes.iter().any(|home| {
                let rest = file.strip_prefix(home);
                rest.is_some_and(|rest| rest.starts_with(['/', '.']))
            });
            if !at_home && path.is_match(&text) {
                faults.push(format!("{file}: `{name}` belongs into {homes:?}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn imports_are_found_in_every_form() {
    let text = "use crate::a::B;\nlet x = crate::b::c();\nuse crate::{c::D, d::{e, f}, g};\nuse $crate::z;";
    let found: Vec<String> = imports(text).into_iter().collect();
    assert_eq!(found, ["a", "b", "c", "d", "g"]);
}

/// Every file below `src`, by its path there, without comments.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(!files.is_empty());
    let source = |file: PathBuf| {
        let text = fs::read_to_string(&file).unwrap();
        let is_code = |line: &&str| !line.trim_start().starts_with("//");
        let code: Vec<&str> = text.lines().filter(is_code).collect();
        let path = file.strip_prefix(&root).unwrap().to_str().unwrap();
        (path.to_owned(), code.join("\n"))
    };
    let files = files.into_iter().map(source);
    files.filter(|(path, _)| path != "lib.rs").collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn module_of(file: &str) -> String {
    let end = file.find(['/', '.']).unwrap();
    file[..end].to_owned()
}

fn tier_of(module: &str) -> Option<usize> {
    TIERS.iter().position(|tier| tier.contains(&module))
}

/// Top-level modules named after `crate::`, also in one `use` with braces.
fn imports(text: &str) -> BTreeSet<String> {
    let mut modules = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        if text[..at].ends_with('$') {
            continue;
        }
        let rest = &text[at + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            modules.insert(word(rest));
            continue;
        };
        let mut depth = 0;
        let mut item = true;
        for (at, c) in group.char_indices() {
            match c {
                '}' if depth == 0 => break,
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => item = true,
                c if item && c.is_alphabetic() => {
                    modules.insert(word(&group[at..]));
                    item = false;
                }
                _ => {}
            }
        }
    }
    // `crate::CONST` and the like live in lib.rs and are no module.
    modules.retain(|module| module.starts_with(|c: char| c.is_lowercase()));
    modules
}

fn word(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}
