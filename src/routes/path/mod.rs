//! One reading per path: the path that is matched and the path that is forwarded come from the same bytes.

mod names;

use std::borrow::Cow;

use super::RouteError;

/// Longest request target that is looked at, path and query together (docs/design/design.md 2, Sizes).
pub(crate) const MAX_TARGET: usize = 16 * 1024;

/// Below these, names are those of files.
const DAV_ROOTS: [&str; 4] = [
    "/dav/",
    "/webdav/",
    "/remote.php/dav/",
    "/remote.php/webdav/",
];

/// The path below which the gateway is reached (`http.root`), without a slash at the end; empty for `/`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Root(String);

impl Root {
    /// Reads the setting: `/`, `/cloud` and `/cloud/` are all fine.
    #[must_use]
    pub fn new(setting: &str) -> Self {
        let inner = setting.trim_matches('/');
        if inner.is_empty() {
            Self::default()
        } else {
            Self(format!("/{inner}"))
        }
    }

    /// Empty, or `/cloud`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A path that every parser reads the same way, with its query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NormalPath<'a> {
    matched: Cow<'a, str>,
    forwarded: Cow<'a, str>,
    query: Option<Cow<'a, str>>,
    /// Why it goes only where names are any bytes.
    odd_name: Option<RouteError>,
    /// How a server reads it that decodes or cuts more, where that may be another path.
    readings: Vec<String>,
}

impl<'a> NormalPath<'a> {
    /// Checks a path and query as they came from the client and takes `root` off.
    ///
    /// ```
    /// use davgate::door::routes::{NormalPath, Root};
    /// let path = NormalPath::parse("//%64av/a%20b", None, &Root::default()).unwrap();
    /// assert_eq!(path.matched(), "/dav/a b");
    /// assert_eq!(path.forwarded(), "/%64av/a%20b");
    /// ```
    ///
    /// # Errors
    /// A target that is too long, could be read in two ways, or stands outside of `root`.
    pub fn parse(path: &'a str, query: Option<&'a str>, root: &Root) -> Result<Self, RouteError> {
        if path.len() + query.map_or(0, |query| query.len() + 1) > MAX_TARGET {
            return Err(RouteError::TargetTooLong);
        }
        let query = query.map(encode_query).transpose()?;
        if is_plain(path.as_bytes()) {
            return Self {
                matched: Cow::Borrowed(path),
                forwarded: Cow::Borrowed(path),
                query,
                odd_name: None,
                readings: Vec::new(),
            }
            .below(root);
        }
        if !path.starts_with('/') {
            return Err(RouteError::BadTarget);
        }
        let forwarded = encode_path(path)?;
        let decoded = names::decode(&forwarded)?;
        let matched = match (decoded.path, &forwarded) {
            (Some(path), _) => Cow::Owned(path),
            (None, Cow::Borrowed(path)) => Cow::Borrowed(*path),
            (None, Cow::Owned(path)) => Cow::Owned(path.clone()),
        };
        Self {
            matched,
            forwarded,
            query,
            odd_name: decoded.odd_name,
            readings: decoded.readings,
        }
        .below(root)
    }

    /// The decoded path, without root: what routes and authentication look at. Escaped separators stay `%2F` and `%5C`, and
    /// bytes that are not UTF-8 stay escaped.
    #[must_use]
    pub fn matched(&self) -> &str {
        &self.matched
    }

    /// The path a backend gets, without root: the client's own escapes, raw UTF-8 escaped once, slashes merged.
    #[must_use]
    pub fn forwarded(&self) -> &str {
        &self.forwarded
    }

    /// The query as it is forwarded.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Whether the path is inside one of the WebDAV trees.
    #[must_use]
    pub fn is_dav(&self) -> bool {
        is_below_dav_root(self.matched.as_bytes())
            || DAV_ROOTS
                .iter()
                .any(|root| root.strip_suffix('/') == Some(self.matched()))
    }

    /// The path as other servers may read it: separators decoded, parameters (`;x`) cut off. Empty where all read alike.
    pub(super) fn other_readings(&self) -> &[String] {
        &self.readings
    }

    /// Why a route refuses the path that takes only names which mean the same everywhere.
    pub(super) fn odd_name(&self) -> Option<RouteError> {
        self.odd_name
    }

