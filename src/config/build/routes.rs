//! Policies and routes: the release's, the operator's, and what is wrong with them.

use serde_yaml::Value;

use super::Build;
use super::route::plain;
use crate::config::Identity;
use crate::config::default_routes::default_routes;
use crate::config::key::{Key, Tree};
use crate::config::routes::{Backend, PathNames, Policy, Route, RouteKind};
use crate::config::scalar::scalar_text;
use crate::config::table::{accounts, routes};

/// Names of files may have any bytes.
fn path_names(endpoint: &str) -> PathNames {
    if endpoint.contains("dav") || endpoint.starts_with("/remote.php/") {
        PathNames::Bytes
    } else {
        PathNames::Usual
    }
}

impl Build<'_> {
    pub(super) fn policies(&mut self) -> Vec<Policy> {
        let before = self.notes.mistakes.len();
        let mut policies = if self.values.is_set(routes::POLICIES) {
            self.listed_policies(routes::POLICIES)
        } else {
            vec![self.default_policy()]
        };
        if self.values.is_set(routes::POLICIES) && policies.is_empty() {
            self.wrong(
                routes::POLICIES,
                "has no policy; without the key the default routes apply",
            );
        }
        for added in self.listed_policies(routes::ADDITIONAL_POLICIES) {
            match policies.iter_mut().find(|policy| policy.name == added.name) {
                Some(policy) => policy.routes.extend(added.routes),
                None => policies.push(added),
            }
        }
        // A route with a mistake is left out, and what follows from that is not another mistake.
        if self.notes.mistakes.len() == before {
            for policy in &policies {
                self.check_policy(policy);
            }
        }
        policies
    }

    fn default_policy(&mut self) -> Policy {
        let routes = default_routes(self.boot.compat)
            .into_iter()
            .filter_map(|route| {
                Some(Route {
                    kind: match route.kind {
                        "query" => RouteKind::Query,
                        "regex" => RouteKind::Regex,
                        _ => RouteKind::Prefix,
                    },
                    method: route.method.and_then(|method| method.parse().ok()),
                    unprotected: route.unprotected,
                    skip_x_access_token: route.skip_x_access_token,
                    path_names: path_names(route.endpoint),
                    ..plain(
                        route.endpoint.to_owned(),
                        self.service(route.service, "services")?,
                    )
                })
            })
            .collect();
        Policy {
            name: routes::POLICY_SELECTOR_STATIC_POLICY
                .setting
                .preset
                .value(self.boot.flavor, self.boot.compat)
                .to_owned(),
            routes,
        }
    }

    fn listed_policies(&mut self, key: Key<Tree>) -> Vec<Policy> {
        let items = match self.values.get(key) {
            Some(Value::Sequence(items)) => items,
            _ => {
                if self.values.is_set(key) {
                    self.wrong(key, "has to be a list of {name, routes}");
                }
                return Vec::new();
            }
        };
        let mut policies = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let above = format!("{key}[{index}]");
            let Some(name) = item
                .get("name")
                .and_then(scalar_text)
                .filter(|name| !name.is_empty())
            else {
                self.at(&above, "has no name");
                continue;
            };
            let Some(routes) = item.get("routes").and_then(Value::as_sequence) else {
                self.at(&above, "has no list of routes");
                continue;
            };
            let routes = routes
                .iter()
                .enumerate()
                .filter_map(|(index, route)| self.route(route, &format!("{above}.routes[{index}]")))
                .collect();
            policies.push(Policy { name, routes });
        }
        policies
    }

    /// No route that can never match, and one for what is left.
    fn check_policy(&mut self, policy: &Policy) {
        let key = if self.values.is_set(routes::POLICIES) {
            routes::POLICIES
        } else {
            routes::ADDITIONAL_POLICIES
        };
        for (index, route) in policy.routes.iter().enumerate() {
            let same = |other: &&Route| {
                other.kind == route.kind
                    && other.method == route.method
                    && other.endpoint == route.endpoint
            };
            if policy.routes[..index].iter().any(|other| same(&other)) {
                self.wrong(key, format!(
                    "has a second route for {} in policy {:?}; the first one matches, so take the second out, or replace all routes by policies",
                    route.endpoint, policy.name
                ));
            }
        }
        if !policy
            .routes
            .iter()
            .any(|route| route.kind == RouteKind::Prefix && route.endpoint == "/")
        {
            // A gateway in front of one WebDAV tree needs none, so this is no mistake.
            self.notes.warn(format!(
                "{key} has no route for / in policy {:?}: requests that match nothing else are answered with 404",
                policy.name
            ));
        }
    }

    /// Those that know, if requests are forwarded to them at all.
    pub(super) fn asked_for_release(&mut self, policies: &[Policy]) -> Vec<Backend> {
        const WHO_KNOWS: [&str; 2] = ["ocdav", "frontend"];
        let is_served = |route: &Route| WHO_KNOWS.contains(&route.backend.name.as_str());
        let mut routes = policies.iter().flat_map(|policy| &policy.routes);
        if !self.boot.asks_release || !routes.any(is_served) {
            return Vec::new();
        }
        WHO_KNOWS
            .iter()
            .filter_map(|service| self.service(service, "services"))
            .collect()
    }

    /// Without the secret nobody can tell the tokens of backends that call back from made-up ones.
    pub(super) fn warn_of_returned_tokens(&mut self, policies: &[Policy], identity: &Identity) {
        let mut routes = policies.iter().flat_map(|policy| &policy.routes);
        let is_known = !identity.jwt_secret.reveal().is_empty();
        // Where it has to be known, that is a mistake already.
        if is_known || !self.notes.mistakes.is_empty() {
            return;
        }
        if let Some(route) = routes.find(|route| route.takes_reva_tokens()) {
            let place = self.values.place(accounts::JWT_SECRET);
            self.notes.warn(format!(
                "{place}: is missing, so the tokens of backends that call back to {} are dropped, and no file can be stored; set it to the {} of the deployment",
                route.endpoint,
                self.own("OC_JWT_SECRET")
            ));
        }
    }

    pub(super) fn at(&mut self, key: &str, text: impl Into<String>) {
        let place = self.place_in_file(key);
        self.notes.mistake(place, text);
    }
}
