//! The samples of README and of the pages below docs/: each variable is a setting, each `proxy.yaml` and each environment is one
//! that davgate takes.

use std::collections::BTreeSet;

use regex::Regex;
use serde_yaml::Value;

use super::{KNOWN, Site, Variables, collect, read, root};

/// Settings of the services beside davgate that pages name.
const OF_OTHERS: &[&str] = &[
    "OC_EXCLUDE_RUN_SERVICES",
    "OCIS_EXCLUDE_RUN_SERVICES",
    "OC_ADD_RUN_SERVICES",
    // Stand for any name in docs/settings.md.
    "OC_X",
    "OCIS_X",
];

/// A code block of a page: its language, its text, and where it begins.
struct Block {
    place: String,
    language: String,
    text: String,
}

/// README and the pages, but for those about how davgate is made.
fn pages() -> Vec<(String, String)> {
    let mut files = vec![root().join("README.md")];
    collect(&root().join("docs"), &mut files);
    files
        .iter()
        .map(|path| path.strip_prefix(root()).unwrap().to_str().unwrap())
        .filter(|path| path.ends_with(".md") && !path.starts_with("docs/design/"))
        .map(|path| (path.to_owned(), read(path)))
        .collect()
}

fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    for (page, text) in pages() {
        let mut open: Option<Block> = None;
        for (number, line) in text.lines().enumerate() {
            let fence = line.trim_start().strip_prefix("```");
            match (&mut open, fence) {
                (None, Some(language)) => {
                    open = Some(Block {
                        place: format!("{page}:{}", number + 1),
                        language: language.to_owned(),
                        text: String::new(),
                    });
                }
                (Some(_), Some(_)) => {
                    let block = open.take().unwrap();
                    blocks.extend(files_within(&block));
                    blocks.push(block);
                }
                (Some(block), None) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{page}: a block without an end");
    }
    blocks
}

/// Files that a block of commands writes: `<<'YAML'` up to `YAML`.
fn files_within(block: &Block) -> Vec<Block> {
    let file = Regex::new(r"(?s)<<'YAML'\n(.*?\n)YAML\n").unwrap();
    file.captures_iter(&block.text)
        .map(|found| Block {
            place: block.place.clone(),
            language: "yaml".to_owned(),
            text: found[1].to_owned(),
        })
        .collect()
}

/// The `NAME=value` of a block of shell lines, several on a line too; without those of commands that are run.
fn exported(text: &str) -> Variables {
    let assignment = Regex::new(r#"([A-Z][A-Z0-9_]*)=("[^"]*"|\S*)"#).unwrap();
    let only_assignments =
        Regex::new(r"^[A-Z][A-Z0-9_]*=\S*( +[A-Z][A-Z0-9_]*=\S*)*( +#.*)?$").unwrap();
    let mut vars = Variables::new();
    for line in text.lines() {
        let line = line.trim_start();
        let words = line.strip_prefix("export ").unwrap_or(line);
        let is_assignment = only_assignments.is_match(words);
        if !is_assignment {
            continue;
        }
        let words = words.split(" #").next().unwrap();
        for found in assignment.captures_iter(words) {
            vars.insert(found[1].to_owned(), found[2].trim_matches('"').to_owned());
        }
    }
    vars
}

#[test]
fn every_variable_that_a_page_names_is_a_setting() {
    let name = Regex::new(r"\b(?:PROXY|OC|OCIS)_[A-Z0-9_]*[A-Z0-9]\b[*_]?").unwrap();
    let mut unknown = BTreeSet::new();
    for (page, text) in pages() {
        for found in name.find_iter(&text) {
            let name = found.as_str();
            let is_known = KNOWN.contains(name)
                || KNOWN.contains(&name.replacen("OC_", "OCIS_", 1))
                || OF_OTHERS.contains(&name)
                // `PROXY_AUTOPROVISION_CLAIM_*`, or the first part of a group of names.
                || name.ends_with(['*', '_'])
                || text[found.end()..].starts_with("_*")
                || text[found.end()..].starts_with('*');
            if !is_known {
                unknown.insert(format!("{page}: {name}"));
            }
        }
    }
    assert!(unknown.is_empty(), "no settings: {unknown:#?}");
}

#[test]
fn every_proxy_yaml_of_a_page_is_taken() {
    let example: Value = serde_yaml::from_str(&read("proxy.yaml.example")).unwrap();
    let keys = example.as_mapping().unwrap();
    let mut count = 0;
    for block in blocks() {
        if block.language != "yaml" {
            continue;
        }
        let value: Value = serde_yaml::from_str(&block.text)
            .unwrap_or_else(|error| panic!("{}: {error}", block.place));
        let ours = value
            .as_mapping()
            .is_some_and(|mapping| mapping.keys().all(|key| keys.contains_key(key)));
        if !ours {
            continue;
        }
        count += 1;
        let vars = [
            ("OC_URL", "https://cloud.example.org"),
            ("PROXY_ACCOUNT_BACKEND_TYPE", "embedded"),
            ("PROXY_AUTOPROVISION_ACCOUNTS", "true"),
            ("PROXY_JWT_SECRET", "0123456789abcdef0123456789abcdef"),
        ];
        let mut vars: Variables = vars
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        if value.get("oidc").is_none() {
            let issuer = "https://login.example.org/realms/main".to_owned();
            vars.insert("PROXY_OIDC_ISSUER".to_owned(), issuer);
        }
        Site::new(&vars)
            .config_file("proxy.yaml", &block.text)
            .is_fine(&block.place);
    }
    assert!(count >= 2, "{count} blocks are proxy.yaml");
}

#[test]
fn every_environment_of_a_page_is_taken() {
    let mut count = 0;
    for block in blocks() {
        let mut vars = exported(&block.text);
        vars.retain(|name, _| KNOWN.contains(name));
        // Words like https://... stand for what the reader has.
        if vars.len() < 2 || vars.values().any(|value| value.contains("...")) {
            continue;
        }
        count += 1;
        let ocis = vars.keys().any(|name| name.starts_with("OCIS_"));
        let (url, issuer) = if ocis {
            ("OCIS_URL", "OCIS_OIDC_ISSUER")
        } else {
            ("OC_URL", "OC_OIDC_ISSUER")
        };
        for (name, value) in [
            (url, "https://cloud.example.org"),
            (issuer, "https://login.example.org/realms/main"),
        ] {
            if !vars
                .keys()
                .any(|given| given.ends_with(&name[name.find('_').unwrap()..]))
            {
                vars.insert(name.to_owned(), value.to_owned());
            }
        }
        Site::new(&vars)
            .with_secrets_of_the_deployment()
            .is_fine(&block.place);
    }
    assert!(count >= 4, "{count} blocks are environments");
}
