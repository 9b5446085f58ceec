//! The line a key of a YAML file stands on, so that a mistake can name it. The library that gives the values keeps no
//! places; this one gives the events of the same text with theirs.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, StrInput};

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

    /// Reads the places of a document's keys. Of a text that is no YAML those before its mistake.
    pub(crate) fn read(text: &str) -> Self {
        let mut walk = Walk::default();
        for event in Parser::<StrInput<'_>>::new_from_str(text) {
            let Ok((event, span)) = event else { break };
            walk.event(&event, span.start.line());
        }
        Self(walk.found)
    }
}

/// `above.key`.
pub(crate) fn join(above: &str, key: &str) -> String {
    if above.is_empty() {
        key.to_owned()
    } else {
        format!("{above}.{key}")
    }
}

/// What is open, outermost first.
#[derive(Debug, Default)]
struct Walk {
    found: BTreeMap<String, usize>,
    open: Vec<Container>,
}

/// A mapping or a sequence that has begun and not ended.
#[derive(Debug)]
struct Container {
    path: String,
    next: Next,
}

/// What comes next in it.
#[derive(Debug)]
enum Next {
    /// The item of that number.
    Item(usize),
    Key,
    /// The value of the key at this path.
    ValueOf(String),
}

impl Walk {
    fn event(&mut self, event: &Event<'_>, line: usize) {
        match event {
            Event::Scalar(text, ..) => {
                self.node(Some(text.trim()), line);
            }
            Event::Alias(_) => {
                self.node(None, line);
            }
            Event::SequenceStart(..) => self.begin(Next::Item(0), line),
            Event::MappingStart(..) => self.begin(Next::Key, line),
            Event::SequenceEnd | Event::MappingEnd => {
                self.open.pop();
            }
            _ => {}
        }
    }

    fn begin(&mut self, next: Next, line: usize) {
        let path = self.node(None, line);
        self.open.push(Container { path, next });
    }

    /// Takes the next node of the innermost container, and says where it stands. `text` is that of a plain one.
    fn node(&mut self, text: Option<&str>, line: usize) -> String {
        let Some(Container { path, next }) = self.open.last_mut() else {
            return String::new();
        };
        match next {
            Next::Item(number) => {
                let path = format!("{path}[{number}]");
                *number += 1;
                self.found.entry(path.clone()).or_insert(line);
                path
            }
            Next::Key => {
                let path = join(path, text.unwrap_or_default());
                *next = Next::ValueOf(path.clone());
                self.found.entry(path.clone()).or_insert(line);
                path
            }
            Next::ValueOf(path) => {
                let path = std::mem::take(path);
                *next = Next::Key;
                path
            }
        }
    }
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
    fn the_flow_style_anchors_and_quotes_have_their_lines_too() {
        let text = "a: &x {b: 1,\n  c: [1,\n 2, {d: 3}]}\ne: *x\n'f.g': \"h\n  i\"\nj: 1\n";
        let lines = Lines::read(text);
        for (path, line) in [
            ("a.b", 1),
            ("a.c", 2),
            ("a.c[1]", 3),
            ("a.c[2].d", 3),
            ("e", 4),
            ("e.b", 4),
            ("f.g", 5),
            ("j", 7),
        ] {
            assert_eq!(lines.of(path), Some(line), "{path}");
        }
    }

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
