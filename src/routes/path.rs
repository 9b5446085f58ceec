//! One reading per path: the path that is matched and the path that is forwarded come from the same bytes.

use std::borrow::Cow;

use super::RouteError;

/// Longest request target that is looked at, path and query together (design.md 2, Sizes).
pub const MAX_TARGET: usize = 16 * 1024;

/// Below these a file name may hold an escaped separator; everywhere else that is refused.
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
    decoded_separators: Option<String>,
}

impl<'a> NormalPath<'a> {
    /// Checks a path and query as they came from the client and takes `root` off.
    ///
    /// ```
    /// use davgate::routes::{NormalPath, Root};
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
                decoded_separators: None,
            }
            .below(root);
        }
        if !path.starts_with('/') {
            return Err(RouteError::BadTarget);
        }
        let forwarded = encode_path(path)?;
        let decoded = decode_path(&forwarded, root)?;
        let matched = match (decoded.path, &forwarded) {
            (Some(path), _) => Cow::Owned(path),
            (None, Cow::Borrowed(path)) => Cow::Borrowed(*path),
            (None, Cow::Owned(path)) => Cow::Owned(path.clone()),
        };
        Self {
            matched,
            forwarded,
            query,
            decoded_separators: decoded.separators,
        }
        .below(root)
    }

    /// The decoded path, without root: what routes and authentication look at. Escaped separators inside WebDAV names
    /// stay `%2F` and `%5C`.
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

    /// The path as a backend would see it that decodes escaped separators, where there are any.
    pub(super) fn decoded_separators(&self) -> Option<&str> {
        self.decoded_separators.as_deref()
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
        let end = self.prefix_end(root).ok_or(RouteError::OutsideRoot)?;
        self.matched = tail(self.matched, root.len());
        self.forwarded = tail(self.forwarded, end);
        self.decoded_separators = self
            .decoded_separators
            .map(|path| tail(Cow::Owned(path), root.len()).into_owned());
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
    byte <= b' ' || matches!(byte, 0x7f | b'#' | b'<' | b'>' | b'`')
}

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
        .any(|byte| is_forbidden(byte) || matches!(byte, b'\\' | b'?'))
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

struct Decoded {
    /// `None`: nothing was escaped.
    path: Option<String>,
    /// The path with separators decoded too, if some were kept.
    separators: Option<String>,
}

/// Decodes once and refuses what two parsers could read differently.
fn decode_path(path: &str, root: &Root) -> Result<Decoded, RouteError> {
    if !path.contains('%') {
        if path.split('/').any(|segment| is_dots(segment.as_bytes())) {
            return Err(RouteError::DotSegment);
        }
        return Ok(Decoded {
            path: None,
            separators: None,
        });
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut kept = Vec::new();
    let mut segment = 0;
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        let value = match byte {
            b'%' => unescape(bytes.next(), bytes.next())?,
            byte => byte,
        };
        if !matches!(value, b'/' | b'\\') {
            if value < b' ' || value == 0x7f {
                return Err(RouteError::BadTarget);
            }
            decoded.push(value);
            continue;
        }
        if is_dots(&decoded[segment..]) {
            return Err(RouteError::DotSegment);
        }
        if byte == b'%' {
            let below = decoded.strip_prefix(root.as_str().as_bytes());
            if !below.is_some_and(is_below_dav_root) {
                return Err(RouteError::EscapedSeparator);
            }
            kept.push(decoded.len());
            decoded.extend_from_slice(if value == b'/' { b"%2F" } else { b"%5C" });
        } else {
            decoded.push(value);
        }
        segment = decoded.len();
    }
    if is_dots(&decoded[segment..]) {
        return Err(RouteError::DotSegment);
    }
    let decoded = String::from_utf8(decoded).map_err(|_| RouteError::BadTarget)?;
    let separators = (!kept.is_empty()).then(|| with_slashes(&decoded, &kept));
    Ok(Decoded {
        path: Some(decoded),
        separators,
    })
}

/// `path` with a slash in place of the three bytes at each of `kept`.
fn with_slashes(path: &str, kept: &[usize]) -> String {
    let mut text = String::with_capacity(path.len());
    let mut from = 0;
    for &at in kept {
        text.push_str(&path[from..at]);
        if !text.ends_with('/') {
            text.push('/');
        }
        from = at + 3;
    }
    let rest = &path[from..];
    text.push_str(if text.ends_with('/') {
        rest.trim_start_matches('/')
    } else {
        rest
    });
    text
}

fn unescape(high: Option<u8>, low: Option<u8>) -> Result<u8, RouteError> {
    let digit = |byte: Option<u8>| {
        byte.and_then(|byte| char::from(byte).to_digit(16))
            .ok_or(RouteError::BadTarget)
    };
    let value = digit(high)? * 16 + digit(low)?;
    u8::try_from(value).map_err(|_| RouteError::BadTarget)
}

/// `.` and `..`, also with the parameters some servers cut off before they resolve (`..;x`).
fn is_dots(segment: &[u8]) -> bool {
    let name = segment.split(|&byte| byte == b';').next();
    matches!(name, Some(b"." | b".."))
}

fn is_below_dav_root(path: &[u8]) -> bool {
    DAV_ROOTS
        .iter()
        .any(|root| path.starts_with(root.as_bytes()))
}

#[cfg(test)]
mod tests;
