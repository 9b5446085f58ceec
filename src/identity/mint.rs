//! Identities made here: the reva token of docs/design/contract.md 6, signed with the deployment's secret.

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

use super::{IdentityError, IdentitySource, Issued};
use crate::config;
use crate::model::{Account, Role, UnixTime, UserType};

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

#[async_trait]
impl IdentitySource for Minter {
    async fn issue(
        &self,
        account: &Account,
        role: Option<Role>,
        now: UnixTime,
    ) -> Result<Issued, IdentityError> {
        let token = jsonwebtoken::encode(
            &Header::new(Algorithm::HS256),
            &self.claims(account, role, now),
            &self.key,
        )
        .map_err(|error| IdentityError::Ours(error.to_string()))?;
        Issued::new(&token, now, self.lifetime)
    }
}

/// CS3 role `OWNER` of a scope.
const OWNER: u8 = 1;

const fn cs3_user_type(kind: UserType) -> u8 {
    match kind {
        UserType::Member => 1,
        UserType::Guest => 5,
        UserType::Lightweight => 7,
    }
}

// The reva token in Go's plain JSON form: snake_case, zero values left out, enums as numbers (docs/design/contract.md 6).

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
            aliases: Vec::new(),
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

    fn payload(issued: &Issued) -> Value {
        let token = issued.access_token.to_str().unwrap();
        serde_json::from_slice(
            &URL_SAFE_NO_PAD
                .decode(token.split('.').nth(1).unwrap())
                .unwrap(),
        )
        .unwrap()
    }

    #[tokio::test]
    async fn the_reva_token_is_the_one_of_the_contract_with_roles_embedded() {
        let now = UnixTime(1_700_000_000);
        let issued = minter().issue(&account(), Some(Role::User), now).await;
        let identity = issued.unwrap();
        assert_eq!(identity.renew_at, now.plus(Duration::from_secs(7_200)));
        assert_eq!(identity.last_at, now.plus(Duration::from_secs(14_340)));
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

    #[tokio::test]
    async fn the_tenant_is_part_of_the_users_id() {
        let account = Account {
            tenant: Some("t-7".to_owned()),
            ..account()
        };
        let minted = minter().issue(&account, None, UnixTime(0)).await.unwrap();
        assert_eq!(payload(&minted)["user"]["id"]["tenant_id"], "t-7");
    }

    #[tokio::test]
    async fn zero_values_are_left_out_as_go_leaves_them_out() {
        let bare = Account {
            mail: None,
            display_name: String::new(),
            groups: Vec::new(),
            tenant: None,
            uid_number: None,
            gid_number: None,
            ..account()
        };
        let user = &payload(&minter().issue(&bare, None, UnixTime(0)).await.unwrap())["user"];
        assert_eq!(
            user.as_object().unwrap().keys().collect::<Vec<_>>(),
            ["id", "username"]
        );
    }
}
