//! The contract of `UserDirectory` and `Provisioner`, the same over every backend.

use davgate::accounts::{
    AccountChange, AccountKey, Created, DirectoryError, GroupReport, GroupSync, NewAccount,
    Provisioner, UserDirectory, WantedGroup,
};
use davgate::model::{Account, ExternalIdentity, Role, StoredRole};
use futures_util::future::join_all;

use super::backends::{Backend, Embedded, OverLdap};

const ISSUER: &str = "https://idp.test/realms/harbor";

/// Runs every scenario over one backend.
macro_rules! contract {
    ($module:ident, $backend:ty: $($scenario:ident)+) => {
        mod $module {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $scenario() {
                super::$scenario::<$backend>().await;
            })+
        }
    };
}

macro_rules! over_all_backends {
    ($($scenario:ident)+) => {
        contract!(ldap, OverLdap: $($scenario)+);
        contract!(embedded, Embedded: $($scenario)+);
    };
}

over_all_backends! {
    an_account_is_found_by_every_key
    what_is_not_there_is_none_and_not_an_error
    identities_are_compared_byte_for_byte
    two_accounts_of_one_mail_address_are_ambiguous
    row_107_fifty_parallel_creates_make_one_account
    a_name_that_differs_in_case_only_is_taken
    a_change_writes_all_of_it_and_nothing_twice
    an_identity_is_written_once
    of_many_who_claim_one_account_one_gets_it
    a_foreign_role_is_reported_and_never_overwritten
    a_disabled_account_is_found_and_says_so
    row_97_names_with_filter_characters_find_nobody_else
    row_98_names_with_dn_characters_stay_one_account
    groups_are_made_joined_and_left
    row_105_a_second_login_writes_nothing
    unmarked_groups_are_left_alone_or_adopted
    another_issuers_groups_are_left_alone
    group_names_are_compared_as_the_directory_does
    a_group_with_an_id_survives_its_rename
    two_people_share_a_group_and_leave_one_by_one
    parallel_syncs_of_many_people_lose_nobody
}

fn identity(subject: &str) -> ExternalIdentity {
    ExternalIdentity {
        issuer: ISSUER.to_owned(),
        subject: subject.to_owned(),
    }
}

fn new_account(name: &str) -> NewAccount {
    NewAccount {
        username: name.to_owned(),
        display_name: format!("{name} of harbor"),
        mail: Some("shared@harbor.test".to_owned()),
        identity: Some(identity(name)),
        role: Some(Role::User),
        attributes: vec![("preferredLanguage".to_owned(), "de".to_owned())],
    }
}

fn by_name(name: &str) -> AccountKey {
    AccountKey::Username(name.to_owned())
}

async fn made(directory: &impl Provisioner, new: &NewAccount) -> Account {
    match directory.create(new).await.unwrap() {
        Created::New(account) => *account,
        Created::AlreadyExists => panic!("{} is there already", new.username),
    }
}

async fn found(directory: &impl UserDirectory, name: &str) -> Account {
    directory.find(&by_name(name)).await.unwrap().unwrap()
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
        adopt: false,
    }
}

fn names(account: &Account) -> Vec<&str> {
    account
        .groups
        .iter()
        .map(|group| group.name.as_str())
        .collect()
}

async fn an_account_is_found_by_every_key<B: Backend>() {
    let backend = B::start().await;
    let directory = backend.open();
    directory.probe().await.unwrap();
    let account = made(&directory, &new_account("mara")).await;
    assert_eq!(account.display_name, "mara of harbor");
    assert_eq!(account.role, Some(StoredRole::Known(Role::User)));
    assert!(account.enabled);
    for key in [
        by_name("mara"),
        by_name("MARA"),
        AccountKey::Mail("shared@harbor.test".to_owned()),
        AccountKey::UserId(account.id.clone()),
        AccountKey::Identity(identity("mara")),
    ] {
        assert_eq!(
            directory.find(&key).await.unwrap().as_ref(),
            Some(&account),
            "{key:?}"
        );
    }
}

