//! Which role a login has: drivers `default` and `oidc` over the stored role (docs/design/design.md 2, Roles;
//! docs/design/contract.md 2.2).

mod elsewhere;

use serde_json::Value;

use crate::config::accounts::{RoleAssignment, RoleMapping, RoleSync};
use crate::model::{
    ClaimPath, ClaimRequirement, Claims, Fault, Reason, Role, StoredRole, UserType,
};

/// How many claim values a refusal names; the log line has to stay readable.
const SHOWN_VALUES: usize = 20;
/// How many characters of each.
const SHOWN_CHARS: usize = 80;

/// Everything configured about roles.
#[derive(Debug, Clone, Copy)]
pub struct RoleRules<'a> {
    /// The issuer's driver.
    pub assignment: &'a RoleAssignment,
    /// When the claim decides.
    pub sync: RoleSync,
    /// Who holds this claim is admin at first login.
    pub bootstrap_admin: Option<&'a ClaimRequirement>,
    /// Whether an assigned role can be written to its store; `false` keeps it in memory.
    pub writable: bool,
}

/// The role a login gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assigned {
    /// The role.
    pub role: Role,
    /// It differs from the stored one and has to be written.
    pub write: bool,
    /// What decided.
    pub by: AssignedBy,
}

/// What decided about a role, for `explain` and the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssignedBy {
    /// The stored role.
    Stored,
    /// The entry of the mapping at this position.
    Mapping(usize),
    /// The bootstrap rule.
    Bootstrap,
    /// Driver `default`.
    Default,
}

/// Why a login has no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoleError {
    /// Nothing gives the person a role: 403.
    #[error("no role: {0}")]
    NoRole(String),
    /// The role attribute holds somebody else's data, which is never overwritten: 503.
    #[error("the account's role attribute holds {0:?}, which is no role name")]
    Foreign(String),
}

impl RoleError {
    /// Whose fault it is. Somebody else's data in the place of a role says nothing about the person.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::NoRole(_) => Fault::Caller,
            Self::Foreign(_) => Fault::Remote,
        }
    }

    /// The stable word.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::NoRole(_) => Reason::NoRole,
            Self::Foreign(_) => Reason::RoleAttributeForeign,
        }
    }
}

impl RoleRules<'_> {
    /// The role of who has these claims and this stored role (`None`: a new account, or one without a role).
    ///
    /// # Errors
    /// [`RoleError`]; never a role nobody asked for.
    pub fn assign(
        &self,
        claims: &Claims,
        stored: Option<&StoredRole>,
        user_type: UserType,
    ) -> Result<Assigned, RoleError> {
        let is_one = !matches!(stored, Some(StoredRole::Several(_)));
        let stored = match stored {
            // Where nothing may be written, somebody else's data is in nobody's way.
            Some(StoredRole::Foreign(_)) if !self.writable => None,
            Some(StoredRole::Foreign(text)) => return Err(RoleError::Foreign(shorten(text))),
            Some(StoredRole::Known(role) | StoredRole::Several(role)) => Some(*role),
            None => None,
        };
        let (role, by) = self.decide(claims, stored, user_type)?;
        Ok(Assigned {
            role,
            by,
            write: self.writable && (stored != Some(role) || !is_one),
        })
    }

    fn decide(
        &self,
        claims: &Claims,
        stored: Option<Role>,
        user_type: UserType,
    ) -> Result<(Role, AssignedBy), RoleError> {
        let is_bootstrap = self
            .bootstrap_admin
            .is_some_and(|wanted| wanted.holds(claims));
        match (self.assignment, stored) {
            (RoleAssignment::Default, Some(role)) => Ok((role, AssignedBy::Stored)),
            (RoleAssignment::Oidc { .. }, Some(role)) if self.sync != RoleSync::Always => {
                Ok((role, AssignedBy::Stored))
            }
            (_, None) if is_bootstrap => Ok((Role::Admin, AssignedBy::Bootstrap)),
            (RoleAssignment::Default, None) => {
                let role = match user_type {
                    UserType::Member => Role::User,
                    UserType::Guest | UserType::Lightweight => Role::UserLight,
                };
                Ok((role, AssignedBy::Default))
            }
            (RoleAssignment::Oidc { .. }, None) if self.sync == RoleSync::Never => Err(
                RoleError::NoRole("the account has no role and `role_sync` is `never`".to_owned()),
            ),
            (RoleAssignment::Oidc { claim, mapping }, _) => match mapped(claims, claim, mapping) {
                // The bootstrap admin is one at first login; a later login must not lock them out again.
                Err(_) if is_bootstrap => Ok((Role::Admin, AssignedBy::Bootstrap)),
                decided => decided,
            },
        }
    }
}

