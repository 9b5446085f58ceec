//! Parts that are not built yet, and names that lost their meaning. Their settings are read and validated, so that a
//! file written for the existing service is understood whole.

use crate::config::Compat;
use crate::config::key::Key;
use crate::config::setting::{Preset, Setting};

const OFF: &[&str] = &["false"];
const NO: Preset = Preset::Text("false");

pub(crate) const DEBUG_PPROF: Key<bool> = Key::new(
    "debug.pprof",
    &["PROXY_DEBUG_PPROF"],
    NO,
    "profiles on the debug listener",
)
.obsolete("the profiles were those of the Go runtime; see /metrics");

pub(crate) const DEBUG_ZPAGES: Key<bool> = Key::new(
    "debug.zpages",
    &["PROXY_DEBUG_ZPAGES"],
    NO,
    "trace pages on the debug listener",
)
.obsolete("the pages were those of the Go runtime; see /metrics");

pub(crate) const OIDC_SKIP_VERIFICATION: Key<bool> = Key::new(
    "oidc.skip_verification",
    &["PROXY_OIDC_SKIP_VERIFICATION"],
    NO,
    "unknown to every release",
)
.obsolete("see oidc.access_token_verify_method and oidc.insecure");

pub(crate) const ENABLE_BASIC_AUTH: Key<bool> = Key::new(
    "enable_basic_auth",
    &["PROXY_ENABLE_BASIC_AUTH"],
    NO,
    "user name and password are accepted; the CS3 gateway checks them",
);

pub(crate) const AUTH_MIDDLEWARE_ALLOW_APP_AUTH: Key<bool> = Key::new(
    "auth_middleware.allow_app_auth",
    &["PROXY_ENABLE_APP_AUTH"],
    Preset::Since(&[
        (Compat::OpenCloud1, "false"),
        (Compat::OpenCloud4, "true"),
        (Compat::Ocis7, "false"),
    ]),
    "app passwords are accepted; the CS3 gateway checks them",
);

pub(crate) const CLAIM_SPACE_MANAGEMENT_ENABLED: Key<bool> = Key::new(
    "claim_space_management.enabled",
    &[
        "OCIS_CLAIMMANAGEDSPACES_ENABLED",
        "OCIS_CLAIM_MANAGED_SPACES_ENABLED",
    ],
    NO,
    "oCIS: spaces of a user follow a claim",
)
.later(OFF, "set it to false");

pub(crate) const CLAIM_SPACE_MANAGEMENT_CLAIM: Key<String> = Key::new(
    "claim_space_management.claim",
    &[
        "OCIS_CLAIMMANAGEDSPACES_CLAIMNAME",
        "OCIS_CLAIM_MANAGED_SPACES_CLAIMNAME",
    ],
    Preset::Empty,
    "that claim",
)
.detail("claim-managed spaces");

pub(crate) const CLAIM_SPACE_MANAGEMENT_REGEXP: Key<String> = Key::new(
    "claim_space_management.regexp",
    &[
        "OCIS_CLAIMMANAGEDSPACES_REGEXP",
        "OCIS_CLAIM_MANAGED_SPACES_REGEXP",
    ],
    Preset::Empty,
    "expression with two groups, space and role",
)
.detail("claim-managed spaces");

pub(crate) const CLAIM_SPACE_MANAGEMENT_MAPPING: Key<Vec<String>> = Key::new(
    "claim_space_management.mapping",
    &[
        "OCIS_CLAIMMANAGEDSPACES_MAPPING",
        "OCIS_CLAIM_MANAGED_SPACES_MAPPING",
    ],
    Preset::Empty,
    "`from:to` of roles",
)
.detail("claim-managed spaces");

pub(crate) const MULTI_INSTANCE_ENABLED: Key<bool> = Key::new(
    "multi_instance.enabled",
    &["OCIS_MULTI_INSTANCE_ENABLED"],
    NO,
    "oCIS: several instances share one issuer",
)
.later(OFF, "set it to false");

pub(crate) const ENABLE_VAULT_MODE: Key<bool> = Key::new(
    "enable_vault_mode",
    &["OCIS_ENABLE_VAULT_MODE", "PROXY_ENABLE_VAULT_MODE"],
    NO,
    "oCIS: a second storage service",
)
.later(OFF, "set it to false");

/// In the order of the reference.
pub(super) const SETTINGS: &[Setting] = &[
    DEBUG_PPROF.setting,
    DEBUG_ZPAGES.setting,
    OIDC_SKIP_VERIFICATION.setting,
    ENABLE_BASIC_AUTH.setting,
    AUTH_MIDDLEWARE_ALLOW_APP_AUTH.setting,
    CLAIM_SPACE_MANAGEMENT_ENABLED.setting,
    CLAIM_SPACE_MANAGEMENT_CLAIM.setting,
    CLAIM_SPACE_MANAGEMENT_REGEXP.setting,
    CLAIM_SPACE_MANAGEMENT_MAPPING.setting,
    MULTI_INSTANCE_ENABLED.setting,
    ENABLE_VAULT_MODE.setting,
];
