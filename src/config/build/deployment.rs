//! The deployment's own services: addresses, keys, the service account.

use std::collections::HashMap;

use super::Build;
use crate::config::deployment::{Deployment, GrpcTls, ServiceAccount};
use crate::config::key::Key;
use crate::config::scalar::scalar_text;
use crate::config::services::full_name;
use crate::config::table::deployment;
use crate::config::words::TlsMode;
use crate::model::{Address, Role};

impl Build<'_> {
    pub(super) fn deployment(&mut self) -> Option<Deployment> {
        let gateway = self.grpc_address(deployment::REVA_ADDRESS);
        let quotas = self.quotas();
        let service_account = self.service_account();
        let flavor = self.boot.flavor;
        Some(Deployment {
            gateway: gateway?,
            settings: full_name("eu.opencloud.api.settings", flavor),
            graph: full_name("eu.opencloud.web.graph", flavor),
            policies: full_name("eu.opencloud.api.policies", flavor),
            policies_query: self.values.some_text(deployment::POLICIES_MIDDLEWARE_QUERY),
            tls: self.grpc_tls(),
            machine_key: self.values.get(deployment::MACHINE_AUTH_API_KEY),
            service_account,
            create_home: self.values.get(deployment::CREATE_HOME).unwrap_or_default(),
            quotas,
        })
    }

    fn grpc_address(&mut self, key: Key<String>) -> Option<Address> {
        match Address::parse(&self.values.get(key)) {
            Ok(Address::Service(name)) => {
                Some(Address::Service(full_name(name.as_str(), self.boot.flavor)))
            }
            Ok(address) => Some(address),
            Err(why) => {
                self.wrong(key, why);
                None
            }
        }
    }

    /// `grpc_client_tls` is the deployment's, `reva.tls` the same for the gateway alone, by the same variables.
    fn grpc_tls(&mut self) -> GrpcTls {
        let (mode, cacert) = if self.values.is_set(deployment::REVA_TLS_MODE) {
            (deployment::REVA_TLS_MODE, deployment::REVA_TLS_CACERT)
        } else {
            (
                deployment::GRPC_CLIENT_TLS_MODE,
                deployment::GRPC_CLIENT_TLS_CACERT,
            )
        };
        match self.values.get(mode).unwrap_or_default() {
            TlsMode::Insecure => GrpcTls::Insecure,
            TlsMode::On => {
                self.readable(cacert);
                GrpcTls::On(self.values.get(cacert))
            }
            TlsMode::Off => GrpcTls::Off,
        }
    }

    /// Both or none.
    fn service_account(&mut self) -> Option<ServiceAccount> {
        let id = deployment::SERVICE_ACCOUNT_SERVICE_ACCOUNT_ID;
        let secret = deployment::SERVICE_ACCOUNT_SERVICE_ACCOUNT_SECRET;
        match (self.values.some_text(id), self.values.get(secret)) {
            (Some(id), Some(secret)) => Some(ServiceAccount { id, secret }),
            (Some(_), None) => {
                self.wrong(
                    secret,
                    "is missing, but the id of the service account is set",
                );
                None
            }
            (None, Some(_)) => {
                self.wrong(
                    id,
                    "is missing, but the secret of the service account is set",
                );
                None
            }
            (None, None) => None,
        }
    }

    fn quotas(&mut self) -> HashMap<String, u64> {
        let key = deployment::ROLE_QUOTAS;
        let mut quotas = HashMap::new();
        let mut mistakes = Vec::new();
        let map = self.values.get(key).and_then(serde_yaml::Value::as_mapping);
        if map.is_none() && self.values.get(key).is_some() {
            mistakes.push("has to be a map of role id to bytes".to_owned());
        }
        for (role, bytes) in map.into_iter().flatten() {
            let (role, bytes) = (scalar_text(role), scalar_text(bytes));
            let role = role.unwrap_or_default();
            // A name is what a person would write; the id is what the file of the existing service has.
            let known = Role::ALL
                .into_iter()
                .find(|one| one.id() == role || one.name() == role);
            match (known, bytes.and_then(|bytes| bytes.parse().ok())) {
                (Some(role), Some(bytes)) => {
                    quotas.insert(role.id().to_owned(), bytes);
                }
                (None, _) => mistakes.push(format!("has {role:?}, which is no role's id")),
                (_, None) => mistakes.push(format!("has no number of bytes for {role:?}")),
            }
        }
        for mistake in mistakes {
            self.wrong(key, mistake);
        }
        quotas
    }
}
