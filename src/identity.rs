//! What backends are told about a person: the reva token of contract.md 6, or plain `Remote-*` headers.

mod returned;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Serialize;

use crate::config;
use crate::headers::{IdentityHeaders, RemoteHeaders};
use crate::model::{Account, Role, UnixTime, UserType};

pub use returned::{ReturnedToken, RevaKey};

/// Mints identities.
#[derive(Clone)]
pub struct Minter {
    key: EncodingKey,
    lifetime: Duration,
    idp: String,
}

impl std::fmt::Debug for Minter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Minter")
            .field("lifetime", &self.lifetime)
            .field("idp", &self.idp)
            .finish_non_exhaustive()
    }
}

/// Why an identity could not be made.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IdentityError {
    /// Signing or encoding failed: our fault.
    #[error("the identity could not be minted: {0}")]
    Mint(String),
}

/// Longest `Remote-Groups`; a person with more is refused where a route wants them (design.md 2, Headers).
pub const MAX_REMOTE_GROUPS: usize = 8 * 1024;

/// Everything outside printable ASCII, and what the encoding itself needs.
const REMOTE: &AsciiSet = &CONTROLS.add(b',').add(b'%').add(0x7f);

impl Minter {
    /// A minter for a configuration.
    #[must_use]
    pub fn new(identity: &config::Identity) -> Self {
        Self {
            key: EncodingKey::from_secret(identity.jwt_secret.reveal().as_bytes()),
            lifetime: identity.token_lifetime,
            idp: identity.idp.clone(),
        }
    }

    /// Mints at `now` for an account with this role; `with_remote`: some route wants [`RemoteHeaders`].
    ///
    /// # Errors
    /// [`IdentityError::Mint`] if the account's id is no header value or signing fails.
    pub fn mint(
        &self,
        account: &Account,
        role: Option<Role>,
        with_remote: bool,
        now: UnixTime,
    ) -> Result<IdentityHeaders, IdentityError> {
        let token = jsonwebtoken::encode(
            &Header::new(Algorithm::HS256),
            &self.claims(account, role, now),
            &self.key,
        )
        .map_err(|error| IdentityError::Mint(error.to_string()))?;
        let mut reva = header(&token)?;
        reva.set_sensitive(true);
        Ok(IdentityHeaders {
            access_token: Some(reva),
            remote: with_remote
                .then(|| remote_headers(account).map(Arc::new))
                .transpose()?,
        })
    }

    /// How long after minting the identity has to be renewed: at half its life.
    #[must_use]
    pub fn renew_after(&self) -> Duration {
        self.lifetime / 2
    }

    /// How long after minting the reva token may still be told to a backend.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    fn claims<'a>(
        &'a self,
        account: &'a Account,
        role: Option<Role>,
        now: UnixTime,
    ) -> RevaClaims<'a> {
        RevaClaims {
            iss: &self.idp,
            aud: ["reva"],
            exp: now.plus(self.lifetime).0,
            iat: now.0,
            user: User {
                id: UserId {
                    idp: &self.idp,
                    opaque_id: &account.id,
                    kind: cs3_user_type(account.user_type),
                    tenant_id: account.tenant.as_deref(),
                },
                username: &account.username,
                mail: account.mail.as_deref(),
                display_name: &account.display_name,
                groups: account
                    .groups
                    .iter()
                    .map(|group| group.id.as_str())
                    .collect(),
                opaque: role.map(|role| Opaque {
                    map: Roles {
                        roles: OpaqueEntry {
                            decoder: "json",
                            value: STANDARD.encode(format!("[\"{}\"]", role.id())),
                        },
                    },
                }),
                uid_number: account.uid_number.unwrap_or(0),
                gid_number: account.gid_number.unwrap_or(0),
            },
            scope: Scopes {
                user: Scope {
                    resource: OpaqueEntry {
                        decoder: "json",
                        value: STANDARD.encode("{\"path\":\"/\"}"),
                    },
                    role: OWNER,
                },
            },
        }
    }
}

/// CS3 role `OWNER` of a scope.
const OWNER: u8 = 1;

const fn cs3_user_type(kind: UserType) -> u8 {
    match kind {
        UserType::Member => 1,
        UserType::Guest => 5,
    }
}

// The reva token in Go's plain JSON form: snake_case, zero values left out, enums as numbers (contract.md 6).

#[derive(Serialize)]
struct RevaClaims<'a> {
    iss: &'a str,
    aud: [&'static str; 1],
    exp: i64,
    iat: i64,
    user: User<'a>,
    scope: Scopes,
}

#[derive(Serialize)]
struct User<'a> {
    id: UserId<'a>,
    username: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mail: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    display_name: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    opaque: Option<Opaque>,
    #[serde(skip_serializing_if = "is_zero")]
    uid_number: i64,
    #[serde(skip_serializing_if = "is_zero")]
    gid_number: i64,
}

#[derive(Serialize)]
struct UserId<'a> {
    idp: &'a str,
    opaque_id: &'a str,
    #[serde(rename = "type")]
    kind: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Opaque {
    map: Roles,
}

#[derive(Serialize)]
struct Roles {
    roles: OpaqueEntry,
}

#[derive(Serialize)]
struct OpaqueEntry {
    decoder: &'static str,
    value: String,
}

