//! The routes of one policy, ready to be searched (docs/design/contract.md 9.1).

use std::collections::HashMap;

use http::Method;
use regex::{Regex, RegexSet};
use url::form_urlencoded;

use super::prefix::PrefixIndex;
use super::{NormalPath, RouteError, RouteMatch, is_at_or_below, is_registered_method};
use crate::config::routes::{PathNames, Policy, Route, RouteKind};

/// The compiled routes of a policy. Immutable: a reload makes a new one.
#[derive(Debug)]
pub struct Table {
    routes: Vec<Route>,
    /// Routes of the tables before this one, see [`super::Policies::routes`].
    pub(super) first: usize,
    query: ByMethod<Queries>,
    regex: ByMethod<Patterns>,
    prefix: ByMethod<Prefixes>,
}

/// A policy that cannot be compiled; found at start.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The endpoint is no regular expression.
    #[error("route {endpoint}: {source}")]
    Regex {
        /// The endpoint as written.
        endpoint: String,
        /// What is wrong with it.
        source: Box<regex::Error>,
    },
    /// The endpoint does not start with a slash.
    #[error("route {0}: an endpoint starts with a slash")]
    NoSlash(String),
}

impl Table {
    /// Compiles the routes of a policy.
    ///
    /// # Errors
    /// The first endpoint that is no path or no regular expression.
    pub fn compile(policy: &Policy) -> Result<Self, CompileError> {
        let routes = policy.routes.clone();
        for route in &routes {
            if route.kind != RouteKind::Regex && !route.endpoint.starts_with('/') {
                return Err(CompileError::NoSlash(route.endpoint.clone()));
            }
        }
        Ok(Self {
            first: 0,
            query: ByMethod::new(&routes, RouteKind::Query, |routes| Ok(Queries::new(routes)))?,
            regex: ByMethod::new(&routes, RouteKind::Regex, Patterns::new)?,
            prefix: ByMethod::new(&routes, RouteKind::Prefix, |of_method| {
                Ok(Prefixes::new(of_method, &routes))
            })?,
            routes,
        })
    }

    /// The route of a request: query routes, then regular expressions, then prefixes, `/` last.
    ///
    /// # Errors
    /// No route, or a method that may not be used there.
    pub fn find(
        &self,
        method: &Method,
        path: &NormalPath<'_>,
    ) -> Result<RouteMatch<'_>, RouteError> {
        if method == Method::CONNECT {
            return Err(RouteError::MethodNotAllowed);
        }
        let matched = path.matched();
        let at = self.position(method, matched, path.query());
        // A backend may decode `%2F` in a name, or cut `;x` off one. If that would lead to another route, nobody can tell which
        // rules apply.
        for reading in path.other_readings() {
            if at != self.position(method, reading, path.query()) {
                return Err(path.odd_name().unwrap_or(RouteError::BadTarget));
            }
        }
        let route = &self.routes[at.ok_or(RouteError::NoRoute)?];
        if let Some(fault) = path.odd_name()
            && !takes_any_name(route, path)
        {
            return Err(fault);
        }
        if is_nowhere(route, matched) {
            return Err(RouteError::NoRoute);
        }
        if !is_registered_method(method) && route.method.as_ref() != Some(method) && !path.is_dav()
        {
            return Err(RouteError::MethodNotAllowed);
        }
        Ok(RouteMatch::new(route, path))
    }

    /// The routes, in the order of the policy.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Where one of these routes stands among all that [`super::Policies::routes`] gives.
    #[must_use]
    pub fn place_of(&self, route: &Route) -> Option<usize> {
        let start = self.routes.as_ptr().addr();
        let offset = std::ptr::from_ref(route).addr().checked_sub(start)?;
        let position = offset / size_of::<Route>();
        (position < self.routes.len()).then_some(self.first + position)
    }

    fn position(&self, method: &Method, path: &str, query: Option<&str>) -> Option<usize> {
        let search = |method: Option<&Method>| {
            self.query
                .of(method)
                .first(&self.routes, path, query)
                .or_else(|| self.regex.of(method).first(path))
                .or_else(|| self.prefix.of(method).first(&self.routes, path))
        };
        if !(self.query.knows(method) || self.regex.knows(method) || self.prefix.knows(method)) {
            return search(None);
        }
        // Where the routes of its own method do not match, the others still serve.
        search(Some(method)).or_else(|| search(None))
    }
}

