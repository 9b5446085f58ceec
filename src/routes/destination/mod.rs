//! URIs inside WebDAV headers: `Destination` (RFC 4918 section 10.3) and tagged lists of `If` (section 10.4).
//!
//! A backend resolves them as it resolves the request's own path, so they pass the same normaliser, the same routes and
//! the same rewriting; else a MOVE could reach what a GET may not.

use std::ops::Range;

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::{NormalPath, Root, RouteError, RouteMatch, Table, upstream_target};
use crate::config::routes::Route;

const DESTINATION: HeaderName = HeaderName::from_static("destination");
const IF: HeaderName = HeaderName::from_static("if");

/// What the URIs of a request are judged and rewritten by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DestinationScope<'s> {
    /// The routes.
    pub table: &'s Table,
    /// `http.root`.
    pub root: &'s Root,
    /// The request's method.
    pub method: &'s Method,
    /// The request's route, in the form it is forwarded by.
    pub route: RouteMatch<'s>,
    /// Names under which clients know us: the request's host, and those of the outer proxy and the public URL.
    pub hosts: &'s [&'s str],
    /// `Host` as the backend gets it.
    pub upstream_host: &'s str,
    /// It is reached by TLS.
    pub upstream_tls: bool,
}

/// `Destination` and `If` as the backend gets them; what is not in the list stays as it is.
///
/// # Errors
/// Malformed or doubled headers and foreign hosts (400), another backend or a route with other requirements (502).
pub(crate) fn rewritten_destinations(
    headers: &HeaderMap,
    scope: DestinationScope<'_>,
) -> Result<Vec<(HeaderName, HeaderValue)>, RouteError> {
    let mut replacements = Vec::new();
    if let Some(value) = single(headers, &DESTINATION)? {
        let rewritten = scope.rewrite(value.as_bytes().trim_ascii())?;
        let value = HeaderValue::from_str(&rewritten).map_err(|_| RouteError::BadDestination)?;
        replacements.push((DESTINATION, value));
    }
    if let Some(value) = single(headers, &IF)? {
        let tags = resource_tags(value.as_bytes()).ok_or(RouteError::BadDestination)?;
        if !tags.is_empty() {
            replacements.push((IF, scope.rewrite_tags(value.as_bytes(), tags)?));
        }
    }
    Ok(replacements)
}

impl DestinationScope<'_> {
    fn rewrite_tags(
        &self,
        value: &[u8],
        tags: Vec<Range<usize>>,
    ) -> Result<HeaderValue, RouteError> {
        let mut rewritten = Vec::with_capacity(value.len() + 64);
        let mut from = 0;
        for tag in tags {
            rewritten.extend_from_slice(&value[from..tag.start]);
            rewritten.extend_from_slice(self.rewrite(&value[tag.clone()])?.as_bytes());
            from = tag.end;
        }
        rewritten.extend_from_slice(&value[from..]);
        HeaderValue::from_bytes(&rewritten).map_err(|_| RouteError::BadDestination)
    }

    /// One URI: absolute, or a path from the root on.
    fn rewrite(&self, uri: &[u8]) -> Result<String, RouteError> {
        let uri = std::str::from_utf8(uri).map_err(|_| RouteError::BadDestination)?;
        let (absolute, target) = match split_origin(uri)? {
            Some((host, target)) if self.is_ours(host) => (true, target),
            Some(_) => return Err(RouteError::ForeignHost),
            None => (false, uri),
        };
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let path = if path.is_empty() { "/" } else { path };
        let elsewhere = |error| match error {
            RouteError::OutsideRoot | RouteError::NoRoute => RouteError::ForeignDestination,
            error => error,
        };
        let path = NormalPath::parse(path, query, self.root).map_err(elsewhere)?;
        let route = self.table.find(self.method, &path).map_err(elsewhere)?;
        if !self.serves_like(route) {
            return Err(RouteError::ForeignDestination);
        }
        let target = upstream_target(route.settings(), &path, self.root);
        let target = target.path_and_query();
        if !absolute {
            return Ok(target.into_owned());
        }
        let scheme = if self.upstream_tls { "https" } else { "http" };
        Ok(format!("{scheme}://{}{target}", self.upstream_host))
    }

    fn is_ours(&self, host: &str) -> bool {
        let host = without_default_port(host);
        let mut ours = self.hosts.iter().map(|ours| without_default_port(ours));
        ours.any(|ours| ours.eq_ignore_ascii_case(host))
    }

    /// The same backend, and nothing asked of the client that this request was not asked.
    fn serves_like(&self, other: RouteMatch<'_>) -> bool {
        let allowed = match (self.route, other) {
            (RouteMatch::Protected(_), _) | (_, RouteMatch::Public(_)) => true,
            (RouteMatch::Public(_), RouteMatch::Protected(other)) => {
                other.without_login().is_some()
            }
        };
        let (route, other) = (self.route.settings(), other.settings());
        allowed && route.backend.server == other.backend.server && !asks_more(other, route)
    }
}

