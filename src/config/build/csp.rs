//! The Content-Security-Policy: the release's, a file's, merged or replaced (docs/design/contract.md 9.11).

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_yaml::Value;

use super::Build;
use crate::config::document::Document;
use crate::config::notes::{Notes, Place};
use crate::config::scalar::scalar_text;
use crate::config::table::routes;
use crate::config::{Compat, Flavor, suggest};

/// Directive names and their sources.
type Directives = BTreeMap<String, Vec<String>>;

/// The directives to send, in order of their names. What is wrong is noted.
pub(crate) fn load(build: &mut Build<'_>) -> Vec<(String, Vec<String>)> {
    let mut directives = built_in(build.boot.compat);
    let replaces = routes::CSP_CONFIG_FILE_OVERRIDE_LOCATION;
    let merges = routes::CSP_CONFIG_FILE_LOCATION;
    let (key, path) = if let Some(path) = build.values.get(replaces) {
        (replaces, Some(path))
    } else if let Some(path) = build.values.get(merges) {
        (merges, Some(path))
    } else {
        (
            merges,
            Some(default_file(build)).filter(|path| path.is_file()),
        )
    };
    let Some(path) = path else {
        return directives.into_iter().collect();
    };
    let before = build.notes.mistakes.len();
    let document = Document::read(&path, build.vars, build.notes);
    build.files.push(path.clone());
    let Some(document) = document else {
        if build.notes.mistakes.len() == before {
            build.wrong(
                key,
                format!("names {}, which does not exist", path.display()),
            );
        }
        return Vec::new();
    };
    let own = read(&document, build.notes);
    if key.path() == merges.path() && merges_files(build.boot.compat) {
        merge(&mut directives, own);
    } else {
        directives = own;
    }
    check(&directives, &document, build.notes);
    directives.into_iter().collect()
}

fn default_file(build: &Build<'_>) -> PathBuf {
    build.boot.data_dir.join("proxy/csp.yaml")
}

fn merges_files(compat: Compat) -> bool {
    compat.flavor() == Flavor::OpenCloud && compat >= Compat::OpenCloud4
}

/// What a release sends without a file.
pub(crate) fn built_in(compat: Compat) -> Directives {
    let apps = "https://raw.githubusercontent.com/opencloud-eu/awesome-apps/";
    let old_apps = "https://raw.githubusercontent.com/opencloud-eu/awesome/";
    let (connect, images): (&[&str], &[&str]) = match (compat.flavor(), merges_files(compat)) {
        (Flavor::Ocis, _) => (&["'self'"], &["'self'", "data:", "blob:"]),
        (Flavor::OpenCloud, false) => (
            &["'self'", "blob:", old_apps],
            &["'self'", "data:", "blob:", old_apps],
        ),
        (Flavor::OpenCloud, true) => (
            &["'self'", "blob:", apps, "https://update.opencloud.eu/"],
            &["'self'", "data:", "blob:", apps],
        ),
    };
    let fixed: [(&str, &[&str]); 12] = [
        ("child-src", &["'self'"]),
        ("connect-src", connect),
        ("default-src", &["'none'"]),
        ("font-src", &["'self'"]),
        ("frame-ancestors", &["'self'"]),
        (
            "frame-src",
            &["'self'", "blob:", "https://embed.diagrams.net/"],
        ),
        ("img-src", images),
        ("manifest-src", &["'self'"]),
        ("media-src", &["'self'"]),
        ("object-src", &["'self'", "blob:"]),
        ("script-src", &["'self'", "'unsafe-inline'"]),
        ("style-src", &["'self'", "'unsafe-inline'"]),
    ];
    fixed
        .into_iter()
        .map(|(name, sources)| {
            (
                name.to_owned(),
                sources.iter().map(|s| (*s).to_owned()).collect(),
            )
        })
        .collect()
}

