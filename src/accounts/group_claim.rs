//! The groups a login claims, or why the claim changes nothing (docs/design/design.md 2, Groups; docs/design/hardening.md rows 104 and 105).

use std::collections::HashSet;

use serde_json::Value;

use super::WantedGroup;
use super::usernames::is_invisible;
use crate::config::accounts::{GroupsAbsent, ProvisionClaims};
use crate::model::{Claims, canonical_name};

/// More values than this and the claim is skipped: the login must not wait for thousands of group writes.
const MAX_GROUPS: usize = 500;
/// Longest group name in bytes.
const MAX_NAME_BYTES: usize = 255;

/// What a login says about groups.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum GroupClaim {
    /// Groups are not synchronised at all.
    Off,
    /// Memberships stay as they are, and why.
    Unusable(String),
    /// The account is to be in exactly these.
    Wanted {
        /// Without duplicates.
        groups: Vec<WantedGroup>,
        /// How many values were no usable name.
        ignored: usize,
    },
}

/// Reads the first groups claim that is there. An issuer that leaves one out because of its size has spoken too: what a
/// later claim says is not meant instead.
pub(crate) fn read(claims: &Claims, settings: &ProvisionClaims) -> GroupClaim {
    let Some(first) = settings.groups.first() else {
        return GroupClaim::Off;
    };
    let spoken = settings.groups.iter().find(|path| {
        claims.at(path).is_some_and(|value| !value.is_null()) || is_overage(claims, path.as_str())
    });
    let path = spoken.unwrap_or(first);
    if is_overage(claims, path.as_str()) {
        return GroupClaim::Unusable(format!(
            "claim `{path}` was left out by the issuer because of its size (overage); let it send only the groups that \
             are assigned to the application"
        ));
    }
    let values = match claims.at(path) {
        Some(Value::Array(values)) => values,
        None | Some(Value::Null) if settings.groups_absent == GroupsAbsent::None => {
            return GroupClaim::Wanted {
                groups: Vec::new(),
                ignored: 0,
            };
        }
        None | Some(Value::Null) => {
            return GroupClaim::Unusable(format!(
                "claim `{path}` is absent; where the issuer leaves it out for somebody in no group, as Keycloak does, \
                 PROXY_AUTOPROVISION_GROUPS_ABSENT=none reads that as an empty list"
            ));
        }
        Some(_) => return GroupClaim::Unusable(format!("claim `{path}` is not a list")),
    };
    if values.len() > MAX_GROUPS {
        return GroupClaim::Unusable(format!(
            "claim `{path}` has {} values, more than {MAX_GROUPS}",
            values.len()
        ));
    }
    let ids = settings.group_id.as_ref().and_then(|path| claims.at(path));
    let mut seen = HashSet::new();
    let mut groups = Vec::new();
    let mut ignored = 0;
    for (position, value) in values.iter().enumerate() {
        let Some(name) = value.as_str().filter(|name| is_usable(name)) else {
            ignored += 1;
            continue;
        };
        if seen.insert(group_key(name)) {
            groups.push(WantedGroup {
                name: name.to_owned(),
                external_id: ids.and_then(|ids| external_id(ids, position, name)),
            });
        }
    }
    if groups.is_empty() && ignored > 0 {
        return GroupClaim::Unusable(format!(
            "none of the {ignored} values of claim `{path}` is a usable name"
        ));
    }
    GroupClaim::Wanted { groups, ignored }
}

