//! The values after layering, each with its origin, and typed access to them. A value that cannot be read is noted once
//! and stands in as its kind's zero; a configuration with mistakes never leaves the loader.

use std::collections::BTreeMap;

use super::flavor::Boot;
use super::given::Given;
use super::key::{Key, SettingValue};
use super::notes::Place;
use super::scalar;
use super::setting::Setting;

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The default.
    Default,
    /// The `proxy:` section or a shared key of the main file.
    MainFile(Place),
    /// `proxy.yaml`.
    File(Place),
    /// A variable.
    Variable(String),
    /// A file named by a variable's `_FILE` form.
    SecretFile(String),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::MainFile(place) | Self::File(place) => {
                let file = place.file.clone().unwrap_or_default();
                write!(f, "{}:{}", file.display(), place.line.unwrap_or(1))
            }
            Self::Variable(name) | Self::SecretFile(name) => f.write_str(name),
        }
    }
}

/// One setting's value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) setting: &'static Setting,
    pub(crate) given: Given,
    pub(crate) origin: Origin,
}

/// Every setting's value.
#[derive(Debug, Clone)]
pub(crate) struct Values {
    pub(crate) boot: Boot,
    pub(crate) entries: BTreeMap<&'static str, Entry>,
}

impl Values {
    /// Nothing but defaults.
    pub(crate) fn defaults(boot: &Boot, settings: impl Iterator<Item = &'static Setting>) -> Self {
        let entries = settings
            .map(|setting| {
                let given = default_of(setting, boot);
                (
                    setting.key,
                    Entry {
                        setting,
                        given,
                        origin: Origin::Default,
                    },
                )
            })
            .collect();
        Self {
            boot: boot.clone(),
            entries,
        }
    }

    /// Holds a value against its kind. A wrong one gives way to the default, so that it is told of once.
    pub(crate) fn check(&mut self, key: &str) -> Result<(), String> {
        let boot = &self.boot;
        let Some(entry) = self.entries.get_mut(key) else {
            return Ok(());
        };
        let kind = entry.setting.kind;
        let checked = match &entry.given {
            Given::Text(text) => scalar::check(kind, text),
            Given::List(items) => items.iter().try_for_each(|item| scalar::check(kind, item)),
            Given::Tree(_) => Ok(()),
        };
        if checked.is_err() {
            entry.given = default_of(entry.setting, boot);
        }
        checked
    }
    pub(crate) fn entry(&self, key: impl AsRef<str>) -> Option<&Entry> {
        self.entries.get(key.as_ref())
    }

    /// The value, as its type reads it.
    pub(crate) fn get<T: SettingValue>(&self, key: Key<T>) -> T::Read<'_> {
        static NOTHING: Given = Given::Text(String::new());
        T::read(self.entry(key).map_or(&NOTHING, |entry| &entry.given))
    }

    /// The value as it was written, for a sentence about it; a list joined by commas.
    pub(crate) fn text(&self, key: impl AsRef<str>) -> String {
        self.entry(key)
            .map(|entry| entry.given.text())
            .unwrap_or_default()
    }

    /// The text, unless it is empty.
    pub(crate) fn some_text(&self, key: Key<String>) -> Option<String> {
        Some(self.get(key)).filter(|text| !text.is_empty())
    }

    /// Whether it is not the default.
    pub(crate) fn is_set(&self, key: impl AsRef<str>) -> bool {
        self.entry(key)
            .is_some_and(|entry| entry.origin != Origin::Default)
    }

    /// Whether it was set by a variable that all services of the deployment share.
    pub(crate) fn is_shared(&self, key: impl AsRef<str>) -> bool {
        match self.entry(key).map(|entry| &entry.origin) {
            Some(Origin::Variable(name)) => ["OC_", "OCIS_", "OTEL_"]
                .iter()
                .any(|prefix| name.starts_with(prefix)),
            _ => false,
        }
    }

    /// Where a value was set; for one that was not, the key with all its variables.
    pub(crate) fn place(&self, key: impl AsRef<str>) -> Place {
        let key = key.as_ref();
        let Some(entry) = self.entry(key) else {
            return Place {
                key: key.to_owned(),
                ..Place::default()
            };
        };
        let mut place = match &entry.origin {
            Origin::MainFile(place) | Origin::File(place) => place.clone(),
            Origin::Variable(name) | Origin::SecretFile(name) => Place {
                key: key.to_owned(),
                variables: vec![name.clone()],
                ..Place::default()
            },
            Origin::Default => Place {
                key: key.to_owned(),
                ..Place::default()
            },
        };
        if place.variables.is_empty() {
            place.variables = entry.setting.own_variables(self.boot.flavor);
        }
        place
    }
}

fn default_of(setting: &Setting, boot: &Boot) -> Given {
    let text = setting
        .preset
        .value(boot.flavor, boot.compat)
        .replace("<data>", &boot.data_dir.to_string_lossy());
    if setting.kind.is_list() {
        Given::List(scalar::list(&text))
    } else {
        Given::Text(text)
    }
}