/// What is no page, whatever an app for browsers or an old server would make of it: a monitor that asks
/// the public port for its metrics must not take the web app for them, and clients look for a login of ownCloud 10 when
/// discovery failed. Routes of their own still lead there.
const NO_PAGES: [&str; 3] = ["/metrics", "/healthz", "/readyz"];
const OLD_LOGIN: &str = "/index.php/apps/oauth2";

fn is_nowhere(route: &Route, path: &str) -> bool {
    match route.endpoint.as_str() {
        "/" => route.unprotected && (NO_PAGES.contains(&path) || is_at_or_below(path, OLD_LOGIN)),
        "/index.php/" | "/index.php" => is_at_or_below(path, OLD_LOGIN),
        _ => false,
    }
}

fn takes_any_name(route: &Route, path: &NormalPath<'_>) -> bool {
    match route.path_names {
        PathNames::Usual => path.is_dav(),
        PathNames::Bytes => true,
        PathNames::Strict => false,
    }
}

/// One kind of routes, with separate sets for the methods that have routes of their own.
#[derive(Debug)]
struct ByMethod<S> {
    own: HashMap<Method, S>,
    any: S,
}

impl<S> ByMethod<S> {
    fn new(
        routes: &[Route],
        kind: RouteKind,
        compile: impl Fn(&[(usize, &Route)]) -> Result<S, CompileError>,
    ) -> Result<Self, CompileError> {
        let of = |method: Option<&Method>| -> Vec<(usize, &Route)> {
            let is_of = |route: &Route| route.kind == kind && route.method.as_ref() == method;
            let routes = routes.iter().enumerate();
            routes.filter(|(_, route)| is_of(route)).collect()
        };
        let mut own = HashMap::new();
        for route in routes.iter().filter(|route| route.kind == kind) {
            if let Some(method) = &route.method
                && !own.contains_key(method)
            {
                own.insert(method.clone(), compile(&of(Some(method)))?);
            }
        }
        let any = compile(&of(None))?;
        Ok(Self { own, any })
    }

    fn knows(&self, method: &Method) -> bool {
        !self.own.is_empty() && self.own.contains_key(method)
    }

    fn of(&self, method: Option<&Method>) -> &S {
        match method {
            Some(method) => self.own.get(method).unwrap_or(&self.any),
            None => &self.any,
        }
    }
}

/// Prefix routes. `/` is tried after all others, wherever it stands.
#[derive(Debug)]
struct Prefixes {
    index: PrefixIndex,
    root: Option<usize>,
}

impl Prefixes {
    /// `all`: the routes of the policy, whatever their method. `/dav/` also takes `/dav`, unless one of them names it: some
    /// clients ask for the folder so.
    fn new(routes: &[(usize, &Route)], all: &[Route]) -> Self {
        let (root, mut others): (Vec<_>, Vec<_>) = routes
            .iter()
            .map(|&(at, route)| (route.endpoint.clone(), at))
            .partition(|(prefix, _)| prefix == "/");
        let is_named = |name: &str| {
            let mut prefixes = all.iter().filter(|route| route.kind == RouteKind::Prefix);
            prefixes.any(|route| route.endpoint == name)
        };
        let bare: Vec<(String, usize)> = others
            .iter()
            .filter_map(|(prefix, at)| Some((prefix.strip_suffix('/')?, *at)))
            .filter(|(name, _)| !is_named(name))
            .map(|(name, at)| (name.to_owned(), at))
            .collect();
        others.extend(bare);
        Self {
            index: PrefixIndex::new(others),
            root: root.first().map(|(_, at)| *at),
        }
    }

    fn first(&self, routes: &[Route], path: &str) -> Option<usize> {
        self.index
            .first(path, |at, prefix| {
                let is_bare = prefix.len() < routes[at].endpoint.len();
                if is_bare {
                    path.len() == prefix.len()
                } else {
                    ends_well(&routes[at], path, prefix)
                }
            })
            .or(self.root)
    }
}

