//! The contract about groups, the same over every backend.

use davgate::door::accounts::{
    AccountKey, GroupReport, GroupSync, Provisioner, UserDirectory, WantedGroup,
};
use davgate::door::model::Account;
use futures_util::future::join_all;

use super::backends::{Backend, over_all_backends};
use super::contract::{ISSUER, found, made, new_account};

over_all_backends! {
    groups_are_made_joined_and_left
    row_105_a_second_login_writes_nothing
    groups_that_do_not_exist_are_created_only_if_they_are_to_be
    unmarked_groups_are_left_alone_or_adopted
    another_issuers_groups_are_left_alone
    group_names_are_compared_as_the_directory_does
    a_group_with_an_id_survives_its_rename
    two_people_share_a_group_and_leave_one_by_one
    parallel_syncs_of_many_people_lose_nobody
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
        create: true,
    }
}

fn names(account: &Account) -> Vec<&str> {
    account
        .groups
        .iter()
        .map(|group| group.name.as_str())
        .collect()
}

async fn groups_are_made_joined_and_left<B: Backend>() {
    let backend = B::start().await;
    let directory = backend.open();
    let account = made(&directory, &new_account("mara")).await;
    let three = wanted(&["crew", "deck, upper", "/a/b"]);
    let before = backend.fingerprint().await;
    let rehearsed = directory.rehearse_groups(&account, &three).await.unwrap();
    assert_eq!(backend.fingerprint().await, before, "it was only asked");
    let first = directory.sync_groups(&account, &three).await.unwrap();
    assert_eq!(first.created.len(), 3);
    assert_eq!(rehearsed, first);
    let now = found(&directory, "mara").await;
    assert_eq!(names(&now).len(), 3);
    let other = wanted(&["crew", "bridge"]);
    let rehearsed = directory.rehearse_groups(&now, &other).await.unwrap();
    let second = directory.sync_groups(&now, &other).await.unwrap();
    assert_eq!((second.added.len(), second.removed.len()), (1, 2));
    assert_eq!(rehearsed, second);
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

async fn groups_that_do_not_exist_are_created_only_if_they_are_to_be<B: Backend>() {
    let backend = B::start().await;
    let directory = backend.open();
    let account = made(&directory, &new_account("mara")).await;
    let only_known = GroupSync {
        create: false,
        ..wanted(&["sailors", "poets"])
    };
    let report = directory.sync_groups(&account, &only_known).await.unwrap();
    assert!(
        report.is_unchanged() && report.unmanaged.is_empty(),
        "{report:?}"
    );
    assert_eq!(report.missing, ["sailors", "poets"]);
    directory
        .sync_groups(&account, &wanted(&["sailors"]))
        .await
        .unwrap();
    directory.sync_groups(&account, &wanted(&[])).await.unwrap();
    let report = directory.sync_groups(&account, &only_known).await.unwrap();
    assert_eq!(
        (report.added, report.missing),
        (vec!["sailors".to_owned()], vec!["poets".to_owned()])
    );
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