fn read(document: &Document, notes: &mut Notes) -> Directives {
    let mut directives = Directives::new();
    if let Some(map) = document.tree.as_mapping() {
        for name in map
            .keys()
            .filter_map(scalar_text)
            .filter(|name| name != "directives")
        {
            notes.warn(format!(
                "{}: unknown key, it has no effect",
                document.place(&name)
            ));
        }
    }
    let Some(map) = document.at("directives").and_then(Value::as_mapping) else {
        notes.mistake(
            document.place("directives"),
            "is missing; it has to be a map of directive to list of sources",
        );
        return directives;
    };
    for (name, value) in map {
        let name = scalar_text(name).unwrap_or_default();
        let place = document.place(&format!("directives.{name}"));
        let items = match value {
            Value::Null => Vec::new(),
            Value::Sequence(items) => items.iter().map(scalar_text).collect(),
            single => vec![scalar_text(single)],
        };
        match items.into_iter().collect::<Option<Vec<String>>>() {
            // A reference to a variable that is not set leaves nothing behind.
            Some(sources) => {
                directives.insert(
                    name,
                    sources
                        .into_iter()
                        .filter(|source| !source.is_empty())
                        .collect(),
                );
            }
            None => notes.mistake(place, "has to be a list of texts"),
        }
    }
    directives
}

/// Adds sources that are not there yet, in order.
fn merge(directives: &mut Directives, own: Directives) {
    for (name, sources) in own {
        let all = directives.entry(name).or_default();
        for source in sources {
            if !all.contains(&source) {
                all.push(source);
            }
        }
    }
}

/// Every directive there is, the outdated ones that browsers still know included.
pub(crate) const DIRECTIVES: &[&str] = &[
    "base-uri",
    "block-all-mixed-content",
    "child-src",
    "connect-src",
    "default-src",
    "fenced-frame-src",
    "font-src",
    "form-action",
    "frame-ancestors",
    "frame-src",
    "img-src",
    "manifest-src",
    "media-src",
    "navigate-to",
    "object-src",
    "plugin-types",
    "prefetch-src",
    "report-to",
    "report-uri",
    "require-sri-for",
    "require-trusted-types-for",
    "sandbox",
    "script-src",
    "script-src-attr",
    "script-src-elem",
    "style-src",
    "style-src-attr",
    "style-src-elem",
    "trusted-types",
    "upgrade-insecure-requests",
    "worker-src",
];

fn check(directives: &Directives, document: &Document, notes: &mut Notes) {
    for (name, sources) in directives {
        let place = document.place(&format!("directives.{name}"));
        if let Some(text) = wrong_directive(name, sources) {
            notes.mistake(place.clone(), text);
        }
        for source in sources {
            check_source(name, source, &place, notes);
        }
    }
}

fn wrong_directive(name: &str, sources: &[String]) -> Option<String> {
    if !DIRECTIVES.contains(&name) {
        let near = suggest::nearest(name, DIRECTIVES.iter().copied());
        let hint = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
        return Some(format!("is no directive{hint}"));
    }
    match (name, sources.is_empty()) {
        ("sandbox", _) => None,
        ("upgrade-insecure-requests" | "block-all-mixed-content", true) => None,
        ("upgrade-insecure-requests" | "block-all-mixed-content", false) => {
            Some("has sources; it takes none, write []".to_owned())
        }
        (_, true) => Some("is an empty list; write \"'none'\" to allow nothing".to_owned()),
        _ => None,
    }
}

/// Words that mean something in single quotes only.
const KEYWORDS: [&str; 8] = [
    "self",
    "none",
    "unsafe-inline",
    "unsafe-eval",
    "unsafe-hashes",
    "strict-dynamic",
    "report-sample",
    "wasm-unsafe-eval",
];

fn check_source(name: &str, source: &str, place: &Place, notes: &mut Notes) {
    if source
        .chars()
        .any(|c| matches!(c, ';' | ',') || c.is_control() || !c.is_ascii())
    {
        notes.mistake(
            place.clone(),
            format!("has {source:?}; a source is ASCII without ; and , and line breaks"),
        );
    } else if KEYWORDS.contains(&source) || source.starts_with("nonce-") {
        notes.warn(format!(
            "{place}: {source} is read as the name of a host; write \"'{source}'\" if the keyword is meant"
        ));
    } else if name == "frame-ancestors"
        && source.starts_with('\'')
        && !matches!(source, "'self'" | "'none'")
    {
        notes.mistake(
            place.clone(),
            format!("has {source}; of quoted words it takes 'self' and 'none'"),
        );
    }
}
