//! LDAP on its bad days: hardening.md F9 to F14, and the settings only LDAP has.

use std::time::{Duration, Instant};

use davgate::accounts::ldap::LdapDirectory;
use davgate::accounts::{
    AccountChange, AccountKey, Created, DirectoryError, GroupSync, NewAccount, Provisioner,
    UserDirectory, WantedGroup,
};
use davgate::config::accounts::{DisableMechanism, Ldap};
use davgate::model::{Account, ExternalIdentity};
use futures_util::future::join_all;

use super::wire::{BIND, FakeServer, Mode, Relay, SEARCH, entry, result};
use crate::support::slapd::{self, BASE, GROUPS, Slapd, USERS};

const ISSUER: &str = "https://idp.test";

fn directory(settings: Ldap) -> LdapDirectory {
    LdapDirectory::new(settings).unwrap()
}

/// A short deadline, so that silence is noticed soon.
fn impatient(uri: &str) -> Ldap {
    Ldap {
        timeout: Duration::from_millis(400),
        ..slapd::settings(uri)
    }
}

fn mara() -> AccountKey {
    AccountKey::Username("mara".to_owned())
}

fn new_account(name: &str) -> NewAccount {
    NewAccount {
        username: name.to_owned(),
        display_name: name.to_owned(),
        mail: None,
        identity: Some(ExternalIdentity {
            issuer: ISSUER.to_owned(),
            subject: name.to_owned(),
        }),
        role: None,
        attributes: vec![],
    }
}

async fn made(directory: &LdapDirectory, name: &str) -> Account {
    match directory.create(&new_account(name)).await.unwrap() {
        Created::New(account) => *account,
        Created::AlreadyExists => panic!("{name} is there already"),
    }
}

fn wanted(names: &[&str]) -> GroupSync {
    GroupSync {
        issuer: ISSUER.to_owned(),
        wanted: names
            .iter()
            .map(|name| WantedGroup {
                name: (*name).to_owned(),
                external_id: None,
            })
            .collect(),
        adopt: true,
    }
}

fn display_name(name: &str) -> AccountChange {
    AccountChange {
        display_name: Some(name.to_owned()),
        ..AccountChange::default()
    }
}

/// Makes the pool open all its connections.
async fn fill_pool(directory: &LdapDirectory) {
    let key = mara();
    for found in join_all((0..16).map(|_| directory.find(&key))).await {
        found.unwrap();
    }
}

#[tokio::test]
async fn f11_after_a_restart_of_the_server_the_first_request_of_each_kind_succeeds() {
    let mut server = Slapd::start().await;
    let directory = directory(slapd::settings(&server.uri()));
    let account = made(&directory, "mara").await;
    fill_pool(&directory).await;
    server.start_again().await;
    assert_eq!(
        directory.find(&mara()).await.unwrap(),
        Some(account.clone())
    );
    fill_pool(&directory).await;
    server.start_again().await;
    directory
        .update(&account, &display_name("Mara Kay"))
        .await
        .unwrap();
    fill_pool(&directory).await;
    server.start_again().await;
    directory
        .sync_groups(&account, &wanted(&["crew"]))
        .await
        .unwrap();
    fill_pool(&directory).await;
    server.start_again().await;
    made(&directory, "ines").await;
    server.start_again().await;
    directory.probe().await.unwrap();
}

#[tokio::test]
async fn f11_a_write_whose_answer_is_lost_is_not_done_twice() {
    let server = Slapd::start().await;
    let relay = Relay::start(&server.uri()).await;
    let directory = directory(slapd::settings(&relay.uri));
    directory.probe().await.unwrap();
    relay.set(Mode::CutNextAnswer);
    let outcome = directory.create(&new_account("mara")).await.unwrap();
    assert_eq!(
        outcome,
        Created::AlreadyExists,
        "what the lost write made is found"
    );
    assert_eq!(server.entries(USERS).await.len(), 1);
    let account = directory.find(&mara()).await.unwrap().unwrap();
    relay.set(Mode::CutNextAnswer);
    directory
        .update(&account, &display_name("Mara Kay"))
        .await
        .unwrap();
    relay.set(Mode::CutNextAnswer);
    directory
        .sync_groups(&account, &wanted(&["crew"]))
        .await
        .unwrap();
    let account = directory.find(&mara()).await.unwrap().unwrap();
    assert_eq!(
        (account.display_name.as_str(), account.groups.len()),
        ("Mara Kay", 1)
    );
    assert_eq!(server.entries(GROUPS).await.len(), 1);
}

#[tokio::test]
async fn f9_a_server_that_is_down_is_unavailable_at_once_and_never_absent() {
    let mut server = Slapd::start().await;
    let directory = directory(slapd::settings(&server.uri()));
    made(&directory, "mara").await;
    server.stop();
    let started = Instant::now();
    for _ in 0..3 {
        let outcome = directory.find(&mara()).await;
        assert!(
            matches!(outcome, Err(DirectoryError::Unavailable(_))),
            "{outcome:?}"
        );
    }
    assert!(started.elapsed() < Duration::from_secs(3));
    server.start_again().await;
    assert!(directory.find(&mara()).await.unwrap().is_some());
}

