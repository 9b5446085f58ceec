//! The LDAP section.

use super::Build;
use crate::config::accounts::{DisableMechanism, Ldap};
use crate::config::{ldap_syntax, scalar};

impl Build<'_> {
    pub(super) fn ldap(&mut self, provision: bool) -> Ldap {
        let v = self.values;
        let insecure = v.flag("ldap.insecure");
        let start_tls = v.flag("ldap.start_tls");
        let uris = self.ldap_uris(insecure, start_tls);
        self.readable("ldap.cacert");
        if v.is_set("ldap.bind_password") && v.secret("ldap.bind_password").is_none() {
            self.wrong(
                "ldap.bind_password",
                "is empty; set the password of the bind DN",
            );
        } else if !v.text("ldap.bind_dn").is_empty() && v.secret("ldap.bind_password").is_none() {
            self.wrong(
                "ldap.bind_password",
                "is missing; set the password of ldap.bind_dn",
            );
        }
        for key in REQUIRED {
            if v.text(key).is_empty() {
                self.wrong(key, "is empty; it is needed");
            }
        }
        self.ldap_syntax();
        self.active_directory();
        self.enabled_in_filter(provision);
        let write_enabled = v.flag("ldap.server_write_enabled");
        let octets = v.flag("ldap.user_schema_id_is_octetstring");
        let server_uuid = v.flag("ldap.server_uuid");
        if provision && !write_enabled {
            self.wrong(
                "auto_provision_accounts",
                "is true while ldap.server_write_enabled is false; allow writing, or switch provisioning off",
            );
        }
        if provision && octets && !server_uuid {
            self.wrong(
                "ldap.user_schema_id_is_octetstring",
                "is true, so only the server can make ids; set ldap.server_uuid to true (PROXY_LDAP_SERVER_UUID)",
            );
        }
        if !(1..=1000).contains(&v.number("ldap.pool_size")) {
            self.wrong("ldap.pool_size", "has to be between 1 and 1000");
        }
        if v.duration("ldap.timeout").is_zero() {
            self.wrong("ldap.timeout", "is zero; it has to be a time");
        }
        let group_base_dn = v.text("ldap.group_base_dn");
        Ldap {
            uris,
            cacert: self.ldap_cacert(),
            insecure,
            start_tls,
            pool_size: v.size("ldap.pool_size"),
            timeout: v.duration("ldap.timeout"),
            bind_dn: v.text("ldap.bind_dn"),
            bind_password: v.secret("ldap.bind_password").unwrap_or_default(),
            write_enabled,
            server_uuid,
            id_is_octet_string: octets,
            user_base_dn: v.text("ldap.user_base_dn"),
            user_scope: v.word("ldap.user_scope").unwrap_or_default(),
            user_filter: v.text("ldap.user_filter"),
            user_object_class: v.text("ldap.user_objectclass"),
            user_aux_class: v.text("ldap.user_aux_objectclass"),
            user_id: v.text("ldap.user_schema_id"),
            username: v.text("ldap.user_schema_username"),
            mail: v.text("ldap.user_schema_mail"),
            display_name: v.text("ldap.user_schema_displayname"),
            user_type: v.text("ldap.user_schema_user_type"),
            user_tenant: v.some_text("ldap.user_schema_tenant_id"),
            external_identity: v.text("ldap.external_identity_attribute"),
            role: v.text("ldap.role_attribute"),
            disable: self.disable_mechanism(),
            group_create_base_dn: v
                .some_text("ldap.group_create_base_dn")
                .unwrap_or_else(|| group_base_dn.clone()),
            group_base_dn,
            group_scope: v.word("ldap.group_scope").unwrap_or_default(),
            group_filter: v.text("ldap.group_filter"),
            group_object_class: v.text("ldap.group_objectclass"),
            group_aux_class: v.text("ldap.group_aux_objectclass"),
            group_id: v.text("ldap.group_schema_id"),
            group_name: v.text("ldap.group_schema_groupname"),
            group_member: v.text("ldap.group_schema_member"),
            group_managed: v.text("ldap.group_managed_attribute"),
        }
    }

    /// Names of Active Directory beside names that it does not have: a search finds nobody then.
    fn active_directory(&mut self) {
        let v = self.values;
        let named = |key: &str, name: &str| v.text(key).eq_ignore_ascii_case(name);
        let has_guid = named("ldap.user_schema_id", "objectGUID");
        let is_one = has_guid
            || named("ldap.user_schema_username", "sAMAccountName")
            || named("ldap.user_schema_username", "userPrincipalName")
            || v.text("ldap.user_filter")
                .to_ascii_lowercase()
                .contains("samaccountname");
        if !is_one {
            return;
        }
        let octets = v.flag("ldap.user_schema_id_is_octetstring");
        let group_guid = named("ldap.group_schema_id", "objectGUID");
        for (key, is_odd, wanted) in [
            (
                "ldap.user_schema_id",
                !has_guid && !v.is_set("ldap.user_schema_id"),
                "objectGUID",
            ),
            (
                "ldap.user_schema_id_is_octetstring",
                has_guid && !octets,
                "true",
            ),
            (
                "ldap.user_schema_username",
                named("ldap.user_schema_username", "uid"),
                "sAMAccountName",
            ),
            (
                "ldap.user_objectclass",
                named("ldap.user_objectclass", "inetOrgPerson"),
                "user",
            ),
            (
                "ldap.group_objectclass",
                named("ldap.group_objectclass", "groupOfNames"),
                "group",
            ),
            (
                "ldap.group_schema_id",
                !group_guid && !v.is_set("ldap.group_schema_id"),
                "objectGUID",
            ),
        ] {
            if is_odd {
                let place = v.place(key);
                let value = v.text(key);
                self.notes.warn(format!(
                    "{place}: is {value}, while other settings have names of Active Directory; there it is {wanted}"
                ));
            }
        }
    }

    /// Accounts made at a login do not have the attribute until somebody sets it (docs/design/contract.md 7.2), so a filter that
    /// wants it hides them.
    fn enabled_in_filter(&mut self, provision: bool) {
        let attribute = self.values.text("ldap.user_enabled_attribute");
        let filter = self.values.text("ldap.user_filter").to_ascii_lowercase();
        let wants = |value: &str| {
            let wanted = format!("({}={value})", attribute.to_ascii_lowercase());
            filter.contains(&wanted)
        };
        if provision && !attribute.is_empty() && (wants("true") || wants("*")) {
            let place = self.values.place("ldap.user_filter");
            self.notes.warn(format!(
                "{place}: wants {attribute}, which a new person's account does not have until somebody sets it, so nobody new gets in; write (!({attribute}=FALSE))"
            ));
        }
    }

    /// Holds filters, names of attributes and of entries against their grammar.
    fn ldap_syntax(&mut self) {
        let v = self.values;
        type Grammar = fn(&str) -> Result<(), String>;
        let kinds: [(&[&str], Grammar); 3] = [
            (&FILTERS, ldap_syntax::filter),
            (&ATTRIBUTES, ldap_syntax::attribute),
            (&NAMES, ldap_syntax::dn),
        ];
        for (keys, grammar) in kinds {
            for key in keys {
                let text = v.text(key);
                if let Err(error) = grammar(&text)
                    && !text.is_empty()
                {
                    self.wrong(key, error);
                }
            }
        }
        for item in v.list("auto_provision_attributes") {
            if let Ok((attribute, _)) = scalar::claim_value(&item)
                && let Err(error) = ldap_syntax::attribute(&attribute)
            {
                self.wrong("auto_provision_attributes", error);
            }
        }
    }

    fn ldap_uris(&mut self, insecure: bool, start_tls: bool) -> Vec<String> {
        let uris = self.values.list("ldap.uri");
        if uris.is_empty() {
            self.wrong("ldap.uri", "is empty; name the server, ldaps://host:636");
        }
        for uri in &uris {
            match url::Url::parse(uri) {
                Ok(url) if url.scheme() == "ldaps" && url.has_host() => {
                    if start_tls {
                        self.wrong(
                            "ldap.start_tls",
                            "is for ldap:// servers; take it out, ldaps:// has TLS already",
                        );
                    }
                }
                Ok(url) if url.scheme() == "ldap" && url.has_host() => {
                    if start_tls {
                        continue;
                    }
                    let place = self.values.place("ldap.uri");
                    if super::issuers::is_loopback(&url) || insecure {
                        self.notes.warn(format!("{place}: {uri} is not encrypted"));
                    } else {
                        let allow = self.own("OC_LDAP_INSECURE");
                        self.notes.mistake(place, format!(
                            "is {uri}, which is not encrypted; use ldaps://, or PROXY_LDAP_START_TLS=true, or allow it with {allow}=true"
                        ));
                    }
                }
                _ => self.wrong(
                    "ldap.uri",
                    format!("is {uri:?}; it has to be ldaps://host:port or ldap://host:port"),
                ),
            }
        }
        uris
    }

    fn ldap_cacert(&self) -> Option<std::path::PathBuf> {
        if self.values.is_set("ldap.cacert") {
            return self.values.path("ldap.cacert");
        }
        Some(self.boot.data_dir.join("idm/ldap.crt")).filter(|path| path.is_file())
    }

    fn disable_mechanism(&mut self) -> DisableMechanism {
        let (mechanism, key) = match self.values.text("ldap.disable_user_mechanism").as_str() {
            "none" => return DisableMechanism::None,
            "group" => (
                DisableMechanism::Group as fn(String) -> _,
                "ldap.disabled_users_group_dn",
            ),
            _ => (
                DisableMechanism::Attribute as fn(String) -> _,
                "ldap.user_enabled_attribute",
            ),
        };
        let value = self.values.text(key);
        if value.is_empty() {
            self.wrong(key, "is empty; ldap.disable_user_mechanism needs it");
        }
        mechanism(value)
    }
}

