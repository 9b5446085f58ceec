//! The tables of the policies that may serve, and which of them serves a request that comes without a login.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue, Method};

use super::{CompileError, NormalPath, RouteError, RouteMatch, Table};
use crate::config::routes::{Policy, Route};
use crate::config::selector::{PolicySelector, UserSelector};

/// The compiled policies. Immutable: a reload makes new ones.
#[derive(Debug)]
pub enum Policies {
    /// One for everybody.
    Static(Box<Table>),
    /// One for each user.
    ByUser(UserPolicies),
}

/// The tables of several policies.
#[derive(Debug)]
pub struct UserPolicies {
    tables: Vec<(String, Table)>,
    default: usize,
    unauthenticated: usize,
    cookie: String,
}

/// Why policies cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum PoliciesError {
    /// The selector names a policy that does not exist.
    #[error("policy `{0}` does not exist; see `policy_selector`")]
    NoPolicy(String),
    /// A route cannot be compiled.
    #[error(transparent)]
    Route(#[from] CompileError),
}

impl Policies {
    /// Compiles the policies that may serve.
    ///
    /// # Errors
    /// See [`PoliciesError`].
    pub fn compile(policies: &[Policy], selector: &PolicySelector) -> Result<Self, PoliciesError> {
        match selector {
            PolicySelector::Static(name) => {
                let policy = policies.iter().find(|policy| policy.name == *name);
                let policy = policy.ok_or_else(|| PoliciesError::NoPolicy(name.clone()))?;
                Ok(Self::Static(Box::new(Table::compile(policy)?)))
            }
            PolicySelector::ByUser(selector) => {
                UserPolicies::compile(policies, selector).map(Self::ByUser)
            }
        }
    }
}

impl Policies {
    /// The routes of all tables, in the order of [`Table::place_of`].
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        let (one, several) = match self {
            Self::Static(table) => (Some(&**table), &[][..]),
            Self::ByUser(policies) => (None, &*policies.tables),
        };
        let several = several.iter().map(|(_, table)| table);
        one.into_iter().chain(several).flat_map(Table::routes)
    }

    /// Whether somebody has to log in there, by any policy.
    #[must_use]
    pub fn protects(&self, path: &NormalPath<'_>) -> bool {
        let protects = |table: &Table| {
            let found = table.find(&Method::GET, path);
            matches!(found, Ok(RouteMatch::Protected(_)))
        };
        match self {
            Self::Static(table) => protects(table),
            Self::ByUser(policies) => policies.tables.iter().any(|(_, table)| protects(table)),
        }
    }
}

impl UserPolicies {
    fn compile(policies: &[Policy], selector: &UserSelector) -> Result<Self, PoliciesError> {
        let position = |name: &str| {
            let position = policies.iter().position(|policy| policy.name == name);
            position.ok_or_else(|| PoliciesError::NoPolicy(name.to_owned()))
        };
        let mut first = 0;
        let compiled = policies.iter().map(|policy| {
            let mut table = Table::compile(policy)?;
            table.first = first;
            first += table.routes().len();
            Ok((policy.name.clone(), table))
        });
        Ok(Self {
            default: position(&selector.default_policy)?,
            unauthenticated: position(&selector.unauthenticated_policy)?,
            cookie: selector.cookie.clone(),
            tables: compiled.collect::<Result<_, CompileError>>()?,
        })
    }

    /// The table of a user's policy. Right after a reload a session may name one that is no more: the default's then.
    #[must_use]
    pub fn of_user(&self, policy: Option<&str>) -> &Table {
        let named = policy.and_then(|policy| self.named(policy));
        named.unwrap_or_else(|| self.at(self.default))
    }

    /// The table and route of a request without a login. The cookie says whose browser it may be, but anybody can write
    /// one: it opens no path that is closed to those who have none.
    ///
    /// # Errors
    /// As [`Table::find`].
    pub fn of_anybody(
        &self,
        headers: &HeaderMap,
        method: &Method,
        path: &NormalPath<'_>,
    ) -> Result<(&Table, RouteMatch<'_>), RouteError> {
        let usual = self.at(self.unauthenticated);
        let chosen = self.chosen(headers).and_then(|policy| self.named(policy));
        if let Some(table) = chosen {
            let route = table.find(method, path)?;
            if !route.is_open() || usual.find(method, path)?.is_open() {
                return Ok((table, route));
            }
        }
        Ok((usual, usual.find(method, path)?))
    }