    /// The forwarded path without `prefix`, if the path is that prefix or lies below it.
    #[must_use]
    pub fn without_prefix(&self, prefix: &str) -> Option<&str> {
        let end = self.prefix_end(prefix)?;
        match &self.forwarded[end..] {
            "" => Some("/"),
            rest => Some(rest),
        }
    }

    fn below(mut self, root: &Root) -> Result<Self, RouteError> {
        let root = root.as_str();
        if root.is_empty() {
            return Ok(self);
        }
        let outside = self.odd_name.unwrap_or(RouteError::OutsideRoot);
        let end = self.prefix_end(root).ok_or(outside)?;
        self.matched = tail(self.matched, root.len());
        self.forwarded = tail(self.forwarded, end);
        for reading in &mut self.readings {
            let below = reading.strip_prefix(root).map(str::to_owned);
            // What left the root is matched nowhere.
            *reading = below
                .filter(|below| !below.is_empty())
                .unwrap_or_else(|| "/".to_owned());
        }
        Ok(self)
    }

    /// Where the forwarded path goes on after `prefix`; the client may have escaped letters of it.
    fn prefix_end(&self, prefix: &str) -> Option<usize> {
        let prefix = prefix.trim_end_matches('/');
        let rest = self.matched.strip_prefix(prefix)?;
        if !rest.is_empty() && !rest.starts_with('/') {
            return None;
        }
        let bytes = self.forwarded.as_bytes();
        let mut at = 0;
        for _ in 0..prefix.len() {
            at += if bytes.get(at) == Some(&b'%') { 3 } else { 1 };
        }
        self.forwarded.is_char_boundary(at).then_some(at)
    }
}

fn tail(path: Cow<'_, str>, from: usize) -> Cow<'_, str> {
    match path {
        _ if path.len() <= from => Cow::Borrowed("/"),
        Cow::Borrowed(path) => Cow::Borrowed(&path[from..]),
        Cow::Owned(mut path) => {
            path.drain(..from);
            Cow::Owned(path)
        }
    }
}

/// Bytes that mean themselves in every parser.
const PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = b.is_ascii_alphanumeric()
            || matches!(
                b,
                b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+'
            )
            || matches!(b, b',' | b'=' | b':' | b'@' | b'/');
        byte += 1;
    }
    table
};

/// Whether nothing has to be decoded, merged or looked at closely. A segment that starts with a dot is.
fn is_plain(path: &[u8]) -> bool {
    let mut previous = b' ';
    for &byte in path {
        if !PLAIN[usize::from(byte)] || (previous == b'/' && matches!(byte, b'/' | b'.')) {
            return false;
        }
        previous = byte;
    }
    path.first() == Some(&b'/')
}

/// Bytes that may not stand in a path or query as they are.
fn is_forbidden(byte: u8) -> bool {
    byte <= b' ' || matches!(byte, 0x7f | b'#' | b'<' | b'>')
}

/// Browsers leave a backtick as it is here, and in a path they do not (the URL standard's query set).
fn encode_query(query: &str) -> Result<Cow<'_, str>, RouteError> {
    if query.bytes().any(is_forbidden) {
        return Err(RouteError::BadTarget);
    }
    Ok(escape_raw_utf8(query))
}

/// Merges slashes and escapes raw UTF-8.
fn encode_path(path: &str) -> Result<Cow<'_, str>, RouteError> {
    if path
        .bytes()
        .any(|byte| is_forbidden(byte) || matches!(byte, b'\\' | b'?' | b'`'))
    {
        return Err(RouteError::BadTarget);
    }
    if !path.contains("//") {
        return Ok(escape_raw_utf8(path));
    }
    let mut merged = String::with_capacity(path.len());
    for c in path.chars() {
        if c != '/' || !merged.ends_with('/') {
            merged.push(c);
        }
    }
    Ok(Cow::Owned(escape_raw_utf8(&merged).into_owned()))
}

fn escape_raw_utf8(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    // The set of controls escapes nothing else here: controls were refused, and `%` is left alone.
    percent_encoding::utf8_percent_encode(text, percent_encoding::CONTROLS).into()
}

fn is_below_dav_root(path: &[u8]) -> bool {
    DAV_ROOTS
        .iter()
        .any(|root| path.starts_with(root.as_bytes()))
}

#[cfg(test)]
mod tests;
