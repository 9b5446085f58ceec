//! The CS3 gateway: logins, users, homes.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use davgate::door::model::Role;
use serde_json::{Value, json};

use super::grpc::{Answer, Call, Status};
use super::proto::Message;
use super::{Fault, SERVICE_ROLE, State, User, World};
use crate::support::gateway::JWT_SECRET;

/// Name of whoever issues the accounts' ids.
pub(crate) const IDP: &str = "https://cloud.example";

const OK: u64 = 1;
const INVALID_ARGUMENT: u64 = 4;
const NOT_FOUND: u64 = 6;
const ALREADY_EXISTS: u64 = 7;
const PERMISSION_DENIED: u64 = 8;
const INTERNAL: u64 = 15;

pub(crate) async fn answer(world: World, call: Call) -> Answer {
    world.hears(&call);
    let fault = world.arrived("gateway", call.method()).await;
    match fault {
        Some(Fault::Grpc(code, text)) => return Err(Status(code, text.to_owned())),
        Some(Fault::Cs3(code, text)) => return Ok(with_status(code, text)),
        Some(Fault::Bytes(bytes)) => return Ok(Message(bytes)),
        _ => {}
    }
    let mut state = world.lock();
    match call.method() {
        "Authenticate" => Ok(authenticate(&mut state, &call)),
        "GetUserByClaim" => Ok(user_by_claim(&state, &call)),
        "CreateHome" => Ok(create_home(&mut state, &call)),
        "Stat" => Ok(stat(&state, &call)),
        "GetTenantByClaim" => Ok(tenant_by_claim(&state, &call)),
        method => Err(Status(
            12,
            format!("unknown method {method} for service cs3.gateway.v1beta1.GatewayAPI"),
        )),
    }
}

fn authenticate(state: &mut State, call: &Call) -> Message {
    let (kind, id, secret) = (
        call.message.text(2),
        call.message.text(3),
        call.message.text(4),
    );
    let failed = |text: &str| format!("authsvc: error in Authenticate: error: {text}");
    let refused = || {
        with_status(
            INTERNAL,
            &format!("error authenticating credentials to auth provider for type: {kind}"),
        )
    };
    let granted = match kind.as_str() {
        "machine" if secret != state.machine_key => {
            return with_status(PERMISSION_DENIED, &failed("invalid credentials: "));
        }
        "machine" => {
            // An unknown word before the colon makes the whole text a user name.
            let known = id
                .split_once(':')
                .filter(|(claim, _)| ["username", "mail", "userid", "uid", "gid"].contains(claim));
            let (claim, value) = known.unwrap_or(("username", &id));
            match find(state, claim, value).filter(|user| user.enabled) {
                Some(user) => user.clone(),
                None => {
                    let text = failed(&format!("not found: user not found {claim} {value}"));
                    return with_status(NOT_FOUND, &text);
                }
            }
        }
        "basic" => match find(state, "username", &id) {
            None => return with_status(NOT_FOUND, &failed("not found: (uid)")),
            Some(_) if secret.is_empty() => return refused(),
            // A disabled user too: the real one lets them in.
            Some(user) if user.password == secret => user.clone(),
            Some(_) => {
                let text = failed(&format!("invalid credentials: {id}"));
                return with_status(PERMISSION_DENIED, &text);
            }
        },
        "appauth" => match find(state, "username", &id).filter(|user| user.enabled) {
            None => {
                let text = failed(&format!("not found: user not found username {id}"));
                return with_status(NOT_FOUND, &text);
            }
            Some(user) if user.app_passwords.contains(&secret) => user.clone(),
            Some(_) => return refused(),
        },
        "publicshares" => {
            let share = state.shares.iter().find(|share| share.0 == id);
            let Some((_, password, owner)) = share.cloned() else {
                return with_status(NOT_FOUND, &failed("not found: share"));
            };
            if secret != format!("password|{password}") {
                return with_status(PERMISSION_DENIED, &failed("access denied"));
            }
            match find(state, "userid", &owner) {
                Some(user) => user.clone(),
                None => return with_status(NOT_FOUND, &failed("not found: creator")),
            }
        }
        "serviceaccounts"
            if (&id, &secret) == (&state.service_account.0, &state.service_account.1) =>
        {
            let token = token(state, &id);
            let user = Message::new()
                .message(1, &Message::new().text(1, "none").text(2, &id).number(3, 3));
            return ok().text(3, &token).message(4, &user);
        }
        "serviceaccounts" => return refused(),
        _ => return with_status(INTERNAL, "error getting auth provider client"),
    };
    let token = token(state, &granted.id);
    ok().text(3, &token)
        .message(4, &user_message(state, &granted))
}

fn user_by_claim(state: &State, call: &Call) -> Message {
    let (claim, value) = (call.message.text(2), call.message.text(3));
    if !["username", "mail", "userid", "uid"].contains(&claim.as_str()) {
        return with_status(INTERNAL, "error getting user by claim");
    }
    match find(state, &claim, &value).filter(|user| user.enabled) {
        Some(user) => ok().message(3, &user_message(state, user)),
        None => with_status(NOT_FOUND, &format!("user not found {claim} {value}")),
    }
}

