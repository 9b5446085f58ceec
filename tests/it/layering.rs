//! A file imports only lower tiers, and some crates only have one home. The tables below are the architecture.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// Top-level modules, lowest first. Those of one row never import each other.
const TIERS: &[&[&str]] = &[
    &["fuzz"],
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
    &["command"],
    &["door", "main"],
];

/// Crates whose types stay behind one door, and the files (or folders) that are the door.
const HOMES: &[(&str, &[&str])] = &[
    ("anyhow", &["command"]),
    ("async_nats", &["stores"]),
    ("jsonwebtoken", &["auth", "identity"]),
    ("ldap3", &["accounts/ldap", "config/ldap_syntax"]),
    ("listenfd", &["server"]),
    ("moka", &["accounts/tenants", "replicas", "session"]),
    ("openidconnect", &["auth"]),
    ("prometheus_client", &["telemetry"]),
    ("prost", &["rpc"]),
    ("redis", &["stores"]),
    ("rusqlite", &["accounts/embedded"]),
    ("saphyr_parser", &["config"]),
    ("sd_notify", &["server"]),
    ("serde_yaml", &["config"]),
    ("tonic", &["rpc"]),
    ("tracing_core", &["telemetry"]),
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

/// Folders whose files may import each other in a circle, with the reason.
const CIRCLES: &[(&str, &str)] = &[(
    "upstream/pool",
    "a lease gives its connection back to the pool that lent it",
)];

#[test]
fn files_of_a_folder_import_each_other_in_one_direction() {
    let sources = sources();
    let mut faults = Vec::new();
    for folder in folders(&sources) {
        if CIRCLES.iter().any(|(excused, _)| *excused == folder) {
            continue;
        }
        let mut graph = imports_within(&folder, &sources);
        // Whatever imports nobody of the rest is on no circle.
        loop {
            let done: Vec<String> = graph
                .iter()
                .filter(|(_, imported)| imported.iter().all(|one| !graph.contains_key(one)))
                .map(|(name, _)| name.clone())
                .collect();
            if done.is_empty() {
                break;
            }
            done.iter().for_each(|name| {
                graph.remove(name);
            });
        }
        if !graph.is_empty() {
            faults.push(format!("{folder}: a circle of {graph:?}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_circle_within_a_folder_is_found() {
    let source = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let sources = [
        source("a/x.rs", "use super::y::Y;"),
        source("a/y/mod.rs", "use crate::a::{x::X, z};"),
        source("a/z.rs", "use crate::b;"),
    ];
    let graph = imports_within("a", &sources);
    assert_eq!(graph["x"], BTreeSet::from(["y".to_owned()]));
    assert_eq!(graph["y"], BTreeSet::from(["x".to_owned(), "z".to_owned()]));
    assert!(graph["z"].is_empty());
}

/// Above its folder a file speaks by `crate::`, which the tests above read.
#[test]
fn nobody_climbs_two_folders() {
    let climbs = |(file, text): (String, String)| text.contains("super::super").then_some(file);
    let faults: Vec<String> = sources().into_iter().filter_map(climbs).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_module_with_files_of_its_own_is_a_folder_with_mod_rs() {
    let all: BTreeSet<String> = sources().into_iter().map(|(file, _)| file).collect();
    let beside = |file: &&String| {
        let folder = format!("{}/", file.trim_end_matches(".rs"));
        all.iter().any(|other| other.starts_with(&folder))
    };
    let faults: Vec<&String> = all.iter().filter(beside).collect();
    assert!(faults.is_empty(), "{faults:?}");
}

#[test]
fn imports_are_found_in_every_form() {
    let text = "use crate::a::B;\nlet x = crate::b::c();\nuse crate::{c::D, d::{e, f}, g};\nuse $crate::z;";
    let found: Vec<String> = imports(text).into_iter().collect();
    assert_eq!(found, ["a", "b", "c", "d", "g"]);
}

/// Every folder below `src`.
fn folders(sources: &[(String, String)]) -> BTreeSet<String> {
    let folder = |(file, _): &(String, String)| Some(file.rsplit_once('/')?.0.to_owned());
    sources.iter().filter_map(folder).collect()
}

/// For each file and folder in a folder, but `mod.rs` and tests, the others that it imports.
fn imports_within(
    folder: &str,
    sources: &[(String, String)],
) -> BTreeMap<String, BTreeSet<String>> {
    let within = |file: &str| {
        let rest = file.strip_prefix(folder)?.strip_prefix('/')?;
        let name = &rest[..rest.find(['/', '.'])?];
        (!matches!(name, "mod" | "tests")).then(|| name.to_owned())
    };
    let names: BTreeSet<String> = sources
        .iter()
        .filter_map(|(file, _)| within(file))
        .collect();
    let absolute = format!("crate::{}::", folder.replace('/', "::"));
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, text) in sources {
        let Some(name) = within(file) else { continue };
        let depth = file[folder.len() + 1..].matches('/').count();
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        let mut imported = named_after(text, &absolute);
        if depth == 0 {
            imported.extend(named_after(text, "super::"));
        }
        imported.retain(|one| names.contains(one) && *one != name);
        graph.entry(name).or_default().extend(imported);
    }
    graph
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
    let mut modules = named_after(text, "crate::");
    // `crate::CONST` and the like live in lib.rs and are no module.
    modules.retain(|module| module.starts_with(|c: char| c.is_lowercase()));
    modules
}

/// The words behind a prefix, also in one `use` with braces.
fn named_after(text: &str, prefix: &str) -> BTreeSet<String> {
    let mut modules = BTreeSet::new();
    for (at, _) in text.match_indices(prefix) {
        if text[..at].ends_with(|c: char| c == '$' || c == ':' || c.is_alphanumeric()) {
            continue;
        }
        let rest = &text[at + prefix.len()..];
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
    modules
}

fn word(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// The files that a cell of a table on the page of the architecture names, in order.
fn named_files(text: &str) -> Vec<String> {
    let file = Regex::new(r"`([a-z0-9_/]+\.rs)`").unwrap();
    let found = file.captures_iter(text);
    found.map(|found| found[1].to_owned()).collect()
}

#[test]
fn the_page_of_the_architecture_names_files_that_are_there_and_counts_its_walk_right() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/design/architecture.md")).unwrap();
    for file in named_files(&page) {
        let places = [root.join("src").join(&file), root.join(&file)];
        assert!(places.iter().any(|place| place.exists()), "{file}");
    }
    let folder = Regex::new(r"`([a-z0-9_/]+/)`").unwrap();
    for found in folder.captures_iter(&page) {
        let places = [root.join("src").join(&found[1]), root.join(&found[1])];
        assert!(places.iter().any(|place| place.is_dir()), "{}", &found[1]);
    }
    let numbered = Regex::new(r"(?m)^\| (\d+|[a-z]) \|(.*)$").unwrap();
    let (mut warm, mut cold) = (Vec::new(), Vec::new());
    for row in numbered.captures_iter(&page) {
        let rows = if row[1].parse::<u32>().is_ok() {
            &mut warm
        } else {
            &mut cold
        };
        rows.push(named_files(&row[2]));
    }
    let whole: Vec<_> = [&warm[..9], &cold[..], &warm[9..]].concat();
    let counts = |rows: &[Vec<String>]| {
        let stops: Vec<&String> = rows.iter().flatten().collect();
        let files: BTreeSet<&String> = stops.iter().copied().collect();
        let top = |file: &str| file.split('/').next().map(str::to_owned);
        let crossings = stops.windows(2).filter(|two| top(two[0]) != top(two[1]));
        format!(
            "{} stops in {} files with {} crossings",
            stops.len(),
            files.len(),
            crossings.count()
        )
    };
    let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
    for rows in [&warm, &whole] {
        let counted = format!("**{}**", counts(rows));
        assert!(page.contains(&counted), "{counted}");
    }
}
