//! LDAP on its bad days: docs/design/hardening.md F9 to F14.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use davgate::door::accounts::ldap::LdapDirectory;
use davgate::door::accounts::{
    AccountChange, AccountKey, Created, DirectoryError, GroupSync, NewAccount, Provisioner,
    UserDirectory, WantedGroup,
};
use davgate::door::config::accounts::Ldap;
use davgate::door::model::{Account, ExternalIdentity, Reason};
use futures_util::future::join_all;

use super::wire::{BIND, FakeServer, MODIFY, Mode, Relay, SEARCH, entry, result};
use crate::support::slapd::{self, GROUPS, Slapd, USERS};

const ISSUER: &str = "https://idp.test";

pub(super) fn directory(settings: Ldap) -> LdapDirectory {
    LdapDirectory::new(settings).unwrap()
}

/// A short deadline, so that silence is noticed soon.
fn impatient(uri: &str) -> Ldap {
    Ldap {
        timeout: Duration::from_secs(1),
        ..slapd::settings(uri)
    }
}

pub(super) fn mara() -> AccountKey {
    AccountKey::Username("mara".to_owned())
}

pub(super) fn new_account(name: &str) -> NewAccount {
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

pub(super) async fn made(directory: &LdapDirectory, name: &str) -> Account {
    match directory.create(&new_account(name)).await.unwrap() {
        Created::New(account) => *account,
        Created::AlreadyExists | Created::Disabled => panic!("{name} is there already"),
    }
}

pub(super) fn wanted(names: &[&str]) -> GroupSync {
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
        create: true,
    }
}

pub(super) fn display_name(name: &str) -> AccountChange {
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
        started.elapsed() < Duration::from_secs(3),
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
    assert!(started.elapsed() < Duration::from_secs(3));
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
    assert!(started.elapsed() < Duration::from_secs(3));
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
    let unusable = [4, 10].map(|code| (code, true));
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

/// Issue 15, C: what an administrator has to mend has a reason of its own, and the line names the setting.
#[tokio::test]
async fn issue_15_19_each_refusal_of_the_server_names_the_setting_that_does_not_fit() {
    use Reason::{DirectoryBase, DirectoryCredentials, DirectoryRights, DirectorySchema};
    for (code, expected, setting) in [
        (32, DirectoryBase, "OC_LDAP_USER_BASE_DN"),
        (50, DirectoryRights, "OC_LDAP_BIND_DN"),
        (48, DirectoryCredentials, "OC_LDAP_BIND_PASSWORD"),
        (17, DirectorySchema, "OC_LDAP_USER_SCHEMA_"),
        (18, DirectorySchema, "OC_LDAP_USER_OBJECTCLASS"),
        (21, DirectorySchema, "PROXY_LDAP_*_ATTRIBUTE"),
    ] {
        let server = FakeServer::start(move |tag| match tag {
            SEARCH => vec![result(SEARCH, code)],
            tag => vec![result(tag, 0)],
        })
        .await;
        let error = directory(impatient(&server.uri)).find(&mara()).await;
        match error.unwrap_err() {
            DirectoryError::Misconfigured { reason, detail } => {
                assert_eq!(reason, expected, "code {code}");
                assert!(detail.contains(setting), "code {code}: {detail}");
            }
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
async fn a_refused_bind_names_its_settings_and_does_not_show_the_password() {
    let server = FakeServer::start(|tag| match tag {
        BIND => vec![result(BIND, 49)],
        _ => vec![],
    })
    .await;
    let directory = directory(impatient(&server.uri));
    let error = directory.find(&mara()).await.unwrap_err();
    let reason = match &error {
        DirectoryError::Misconfigured { reason, .. } => *reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason, Reason::DirectoryCredentials);
    assert!(error.to_string().contains("OC_LDAP_BIND_DN"), "{error}");
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

/// A server that refuses the assertion control and, after the write, shows an entry with these identities.
async fn without_assertions(identities: &'static [&'static str]) -> (FakeServer, Arc<AtomicUsize>) {
    let (searches, modifies) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&modifies);
    let server = FakeServer::start(move |tag| match tag {
        SEARCH => {
            let mut attributes = vec![("uid", "mara"), ("openCloudUUID", "17")];
            if searches.fetch_add(1, Ordering::SeqCst) > 0 {
                let values = identities.iter().copied();
                attributes.extend(values.map(|value| ("openCloudExternalIdentity", value)));
            }
            vec![entry("uid=mara,ou=users", &attributes), result(SEARCH, 0)]
        }
        MODIFY => match count.fetch_add(1, Ordering::SeqCst) {
            0 => vec![result(MODIFY, 12)],
            _ => vec![result(MODIFY, 0)],
        },
        tag => vec![result(tag, 0)],
    })
    .await;
    (server, modifies)
}

#[tokio::test]
async fn without_assertions_a_claim_is_checked_after_the_write_and_withdrawn_if_contested() {
    let account = Account {
        id: "17".to_owned(),
        username: "mara".to_owned(),
        aliases: Vec::new(),
        display_name: "mara".to_owned(),
        mail: None,
        user_type: davgate::door::model::UserType::Member,
        enabled: true,
        groups: vec![],
        role: None,
        identities: vec![],
        tenant: None,
        uid_number: None,
        gid_number: None,
    };
    let change = AccountChange {
        identity: new_account("mara").identity,
        ..AccountChange::default()
    };
    let (server, modifies) = without_assertions(&[" $ https://idp.test $ mara"]).await;
    directory(impatient(&server.uri))
        .update(&account, &change)
        .await
        .unwrap();
    assert_eq!(modifies.load(Ordering::SeqCst), 2);
    let (server, modifies) = without_assertions(&[" $ https://idp.test $ other"]).await;
    let outcome = directory(impatient(&server.uri))
        .update(&account, &change)
        .await;
    assert!(
        matches!(outcome, Err(DirectoryError::Conflict)),
        "{outcome:?}"
    );
    assert_eq!(modifies.load(Ordering::SeqCst), 3, "ours is taken back");
}
