use std::collections::BTreeSet;
use std::fmt::Debug;
use std::str::FromStr;

use strum::VariantNames;

use crate::config::accounts::{GroupsAbsent, LdapScope, RoleSync, UsernameMatch};
use crate::config::deployment::CreateHome;
use crate::config::oidc::{ClaimByName, ClaimsMerge, UserLookup, VerifyMethod};
use crate::config::setting::{Kind, Preset};
use crate::config::table;

/// Every word of the setting is a variant of its own, and the one of the table's default is the enum's.
fn agrees<T: FromStr + VariantNames + Default + Debug>(key: &str) {
    let setting = table::setting(key).unwrap();
    reads_all_words::<T>(key);
    let preset = match setting.preset {
        Preset::Text(word) => word.parse::<T>().ok(),
        Preset::Empty => Some(T::default()),
        _ => None,
    };
    let preset = preset.unwrap_or_else(|| panic!("{key}: the default is no word"));
    assert_eq!(
        format!("{preset:?}"),
        format!("{:?}", T::default()),
        "{key}"
    );
}

fn reads_all_words<T: FromStr + VariantNames + Debug>(key: &str) {
    let Kind::Word(words) = table::setting(key).unwrap().kind else {
        panic!("{key} has no words");
    };
    assert_eq!(words, T::VARIANTS, "{key}");
    let variants: BTreeSet<String> = words
        .iter()
        .map(|word| match word.parse::<T>() {
            Ok(variant) => format!("{variant:?}"),
            Err(_) => panic!("{key}: {word} cannot be read"),
        })
        .collect();
    assert_eq!(variants.len(), words.len(), "{key}");
}

#[test]
fn the_words_of_a_setting_and_their_default_are_those_of_its_enum() {
    agrees::<UsernameMatch>("username_match");
    agrees::<RoleSync>("role_sync");
    agrees::<GroupsAbsent>("auto_provision_groups_absent");
    agrees::<CreateHome>("create_home");
    agrees::<VerifyMethod>("oidc.access_token_verify_method");
    agrees::<ClaimsMerge>("oidc.claims_merge");
    agrees::<UserLookup>("user_cs3_claim");
    agrees::<LdapScope>("ldap.user_scope");
    agrees::<LdapScope>("ldap.group_scope");
    reads_all_words::<ClaimByName>("account_claim_by_name");
}
