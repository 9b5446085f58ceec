//! Provisioning by graph, as far as it can do what the other backends can.

use davgate::door::accounts::graph::GraphProvisioner;
use davgate::door::accounts::{
    AccountChange, Created, DirectoryError, GroupSync, NewAccount, Provisioner, WantedGroup,
};
use davgate::door::model::{Account, ExternalIdentity};
use futures_util::future::join_all;

use super::Clients;
use crate::support::deployment::{Deployment, Fault, Group};

fn provisioner(deployment: &Deployment) -> GraphProvisioner {
    GraphProvisioner::new(Clients::of(deployment).graph())
}

fn new_account(name: &str) -> NewAccount {
    NewAccount {
        username: name.to_owned(),
        display_name: format!("{name} of harbor"),
        mail: Some(format!("{name}@harbor.test")),
        identity: Some(ExternalIdentity {
            issuer: "https://idp.test".to_owned(),
            subject: name.to_owned(),
        }),
        role: None,
        attributes: Vec::new(),
    }
}

async fn made(provisioner: &GraphProvisioner, new: &NewAccount) -> Account {
    match provisioner.create(new).await.unwrap() {
        Created::New(account) => *account,
        other => panic!("{other:?}"),
    }
}

fn wanted(names: &[&str], create: bool) -> GroupSync {
    let group = |name: &&str| WantedGroup {
        name: (*name).to_owned(),
        external_id: None,
    };
    GroupSync {
        issuer: "https://idp.test".to_owned(),
        wanted: names.iter().map(group).collect(),
        adopt: false,
        create,
    }
}

fn members(deployment: &Deployment) -> Vec<(String, usize)> {
    let state = deployment.world.lock();
    let one = |group: &Group| (group.name.clone(), group.members.len());
    state.groups.iter().map(one).collect()
}

#[tokio::test]
async fn an_account_is_made_in_one_call_with_its_identity() {
    let deployment = Deployment::start().await;
    let provisioner = provisioner(&deployment);
    let account = made(&provisioner, &new_account("mara")).await;
    assert_eq!(account.mail.as_deref(), Some("mara@harbor.test"));
    assert!(account.enabled);
    let state = deployment.world.lock();
    assert_eq!(state.users[0].id, account.id);
    assert_eq!(
        state.users[0].identities,
        [("https://idp.test".to_owned(), "mara".to_owned())]
    );
}

#[tokio::test]
async fn row_107_fifty_parallel_creates_make_one_account() {
    let deployment = Deployment::start().await;
    let (one, two) = (provisioner(&deployment), provisioner(&deployment));
    let new = new_account("mara");
    let creates = (0..50).map(|n| {
        if n % 2 == 0 {
            one.create(&new)
        } else {
            two.create(&new)
        }
    });
    let outcomes = join_all(creates).await;
    let is_new =
        |outcome: &&Result<Created, DirectoryError>| matches!(outcome, Ok(Created::New(_)));
    let lost =
        |outcome: &&Result<Created, DirectoryError>| matches!(outcome, Ok(Created::AlreadyExists));
    let counted = (
        outcomes.iter().filter(is_new).count(),
        outcomes.iter().filter(lost).count(),
    );
    assert_eq!(counted, (1, 49), "{outcomes:?}");
    assert_eq!(deployment.world.lock().users.len(), 1);
    assert!(deployment.calls("Authenticate") <= 2, "one token each");
}

#[tokio::test]
async fn a_disabled_account_of_that_name_is_told_and_not_made_again() {
    let deployment = Deployment::start().await;
    let provisioner = provisioner(&deployment);
    made(&provisioner, &new_account("mara")).await;
    deployment.world.lock().users[0].enabled = false;
    let outcome = provisioner.create(&new_account("MARA")).await.unwrap();
    assert_eq!(outcome, Created::Disabled);
}

#[tokio::test]
async fn a_change_writes_name_and_mail_at_once_and_nothing_if_there_is_nothing() {
    let deployment = Deployment::start().await;
    let provisioner = provisioner(&deployment);
    let account = made(&provisioner, &new_account("mara")).await;
    let change = AccountChange {
        display_name: Some("Mara Kay".to_owned()),
        mail: Some("mara@new.test".to_owned()),
        ..AccountChange::default()
    };
    provisioner.update(&account, &change).await.unwrap();
    provisioner
        .update(&account, &AccountChange::default())
        .await
        .unwrap();
    assert_eq!(deployment.calls("PATCH users"), 1);
    let user = deployment.world.lock().users[0].clone();
    assert_eq!(
        (user.display_name.as_str(), user.mail.as_str()),
        ("Mara Kay", "mara@new.test")
    );
}