/// Only to the service account, and only by that one claim (docs/design/contract.md 1).
fn tenant_by_claim(state: &State, call: &Call) -> Message {
    let asks = call.metadata.get("x-access-token");
    let asks = asks.and_then(|token| owner_of(state, token));
    if asks.as_deref() != Some(state.service_account.0.as_str()) {
        return with_status(PERMISSION_DENIED, "not a service account");
    }
    if call.message.text(1) != "externalid" {
        return with_status(INTERNAL, "unknown claim");
    }
    let external = call.message.text(2);
    match state.tenants.iter().find(|(_, known)| *known == external) {
        Some((id, _)) => ok().message(2, &Message::new().text(1, id).text(3, &external)),
        None => with_status(NOT_FOUND, "tenant not found"),
    }
}

fn create_home(state: &mut State, call: &Call) -> Message {
    let owner = call.metadata.get("x-access-token");
    let Some(owner) = owner.and_then(|token| owner_of(state, token)) else {
        return with_status(PERMISSION_DENIED, "can't create home for anonymous user");
    };
    let quota = call.message.message(1).and_then(|opaque| {
        let entry = opaque
            .messages(1)
            .into_iter()
            .find(|entry| entry.text(1) == "quota");
        entry?.message(2).map(|entry| entry.text(2))
    });
    if let Some(quota) = &quota
        && quota.parse::<u64>().is_err()
    {
        return with_status(INVALID_ARGUMENT, &format!("can't parse quotaStr: {quota}"));
    }
    let may = [Role::Admin, Role::SpaceAdmin, Role::User].map(Role::id);
    let roles = state.assignments.get(&owner).cloned().unwrap_or_default();
    let service = owner == state.service_account.0;
    let entitled = |role: &String| may.contains(&role.as_str()) || role == SERVICE_ROLE;
    if !service && !roles.iter().any(entitled) {
        return with_status(PERMISSION_DENIED, "permission denied");
    }
    if state.homes.contains_key(&owner) {
        return with_status(ALREADY_EXISTS, "already exists");
    }
    state.homes.insert(owner, quota);
    ok()
}

/// Whose token it is: one of ours, or one that davgate minted with the secret of all services.
fn owner_of(state: &State, token: &str) -> Option<String> {
    if let Some(owner) = state.tokens.get(token) {
        return Some(owner.clone());
    }
    let key = jsonwebtoken::DecodingKey::from_secret(JWT_SECRET.as_bytes());
    let mut checks = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::HS256);
    checks.set_audience(&["reva"]);
    let claims = jsonwebtoken::decode::<Value>(token, &key, &checks)
        .ok()?
        .claims;
    Some(claims["user"]["id"]["opaque_id"].as_str()?.to_owned())
}

/// Every file is there, with the last segment of its path as its name.
fn stat(state: &State, call: &Call) -> Message {
    let reference = call.message.message(2).unwrap_or_default();
    let owner = call.metadata.get("x-access-token");
    if owner.is_none_or(|token| !state.tokens.contains_key(token)) {
        return with_status(NOT_FOUND, "gateway could not find space for ref=");
    }
    let id = reference.message(1).unwrap_or_default();
    let name = match reference.text(2).rsplit('/').next() {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => format!("{}.bin", id.text(2)),
    };
    ok().message(3, &Message::new().text(18, &name))
}

/// Names and mail addresses are compared without case.
fn find<'a>(state: &'a State, claim: &str, value: &str) -> Option<&'a User> {
    state.users.iter().find(|user| match claim {
        "username" => user.name.eq_ignore_ascii_case(value),
        "mail" => user.mail.eq_ignore_ascii_case(value),
        "userid" => user.id == value,
        _ => false,
    })
}

fn user_message(state: &State, user: &User) -> Message {
    let id = Message::new()
        .text(1, IDP)
        .text(2, &user.id)
        .number(3, user.kind)
        .text(4, &user.tenant);
    let mut message = Message::new()
        .message(1, &id)
        .text(2, &user.name)
        .text(3, &user.mail)
        .text(5, &user.display_name);
    for group in &state.groups {
        if group.members.contains(&user.id) {
            message = message.text(6, &group.id);
        }
    }
    message.number(8, 99).number(9, 99)
}

/// A token as the gateway's, without a signature that anybody checks here.
fn token(state: &mut State, owner: &str) -> String {
    let mut number = String::new();
    write!(number, "{}", state.tokens.len()).unwrap();
    let exp = super::super::now() + 86_400;
    let payload =
        json!({"iss": IDP, "exp": exp, "user": {"id": {"opaque_id": owner}}, "jti": number});
    let part = |text: String| URL_SAFE_NO_PAD.encode(text);
    let header = r#"{"alg":"HS256","typ":"JWT"}"#.to_owned();
    let token = format!(
        "{}.{}.{}",
        part(header),
        part(payload.to_string()),
        part(number)
    );
    state.tokens.insert(token.clone(), owner.to_owned());
    token
}

fn ok() -> Message {
    Message::new().message(1, &Message::new().number(1, OK))
}

fn with_status(code: u64, text: &str) -> Message {
    let trace = "0".repeat(32);
    let status = Message::new().number(1, code).text(2, text).text(3, &trace);
    Message::new().message(1, &status)
}