/// Without a login the prefix has to be whole segments, else `/data` would open `/database`.
fn ends_well(route: &Route, path: &str, prefix: &str) -> bool {
    !route.unprotected || is_at_or_below(path, prefix)
}

/// Query routes: a path prefix, and parameters whose first value is given.
#[derive(Debug)]
struct Queries {
    index: PrefixIndex,
    parameters: HashMap<usize, Vec<(String, String)>>,
}

impl Queries {
    fn new(routes: &[(usize, &Route)]) -> Self {
        let mut parameters = HashMap::new();
        let prefixes = routes.iter().map(|&(at, route)| {
            let (prefix, query) = route
                .endpoint
                .split_once('?')
                .unwrap_or((&route.endpoint, ""));
            let wanted = form_urlencoded::parse(query.as_bytes());
            parameters.insert(at, wanted.into_owned().collect());
            (prefix.to_owned(), at)
        });
        let index = PrefixIndex::new(prefixes);
        Self { index, parameters }
    }

    fn first(&self, routes: &[Route], path: &str, query: Option<&str>) -> Option<usize> {
        if self.parameters.is_empty() {
            return None;
        }
        let query = query.unwrap_or_default();
        self.index.first(path, |at, prefix| {
            ends_well(&routes[at], path, prefix)
                && self.parameters.get(&at).is_some_and(|wanted| {
                    wanted.iter().all(|(name, value)| {
                        form_urlencoded::parse(query.as_bytes())
                            .find(|(key, _)| key == name)
                            .is_some_and(|(_, first)| first == *value)
                    })
                })
        })
    }
}

/// Regular expressions on the path, anchored at its start; without a login also at the end of a segment.
#[derive(Debug)]
struct Patterns {
    set: RegexSet,
    /// Position in the policy of each pattern.
    routes: Vec<usize>,
    /// What every path that matches starts with: most requests need no regular expression.
    literal: String,
}

impl Patterns {
    fn new(routes: &[(usize, &Route)]) -> Result<Self, CompileError> {
        let mut patterns = Vec::with_capacity(routes.len());
        for (_, route) in routes {
            let endpoint = &route.endpoint;
            // Compiled alone first, so that unbalanced brackets cannot reach out of the group below.
            Regex::new(endpoint).map_err(|source| invalid(endpoint, source))?;
            patterns.push(match (route.unprotected, endpoint.ends_with('/')) {
                (false, _) | (true, true) => format!(r"\A(?:{endpoint})"),
                (true, false) => format!(r"\A(?:{endpoint})(?:/|\z)"),
            });
        }
        let set =
            RegexSet::new(&patterns).map_err(|source| invalid(&patterns.join(" "), source))?;
        let literals = routes
            .iter()
            .map(|(_, route)| literal_start(&route.endpoint));
        Ok(Self {
            set,
            routes: routes.iter().map(|&(at, _)| at).collect(),
            literal: literals.reduce(common_start).unwrap_or_default().to_owned(),
        })
    }

    fn first(&self, path: &str) -> Option<usize> {
        // `is_match` allocates nothing, and mostly the answer is no.
        if self.routes.is_empty() || !path.starts_with(&self.literal) || !self.set.is_match(path) {
            return None;
        }
        let first = self.set.matches(path).iter().next()?;
        self.routes.get(first).copied()
    }
}

fn invalid(endpoint: &str, source: regex::Error) -> CompileError {
    CompileError::Regex {
        endpoint: endpoint.to_owned(),
        source: Box::new(source),
    }
}

/// The characters before the first that means something in a regular expression.
fn literal_start(pattern: &str) -> &str {
    if pattern.contains('|') {
        return "";
    }
    let is_literal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | ' ');
    let end = pattern.find(|c| !is_literal(c)).unwrap_or(pattern.len());
    let literal = &pattern[..end];
    // `/ab?` need not start with `/ab`.
    match pattern[end..].chars().next() {
        Some('?' | '*' | '{') => &literal[..literal.len().saturating_sub(1)],
        _ => literal,
    }
}

fn common_start<'a>(one: &'a str, other: &str) -> &'a str {
    let same = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b);
    &one[..same.count()]
}

#[cfg(test)]
mod tests;
