//! What one setting is: its key, its variables, its kind, its default. The table is made of these, and the loader,
//! `config env`, `docs/settings.md` and `proxy.yaml.example` are all read from the table.

use super::{Compat, Flavor};

/// One line of the table of settings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    /// Path of the key in `proxy.yaml`, `oidc.issuer`.
    pub key: &'static str,
    /// Variables as written for OpenCloud, the last one that is set wins. `OC_X` stands for `OCIS_X` too.
    pub names: &'static [&'static str],
    /// What the value is.
    pub kind: Kind,
    /// The default.
    pub preset: Preset,
    /// One line: what it is for, with its unit.
    pub purpose: &'static str,
    /// Whether the part that reads it exists.
    pub part: Part,
    /// How a change takes effect.
    pub effect: Effect,
    /// Path of a shared key of `opencloud.yaml` or `ocis.yaml` that fills it.
    pub shared: Option<&'static str>,
}

/// How a change of a setting takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// At a reload, for the next request.
    Live,
    /// At a reload; every session is set up anew at its next use.
    NewSessions,
    /// At the next start.
    Restart,
}

impl Effect {
    /// Its word in the reference.
    #[must_use]
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::NewSessions => "new sessions",
            Self::Restart => "restart",
        }
    }
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// An absolute http or https URL.
    Url,
    /// A Go boolean.
    Bool,
    /// A whole number, not negative.
    Int,
    /// Whole minutes.
    Minutes,
    /// Whole seconds.
    Seconds,
    /// A Go duration, or integer nanoseconds.
    Duration,
    /// Bytes, with an optional `KiB`, `MiB`, `GiB`.
    Bytes,
    /// Host and port.
    Address,
    /// A file.
    Path,
    /// A secret; its variables also have a `_FILE` form.
    Secret,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Texts, comma-separated in a variable.
    List,
    /// `claim=value` texts, comma-separated in a variable.
    ClaimValues,
    /// A list or map of its own shape.
    Tree,
}

impl Kind {
    /// Name of the kind in the reference.
    #[must_use]
    pub(crate) fn label(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Url => "URL".to_owned(),
            Self::Bool => "bool".to_owned(),
            Self::Int => "number".to_owned(),
            Self::Minutes => "minutes".to_owned(),
            Self::Seconds => "seconds".to_owned(),
            Self::Duration => "duration".to_owned(),
            Self::Bytes => "bytes".to_owned(),
            Self::Address => "host:port".to_owned(),
            Self::Path => "path".to_owned(),
            Self::Secret => "secret".to_owned(),
            Self::Word(words) => words.join(", "),
            Self::List => "list".to_owned(),
            Self::ClaimValues => "list of claim=value".to_owned(),
            Self::Tree => "structure".to_owned(),
        }
    }

    /// Whether an empty value means something.
    #[must_use]
    pub(crate) const fn can_be_empty(self) -> bool {
        matches!(
            self,
            Self::Text
                | Self::Url
                | Self::Path
                | Self::Secret
                | Self::List
                | Self::ClaimValues
                | Self::Tree
        )
    }

    /// Whether the default can stand in for a value that cannot be read: of switches, numbers and words, not of names.
    pub(crate) const fn has_safe_default(self) -> bool {
        matches!(
            self,
            Self::Bool
                | Self::Int
                | Self::Minutes
                | Self::Seconds
                | Self::Duration
                | Self::Bytes
                | Self::Word(_)
        )
    }

    /// Whether a YAML sequence of texts is the natural form.
    #[must_use]
    pub(crate) const fn is_list(self) -> bool {
        matches!(self, Self::List | Self::ClaimValues)
    }
}

/// Where a default comes from. `<data>` and `<config>` stand for the two folders.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Preset {
    /// Nothing.
    Empty,
    /// The same everywhere.
    Text(&'static str),
    /// OpenCloud's and oCIS'.
    Flavor(&'static str, &'static str),
    /// From each release on; the last entry of the flavour that is not newer counts.
    Since(&'static [(Compat, &'static str)]),
    /// Worked out from other settings; the text says how.
    Derived(&'static str),
}