async fn what_is_not_there_is_none_and_not_an_error<B: Backend>() {
    let backend = B::start().await;
    let directory = backend.open();
    for key in [
        by_name("nobody"),
        AccountKey::Mail("no@harbor.test".to_owned()),
        AccountKey::UserId("not even a uuid".to_owned()),
        AccountKey::UserId("d227cf8e-986e-4a05-8860-af193056278a".to_owned()),
        AccountKey::Identity(identity("nobody")),
    ] {
        assert_eq!(directory.find(&key).await.unwrap(), None, "{key:?}");
    }
}

async fn identities_are_compared_byte_for_byte<B: Backend>() {
    let backend = B::start().await;
    let directory = backend.open();
    made(&directory, &new_account("mara")).await;
    let mut other = new_account("other");
    other.identity = Some(identity("MARA"));
    let other = made(&directory, &other).await;
    let key = AccountKey::Identity(identity("MARA"));
    assert_eq!(
        directory.find(&key).await.unwrap().map(|a| a.id),
        Some(other.id)
    );
    for subject in ["Mara", "mara ", " mara", "mar", "*"] {
        let key = AccountKey::Identity(identity(subject));
        assert_eq!(directory.find(&key).await.unwrap(), None, "{subject:?}");
    }
    let elsewhere = ExternalIdentity {
        issuer: format!("{ISSUER}/"),
        subject: "mara".to_owned(),
    };
    assert_eq!(
        directory
            .find(&AccountKey::Identity(elsewhere))
            .await
            .unwrap(),
        None
    );
}

async fn two_accounts_of_one_mail_address_are_ambiguous<B: Backend>() {
    let backend = B::start().await;
    let directory = backend.open();
    let key = AccountKey::Mail("Shared@harbor.test".to_owned());
    for name in ["one", "two", "three"] {
        made(&directory, &new_account(name)).await;
        let result = directory.find(&key).await;
        match name {
            "one" => assert!(result.unwrap().is_some()),
            _ => assert!(
                matches!(result, Err(DirectoryError::Ambiguous(_))),
                "{result:?}"
            ),
        }
    }
}

async fn row_107_fifty_parallel_creates_make_one_account<B: Backend>() {
    let backend = B::start().await;
    let (one, two) = (backend.open(), backend.open());
    let new = new_account("mara");
    let outcomes = join_all((0..50).map(|n| {
        let directory = if n % 2 == 0 { &one } else { &two };
        directory.create(&new)
    }))
    .await;
    let made = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Ok(Created::New(_))))
        .count();
    let lost = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Ok(Created::AlreadyExists)))
        .count();
    assert_eq!((made, lost), (1, 49), "{outcomes:?}");
    assert_eq!(backend.count_accounts().await, 1);
}

async fn a_name_that_differs_in_case_only_is_taken<B: Backend>() {
    let backend = B::start().await;
    let directory = backend.open();
    made(&directory, &new_account("admin")).await;
    for name in ["ADMIN", "admin ", "ａdmin"] {
        let outcome = directory.create(&new_account(name)).await.unwrap();
        assert_eq!(outcome, Created::AlreadyExists, "{name:?}");
    }
    assert_eq!(backend.count_accounts().await, 1);
}

async fn a_change_writes_all_of_it_and_nothing_twice<B: Backend>() {
    let backend = B::start().await;
    let directory = backend.open();
    let account = made(&directory, &new_account("mara")).await;
    let change = AccountChange {
        display_name: Some("Mara Kay".to_owned()),
        mail: Some("mara@new.test".to_owned()),
        identity: None,
        role: Some(Role::Admin),
        attributes: vec![("preferredLanguage".to_owned(), "fr".to_owned())],
    };
    directory.update(&account, &change).await.unwrap();
    let changed = found(&directory, "mara").await;
    assert_eq!(changed.display_name, "Mara Kay");
    assert_eq!(changed.mail.as_deref(), Some("mara@new.test"));
    assert_eq!(changed.role, Some(StoredRole::Known(Role::Admin)));
    assert_eq!(changed.identities, account.identities);
    let before = backend.fingerprint().await;
    directory.update(&changed, &change).await.unwrap();
    assert_eq!(backend.fingerprint().await, before);
}