    /// What makes a browser remember the user's policy, unless it does already. `https`: as the client sees it.
    #[must_use]
    pub fn cookie(&self, headers: &HeaderMap, policy: &str, https: bool) -> Option<HeaderValue> {
        // RFC 6265 section 4.1.1; a policy of another name is not remembered.
        let is_value = |b: u8| b.is_ascii_graphic() && !b"\",;\\".contains(&b);
        if self.chosen(headers) == Some(policy) || !policy.bytes().all(is_value) {
            return None;
        }
        // A login at the issuer comes back by a link from another site, so it cannot be `Strict`.
        let secure = if https { "; Secure" } else { "" };
        let text = format!(
            "{}={policy}; Path=/; HttpOnly; SameSite=Lax{secure}",
            self.cookie
        );
        HeaderValue::from_str(&text).ok()
    }

    fn named(&self, policy: &str) -> Option<&Table> {
        let mut tables = self.tables.iter();
        tables
            .find(|(name, _)| name == policy)
            .map(|(_, table)| table)
    }

    fn at(&self, position: usize) -> &Table {
        &self.tables[position].1
    }

    /// The first cookie of that name; a browser sends the one of the longest path first (RFC 6265 section 5.4).
    fn chosen<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        let lines = headers.get_all(COOKIE).iter();
        lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find_map(|(name, value)| (name == self.cookie).then_some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::selector::SelectorRule;
    use crate::routes::Root;
    use crate::routes::fixture::prefix;

    /// `old` opens everything, `new` only `/web`.
    fn policies() -> UserPolicies {
        let policy = |name: &str, open: &[&str]| Policy {
            name: name.to_owned(),
            routes: ["/web", "/dav"]
                .map(|endpoint| crate::config::routes::Route {
                    unprotected: open.contains(&endpoint),
                    ..prefix(endpoint, name)
                })
                .to_vec(),
        };
        let selector = UserSelector {
            policies: Vec::new(),
            rule: SelectorRule::Claims(["a", "b"]),
            default_policy: "new".into(),
            unauthenticated_policy: "new".into(),
            cookie: "selector".into(),
        };
        let policies = [policy("old", &["/web", "/dav"]), policy("new", &["/web"])];
        UserPolicies::compile(&policies, &selector).unwrap()
    }

    fn cookie(text: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, text.parse().unwrap());
        headers
    }

    fn backend_and_openness(headers: &HeaderMap, path: &str) -> (String, bool) {
        let policies = policies();
        let path = NormalPath::parse(path, None, &Root::default()).unwrap();
        let (_, route) = policies.of_anybody(headers, &Method::GET, &path).unwrap();
        (
            route
                .settings()
                .backend
                .name
                .replace("eu.opencloud.web.", ""),
            route.is_open(),
        )
    }

    #[test]
    fn the_cookie_chooses_among_open_paths_and_opens_none() {
        let old = cookie("a=b; selector=old; selector=new");
        assert_eq!(backend_and_openness(&old, "/web"), ("old".into(), true));
        assert_eq!(backend_and_openness(&old, "/dav"), ("new".into(), false));
        for other in [
            "selector=",
            "selector=none",
            "selector",
            "xselector=old",
            ";;=;",
        ] {
            let route = backend_and_openness(&cookie(other), "/web");
            assert_eq!(route, ("new".into(), true), "{other}");
        }
    }

    #[test]
    fn every_route_of_every_policy_has_a_place_of_its_own() {
        let policies = Policies::ByUser(policies());
        let Policies::ByUser(by_user) = &policies else {
            unreachable!()
        };
        let tables = by_user.tables.iter().map(|(_, table)| table);
        let places = tables.flat_map(|table| {
            let routes = table.routes().iter();
            routes.map(|route| (table.place_of(route), route))
        });
        for ((place, route), (at, other)) in places.zip(policies.routes().enumerate()) {
            assert!(place == Some(at) && std::ptr::eq(route, other));
        }
        let foreign = prefix("/web", "elsewhere");
        assert_eq!(by_user.tables[0].1.place_of(&foreign), None);
    }

    #[test]
    fn the_cookie_is_set_only_where_it_says_something_else() {
        let policies = policies();
        assert_eq!(policies.cookie(&cookie("selector=old"), "old", true), None);
        let set = policies.cookie(&HeaderMap::new(), "old", true).unwrap();
        assert_eq!(set, "selector=old; Path=/; HttpOnly; SameSite=Lax; Secure");
        let set = policies
            .cookie(&cookie("selector=new"), "old", false)
            .unwrap();
        assert_eq!(set, "selector=old; Path=/; HttpOnly; SameSite=Lax");
        assert_eq!(policies.cookie(&HeaderMap::new(), "a;b", true), None);
    }
}
