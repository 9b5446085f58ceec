//! Stores and the event bus.

use http::Method;

use super::Build;
use crate::config::stores::{Events, SignedUrls, Store, Stores};
use crate::config::values::Origin;

const SESSIONS: &str = "oidc.user_info_cache.";
const SIGNING_KEYS: &str = "pre_signed_url.signing_keys.";
const EVENTS: &str = "events.";

impl Build<'_> {
    pub(super) fn stores(&mut self) -> Stores {
        Stores {
            sessions: self.store(SESSIONS),
            userinfo_database: self.values.text("oidc.user_info_cache.database"),
            userinfo_table: self.values.text("oidc.user_info_cache.table"),
            signing_keys: self.store(SIGNING_KEYS),
            signed_urls: self.signed_urls(),
        }
    }

    fn signed_urls(&mut self) -> Option<SignedUrls> {
        let key = "pre_signed_url.allowed_http_methods";
        let mut methods = Vec::new();
        for name in self.values.list(key) {
            match Method::from_bytes(name.to_ascii_uppercase().as_bytes()) {
                Ok(method) => methods.push(method),
                Err(_) => self.wrong(key, format!("has {name:?}, which is no method")),
            }
        }
        let secret = self.values.secret("url_signing_secret");
        let wanted = self.values.flag("pre_signed_url.enabled");
        wanted.then_some(SignedUrls { methods, secret })
    }

    pub(super) fn events(&mut self) -> Option<Events> {
        let remote = self.remote("events.endpoint", EVENTS)?;
        Some(Events {
            remote,
            is_named: self.values.is_set("events.endpoint"),
        })
    }

    fn store(&mut self, prefix: &str) -> Store {
        let key = format!("{prefix}store");
        let kind = self.values.text(&key);
        let make = match kind.as_str() {
            "nats-js-kv" => Store::Nats,
            "redis" => Store::Redis,
            "redis-sentinel" => Store::Sentinel,
            "etcd" => {
                self.no_etcd(&key);
                return Store::Memory;
            }
            _ => return Store::Memory,
        };
        match self.remote(&format!("{prefix}addresses"), prefix) {
            Some(remote) => self.checked(&key, make(remote)),
            None => {
                let text = format!("is {kind:?}, which needs an address");
                self.wrong(&key, text);
                Store::Memory
            }
        }
    }

    /// Addresses are read by those who connect, and their word is a mistake of the configuration.
    fn checked(&mut self, key: &str, store: Store) -> Store {
        let fault = match &store {
            Store::Sentinel(remote) if !remote.addresses[0].contains('/') => {
                "is \"redis-sentinel\", whose first address has to name the master, host:port/master"
            }
            _ => return store,
        };
        if self.is_own_wish(key) {
            self.wrong(key, fault);
        } else {
            let place = self.values.place(key);
            self.notes
                .warn(format!("{place}: {fault}; memory is used instead"));
        }
        Store::Memory
    }

    fn no_etcd(&mut self, key: &str) {
        let text = "is \"etcd\", which is not built; use nats-js-kv, redis-sentinel or memory";
        if self.is_own_wish(key) {
            self.wrong(key, text);
        } else {
            let place = self.values.place(key);
            self.notes
                .warn(format!("{place}: {text}; memory is used instead"));
        }
    }

    /// Variables that other services read too never stop the start.
    fn is_own_wish(&self, key: &str) -> bool {
        let origin = self.values.entry(key).map(|entry| &entry.origin);
        match origin {
            Some(Origin::File(_)) => true,
            Some(Origin::Variable(name) | Origin::SecretFile(name)) => name.starts_with("PROXY_"),
            _ => false,
        }
    }
}