async fn an_identity_is_written_once<B: Backend>() {
    let backend = B::start().await;
    let directory = backend.open();
    let account = made(
        &directory,
        &NewAccount {
            identity: None,
            ..new_account("mara")
        },
    )
    .await;
    let claim = |subject: &str| AccountChange {
        identity: Some(identity(subject)),
        ..AccountChange::default()
    };
    directory.update(&account, &claim("first")).await.unwrap();
    directory.update(&account, &claim("first")).await.unwrap();
    let second = directory.update(&account, &claim("second")).await;
    assert!(
        matches!(second, Err(DirectoryError::Conflict)),
        "{second:?}"
    );
    assert_eq!(
        found(&directory, "mara").await.identities,
        [identity("first")]
    );
}

async fn of_many_who_claim_one_account_one_gets_it<B: Backend>() {
    let backend = B::start().await;
    let (one, two) = (backend.open(), backend.open());
    for round in 0..5 {
        let new = NewAccount {
            identity: None,
            ..new_account(&format!("user{round}"))
        };
        let account = made(&one, &new).await;
        // Open connections first, so that the claims really meet.
        let probes = join_all((0..16).map(|n| if n % 2 == 0 { one.probe() } else { two.probe() }));
        for probe in probes.await {
            probe.unwrap();
        }
        let claims = (0..20).map(|n| {
            let (directory, account) = (if n % 2 == 0 { &one } else { &two }, &account);
            async move {
                let change = AccountChange {
                    identity: Some(identity(&format!("s{n}"))),
                    ..AccountChange::default()
                };
                directory.update(account, &change).await
            }
        });
        let outcomes = join_all(claims).await;
        let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(won, 1, "{outcomes:?}");
        assert_eq!(found(&one, &new.username).await.identities.len(), 1);
    }
}

async fn a_foreign_role_is_reported_and_never_overwritten<B: Backend>() {
    let backend = B::start().await;
    let directory = backend.open();
    made(&directory, &new_account("mara")).await;
    backend.set_raw_role("mara", "Contractor").await;
    let account = found(&directory, "mara").await;
    let foreign = StoredRole::Foreign("Contractor".to_owned());
    assert_eq!(account.role.as_ref(), Some(&foreign));
    let change = AccountChange {
        role: Some(Role::User),
        ..AccountChange::default()
    };
    let result = directory.update(&account, &change).await;
    assert!(
        matches!(result, Err(DirectoryError::Refused(_))),
        "{result:?}"
    );
    assert_eq!(found(&directory, "mara").await.role, Some(foreign));
}

async fn a_disabled_account_is_found_and_says_so<B: Backend>() {
    let backend = B::start().await;
    let directory = backend.open();
    made(&directory, &new_account("mara")).await;
    backend.disable("mara").await;
    assert!(!found(&directory, "mara").await.enabled);
}

async fn row_97_names_with_filter_characters_find_nobody_else<B: Backend>() {
    let backend = B::start().await;
    let directory = backend.open();
    made(&directory, &new_account("admin")).await;
    for name in [
        "*)(uid=*",
        "admin)(|(uid=*",
        r"\2a",
        "a*",
        "*",
        "admin\0",
        "(",
        "&",
    ] {
        assert_eq!(
            directory.find(&by_name(name)).await.unwrap(),
            None,
            "{name:?}"
        );
    }
    let literal = made(&directory, &new_account("a*")).await;
    assert_eq!(found(&directory, "a*").await, literal);
}

