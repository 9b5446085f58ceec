//! Services by name: what `services:` says, and which registry is asked.

use std::path::PathBuf;

use serde_yaml::Value;

use super::Build;
use super::route::backend_of;
use crate::config::Secret;
use crate::config::key::Key;
use crate::config::routes::Policy;
use crate::config::scalar::scalar_text;
use crate::config::services::{Services, default_endpoint, full_name, is_grpc_service, short_name};
use crate::config::stores::{Registry, Remote, RemoteTls};
use crate::config::table::services;
use crate::config::values::Origin;
use crate::model::{Endpoint, Protocol, ServiceName};

/// How a server is logged in to and believed.
pub(super) struct RemoteKeys {
    pub(super) username: Key<String>,
    pub(super) password: Key<Secret>,
    pub(super) enable_tls: Key<bool>,
    pub(super) insecure: Key<bool>,
    pub(super) ca_file: Key<PathBuf>,
}

impl Build<'_> {
    pub(super) fn services(&mut self, policies: &[Policy]) -> Services {
        Services {
            named: self.named_services(policies),
            registry: self.registry(),
        }
    }

    /// Whether services may be looked up.
    pub(super) fn has_registry(&self) -> bool {
        self.values.get(services::REGISTRY) != "memory"
    }

    fn registry(&mut self) -> Option<Registry> {
        let kind = self.values.get(services::REGISTRY);
        match kind.as_str() {
            "" | "nats-js-kv" | "natsjs" | "nats-js" => {}
            "memory" => {
                let origin = self
                    .values
                    .entry(services::REGISTRY)
                    .map(|entry| &entry.origin);
                if matches!(origin, Some(Origin::File(_))) {
                    self.wrong(
                        services::REGISTRY,
                        "is \"memory\", which no other process can write into; take it out, and name addresses in services",
                    );
                } else {
                    self.notes.info("registry is memory, the registry of one process: services have the addresses of `services` and the default ones".to_owned());
                }
                return None;
            }
            other => {
                let text =
                    format!("is {other:?}, which is not built; it is read as \"nats-js-kv\"");
                let place = self.values.place(services::REGISTRY);
                self.notes.warn(format!("{place}: {text}"));
            }
        }
        let keys = RemoteKeys {
            username: services::REGISTRY_USERNAME,
            password: services::REGISTRY_PASSWORD,
            enable_tls: services::REGISTRY_ENABLE_TLS,
            insecure: services::REGISTRY_TLS_INSECURE,
            ca_file: services::REGISTRY_TLS_ROOT_CA_CERTIFICATE,
        };
        let remote = self.remote(self.values.get(services::REGISTRY_ADDRESS), &keys)?;
        let is_named = ["registry", "registry_address"]
            .iter()
            .any(|key| self.values.is_set(key));
        Some(Registry { remote, is_named })
    }

    /// A server at these addresses. `None` without an address.
    pub(super) fn remote(&mut self, addresses: Vec<String>, keys: &RemoteKeys) -> Option<Remote> {
        if addresses.is_empty() {
            return None;
        }
        let user = self.values.some_text(keys.username);
        let password = self.values.get(keys.password);
        let tls = self.values.get(keys.enable_tls).then(|| RemoteTls {
            insecure: self.values.get(keys.insecure),
            ca_file: self.values.get(keys.ca_file),
        });
        if tls.is_some() {
            self.readable(keys.ca_file);
        }
        Some(Remote {
            addresses,
            login: user.zip(password),
            tls,
        })
    }

    fn named_services(&mut self, policies: &[Policy]) -> Vec<(ServiceName, Endpoint)> {
        if !self.values.is_set(services::SERVICES) {
            return Vec::new();
        }
        let Some(services) = self
            .values
            .get(services::SERVICES)
            .and_then(Value::as_mapping)
        else {
            self.wrong(services::SERVICES, "has to be a map of service name to URL");
            return Vec::new();
        };
        let listed: Vec<(String, String)> = services
            .iter()
            .filter_map(|(name, at)| {
                Some((scalar_text(name)?, scalar_text(at).unwrap_or_default()))
            })
            .collect();
        let mut named = Vec::new();
        for (name, at) in listed {
            let short = short_name(&name);
            let is_grpc = is_grpc_service(&name);
            let used = |policy: &Policy| policy.routes.iter().any(|r| r.backend.name == short);
            let is_used = is_grpc || default_endpoint(short).is_some() || policies.iter().any(used);
            let key = format!("services.{name}");
            if !is_used {
                // A service that no route uses is a slip.
                let place = self.place_in_file(&key);
                self.notes
                    .warn(format!("{place}: no route uses this service"));
            }
            let endpoint = if is_grpc {
                grpc_endpoint(&at)
            } else {
                let backend = backend_of(&at, None);
                backend.map(|backend| backend.server.origin().cloned())
            };
            match endpoint {
                Ok(endpoint) => {
                    let name = full_name(&name, self.boot.flavor);
                    named.extend(endpoint.map(|endpoint| (name, endpoint)));
                }
                // Told by the route that uses it.
                Err(_) if policies.iter().any(used) => {}
                Err(error) => self.at(&key, error),
            }
        }
        named
    }
}

/// `host:port`, or a URL with a port.
fn grpc_endpoint(text: &str) -> Result<Option<Endpoint>, String> {
    let rest = text.strip_prefix("grpc://").unwrap_or(text);
    let url = if rest.contains("://") {
        rest.to_owned()
    } else {
        format!("http://{rest}")
    };
    let has_port = rest.rsplit_once(':').is_some_and(|(_, port)| {
        let port = port.trim_end_matches('/');
        port.parse::<u16>().is_ok_and(|port| port != 0)
    });
    let wrong = || format!("is {text:?}; the address of a gRPC service is host:port");
    if !has_port {
        return Err(wrong());
    }
    let backend = backend_of(&url, None).map_err(|_| wrong())?;
    let endpoint = backend.server.origin().cloned();
    Ok(endpoint.map(|endpoint| Endpoint {
        protocol: Protocol::Grpc,
        ..endpoint
    }))
}
