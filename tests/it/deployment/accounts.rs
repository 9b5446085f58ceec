//! The account backend `cs3`, as far as it can do what the others can.

use davgate::door::accounts::cs3::Cs3Directory;
use davgate::door::accounts::{AccountKey, DirectoryError, UserDirectory};
use davgate::door::model::{ExternalIdentity, UserType};

use super::Clients;
use crate::support::deployment::{Deployment, Fault, Group, User};

fn directory(deployment: &Deployment) -> Cs3Directory {
    let clients = Clients::of(deployment);
    Cs3Directory::new(clients.cs3, clients.logins)
}

fn by_name(name: &str) -> AccountKey {
    AccountKey::Username(name.to_owned())
}

#[tokio::test]
async fn an_account_is_found_by_name_mail_and_id() {
    let deployment = Deployment::start().await;
    let alan = deployment.add(User::new("alan"));
    let crew = Group {
        id: "509a9dcd-bb37-4f4f-a01a-19dca27d9cfa".to_owned(),
        name: "crew".to_owned(),
        members: vec![alan.id.clone()],
    };
    deployment.world.lock().groups.push(crew);
    let directory = directory(&deployment);
    directory.probe().await.unwrap();
    let by_id = AccountKey::UserId(alan.id.clone());
    let found = directory.find(&by_id).await.unwrap().unwrap();
    assert_eq!(
        (found.username.as_str(), found.display_name.as_str()),
        ("alan", "alan of example")
    );
    assert_eq!(found.groups[0].id, "509a9dcd-bb37-4f4f-a01a-19dca27d9cfa");
    assert!(found.enabled);
    for key in [
        by_name("alan"),
        by_name("ALAN"),
        AccountKey::Mail("alan@example.org".to_owned()),
    ] {
        assert_eq!(
            directory.find(&key).await.unwrap().as_ref(),
            Some(&found),
            "{key:?}"
        );
    }
}

#[tokio::test]
async fn what_is_not_there_is_none_and_not_an_error() {
    let deployment = Deployment::start().await;
    deployment.add(User::new("alan"));
    let directory = directory(&deployment);
    let identity = ExternalIdentity {
        issuer: "https://idp.test".to_owned(),
        subject: "alan".to_owned(),
    };
    for key in [
        by_name("nobody"),
        by_name("*"),
        AccountKey::Mail("no@example.org".to_owned()),
        AccountKey::UserId("not even a uuid".to_owned()),
        AccountKey::Identity(identity),
    ] {
        assert_eq!(directory.find(&key).await.unwrap(), None, "{key:?}");
    }
}

#[tokio::test]
async fn a_disabled_account_is_as_good_as_none() {
    let deployment = Deployment::start().await;
    let alan = deployment.add(User::new("alan"));
    deployment.world.lock().users[0].enabled = false;
    let directory = directory(&deployment);
    for key in [by_name("alan"), AccountKey::UserId(alan.id)] {
        assert_eq!(directory.find(&key).await.unwrap(), None, "{key:?}");
    }
}

#[tokio::test]
async fn trouble_is_told_apart_from_nobody() {
    let deployment = Deployment::start().await;
    deployment.add(User::new("alan"));
    let directory = directory(&deployment);
    deployment.fault(
        "Authenticate",
        Fault::Cs3(15, "error getting auth provider client"),
    );
    let outcome = directory.find(&by_name("alan")).await;
    assert!(
        matches!(outcome, Err(DirectoryError::Unavailable(_))),
        "{outcome:?}"
    );
    deployment.world.lock().machine_key = "another".to_owned();
    let outcome = directory.find(&by_name("alan")).await;
    assert!(
        matches!(outcome, Err(DirectoryError::Refused(_))),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_user_without_storage_of_their_own_is_told_as_such() {
    let deployment = Deployment::start().await;
    let light = User {
        kind: 7,
        ..User::new("lena")
    };
    deployment.add(light);
    let found = directory(&deployment)
        .find(&by_name("lena"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.user_type, UserType::Lightweight);
}
