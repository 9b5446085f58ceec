//! From an LDAP entry to an account: attribute values, ids, external identities (docs/design/contract.md 7.2).

use std::collections::HashMap;

use ldap3::SearchEntry;
use uuid::Uuid;

use super::DirectoryError;
use crate::config::accounts::{DisableMechanism, Ldap};
use crate::model::{Account, ExternalIdentity, Group, Reason, Role, StoredRole, UserType};

/// An entry with its values as bytes, attribute names in lower case.
#[derive(Debug, Clone, Default)]
pub(super) struct Entry {
    /// Its distinguished name as the server spells it.
    pub(super) dn: String,
    values: HashMap<String, Vec<Vec<u8>>>,
}

impl From<SearchEntry> for Entry {
    fn from(found: SearchEntry) -> Self {
        let texts = found.attrs.into_iter().map(|(name, values)| {
            let values = values.into_iter().map(String::into_bytes).collect();
            (name.to_lowercase(), values)
        });
        let binaries = found
            .bin_attrs
            .into_iter()
            .map(|(name, values)| (name.to_lowercase(), values));
        Self {
            dn: found.dn,
            values: texts.chain(binaries).collect(),
        }
    }
}

impl Entry {
    /// The values that are text.
    pub(super) fn texts(&self, attribute: &str) -> Vec<&str> {
        self.bytes(attribute)
            .iter()
            .filter_map(|value| std::str::from_utf8(value).ok())
            .collect()
    }

    /// The first text that is not empty.
    pub(super) fn text(&self, attribute: &str) -> Option<&str> {
        self.texts(attribute)
            .into_iter()
            .find(|text| !text.is_empty())
    }

    fn bytes(&self, attribute: &str) -> &[Vec<u8>] {
        self.values
            .get(&attribute.to_lowercase())
            .map_or(&[], Vec::as_slice)
    }

    /// The identities this entry belongs to.
    pub(super) fn identities(&self, attribute: &str) -> Vec<ExternalIdentity> {
        self.texts(attribute)
            .into_iter()
            .filter_map(parse_identity)
            .collect()
    }

    /// An identity as the server spells it.
    pub(super) fn identity_value(
        &self,
        attribute: &str,
        identity: &ExternalIdentity,
    ) -> Option<&str> {
        let mut values = self.texts(attribute).into_iter();
        values.find(|value| parse_identity(value).as_ref() == Some(identity))
    }

    /// The role kept with the entry. Several values, or one that is no role name, are somebody else's data.
    pub(super) fn role(&self, attribute: &str) -> Option<StoredRole> {
        match self.bytes(attribute) {
            [] => None,
            [value] if value.is_empty() => None,
            values => {
                let texts: Vec<_> = values.iter().map(|v| String::from_utf8_lossy(v)).collect();
                let role = match texts.as_slice() {
                    [text] => Role::from_name(text),
                    _ => None,
                };
                Some(role.map_or_else(|| StoredRole::Foreign(texts.join(", ")), StoredRole::Known))
            }
        }
    }

    /// The account without its groups.
    ///
    /// # Errors
    /// [`DirectoryError::Misconfigured`] if the id or the user name is missing.
    pub(super) fn account(&self, settings: &Ldap) -> Result<Account, DirectoryError> {
        let missing = |what: &str, setting: &str| DirectoryError::Misconfigured {
            reason: Reason::DirectorySchema,
            detail: format!("the entry `{}` has no `{what}`; {setting}", self.dn),
        };
        let id = self
            .id(&settings.user_id, settings.id_is_octet_string)
            .ok_or_else(|| {
                missing(
                    &settings.user_id,
                    "name the attribute that has the id in OC_LDAP_USER_SCHEMA_ID (Active Directory: objectGUID, with \
                     OC_LDAP_USER_SCHEMA_ID_IS_OCTETSTRING=true), or give the entry one",
                )
            })?;
        let username = self
            .text(&settings.username)
            .ok_or_else(|| {
                missing(
                    &settings.username,
                    "name the attribute that has the user name in OC_LDAP_USER_SCHEMA_USERNAME (Active Directory: sAMAccountName)",
                )
            })?;
        let names = self.texts(&settings.username).into_iter();
        let aliases = names.filter(|name| !name.is_empty() && *name != username);
        let aliases: Vec<String> = aliases.map(str::to_owned).collect();
        let is_guest = self
            .text(&settings.user_type)
            .is_some_and(|kind| kind.eq_ignore_ascii_case("Guest"));
        let enabled = match &settings.disable {
            DisableMechanism::Attribute(attribute) => !self
                .text(attribute)
                .is_some_and(|flag| flag.eq_ignore_ascii_case("FALSE")),
            DisableMechanism::None | DisableMechanism::Group(_) => true,
        };
        Ok(Account {
            id,
            username: username.to_owned(),
            aliases,
            display_name: self
                .text(&settings.display_name)
                .unwrap_or(username)
                .to_owned(),
            mail: self.text(&settings.mail).map(str::to_owned),
            user_type: if is_guest {
                UserType::Guest
            } else {
                UserType::Member
            },
            enabled,
            groups: Vec::new(),
            role: self.role(&settings.role),
            identities: self.identities(&settings.external_identity),
            tenant: settings
                .user_tenant
                .as_ref()
                .and_then(|attribute| self.text(attribute))
                .map(str::to_owned),
            uid_number: self.text("uidNumber").and_then(|n| n.parse().ok()),
            gid_number: self.text("gidNumber").and_then(|n| n.parse().ok()),
        })
    }

