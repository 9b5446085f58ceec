//! Routes, security headers, what passes through.

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

pub(super) const SETTINGS: &[Setting] = &[
    s(
        "policies",
        &[],
        Kind::Tree,
        Preset::Derived("the routes of the release"),
        "list of {name, routes}; replaces all default routes",
    )
    .new_sessions(),
    s(
        "additional_policies",
        &[],
        Kind::Tree,
        Preset::Empty,
        "list of {name, routes}; appends routes to the policy of that name, or adds a policy",
    )
    .new_sessions(),
    s(
        "policy_selector.static.policy",
        &[],
        Kind::Text,
        Preset::Flavor("default", "ocis"),
        "name of the policy that serves",
    )
    .new_sessions(),
    s(
        "policy_selector.claims",
        &[],
        Kind::Tree,
        Preset::Empty,
        "in place of `static`: the claim `opencloud.routing.policy` or `ocis.routing.policy` names a user's policy",
    )
    .new_sessions(),
    s(
        "policy_selector.regex",
        &[],
        Kind::Tree,
        Preset::Empty,
        "in place of `static`: the first rule that matches the user's mail, username or id names the policy",
    )
    .new_sessions(),
    s(
        "forward_authorization",
        &["PROXY_FORWARD_AUTHORIZATION"],
        Kind::Bool,
        Preset::Text("false"),
        "a bearer that was consumed here is passed on to the backend",
    ),
    s(
        "options_require_auth",
        &["PROXY_OPTIONS_REQUIRE_AUTH"],
        Kind::Bool,
        Preset::Text("false"),
        "OPTIONS on a protected route needs a credential",
    )
    .live(),
    s(
        "auth_middleware.credentials_by_user_agent",
        &[],
        Kind::Tree,
        Preset::Empty,
        "map of a part of `User-Agent` to the one scheme such clients are challenged with, `bearer` or `dpop`",
    )
    .live(),
    s(
        "csp_config_file_location",
        &["PROXY_CSP_CONFIG_FILE_LOCATION"],
        Kind::Path,
        Preset::Derived("<data>/proxy/csp.yaml if it exists"),
        "file with a Content-Security-Policy; merged into the built-in one (OpenCloud from 4.0) or in its place",
    )
    .live(),
    s(
        "csp_config_file_override_location",
        &["PROXY_CSP_CONFIG_FILE_OVERRIDE_LOCATION"],
        Kind::Path,
        Preset::Empty,
        "file with a Content-Security-Policy that replaces the built-in one; the other file is not read",
    )
    .live(),
    s(
        "csp_issuer_origins",
        &["PROXY_CSP_ISSUER_ORIGINS"],
        Kind::Bool,
        Preset::Text("true"),
        "the issuers' origins enter `connect-src` and `frame-src`",
    )
    .live(),
    s(
        "force_strict_transport_security",
        &["PROXY_FORCE_STRICT_TRANSPORT_SECURITY"],
        Kind::Bool,
        Preset::Text("false"),
        "HSTS also when the public listener is not TLS",
    ),
    s(
        "mfa.enabled",
        &["OCIS_MFA_ENABLED"],
        Kind::Bool,
        Preset::Text("false"),
        "oCIS: `X-Multi-Factor-Authentication` follows the claim `acr`; false: it is always true",
    ),
    s(
        "mfa.auth_level_names",
        &["OCIS_MFA_AUTH_LEVEL_NAME", "OCIS_MFA_AUTH_LEVEL_NAMES"],
        Kind::List,
        Preset::Text("advanced"),
        "oCIS: values of `acr` that count as multi-factor",
    ),
];