async fn row_98_names_with_dn_characters_stay_one_account<B: Backend>() {
    let backend = B::start().await;
    let directory = backend.open();
    let names = [
        "x,ou=admins",
        "a+b",
        "#1",
        "\"",
        "a;b",
        "<c>",
        "d=e",
        r"f\g",
        "uid=a,b",
        "Åsa Berg",
    ];
    for name in names {
        let account = made(&directory, &new_account(name)).await;
        assert_eq!(found(&directory, name).await, account, "{name:?}");
        let id = AccountKey::UserId(account.id.clone());
        assert_eq!(directory.find(&id).await.unwrap(), Some(account));
    }
    assert_eq!(backend.count_accounts().await, names.len());
}

async fn groups_are_made_joined_and_left<B: Backend>() {
    let backend = B::start().await;
    let directory = backend.open();
    let account = made(&directory, &new_account("mara")).await;
    let first = directory
        .sync_groups(&account, &wanted(&["crew", "deck, upper", "/a/b"]))
        .await
        .unwrap();
    assert_eq!(first.created.len(), 3);
    let now = found(&directory, "mara").await;
    assert_eq!(names(&now).len(), 3);
    let second = directory
        .sync_groups(&now, &wanted(&["crew", "bridge"]))
        .await
        .unwrap();
    assert_eq!((second.added.len(), second.removed.len()), (1, 2));
    let now = found(&directory, "mara").await;
    assert_eq!(
        {
            let mut n = names(&now);
            n.sort();
            n
        },
        ["bridge", "crew"]
    );
    directory.sync_groups(&now, &wanted(&[])).await.unwrap();
    let now = found(&directory, "mara").await;
    assert!(now.groups.is_empty());
    assert_eq!(
        backend.group_names().await.len(),
        4,
        "an emptied group stays"
    );
    directory
        .sync_groups(&now, &wanted(&["crew"]))
        .await
        .unwrap();
    assert_eq!(names(&found(&directory, "mara").await), ["crew"]);
}

