//! One route: its keys, its backend, what is wrong with it.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use serde_yaml::Value;
use url::Url;

use super::Build;
use crate::config::routes::{Backend, IdentityMode, PathNames, Route, RouteKind, Server};
use crate::config::scalar;
use crate::config::scalar::scalar_text;
use crate::config::services::{default_endpoint, full_name, short_name};
use crate::config::table::services;
use crate::model::{ClaimPath, ClaimRequirement, Endpoint, Protocol};

/// Keys of a route, as they are written.
pub(crate) const ROUTE_KEYS: [&str; 15] = [
    "type",
    "method",
    "endpoint",
    "backend",
    "service",
    "apache_vhost",
    "unprotected",
    "identity",
    "strip_prefix",
    "additional_headers",
    "remote_user_header",
    "skip_x_access_token",
    "required_claims",
    "max_age",
    "path_names",
];

impl Build<'_> {
    pub(super) fn route(&mut self, item: &Value, above: &str) -> Option<Route> {
        let Some(map) = item.as_mapping() else {
            self.at(above, "has to be a mapping of keys to values");
            return None;
        };
        for name in map.keys().filter_map(scalar_text) {
            if !ROUTE_KEYS.contains(&name.as_str()) {
                let place = self.place_in_file(&format!("{above}.{name}"));
                self.notes
                    .warn(format!("{place}: unknown key of a route, it has no effect"));
            }
        }
        let text = |name: &str| {
            map.get(name)
                .and_then(scalar_text)
                .filter(|text| !text.is_empty())
        };
        let Some(endpoint) = text("endpoint") else {
            self.at(above, "has no endpoint");
            return None;
        };
        let kind = match text("type").as_deref() {
            None | Some("prefix") => RouteKind::Prefix,
            Some("query") => RouteKind::Query,
            Some("regex") => RouteKind::Regex,
            Some(other) => {
                self.at(
                    &format!("{above}.type"),
                    format!("is {other:?}; it can be prefix, query or regex"),
                );
                return None;
            }
        };
        self.check_endpoint(kind, &endpoint, &format!("{above}.endpoint"));
        let backend = self.route_backend(text("service"), text("backend"), above, &endpoint);
        let route = Route {
            kind,
            method: self.method(text("method"), above),
            apache_vhost: self.route_flag(map, "apache_vhost", above),
            unprotected: self.route_flag(map, "unprotected", above),
            identity: self.identity_mode(text("identity"), above),
            strip_prefix: self.strip_prefix(text("strip_prefix"), &endpoint, kind, above),
            additional_headers: self.additional_headers(map.get("additional_headers"), above),
            remote_user_header: text("remote_user_header")
                .and_then(|name| self.header_name(&name, above)),
            skip_x_access_token: self.route_flag(map, "skip_x_access_token", above),
            required_claims: self.required_claims(map.get("required_claims"), above),
            max_age: self.max_age(text("max_age"), above),
            path_names: self.path_names(text("path_names"), above),
            place: self.place_in_file(above).to_string(),
            ..plain(endpoint, backend?)
        };
        if route.apache_vhost && matches!(route.backend.server, Server::Service(_)) {
            let place = self.place_in_file(&format!("{above}.apache_vhost"));
            self.notes.warn(format!(
                "{place}: has no effect with a service whose nodes are looked up; name its URL by backend, or in services"
            ));
        }
        if route.unprotected && (!route.required_claims.is_empty() || route.max_age.is_some()) {
            self.at(above, "is unprotected, so required_claims and max_age can never hold; take one of them out");
        }
        if route.strip_prefix.is_some() && is_webdav(&route) {
            let place = self.place_in_file(&format!("{above}.strip_prefix"));
            self.notes.warn(format!(
                "{place}: answers of WebDAV name their resources by paths, which are not rewritten; most clients will find nothing, so give the backend the prefix for a path of its own instead"
            ));
        }
        Some(route)
    }

    fn path_names(&mut self, text: Option<String>, above: &str) -> PathNames {
        match text.as_deref() {
            None => PathNames::Usual,
            Some("strict") => PathNames::Strict,
            Some("bytes") => PathNames::Bytes,
            Some(other) => {
                self.at(
                    &format!("{above}.path_names"),
                    format!("is {other:?}; it can be strict or bytes"),
                );
                PathNames::Strict
            }
        }
    }

    fn check_endpoint(&mut self, kind: RouteKind, endpoint: &str, key: &str) {
        match kind {
            RouteKind::Regex => {
                if let Err(error) = regex::Regex::new(endpoint) {
                    let error = error.to_string();
                    let reason = error.lines().last().unwrap_or_default().trim();
                    self.at(
                        key,
                        format!("is no regular expression: {reason} in {endpoint:?}"),
                    );
                }
            }
            RouteKind::Query if !endpoint.contains('?') => {
                self.at(
                    key,
                    "has no query; a query route needs one, /path?name=value",
                );
            }
            RouteKind::Prefix | RouteKind::Query if !endpoint.starts_with('/') => {
                self.at(key, format!("is {endpoint:?}; it has to start with /"));
            }
            RouteKind::Prefix | RouteKind::Query => {}
        }
    }

    fn route_backend(
        &mut self,
        service: Option<String>,
        backend: Option<String>,
        above: &str,
        endpoint: &str,
    ) -> Option<Backend> {
        match (service, backend) {
            (Some(service), None) => self.service(&service, &format!("{above}.service")),
            (None, Some(url)) => match backend_of(&url, None) {
                Ok(backend) => Some(backend),
                Err(error) => {
                    self.at(&format!("{above}.backend"), error);
                    None
                }
            },
            (Some(_), Some(_)) => {
                let text = "has both service and backend; take one of them out";
                self.at(above, format!("{text} (endpoint {endpoint:?})"));
                None
            }
            (None, None) => {
                let text = "has neither service nor backend; name one of them";
                self.at(above, format!("{text} (endpoint {endpoint:?})"));
                None
            }
        }
    }

    /// A service: at the address `services:` gives it, else wherever its nodes are.
    pub(super) fn service(&mut self, service: &str, key: &str) -> Option<Backend> {
        let short = short_name(service);
        let full = full_name(service, self.boot.flavor);
        let listed = self.values.get(services::SERVICES).and_then(|services| {
            [service, full.as_str(), short]
                .iter()
                .find_map(|name| services.get(*name).map(|url| (*name, url)))
        });
        if let Some((name, url)) = listed {
            let url = scalar_text(url).unwrap_or_default();
            return match backend_of(&url, Some(short)) {
                Ok(backend) => Some(backend),
                Err(error) => {
                    self.at(&format!("services.{name}"), error);
                    None
                }
            };
        }
        // A registry knows more services than the releases come with, but only by whole names.
        let is_looked_up = self.has_registry() && service.contains('.');
        if default_endpoint(short).is_none() && !is_looked_up {
            self.at(key, format!(
                "is {service:?}, whose address is not known; add `{service}: http://host:port` to services, or use backend"
            ));
            return None;
        }
        Some(Backend {
            name: short.to_owned(),
            server: Server::Service(full),
            base_path: String::new(),
            base_query: String::new(),
        })
    }

    fn method(&mut self, text: Option<String>, above: &str) -> Option<Method> {
        let text = text?;
        match text.to_ascii_uppercase().parse() {
            Ok(method) => Some(method),
            Err(_) => {
                self.at(
                    &format!("{above}.method"),
                    format!("is {text:?}, which is no method"),
                );
                None
            }
        }
    }

    fn identity_mode(&mut self, text: Option<String>, above: &str) -> IdentityMode {
        match text.as_deref() {
            None | Some("reva") => IdentityMode::Reva,
            Some("headers") => IdentityMode::Headers,
            Some("none") => IdentityMode::None,
            Some(other) => {
                self.at(
                    &format!("{above}.identity"),
                    format!("is {other:?}; it can be reva, headers or none"),
                );
                IdentityMode::None
            }
        }
    }

    /// `true` is the endpoint's own path.
    fn strip_prefix(
        &mut self,
        text: Option<String>,
        endpoint: &str,
        kind: RouteKind,
        above: &str,
    ) -> Option<String> {
        let key = format!("{above}.strip_prefix");
        let prefix = match text?.as_str() {
            "false" => return None,
            "true" if kind == RouteKind::Regex => {
                self.at(&key, "is true on a regex route; write the prefix");
                return None;
            }
            "true" => endpoint.split('?').next().unwrap_or_default().to_owned(),
            other => other.to_owned(),
        };
        if !prefix.starts_with('/') {
            self.at(
                &key,
                format!("is {prefix:?}; it has to be true, or a path that starts with /"),
            );
        }
        Some(prefix.trim_end_matches('/').to_owned()).filter(|prefix| !prefix.is_empty())
    }

    fn additional_headers(
        &mut self,
        value: Option<&Value>,
        above: &str,
    ) -> Vec<(HeaderName, HeaderValue)> {
        let key = format!("{above}.additional_headers");
        let maps: Vec<&Value> = match value {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::Sequence(items)) => items.iter().collect(),
            Some(value) => vec![value],
        };
        let mut headers = Vec::new();
        for map in maps {
            let Some(map) = map.as_mapping() else {
                self.at(
                    &key,
                    "has to be a map, or a list of maps with one entry each",
                );
                continue;
            };
            for (name, value) in map {
                let (Some(name), Some(value)) = (scalar_text(name), scalar_text(value)) else {
                    self.at(&key, "has to have texts as names and values");
                    continue;
                };
                match (self.header_name(&name, &key), HeaderValue::from_str(&value)) {
                    (Some(name), Ok(value)) => headers.push((name, value)),
                    (Some(name), Err(_)) => self.at(
                        &key,
                        format!("has a value for {name} that no header can have"),
                    ),
                    (None, _) => {}
                }
            }
        }
        headers
    }

    fn header_name(&mut self, name: &str, key: &str) -> Option<HeaderName> {
        let parsed = name.parse().ok();
        if parsed.is_none() {
            self.at(key, format!("has {name:?}, which is no header name"));
        }
        parsed
    }

    fn required_claims(&mut self, value: Option<&Value>, above: &str) -> Vec<ClaimRequirement> {
        let items: Vec<String> = match value {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::Sequence(items)) => items
                .iter()
                .map(|item| scalar_text(item).unwrap_or_default())
                .collect(),
            Some(value) => scalar::list(&scalar_text(value).unwrap_or_else(|| "?".to_owned())),
        };
        let mut claims = Vec::new();
        for item in items {
            match scalar::claim_value(&item) {
                Ok((claim, value)) => claims.push(ClaimRequirement {
                    claim: ClaimPath::parse(&claim),
                    value,
                }),
                Err(error) => self.at(&format!("{above}.required_claims"), error),
            }
        }
        claims
    }

    fn max_age(&mut self, text: Option<String>, above: &str) -> Option<Duration> {
        match scalar::duration(&text?) {
            Ok(age) if !age.is_zero() => Some(age),
            Ok(_) => None,
            Err(error) => {
                self.at(&format!("{above}.max_age"), error);
                None
            }
        }
    }

    fn route_flag(&mut self, map: &serde_yaml::Mapping, name: &str, above: &str) -> bool {
        let Some(value) = map.get(name).filter(|value| !value.is_null()) else {
            return false;
        };
        let text = scalar_text(value).unwrap_or_else(|| "a list or map".to_owned());
        match scalar::boolean(scalar::yaml_boolean(&text)) {
            Ok(flag) => flag,
            Err(error) => {
                self.at(&format!("{above}.{name}"), error);
                false
            }
        }
    }
}