fn asks_more(one: &Route, other: &Route) -> bool {
    let claims = &one.required_claims;
    let fresher = match (one.max_age, other.max_age) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(one), Some(other)) => one < other,
    };
    fresher
        || !claims
            .iter()
            .all(|claim| other.required_claims.contains(claim))
}

fn single<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'h HeaderValue>, RouteError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(RouteError::BadDestination),
    }
}

/// Host and rest of an absolute URI; `None` for a path.
fn split_origin(uri: &str) -> Result<Option<(&str, &str)>, RouteError> {
    if uri.starts_with('/') {
        // `//host/path` is a reference to another host for some parsers and a path for others.
        return if uri.starts_with("//") {
            Err(RouteError::BadDestination)
        } else {
            Ok(None)
        };
    }
    let (scheme, rest) = uri.split_once("://").ok_or(RouteError::BadDestination)?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(RouteError::BadDestination);
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    Ok(Some(rest.split_at(end)))
}

/// The scheme is not compared, because TLS may end in front of us; so either default port is the same as none.
fn without_default_port(host: &str) -> &str {
    host.strip_suffix(":443")
        .or_else(|| host.strip_suffix(":80"))
        .unwrap_or(host)
}

/// Where the resource tags of an `If` header stand, without their brackets. `None` if the header is malformed.
fn resource_tags(value: &[u8]) -> Option<Vec<Range<usize>>> {
    let mut cursor = Cursor {
        bytes: value,
        at: 0,
    };
    let mut tags = Vec::new();
    let mut lists = 0;
    loop {
        match cursor.peek() {
            None => return (lists > 0).then_some(tags),
            Some(b'(') => {
                cursor.list()?;
                lists += 1;
            }
            // Lists with and without a tag do not mix, and each tag has a list.
            Some(b'<') if lists == 0 || !tags.is_empty() => {
                tags.push(cursor.bracketed()?);
                if cursor.peek() != Some(b'(') {
                    return None;
                }
            }
            Some(_) => return None,
        }
    }
}

/// Reads an `If` header.
struct Cursor<'v> {
    bytes: &'v [u8],
    at: usize,
}

impl Cursor<'_> {
    /// The next byte that is no blank.
    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.bytes.get(self.at) == Some(&byte)).then(|| self.at += 1)
    }

    /// `"(" 1*( ["Not"] ( "<" URI ">" / "[" entity-tag "]" ) ) ")"`
    fn list(&mut self) -> Option<()> {
        self.eat(b'(')?;
        let mut conditions = 0;
        loop {
            let next = self.peek()?;
            if next == b')' {
                self.at += 1;
                return (conditions > 0).then_some(());
            }
            if next.eq_ignore_ascii_case(&b'n') {
                let word = self.bytes.get(self.at..self.at + 3)?;
                if !word.eq_ignore_ascii_case(b"not") {
                    return None;
                }
                self.at += 3;
            }
            match self.peek()? {
                b'<' => self.bracketed().map(|_| ())?,
                b'[' => self.entity_tag()?,
                _ => return None,
            }
            conditions += 1;
        }
    }

    /// `<...>`, without the brackets.
    fn bracketed(&mut self) -> Option<Range<usize>> {
        self.eat(b'<')?;
        let start = self.at;
        while *self.bytes.get(self.at)? != b'>' {
            if matches!(self.bytes[self.at], b'<' | b' ' | b'\t') {
                return None;
            }
            self.at += 1;
        }
        let uri = start..self.at;
        self.at += 1;
        (!uri.is_empty()).then_some(uri)
    }

    /// `["W/"] quoted-string` in square brackets. An entity tag has no escapes.
    fn entity_tag(&mut self) -> Option<()> {
        self.eat(b'[')?;
        if self.peek() == Some(b'W') {
            self.at += 1;
            self.eat(b'/')?;
        }
        self.eat(b'"')?;
        while *self.bytes.get(self.at)? != b'"' {
            self.at += 1;
        }
        self.at += 1;
        self.peek()?;
        self.eat(b']')
    }
}

#[cfg(test)]
mod tests;
