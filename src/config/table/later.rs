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
        "user name and password are accepted; the CS3 gateway checks them",
    ),
    s(
        "auth_middleware.allow_app_auth",
        &["PROXY_ENABLE_APP_AUTH"],
        Kind::Bool,
        Preset::Since(&[
            (Compat::OpenCloud1, "false"),
            (Compat::OpenCloud4, "true"),
            (Compat::Ocis7, "false"),
        ]),
        "app passwords are accepted; the CS3 gateway checks them",
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
