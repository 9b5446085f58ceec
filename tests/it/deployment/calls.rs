//! Calls by gRPC: what an answer refuses, what is nobody's fault, and how a service that comes back is found.

use std::time::Duration;

use davgate::door::config::Secret;
use davgate::door::config::deployment::GrpcTls;
use davgate::door::model::{Address, Role};
use davgate::door::rpc::cs3::{Authentication, Claim, Credentials, Cs3, Home, Homes, Refused};
use davgate::door::rpc::policies::{Policies, Question};
use davgate::door::rpc::settings::Settings;
use davgate::door::rpc::{Channels, RpcError};
use davgate::door::services::Directory;
use futures_util::future::join_all;

use super::Clients;
use crate::support::deployment::grpc::Server;
use crate::support::deployment::{Deployment, Fault, SERVICE_ACCOUNT, User};

fn refused(outcome: Result<Authentication, RpcError>) -> Refused {
    match outcome.unwrap() {
        Authentication::Refused(refused) => refused,
        Authentication::Granted(_) => panic!("granted"),
    }
}

#[tokio::test]
async fn a_login_is_granted_or_refused_for_a_reason() {
    let deployment = Deployment::start().await;
    let mut alan = User::new("alan");
    alan.password = "demo".to_owned();
    alan.app_passwords = vec!["app".to_owned()];
    let alan = deployment.add(alan);
    let clients = Clients::of(&deployment);
    let found = clients.logins.log_in(Claim::Mail, "ALAN@example.org").await;
    let granted = found.unwrap().unwrap();
    assert_eq!(
        (
            granted.id.opaque_id.as_str(),
            granted.user.username.as_str()
        ),
        (alan.id.as_str(), "alan")
    );
    assert!(
        clients
            .logins
            .log_in(Claim::Username, "nobody")
            .await
            .unwrap()
            .is_none()
    );

    let secret = Secret::new("wrong");
    let (name, password) = ("alan", &secret);
    let basic = clients
        .cs3
        .authenticate(Credentials::Basic { name, password })
        .await;
    assert_eq!(refused(basic), Refused::Wrong);
    let app = clients
        .cs3
        .authenticate(Credentials::AppPassword { name, password })
        .await;
    assert_eq!(refused(app), Refused::Wrong, "after a second look");
    let name = "nobody";
    let basic = clients
        .cs3
        .authenticate(Credentials::Basic { name, password })
        .await;
    assert_eq!(refused(basic), Refused::Unknown);
}

