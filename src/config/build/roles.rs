//! Role assignment: driver, claim, ordered mapping as YAML or as text.

use serde_yaml::Value;

use super::Build;
use crate::config::Flavor;
use crate::config::accounts::{RoleAssignment, RoleMapping};
use crate::config::given::Given;
use crate::config::key::{Key, Tree};
use crate::config::notes::Place;
use crate::config::scalar::scalar_text;
use crate::config::table::accounts;
use crate::config::words::RoleDriver;
use crate::model::Role;

const MAPPING: Key<Tree> = accounts::ROLE_ASSIGNMENT_OIDC_ROLE_MAPPER_ROLE_MAPPING;

impl Build<'_> {
    pub(super) fn role_assignment(&mut self) -> RoleAssignment {
        let by_claim = self.values.get(accounts::ROLE_ASSIGNMENT_DRIVER) == Some(RoleDriver::Oidc);
        // A mapping that was given is read with either driver, so that a wrong name is not found out at the switch.
        if !by_claim && !self.values.is_set(MAPPING) {
            return RoleAssignment::Default;
        }
        let mapping = self.mapping();
        if !by_claim {
            return RoleAssignment::Default;
        }
        let claim = self.claim(accounts::ROLE_ASSIGNMENT_OIDC_ROLE_MAPPER_ROLE_CLAIM);
        RoleAssignment::Oidc { claim, mapping }
    }

    fn mapping(&mut self) -> Vec<RoleMapping> {
        let pairs = self.mapping_pairs().unwrap_or_else(|error| {
            self.wrong(MAPPING, error);
            Vec::new()
        });
        let mut mapping = Vec::new();
        for (place, name, value) in pairs {
            let found = self.role(&name, &|build, text| {
                build.notes.mistake(place.clone(), text)
            });
            let Some(role) = found else { continue };
            // Only oCIS 8 reads values as expressions, and one that is invalid matches by equality there.
            let pattern = (self.boot.flavor == Flavor::Ocis)
                .then(|| regex::Regex::new(&format!("^(?:{value})$")).ok())
                .flatten()
                .filter(|_| {
                    regex::escape(&value) != value
                        && self.boot.compat == crate::config::Compat::Ocis8
                });
            mapping.push(RoleMapping {
                role,
                value,
                pattern,
            });
        }
        mapping
    }

    /// The role of a name; `guest` is read as `user-light`.
    pub(super) fn role(&mut self, name: &str, wrong: &dyn Fn(&mut Self, String)) -> Option<Role> {
        if name == "guest" {
            self.notes
                .warn("the role guest is called user-light; it is read as that");
            return Some(Role::UserLight);
        }
        let role = Role::from_name(name);
        if role.is_none() {
            let names = Role::ALL.map(Role::name).join(", ");
            wrong(self, format!("has the role {name:?}; roles are {names}"));
        }
        role
    }

    /// Place, role name and claim value of each entry, in order; at least one.
    fn mapping_pairs(&self) -> Result<Vec<(Place, String, String)>, String> {
        const FORM: &str =
            "has to be a list of {role_name, claim_value}, or text admin=valueA;user=valueB";
        let given = self
            .values
            .entry(MAPPING)
            .map(|entry| &entry.given)
            .ok_or(FORM)?;
        let pairs = match given {
            Given::Text(text) => parse_mapping_text(text)?,
            Given::Tree(Value::Sequence(items)) => items
                .iter()
                .enumerate()
                .map(|(index, item)| mapping_entry(index, item))
                .collect::<Result<_, _>>()?,
            Given::Tree(_) | Given::List(_) => return Err(FORM.to_owned()),
        };
        if pairs.is_empty() {
            return Err("is empty, so that nobody could enter; map at least one role".to_owned());
        }
        let place = self.values.place(MAPPING);
        Ok(pairs
            .into_iter()
            .map(|(name, value)| (place.clone(), name, value))
            .collect())
    }
}

fn mapping_entry(index: usize, item: &Value) -> Result<(String, String), String> {
    let field = |name: &str| {
        item.get(name)
            .and_then(scalar_text)
            .filter(|text| !text.is_empty())
    };
    field("role_name")
        .zip(field("claim_value"))
        .ok_or_else(|| format!("entry {} has to have role_name and claim_value", index + 1))
}

/// `admin=valueA;user=valueB`; a value may have `=`, not `;`.
pub(crate) fn parse_mapping_text(text: &str) -> Result<Vec<(String, String)>, String> {
    text.split(';')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(|item| {
            item.split_once('=')
                .map(|(role, value)| (role.trim().to_owned(), value.trim().to_owned()))
                .filter(|(role, value)| !role.is_empty() && !value.is_empty())
                .ok_or_else(|| {
                    format!("has {item:?}; each item has to be role=value, separated by ;")
                })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::parse_mapping_text;

    #[test]
    fn order_and_equal_signs_are_kept() {
        let pairs = parse_mapping_text(" admin = a=b ;user=cn=x,ou=y; ").unwrap();
        assert_eq!(pairs[0], ("admin".to_owned(), "a=b".to_owned()));
        assert_eq!(pairs[1], ("user".to_owned(), "cn=x,ou=y".to_owned()));
        assert!(parse_mapping_text("admin").is_err());
        assert!(parse_mapping_text("=x").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in r"[a-z=; é]{0,40}") {
            let _ = parse_mapping_text(&text);
        }

        #[test]
        fn what_is_written_is_read_back(pairs in prop::collection::vec(("[a-z]{1,8}", "[A-Za-z0-9/:]{1,8}"), 1..5)) {
            let pairs: Vec<(String, String)> = pairs;
            let text = pairs.iter().map(|(r, v)| format!("{r}={v}")).collect::<Vec<_>>().join(";");
            prop_assert_eq!(parse_mapping_text(&text).unwrap(), pairs);
        }
    }
}