/// As far as its settings say.
fn is_webdav(route: &Route) -> bool {
    let says_dav = |path: &str| path.to_ascii_lowercase().contains("dav");
    route.path_names == PathNames::Bytes
        || says_dav(&route.endpoint)
        || says_dav(&route.backend.base_path)
}

/// A protected prefix route.
pub(super) fn plain(endpoint: String, backend: Backend) -> Route {
    Route {
        kind: RouteKind::Prefix,
        method: None,
        endpoint,
        backend,
        apache_vhost: false,
        unprotected: false,
        identity: IdentityMode::Reva,
        strip_prefix: None,
        additional_headers: Vec::new(),
        remote_user_header: None,
        skip_x_access_token: false,
        required_claims: Vec::new(),
        max_age: None,
        path_names: PathNames::default(),
        place: String::new(),
    }
}

pub(super) fn backend_of(text: &str, name: Option<&str>) -> Result<Backend, String> {
    let url: Url = scalar::url(text)?;
    let host = match url.host() {
        Some(url::Host::Ipv6(ip)) => ip.to_string(),
        Some(host) => host.to_string(),
        None => return Err(format!("is {text:?}, which names no host")),
    };
    let tls = url.scheme() == "https";
    let port = url
        .port_or_known_default()
        .unwrap_or(if tls { 443 } else { 80 });
    Ok(Backend {
        name: name.map_or_else(|| format!("{host}:{port}"), str::to_owned),
        server: Server::Origin(Arc::new(Endpoint {
            tls,
            ..Endpoint::tcp(Protocol::Http, &host, port)
        })),
        base_path: url.path().trim_end_matches('/').to_owned(),
        base_query: url.query().unwrap_or_default().to_owned(),
    })
}
