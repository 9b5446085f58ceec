//! Finds the line a key of a YAML file stands on, so that a mistake can name it. The YAML library gives values without
//! places; this reads the block style that configuration files are written in. In flow style the line of the enclosing
//! key is given.

use std::collections::BTreeMap;

/// Lines of keys by their path, `policies[0].routes[2].endpoint`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lines(BTreeMap<String, usize>);

impl Lines {
    /// The line of a path, or of the nearest key above it; counted from 1.
    pub(crate) fn of(&self, path: &str) -> Option<usize> {
        let mut path = path;
        loop {
            if let Some(line) = self.0.get(path) {
                return Some(*line);
            }
            path = &path[..path.rfind(['.', '['])?];
        }
    }

    /// Reads the places of a document's keys.
    pub(crate) fn read(text: &str) -> Self {
        let mut scan = Scan::default();
        for (number, line) in text.lines().enumerate() {
            scan.line(number + 1, line);
        }
        Self(scan.found)
    }
}

#[derive(Debug, Default)]
struct Scan {
    found: BTreeMap<String, usize>,
    open: Vec<Container>,
    /// The path whose value comes next.
    pending: String,
    /// Lines indented deeper than this belong to a block scalar.
    scalar: Option<usize>,
}

#[derive(Debug)]
struct Container {
    column: usize,
    path: String,
    /// Number of the next item; `None` for a mapping.
    next: Option<usize>,
}

impl Scan {
    fn line(&mut self, number: usize, line: &str) {
        let mut content = line.trim_start_matches(' ');
        let mut column = line.len() - content.len();
        if content.trim().is_empty() || content.starts_with('#') {
            return;
        }
        if let Some(indent) = self.scalar {
            if column > indent {
                return;
            }
            self.scalar = None;
        }
        while let Some(rest) = content
            .strip_prefix('-')
            .filter(|rest| rest.is_empty() || rest.starts_with(' '))
        {
            self.item(number, column);
            let trimmed = rest.trim_start_matches(' ');
            column += content.len() - trimmed.len();
            content = trimmed;
        }
        if let Some((key, value)) = key_of(content) {
            self.key(number, column, &key);
            if value.starts_with(['|', '>']) {
                self.scalar = Some(column);
            }
        }
    }

    fn item(&mut self, number: usize, column: usize) {
        while self.open.last().is_some_and(|c| c.column > column) {
            self.open.pop();
        }
        let path = match self.open.last_mut() {
            Some(Container {
                column: at,
                path,
                next: Some(next),
            }) if *at == column => {
                let item = format!("{path}[{next}]");
                *next += 1;
                item
            }
            _ => {
                self.open.push(Container {
                    column,
                    path: self.pending.clone(),
                    next: Some(1),
                });
                format!("{}[0]", self.pending)
            }
        };
        self.found.entry(path.clone()).or_insert(number);
        self.pending = path;
    }

    fn key(&mut self, number: usize, column: usize, key: &str) {
        while self
            .open
            .last()
            .is_some_and(|c| c.column > column || (c.column == column && c.next.is_some()))
        {
            self.open.pop();
        }
        let above = match self.open.last() {
            Some(Container {
                column: at,
                path,
                next: None,
            }) if *at == column => path.clone(),
            _ => {
                let path = std::mem::take(&mut self.pending);
                self.open.push(Container {
                    column,
                    path: path.clone(),
                    next: None,
                });
                path
            }
        };
        let path = if above.is_empty() {
            key.to_owned()
        } else {
            format!("{above}.{key}")
        };
        self.found.entry(path.clone()).or_insert(number);
        self.pending = path;
    }
}

/// Key and value of `key: value`, the key without quotes.
fn key_of(content: &str) -> Option<(String, &str)> {
    if let Some(quote) = content.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        let end = content[1..].find(quote)? + 1;
        let value = content[end + 1..].trim_start().strip_prefix(':')?;
        return Some((content[1..end].to_owned(), value.trim_start()));
    }
    let end = content
        .match_indices(':')
        .find(|(at, _)| content[at + 1..].is_empty() || content[at + 1..].starts_with(' '))?
        .0;
    Some((
        content[..end].trim().to_owned(),
        content[end + 1..].trim_start(),
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Lines;

    const TEXT: &str = "\
# a comment
oidc:
  issuer: https://idp.example
  jwks: {refresh_limit: 5}
policies:
- name: default
  routes:
    - endpoint: /
      service: web
    -
      endpoint: /dav/
    - text: |
        endpoint: not a key
      \"quoted\": 1
last: 1
";

    #[test]
    fn keys_have_their_lines() {
        let lines = Lines::read(TEXT);
        for (path, line) in [
            ("oidc.issuer", 3),
            ("oidc.jwks.refresh_limit", 4),
            ("policies", 5),
            ("policies[0].name", 6),
            ("policies[0].routes[0].service", 9),
            ("policies[0].routes[1].endpoint", 11),
            ("policies[0].routes[2].quoted", 14),
            ("last", 15),
        ] {
            assert_eq!(lines.of(path), Some(line), "{path}");
        }
        assert_eq!(lines.of("nowhere"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in r#"([a-z:\-"' |>#é]{0,12}\n){0,12}"#) {
            let _ = Lines::read(&text).of("a.b[0].c");
        }
    }
}
