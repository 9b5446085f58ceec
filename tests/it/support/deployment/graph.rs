//! The graph service: users and groups are made and changed here.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{Fault, Group, State, User, World};
use davgate::door::model::Role;

/// A server that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(super) async fn start(world: World) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    continue;
                };
                let world = world.clone();
                connections.spawn(async move {
                    let service = service_fn(move |request| serve(request, world.clone()));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { addr, task }
    }
}

type Said = (u16, Value);

async fn serve(
    request: Request<Incoming>,
    world: World,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes());
    let body: Value = serde_json::from_slice(&body.unwrap_or_default()).unwrap_or_default();
    let path = parts.uri.path().strip_prefix("/graph/v1.0/").unwrap_or("");
    let segments: Vec<String> = path
        .split('/')
        .map(|one| percent_decode_str(one).decode_utf8().unwrap().into_owned())
        .collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let method = format!("{} {}", parts.method, segments[0]);
    let fault = world.arrived("graph", &method).await;
    let token = parts.headers.get("x-access-token");
    let token = token.and_then(|token| token.to_str().ok()).unwrap_or("");
    let (status, body) = {
        let mut state = world.lock();
        match (fault, state.tokens.get(token).cloned()) {
            (Some(Fault::Grpc(status, text)), _) => error(status, "generalException", text),
            (_, None) => error(401, "InvalidAuthenticationToken", "Access token is empty."),
            (_, Some(owner)) if owner == state.service_account.0 => {
                let expand = parts
                    .uri
                    .query()
                    .is_some_and(|query| query.contains("memberOf"));
                answer(&mut state, &parts.method, &segments, &body, expand)
            }
            _ => error(403, "accessDenied", "Forbidden"),
        }
    };
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    Ok(Response::builder()
        .status(StatusCode::from_u16(status).unwrap())
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body)))
        .unwrap())
}

fn answer(
    state: &mut State,
    method: &Method,
    segments: &[&str],
    body: &Value,
    expand: bool,
) -> Said {
    match (method.as_str(), segments) {
        ("POST", ["users"]) => create_user(state, body),
        ("GET", ["users", name]) => match user(state, name) {
            // The mail address is not shown to the service account here.
            Some(at) => (200, shown(state, at, expand, false)),
            None => not_found(),
        },
        ("PATCH", ["users", name]) => match user(state, name) {
            Some(at) => update_user(state, at, body),
            None => not_found(),
        },
        ("POST", ["groups"]) => create_group(state, body),
        ("GET", ["groups", name]) => match group(state, name) {
            Some(at) => (200, shown_group(&state.groups[at])),
            None => not_found(),
        },
        ("POST", ["groups", group, "members", "$ref"]) => {
            let member = body["@odata.id"].as_str().unwrap_or("");
            let member = member.rsplit('/').next().unwrap_or("").to_owned();
            add_member(state, group, &member)
        }
        ("DELETE", ["groups", group, "members", member, "$ref"]) => {
            remove_member(state, group, member)
        }
        _ => error(501, "generalException", "unsupported"),
    }
}

fn create_user(state: &mut State, body: &Value) -> Said {
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    let Some(display_name) = text("displayName") else {
        let text = "invalid request body: no value given for required property displayName";
        return error(400, "invalidRequest", text);
    };
    let name = text("onPremisesSamAccountName").unwrap_or_default();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ".-_@+".contains(c);
    if name.is_empty() || !name.chars().all(is_plain) {
        return error(400, "invalidRequest", "Invalid username");
    }
    if body["mail"]
        .as_str()
        .is_some_and(|mail| !mail.contains('@'))
    {
        return error(400, "invalidRequest", "invalid email address");
    }
    if state
        .users
        .iter()
        .any(|user| user.name.eq_ignore_ascii_case(&name))
    {
        let text = "a user with that name already exists";
        return error(409, "nameAlreadyExists", text);
    }
    let identities = body["identities"].as_array().cloned().unwrap_or_default();
    let text_of = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let user = User {
        mail: text("mail").unwrap_or_default(),
        display_name,
        identities: identities
            .iter()
            .map(|one| (text_of(&one["issuer"]), text_of(&one["issuerAssignedId"])))
            .collect(),
        ..User::new(&name)
    };
    // The service gives new users their role by itself.
    let role = Role::User.id().to_owned();
    state.assignments.insert(user.id.clone(), vec![role]);
    state.users.push(user);
    let at = state.users.len() - 1;
    let mut shown = shown(state, at, false, true);
    shown.as_object_mut().unwrap().remove("accountEnabled");
    (201, shown)
}