#[derive(Serialize)]
struct Scopes {
    user: Scope,
}

#[derive(Serialize)]
struct Scope {
    resource: OpaqueEntry,
    role: u8,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

fn remote_headers(account: &Account) -> Result<RemoteHeaders, IdentityError> {
    let groups: Vec<_> = account
        .groups
        .iter()
        .map(|group| encode(&group.name))
        .collect();
    Ok(RemoteHeaders {
        account_id: header(&encode(&account.id))?,
        user: header(&encode(&account.username))?,
        name: header(&encode(&account.display_name))?,
        email: account
            .mail
            .as_deref()
            .map(|mail| header(&encode(mail)))
            .transpose()?,
        groups: header(&groups.join(","))?,
    })
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, REMOTE).to_string()
}

fn header(text: &str) -> Result<HeaderValue, IdentityError> {
    HeaderValue::from_str(text).map_err(|error| IdentityError::Mint(error.to_string()))
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    use super::*;
    use crate::config::Secret;
    use crate::model::Group;

    fn account() -> Account {
        Account {
            id: "b1f74ec4-dd7e-11ef-a543-03775734d0f7".into(),
            username: "alan".into(),
            display_name: "Alan Türing, 100%".into(),
            mail: Some("alan@example.org".into()),
            user_type: UserType::Member,
            enabled: true,
            groups: vec![Group {
                id: "509a9dcd-bb37-4f4f-a01a-19dca27d9cfa".into(),
                name: "a,b".into(),
            }],
            role: None,
            identities: Vec::new(),
            tenant: None,
            uid_number: Some(99),
            gid_number: Some(99),
        }
    }

    fn minter() -> Minter {
        let identity = config::Identity {
            jwt_secret: Secret::new("0123456789abcdef0123456789abcdef"),
            token_lifetime: Duration::from_secs(14_400),
            idp: "https://cloud.example".into(),
        };
        Minter::new(&identity)
    }

    fn payload(identity: &IdentityHeaders) -> Value {
        let token = identity.access_token.as_ref().unwrap().to_str().unwrap();
        serde_json::from_slice(
            &URL_SAFE_NO_PAD
                .decode(token.split('.').nth(1).unwrap())
                .unwrap(),
        )
        .unwrap()
    }

    #[test]
    fn the_reva_token_is_the_one_of_the_contract_with_roles_embedded() {
        let identity = minter()
            .mint(&account(), Some(Role::User), true, UnixTime(1_700_000_000))
            .unwrap();
        assert_eq!(
            payload(&identity),
            json!({
                "iss": "https://cloud.example", "aud": ["reva"], "exp": 1_700_014_400, "iat": 1_700_000_000,
                "user": {
                    "id": {"idp": "https://cloud.example", "opaque_id": "b1f74ec4-dd7e-11ef-a543-03775734d0f7", "type": 1},
                    "username": "alan", "mail": "alan@example.org", "display_name": "Alan Türing, 100%",
                    "groups": ["509a9dcd-bb37-4f4f-a01a-19dca27d9cfa"],
                    "opaque": {"map": {"roles": {"decoder": "json", "value": STANDARD.encode("[\"d7beeea8-8ff4-406b-8fb6-ab2dd81e6b11\"]")}}},
                    "uid_number": 99, "gid_number": 99
                },
                "scope": {"user": {"resource": {"decoder": "json", "value": "eyJwYXRoIjoiLyJ9"}, "role": 1}}
            })
        );
    }

    #[test]
    fn the_tenant_is_part_of_the_users_id() {
        let account = Account {
            tenant: Some("t-7".to_owned()),
            ..account()
        };
        let minted = minter().mint(&account, None, true, UnixTime(0)).unwrap();
        assert_eq!(payload(&minted)["user"]["id"]["tenant_id"], "t-7");
    }

    #[test]
    fn zero_values_are_left_out_as_go_leaves_them_out() {
        let bare = Account {
            mail: None,
            display_name: String::new(),
            groups: Vec::new(),
            tenant: None,
            uid_number: None,
            gid_number: None,
            ..account()
        };
        let user = &payload(&minter().mint(&bare, None, true, UnixTime(0)).unwrap())["user"];
        assert_eq!(
            user.as_object().unwrap().keys().collect::<Vec<_>>(),
            ["id", "username"]
        );
    }

    #[test]
    fn remote_headers_encode_what_is_not_printable_ascii() {
        let identity = minter().mint(&account(), None, true, UnixTime(0)).unwrap();
        let remote = identity.remote.unwrap();
        assert_eq!(remote.name, "Alan T%C3%BCring%2C 100%25");
        assert_eq!(remote.groups, "a%2Cb");
    }

    #[test]
    fn more_than_8_kib_of_groups_can_be_told() {
        let many = (0..500)
            .map(|n| Group {
                id: n.to_string(),
                name: format!("group-with-a-long-name-{n}"),
            })
            .collect();
        let identity = minter()
            .mint(
                &Account {
                    groups: many,
                    ..account()
                },
                None,
                true,
                UnixTime(0),
            )
            .unwrap();
        assert!(identity.remote.unwrap().groups.len() > MAX_REMOTE_GROUPS);
    }
}
