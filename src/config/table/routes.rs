//! Routes, security headers, what passes through.

use std::path::PathBuf;

use crate::config::key::{Key, Tree};
use crate::config::setting::{Preset, Setting};

pub(crate) const POLICIES: Key<Tree> = Key::new(
    "policies",
    &[],
    Preset::Derived("the routes of the release"),
    "list of {name, routes}; replaces all default routes",
)
.new_sessions();

pub(crate) const ADDITIONAL_POLICIES: Key<Tree> = Key::new(
    "additional_policies",
    &[],
    Preset::Empty,
    "list of {name, routes}; appends routes to the policy of that name, or adds a policy",
)
.new_sessions();

pub(crate) const POLICY_SELECTOR_STATIC_POLICY: Key<String> = Key::new(
    "policy_selector.static.policy",
    &[],
    Preset::Flavor("default", "ocis"),
    "name of the policy that serves",
)
.new_sessions();

pub(crate) const POLICY_SELECTOR_CLAIMS: Key<Tree> = Key::new("policy_selector.claims",&[],Preset::Empty,"in place of `static`: the claim `opencloud.routing.policy` or `ocis.routing.policy` names a user's policy").new_sessions();

pub(crate) const POLICY_SELECTOR_REGEX: Key<Tree> = Key::new("policy_selector.regex",&[],Preset::Empty,"in place of `static`: the first rule that matches the user's mail, username or id names the policy").new_sessions();

pub(crate) const FORWARD_AUTHORIZATION: Key<bool> = Key::new(
    "forward_authorization",
    &["PROXY_FORWARD_AUTHORIZATION"],
    Preset::Text("false"),
    "a bearer that was consumed here is passed on to the backend",
);

pub(crate) const OPTIONS_REQUIRE_AUTH: Key<bool> = Key::new(
    "options_require_auth",
    &["PROXY_OPTIONS_REQUIRE_AUTH"],
    Preset::Text("false"),
    "OPTIONS on a protected route needs a credential",
)
.live();

pub(crate) const AUTH_MIDDLEWARE_CREDENTIALS_BY_USER_AGENT: Key<Tree> = Key::new("auth_middleware.credentials_by_user_agent",&[],Preset::Empty,"map of a part of `User-Agent` to the one scheme such clients are challenged with, `bearer` or `dpop`").live();

pub(crate) const CSP_CONFIG_FILE_LOCATION: Key<PathBuf> = Key::new("csp_config_file_location",&["PROXY_CSP_CONFIG_FILE_LOCATION"],Preset::Derived("<data>/proxy/csp.yaml if it exists"),"file with a Content-Security-Policy; merged into the built-in one (OpenCloud from 4.0) or in its place").live();

pub(crate) const CSP_CONFIG_FILE_OVERRIDE_LOCATION: Key<PathBuf> = Key::new("csp_config_file_override_location",&["PROXY_CSP_CONFIG_FILE_OVERRIDE_LOCATION"],Preset::Empty,"file with a Content-Security-Policy that replaces the built-in one; the other file is not read").live();

pub(crate) const CSP_ISSUER_ORIGINS: Key<bool> = Key::new(
    "csp_issuer_origins",
    &["PROXY_CSP_ISSUER_ORIGINS"],
    Preset::Text("true"),
    "the issuers' origins enter `connect-src` and `frame-src`",
)
.live();

pub(crate) const FORCE_STRICT_TRANSPORT_SECURITY: Key<bool> = Key::new(
    "force_strict_transport_security",
    &["PROXY_FORCE_STRICT_TRANSPORT_SECURITY"],
    Preset::Text("false"),
    "HSTS also when the public listener is not TLS",
);

pub(crate) const MFA_ENABLED: Key<bool> = Key::new(
    "mfa.enabled",
    &["OCIS_MFA_ENABLED"],
    Preset::Text("false"),
    "oCIS: `X-Multi-Factor-Authentication` follows the claim `acr`; false: it is always true",
);

pub(crate) const MFA_AUTH_LEVEL_NAMES: Key<Vec<String>> = Key::new(
    "mfa.auth_level_names",
    &["OCIS_MFA_AUTH_LEVEL_NAME", "OCIS_MFA_AUTH_LEVEL_NAMES"],
    Preset::Text("advanced"),
    "oCIS: values of `acr` that count as multi-factor",
);

/// In the order of the reference.
pub(super) const SETTINGS: &[Setting] = &[
    POLICIES.setting,
    ADDITIONAL_POLICIES.setting,
    POLICY_SELECTOR_STATIC_POLICY.setting,
    POLICY_SELECTOR_CLAIMS.setting,
    POLICY_SELECTOR_REGEX.setting,
    FORWARD_AUTHORIZATION.setting,
    OPTIONS_REQUIRE_AUTH.setting,
    AUTH_MIDDLEWARE_CREDENTIALS_BY_USER_AGENT.setting,
    CSP_CONFIG_FILE_LOCATION.setting,
    CSP_CONFIG_FILE_OVERRIDE_LOCATION.setting,
    CSP_ISSUER_ORIGINS.setting,
    FORCE_STRICT_TRANSPORT_SECURITY.setting,
    MFA_ENABLED.setting,
    MFA_AUTH_LEVEL_NAMES.setting,
];
