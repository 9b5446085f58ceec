use std::collections::BTreeSet;
use std::fmt::Debug;
use std::str::FromStr;

use strum::VariantNames;

use crate::config::key::{Key, Word};
use crate::config::setting::Preset;
use crate::config::table::{accounts, deployment, ldap, listener, oidc, stores};

/// Every word of the setting is a variant of its own, and the one of the table's default is the enum's.
fn agrees<T: FromStr + VariantNames + Default + Debug>(key: Key<Word<T>>) {
    reads_all_words(key);
    let preset = match key.setting.preset {
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

fn reads_all_words<T: FromStr + VariantNames + Debug>(key: Key<Word<T>>) {
    let variants: BTreeSet<String> = T::VARIANTS
        .iter()
        .map(|word| match word.parse::<T>() {
            Ok(variant) => format!("{variant:?}"),
            Err(_) => panic!("{key}: {word} cannot be read"),
        })
        .collect();
    assert_eq!(variants.len(), T::VARIANTS.len(), "{key}");
}

#[test]
fn the_words_of_a_setting_and_their_default_are_those_of_its_enum() {
    agrees(accounts::USERNAME_MATCH);
    agrees(accounts::ROLE_SYNC);
    agrees(accounts::AUTO_PROVISION_GROUPS_ABSENT);
    agrees(accounts::ROLE_ASSIGNMENT_DRIVER);
    agrees(accounts::USER_CS3_CLAIM);
    agrees(deployment::CREATE_HOME);
    agrees(deployment::GRPC_CLIENT_TLS_MODE);
    reads_all_words(deployment::REVA_TLS_MODE);
    agrees(oidc::ACCESS_TOKEN_VERIFY_METHOD);
    agrees(oidc::CLAIMS_MERGE);
    agrees(oidc::WEBFINGER_MODE);
    agrees(ldap::USER_SCOPE);
    agrees(ldap::GROUP_SCOPE);
    agrees(ldap::DISABLE_USER_MECHANISM);
    agrees(stores::OIDC_USER_INFO_CACHE_STORE);
    reads_all_words(accounts::ACCOUNT_BACKEND);
    reads_all_words(accounts::ACCOUNT_CLAIM_BY_NAME);
    reads_all_words(accounts::AUTO_PROVISION_BACKEND);
    reads_all_words(accounts::ROLE_STORE);
    reads_all_words(listener::LOG_LEVEL);
    reads_all_words(stores::PRE_SIGNED_URL_SIGNING_KEYS_STORE);
}