#[tokio::test]
async fn what_graph_does_not_take_is_refused_and_an_outage_is_not() {
    let deployment = Deployment::start().await;
    let provisioner = provisioner(&deployment);
    let bad = provisioner.create(&new_account("bad name!")).await;
    assert!(matches!(bad, Err(DirectoryError::Refused(_))), "{bad:?}");
    deployment.fault("POST users", Fault::Grpc(500, "generalException"));
    let failed = provisioner.create(&new_account("mara")).await;
    assert!(
        matches!(failed, Err(DirectoryError::Unavailable(_))),
        "{failed:?}"
    );
    let attributes = NewAccount {
        attributes: vec![("preferredLanguage".to_owned(), "de".to_owned())],
        ..new_account("mara")
    };
    let refused = provisioner.create(&attributes).await;
    assert!(
        matches!(refused, Err(DirectoryError::Refused(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_token_that_is_refused_is_renewed_once() {
    let deployment = Deployment::start().await;
    let provisioner = provisioner(&deployment);
    made(&provisioner, &new_account("mara")).await;
    deployment.world.lock().tokens.clear();
    made(&provisioner, &new_account("ines")).await;
    assert_eq!(deployment.calls("Authenticate"), 2);
}

#[tokio::test]
async fn groups_are_made_joined_and_left() {
    let deployment = Deployment::start().await;
    let provisioner = provisioner(&deployment);
    let account = made(&provisioner, &new_account("mara")).await;
    let first = provisioner
        .sync_groups(
            &account,
            &wanted(&["crew", "deck, upper", "Gr\u{fc}n"], true),
        )
        .await;
    assert_eq!(first.unwrap().created.len(), 3);
    let second = provisioner
        .sync_groups(&account, &wanted(&["CREW", "bridge"], true))
        .await
        .unwrap();
    assert_eq!((second.added.len(), second.removed.len()), (1, 2));
    let again = provisioner
        .sync_groups(&account, &wanted(&["crew", "bridge"], true))
        .await
        .unwrap();
    assert!(again.is_unchanged(), "{again:?}");
    let none = provisioner
        .sync_groups(&account, &wanted(&[], true))
        .await
        .unwrap();
    assert_eq!(none.removed.len(), 2);
    assert_eq!(members(&deployment).len(), 4, "an emptied group stays");
}

#[tokio::test]
async fn groups_that_do_not_exist_are_created_only_if_they_are_to_be() {
    let deployment = Deployment::start().await;
    let provisioner = provisioner(&deployment);
    let account = made(&provisioner, &new_account("mara")).await;
    let report = provisioner
        .sync_groups(&account, &wanted(&["crew"], false))
        .await
        .unwrap();
    assert_eq!(report.missing, ["crew"]);
    assert!(members(&deployment).is_empty());
}

#[tokio::test]
async fn a_group_whose_id_is_the_name_is_another_group() {
    let deployment = Deployment::start().await;
    let provisioner = provisioner(&deployment);
    let account = made(&provisioner, &new_account("mara")).await;
    let other = Group {
        id: "board".to_owned(),
        name: "secrets of the board".to_owned(),
        members: Vec::new(),
    };
    deployment.world.lock().groups.push(other);
    provisioner
        .sync_groups(&account, &wanted(&["board"], true))
        .await
        .unwrap();
    assert_eq!(
        members(&deployment),
        [
            ("secrets of the board".to_owned(), 0),
            ("board".to_owned(), 1)
        ]
    );
}

#[tokio::test]
async fn parallel_syncs_of_many_people_lose_nobody() {
    let deployment = Deployment::start().await;
    let provisioner = provisioner(&deployment);
    let mut people = Vec::new();
    for n in 0..12 {
        people.push(made(&provisioner, &new_account(&format!("user{n}"))).await);
    }
    let sync = wanted(&["crew"], true);
    let reports = join_all(people.iter().map(|one| provisioner.sync_groups(one, &sync))).await;
    assert!(reports.iter().all(Result::is_ok), "{reports:?}");
    assert_eq!(members(&deployment), [("crew".to_owned(), 12)]);
}