#[tokio::test]
async fn f10_a_server_that_accepts_and_stays_silent_is_unavailable_within_the_limit() {
    let server = FakeServer::start(|_| vec![]).await;
    let directory = directory(impatient(&server.uri));
    let started = Instant::now();
    let outcome = directory.find(&mara()).await;
    assert!(
        matches!(outcome, Err(DirectoryError::Unavailable(_))),
        "{outcome:?}"
    );
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn f10_a_connection_that_fell_silent_is_not_used_again() {
    let server = Slapd::start().await;
    let relay = Relay::start(&server.uri()).await;
    let directory = directory(impatient(&relay.uri));
    made(&directory, "mara").await;
    relay.set(Mode::Swallow);
    let started = Instant::now();
    let outcome = directory.find(&mara()).await;
    assert!(
        matches!(outcome, Err(DirectoryError::Unavailable(_))),
        "{outcome:?}"
    );
    assert!(started.elapsed() < Duration::from_secs(2));
    relay.set(Mode::Forward);
    assert!(directory.find(&mara()).await.unwrap().is_some());
}

#[tokio::test]
async fn f10_a_caller_that_leaves_does_not_leave_a_hanging_connection_behind() {
    let server = Slapd::start().await;
    let relay = Relay::start(&server.uri()).await;
    let directory = directory(Ldap {
        pool_size: 1,
        ..slapd::settings(&relay.uri)
    });
    made(&directory, "mara").await;
    relay.set(Mode::Swallow);
    let left = tokio::time::timeout(Duration::from_millis(50), directory.find(&mara())).await;
    assert!(left.is_err());
    relay.set(Mode::Forward);
    let started = Instant::now();
    assert!(directory.find(&mara()).await.unwrap().is_some());
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn the_second_server_serves_where_the_first_is_down_or_silent() {
    let server = Slapd::start().await;
    let silent = FakeServer::start(|_| vec![]).await;
    for first in ["ldap://127.0.0.1:1".to_owned(), silent.uri.clone()] {
        let directory = directory(Ldap {
            uris: vec![first, server.uri()],
            timeout: Duration::from_secs(2),
            ..slapd::settings("")
        });
        assert_eq!(directory.find(&mara()).await.unwrap(), None);
    }
    assert_eq!(silent.connections(), 1);
}

#[tokio::test]
async fn f12_a_servers_trouble_is_unavailable_or_unusable_and_never_absent() {
    let unavailable = [3, 51, 52, 53, 80].map(|code| (code, false));
    let unusable = [4, 10, 32].map(|code| (code, true));
    for (code, is_answer) in unavailable.into_iter().chain(unusable) {
        let server = FakeServer::start(move |tag| match tag {
            SEARCH => vec![result(SEARCH, code)],
            tag => vec![result(tag, 0)],
        })
        .await;
        let outcome = directory(impatient(&server.uri)).find(&mara()).await;
        match outcome {
            Err(DirectoryError::Unavailable(_)) => assert!(!is_answer, "code {code}"),
            Err(DirectoryError::Unusable(_)) => assert!(is_answer, "code {code}"),
            other => panic!("code {code}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn f12_one_entry_beside_a_size_limit_is_not_the_answer() {
    let server = FakeServer::start(|tag| match tag {
        SEARCH => vec![
            entry(
                "uid=mara,ou=users",
                &[("uid", "mara"), ("openCloudUUID", "1")],
            ),
            result(SEARCH, 4),
        ],
        tag => vec![result(tag, 0)],
    })
    .await;
    let outcome = directory(impatient(&server.uri)).find(&mara()).await;
    assert!(
        matches!(outcome, Err(DirectoryError::Unusable(_))),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_refused_bind_is_unavailable_and_does_not_show_the_password() {
    let server = FakeServer::start(|tag| match tag {
        BIND => vec![result(BIND, 49)],
        _ => vec![],
    })
    .await;
    let directory = directory(impatient(&server.uri));
    let error = directory.find(&mara()).await.unwrap_err();
    assert!(matches!(error, DirectoryError::Unavailable(_)), "{error:?}");
    assert!(!format!("{error:?} {directory:?}").contains(slapd::PASSWORD));
}

#[tokio::test]
async fn f14_a_login_after_a_cut_completes_the_groups() {
    let mut server = Slapd::start().await;
    let directory = directory(slapd::settings(&server.uri()));
    let account = made(&directory, "mara").await;
    server.stop();
    let outcome = directory
        .sync_groups(&account, &wanted(&["crew", "deck"]))
        .await;
    assert!(
        matches!(outcome, Err(DirectoryError::Unavailable(_))),
        "{outcome:?}"
    );
    server.start_again().await;
    directory
        .sync_groups(&account, &wanted(&["crew", "deck"]))
        .await
        .unwrap();
    assert_eq!(
        directory.find(&mara()).await.unwrap().unwrap().groups.len(),
        2
    );
}

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
