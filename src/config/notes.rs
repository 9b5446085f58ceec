//! What the loader has to say: mistakes that stop the start, warnings, and remarks.

use std::fmt;
use std::path::PathBuf;

/// One mistake: where it is, what is wrong and what would be right. Never a secret's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where the wrong value was found.
    pub place: Place,
    /// What is wrong, and what would be right.
    pub text: String,
}

/// Where a value comes from, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// The file.
    pub file: Option<PathBuf>,
    /// The line in the file, counted from 1.
    pub line: Option<usize>,
    /// The key, `oidc.issuer`.
    pub key: String,
    /// The variable that was set; for a missing value all that could be.
    pub variables: Vec<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", file.display())?;
            if let Some(line) = self.line {
                write!(f, "{line}:")?;
            }
            if !self.key.is_empty() {
                f.write_str(" ")?;
            }
        }
        f.write_str(&self.key)?;
        if !self.variables.is_empty() {
            if !self.key.is_empty() {
                f.write_str(" ")?;
            }
            write!(f, "({})", self.variables.join(", "))?;
        }
        Ok(())
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place.to_string() {
            place if place.is_empty() => f.write_str(&self.text),
            place => write!(f, "{place} {}", self.text),
        }
    }
}

/// Every mistake of a configuration, in the order they were found.
#[derive(Debug, Clone, Default, thiserror::Error)]
pub struct ConfigErrors {
    /// At least one.
    pub mistakes: Vec<Mistake>,
    /// What would have been warned of besides.
    pub warnings: Vec<String>,
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in the configuration", count(self.mistakes.len()))?;
        for mistake in &self.mistakes {
            write!(f, "\n  {mistake}")?;
        }
        Ok(())
    }
}

fn count(mistakes: usize) -> String {
    match mistakes {
        1 => "1 mistake".to_owned(),
        n => format!("{n} mistakes"),
    }
}

/// Collects while the configuration is read.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) mistakes: Vec<Mistake>,
    pub(crate) warnings: Vec<String>,
    pub(crate) infos: Vec<String>,
}

impl Notes {
    /// Adds a mistake; the same one is kept once.
    pub(crate) fn mistake(&mut self, place: Place, text: impl Into<String>) {
        let mistake = Mistake {
            place,
            text: text.into(),
        };
        if !self.mistakes.contains(&mistake) {
            self.mistakes.push(mistake);
        }
    }

    /// Adds a warning.
    pub(crate) fn warn(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.warnings.contains(&text) {
            self.warnings.push(text);
        }
    }

    /// Adds a remark.
    pub(crate) fn info(&mut self, text: impl Into<String>) {
        self.infos.push(text.into());
    }
}
