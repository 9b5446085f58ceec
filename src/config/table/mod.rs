//! The one table of settings, split by subject. Order here is the order of the reference.

pub(crate) mod accounts;
pub(crate) mod deployment;
pub(crate) mod later;
pub(crate) mod ldap;
pub(crate) mod listener;
pub(crate) mod oidc;
pub(crate) mod routes;
pub(crate) mod services;
pub(crate) mod stores;
pub(crate) mod traces;

use super::setting::Setting;

/// A group of settings with a heading.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Section {
    /// Heading in the reference.
    pub title: &'static str,
    /// Its settings.
    pub settings: &'static [Setting],
}

/// Every setting.
pub(crate) const SECTIONS: &[Section] = &[
    Section {
        title: "Listener, log and debug",
        settings: listener::SETTINGS,
    },
    Section {
        title: "Connections to backends",
        settings: listener::UPSTREAM,
    },
    Section {
        title: "Routes and headers",
        settings: routes::SETTINGS,
    },
    Section {
        title: "Services and their registry",
        settings: services::SETTINGS,
    },
    Section {
        title: "Issuer and tokens",
        settings: oidc::SETTINGS,
    },
    Section {
        title: "Webfinger",
        settings: oidc::WEBFINGER,
    },
    Section {
        title: "Accounts and roles",
        settings: accounts::SETTINGS,
    },
    Section {
        title: "The deployment's services",
        settings: deployment::SETTINGS,
    },
    Section {
        title: "LDAP",
        settings: ldap::SETTINGS,
    },
    Section {
        title: "Traces",
        settings: traces::SETTINGS,
    },
    Section {
        title: "Parts that are not built yet",
        settings: later::SETTINGS,
    },
    Section {
        title: "Shared store, signed URLs, events",
        settings: stores::SETTINGS,
    },
];

/// Variables that decide how the rest is read; they have no key.
pub(crate) const BOOT_VARIABLES: &[(&str, &str, &str)] = &[
    (
        "PROXY_FLAVOR",
        "`opencloud`; `ocis` if an `OCIS_*` variable is set and no `OC_*` is",
        "whose names and defaults apply: `opencloud` or `ocis`",
    ),
    (
        "PROXY_COMPAT",
        "`auto`",
        "the release whose defaults apply: `auto` (the backends are asked by `/status.php`; the newest of the flavour until one answers), `opencloud-1`, `-4`, `-5`, `-7`, `-8`, `ocis-7`, `ocis-8`",
    ),
    (
        "OC_CONFIG_DIR",
        "`$HOME/.opencloud/config`, else `/etc/opencloud` (oCIS: `.ocis/config`, `/etc/ocis`)",
        "folder of `proxy.yaml` and of `opencloud.yaml` or `ocis.yaml`",
    ),
    (
        "OC_BASE_DATA_PATH",
        "`$HOME/.opencloud`, else `/var/lib/opencloud` (oCIS: `.ocis`, `/var/lib/ocis`)",
        "folder of what is kept, called `<data>` below",
    ),
];

/// Other spellings of keys, old and new.
pub(crate) const ALIASES: &[(&str, &str)] = &[("loglevel", "log.level")];

/// All settings in order.
pub(crate) fn settings() -> impl Iterator<Item = &'static Setting> {
    SECTIONS.iter().flat_map(|section| section.settings)
}

/// The setting of that key.
#[must_use]
pub(crate) fn setting(key: &str) -> Option<&'static Setting> {
    settings().find(|setting| setting.key == key)
}
