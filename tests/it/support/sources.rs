//! The project's own source text, for tests that hold what is written there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use regex::Regex;

/// What the pattern's first group captures in the Rust files of the folders, which are named from the project's.
pub(crate) fn captured(folders: &[&str], pattern: &Regex) -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = BTreeSet::new();
    for folder in folders {
        collect(&root.join(folder), pattern, &mut found);
    }
    found
}

fn collect(folder: &Path, pattern: &Regex, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, pattern, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(path).unwrap();
            let matches = pattern.captures_iter(&text);
            found.extend(matches.map(|captures| captures[1].to_owned()));
        }
    }
}
