//! A value as it was given: a text, a list or a structure.

use serde_yaml::Value;

use super::scalar;
use super::scalar::scalar_text;

/// A value as it was given.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Given {
    Text(String),
    List(Vec<String>),
    Tree(Value),
}

impl Given {
    /// The text; a list joined by commas, a structure is none.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::List(items) => items.join(","),
            Self::Tree(_) => String::new(),
        }
    }

    /// The items; a text is split at commas.
    pub(crate) fn list(&self) -> Vec<String> {
        match self {
            Self::Text(text) => scalar::list(text),
            Self::List(items) => items.clone(),
            Self::Tree(_) => Vec::new(),
        }
    }

    /// Whether nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::List(items) => items.is_empty(),
            Self::Tree(Value::Null) => true,
            Self::Tree(Value::Sequence(items)) => items.is_empty(),
            Self::Tree(Value::Mapping(map)) => map.is_empty(),
            Self::Tree(tree) => scalar_text(tree).is_none_or(|text| text.is_empty()),
        }
    }
}