#[tokio::test]
async fn trouble_inside_the_gateway_is_never_a_wrong_password() {
    let deployment = Deployment::start().await;
    deployment.add(User::new("alan"));
    let clients = Clients::of(&deployment);
    let secret = Secret::new("wrong");
    let credentials = Credentials::AppPassword {
        name: "alan",
        password: &secret,
    };
    // The service of app passwords is not running.
    deployment.fault(
        "Authenticate",
        Fault::Cs3(15, "error getting auth provider client"),
    );
    let outcome = clients.cs3.authenticate(credentials).await;
    assert!(
        matches!(outcome, Err(RpcError::Failed { .. })),
        "{outcome:?}"
    );
    // The directory behind it is away: the second look says so.
    deployment.fault(
        "GetUserByClaim",
        Fault::Cs3(15, "error getting user by claim"),
    );
    let outcome = clients.cs3.authenticate(credentials).await;
    assert!(
        matches!(outcome, Err(RpcError::Failed { .. })),
        "{outcome:?}"
    );
    deployment.fault("Authenticate", Fault::Grpc(14, "going away"));
    deployment.fault("Authenticate", Fault::Grpc(14, "going away"));
    let outcome = clients.logins.log_in(Claim::Username, "alan").await;
    assert!(
        matches!(outcome, Err(RpcError::Unreachable { .. })),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_wrong_machine_key_is_davgates_own_fault() {
    let deployment = Deployment::start().await;
    deployment.add(User::new("alan"));
    let clients = Clients::of(&deployment);
    deployment.world.lock().machine_key = "another".to_owned();
    let outcome = clients.logins.log_in(Claim::Username, "alan").await;
    assert!(
        matches!(outcome, Err(RpcError::Credential { .. })),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_call_that_comes_late_is_given_up() {
    let deployment = Deployment::start().await;
    let clients = Clients::of(&deployment);
    deployment.fault("GetUserByClaim", Fault::Late(Duration::from_secs(60)));
    let outcome = clients.cs3.user_by_claim(Claim::Username, "alan").await;
    assert!(
        matches!(outcome, Err(RpcError::Timeout { .. })),
        "{outcome:?}"
    );
    let again = clients.cs3.user_by_claim(Claim::Username, "alan").await;
    assert_eq!(again, Ok(None), "the next call has a connection of its own");
}

#[tokio::test]
async fn a_gateway_that_restarts_is_used_again_at_once() {
    let deployment = Deployment::start().await;
    deployment.add(User::new("alan"));
    let world = deployment.world.clone();
    let serve = |port| {
        let world = world.clone();
        Server::start(port, move |call| {
            crate::support::deployment::cs3::answer(world.clone(), call)
        })
    };
    let first = serve(0).await;
    let addr = first.addr;
    let channels = Channels::new(
        Directory::new(davgate::door::config::Flavor::OpenCloud),
        &GrpcTls::Off,
    );
    let gateway = Address::parse(&addr.to_string()).unwrap();
    let cs3 = Cs3::new(channels.unwrap(), gateway);
    assert!(
        cs3.user_by_claim(Claim::Username, "alan")
            .await
            .unwrap()
            .is_some()
    );
    drop(first);
    // The port is free once the server's task is gone.
    let away = cs3.user_by_claim(Claim::Username, "alan").await;
    assert!(
        matches!(away, Err(RpcError::Unreachable { .. })),
        "{away:?}"
    );
    let _second = serve(addr.port()).await;
    let back = async {
        while cs3.user_by_claim(Claim::Username, "alan").await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), back)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_connection_that_broke_costs_no_call() {
    let deployment = Deployment::start().await;
    deployment.add(User::new("alan"));
    let world = deployment.world.clone();
    let serve = |port| {
        let world = world.clone();
        Server::start(port, move |call| {
            crate::support::deployment::cs3::answer(world.clone(), call)
        })
    };
    let mut server = serve(0).await;
    let addr = server.addr;
    let channels = Channels::new(
        Directory::new(davgate::door::config::Flavor::OpenCloud),
        &GrpcTls::Off,
    );
    let cs3 = Cs3::new(
        channels.unwrap(),
        Address::parse(&addr.to_string()).unwrap(),
    );
    for round in 0..5 {
        let found = cs3.user_by_claim(Claim::Username, "alan").await;
        assert!(found.unwrap().is_some(), "round {round}");
        drop(server);
        server = serve(addr.port()).await;
    }
}

#[tokio::test]
async fn parallel_first_homes_are_one_call_and_a_lost_race_is_tried_again() {
    let deployment = Deployment::start().await;
    let alan = deployment.add(User::new("alan"));
    deployment.world.lock().homes.clear();
    let clients = Clients::of(&deployment);
    let homes = Homes::new(
        clients.cs3.clone(),
        [(Role::User.id().to_owned(), 5_000_000)].into(),
    );
    let granted = clients
        .logins
        .log_in(Claim::Username, "alan")
        .await
        .unwrap()
        .unwrap();
    deployment.fault("CreateHome", Fault::Cs3(15, "error creating space"));
    let all =
        join_all((0..20).map(|_| homes.make(&alan.id, Some(Role::User), &granted.token))).await;
    assert!(all.iter().all(|home| *home == Ok(Home::Ready)), "{all:?}");
    assert_eq!(
        deployment.calls("CreateHome"),
        2,
        "the one that failed and the one that did not"
    );
    let quota = deployment.world.lock().homes[&alan.id].clone();
    assert_eq!(quota.as_deref(), Some("5000000"));
}

#[tokio::test]
async fn a_role_without_the_right_has_no_home_and_a_dead_token_is_not_that() {
    let deployment = Deployment::start().await;
    let alan = deployment.add(User::new("alan"));
    let clients = Clients::of(&deployment);
    let granted = clients
        .logins
        .log_in(Claim::Username, "alan")
        .await
        .unwrap()
        .unwrap();
    let light = vec![Role::UserLight.id().to_owned()];
    deployment
        .world
        .lock()
        .assignments
        .insert(alan.id.clone(), light);
    assert_eq!(
        clients.cs3.create_home(&granted.token, None).await,
        Ok(Home::None)
    );
    let dead = clients.cs3.create_home(&Secret::new("dead"), None).await;
    assert!(matches!(dead, Err(RpcError::Credential { .. })), "{dead:?}");
}

#[tokio::test]
async fn roles_are_listed_and_assigned_by_the_service_account_alone() {
    let deployment = Deployment::start().await;
    let alan = deployment.add(User::new("alan"));
    let clients = Clients::of(&deployment);
    let service = Address::parse("eu.opencloud.api.settings").unwrap();
    let settings = Settings::new(clients.channels.clone(), service);
    let names: Vec<String> = settings
        .roles()
        .await
        .unwrap()
        .into_iter()
        .map(|role| role.name)
        .collect();
    assert_eq!(names, ["admin", "spaceadmin", "user", "user-light"]);
    assert_eq!(
        settings.roles_of(&alan.id).await.unwrap(),
        [Role::User.id()]
    );
    let by_alan = settings.assign(&alan.id, Role::Admin.id(), &alan.id).await;
    assert!(
        matches!(by_alan, Err(RpcError::Credential { .. })),
        "{by_alan:?}"
    );
    settings
        .assign(&alan.id, Role::Admin.id(), SERVICE_ACCOUNT)
        .await
        .unwrap();
    assert_eq!(
        settings.roles_of(&alan.id).await.unwrap(),
        [Role::Admin.id()]
    );
    let bad = settings.roles_of("a b").await;
    assert!(matches!(bad, Err(RpcError::Failed { .. })), "{bad:?}");
}

#[tokio::test]
async fn policies_say_yes_or_no_or_nothing() {
    let deployment = Deployment::start().await;
    deployment.world.lock().forbidden.push(".exe".to_owned());
    let clients = Clients::of(&deployment);
    let policies = Policies::new(
        clients.channels,
        Address::parse("eu.opencloud.api.policies").unwrap(),
    );
    let ask = |name: &'static str| {
        policies.evaluate(Question {
            query: "data.proxy.granted",
            method: "PUT",
            path: "/remote.php/dav/spaces/x",
            resource_name: name,
            person: None,
        })
    };
    assert_eq!(ask("a.txt").await, Ok(true));
    assert_eq!(ask("a.exe").await, Ok(false));
    deployment.fault("Evaluate", Fault::Grpc(2, "1 error occurred"));
    let outcome = ask("a.txt").await;
    assert!(
        matches!(outcome, Err(RpcError::Failed { .. })),
        "{outcome:?}"
    );
}
