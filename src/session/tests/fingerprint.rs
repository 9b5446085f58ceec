//! What a refresh compares.

use super::accounts::mara;
use crate::model::{Account, ExternalIdentity, Role, StoredRole, UserType};
use crate::session::live::LiveAccounts;

type Change = (&'static str, fn(&mut Account));

/// One change of each field, which a refresh has to see.
fn changes() -> Vec<Change> {
    // Without `..`, so that a field that comes later is one to think of here.
    let Account {
        id: _,
        username: _,
        aliases: _,
        display_name: _,
        mail: _,
        user_type: _,
        enabled: _,
        groups: _,
        role: _,
        identities: _,
        tenant: _,
        uid_number: _,
        gid_number: _,
    } = mara();
    vec![
        ("id", |account| account.id = "another".into()),
        ("username", |account| account.username = "maria".into()),
        ("aliases", |account| account.aliases.push("m.l".into())),
        ("display name", |account| account.display_name.push('.')),
        ("mail", |account| account.mail = None),
        ("user type", |account| account.user_type = UserType::Guest),
        ("enabled", |account| account.enabled = false),
        ("a group less", |account| {
            account.groups.pop();
        }),
        ("a group's name", |account| {
            account.groups[4].name = "Department 9".into();
        }),
        ("role", |account| {
            account.role = Some(StoredRole::Known(Role::Admin));
        }),
        ("identities", |account| {
            account.identities.push(ExternalIdentity {
                issuer: "https://idp.test".into(),
                subject: "mara".into(),
            });
        }),
        ("tenant", |account| account.tenant = Some("harbor".into())),
        ("uid", |account| account.uid_number = Some(0)),
        ("gid", |account| account.gid_number = Some(0)),
    ]
}

#[test]
fn a_refresh_compares_every_field_of_an_account_and_its_role() {
    let accounts = LiveAccounts::default();
    let of = |account: &Account, role| accounts.states.fingerprint(account, role);
    let mut seen = vec![of(&mara(), None), of(&mara(), Some(Role::User))];
    for (what, change) in changes() {
        let mut account = mara();
        change(&mut account);
        let fingerprint = of(&account, None);
        assert!(!seen.contains(&fingerprint), "{what}");
        assert_eq!(of(&account, None), fingerprint, "{what}");
        seen.push(fingerprint);
    }
}

#[test]
fn nobody_outside_can_tell_the_fingerprint_of_an_account() {
    let of = || LiveAccounts::default().states.fingerprint(&mara(), None);
    assert_ne!(of(), of());
}