/// The text values of the role claim, and which entries of a mapping each of them meets; for `explain`.
#[must_use]
pub(crate) fn compare<'a>(
    claims: &'a Claims,
    claim: &ClaimPath,
    mapping: &[RoleMapping],
) -> (Vec<&'a str>, Vec<bool>) {
    let values = values(claims, claim);
    let met = mapping
        .iter()
        .map(|entry| values.iter().any(|value| matches(entry, value)))
        .collect();
    (values, met)
}

/// The first mapping, in configured order, whose value is in the claim.
fn mapped(
    claims: &Claims,
    claim: &ClaimPath,
    mapping: &[RoleMapping],
) -> Result<(Role, AssignedBy), RoleError> {
    let values = values(claims, claim);
    mapping
        .iter()
        .position(|entry| values.iter().any(|value| matches(entry, value)))
        .map(|position| (mapping[position].role, AssignedBy::Mapping(position)))
        .ok_or_else(|| RoleError::NoRole(explain_miss(claims, claim, &values, mapping)))
}

fn matches(entry: &RoleMapping, value: &str) -> bool {
    entry.value == value
        || entry
            .pattern
            .as_ref()
            .and_then(|pattern| pattern.find(value))
            .is_some_and(|found| found.len() == value.len())
}

/// The strings of a claim: itself and its comma-separated parts, the strings of a list, or the keys of an object.
/// Anything else in a list is skipped.
fn values<'a>(claims: &'a Claims, path: &ClaimPath) -> Vec<&'a str> {
    match claims.at(path) {
        Some(Value::String(text)) => {
            let mut values = vec![text.as_str()];
            if text.contains(',') {
                values.extend(
                    text.split(',')
                        .map(str::trim)
                        .filter(|part| !part.is_empty()),
                );
            }
            values
        }
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        Some(Value::Object(map)) => map.keys().map(String::as_str).collect(),
        _ => Vec::new(),
    }
}

fn explain_miss(
    claims: &Claims,
    claim: &ClaimPath,
    values: &[&str],
    mapping: &[RoleMapping],
) -> String {
    let expected: Vec<&str> = mapping.iter().map(|entry| entry.value.as_str()).collect();
    let found = match claims.at(claim) {
        None => format!(
            "is absent (the issuer may send it only for a scope that the client has to ask for, which webfinger can tell it \
             (WEBFINGER_*_OIDC_CLIENT_SCOPES), or under another name (PROXY_ROLE_ASSIGNMENT_OIDC_CLAIM); {})",
            claims.granted_scopes()
        ),
        Some(_) if values.is_empty() => "has no text values".to_owned(),
        Some(_) => format!("has {}", list(values)),
    };
    let present: Vec<&str> = claims.0.keys().map(String::as_str).collect();
    let elsewhere = match elsewhere::paths(claims, mapping).as_slice() {
        [] => String::new(),
        paths => format!(
            "; such a value is in {} (PROXY_ROLE_ASSIGNMENT_OIDC_CLAIM={})",
            paths.join(", "),
            paths[0]
        ),
    };
    format!(
        "claim `{claim}` {found}; a role needs one of {}{elsewhere}; claims present: {}",
        list(&expected),
        list(&present)
    )
}

fn list(values: &[&str]) -> String {
    let mut shown: Vec<String> = values
        .iter()
        .take(SHOWN_VALUES)
        .map(|value| shorten(value))
        .collect();
    if values.len() > SHOWN_VALUES {
        shown.push(format!("{} more", values.len() - SHOWN_VALUES));
    }
    format!("[{}]", shown.join(", "))
}

fn shorten(text: &str) -> String {
    text.chars()
        .take(SHOWN_CHARS)
        .flat_map(char::escape_debug)
        .collect()
}

#[cfg(test)]
mod tests;
