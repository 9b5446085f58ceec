//! The steps of an explanation. As text: a step's name on its first line, all text beside it.

use std::fmt;

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::model::UnixTime;

/// Longest text of a token shown.
const SHOWN_CHARS: usize = 200;
/// Most values of a list shown.
const SHOWN_VALUES: usize = 50;
/// Where the text begins.
const COLUMN: usize = 10;

/// What was found out, in the order of the steps.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub(super) struct Report(Vec<Told>);

/// A step and what it came to.
#[derive(Debug, Serialize)]
struct Told {
    step: &'static str,
    text: Vec<String>,
}

impl Report {
    /// A line of a step; its name is written once.
    pub(super) fn step(&mut self, name: &'static str, text: impl Into<String>) {
        match self.0.last_mut().filter(|last| last.step == name) {
            Some(last) => last.text.push(text.into()),
            None => self.0.push(Told {
                step: name,
                text: vec![text.into()],
            }),
        }
    }

    /// A further line of the same step.
    pub(super) fn more(&mut self, text: impl Into<String>) {
        if let Some(last) = self.0.last_mut() {
            last.text.push(text.into());
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for told in &self.0 {
            let mut name = told.step;
            for text in &told.text {
                writeln!(f, "{name:COLUMN$}{text}")?;
                name = "";
            }
        }
        Ok(())
    }
}

/// A foreign text in quotes, without what moves a cursor.
pub(super) fn shown(text: &str) -> String {
    let short: String = text.chars().take(SHOWN_CHARS).collect();
    let more = if short.len() < text.len() { "..." } else { "" };
    format!("{short:?}{more}")
}

/// A list of foreign texts.
pub(super) fn list(values: &[impl AsRef<str>]) -> String {
    let mut all: Vec<String> = values
        .iter()
        .take(SHOWN_VALUES)
        .map(|value| shown(value.as_ref()))
        .collect();
    if values.len() > SHOWN_VALUES {
        all.push(format!("{} more", values.len() - SHOWN_VALUES));
    }
    format!("[{}]", all.join(", "))
}

/// A time, and how far it is from `now`.
pub(super) fn ago(at: UnixTime, now: UnixTime) -> String {
    let time = OffsetDateTime::from_unix_timestamp(at.0)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| at.0.to_string());
    if at > now {
        format!("{time}, in {} s", at.since(now).as_secs())
    } else {
        format!("{time}, {} s ago", now.since(at).as_secs())
    }
}

/// JSON of a token on one line, without what moves a cursor.
pub(super) fn shown_json(json: &str) -> String {
    json.chars().take(400).flat_map(escape).collect()
}

/// An error's text, likewise.
pub(super) fn shown_detail(detail: &str) -> String {
    detail.chars().take(2_000).flat_map(escape).collect()
}

fn escape(c: char) -> impl Iterator<Item = char> {
    let plain = (!c.is_control()).then_some(c);
    plain.into_iter().chain(
        plain
            .is_none()
            .then(|| c.escape_default())
            .into_iter()
            .flatten(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steps_name_stands_once() {
        let mut report = Report::default();
        report.step("a", "1");
        report.step("a", "2");
        report.more("3");
        report.step("b", "4");
        assert_eq!(
            report.to_string(),
            "a         1\n          2\n          3\nb         4\n"
        );
    }

    #[test]
    fn foreign_text_is_quoted_and_short() {
        assert_eq!(shown("a\u{1b}b\"\n"), r#""a\u{1b}b\"\n""#);
        assert_eq!(shown(&"x".repeat(300)).len(), 205);
        assert_eq!(list(&vec!["x"; 51]).matches("\"x\"").count(), 50);
    }

    #[test]
    fn times_are_told_from_now() {
        let text = ago(UnixTime(60), UnixTime(0));
        assert_eq!(text, "1970-01-01T00:01:00Z, in 60 s");
        assert!(ago(UnixTime(i64::MAX), UnixTime(0)).contains("in"));
        assert!(ago(UnixTime(0), UnixTime(5)).ends_with("5 s ago"));
    }

    #[test]
    fn nothing_in_a_token_moves_the_cursor() {
        assert_eq!(shown_json("\u{1b}[2Jå"), "\\u{1b}[2Jå");
    }
}
