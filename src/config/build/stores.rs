//! Stores and the event bus.

use http::Method;

use super::Build;
use super::services::RemoteKeys;
use crate::config::key::{Key, Word};
use crate::config::scalar;
use crate::config::stores::{Events, SignedUrls, Store, Stores};
use crate::config::table::stores;
use crate::config::values::Origin;
use crate::config::words::StoreName;

const SESSIONS: StoreKeys = StoreKeys {
    store: stores::OIDC_USER_INFO_CACHE_STORE,
    addresses: stores::OIDC_USER_INFO_CACHE_ADDRESSES,
    remote: RemoteKeys {
        username: stores::OIDC_USER_INFO_CACHE_USERNAME,
        password: stores::OIDC_USER_INFO_CACHE_PASSWORD,
        enable_tls: stores::OIDC_USER_INFO_CACHE_ENABLE_TLS,
        insecure: stores::OIDC_USER_INFO_CACHE_TLS_INSECURE,
        ca_file: stores::OIDC_USER_INFO_CACHE_TLS_ROOT_CA_CERTIFICATE,
    },
};
const SIGNING_KEYS: StoreKeys = StoreKeys {
    store: stores::PRE_SIGNED_URL_SIGNING_KEYS_STORE,
    addresses: stores::PRE_SIGNED_URL_SIGNING_KEYS_ADDRESSES,
    remote: RemoteKeys {
        username: stores::PRE_SIGNED_URL_SIGNING_KEYS_USERNAME,
        password: stores::PRE_SIGNED_URL_SIGNING_KEYS_PASSWORD,
        enable_tls: stores::PRE_SIGNED_URL_SIGNING_KEYS_ENABLE_TLS,
        insecure: stores::PRE_SIGNED_URL_SIGNING_KEYS_TLS_INSECURE,
        ca_file: stores::PRE_SIGNED_URL_SIGNING_KEYS_TLS_ROOT_CA_CERTIFICATE,
    },
};
const EVENTS: RemoteKeys = RemoteKeys {
    username: stores::EVENTS_USERNAME,
    password: stores::EVENTS_PASSWORD,
    enable_tls: stores::EVENTS_ENABLE_TLS,
    insecure: stores::EVENTS_TLS_INSECURE,
    ca_file: stores::EVENTS_TLS_ROOT_CA_CERTIFICATE,
};

/// What a store is made of.
struct StoreKeys {
    store: Key<Word<StoreName>>,
    addresses: Key<Vec<String>>,
    remote: RemoteKeys,
}

impl Build<'_> {
    pub(super) fn stores(&mut self) -> Stores {
        Stores {
            sessions: self.store(&SESSIONS),
            userinfo_database: self.values.get(stores::OIDC_USER_INFO_CACHE_DATABASE),
            userinfo_table: self.values.get(stores::OIDC_USER_INFO_CACHE_TABLE),
            signing_keys: self.store(&SIGNING_KEYS),
            signed_urls: self.signed_urls(),
        }
    }

    fn signed_urls(&mut self) -> Option<SignedUrls> {
        let key = stores::PRE_SIGNED_URL_ALLOWED_HTTP_METHODS;
        let mut methods = Vec::new();
        for name in self.values.get(key) {
            match Method::from_bytes(name.to_ascii_uppercase().as_bytes()) {
                Ok(method) => methods.push(method),
                Err(_) => self.wrong(key, format!("has {name:?}, which is no method")),
            }
        }
        let secret = self.values.get(stores::URL_SIGNING_SECRET);
        let wanted = self.values.get(stores::PRE_SIGNED_URL_ENABLED);
        wanted.then_some(SignedUrls { methods, secret })
    }

    pub(super) fn events(&mut self) -> Option<Events> {
        let remote = self.remote(
            scalar::list(&self.values.get(stores::EVENTS_ENDPOINT)),
            &EVENTS,
        )?;
        Some(Events {
            remote,
            is_named: self.values.is_set(stores::EVENTS_ENDPOINT),
        })
    }

    fn store(&mut self, keys: &StoreKeys) -> Store {
        let key = keys.store;
        let make = match self.values.get(key).unwrap_or_default() {
            StoreName::NatsJsKv => Store::Nats,
            StoreName::Redis => Store::Redis,
            StoreName::RedisSentinel => Store::Sentinel,
            StoreName::Etcd => {
                self.no_etcd(key);
                return Store::Memory;
            }
            StoreName::Memory | StoreName::Noop | StoreName::Ocmem => return Store::Memory,
        };
        match self.remote(self.values.get(keys.addresses), &keys.remote) {
            Some(remote) => self.checked(key, make(remote)),
            None => {
                let text = format!("is {:?}, which needs an address", self.values.text(key));
                self.wrong(key, text);
                Store::Memory
            }
        }
    }

    /// Addresses are read by those who connect, and their word is a mistake of the configuration.
    fn checked(&mut self, key: Key<Word<StoreName>>, store: Store) -> Store {
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

    fn no_etcd(&mut self, key: Key<Word<StoreName>>) {
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
    fn is_own_wish(&self, key: Key<Word<StoreName>>) -> bool {
        let origin = self.values.entry(key).map(|entry| &entry.origin);
        match origin {
            Some(Origin::File(_)) => true,
            Some(Origin::Variable(name) | Origin::SecretFile(name)) => name.starts_with("PROXY_"),
            _ => false,
        }
    }
}
