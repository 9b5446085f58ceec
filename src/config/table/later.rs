//! Parts that are not built yet, and names that lost their meaning. Their settings are read and validated, so that a
//! file written for the existing service is understood whole.

use crate::config::Compat;
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

const OFF: &[&str] = &["false"];
const NO: Preset = Preset::Text("false");
const TLS_MODE: Kind = Kind::Word(&["off", "insecure", "on"]);
const CS3: &str = "the account backend cs3";

pub(super) const SETTINGS: &[Setting] = &[
    s(
        "debug.pprof",
        &["PROXY_DEBUG_PPROF"],
        Kind::Bool,
        NO,
        "profiles on the debug listener",
    )
    .obsolete("the profiles were those of the Go runtime; see /metrics"),
    s(
        "debug.zpages",
        &["PROXY_DEBUG_ZPAGES"],
        Kind::Bool,
        NO,
        "trace pages on the debug listener",
    )
    .obsolete("the pages were those of the Go runtime; see /metrics"),
    s(
        "tracing.enabled",
        &["OC_TRACING_ENABLED", "PROXY_TRACING_ENABLED"],
        Kind::Bool,
        NO,
        "traces are sent",
    )
    .later(OFF, "take it out; requests are followed by X-Request-Id")
    .shared("tracing.enabled"),
    s(
        "tracing.type",
        &["OC_TRACING_TYPE", "PROXY_TRACING_TYPE"],
        Kind::Word(&["jaeger", "otlp"]),
        Preset::Empty,
        "kind of trace collector",
    )
    .detail("tracing"),
    s(
        "tracing.endpoint",
        &["OC_TRACING_ENDPOINT", "PROXY_TRACING_ENDPOINT"],
        Kind::Text,
        Preset::Empty,
        "address of the trace collector",
    )
    .detail("tracing"),
    s(
        "tracing.collector",
        &["OC_TRACING_COLLECTOR", "PROXY_TRACING_COLLECTOR"],
        Kind::Text,
        Preset::Empty,
        "URL of the trace collector",
    )
    .detail("tracing"),
    s(
        "traces_exporter",
        &["OTEL_TRACES_EXPORTER"],
        Kind::Word(&["none", "console", "otlp"]),
        Preset::Text("none"),
        "kind of trace exporter",
    )
    .later(&["none"], "take it out"),
    s(
        "reva.address",
        &["OC_REVA_GATEWAY"],
        Kind::Text,
        Preset::Flavor("eu.opencloud.api.gateway", "com.owncloud.api.gateway"),
        "CS3 gateway",
    )
    .detail(CS3),
    s(
        "reva.tls.mode",
        &["OC_GRPC_CLIENT_TLS_MODE"],
        TLS_MODE,
        Preset::Empty,
        "TLS to the CS3 gateway",
    )
    .detail(CS3),
    s(
        "reva.tls.cacert",
        &["OC_GRPC_CLIENT_TLS_CACERT"],
        Kind::Path,
        Preset::Empty,
        "CA of the CS3 gateway",
    )
    .detail(CS3),
    s(
        "grpc_client_tls.mode",
        &["OC_GRPC_CLIENT_TLS_MODE"],
        TLS_MODE,
        Preset::Empty,
        "TLS to gRPC services",
    )
    .detail(CS3),
    s(
        "grpc_client_tls.cacert",
        &["OC_GRPC_CLIENT_TLS_CACERT"],
        Kind::Path,
        Preset::Empty,
        "CA of gRPC services",
    )
    .detail(CS3),
    s(
        "machine_auth_api_key",
        &["OC_MACHINE_AUTH_API_KEY", "PROXY_MACHINE_AUTH_API_KEY"],
        Kind::Secret,
        Preset::Empty,
        "key of machine logins",
    )
    .detail(CS3)
    .shared("machine_auth_api_key"),
    s(
        "service_account.service_account_id",
        &["OC_SERVICE_ACCOUNT_ID", "PROXY_SERVICE_ACCOUNT_ID"],
        Kind::Text,
        Preset::Empty,
        "service account",
    )
    .detail(CS3)
    .shared("service_account.service_account_id"),
    s(
        "service_account.service_account_secret",
        &["OC_SERVICE_ACCOUNT_SECRET", "PROXY_SERVICE_ACCOUNT_SECRET"],
        Kind::Secret,
        Preset::Empty,
        "its secret",
    )
    .detail(CS3)
    .shared("service_account.service_account_secret"),
    s(
        "role_quotas",
        &[],
        Kind::Tree,
        Preset::Empty,
        "map of role id to bytes, the quota of new homes",
    )
    .later(&[], "take it out, and set quotas in the backend"),
    s(
        "oidc.skip_verification",
        &["PROXY_OIDC_SKIP_VERIFICATION"],
        Kind::Bool,
        NO,
        "unknown to every release",
    )
    .obsolete("see oidc.access_token_verify_method and oidc.insecure"),
    s(
        "enable_basic_auth",
        &["PROXY_ENABLE_BASIC_AUTH"],
        Kind::Bool,
        NO,
        "user name and password are accepted",
    )
    .later(OFF, "set it to false"),
    s(
        "auth_middleware.allow_app_auth",
        &["PROXY_ENABLE_APP_AUTH"],
        Kind::Bool,
        Preset::Since(&[
            (Compat::OpenCloud1, "false"),
            (Compat::OpenCloud4, "true"),
            (Compat::Ocis7, "false"),
        ]),
        "app passwords are accepted",
    )
    .later(OFF, "set it to false"),
    s(
        "policies_middleware.query",
        &["PROXY_POLICIES_QUERY"],
        Kind::Text,
        Preset::Empty,
        "query of the policies service",
    )
    .later(&[], "take it out"),
    s(
        "tenant_id_mapping_enabled",
        &["PROXY_TENANT_ID_MAPPING_ENABLED"],
        Kind::Bool,
        NO,
        "that claim has the external id",
    )
    .later(
        OFF,
        "set it to false, and send the tenant's own id in the claim",
    ),
    s(
        "claim_space_management.enabled",
        &[
            "OCIS_CLAIMMANAGEDSPACES_ENABLED",
            "OCIS_CLAIM_MANAGED_SPACES_ENABLED",
        ],
        Kind::Bool,
        NO,
        "oCIS: spaces of a user follow a claim",
    )
    .later(OFF, "set it to false"),
    s(
        "claim_space_management.claim",
        &[
            "OCIS_CLAIMMANAGEDSPACES_CLAIMNAME",
            "OCIS_CLAIM_MANAGED_SPACES_CLAIMNAME",
        ],
        Kind::Text,
        Preset::Empty,
        "that claim",
    )
    .detail("claim-managed spaces"),
    s(
        "claim_space_management.regexp",
        &[
            "OCIS_CLAIMMANAGEDSPACES_REGEXP",
            "OCIS_CLAIM_MANAGED_SPACES_REGEXP",
        ],
        Kind::Text,
        Preset::Empty,
        "expression with two groups, space and role",
    )
    .detail("claim-managed spaces"),
    s(
        "claim_space_management.mapping",
        &[
            "OCIS_CLAIMMANAGEDSPACES_MAPPING",
            "OCIS_CLAIM_MANAGED_SPACES_MAPPING",
        ],
        Kind::List,
        Preset::Empty,
        "`from:to` of roles",
    )
    .detail("claim-managed spaces"),
    s(
        "multi_instance.enabled",
        &["OCIS_MULTI_INSTANCE_ENABLED"],
        Kind::Bool,
        NO,
        "oCIS: several instances share one issuer",
    )
    .later(OFF, "set it to false"),
    s(
        "enable_vault_mode",
        &["OCIS_ENABLE_VAULT_MODE", "PROXY_ENABLE_VAULT_MODE"],
        Kind::Bool,
        NO,
        "oCIS: a second storage service",
    )
    .later(OFF, "set it to false"),
];
