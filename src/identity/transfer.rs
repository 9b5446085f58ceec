//! The data gateway of newer releases: the upload location that WebDAV answers is an address inside the deployment, and only
//! whoever holds the transfer secret leads clients there (docs/design/contract.md 9.14).

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use super::hs256::Hs256;
use crate::config;
use crate::config::routes::{Backend, Route, Server};
use crate::model::{Endpoint, Protocol, UnixTime};

/// Turns internal upload locations into ones of the gateway, and back.
pub struct DataGateway {
    key: Hs256,
    servers: Vec<DataServer>,
}

/// One place where uploads may go. Its routes live as long as the configuration, so that connections to it are kept.
struct DataServer {
    /// `host:port` in lower case.
    name: String,
    plain: Route,
    tls: Route,
}

/// Where a transfer's token leads.
#[derive(Debug)]
pub struct Transfer<'g> {
    /// To its server.
    pub route: &'g Route,
    /// Path and query there.
    pub target: Url,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    exp: f64,
    target: String,
}

/// How long an upload may take.
const LIFE: Duration = Duration::from_secs(24 * 3600);

impl DataGateway {
    /// None without a secret.
    #[must_use]
    pub fn new(settings: &config::DataGateway) -> Option<Self> {
        let servers = settings.servers.iter();
        Some(Self {
            key: Hs256::new(&settings.secret)?,
            servers: servers
                .filter_map(|server| DataServer::new(server))
                .collect(),
        })
    }

    /// Where a transfer's token leads. `None`: it is not one of ours, is over, or leads to no data server.
    #[must_use]
    pub fn target(&self, token: &str, now: UnixTime) -> Option<Transfer<'_>> {
        let claims: Claims = self.key.verify(token)?;
        #[expect(
            clippy::cast_precision_loss,
            reason = "times are exact in a double for millions of years"
        )]
        let is_ahead = claims.exp > now.0 as f64;
        let target = Url::parse(&claims.target).ok()?;
        let route = self.route(&target).filter(|_| is_ahead)?;
        Some(Transfer { route, target })
    }

    /// The location that a client of `origin` (with `http.root`) can use in place of a data server's. `None` where it is none.
    #[must_use]
    pub fn location(&self, told: &str, origin: &str, now: UnixTime) -> Option<String> {
        let target = Url::parse(told).ok()?;
        if !target.path().starts_with("/data/") {
            return None;
        }
        if self.route(&target).is_none() {
            tracing::debug!(
                host = target.host_str(),
                "an upload location leads to no server of data_gateway.servers (PROXY_DATA_SERVERS) and stays as it is"
            );
            return None;
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "times are exact in a double for millions of years"
        )]
        let claims = Claims {
            exp: now.plus(LIFE).0 as f64,
            target: told.to_owned(),
        };
        let token = self.key.sign(&serde_json::to_vec(&claims).ok()?);
        Some(format!(
            "{origin}{}/{token}",
            target.path().trim_end_matches('/')
        ))
    }

    fn route(&self, target: &Url) -> Option<&Route> {
        let (host, port) = (target.host_str()?, target.port_or_known_default()?);
        let name = format!("{}:{port}", host.to_lowercase());
        let server = self.servers.iter().find(|server| server.name == name)?;
        let is_plain = target.username().is_empty() && target.password().is_none();
        match target.scheme() {
            "http" if is_plain => Some(&server.plain),
            "https" if is_plain => Some(&server.tls),
            _ => None,
        }
    }
}

impl DataServer {
    fn new(name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        let (host, port) = name.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let endpoint = Endpoint::tcp(Protocol::Http, host, port.parse().ok()?);
        let route = |tls| {
            let endpoint = Endpoint {
                tls,
                ..endpoint.clone()
            };
            Route::to(Backend {
                name: "data".to_owned(),
                server: Server::Origin(Arc::new(endpoint)),
                base_path: String::new(),
                base_query: String::new(),
            })
        };
        Some(Self {
            plain: route(false),
            tls: route(true),
            name,
        })
    }
}

impl std::fmt::Debug for DataGateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataGateway")
            .field("servers", &self.servers.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    const NOW: UnixTime = UnixTime(1_800_000_000);
    const ORIGIN: &str = "https://cloud.example";

    fn gateway(secret: &str) -> DataGateway {
        let settings = config::DataGateway {
            secret: Secret::new(secret),
            servers: vec!["localhost:9158".to_owned(), "Data.internal:443".to_owned()],
        };
        DataGateway::new(&settings).unwrap()
    }

    #[test]
    fn a_location_inside_the_deployment_becomes_one_that_leads_there() {
        let gateway = gateway("transfer secret");
        for told in [
            "http://localhost:9158/data/tus/abc",
            "https://data.internal/data/simple/x?y=z",
        ] {
            let location = gateway.location(told, ORIGIN, NOW).unwrap();
            let path = Url::parse(told).unwrap();
            let prefix = format!("{ORIGIN}{}/", path.path());
            let token = location.strip_prefix(&prefix).unwrap();
            assert_eq!(gateway.target(token, NOW).unwrap().target.as_str(), told);
            let last = NOW.plus(LIFE);
            assert!(gateway.target(token, UnixTime(last.0 - 1)).is_some());
            assert!(gateway.target(token, last).is_none());
        }
    }

    #[test]
    fn a_token_leads_nowhere_but_to_a_data_server_and_only_if_it_is_ours() {
        let gateway = gateway("transfer secret");
        let token = |target: &str, key: &DataGateway| {
            let exp = 1_800_000_060.0;
            let target = target.to_owned();
            let claims = serde_json::to_vec(&Claims { exp, target }).unwrap();
            key.key.sign(&claims)
        };
        let target = "http://localhost:9158/data/tus/abc";
        assert!(gateway.target(&token(target, &gateway), NOW).is_some());
        let other = self::gateway("another secret");
        assert!(gateway.target(&token(target, &other), NOW).is_none());
        for elsewhere in [
            "http://localhost:9159/data/x",
            "http://169.254.169.254/data/x",
            "http://user@localhost:9158/data/x",
            "file:///data/x",
            "/data/x",
            "http://localhost.evil:9158/data/x",
        ] {
            let token = token(elsewhere, &gateway);
            assert!(gateway.target(&token, NOW).is_none(), "{elsewhere}");
            assert!(
                gateway.location(elsewhere, ORIGIN, NOW).is_none(),
                "{elsewhere}"
            );
        }
        assert!(
            gateway
                .location("http://localhost:9158/dav/x", ORIGIN, NOW)
                .is_none()
        );
        let endless = gateway
            .key
            .sign(br#"{"target":"http://localhost:9158/data/x"}"#);
        assert!(gateway.target(&endless, NOW).is_none());
    }
}
