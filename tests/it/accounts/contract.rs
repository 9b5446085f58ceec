//! The contract of `UserDirectory` and `Provisioner` about accounts, the same over every backend.

use davgate::door::accounts::{
    AccountChange, AccountKey, Created, DirectoryError, NewAccount, Provisioner, UserDirectory,
};
use davgate::door::model::{Account, ExternalIdentity, Role, StoredRole};
use futures_util::future::join_all;

use super::backends::{Backend, over_all_backends};

pub(super) const ISSUER: &str = "https://idp.test/realms/harbor";

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
}

pub(super) fn identity(subject: &str) -> ExternalIdentity {
    ExternalIdentity {
        issuer: ISSUER.to_owned(),
        subject: subject.to_owned(),
    }
}

pub(super) fn new_account(name: &str) -> NewAccount {
    NewAccount {
        username: name.to_owned(),
        display_name: format!("{name} of harbor"),
        mail: Some("shared@harbor.test".to_owned()),
        identity: Some(identity(name)),
        role: Some(Role::User),
        attributes: vec![("preferredLanguage".to_owned(), "de".to_owned())],
    }
}

pub(super) fn by_name(name: &str) -> AccountKey {
    AccountKey::Username(name.to_owned())
}

pub(super) async fn made(directory: &impl Provisioner, new: &NewAccount) -> Account {
    match directory.create(new).await.unwrap() {
        Created::New(account) => *account,
        Created::AlreadyExists | Created::Disabled => panic!("{} is there already", new.username),
    }
}

pub(super) async fn found(directory: &impl UserDirectory, name: &str) -> Account {
    directory.find(&by_name(name)).await.unwrap().unwrap()
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
        role: Some(Role::Admin),
        attributes: vec![("preferredLanguage".to_owned(), "fr".to_owned())],
        ..AccountChange::default()
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
