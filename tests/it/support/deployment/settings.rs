//! The settings service: roles and who has them.

use davgate::door::model::Role;

use super::grpc::{Answer, Call, Status};
use super::proto::Message;
use super::{Fault, World};

pub(crate) async fn answer(world: World, call: Call) -> Answer {
    if let Some(Fault::Grpc(code, text)) = world.arrived("settings", call.method()).await {
        return Err(Status(code, text.to_owned()));
    }
    match call.method() {
        "ListRoles" => Ok(roles()),
        "ListRoleAssignments" => {
            let account = valid_account(&call.message.text(1), "")?;
            Ok(assignments(&world, &account))
        }
        "AssignRoleToUser" => assign(&world, &call).await,
        method => Err(Status(12, format!("unknown service RoleService.{method}"))),
    }
}

fn roles() -> Message {
    Role::ALL.into_iter().fold(Message::new(), |all, role| {
        let bundle = Message::new()
            .text(1, role.id())
            .text(2, role.name())
            .number(3, 2);
        all.message(1, &bundle)
    })
}

fn assignments(world: &World, account: &str) -> Message {
    let state = world.lock();
    let roles = state.assignments.get(account).cloned().unwrap_or_default();
    roles.iter().fold(Message::new(), |all, role| {
        all.message(1, &assignment(account, role))
    })
}

fn assignment(account: &str, role: &str) -> Message {
    let id = uuid::Uuid::new_v4().to_string();
    Message::new().text(1, &id).text(2, account).text(3, role)
}

/// Reads, waits and writes, as the real one does: two at a time leave two assignments.
async fn assign(world: &World, call: &Call) -> Answer {
    let (account, role) = (call.message.text(1), call.message.text(2));
    let account = valid_account(&account, "account_uuid: ")?;
    if uuid::Uuid::parse_str(&role).is_err() {
        return Err(error(
            3,
            400,
            "role_id: must be a valid UUID.",
            "Bad Request",
        ));
    }
    let Some(actor) = call.metadata.get("account-id") else {
        return Err(error(
            13,
            500,
            "user not in context",
            "Internal Server Error",
        ));
    };
    if *actor != world.lock().service_account.0 {
        let text = "user has no role management permission";
        return Err(error(7, 403, text, "Forbidden"));
    }
    let before = world.lock().assignments.get(&account).cloned();
    tokio::task::yield_now().await;
    let mut state = world.lock();
    let current = state.assignments.entry(account.clone()).or_default();
    let known = before.unwrap_or_default();
    current.retain(|role| !known.contains(role));
    current.push(role.clone());
    Ok(Message::new().message(1, &assignment(&account, &role)))
}

fn valid_account(account: &str, prefix: &str) -> Result<String, Status> {
    let valid = |c: char| c.is_ascii_alphanumeric() || "-_.+@:".contains(c);
    match account {
        "" => Err(error(
            3,
            400,
            &format!("{prefix}cannot be blank"),
            "Bad Request",
        )),
        account if account.chars().all(valid) => Ok(account.to_owned()),
        _ => {
            let text = format!("{prefix}must be in a valid format");
            Err(error(3, 400, &text, "Bad Request"))
        }
    }
}

fn error(code: u16, http: u16, detail: &str, status: &str) -> Status {
    let json = serde_json::json!({"id": "opencloud-settings", "code": http, "detail": detail, "status": status});
    Status(code, json.to_string())
}
