//! Where variables are read from: the process, or a map in tests. Nothing else reads the environment.

use std::collections::{BTreeMap, HashMap};

/// A source of variables.
pub trait Vars {
    /// The value of a variable; `None` if it is not set. A value that is not UTF-8 counts as not set.
    fn var(&self, name: &str) -> Option<String>;

    /// The names of all variables, to warn of unknown ones.
    fn names(&self) -> Vec<String>;

    /// The names of variables whose value is no UTF-8. They count as not set, which must not go unnoticed.
    fn unreadable(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The variables of this process.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ProcessVars;

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the environment is read"
)]
impl Vars for ProcessVars {
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn names(&self) -> Vec<String> {
        std::env::vars_os()
            .filter_map(|(name, _)| name.into_string().ok())
            .collect()
    }

    fn unreadable(&self) -> Vec<String> {
        std::env::vars_os()
            .filter(|(_, value)| value.to_str().is_none())
            .filter_map(|(name, _)| name.into_string().ok())
            .collect()
    }
}

impl Vars for HashMap<String, String> {
    fn var(&self, name: &str) -> Option<String> {
        self.get(name).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }
}

impl Vars for BTreeMap<String, String> {
    fn var(&self, name: &str) -> Option<String> {
        self.get(name).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }
}

/// `&[("PROXY_TLS", "false")]`, for tests.
impl<const N: usize> Vars for [(&str, &str); N] {
    fn var(&self, name: &str) -> Option<String> {
        self.as_slice().var(name)
    }

    fn names(&self) -> Vec<String> {
        self.as_slice().names()
    }
}

impl Vars for &[(&str, &str)] {
    fn var(&self, name: &str) -> Option<String> {
        let found = self.iter().rev().find(|(key, _)| *key == name);
        found.map(|(_, value)| (*value).to_owned())
    }

    fn names(&self) -> Vec<String> {
        self.iter().map(|(key, _)| (*key).to_owned()).collect()
    }
}
