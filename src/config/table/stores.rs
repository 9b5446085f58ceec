//! The shared store, signing of URLs, the event bus. What is not built of signing is read and validated, so that a file written
//! for the existing service is understood whole.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::Secret;
use crate::config::key::{Key, Word};
use crate::config::setting::{Preset, Setting};
use crate::config::words::StoreName;

const NO: Preset = Preset::Text("false");

pub(crate) const OIDC_USER_INFO_CACHE_STORE: Key<Word<StoreName>> = Key::new(
    "oidc.user_info_cache.store",
    &["OC_CACHE_STORE", "PROXY_OIDC_USERINFO_CACHE_STORE"],
    Preset::Text("memory"),
    "what replicas share: logouts and used proofs; `nats-js-kv`, `redis`, `redis-sentinel`, or `memory` for one process",
);

pub(crate) const OIDC_USER_INFO_CACHE_ADDRESSES: Key<Vec<String>> = Key::new(
    "oidc.user_info_cache.addresses",
    &[
        "OC_CACHE_STORE_NODES",
        "PROXY_OIDC_USERINFO_CACHE_STORE_NODES",
    ],
    Preset::Text("127.0.0.1:9233"),
    "addresses of the store",
);

pub(crate) const OIDC_USER_INFO_CACHE_DATABASE: Key<String> = Key::new(
    "oidc.user_info_cache.database",
    &["OC_CACHE_DATABASE"],
    Preset::Text("cache-userinfo"),
    "its database",
);

pub(crate) const OIDC_USER_INFO_CACHE_TABLE: Key<String> = Key::new(
    "oidc.user_info_cache.table",
    &["PROXY_OIDC_USERINFO_CACHE_TABLE"],
    Preset::Empty,
    "its table",
);

pub(crate) const OIDC_USER_INFO_CACHE_DISABLE_PERSISTENCE: Key<bool> = Key::new(
    "oidc.user_info_cache.disable_persistence",
    &[
        "OC_CACHE_DISABLE_PERSISTENCE",
        "PROXY_OIDC_USERINFO_CACHE_DISABLE_PERSISTENCE",
    ],
    NO,
    "it is kept in memory only",
);

pub(crate) const OIDC_USER_INFO_CACHE_USERNAME: Key<String> = Key::new(
    "oidc.user_info_cache.username",
    &[
        "OC_CACHE_AUTH_USERNAME",
        "PROXY_OIDC_USERINFO_CACHE_AUTH_USERNAME",
    ],
    Preset::Empty,
    "user name at the store",
);

pub(crate) const OIDC_USER_INFO_CACHE_PASSWORD: Key<Secret> = Key::new(
    "oidc.user_info_cache.password",
    &[
        "OC_CACHE_AUTH_PASSWORD",
        "PROXY_OIDC_USERINFO_CACHE_AUTH_PASSWORD",
    ],
    Preset::Empty,
    "password at the store",
);

pub(crate) const OIDC_USER_INFO_CACHE_ENABLE_TLS: Key<bool> = Key::new(
    "oidc.user_info_cache.enable_tls",
    &[
        "OC_CACHE_ENABLE_TLS",
        "PROXY_OIDC_USERINFO_CACHE_ENABLE_TLS",
    ],
    NO,
    "TLS to the store",
);

pub(crate) const OIDC_USER_INFO_CACHE_TLS_INSECURE: Key<bool> = Key::new(
    "oidc.user_info_cache.tls_insecure",
    &[
        "OC_CACHE_TLS_INSECURE",
        "PROXY_OIDC_USERINFO_CACHE_TLS_INSECURE",
    ],
    NO,
    "its certificate is not verified",
);

pub(crate) const OIDC_USER_INFO_CACHE_TLS_ROOT_CA_CERTIFICATE: Key<PathBuf> = Key::new(
    "oidc.user_info_cache.tls_root_ca_certificate",
    &[
        "OC_CACHE_TLS_ROOT_CA_CERTIFICATE",
        "PROXY_OIDC_USERINFO_CACHE_TLS_ROOT_CA_CERTIFICATE",
    ],
    Preset::Empty,
    "its CA; for Redis the only one that counts, else besides the system's",
);

pub(crate) const OIDC_USER_INFO_CACHE_SIZE: Key<usize> = Key::new(
    "oidc.user_info_cache.size",
    &["OC_CACHE_SIZE", "PROXY_OIDC_USERINFO_CACHE_SIZE"],
    Preset::Text("512"),
    "entries of the cache",
)
.obsolete("see session_cache_bytes");

pub(crate) const PRE_SIGNED_URL_ENABLED: Key<bool> = Key::new(
    "pre_signed_url.enabled",
    &["PROXY_ENABLE_PRESIGNEDURLS"],
    Preset::Text("true"),
    "signed URLs are accepted",
);

