//! What only LDAP has: how accounts are disabled, who makes ids, filters, read-only servers.

use davgate::door::accounts::ldap::LdapDirectory;
use davgate::door::accounts::{
    AccountChange, AccountKey, Created, DirectoryError, NewAccount, Provisioner, UserDirectory,
};
use davgate::door::config::accounts::{DisableMechanism, Ldap};
use davgate::door::model::Account;

use super::faults::{directory, display_name, made, mara, new_account, wanted};
use crate::support::slapd::{self, BASE, GROUPS, Slapd, USERS};

#[tokio::test]
async fn members_of_the_disabled_users_group_are_disabled_and_claims_never_touch_it() {
    let server = Slapd::start().await;
    // The group may lie outside of the group base.
    for group in [
        format!("cn=DisabledUsersGroup,{GROUPS}"),
        format!("cn=disabled,{BASE}"),
    ] {
        let name = group.split([',', '=']).nth(1).unwrap().to_owned();
        let attributes: &[(&str, &[&str])] = &[
            ("objectClass", &["groupOfNames", "top", "openCloudObject"]),
            ("cn", &[&name]),
            ("member", &["", &format!("uid=out{name},{USERS}")]),
            ("openCloudUUID", &["d227cf8e-986e-4a05-8860-af193056278a"]),
        ];
        server.add(&group, attributes).await;
        let directory = directory(Ldap {
            disable: DisableMechanism::Group(group.replace("cn=", "CN = ")),
            ..slapd::settings(&server.uri())
        });
        let inside = made(&directory, &format!("in{name}")).await;
        let outside = made(&directory, &format!("out{name}")).await;
        let key = |account: &Account| AccountKey::UserId(account.id.clone());
        assert!(
            directory
                .find(&key(&inside))
                .await
                .unwrap()
                .unwrap()
                .enabled
        );
        let shut_out = directory.find(&key(&outside)).await.unwrap().unwrap();
        assert!(!shut_out.enabled && shut_out.groups.is_empty());
        let sync = wanted(&["DISABLEDusersgroup"]);
        let report = directory.sync_groups(&inside, &sync).await.unwrap();
        if name == "DisabledUsersGroup" {
            assert_eq!(report.unmanaged.len(), 1);
            assert!(
                directory
                    .find(&key(&inside))
                    .await
                    .unwrap()
                    .unwrap()
                    .enabled
            );
        }
    }
}

#[tokio::test]
async fn the_tenant_is_what_its_attribute_says() {
    let server = Slapd::start().await;
    let directory = directory(Ldap {
        user_tenant: Some("departmentNumber".to_owned()),
        ..slapd::settings(&server.uri())
    });
    let new = NewAccount {
        attributes: vec![("departmentNumber".to_owned(), "t-7".to_owned())],
        ..new_account("mara")
    };
    let Created::New(created) = directory.create(&new).await.unwrap() else {
        panic!("mara is there already")
    };
    assert_eq!(created.tenant.as_deref(), Some("t-7"));
    let found = directory.find(&mara()).await.unwrap().unwrap();
    assert_eq!(found.tenant.as_deref(), Some("t-7"));
    let alan = made(&directory, "alan").await;
    assert_eq!(alan.tenant, None);
}

#[tokio::test]
async fn without_a_mechanism_nobody_is_disabled() {
    let server = Slapd::start().await;
    let directory = directory(Ldap {
        disable: DisableMechanism::None,
        ..slapd::settings(&server.uri())
    });
    made(&directory, "mara").await;
    let dn = format!("uid=mara,{USERS}");
    server
        .replace(&dn, "openCloudUserEnabled", &["FALSE"])
        .await;
    assert!(directory.find(&mara()).await.unwrap().unwrap().enabled);
}

#[tokio::test]
async fn ids_may_be_made_by_the_server() {
    let server = Slapd::start().await;
    let directory = directory(Ldap {
        server_uuid: true,
        user_id: "entryUUID".to_owned(),
        group_id: "entryUUID".to_owned(),
        ..slapd::settings(&server.uri())
    });
    let account = made(&directory, "mara").await;
    directory
        .sync_groups(&account, &wanted(&["crew"]))
        .await
        .unwrap();
    let key = AccountKey::UserId(account.id);
    let found = directory.find(&key).await.unwrap().unwrap();
    assert_eq!(found.groups.len(), 1);
    assert_eq!(
        server.entries(GROUPS).await[0].attrs["entryUUID"][0],
        found.groups[0].id
    );
}

#[tokio::test]
async fn filter_and_class_narrow_who_is_found() {
    let server = Slapd::start().await;
    let all = directory(slapd::settings(&server.uri()));
    let account = made(&all, "mara").await;
    all.update(&account, &display_name("Visitor"))
        .await
        .unwrap();
    let narrow = directory(Ldap {
        user_filter: "(!(displayName=Visitor))".to_owned(),
        ..slapd::settings(&server.uri())
    });
    assert_eq!(narrow.find(&mara()).await.unwrap(), None);
    for broken in ["displayName=x", "(displayName=x", "((", "(a=b)(c=d)"] {
        let settings = Ldap {
            user_filter: broken.to_owned(),
            ..slapd::settings(&server.uri())
        };
        assert!(LdapDirectory::new(settings).is_err(), "{broken}");
    }
}

#[tokio::test]
async fn a_plain_person_is_claimed_with_the_auxiliary_class() {
    let server = Slapd::start().await;
    let directory = directory(Ldap {
        user_id: "employeeNumber".to_owned(),
        ..slapd::settings(&server.uri())
    });
    let attributes: &[(&str, &[&str])] = &[
        ("objectClass", &["inetOrgPerson"]),
        ("uid", &["mara"]),
        ("cn", &["mara"]),
        ("sn", &["mara"]),
        ("mail", &["first@x.test", "second@x.test"]),
        ("employeeNumber", &["17"]),
    ];
    server.add(&format!("uid=mara,{USERS}"), attributes).await;
    let account = directory.find(&mara()).await.unwrap().unwrap();
    let change = AccountChange {
        identity: new_account("mara").identity,
        mail: Some("new@x.test".to_owned()),
        ..AccountChange::default()
    };
    directory.update(&account, &change).await.unwrap();
    let entry = &server.entries(USERS).await[0];
    assert!(entry.attrs["objectClass"].contains(&"openCloudUser".to_owned()));
    assert_eq!(
        entry.attrs["mail"].len(),
        2,
        "a second address is not ours to remove"
    );
    assert!(entry.attrs["mail"].contains(&"new@x.test".to_owned()));
}

#[tokio::test]
async fn a_read_only_directory_is_never_written() {
    let server = Slapd::start().await;
    let directory = directory(Ldap {
        write_enabled: false,
        ..slapd::settings(&server.uri())
    });
    let outcome = directory.create(&new_account("mara")).await;
    assert!(
        matches!(outcome, Err(DirectoryError::Refused(_))),
        "{outcome:?}"
    );
    assert!(server.entries(USERS).await.is_empty());
}