impl Preset {
    /// The default for a flavour and release, placeholders unfilled; empty for a derived one.
    #[must_use]
    pub(crate) fn value(self, flavor: Flavor, compat: Compat) -> &'static str {
        match self {
            Self::Empty | Self::Derived(_) => "",
            Self::Text(text) => text,
            Self::Flavor(opencloud, ocis) => match flavor {
                Flavor::OpenCloud => opencloud,
                Flavor::Ocis => ocis,
            },
            Self::Since(entries) => entries
                .iter()
                .rev()
                .find(|(since, _)| since.flavor() == flavor && *since <= compat)
                .map_or("", |(_, text)| text),
        }
    }
}

/// Whether the part that reads a setting exists.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    /// It does.
    Built,
    /// Not yet: setting it explicitly to anything but an off value stops the start.
    Later {
        /// Values that ask for nothing.
        off: &'static [&'static str],
        /// What to set instead.
        instead: &'static str,
    },
    /// A detail of a part that is not built; it is kept, has no effect, and that is said.
    Detail {
        /// What is not built.
        of: &'static str,
    },
    /// Accepted because deployments have it; without effect, and that is said.
    Obsolete {
        /// Why it has no effect.
        why: &'static str,
    },
}

impl Setting {
    /// A setting whose part is built.
    pub(crate) const fn new(
        key: &'static str,
        names: &'static [&'static str],
        kind: Kind,
        preset: Preset,
        purpose: &'static str,
    ) -> Self {
        Self {
            key,
            names,
            kind,
            preset,
            purpose,
            part: Part::Built,
            effect: Effect::Restart,
            shared: None,
        }
    }

    /// A reload puts a change in force for the next request.
    pub(crate) const fn live(mut self) -> Self {
        self.effect = Effect::Live;
        self
    }

    /// A reload puts a change in force, and every session is set up anew.
    pub(crate) const fn new_sessions(mut self) -> Self {
        self.effect = Effect::NewSessions;
        self
    }

    /// It is also read from this key of the main file.
    pub(crate) const fn shared(mut self, path: &'static str) -> Self {
        self.shared = Some(path);
        self
    }

    /// Its part is not built yet.
    pub(crate) const fn later(
        mut self,
        off: &'static [&'static str],
        instead: &'static str,
    ) -> Self {
        self.part = Part::Later { off, instead };
        self
    }

    /// It belongs to a part that is not built yet.
    pub(crate) const fn detail(mut self, of: &'static str) -> Self {
        self.part = Part::Detail { of };
        self
    }

    /// It has no effect any more.
    pub(crate) const fn obsolete(mut self, why: &'static str) -> Self {
        self.part = Part::Obsolete { why };
        self
    }

    /// The variables in their order, weakest first. The flavour's own prefix is stronger than the other one's.
    #[must_use]
    pub(crate) fn variables(&self, flavor: Flavor) -> Vec<String> {
        let mut names = Vec::with_capacity(self.names.len() * 2);
        for name in self.names {
            match name.strip_prefix("OC_") {
                Some(rest) if flavor == Flavor::OpenCloud => {
                    names.push(format!("OCIS_{rest}"));
                    names.push(format!("OC_{rest}"));
                }
                Some(rest) => {
                    names.push(format!("OC_{rest}"));
                    names.push(format!("OCIS_{rest}"));
                }
                None => names.push((*name).to_owned()),
            }
        }
        names
    }

    /// The variables as a person would write them for this flavour, weakest first.
    #[must_use]
    pub(crate) fn own_variables(&self, flavor: Flavor) -> Vec<String> {
        self.names.iter().map(|name| flavor.own(name)).collect()
    }

    /// Whether its value must never be shown.
    #[must_use]
    pub(crate) const fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret)
    }
}
