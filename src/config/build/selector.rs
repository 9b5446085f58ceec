//! Which policy serves whom: `policy_selector`, and what is wrong with it.

use std::sync::Arc;

use serde_yaml::{Mapping, Value};

use super::Build;
use crate::config::Flavor;
use crate::config::key::{Key, Tree};
use crate::config::routes::Policy;
use crate::config::scalar::scalar_text;
use crate::config::selector::{PolicyMatch, PolicySelector, Property, SelectorRule, UserSelector};
use crate::config::table::routes;

const STATIC: Key<String> = routes::POLICY_SELECTOR_STATIC_POLICY;
const CLAIMS: Key<Tree> = routes::POLICY_SELECTOR_CLAIMS;
const REGEX: Key<Tree> = routes::POLICY_SELECTOR_REGEX;

/// Keys that both selectors have.
const SHARED_KEYS: [&str; 3] = [
    "default_policy",
    "unauthenticated_policy",
    "selector_cookie_name",
];
const MATCHES: &str = "matches_policies";
const MATCH_KEYS: [&str; 4] = ["priority", "property", "match", "policy"];

impl Build<'_> {
    /// The selector; `None` only beside a mistake.
    pub(super) fn policy_selector(&mut self, policies: &[Policy]) -> Option<PolicySelector> {
        let given = [CLAIMS, REGEX].map(|key| self.selector_map(key));
        let key = match &given {
            [Some(_), Some(_)] => {
                self.wrong(
                    REGEX,
                    format!("is set beside {CLAIMS}; take one of them out"),
                );
                return None;
            }
            [Some(_), None] => CLAIMS.path(),
            [None, Some(_)] => REGEX.path(),
            [None, None] => return Some(PolicySelector::Static(self.static_policy(policies))),
        };
        if self.values.is_set(STATIC) {
            self.wrong(key, format!("is set beside {STATIC}; take one of them out"));
        }
        let map = given.into_iter().flatten().next()?;
        let selector = self.user_selector(&map, key, policies)?;
        if let SelectorRule::Regex(rules) = &selector.rule {
            let used = |name: &str| {
                [&selector.default_policy, &selector.unauthenticated_policy]
                    .into_iter()
                    .chain(rules.iter().map(|rule| &rule.policy))
                    .any(|policy| **policy == *name)
            };
            self.warn_of_unused(policies, used, "no rule of policy_selector.regex names it");
        }
        Some(PolicySelector::ByUser(Arc::new(selector)))
    }

    fn static_policy(&mut self, policies: &[Policy]) -> String {
        let name = self.values.get(STATIC);
        if !policies.is_empty() {
            self.known_policy(&name, policies, |build, text| build.wrong(STATIC, text));
        }
        let why = format!("{STATIC} is {name:?}; give its routes that name to add them");
        self.warn_of_unused(policies, |policy| policy == name, &why);
        name
    }

    fn user_selector(
        &mut self,
        map: &Mapping,
        key: &str,
        policies: &[Policy],
    ) -> Option<UserSelector> {
        let by_claims = key == CLAIMS.path();
        let known = |name: &str| SHARED_KEYS.contains(&name) || (!by_claims && name == MATCHES);
        self.warn_of_unknown_keys(map, key, known);
        let default_policy = self.named_policy(map, key, "default_policy", policies);
        let unauthenticated_policy =
            self.named_policy(map, key, "unauthenticated_policy", policies);
        let cookie = self.selector_cookie(map, key);
        let rule = if by_claims {
            // The other product's claim counts too, for accounts that came from there.
            let mut claims = ["opencloud.routing.policy", "ocis.routing.policy"];
            if self.boot.flavor == Flavor::Ocis {
                claims.reverse();
            }
            SelectorRule::Claims(claims)
        } else {
            SelectorRule::Regex(self.policy_matches(map.get(MATCHES), policies))
        };
        Some(UserSelector {
            policies: policies
                .iter()
                .map(|policy| policy.name.as_str().into())
                .collect(),
            rule,
            default_policy: default_policy?,
            unauthenticated_policy: unauthenticated_policy?,
            cookie,
        })
    }

    fn policy_matches(&mut self, list: Option<&Value>, policies: &[Policy]) -> Vec<PolicyMatch> {
        let key = format!("{REGEX}.{MATCHES}");
        let items = list
            .and_then(Value::as_sequence)
            .filter(|items| !items.is_empty());
        let Some(items) = items else {
            self.at(
                &key,
                "has to be a list of {priority, property, match, policy}",
            );
            return Vec::new();
        };
        let mut matches: Vec<(i64, PolicyMatch)> = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let above = format!("{key}[{index}]");
            match item.as_mapping() {
                Some(map) => matches.extend(self.policy_match(map, &above, policies)),
                None => self.at(
                    &above,
                    "has to be a map of priority, property, match and policy",
                ),
            }
        }
        matches.sort_by_key(|(priority, _)| *priority);
        matches.into_iter().map(|(_, one)| one).collect()
    }

    fn policy_match(
        &mut self,
        map: &Mapping,
        above: &str,
        policies: &[Policy],
    ) -> Option<(i64, PolicyMatch)> {
        self.warn_of_unknown_keys(map, above, |name| MATCH_KEYS.contains(&name));
        let text = |name: &str| map.get(name).and_then(scalar_text).unwrap_or_default();
        let priority = match text("priority").as_str() {
            "" => Some(0),
            number => number.parse().ok(),
        };
        if priority.is_none() {
            let text = format!("is {:?}; it has to be a whole number", text("priority"));
            self.at(&format!("{above}.priority"), text);
        }
        let property = match text("property").as_str() {
            "mail" => Some(Property::Mail),
            "username" => Some(Property::Username),
            "id" => Some(Property::Id),
            other => {
                let text = format!("is {other:?}; it can be mail, username or id");
                self.at(&format!("{above}.property"), text);
                None
            }
        };
        let pattern = match regex::Regex::new(&text("match")) {
            _ if text("match").is_empty() => {
                self.at(above, "has no match; write a regular expression");
                None
            }
            Ok(pattern) => Some(pattern),
            Err(error) => {
                let error = error.to_string();
                let reason = error.lines().last().unwrap_or_default().trim();
                let text = format!("is no regular expression: {reason}");
                self.at(&format!("{above}.match"), text);
                None
            }
        };
        let policy = self.named_policy(map, above, "policy", policies);
        let (property, pattern, policy) = (property?, pattern?, policy?);
        let found = PolicyMatch {
            property,
            pattern,
            policy,
        };
        Some((priority?, found))
    }

    fn selector_cookie(&mut self, map: &Mapping, above: &str) -> String {
        let given = map.get("selector_cookie_name").and_then(scalar_text);
        let name = given.filter(|name| !name.is_empty()).unwrap_or_else(|| {
            match self.boot.flavor {
                Flavor::OpenCloud => "opencloud-selector",
                Flavor::Ocis => "owncloud-selector",
            }
            .to_owned()
        });
        // RFC 6265 section 4.1.1: a token, as header names are.
        if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            let text =
                format!("is {name:?}, which no cookie can be called; use letters, digits and -");
            self.at(&format!("{above}.selector_cookie_name"), text);
        }
        name
    }

    /// The policy that a key of a selector names.
    fn named_policy(
        &mut self,
        map: &Mapping,
        above: &str,
        name: &str,
        policies: &[Policy],
    ) -> Option<Arc<str>> {
        let policy = map.get(name).and_then(scalar_text).unwrap_or_default();
        let key = format!("{above}.{name}");
        if policy.is_empty() {
            self.at(above, format!("has no {name}; name one of the policies"));
            return None;
        }
        let known = self.known_policy(&policy, policies, |build, text| build.at(&key, text));
        known.then(|| policy.as_str().into())
    }

    fn known_policy(
        &mut self,
        name: &str,
        policies: &[Policy],
        wrong: impl FnOnce(&mut Self, String),
    ) -> bool {
        let known = policies.iter().any(|policy| policy.name == name);
        if !known {
            let names: Vec<&str> = policies.iter().map(|policy| policy.name.as_str()).collect();
            let text = format!("is {name:?}, but the policies are {}", names.join(", "));
            wrong(self, text);
        }
        known
    }

    fn selector_map(&mut self, key: Key<Tree>) -> Option<Mapping> {
        match self.values.get(key) {
            None | Some(Value::Null) => None,
            Some(Value::Mapping(map)) if map.is_empty() => None,
            Some(Value::Mapping(map)) => Some(map.clone()),
            Some(_) => {
                self.wrong(
                    key,
                    "has to be a map with default_policy and unauthenticated_policy",
                );
                None
            }
        }
    }

    fn warn_of_unused(&mut self, policies: &[Policy], used: impl Fn(&str) -> bool, why: &str) {
        for policy in policies.iter().filter(|policy| !used(&policy.name)) {
            let text = format!("policy {:?} serves nothing: {why}", policy.name);
            self.notes.warn(text);
        }
    }

    fn warn_of_unknown_keys(&mut self, map: &Mapping, above: &str, known: impl Fn(&str) -> bool) {
        for name in map
            .keys()
            .filter_map(scalar_text)
            .filter(|name| !known(name))
        {
            let place = self.place_in_file(&format!("{above}.{name}"));
            self.notes
                .warn(format!("{place}: unknown key, it has no effect"));
        }
    }
}
