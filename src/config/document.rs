//! One YAML file: read with a size limit, its keys held against the table, its strings substituted.

use std::path::{Path, PathBuf};

use serde_yaml::Value;

use super::lines::{Lines, join};
use super::notes::{Notes, Place};
use super::scalar::scalar_text;
use super::substitute::substitute;
use super::vars::Vars;

/// No configuration file is larger than this; it bounds what aliases can blow up to.
const MAX_BYTES: usize = 1024 * 1024;

/// A file's content as a tree, with the lines of its keys.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) path: PathBuf,
    pub(crate) tree: Value,
    pub(crate) lines: Lines,
    reads: Reads,
}

/// Which keys of a file are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reads {
    /// All.
    All,
    /// Of the deployment's file: the section of this service and the keys that services share.
    Own,
}

impl Reads {
    fn reads(self, path: &str) -> bool {
        let shared = || {
            super::table::settings()
                .filter_map(|setting| setting.shared)
                .any(|shared| shared == path)
        };
        self == Self::All || path == "proxy" || path.starts_with("proxy.") || shared()
    }
}

impl Document {
    /// Reads the deployment's own file. It belongs to all services: what it may not be read for, or what it says of others,
    /// is no mistake here.
    pub(crate) fn read_main(path: &Path, vars: &dyn Vars, notes: &mut Notes) -> Option<Self> {
        match std::fs::read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                notes.warn(format!(
                    "{}: cannot be read ({error}); what is set in it has no effect",
                    path.display()
                ));
                return None;
            }
            _ => {}
        }
        Self::read_reading(path, Reads::Own, vars, notes)
    }

    /// Reads a file. `None`: there is none, or it has a mistake.
    pub(crate) fn read(path: &Path, vars: &dyn Vars, notes: &mut Notes) -> Option<Self> {
        Self::read_reading(path, Reads::All, vars, notes)
    }

    fn read_reading(path: &Path, reads: Reads, vars: &dyn Vars, notes: &mut Notes) -> Option<Self> {
        match std::fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Ok(found) if found.len() > MAX_BYTES as u64 => {
                notes.mistake(at(path, None), "is larger than 1 MiB; no configuration is");
                return None;
            }
            _ => {}
        }
        match std::fs::read(path) {
            Ok(bytes) => Self::parse_reading(path, &bytes, reads, vars, notes),
            Err(error) => {
                notes.mistake(at(path, None), format!("cannot be read: {error}"));
                None
            }
        }
    }

    /// Reads a file's bytes. What is wrong is noted.
    pub(crate) fn parse(
        path: &Path,
        bytes: &[u8],
        vars: &dyn Vars,
        notes: &mut Notes,
    ) -> Option<Self> {
        Self::parse_reading(path, bytes, Reads::All, vars, notes)
    }

    fn parse_reading(
        path: &Path,
        bytes: &[u8],
        reads: Reads,
        vars: &dyn Vars,
        notes: &mut Notes,
    ) -> Option<Self> {
        let text = match text_of(bytes) {
            Ok(text) => text,
            Err(error) => {
                notes.mistake(at(path, None), error);
                return None;
            }
        };
        let mut tree = match serde_yaml::from_str::<Value>(text) {
            Ok(tree) => tree,
            Err(error) => {
                let line = error.location().map(|location| location.line());
                notes.mistake(at(path, line), format!("is not valid YAML: {error}"));
                return None;
            }
        };
        if let Err(error) = tree.apply_merge() {
            notes.mistake(
                at(path, None),
                format!("has a merge key that cannot be applied: {error}"),
            );
        }
        if !matches!(tree, Value::Mapping(_) | Value::Null) {
            notes.mistake(at(path, None), "has to be a mapping of keys to values");
            return None;
        }
        let mut document = Self {
            path: path.to_owned(),
            tree: Value::Null,
            lines: Lines::read(text),
            reads,
        };
        document.substitute(&mut tree, "", vars, notes);
        document.tree = tree;
        Some(document)
    }

    /// The place of a key in this file.
    pub(crate) fn place(&self, key: &str) -> Place {
        Place {
            file: Some(self.path.clone()),
            line: self.lines.of(key),
            key: key.to_owned(),
            variables: Vec::new(),
        }
    }

    /// The value at a dotted path.
    pub(crate) fn at(&self, path: &str) -> Option<&Value> {
        path.split('.')
            .try_fold(&self.tree, |value, key| value.as_mapping()?.get(key))
    }

    fn substitute(&self, value: &mut Value, path: &str, vars: &dyn Vars, notes: &mut Notes) {
        match value {
            Value::String(text) if text.contains("${") => match substitute(text, vars) {
                Ok(replaced) => *text = replaced,
                Err(error) => {
                    if self.reads.reads(path) {
                        notes.mistake(self.place(path), error);
                    }
                    *value = Value::Null;
                }
            },
            Value::Sequence(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.substitute(item, &format!("{path}[{index}]"), vars, notes);
                }
            }
            Value::Mapping(map) => {
                for (key, item) in map.iter_mut() {
                    let key = scalar_text(key).unwrap_or_default();
                    self.substitute(item, &join(path, &key), vars, notes);
                }
            }
            _ => {}
        }
    }
}

fn text_of(bytes: &[u8]) -> Result<&str, String> {
    if bytes.len() > MAX_BYTES {
        return Err("is larger than 1 MiB; no configuration is".to_owned());
    }
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) || bytes.contains(&0) {
        return Err("is UTF-16 or binary; save it as UTF-8".to_owned());
    }
    // Editors on Windows write this mark in front of UTF-8; it means nothing.
    let bytes = bytes.strip_prefix(&[0xEF, 0xBB, 0xBF]).unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()]
            .iter()
            .filter(|b| **b == b'\n')
            .count()
            + 1;
        format!("is not UTF-8 (line {line}); save it as UTF-8")
    })
}

fn at(path: &Path, line: Option<usize>) -> Place {
    Place {
        file: Some(path.to_owned()),
        line,
        ..Place::default()
    }
}