pub(crate) const PRE_SIGNED_URL_ALLOWED_HTTP_METHODS: Key<Vec<String>> = Key::new(
    "pre_signed_url.allowed_http_methods",
    &[],
    Preset::Text("GET"),
    "methods of signed URLs",
);

pub(crate) const PRE_SIGNED_URL_SIGNING_KEYS_STORE: Key<Word<StoreName>> = Key::new(
    "pre_signed_url.signing_keys.store",
    &["OC_CACHE_STORE", "PROXY_PRESIGNEDURL_SIGNING_KEYS_STORE"],
    Preset::Text("nats-js-kv"),
    "kind of store for signing keys",
);

pub(crate) const PRE_SIGNED_URL_SIGNING_KEYS_ADDRESSES: Key<Vec<String>> = Key::new(
    "pre_signed_url.signing_keys.addresses",
    &[
        "OC_CACHE_STORE_NODES",
        "PROXY_PRESIGNEDURL_SIGNING_KEYS_STORE_NODES",
    ],
    Preset::Text("127.0.0.1:9233"),
    "addresses of the store",
);

pub(crate) const PRE_SIGNED_URL_SIGNING_KEYS_TTL: Key<Duration> = Key::new(
    "pre_signed_url.signing_keys.ttl",
    &["OC_CACHE_TTL", "PROXY_PRESIGNEDURL_SIGNING_KEYS_STORE_TTL"],
    Preset::Text("12h"),
    "life of a key",
);

pub(crate) const PRE_SIGNED_URL_SIGNING_KEYS_DISABLE_PERSISTENCE: Key<bool> = Key::new(
    "pre_signed_url.signing_keys.disable_persistence",
    &[
        "OC_CACHE_DISABLE_PERSISTENCE",
        "PROXY_PRESIGNEDURL_SIGNING_KEYS_STORE_DISABLE_PERSISTENCE",
    ],
    Preset::Text("true"),
    "it is kept in memory only",
);

pub(crate) const PRE_SIGNED_URL_SIGNING_KEYS_USERNAME: Key<String> = Key::new(
    "pre_signed_url.signing_keys.username",
    &[
        "OC_CACHE_AUTH_USERNAME",
        "PROXY_PRESIGNEDURL_SIGNING_KEYS_STORE_AUTH_USERNAME",
    ],
    Preset::Empty,
    "user name at the store",
);

pub(crate) const PRE_SIGNED_URL_SIGNING_KEYS_PASSWORD: Key<Secret> = Key::new(
    "pre_signed_url.signing_keys.password",
    &[
        "OC_CACHE_AUTH_PASSWORD",
        "PROXY_PRESIGNEDURL_SIGNING_KEYS_STORE_AUTH_PASSWORD",
    ],
    Preset::Empty,
    "password at the store",
);

pub(crate) const PRE_SIGNED_URL_SIGNING_KEYS_ENABLE_TLS: Key<bool> = Key::new(
    "pre_signed_url.signing_keys.enable_tls",
    &[
        "OC_CACHE_ENABLE_TLS",
        "PROXY_PRESIGNEDURL_SIGNING_KEYS_STORE_ENABLE_TLS",
    ],
    NO,
    "TLS to the store",
);

pub(crate) const PRE_SIGNED_URL_SIGNING_KEYS_TLS_INSECURE: Key<bool> = Key::new(
    "pre_signed_url.signing_keys.tls_insecure",
    &[
        "OC_CACHE_TLS_INSECURE",
        "PROXY_PRESIGNEDURL_SIGNING_KEYS_STORE_TLS_INSECURE",
    ],
    NO,
    "its certificate is not verified",
);

pub(crate) const PRE_SIGNED_URL_SIGNING_KEYS_TLS_ROOT_CA_CERTIFICATE: Key<PathBuf> = Key::new(
    "pre_signed_url.signing_keys.tls_root_ca_certificate",
    &[
        "OC_CACHE_TLS_ROOT_CA_CERTIFICATE",
        "PROXY_PRESIGNEDURL_SIGNING_KEYS_STORE_TLS_ROOT_CA_CERTIFICATE",
    ],
    Preset::Empty,
    "its CA",
);

pub(crate) const URL_SIGNING_SECRET: Key<Secret> = Key::new(
    "url_signing_secret",
    &["OC_URL_SIGNING_SECRET"],
    Preset::Empty,
    "key of URLs signed by servers; without it their signatures count for nothing",
)
.shared("url_signing_secret");

pub(crate) const TRANSFER_SECRET: Key<Secret> = Key::new(
    "transfer_secret",
    &["REVA_TRANSFER_SECRET", "OC_TRANSFER_SECRET"],
    Preset::Empty,
    "signs upload locations (OpenCloud from 8.0): without it resumable uploads there do not work",
)
.shared("transfer_secret")
.live();

pub(crate) const DATA_GATEWAY_SERVERS: Key<Vec<String>> = Key::new(
    "data_gateway.servers",
    &["PROXY_DATA_SERVERS"],
    Preset::Text("localhost:9158,127.0.0.1:9158"),
    "`host:port` of the data servers that upload locations may name (OpenCloud from 8.0)",
)
.live();

