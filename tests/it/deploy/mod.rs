//! The files in deploy/ and the samples of the pages: each parses, each setting in it is one of the table, and davgate takes
//! them as they stand, as far as that can be known without anybody to talk to.

mod compose;
mod helm;
mod kubernetes;
mod samples;
mod systemd;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use regex::Regex;
use serde_yaml::Value;

use crate::support::files::Folder;

/// Variables, by name.
type Variables = BTreeMap<String, String>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every variable that davgate knows, as `config env` tells them, in both flavours; of secrets the form with `_FILE` too.
static KNOWN: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let mut known = BTreeSet::new();
    for args in [&["config", "env"][..], &["config", "env", "--ocis"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_davgate"))
            .args(args)
            .env_clear()
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mut names: Vec<&str> = Vec::new();
        for line in text.lines() {
            let Some(detail) = line.strip_prefix("    ") else {
                names = line.split(" < ").collect();
                known.extend(names.iter().copied().filter(is_name).map(str::to_owned));
                continue;
            };
            if detail.starts_with("secret") {
                known.extend(names.iter().map(|name| format!("{name}_FILE")));
            }
        }
    }
    for name in ["CONFIG_DIR", "BASE_DATA_PATH"] {
        known.insert(format!("OCIS_{name}"));
    }
    assert!(known.len() > 200, "{known:?}");
    assert!(known.contains("OC_JWT_SECRET_FILE"), "{known:?}");
    known
});

fn is_name(word: &&str) -> bool {
    let mut letters = word.chars();
    letters.next().is_some_and(|c| c.is_ascii_alphabetic())
        && letters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Fails with the names that are not in the table.
#[track_caller]
fn assert_known<'a>(place: &str, names: impl IntoIterator<Item = &'a String>) {
    let unknown: Vec<&String> = names
        .into_iter()
        .filter(|name| !KNOWN.contains(*name))
        .collect();
    assert!(
        unknown.is_empty(),
        "{place}: no settings of davgate: {unknown:?}"
    );
}

/// davgate as it would be started with these settings, but that files are in a folder of the test's.
struct Site {
    folder: Folder,
    vars: Variables,
}

impl Site {
    /// Paths in values are laid below a folder of this test's own, where a file of that kind is made: a certificate with its
    /// key, or a secret.
    fn new(vars: &Variables) -> Self {
        let folder = Folder::new("site");
        let mut site = Self {
            folder,
            vars: Variables::new(),
        };
        for name in ["config", "data"] {
            fs::create_dir_all(site.folder.0.join(name)).unwrap();
        }
        let made = rcgen::generate_simple_self_signed(["cloud.example.org".to_owned()]).unwrap();
        for (name, value) in vars {
            let is_folder = name.ends_with("_CONFIG_DIR") || name.ends_with("_DATA_PATH");
            let value = if value.starts_with('/') && !is_folder {
                let path = site.here(value);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                let content = if name.ends_with("_KEY") {
                    made.signing_key.serialize_pem()
                } else if name.ends_with("_CERT") || name.ends_with("CACERT") {
                    made.cert.pem()
                } else {
                    "0123456789abcdef0123456789abcdef".to_owned()
                };
                if !path.exists() {
                    fs::write(&path, content).unwrap();
                }
                path.display().to_string()
            } else {
                value.clone()
            };
            if !is_folder {
                site.vars.insert(name.clone(), value);
            }
        }
        let ocis = vars.keys().any(|name| name.starts_with("OCIS_"));
        let prefix = if ocis { "OCIS" } else { "OC" };
        for (name, folder) in [("CONFIG_DIR", "config"), ("BASE_DATA_PATH", "data")] {
            let path = site.folder.0.join(folder).display().to_string();
            site.vars.insert(format!("{prefix}_{name}"), path);
        }
        site
    }

    /// Where a file of the site is here.
    fn here(&self, path: &str) -> PathBuf {
        self.folder
            .0
            .join("root")
            .join(path.trim_start_matches('/'))
    }

    fn config_file(self, name: &str, content: &str) -> Self {
        fs::write(self.folder.0.join("config").join(name), content).unwrap();
        self
    }

    /// What `opencloud init` and `ocis init` leave for the other services.
    fn with_secrets_of_the_deployment(self) -> Self {
        let name = if self.vars.contains_key("OCIS_CONFIG_DIR") {
            "ocis.yaml"
        } else {
            "opencloud.yaml"
        };
        self.config_file(
            name,
            "token_manager:\n  jwt_secret: 0123456789abcdef0123456789abcdef\n\
             machine_auth_api_key: 0123456789abcdef\n\
             transfer_secret: 0123456789abcdef\n\
             proxy:\n  service_account:\n    service_account_id: some-id\n    service_account_secret: some-secret\n",
        )
    }

    /// What `davgate config check` says, which has to be fine and without a word about an unknown or mistaken setting.
    #[track_caller]
    fn is_fine(&self, place: &str) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_davgate"))
            .args(["config", "check"])
            .env_clear()
            .envs(&self.vars)
            .output()
            .unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success(), "{place}: {said}\n{:?}", self.vars);
        assert!(!said.contains("did you mean"), "{place}: {said}");
        assert!(!said.contains("unknown"), "{place}: {said}");
        said
    }
}

/// The documents of a YAML file.
fn documents(path: &str) -> Vec<Value> {
    parse(path, &read(path))
}

fn parse(place: &str, text: &str) -> Vec<Value> {
    text.split("\n---\n")
        .map(|part| {
            serde_yaml::from_str(part).unwrap_or_else(|error| panic!("{place}: {error}\n{part}"))
        })
        .filter(|document| *document != Value::Null)
        .collect()
}

/// A mapping of names to scalars, as variables.
#[track_caller]
fn variables(value: &Value) -> Variables {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Bool(is) => is.to_string(),
        Value::Number(number) => number.to_string(),
        other => panic!("no text: {other:?}"),
    };
    value
        .as_mapping()
        .unwrap()
        .iter()
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}

/// `NAME=value` lines of an environment file.
fn lines_of_variables(text: &str) -> Variables {
    let line = Regex::new(r"(?m)^([A-Za-z_][A-Za-z0-9_]*)=(.*)$").unwrap();
    line.captures_iter(text)
        .map(|found| (found[1].to_owned(), found[2].trim().to_owned()))
        .collect()
}

#[test]
fn every_yaml_file_of_deploy_parses() {
    let mut files = Vec::new();
    collect(&root().join("deploy"), &mut files);
    let files: Vec<_> = files
        .iter()
        .map(|path| path.strip_prefix(root()).unwrap().to_str().unwrap())
        .filter(|path| path.ends_with(".yaml") || path.ends_with(".yml"))
        // Templates are text until they are rendered.
        .filter(|path| !path.contains("/templates/"))
        .collect();
    assert!(files.len() > 8, "{files:?}");
    for path in files {
        assert!(!documents(path).is_empty(), "{path} is empty");
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}
