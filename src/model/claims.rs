use std::fmt;

use serde_json::{Map, Value};

/// The claims of one person: a JSON object, merged from token and userinfo.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Claims(pub Map<String, Value>);

impl Claims {
    /// The claim of exactly that name, if it is a string.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// Whether the issuer says that the mail address is not the person's (`email_verified` of OpenID Connect Core section
    /// 5.1; some send it as text). Silence says nothing.
    #[must_use]
    pub fn denies_mail(&self) -> bool {
        match self.0.get("email_verified") {
            Some(Value::Bool(verified)) => !verified,
            Some(Value::String(verified)) => verified.eq_ignore_ascii_case("false"),
            _ => false,
        }
    }

    /// The value at `path`: the literal name first, then the dotted path (docs/design/contract.md 2.2, docs/design/identity-providers.md R7).
    #[must_use]
    pub fn at(&self, path: &ClaimPath) -> Option<&Value> {
        if let Some(value) = self.0.get(&path.literal) {
            return Some(value);
        }
        let (first, rest) = path.segments.split_first()?;
        rest.iter().try_fold(self.0.get(first)?, |value, segment| {
            value.as_object()?.get(segment)
        })
    }

    /// The scopes that were granted, for the words of a refusal: a missing claim often is one that belongs to a scope
    /// nobody asked for (`scope` of RFC 8693 section 4.2, Entra's `scp`; a string or a list).
    #[must_use]
    pub fn granted_scopes(&self) -> String {
        let scopes = ["scope", "scp"].iter().find_map(|name| self.0.get(*name));
        let scopes = match scopes {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(list)) => {
                let words: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
                words.join(" ")
            }
            _ => return "the granted scopes are not told".to_owned(),
        };
        let short: String = scopes
            .chars()
            .take(200)
            .flat_map(char::escape_debug)
            .collect();
        format!("granted scopes: {short}")
    }

    /// The string at `path`.
    #[must_use]
    pub fn text_at(&self, path: &ClaimPath) -> Option<&str> {
        self.at(path).and_then(Value::as_str)
    }
}

/// Where a claim is found: `roles`, `realm_access.roles`, `lg\.i.un`.
#[derive(Clone, PartialEq, Eq)]
pub struct ClaimPath {
    literal: String,
    segments: Vec<String>,
}

impl ClaimPath {
    /// Parses a claim name or dotted path; `\.` is a dot inside a name.
    ///
    /// ```
    /// use davgate::door::model::{ClaimPath, Claims};
    /// let claims = Claims(serde_json::json!({"lg.i": {"un": "ines"}}).as_object().unwrap().clone());
    /// assert_eq!(claims.text_at(&ClaimPath::parse(r"lg\.i.un")), Some("ines"));
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut segments = vec![String::new()];
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' if chars.peek() == Some(&'.') => {
                    chars.next();
                    push(&mut segments, '.');
                }
                '.' => segments.push(String::new()),
                c => push(&mut segments, c),
            }
        }
        Self {
            literal: text.to_owned(),
            segments,
        }
    }

    /// The path as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.literal
    }
}

fn push(segments: &mut [String], c: char) {
    if let Some(last) = segments.last_mut() {
        last.push(c);
    }
}

impl fmt::Debug for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClaimPath({})", self.literal)
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.literal)
    }
}

impl From<&str> for ClaimPath {
    fn from(text: &str) -> Self {
        Self::parse(text)
    }
}