    /// The entry as a group; `None` without an id, which backends could not name.
    pub(super) fn group(&self, settings: &Ldap) -> Option<Group> {
        Some(Group {
            id: self.id(&settings.group_id, settings.id_is_octet_string)?,
            name: self.text(&settings.group_name)?.to_owned(),
        })
    }

    fn id(&self, attribute: &str, octet_string: bool) -> Option<String> {
        if !octet_string {
            return self.text(attribute).map(str::to_owned);
        }
        let Ok(bytes) = <[u8; 16]>::try_from(self.bytes(attribute).first()?.as_slice()) else {
            // One of users and groups may have textual ids all the same.
            return self.text(attribute).map(str::to_owned);
        };
        let id = if is_mixed_endian(attribute) {
            Uuid::from_bytes_le(bytes)
        } else {
            Uuid::from_bytes(bytes)
        };
        Some(id.to_string())
    }
}

/// The id as the directory stores it; `None` if it cannot be one.
pub(super) fn id_bytes(id: &str, attribute: &str, octet_string: bool) -> Option<Vec<u8>> {
    if !octet_string {
        return Some(id.as_bytes().to_vec());
    }
    let id = Uuid::try_parse(id).ok()?;
    Some(if is_mixed_endian(attribute) {
        id.to_bytes_le().to_vec()
    } else {
        id.as_bytes().to_vec()
    })
}

/// Active Directory stores the first three fields of `objectGUID` little-endian.
fn is_mixed_endian(attribute: &str) -> bool {
    attribute.eq_ignore_ascii_case("objectGUID")
}

/// An identity as its attribute has it: sign-in type (empty), issuer and subject separated by ` $ `.
pub(super) fn format_identity(identity: &ExternalIdentity) -> String {
    format!(" $ {} $ {}", identity.issuer, identity.subject)
}

/// The reverse. A subject never has `$`, an issuer may. Servers may drop the leading blank.
fn parse_identity(value: &str) -> Option<ExternalIdentity> {
    let (_, rest) = value.split_once("$ ")?;
    let (issuer, subject) = rest.rsplit_once(" $ ")?;
    Some(ExternalIdentity {
        issuer: issuer.to_owned(),
        subject: subject.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_active_directory_guid_is_written_mixed_endian() {
        let id = "d227cf8e-986e-4a05-8860-af193056278a";
        let bytes = id_bytes(id, "ObjectGuid", true).unwrap();
        assert_eq!(bytes[..4], [0x8e, 0xcf, 0x27, 0xd2]);
        let entry = Entry {
            dn: String::new(),
            values: HashMap::from([("objectguid".to_owned(), vec![bytes])]),
        };
        assert_eq!(entry.id("objectGUID", true).as_deref(), Some(id));
        assert_eq!(id_bytes(id, "entryUUID", true).unwrap()[..2], [0xd2, 0x27]);
        assert_eq!(id_bytes("no-uuid", "objectGUID", true), None);
    }

    #[test]
    fn a_role_is_one_known_name_or_foreign() {
        let role = |values: &[&str]| {
            let values = values.iter().map(|v| v.as_bytes().to_vec()).collect();
            let values = HashMap::from([("employeetype".to_owned(), values)]);
            let dn = String::new();
            Entry { dn, values }.role("employeeType")
        };
        assert_eq!(role(&[]), None);
        assert_eq!(role(&["admin"]), Some(StoredRole::Known(Role::Admin)));
        assert!(matches!(
            role(&["Contractor"]),
            Some(StoredRole::Foreign(_))
        ));
        assert!(matches!(
            role(&["admin", "user"]),
            Some(StoredRole::Foreign(_))
        ));
    }

    proptest! {
        #[test]
        fn an_identity_survives_the_attribute(issuer in "https://[a-z$/ .]{1,30}[a-z/]", subject in "[^$\\p{Cc}]{1,60}") {
            let identity = ExternalIdentity { issuer, subject };
            let written = format_identity(&identity);
            prop_assert_eq!(parse_identity(&written), Some(identity.clone()));
            prop_assert_eq!(parse_identity(written.trim_start()), Some(identity));
        }

        #[test]
        fn any_value_is_an_identity_or_none(value in any::<String>()) {
            parse_identity(&value);
        }
    }
}
