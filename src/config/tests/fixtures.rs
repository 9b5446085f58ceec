//! Files of `tests/fixtures/config`: the valid ones load without a warning, each line of `NAME.expect` beside an invalid
//! one is a part of exactly one of its mistakes. `# env: NAME=value` lines in a file are its variables; files called
//! `csp-*` are read as `csp.yaml`.

use std::path::{Path, PathBuf};

use super::load;
use crate::config::{ConfigErrors, Loaded};

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/config")
        .join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    files.sort();
    files
}

fn load_file(path: &Path) -> Result<Loaded, ConfigErrors> {
    let bytes = std::fs::read(path).unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let mut vars: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# env: "))
        .map(|line| line.split_once('=').unwrap())
        .collect();
    if path
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .starts_with("csp-")
    {
        vars.push(("PROXY_CSP_CONFIG_FILE_LOCATION", path.to_str().unwrap()));
        return load("", &vars);
    }
    load(&text, &vars)
}

#[test]
fn the_valid_files_load_without_a_warning() {
    let files = files("valid");
    assert!(files.len() >= 8, "{}", files.len());
    for path in files {
        let loaded =
            load_file(&path).unwrap_or_else(|errors| panic!("{}: {errors}", path.display()));
        assert_eq!(loaded.warnings, Vec::<String>::new(), "{}", path.display());
    }
}

#[test]
fn the_invalid_files_have_the_mistakes_that_are_expected() {
    let files = files("invalid");
    assert!(files.len() >= 40, "{}", files.len());
    for path in files {
        let errors = load_file(&path)
            .map(|_| ())
            .expect_err(&path.display().to_string());
        let mistakes: Vec<String> = errors.mistakes.iter().map(ToString::to_string).collect();
        let expected = std::fs::read_to_string(path.with_extension("expect")).unwrap();
        for line in expected.lines() {
            let found = mistakes
                .iter()
                .filter(|mistake| mistake.contains(line))
                .count();
            assert_eq!(found, 1, "{}: {line}\n{mistakes:#?}", path.display());
        }
        assert_eq!(
            mistakes.len(),
            expected.lines().count(),
            "{}: {mistakes:#?}",
            path.display()
        );
    }
}
