//! Pages that code, tests and other pages name are there, so that a reader is never sent to what he does not have; and what
//! a page names by number is on it.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

const FOLDERS: [&str; 5] = ["src", "tests", "benches", "deploy", "docs"];
const FILES: [&str; 9] = [
    "build.rs",
    "Cargo.toml",
    "clippy.toml",
    "deny.toml",
    "Makefile",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
];

/// Folders that tools fill.
const FOREIGN: [&str; 2] = ["node_modules", "target"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn texts() -> Vec<(PathBuf, String)> {
    let mut files: Vec<PathBuf> = FILES.map(|name| root().join(name)).to_vec();
    for folder in FOLDERS {
        collect(&root().join(folder), &mut files);
    }
    let read = |path: PathBuf| Some((path.clone(), fs::read_to_string(path).ok()?));
    files.into_iter().filter_map(read).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() && !FOREIGN.contains(&name.as_str()) {
            collect(&path, files);
        } else if path.is_file() {
            files.push(path);
        }
    }
}

fn short(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}

#[test]
fn every_page_that_is_named_is_there() {
    let page = Regex::new(r"[A-Za-z0-9_./-]*[A-Za-z0-9_-]+\.md\b").unwrap();
    let mut missing = Vec::new();
    for (path, text) in texts() {
        // The pages brought over name files of other projects.
        if path.starts_with(root().join("docs/design")) || path.ends_with("tests/it/pages.rs") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            // Addresses of others' pages.
            if line.contains("https://") || line.contains("http://") {
                continue;
            }
            for found in page.find_iter(line) {
                let name = found.as_str().trim_start_matches(['-', '.', '/']);
                let beside = path.parent().unwrap().join(name);
                let of = |folder: &str| root().join(folder).join(name);
                let is_there = [root().join(name), of("docs"), of("benches"), beside]
                    .iter()
                    .any(|place| place.is_file());
                if !is_there {
                    missing.push(format!("{}:{}: {name}", short(&path), number + 1));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn every_section_of_a_design_page_that_is_named_is_on_it() {
    let reference =
        Regex::new(r"docs/design/(contract|hardening|identity-providers|design)\.md ([A-Z]?[0-9]+(?:\.[0-9]+)?|[A-B](?:\.[0-9])?)\b")
            .unwrap();
    let heading =
        Regex::new(r"(?m)^#{2,3} ([A-Z]?[0-9]+(?:\.[0-9]+)?|[A-B](?:\.[0-9])?)(?:-[0-9.]+)?[. ]")
            .unwrap();
    let mut missing = Vec::new();
    for (path, text) in texts() {
        for (number, line) in text.lines().enumerate() {
            for found in reference.captures_iter(line) {
                let (page, section) = (&found[1], &found[2]);
                let page =
                    fs::read_to_string(root().join(format!("docs/design/{page}.md"))).unwrap();
                // Sections of a chapter without headings of their own are its items: `V0.7`, `2.3`.
                let chapter = section.split('.').next().unwrap();
                let is_there = heading
                    .captures_iter(&page)
                    .any(|found| &found[1] == section || &found[1] == chapter);
                // Rows of a table, faults of the plan, traps: `hardening.md F9`, `hardening.md 121`.
                let is_row = Regex::new(&format!(r"\b{section}\b"))
                    .unwrap()
                    .is_match(&page);
                if !is_there && !is_row {
                    missing.push(format!("{}:{}: {}", short(&path), number + 1, &found[0]));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// The pages of the book, as its list of contents names them.
fn pages_of_the_book() -> Vec<String> {
    let summary = fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    let link = Regex::new(r"\]\(([^)]+)\)").unwrap();
    link.captures_iter(&summary)
        .map(|found| found[1].to_owned())
        .collect()
}

#[test]
fn every_page_is_in_the_book_once() {
    let mut files = Vec::new();
    collect(&root().join("docs"), &mut files);
    let mut pages: Vec<String> = files
        .iter()
        .map(|path| path.strip_prefix(root().join("docs")).unwrap())
        .map(|path| path.to_str().unwrap().to_owned())
        .filter(|path| path.ends_with(".md") && path != "SUMMARY.md")
        .collect();
    pages.sort();
    let mut named = pages_of_the_book();
    named.sort();
    assert_eq!(named, pages);
}

/// What GitHub and mdBook make of a heading.
fn anchor(heading: &str) -> String {
    heading
        .trim()
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[test]
fn every_link_of_a_page_leads_somewhere() {
    let link = Regex::new(r"\[[^\]]*\]\(([^)\s]+)\)").unwrap();
    let code = Regex::new(r"(?s)```.*?```|`[^`\n]*`").unwrap();
    let mut broken = Vec::new();
    let texts = texts();
    let pages = texts
        .iter()
        .filter(|(path, _)| path.extension().is_some_and(|end| end == "md"));
    for (path, text) in pages {
        for found in link.captures_iter(&code.replace_all(text, "")) {
            let target = &found[1];
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, place) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() {
                path.clone()
            } else {
                path.parent().unwrap().join(file)
            };
            let mut holds = file.exists();
            if holds && !place.is_empty() {
                let there = fs::read_to_string(&file).unwrap();
                holds = there
                    .lines()
                    .filter(|line| line.starts_with('#'))
                    .any(|line| anchor(line.trim_start_matches('#')) == place);
            }
            if !holds {
                broken.push(format!("{}: {target}", short(path)));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
