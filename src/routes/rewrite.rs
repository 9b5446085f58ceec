//! The target a backend gets.

use std::borrow::Cow;

use super::{NormalPath, Root};
use crate::config::routes::Route;

/// Where on its backend a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamTarget<'p> {
    /// The path, the client's escapes as they were.
    pub path: Cow<'p, str>,
    /// The query.
    pub query: Option<Cow<'p, str>>,
    /// For `X-Forwarded-Prefix`: what was taken off the path, `http.root` and `strip_prefix` together.
    pub removed_prefix: Option<String>,
}

impl UpstreamTarget<'_> {
    /// Path and query in one.
    #[must_use]
    pub fn path_and_query(&self) -> Cow<'_, str> {
        match &self.query {
            None => Cow::Borrowed(&self.path),
            Some(query) => Cow::Owned(format!("{}?{query}", self.path)),
        }
    }
}

/// Rewrites a path for a route: `http.root` is already off, `strip_prefix` comes off, the backend's own path and query
/// come first, with a single slash between (docs/design/contract.md 9.1; defects 20 and 21 of docs/design/contract.md 10).
#[must_use]
pub fn upstream_target<'p>(
    route: &Route,
    path: &'p NormalPath<'_>,
    root: &Root,
) -> UpstreamTarget<'p> {
    let strip = route
        .strip_prefix
        .as_deref()
        .map(|prefix| prefix.trim_end_matches('/'));
    let stripped = strip.and_then(|prefix| Some((prefix, path.without_prefix(prefix)?)));
    let rest = stripped.map_or(path.forwarded(), |(_, rest)| rest);
    let removed = [root.as_str(), stripped.map_or("", |(prefix, _)| prefix)].concat();
    let base = route.backend.base_path.trim_end_matches('/');
    let base_query = route.backend.base_query.as_str();
    UpstreamTarget {
        path: if base.is_empty() {
            Cow::Borrowed(rest)
        } else {
            Cow::Owned([base, rest].concat())
        },
        query: match path.query() {
            query if base_query.is_empty() => query.map(Cow::Borrowed),
            None => Some(Cow::Owned(base_query.to_owned())),
            Some(query) => Some(Cow::Owned(format!("{base_query}&{query}"))),
        },
        removed_prefix: (!removed.is_empty()).then_some(removed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::fixture;

    fn rewritten(route: &Route, path: &str, root: &str) -> (String, Option<String>) {
        let root = Root::new(root);
        let (path, query) = path
            .split_once('?')
            .map_or((path, None), |(p, q)| (p, Some(q)));
        let path = NormalPath::parse(path, query, &root).unwrap();
        let target = upstream_target(route, &path, &root);
        (target.path_and_query().into_owned(), target.removed_prefix)
    }

    #[test]
    fn escapes_survive_a_backend_path() {
        let mut route = fixture::prefix("/dav/", "ocdav");
        route.backend.base_path = "/base".to_owned();
        route.backend.base_query = "a=1".to_owned();
        let target = rewritten(&route, "/dav/a%2Fb%20c?x=%2f", "/");
        assert_eq!(target, ("/base/dav/a%2Fb%20c?a=1&x=%2f".to_owned(), None));
    }

    #[test]
    fn a_prefix_is_stripped_in_every_spelling_but_only_as_whole_segments() {
        let mut route = fixture::prefix("/files", "files");
        route.strip_prefix = Some("/files/".to_owned());
        let files = Some("/files".to_owned());
        for (path, target, removed) in [
            ("/files/a", "/a", &files),
            ("/%66iles/a", "/a", &files),
            ("/files", "/", &files),
            ("/filesystem", "/filesystem", &None),
        ] {
            assert_eq!(
                rewritten(&route, path, "/"),
                (target.to_owned(), removed.clone())
            );
        }
    }

    #[test]
    fn the_root_is_told_with_the_stripped_prefix() {
        let mut route = fixture::prefix("/files", "files");
        route.strip_prefix = Some("/files".to_owned());
        let target = rewritten(&route, "/cl%6fud/files/a?b", "/cloud/");
        assert_eq!(target, ("/a?b".to_owned(), Some("/cloud/files".to_owned())));
    }
}