pub(crate) const EVENTS_ENDPOINT: Key<String> = Key::new(
    "events.endpoint",
    &["OC_EVENTS_ENDPOINT", "PROXY_EVENTS_ENDPOINT"],
    Preset::Text("127.0.0.1:9233"),
    "event bus, the addresses of its NATS servers; empty: no events",
);

pub(crate) const EVENTS_CLUSTER: Key<String> = Key::new(
    "events.cluster",
    &["OC_EVENTS_CLUSTER", "PROXY_EVENTS_CLUSTER"],
    Preset::Flavor("opencloud-cluster", "ocis-cluster"),
    "its cluster",
)
.obsolete("NATS needs no name of a cluster");

pub(crate) const EVENTS_TLS_INSECURE: Key<bool> = Key::new(
    "events.tls_insecure",
    &[
        "OC_INSECURE",
        "OC_EVENTS_TLS_INSECURE",
        "PROXY_EVENTS_TLS_INSECURE",
    ],
    NO,
    "its certificate is not verified",
);

pub(crate) const EVENTS_TLS_ROOT_CA_CERTIFICATE: Key<PathBuf> = Key::new(
    "events.tls_root_ca_certificate",
    &[
        "OC_EVENTS_TLS_ROOT_CA_CERTIFICATE",
        "PROXY_EVENTS_TLS_ROOT_CA_CERTIFICATE",
    ],
    Preset::Empty,
    "its CA",
);

pub(crate) const EVENTS_ENABLE_TLS: Key<bool> = Key::new(
    "events.enable_tls",
    &["OC_EVENTS_ENABLE_TLS", "PROXY_EVENTS_ENABLE_TLS"],
    NO,
    "TLS to it",
);

pub(crate) const EVENTS_USERNAME: Key<String> = Key::new(
    "events.username",
    &["OC_EVENTS_AUTH_USERNAME", "PROXY_EVENTS_AUTH_USERNAME"],
    Preset::Empty,
    "user name at the event bus",
);

pub(crate) const EVENTS_PASSWORD: Key<Secret> = Key::new(
    "events.password",
    &["OC_EVENTS_AUTH_PASSWORD", "PROXY_EVENTS_AUTH_PASSWORD"],
    Preset::Empty,
    "password at the event bus",
);

/// In the order of the reference.
pub(super) const SETTINGS: &[Setting] = &[
    OIDC_USER_INFO_CACHE_STORE.setting,
    OIDC_USER_INFO_CACHE_ADDRESSES.setting,
    OIDC_USER_INFO_CACHE_DATABASE.setting,
    OIDC_USER_INFO_CACHE_TABLE.setting,
    OIDC_USER_INFO_CACHE_DISABLE_PERSISTENCE.setting,
    OIDC_USER_INFO_CACHE_USERNAME.setting,
    OIDC_USER_INFO_CACHE_PASSWORD.setting,
    OIDC_USER_INFO_CACHE_ENABLE_TLS.setting,
    OIDC_USER_INFO_CACHE_TLS_INSECURE.setting,
    OIDC_USER_INFO_CACHE_TLS_ROOT_CA_CERTIFICATE.setting,
    OIDC_USER_INFO_CACHE_SIZE.setting,
    PRE_SIGNED_URL_ENABLED.setting,
    PRE_SIGNED_URL_ALLOWED_HTTP_METHODS.setting,
    PRE_SIGNED_URL_SIGNING_KEYS_STORE.setting,
    PRE_SIGNED_URL_SIGNING_KEYS_ADDRESSES.setting,
    PRE_SIGNED_URL_SIGNING_KEYS_TTL.setting,
    PRE_SIGNED_URL_SIGNING_KEYS_DISABLE_PERSISTENCE.setting,
    PRE_SIGNED_URL_SIGNING_KEYS_USERNAME.setting,
    PRE_SIGNED_URL_SIGNING_KEYS_PASSWORD.setting,
    PRE_SIGNED_URL_SIGNING_KEYS_ENABLE_TLS.setting,
    PRE_SIGNED_URL_SIGNING_KEYS_TLS_INSECURE.setting,
    PRE_SIGNED_URL_SIGNING_KEYS_TLS_ROOT_CA_CERTIFICATE.setting,
    URL_SIGNING_SECRET.setting,
    TRANSFER_SECRET.setting,
    DATA_GATEWAY_SERVERS.setting,
    EVENTS_ENDPOINT.setting,
    EVENTS_CLUSTER.setting,
    EVENTS_TLS_INSECURE.setting,
    EVENTS_TLS_ROOT_CA_CERTIFICATE.setting,
    EVENTS_ENABLE_TLS.setting,
    EVENTS_USERNAME.setting,
    EVENTS_PASSWORD.setting,
];
