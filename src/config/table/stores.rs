//! The shared store, signing of URLs, the event bus. What is not built of signing is read and validated, so that a file written
//! for the existing service is understood whole.

use crate::config::setting::{Kind, Preset, Setting};

const fn s(
    key: &'static str,
    names: &'static [&'static str],
    kind: Kind,
    preset: Preset,
    purpose: &'static str,
) -> Setting {
    Setting::new(key, names, kind, preset, purpose)
}

const NO: Preset = Preset::Text("false");
const STORES: Kind = Kind::Word(&[
    "memory",
    "noop",
    "ocmem",
    "nats-js-kv",
    "redis-sentinel",
    "redis",
    "etcd",
]);

pub(super) const SETTINGS: &[Setting] = &[
    s(
        "oidc.user_info_cache.store",
        &["OC_CACHE_STORE", "PROXY_OIDC_USERINFO_CACHE_STORE"],
        STORES,
        Preset::Text("memory"),
        "what replicas share: logouts and used proofs; `nats-js-kv`, `redis`, `redis-sentinel`, or `memory` for one process",
    ),
    s(
        "oidc.user_info_cache.addresses",
        &[
            "OC_CACHE_STORE_NODES",
            "PROXY_OIDC_USERINFO_CACHE_STORE_NODES",
        ],
        Kind::List,
        Preset::Text("127.0.0.1:9233"),
        "addresses of the store",
    ),
    s(
        "oidc.user_info_cache.database",
        &["OC_CACHE_DATABASE"],
        Kind::Text,
        Preset::Text("cache-userinfo"),
        "its database",
    ),
    s(
        "oidc.user_info_cache.table",
        &["PROXY_OIDC_USERINFO_CACHE_TABLE"],
        Kind::Text,
        Preset::Empty,
        "its table",
    ),
    s(
        "oidc.user_info_cache.disable_persistence",
        &[
            "OC_CACHE_DISABLE_PERSISTENCE",
            "PROXY_OIDC_USERINFO_CACHE_DISABLE_PERSISTENCE",
        ],
        Kind::Bool,
        NO,
        "it is kept in memory only",
    ),
    s(
        "oidc.user_info_cache.username",
        &[
            "OC_CACHE_AUTH_USERNAME",
            "PROXY_OIDC_USERINFO_CACHE_AUTH_USERNAME",
        ],
        Kind::Text,
        Preset::Empty,
        "user name at the store",
    ),
    s(
        "oidc.user_info_cache.password",
        &[
            "OC_CACHE_AUTH_PASSWORD",
            "PROXY_OIDC_USERINFO_CACHE_AUTH_PASSWORD",
        ],
        Kind::Secret,
        Preset::Empty,
        "password at the store",
    ),
    s(
        "oidc.user_info_cache.enable_tls",
        &[
            "OC_CACHE_ENABLE_TLS",
            "PROXY_OIDC_USERINFO_CACHE_ENABLE_TLS",
        ],
        Kind::Bool,
        NO,
        "TLS to the store",
    ),
    s(
        "oidc.user_info_cache.tls_insecure",
        &[
            "OC_CACHE_TLS_INSECURE",
            "PROXY_OIDC_USERINFO_CACHE_TLS_INSECURE",
        ],
        Kind::Bool,
        NO,
        "its certificate is not verified",
    ),
    s(
        "oidc.user_info_cache.tls_root_ca_certificate",
        &[
            "OC_CACHE_TLS_ROOT_CA_CERTIFICATE",
            "PROXY_OIDC_USERINFO_CACHE_TLS_ROOT_CA_CERTIFICATE",
        ],
        Kind::Path,
        Preset::Empty,
        "its CA; for Redis the only one that counts, else besides the system's",
    ),
    s(
        "oidc.user_info_cache.size",
        &["OC_CACHE_SIZE", "PROXY_OIDC_USERINFO_CACHE_SIZE"],
        Kind::Int,
        Preset::Text("512"),
        "entries of the cache",
    )
    .obsolete("see session_cache_bytes"),
    s(
        "pre_signed_url.enabled",
        &["PROXY_ENABLE_PRESIGNEDURLS"],
        Kind::Bool,
        Preset::Text("true"),
        "signed URLs are accepted",
    ),
    s(
        "pre_signed_url.allowed_http_methods",
        &[],
        Kind::List,
        Preset::Text("GET"),
        "methods of signed URLs",
    ),
    s(
        "pre_signed_url.signing_keys.store",
        &["OC_CACHE_STORE", "PROXY_PRESIGNEDURL_SIGNING_KEYS_STORE"],
        STORES,
        Preset::Text("nats-js-kv"),
        "kind of store for signing keys",
    ),
    s(
        "pre_signed_url.signing_keys.addresses",
        &[
            "OC_CACHE_STORE_NODES",
            "PROXY_PRESIGNEDURL_SIGNING_KEYS_STORE_NODES",
        ],
        Kind::List,
        Preset::Text("127.0.0.1:9233"),
        "addresses of the store",
    ),
    s(
        "pre_signed_url.signing_keys.ttl",
        &["OC_CACHE_TTL", "PROXY_PRESIGNEDURL_SIGNING_KEYS_STORE_TTL"],
        Kind::Duration,
        Preset::Text("12h"),
        "life of a key",
    ),
    s(
        "pre_signed_url.signing_keys.disable_persistence",
        &[
            "OC_CACHE_DISABLE_PERSISTENCE",
            "PROXY_PRESIGNEDURL_SIGNING_KEYS_STORE_DISABLE_PERSISTENCE",
        ],
        Kind::Bool,
        Preset::Text("true"),
        "it is kept in memory only",
    ),
    s(
        "pre_signed_url.signing_keys.username",
        &[
            "OC_CACHE_AUTH_USERNAME",
            "PROXY_PRESIGNEDURL_SIGNING_KEYS_STORE_AUTH_USERNAME",
        ],
        Kind::Text,
        Preset::Empty,
        "user name at the store",
    ),
    s(
        "pre_signed_url.signing_keys.password",
        &[
            "OC_CACHE_AUTH_PASSWORD",
            "PROXY_PRESIGNEDURL_SIGNING_KEYS_STORE_AUTH_PASSWORD",
        ],
        Kind::Secret,
        Preset::Empty,
        "password at the store",
    ),
    s(
        "pre_signed_url.signing_keys.enable_tls",
        &[
            "OC_CACHE_ENABLE_TLS",
            "PROXY_PRESIGNEDURL_SIGNING_KEYS_STORE_ENABLE_TLS",
        ],
        Kind::Bool,
        NO,
        "TLS to the store",
    ),
    s(
        "pre_signed_url.signing_keys.tls_insecure",
        &[
            "OC_CACHE_TLS_INSECURE",
            "PROXY_PRESIGNEDURL_SIGNING_KEYS_STORE_TLS_INSECURE",
        ],
        Kind::Bool,
        NO,
        "its certificate is not verified",
    ),
    s(
        "pre_signed_url.signing_keys.tls_root_ca_certificate",
        &[
            "OC_CACHE_TLS_ROOT_CA_CERTIFICATE",
            "PROXY_PRESIGNEDURL_SIGNING_KEYS_STORE_TLS_ROOT_CA_CERTIFICATE",
        ],
        Kind::Path,
        Preset::Empty,
        "its CA",
    ),
    s(
        "url_signing_secret",
        &["OC_URL_SIGNING_SECRET"],
        Kind::Secret,
        Preset::Empty,
        "key of URLs signed by servers; without it their signatures count for nothing",
    )
    .shared("url_signing_secret"),
    s(
        "transfer_secret",
        &["REVA_TRANSFER_SECRET", "OC_TRANSFER_SECRET"],
        Kind::Secret,
        Preset::Empty,
        "signs upload locations (OpenCloud from 8.0): without it resumable uploads there do not work",
    )
    .shared("transfer_secret")
    .live(),
    s(
        "data_gateway.servers",
        &["PROXY_DATA_SERVERS"],
        Kind::List,
        Preset::Text("localhost:9158,127.0.0.1:9158"),
        "`host:port` of the data servers that upload locations may name (OpenCloud from 8.0)",
    )
    .live(),
    s(
        "events.endpoint",
        &["OC_EVENTS_ENDPOINT", "PROXY_EVENTS_ENDPOINT"],
        Kind::Text,
        Preset::Text("127.0.0.1:9233"),
        "event bus, the addresses of its NATS servers; empty: no events",
    ),
    s(
        "events.cluster",
        &["OC_EVENTS_CLUSTER", "PROXY_EVENTS_CLUSTER"],
        Kind::Text,
        Preset::Flavor("opencloud-cluster", "ocis-cluster"),
        "its cluster",
    )
    .obsolete("NATS needs no name of a cluster"),
    s(
        "events.tls_insecure",
        &[
            "OC_INSECURE",
            "OC_EVENTS_TLS_INSECURE",
            "PROXY_EVENTS_TLS_INSECURE",
        ],
        Kind::Bool,
        NO,
        "its certificate is not verified",
    ),
    s(
        "events.tls_root_ca_certificate",
        &[
            "OC_EVENTS_TLS_ROOT_CA_CERTIFICATE",
            "PROXY_EVENTS_TLS_ROOT_CA_CERTIFICATE",
        ],
        Kind::Path,
        Preset::Empty,
        "its CA",
    ),
    s(
        "events.enable_tls",
        &["OC_EVENTS_ENABLE_TLS", "PROXY_EVENTS_ENABLE_TLS"],
        Kind::Bool,
        NO,
        "TLS to it",
    ),
    s(
        "events.username",
        &["OC_EVENTS_AUTH_USERNAME", "PROXY_EVENTS_AUTH_USERNAME"],
        Kind::Text,
        Preset::Empty,
        "user name at the event bus",
    ),
    s(
        "events.password",
        &["OC_EVENTS_AUTH_PASSWORD", "PROXY_EVENTS_AUTH_PASSWORD"],
        Kind::Secret,
        Preset::Empty,
        "password at the event bus",
    ),
];