const REQUIRED: [&str; 15] = [
    "ldap.user_base_dn",
    "ldap.group_base_dn",
    "ldap.user_objectclass",
    "ldap.group_objectclass",
    "ldap.user_schema_id",
    "ldap.user_schema_username",
    "ldap.user_schema_mail",
    "ldap.user_schema_displayname",
    "ldap.user_schema_user_type",
    "ldap.group_schema_id",
    "ldap.group_schema_groupname",
    "ldap.group_schema_member",
    "ldap.external_identity_attribute",
    "ldap.role_attribute",
    "ldap.group_managed_attribute",
];

const FILTERS: [&str; 2] = ["ldap.user_filter", "ldap.group_filter"];

const ATTRIBUTES: [&str; 15] = [
    "ldap.user_objectclass",
    "ldap.group_objectclass",
    "ldap.user_schema_id",
    "ldap.user_schema_username",
    "ldap.user_schema_mail",
    "ldap.user_schema_displayname",
    "ldap.user_schema_user_type",
    "ldap.user_schema_tenant_id",
    "ldap.user_enabled_attribute",
    "ldap.group_schema_id",
    "ldap.group_schema_groupname",
    "ldap.group_schema_member",
    "ldap.external_identity_attribute",
    "ldap.role_attribute",
    "ldap.group_managed_attribute",
];

const NAMES: [&str; 4] = [
    "ldap.user_base_dn",
    "ldap.group_base_dn",
    "ldap.group_create_base_dn",
    "ldap.disabled_users_group_dn",
];
