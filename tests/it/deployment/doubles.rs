//! The doubles against the recorded calls: the same question gets the same answer.

use std::collections::BTreeSet;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use davgate::door::model::Role;
use serde_json::Value;

use crate::support::deployment::grpc::{Call, Status};
use crate::support::deployment::proto::Fields;
use crate::support::deployment::{User, World, cs3, settings};

const ALAN: &str = "b1f74ec4-dd7e-11ef-a543-03775734d0f7";

fn recorded(service: &str) -> Vec<Value> {
    let path = format!(
        "{}/tests/data/opencloud/{service}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn fields(hex: &Value) -> Fields {
    let bytes = HEXLOWER
        .decode(hex.as_str().unwrap_or("").as_bytes())
        .unwrap();
    Fields::read(&bytes).unwrap()
}

fn call(recorded: &Value, service: &str) -> Call {
    let pairs = recorded["metadata"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Call {
        path: format!("/{service}/{}", recorded["method"].as_str().unwrap()),
        message: fields(&recorded["request_hex"]),
        bytes: Bytes::new(),
        metadata: pairs
            .iter()
            .map(|pair| (text(&pair[0]), text(&pair[1])))
            .collect(),
    }
}

/// As the recorded deployment was: its demo people, its keys.
fn world(calls: &[Value]) -> World {
    let secret = |kind: &str, id: &str| {
        let one = calls.iter().find(|one| {
            one["request"]["type"] == kind
                && one["request"]["client_id"]
                    .as_str()
                    .is_some_and(|c| c.contains(id))
        });
        one.unwrap()["request"]["client_secret"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let world = World::default();
    let mut state = world.lock();
    state.machine_key = secret("machine", "username:alan");
    let account = calls
        .iter()
        .find(|one| one["name"] == "serviceaccount ok")
        .unwrap();
    let of = |name: &str| account["request"][name].as_str().unwrap().to_owned();
    state.service_account = (of("client_id"), of("client_secret"));
    for (name, password, id) in [("alan", "demo", ALAN), ("admin", "admin", "admin-id")] {
        let mut user = User::new(name);
        (user.id, user.password) = (id.to_owned(), password.to_owned());
        state
            .assignments
            .insert(user.id.clone(), vec![Role::User.id().to_owned()]);
        state.users.push(user);
    }
    drop(state);
    world
}

#[tokio::test]
async fn logins_and_look_ups_are_answered_as_recorded() {
    let calls = recorded("cs3");
    let world = world(&calls);
    let mut compared = BTreeSet::new();
    for one in &calls {
        let kind = one["request"]["type"].as_str().unwrap_or("");
        let of_a_demo_person = !one["name"].as_str().unwrap().contains("abled");
        let known = match one["method"].as_str().unwrap() {
            "Authenticate" => ["machine", "basic", "serviceaccounts", "bearer", ""].contains(&kind),
            "GetUserByClaim" => true,
            _ => false,
        };
        if !known || !of_a_demo_person {
            continue;
        }
        let theirs = fields(&one["response_hex"]).message(1).unwrap();
        let answer = cs3::answer(world.clone(), call(one, "cs3.gateway.v1beta1.GatewayAPI")).await;
        let ours = Fields::read(&answer.unwrap().0)
            .unwrap()
            .message(1)
            .unwrap();
        assert_eq!(ours.number(1), theirs.number(1), "{}", one["name"]);
        // The words for a wrong login at a directory are the directory's.
        if kind != "basic" {
            assert_eq!(ours.text(2), theirs.text(2), "{}", one["name"]);
        }
        compared.insert(one["name"].to_string());
    }
    assert!(compared.len() > 40, "{}", compared.len());
}

#[tokio::test]
async fn roles_are_refused_in_the_recorded_words() {
    let world = World::default();
    let mut compared = 0;
    for one in recorded("settings") {
        let name = one["name"].as_str().unwrap();
        // What depends on who had which role before is not the double's subject.
        let of_state = [
            "self",
            "Assign self",
            "role-ids",
            "me with",
            "account-id me",
            "_uuid me",
            "me without",
        ];
        if of_state.iter().any(|word| name.contains(word)) || name.contains("admin account") {
            continue;
        }
        if let Some(actor) = one["metadata"].as_array().and_then(|pairs| {
            let actor = pairs.iter().find(|pair| pair[0] == "account-id");
            actor.and_then(|pair| pair[1].as_str())
        }) && name.contains("service account")
        {
            world.lock().service_account.0 = actor.to_owned();
        }
        let answer = settings::answer(world.clone(), call(&one, "RoleService")).await;
        let said = match &answer {
            Ok(_) => ("OK", ""),
            Err(Status(code, text)) => (
                match code {
                    3 => "INVALID_ARGUMENT",
                    7 => "PERMISSION_DENIED",
                    13 => "INTERNAL",
                    _ => "?",
                },
                text.as_str(),
            ),
        };
        assert_eq!(said.0, one["grpc_status"], "{name}");
        let words = |text: &str| -> Value { serde_json::from_str(text).unwrap_or_default() };
        let theirs = words(one["grpc_message"].as_str().unwrap_or(""));
        assert_eq!(words(said.1)["code"], theirs["code"], "{name}");
        compared += 1;
    }
    assert!(compared > 15, "{compared}");
}