async fn row_105_a_second_login_writes_nothing<B: Backend>() {
    let backend = B::start().await;
    let directory = backend.open();
    let account = made(&directory, &new_account("mara")).await;
    let many: Vec<String> = (0..120).map(|n| format!("group {n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    directory
        .sync_groups(&account, &wanted(&many))
        .await
        .unwrap();
    let before = backend.fingerprint().await;
    let account = found(&directory, "mara").await;
    assert_eq!(account.groups.len(), 120);
    let report = directory
        .sync_groups(&account, &wanted(&many))
        .await
        .unwrap();
    assert_eq!(report, GroupReport::default());
    assert_eq!(backend.fingerprint().await, before);
}

async fn unmarked_groups_are_left_alone_or_adopted<B: Backend>() {
    let backend = B::start().await;
    let directory = backend.open();
    backend.add_group("admins", &[]).await;
    let account = made(&directory, &new_account("mara")).await;
    let report = directory
        .sync_groups(&account, &wanted(&["admins"]))
        .await
        .unwrap();
    assert_eq!(report.unmanaged, ["admins"]);
    assert!(found(&directory, "mara").await.groups.is_empty());
    let adopting = GroupSync {
        adopt: true,
        ..wanted(&["admins"])
    };
    let report = directory.sync_groups(&account, &adopting).await.unwrap();
    assert_eq!(report.added, ["admins"]);
    assert!(report.created.is_empty());
    let report = directory.sync_groups(&account, &wanted(&[])).await.unwrap();
    assert_eq!(report.removed, ["admins"], "an adopted group is marked");
}

async fn another_issuers_groups_are_left_alone<B: Backend>() {
    let backend = B::start().await;
    let directory = backend.open();
    backend.add_group("theirs", &["https://other.test"]).await;
    backend.add_group("ours", &[ISSUER]).await;
    let account = made(&directory, &new_account("mara")).await;
    let sync = GroupSync {
        adopt: true,
        ..wanted(&["theirs", "ours"])
    };
    let report = directory.sync_groups(&account, &sync).await.unwrap();
    assert_eq!(
        (report.unmanaged, report.added),
        (vec!["theirs".to_owned()], vec!["ours".to_owned()])
    );
    let elsewhere = GroupSync {
        issuer: "https://other.test".to_owned(),
        ..wanted(&[])
    };
    let report = directory.sync_groups(&account, &elsewhere).await.unwrap();
    assert!(report.is_unchanged(), "{report:?}");
    assert_eq!(names(&found(&directory, "mara").await), ["ours"]);
}

async fn group_names_are_compared_as_the_directory_does<B: Backend>() {
    let backend = B::start().await;
    let directory = backend.open();
    let account = made(&directory, &new_account("mara")).await;
    directory
        .sync_groups(&account, &wanted(&["Team Süd"]))
        .await
        .unwrap();
    for name in ["team süd", " TEAM  SÜD ", "Team Su\u{308}d"] {
        let report = directory
            .sync_groups(&account, &wanted(&[name]))
            .await
            .unwrap();
        assert!(report.is_unchanged(), "{name:?}: {report:?}");
    }
    assert_eq!(backend.group_names().await.len(), 1);
}

async fn a_group_with_an_id_survives_its_rename<B: Backend>() {
    let backend = B::start().await;
    let directory = backend.open();
    let account = made(&directory, &new_account("mara")).await;
    let sync = |name: &str| {
        let mut sync = wanted(&[name]);
        sync.wanted[0].external_id = Some("4711".to_owned());
        sync
    };
    directory
        .sync_groups(&account, &sync("old crew"))
        .await
        .unwrap();
    let before = found(&directory, "mara").await.groups;
    directory
        .sync_groups(&account, &sync("new crew"))
        .await
        .unwrap();
    let after = found(&directory, "mara").await.groups;
    assert_eq!(after.len(), 1);
    assert_eq!(
        (after[0].id.as_str(), after[0].name.as_str()),
        (before[0].id.as_str(), "new crew")
    );
    let stamp = backend.fingerprint().await;
    directory
        .sync_groups(&account, &sync("new crew"))
        .await
        .unwrap();
    assert_eq!(backend.fingerprint().await, stamp);
}

async fn two_people_share_a_group_and_leave_one_by_one<B: Backend>() {
    let backend = B::start().await;
    let directory = backend.open();
    let mara = made(&directory, &new_account("mara")).await;
    let ines = made(&directory, &new_account("ines")).await;
    for account in [&mara, &ines] {
        directory
            .sync_groups(account, &wanted(&["crew"]))
            .await
            .unwrap();
    }
    directory.sync_groups(&mara, &wanted(&[])).await.unwrap();
    assert!(found(&directory, "mara").await.groups.is_empty());
    assert_eq!(names(&found(&directory, "ines").await), ["crew"]);
    directory.sync_groups(&ines, &wanted(&[])).await.unwrap();
    assert!(found(&directory, "ines").await.groups.is_empty());
}

async fn parallel_syncs_of_many_people_lose_nobody<B: Backend>() {
    let backend = B::start().await;
    let (one, two) = (backend.open(), backend.open());
    let mut people = Vec::new();
    for n in 0..10 {
        people.push(made(&one, &new_account(&format!("user{n}"))).await);
    }
    let sync = wanted(&["crew", "deck"]);
    let syncs = people.iter().enumerate().map(|(n, account)| {
        let directory = if n % 2 == 0 { &one } else { &two };
        directory.sync_groups(account, &sync)
    });
    for outcome in join_all(syncs).await {
        outcome.unwrap();
    }
    for account in &people {
        let key = AccountKey::UserId(account.id.clone());
        let account = one.find(&key).await.unwrap().unwrap();
        assert_eq!(account.groups.len(), 2, "{}", account.username);
    }
    assert_eq!(backend.group_names().await, ["crew", "deck"]);
}
