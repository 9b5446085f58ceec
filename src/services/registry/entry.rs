//! One entry of the registry: a service and the nodes of one of its processes.

use std::collections::HashMap;

use serde::Deserialize;

use crate::model::address::place;
use crate::model::{Endpoint, Place, Protocol, ServiceName};
use crate::stores::record;

/// The table in which entries lie.
const TABLE: &str = "service-registry";

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) service: ServiceName,
    pub(super) endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
struct Service {
    name: String,
    #[serde(default)]
    nodes: Option<Vec<Node>>,
}

#[derive(Deserialize)]
struct Node {
    #[serde(default)]
    address: String,
    #[serde(default)]
    metadata: Option<HashMap<String, serde_json::Value>>,
}

impl Entry {
    /// Reads an entry. Anybody who reaches the bucket can write anything there, so whatever is odd is refused by itself.
    pub(super) fn read(key: &str, value: &[u8]) -> Result<Self, &'static str> {
        let key = record::plain_key(TABLE, key)?;
        // `<service>@<process>@<version>`
        let named = key.split('@').next().unwrap_or_default();
        let service: Service = serde_json::from_slice(&record::opened(value)?)
            .map_err(|_| "its data is no service in JSON")?;
        if service.name != named || !is_service_name(named) {
            return Err("its key names another service");
        }
        let nodes = service.nodes.unwrap_or_default();
        let endpoints: Vec<Endpoint> = nodes.iter().filter_map(Node::endpoint).collect();
        if endpoints.is_empty() {
            return Err("it has no node with a usable address");
        }
        Ok(Self {
            service: ServiceName::new(named),
            endpoints,
        })
    }
}

impl Node {
    fn endpoint(&self) -> Option<Endpoint> {
        let said = |key: &str| {
            let value = self.metadata.as_ref().and_then(|all| all.get(key));
            value.and_then(serde_json::Value::as_str)
        };
        let place = if said("transport") == Some("unix") {
            let path = self.address.strip_prefix("unix:").unwrap_or(&self.address);
            (!path.is_empty() && !path.contains('\0')).then(|| Place::Unix(path.into()))?
        } else {
            place(&self.address, None)?
        };
        Some(Endpoint {
            protocol: match said("protocol") {
                Some("grpc") => Protocol::Grpc,
                _ => Protocol::Http,
            },
            tls: said("use_tls") == Some("true") || said("protocol") == Some("https"),
            place,
        })
    }
}

fn is_service_name(name: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    !name.is_empty() && name.len() <= 200 && name.bytes().all(is_part)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Key and value as a process writes them.
    pub(in crate::services::registry) fn written(key: &str, service: &str) -> (String, Vec<u8>) {
        let stored = record::stored_key(TABLE, key);
        (stored, record::envelope(key, service.as_bytes()))
    }

    fn read(key: &str, service: &str) -> Result<Vec<String>, &'static str> {
        let (key, value) = written(key, service);
        let told = |endpoint: &Endpoint| {
            let tls = if endpoint.tls { "+tls" } else { "" };
            format!("{:?}{tls} {endpoint}", endpoint.protocol)
        };
        let entry = Entry::read(&key, &value)?;
        Ok(entry.endpoints.iter().map(told).collect())
    }

    #[test]
    fn every_recorded_entry_is_read() {
        let recorded = include_str!("../../../tests/data/registry_kv.json");
        let recorded: Vec<serde_json::Value> = serde_json::from_str(recorded).unwrap();
        assert!(recorded.len() > 30);
        for one in recorded {
            let text = |key: &str| one[key].as_str().unwrap();
            let entry = Entry::read(text("key"), text("value").as_bytes()).unwrap();
            assert_eq!(entry.service.as_str(), text("service"));
            let [endpoint] = &entry.endpoints[..] else {
                panic!("{one}");
            };
            assert_eq!(endpoint.to_string(), text("address"));
            let is_grpc = endpoint.protocol == Protocol::Grpc;
            assert_eq!(is_grpc, text("service").contains(".api."), "{one}");
            assert!(!endpoint.tls);
        }
    }

    #[test]
    fn metadata_says_how_a_node_is_reached() {
        let nodes = r#"{"name":"a.web.x","nodes":[
            {"address":"10.0.0.1:1","metadata":{"protocol":"http","use_tls":"true"}},
            {"address":"10.0.0.1:2"},
            {"address":"[fd00::1]:3","metadata":{"protocol":"grpc"}},
            {"address":"/run/x.sock","metadata":{"protocol":"grpc","transport":"unix"}},
            {"address":"10.0.0.1:70000"},
            {"address":"10.0.0.1:5","metadata":{"use_tls":true,"protocol":7}}]}"#;
        assert_eq!(
            read("a.web.x@1@2", nodes).unwrap(),
            [
                "Http+tls 10.0.0.1:1",
                "Http 10.0.0.1:2",
                "Grpc [fd00::1]:3",
                "Grpc unix:/run/x.sock",
                "Http 10.0.0.1:5"
            ]
        );
    }

    #[test]
    fn garbage_is_refused_by_itself() {
        let good = r#"{"name":"a","nodes":[{"address":"h:1"}]}"#;
        assert!(read("a@1@2", good).is_ok());
        for (key, service) in [
            ("b@1@2", good),
            ("a b@1@2", r#"{"name":"a b","nodes":[{"address":"h:1"}]}"#),
            ("a@1@2", ""),
            ("a@1@2", "{}"),
            ("a@1@2", "[1,2]"),
            ("a@1@2", r#"{"name":"a"}"#),
            ("a@1@2", r#"{"name":"a","nodes":null}"#),
            (
                "a@1@2",
                r#"{"name":"a","nodes":[{"address":"h"},{"address":""},{}]}"#,
            ),
            ("a@1@2", r#"{"name":"a","nodes":[{"address":"a\r\nb:1"}]}"#),
            ("a@1@2", r#"{"name":"a","nodes":[{"address":"user@h:1"}]}"#),
            ("a@1@2", r#"{"name":"a","nodes":[{"address":"h:1/x"}]}"#),
            ("@1@2", r#"{"name":"","nodes":[{"address":"h:1"}]}"#),
        ] {
            assert!(read(key, service).is_err(), "{key} {service}");
        }
        let (key, value) = written("a@1@2", good);
        assert!(Entry::read("not/base32", &value).is_err());
        assert!(Entry::read(&key, b"\xff\x00").is_err());
        let nested = "[".repeat(10_000);
        assert!(Entry::read(&key, &record::envelope("a", nested.as_bytes())).is_err());
    }
}