/// The form in which two group names are the same group: directories ignore case, outer blanks and repeated blanks.
pub(super) fn group_key(name: &str) -> String {
    canonical_name(name)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// Entra sends `_claim_names` (or `hasgroups`) instead of too many groups.
fn is_overage(claims: &Claims, name: &str) -> bool {
    let named = claims
        .0
        .get("_claim_names")
        .and_then(Value::as_object)
        .is_some_and(|names| names.contains_key(name));
    let has = claims.0.get("hasgroups").is_some_and(|flag| match flag {
        Value::Bool(flag) => *flag,
        Value::String(flag) => flag == "true",
        _ => false,
    });
    named || (has && name == "groups")
}

fn is_usable(name: &str) -> bool {
    !name.trim().is_empty() && name.len() <= MAX_NAME_BYTES && !name.chars().any(is_invisible)
}

/// The id at the same position of a parallel list, or under the group's name in an object, or in an object of a list that
/// names the group.
fn external_id(ids: &Value, position: usize, name: &str) -> Option<String> {
    let id = match ids {
        Value::Object(by_name) => by_name.get(name)?.as_str()?,
        Value::Array(list) if list.iter().any(Value::is_object) => list
            .iter()
            .filter_map(Value::as_object)
            .find(|group| {
                ["name", "displayName"]
                    .iter()
                    .any(|key| group.get(*key).and_then(Value::as_str) == Some(name))
            })?
            .get("id")?
            .as_str()?,
        Value::Array(list) => list.get(position)?.as_str()?,
        _ => return None,
    };
    is_usable(id).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn settings(group_id: Option<&str>) -> ProvisionClaims {
        ProvisionClaims {
            username: vec![],
            email: vec![],
            display_name: vec![],
            groups: vec!["groups".into()],
            group_id: group_id.map(Into::into),
            groups_absent: GroupsAbsent::Keep,
        }
    }

    fn read_value(claims: Value) -> GroupClaim {
        read(
            &Claims(claims.as_object().unwrap().clone()),
            &settings(Some("group_ids")),
        )
    }

    fn names(claim: GroupClaim) -> Vec<String> {
        match claim {
            GroupClaim::Wanted { groups, .. } => groups.into_iter().map(|g| g.name).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn row_104_absent_null_and_wrong_types_change_nothing() {
        for claims in [
            json!({}),
            json!({"groups": null}),
            json!({"groups": "admins"}),
            json!({"groups": {"a": 1}}),
            json!({"groups": 7}),
            json!({"_claim_names": {"groups": "src1"}, "groups": []}),
            json!({"hasgroups": true, "groups": []}),
        ] {
            assert!(
                matches!(read_value(claims.clone()), GroupClaim::Unusable(_)),
                "{claims}"
            );
        }
    }

    #[test]
    fn row_104_an_empty_list_is_a_wish_and_non_strings_are_skipped() {
        assert!(names(read_value(json!({"groups": []}))).is_empty());
        assert_eq!(
            names(read_value(json!({"groups": [1, "", "a", null]}))),
            ["a"]
        );
    }

    #[test]
    fn row_105_duplicates_are_one_group_and_more_than_500_are_skipped() {
        assert_eq!(names(read_value(json!({"groups": vec!["a"; 500]}))), ["a"]);
        assert_eq!(
            names(read_value(
                json!({"groups": ["Admins", "admins", " ADMINS ", "a  b", "a b"]})
            )),
            ["Admins", "a  b"]
        );
        let many: Vec<String> = (0..501).map(|n| n.to_string()).collect();
        assert!(matches!(
            read_value(json!({"groups": many})),
            GroupClaim::Unusable(_)
        ));
    }

    #[test]
    fn issue_15_15_a_list_without_one_usable_name_changes_nothing() {
        for list in [
            json!([1, {}]),
            json!([{"id": 1}]),
            json!([null]),
            json!([""]),
            json!(["  ", "\u{202e}"]),
            json!([["a"]]),
            json!(["x".repeat(65_536)]),
        ] {
            let claim = read_value(json!({ "groups": list }));
            assert!(
                matches!(claim, GroupClaim::Unusable(_)),
                "{list}: {claim:?}"
            );
        }
    }

    #[test]
    fn issue_14_4_an_absent_claim_is_an_empty_list_only_where_that_is_said() {
        let none = ProvisionClaims {
            groups_absent: GroupsAbsent::None,
            ..settings(None)
        };
        let read = |claims: Value, settings: &ProvisionClaims| {
            read(&Claims(claims.as_object().unwrap().clone()), settings)
        };
        for absent in [json!({}), json!({"groups": null}), json!({"other": ["a"]})] {
            assert!(names(read(absent.clone(), &none)).is_empty());
            let GroupClaim::Unusable(why) = read(absent, &settings(None)) else {
                panic!("applied")
            };
            assert!(
                why.contains("PROXY_AUTOPROVISION_GROUPS_ABSENT=none"),
                "{why}"
            );
        }
        for unusable in [
            json!({"groups": "a"}),
            json!({"groups": [7]}),
            json!({"_claim_names": {"groups": "src1"}}),
            json!({"hasgroups": "true"}),
        ] {
            let claim = read(unusable.clone(), &none);
            assert!(matches!(claim, GroupClaim::Unusable(_)), "{unusable}");
        }
        assert_eq!(names(read(json!({"groups": ["a"]}), &none)), ["a"]);
    }

    #[test]
    fn ids_come_parallel_or_as_objects() {
        for ids in [
            json!(["1", "2"]),
            json!({"a": "1", "b": "2"}),
            json!([{"name": "b", "id": "2"}, {"name": "a", "id": "1"}]),
        ] {
            let GroupClaim::Wanted { groups, .. } =
                read_value(json!({"groups": ["a", "b"], "group_ids": ids}))
            else {
                panic!()
            };
            assert_eq!(groups[0].external_id.as_deref(), Some("1"));
            assert_eq!(groups[1].external_id.as_deref(), Some("2"));
        }
    }

    #[test]
    fn the_first_claim_that_is_there_counts() {
        let settings = ProvisionClaims {
            groups: vec!["groups".into(), "realm_access.roles".into()],
            ..settings(None)
        };
        let read = |claims: Value| read(&Claims(claims.as_object().unwrap().clone()), &settings);
        let other = json!({"roles": ["b"]});
        let both = json!({"groups": ["a"], "realm_access": other.clone()});
        assert_eq!(names(read(both)), ["a"]);
        let second = json!({"groups": null, "realm_access": other.clone()});
        assert_eq!(names(read(second)), ["b"]);
        let emptied = json!({"groups": [], "realm_access": other.clone()});
        assert!(names(read(emptied)).is_empty(), "an empty list is a wish");
        for claims in [
            json!({}),
            json!({"groups": "a", "realm_access": other.clone()}),
            json!({"_claim_names": {"groups": "src1"}, "realm_access": other.clone()}),
        ] {
            let unusable = matches!(read(claims.clone()), GroupClaim::Unusable(_));
            assert!(unusable, "{claims}");
        }
    }

    #[test]
    fn without_a_setting_groups_are_left_alone() {
        let off = ProvisionClaims {
            groups: vec![],
            ..settings(None)
        };
        assert_eq!(read(&Claims::default(), &off), GroupClaim::Off);
    }

    proptest! {
        #[test]
        fn wanted_names_are_unique_and_visible(list in proptest::collection::vec(any::<String>(), 0..40)) {
            let GroupClaim::Wanted { groups, .. } = read_value(json!({"groups": list})) else {
                return Ok(());
            };
            let wanted: Vec<String> = groups.into_iter().map(|group| group.name).collect();
            let keys: HashSet<_> = wanted.iter().map(|name| group_key(name)).collect();
            prop_assert_eq!(keys.len(), wanted.len());
            prop_assert!(wanted.iter().all(|name| !name.chars().any(char::is_control)));
        }
    }
}
