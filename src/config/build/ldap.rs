//! The LDAP section.

use super::Build;
use crate::config::accounts::{DisableMechanism, Ldap};
use crate::config::key::Key;
use crate::config::table::{accounts, ldap};
use crate::config::words::DisableMechanismName;
use crate::config::{ldap_syntax, scalar};

impl Build<'_> {
    pub(super) fn ldap(&mut self, provision: bool) -> Ldap {
        let v = self.values;
        let insecure = v.get(ldap::INSECURE);
        let start_tls = v.get(ldap::START_TLS);
        let uris = self.ldap_uris(insecure, start_tls);
        self.readable(ldap::CACERT);
        if v.is_set(ldap::BIND_PASSWORD) && v.get(ldap::BIND_PASSWORD).is_none() {
            self.wrong(
                ldap::BIND_PASSWORD,
                "is empty; set the password of the bind DN",
            );
        } else if !v.get(ldap::BIND_DN).is_empty() && v.get(ldap::BIND_PASSWORD).is_none() {
            self.wrong(
                ldap::BIND_PASSWORD,
                "is missing; set the password of ldap.bind_dn",
            );
        }
        for key in REQUIRED {
            if v.get(key).is_empty() {
                self.wrong(key, "is empty; it is needed");
            }
        }
        self.ldap_syntax();
        self.active_directory();
        self.enabled_in_filter(provision);
        let write_enabled = v.get(ldap::SERVER_WRITE_ENABLED);
        let octets = v.get(ldap::USER_SCHEMA_ID_IS_OCTETSTRING);
        let server_uuid = v.get(ldap::SERVER_UUID);
        if provision && !write_enabled {
            self.wrong(
                accounts::AUTO_PROVISION_ACCOUNTS,
                "is true while ldap.server_write_enabled is false; allow writing, or switch provisioning off",
            );
        }
        if provision && octets && !server_uuid {
            self.wrong(
                ldap::USER_SCHEMA_ID_IS_OCTETSTRING,
                "is true, so only the server can make ids; set ldap.server_uuid to true (PROXY_LDAP_SERVER_UUID)",
            );
        }
        if !(1..=1000).contains(&v.get(ldap::POOL_SIZE)) {
            self.wrong(ldap::POOL_SIZE, "has to be between 1 and 1000");
        }
        if v.get(ldap::TIMEOUT).is_zero() {
            self.wrong(ldap::TIMEOUT, "is zero; it has to be a time");
        }
        let group_base_dn = v.get(ldap::GROUP_BASE_DN);
        Ldap {
            uris,
            cacert: self.ldap_cacert(),
            insecure,
            start_tls,
            pool_size: v.get(ldap::POOL_SIZE),
            timeout: v.get(ldap::TIMEOUT),
            bind_dn: v.get(ldap::BIND_DN),
            bind_password: v.get(ldap::BIND_PASSWORD).unwrap_or_default(),
            write_enabled,
            server_uuid,
            id_is_octet_string: octets,
            user_base_dn: v.get(ldap::USER_BASE_DN),
            user_scope: v.get(ldap::USER_SCOPE).unwrap_or_default(),
            user_filter: v.get(ldap::USER_FILTER),
            user_object_class: v.get(ldap::USER_OBJECTCLASS),
            user_aux_class: v.get(ldap::USER_AUX_OBJECTCLASS),
            user_id: v.get(ldap::USER_SCHEMA_ID),
            username: v.get(ldap::USER_SCHEMA_USERNAME),
            mail: v.get(ldap::USER_SCHEMA_MAIL),
            display_name: v.get(ldap::USER_SCHEMA_DISPLAYNAME),
            user_type: v.get(ldap::USER_SCHEMA_USER_TYPE),
            user_tenant: v.some_text(ldap::USER_SCHEMA_TENANT_ID),
            external_identity: v.get(ldap::EXTERNAL_IDENTITY_ATTRIBUTE),
            role: v.get(ldap::ROLE_ATTRIBUTE),
            disable: self.disable_mechanism(),
            group_create_base_dn: v
                .some_text(ldap::GROUP_CREATE_BASE_DN)
                .unwrap_or_else(|| group_base_dn.clone()),
            group_base_dn,
            group_scope: v.get(ldap::GROUP_SCOPE).unwrap_or_default(),
            group_filter: v.get(ldap::GROUP_FILTER),
            group_object_class: v.get(ldap::GROUP_OBJECTCLASS),
            group_aux_class: v.get(ldap::GROUP_AUX_OBJECTCLASS),
            group_id: v.get(ldap::GROUP_SCHEMA_ID),
            group_name: v.get(ldap::GROUP_SCHEMA_GROUPNAME),
            group_member: v.get(ldap::GROUP_SCHEMA_MEMBER),
            group_managed: v.get(ldap::GROUP_MANAGED_ATTRIBUTE),
        }
    }

    /// Names of Active Directory beside names that it does not have: a search finds nobody then.
    fn active_directory(&mut self) {
        let v = self.values;
        let named = |key: Key<String>, name: &str| v.get(key).eq_ignore_ascii_case(name);
        let has_guid = named(ldap::USER_SCHEMA_ID, "objectGUID");
        let is_one = has_guid
            || named(ldap::USER_SCHEMA_USERNAME, "sAMAccountName")
            || named(ldap::USER_SCHEMA_USERNAME, "userPrincipalName")
            || v.get(ldap::USER_FILTER)
                .to_ascii_lowercase()
                .contains("samaccountname");
        if !is_one {
            return;
        }
        let octets = v.get(ldap::USER_SCHEMA_ID_IS_OCTETSTRING);
        let group_guid = named(ldap::GROUP_SCHEMA_ID, "objectGUID");
        for (key, is_odd, wanted) in [
            (
                ldap::USER_SCHEMA_ID.path(),
                !has_guid && !v.is_set(ldap::USER_SCHEMA_ID),
                "objectGUID",
            ),
            (
                ldap::USER_SCHEMA_ID_IS_OCTETSTRING.path(),
                has_guid && !octets,
                "true",
            ),
            (
                ldap::USER_SCHEMA_USERNAME.path(),
                named(ldap::USER_SCHEMA_USERNAME, "uid"),
                "sAMAccountName",
            ),
            (
                ldap::USER_OBJECTCLASS.path(),
                named(ldap::USER_OBJECTCLASS, "inetOrgPerson"),
                "user",
            ),
            (
                ldap::GROUP_OBJECTCLASS.path(),
                named(ldap::GROUP_OBJECTCLASS, "groupOfNames"),
                "group",
            ),
            (
                ldap::GROUP_SCHEMA_ID.path(),
                !group_guid && !v.is_set(ldap::GROUP_SCHEMA_ID),
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
        let attribute = self.values.get(ldap::USER_ENABLED_ATTRIBUTE);
        let filter = self.values.get(ldap::USER_FILTER).to_ascii_lowercase();
        let wants = |value: &str| {
            let wanted = format!("({}={value})", attribute.to_ascii_lowercase());
            filter.contains(&wanted)
        };
        if provision && !attribute.is_empty() && (wants("true") || wants("*")) {
            let place = self.values.place(ldap::USER_FILTER);
            self.notes.warn(format!(
                "{place}: wants {attribute}, which a new person's account does not have until somebody sets it, so nobody new gets in; write (!({attribute}=FALSE))"
            ));
        }
    }

    /// Holds filters, names of attributes and of entries against their grammar.
    fn ldap_syntax(&mut self) {
        let v = self.values;
        type Grammar = fn(&str) -> Result<(), String>;
        let kinds: [(&[Key<String>], Grammar); 3] = [
            (&FILTERS, ldap_syntax::filter),
            (&ATTRIBUTES, ldap_syntax::attribute),
            (&NAMES, ldap_syntax::dn),
        ];
        for (keys, grammar) in kinds {
            for &key in keys {
                let text = v.get(key);
                if let Err(error) = grammar(&text)
                    && !text.is_empty()
                {
                    self.wrong(key, error);
                }
            }
        }
        for item in v.get(accounts::AUTO_PROVISION_ATTRIBUTES) {
            if let Ok((attribute, _)) = scalar::claim_value(&item)
                && let Err(error) = ldap_syntax::attribute(&attribute)
            {
                self.wrong(accounts::AUTO_PROVISION_ATTRIBUTES, error);
            }
        }
    }

    fn ldap_uris(&mut self, insecure: bool, start_tls: bool) -> Vec<String> {
        let uris = self.values.get(ldap::URI);
        if uris.is_empty() {
            self.wrong(ldap::URI, "is empty; name the server, ldaps://host:636");
        }
        for uri in &uris {
            match url::Url::parse(uri) {
                Ok(url) if url.scheme() == "ldaps" && url.has_host() => {
                    if start_tls {
                        self.wrong(
                            ldap::START_TLS,
                            "is for ldap:// servers; take it out, ldaps:// has TLS already",
                        );
                    }
                }
                Ok(url) if url.scheme() == "ldap" && url.has_host() => {
                    if start_tls {
                        continue;
                    }
                    let place = self.values.place(ldap::URI);
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
                    ldap::URI,
                    format!("is {uri:?}; it has to be ldaps://host:port or ldap://host:port"),
                ),
            }
        }
        uris
    }

    fn ldap_cacert(&self) -> Option<std::path::PathBuf> {
        if self.values.is_set(ldap::CACERT) {
            return self.values.get(ldap::CACERT);
        }
        Some(self.boot.data_dir.join("idm/ldap.crt")).filter(|path| path.is_file())
    }

    fn disable_mechanism(&mut self) -> DisableMechanism {
        let mechanism = self.values.get(ldap::DISABLE_USER_MECHANISM);
        let (mechanism, key): (fn(String) -> _, _) = match mechanism.unwrap_or_default() {
            DisableMechanismName::None => return DisableMechanism::None,
            DisableMechanismName::Group => (DisableMechanism::Group, ldap::DISABLED_USERS_GROUP_DN),
            DisableMechanismName::Attribute => {
                (DisableMechanism::Attribute, ldap::USER_ENABLED_ATTRIBUTE)
            }
        };
        let value = self.values.get(key);
        if value.is_empty() {
            self.wrong(key, "is empty; ldap.disable_user_mechanism needs it");
        }
        mechanism(value)
    }
}

const REQUIRED: [Key<String>; 15] = [
    ldap::USER_BASE_DN,
    ldap::GROUP_BASE_DN,
    ldap::USER_OBJECTCLASS,
    ldap::GROUP_OBJECTCLASS,
    ldap::USER_SCHEMA_ID,
    ldap::USER_SCHEMA_USERNAME,
    ldap::USER_SCHEMA_MAIL,
    ldap::USER_SCHEMA_DISPLAYNAME,
    ldap::USER_SCHEMA_USER_TYPE,
    ldap::GROUP_SCHEMA_ID,
    ldap::GROUP_SCHEMA_GROUPNAME,
    ldap::GROUP_SCHEMA_MEMBER,
    ldap::EXTERNAL_IDENTITY_ATTRIBUTE,
    ldap::ROLE_ATTRIBUTE,
    ldap::GROUP_MANAGED_ATTRIBUTE,
];

const FILTERS: [Key<String>; 2] = [ldap::USER_FILTER, ldap::GROUP_FILTER];

const ATTRIBUTES: [Key<String>; 15] = [
    ldap::USER_OBJECTCLASS,
    ldap::GROUP_OBJECTCLASS,
    ldap::USER_SCHEMA_ID,
    ldap::USER_SCHEMA_USERNAME,
    ldap::USER_SCHEMA_MAIL,
    ldap::USER_SCHEMA_DISPLAYNAME,
    ldap::USER_SCHEMA_USER_TYPE,
    ldap::USER_SCHEMA_TENANT_ID,
    ldap::USER_ENABLED_ATTRIBUTE,
    ldap::GROUP_SCHEMA_ID,
    ldap::GROUP_SCHEMA_GROUPNAME,
    ldap::GROUP_SCHEMA_MEMBER,
    ldap::EXTERNAL_IDENTITY_ATTRIBUTE,
    ldap::ROLE_ATTRIBUTE,
    ldap::GROUP_MANAGED_ATTRIBUTE,
];

const NAMES: [Key<String>; 4] = [
    ldap::USER_BASE_DN,
    ldap::GROUP_BASE_DN,
    ldap::GROUP_CREATE_BASE_DN,
    ldap::DISABLED_USERS_GROUP_DN,
];
