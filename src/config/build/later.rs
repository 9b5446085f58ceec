//! Parts that are not built yet: what was asked for stops the start, what a default wants is off and said once.

use super::Build;
use crate::config::given::Given;
use crate::config::notes::Place;
use crate::config::scalar;
use crate::config::setting::{Kind, Part};
use crate::config::table;
use crate::config::values::{Entry, Origin};

impl Build<'_> {
    pub(super) fn parts_not_built(&mut self) {
        let mut off = Vec::new();
        let mut unused = Vec::new();
        for setting in table::settings() {
            let Some(entry) = self.values.entry(setting.key) else {
                continue;
            };
            let set = entry.origin != Origin::Default && !is_off(entry, &["false"]);
            match setting.part {
                Part::Built => {}
                Part::Later { off: harmless, .. } if is_off(entry, harmless) => {}
                Part::Later { instead, .. } if is_explicit(entry) => {
                    self.not_supported(setting.key, instead);
                }
                Part::Later { .. } => off.push(setting.key),
                Part::Detail { of } if set && is_explicit(entry) => {
                    self.no_effect(entry, &format!("{of} is not built yet"));
                }
                Part::Obsolete { why } if set => self.no_effect(entry, why),
                Part::Detail { .. } if set => unused.push(setting.key),
                Part::Detail { .. } | Part::Obsolete { .. } => {}
            }
        }
        if !off.is_empty() || !unused.is_empty() {
            let mut text = format!("off, because not built yet: {}", off.join(", "));
            if !unused.is_empty() {
                text.push_str(&format!(
                    "; set for them and not used: {}",
                    unused.join(", ")
                ));
            }
            self.notes.info(text);
        }
    }

    /// Notes that a part is not built.
    pub(super) fn not_supported(&mut self, key: &str, instead: &str) {
        let place = self.values.place(key);
        let name = Place {
            key: key.to_owned(),
            variables: place.variables,
            ..Place::default()
        };
        let file = Place {
            file: place.file,
            line: place.line,
            ..Place::default()
        };
        self.notes
            .mistake(file, format!("not supported yet: {name}; {instead}"));
    }

    fn no_effect(&mut self, entry: &Entry, why: &str) {
        let place = self.values.place(entry.setting.key);
        self.notes.warn(format!("{place}: has no effect: {why}"));
    }
}

/// Set by a `PROXY_*` variable or in `proxy.yaml` (design: "Explicitly set").
fn is_explicit(entry: &Entry) -> bool {
    match &entry.origin {
        Origin::File(_) => true,
        Origin::Variable(name) | Origin::SecretFile(name) => name.starts_with("PROXY_"),
        Origin::Default | Origin::MainFile(_) => false,
    }
}

/// Whether a value asks for nothing.
fn is_off(entry: &Entry, harmless: &[&str]) -> bool {
    if entry.given.is_empty() {
        return true;
    }
    let Given::Text(text) = &entry.given else {
        return false;
    };
    match (entry.setting.kind, scalar::boolean(text)) {
        (Kind::Bool, Ok(flag)) => harmless.contains(&if flag { "true" } else { "false" }),
        _ => harmless.contains(&text.as_str()),
    }
}