fn update_user(state: &mut State, at: usize, body: &Value) -> Said {
    let changes = body.as_object().cloned().unwrap_or_default();
    if changes.is_empty() {
        return (204, Value::Null);
    }
    if body["mail"]
        .as_str()
        .is_some_and(|mail| !mail.contains('@'))
    {
        let text = format!(
            "'{}' is not a valid email address",
            body["mail"].as_str().unwrap()
        );
        return error(400, "invalidRequest", &text);
    }
    let user = &mut state.users[at];
    if let Some(name) = body["displayName"].as_str() {
        user.display_name = name.to_owned();
    }
    if let Some(mail) = body["mail"].as_str() {
        user.mail = mail.to_owned();
    }
    (200, shown(state, at, false, true))
}

fn create_group(state: &mut State, body: &Value) -> Said {
    let name = body["displayName"].as_str().unwrap_or("");
    if name.is_empty() {
        return error(400, "invalidRequest", "Invalid displayName");
    }
    if state
        .groups
        .iter()
        .any(|group| group.name.eq_ignore_ascii_case(name))
    {
        return error(409, "nameAlreadyExists", "group already exists");
    }
    let group = Group {
        id: uuid::Uuid::new_v4().to_string(),
        name: name.to_owned(),
        members: Vec::new(),
    };
    let shown = shown_group(&group);
    state.groups.push(group);
    (201, shown)
}

/// Again is no fault.
fn add_member(state: &mut State, name: &str, member: &str) -> Said {
    let known = state.users.iter().any(|user| user.id == member);
    match group(state, name) {
        Some(at) if known => {
            let members = &mut state.groups[at].members;
            members.retain(|one| one != member);
            members.push(member.to_owned());
            (204, Value::Null)
        }
        _ => not_found(),
    }
}

/// Again is not found.
fn remove_member(state: &mut State, name: &str, member: &str) -> Said {
    let Some(at) = group(state, name) else {
        return not_found();
    };
    let members = &mut state.groups[at].members;
    let before = members.len();
    members.retain(|one| one != member);
    match members.len() < before {
        true => (204, Value::Null),
        false => not_found(),
    }
}

fn user(state: &State, name: &str) -> Option<usize> {
    let is = |user: &User| user.name.eq_ignore_ascii_case(name) || user.id == name;
    state.users.iter().position(is)
}

fn group(state: &State, name: &str) -> Option<usize> {
    let is = |group: &Group| group.name.eq_ignore_ascii_case(name) || group.id == name;
    state.groups.iter().position(is)
}

fn shown(state: &State, at: usize, expand: bool, with_mail: bool) -> Value {
    let user = &state.users[at];
    let mut shown = json!({
        "accountEnabled": user.enabled, "displayName": user.display_name, "id": user.id,
        "onPremisesSamAccountName": user.name, "surname": user.name, "userType": "Member",
    });
    if with_mail && !user.mail.is_empty() {
        shown["mail"] = user.mail.clone().into();
    }
    if expand {
        let of = state
            .groups
            .iter()
            .filter(|group| group.members.contains(&user.id));
        shown["memberOf"] = of.map(shown_group).collect();
    }
    shown
}

fn shown_group(group: &Group) -> Value {
    json!({"displayName": group.name, "groupTypes": [], "id": group.id})
}

fn not_found() -> Said {
    error(404, "itemNotFound", "not found")
}

fn error(status: u16, code: &str, message: &str) -> Said {
    let inner = json!({"date": "2026-11-29T11:31:19Z", "request-id": "localhost/1"});
    (
        status,
        json!({"error": {"code": code, "innererror": inner, "message": message}}),
    )
}
