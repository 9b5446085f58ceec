//! The CS3 gateway: logins of every kind, users, homes, files (docs/design/contract.md 1).
//!
//! Two layers can refuse, gRPC's and the answer's own status, and neither may be mistaken for the other. A CS3 code that
//! may stand for trouble inside the gateway is never told as somebody's wrong password.

mod answer;
mod homes;
mod machine;
mod messages;
mod service_account;

use std::fmt;
use std::time::Duration;

use http::uri::PathAndQuery;
use tokio::time::Instant;

use super::channels::label;
use super::{Call, Channels, RpcError};
use crate::config::Secret;
use crate::services::Address;
use answer::{Code, Outcome};
use messages::{
    AuthenticateRequest, AuthenticateResponse, CreateHomeRequest, CreateHomeResponse,
    GetTenantByClaimRequest, GetTenantByClaimResponse, GetUserByClaimRequest,
    GetUserByClaimResponse, Opaque, OpaqueEntry, StatRequest, StatResponse,
};

pub use homes::Homes;
pub use machine::MachineLogins;
pub(crate) use messages::UserType;
pub use messages::{Reference, ResourceId};
pub(crate) use messages::{ResourceInfo, User, UserId};
pub use service_account::ServiceAccount;

/// A client of the CS3 gateway. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Cs3 {
    channels: Channels,
    gateway: Address,
}

/// What somebody logs in with.
#[derive(Clone, Copy)]
pub enum Credentials<'a> {
    /// davgate vouches for the user.
    Machine {
        /// What names the user.
        claim: Claim,
        /// That name.
        value: &'a str,
        /// The deployment's machine key.
        key: &'a Secret,
    },
    /// Name and password.
    Basic {
        /// Login name.
        name: &'a str,
        /// Password; never empty.
        password: &'a Secret,
    },
    /// Name and app password.
    AppPassword {
        /// Login name.
        name: &'a str,
        /// App password; never empty.
        password: &'a Secret,
    },
    /// A public link and its password, which may be empty.
    SharePassword {
        /// The link's token.
        share: &'a str,
        /// Its password.
        password: &'a Secret,
    },
    /// A public link and the signature that the backend gave out for it.
    ShareSignature {
        /// The link's token.
        share: &'a str,
        /// 64 hex digits.
        signature: &'a str,
        /// RFC 3339.
        expiration: &'a str,
    },
    /// davgate's own account.
    ServiceAccount {
        /// Its id.
        id: &'a str,
        /// Its secret.
        secret: &'a Secret,
    },
}

/// What a user can be named by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Login name.
    Username,
    /// Mail address.
    Mail,
    /// Account id.
    UserId,
}

impl Claim {
    const fn name(self) -> &'static str {
        match self {
            Self::Username => "username",
            Self::Mail => "mail",
            Self::UserId => "userid",
        }
    }
}

/// What came of a login.
#[derive(Debug, Clone)]
pub enum Authentication {
    /// It is good.
    Granted(Box<Granted>),
    /// It is not.
    Refused(Refused),
}

/// A good login.
#[derive(Debug, Clone)]
pub struct Granted {
    /// The reva token, of 24 hours.
    pub token: Secret,
    /// Whose it is.
    pub user: User,
    /// Its id.
    pub id: UserId,
}

/// Why a login is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// There is no such user or link; a disabled user counts as none.
    Unknown,
    /// Password or signature is wrong.
    Wrong,
}

/// What became of a home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// It is there, now or already.
    Ready,
    /// The user may have none: the role lacks the right, or the kind of user.
    None,
}

/// For a call that hits memory or a directory.
const DEADLINE: Duration = Duration::from_secs(5);
/// An app password is compared with every stored one, at a tenth of a second each.
const PASSWORD_DEADLINE: Duration = Duration::from_secs(10);
/// The first CreateHome makes folders.
const HOME_DEADLINE: Duration = Duration::from_secs(10);

/// Metadata that names who acts.
const ACCESS_TOKEN: &str = "x-access-token";

impl Cs3 {
    /// A client of the gateway at that address.
    #[must_use]
    pub fn new(channels: Channels, gateway: Address) -> Self {
        Self { channels, gateway }
    }

    /// Logs somebody in.
    ///
    /// # Errors
    /// [`RpcError::Credential`] if davgate's own key or account is refused; else nothing is known.
    pub async fn authenticate(
        &self,
        credentials: Credentials<'_>,
    ) -> Result<Authentication, RpcError> {
        let deadline = match credentials {
            Credentials::Basic { .. } | Credentials::AppPassword { .. } => PASSWORD_DEADLINE,
            _ => DEADLINE,
        };
        let started = Instant::now();
        let request = AuthenticateRequest::from(credentials);
        let answer: AuthenticateResponse = self
            .call(method("Authenticate"), request, None, deadline)
            .await?;
        let outcome = Outcome::of(answer.status, started.elapsed(), deadline);
        match (outcome.code, credentials) {
            (Code::Ok, _) => self.granted(answer.token, answer.user),
            (
                Code::PermissionDenied | Code::Unauthenticated,
                Credentials::Machine { .. } | Credentials::ServiceAccount { .. },
            ) => Err(self.credential(outcome)),
            (Code::NotFound, Credentials::ServiceAccount { .. }) => Err(self.credential(outcome)),
            (Code::NotFound, _) => Ok(Authentication::Refused(Refused::Unknown)),
            (Code::PermissionDenied | Code::Unauthenticated, _) => {
                Ok(Authentication::Refused(Refused::Wrong))
            }
            // A wrong service account ends in the same code as trouble, only the words differ.
            (Code::Internal, Credentials::ServiceAccount { .. }) if outcome.provider_refused() => {
                Err(self.credential(outcome))
            }
            (
                Code::Internal,
                Credentials::Basic { name, .. } | Credentials::AppPassword { name, .. },
            ) if outcome.provider_refused() => self.second_look(name).await,
            _ => Err(self.failed(outcome)),
        }
    }

    /// A refused password and a directory that is away end alike (docs/design/contract.md 1.4): if the directory answers
    /// about the person, it was the password.
    async fn second_look(&self, name: &str) -> Result<Authentication, RpcError> {
        let refused = match self.user_by_claim(Claim::Username, name).await? {
            Some(_) => Refused::Wrong,
            None => Refused::Unknown,
        };
        Ok(Authentication::Refused(refused))
    }

    /// The user of that name; `None`: there is none, or it is disabled.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub async fn user_by_claim(&self, claim: Claim, value: &str) -> Result<Option<User>, RpcError> {
        let request = GetUserByClaimRequest {
            claim: claim.name().to_owned(),
            value: value.to_owned(),
            skip_fetching_user_groups: false,
        };
        let started = Instant::now();
        let answer: GetUserByClaimResponse = self
            .call(method("GetUserByClaim"), request, None, DEADLINE)
            .await?;
        let outcome = Outcome::of(answer.status, started.elapsed(), DEADLINE);
        match (outcome.code, answer.user) {
            (Code::Ok, Some(user)) => Ok(Some(user)),
            (Code::Ok, None) => Err(self.unusable("no user in an answer that says OK")),
            (Code::NotFound, _) => Ok(None),
            _ => Err(self.failed(outcome)),
        }
    }

    /// Makes the personal space of the user whose token this is, unless it is there. Never with the token of a service
    /// account, which would get one.
    ///
    /// # Errors
    /// See [`RpcError`]; a lost race is tried once more here.
    pub async fn create_home(&self, token: &Secret, quota: Option<u64>) -> Result<Home, RpcError> {
        match self.create_home_once(token, quota).await {
            Err(RpcError::Failed { .. }) => self.create_home_once(token, quota).await,
            outcome => outcome,
        }
    }

    async fn create_home_once(&self, token: &Secret, quota: Option<u64>) -> Result<Home, RpcError> {
        let request = CreateHomeRequest {
            opaque: quota.map(quota_of),
        };
        let started = Instant::now();
        let answer: CreateHomeResponse = self
            .call(method("CreateHome"), request, Some(token), HOME_DEADLINE)
            .await?;
        let outcome = Outcome::of(answer.status, started.elapsed(), HOME_DEADLINE);
        match outcome.code {
            Code::Ok | Code::AlreadyExists => Ok(Home::Ready),
            // Also the answer to a dead token (docs/design/contract.md 1.1), told by its words.
            Code::PermissionDenied if outcome.message.contains("anonymous") => {
                Err(self.credential(outcome))
            }
            Code::PermissionDenied | Code::InvalidArgument => Ok(Home::None),
            _ => Err(self.failed(outcome)),
        }
    }

    /// What is there; `None`: nothing, or nothing that the token's user may see.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub async fn stat(
        &self,
        token: &Secret,
        reference: Reference,
    ) -> Result<Option<ResourceInfo>, RpcError> {
        let request = StatRequest {
            reference: Some(reference),
        };
        let started = Instant::now();
        let answer: StatResponse = self
            .call(method("Stat"), request, Some(token), DEADLINE)
            .await?;
        let outcome = Outcome::of(answer.status, started.elapsed(), DEADLINE);
        match (outcome.code, answer.info) {
            (Code::Ok, Some(info)) => Ok(Some(info)),
            (Code::Ok, None) => Err(self.unusable("nothing in an answer that says OK")),
            // The answer to a dead token (docs/design/contract.md 1.1).
            (Code::NotFound, _) if outcome.message.contains("could not find space") => {
                Err(self.failed(outcome))
            }
            (Code::NotFound, _) => Ok(None),
            _ => Err(self.failed(outcome)),
        }
    }

    /// The deployment's own id of the tenant that others know by `external_id`; `None`: there is none.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub async fn tenant_by_external_id(
        &self,
        service_token: &Secret,
        external_id: &str,
    ) -> Result<Option<String>, RpcError> {
        let request = GetTenantByClaimRequest {
            claim: "externalid".to_owned(),
            value: external_id.to_owned(),
        };
        let started = Instant::now();
        let answer: GetTenantByClaimResponse = self
            .call(
                method("GetTenantByClaim"),
                request,
                Some(service_token),
                DEADLINE,
            )
            .await?;
        let outcome = Outcome::of(answer.status, started.elapsed(), DEADLINE);
        match (outcome.code, answer.tenant) {
            (Code::Ok, Some(tenant)) => Ok(Some(tenant.id)),
            (Code::Ok, None) => Err(self.unusable("no tenant in an answer that says OK")),
            (Code::NotFound, _) => Ok(None),
            (Code::PermissionDenied | Code::Unauthenticated, _) => Err(self.credential(outcome)),
            _ => Err(self.failed(outcome)),
        }
    }

    async fn call<Q, A>(
        &self,
        path: PathAndQuery,
        message: Q,
        token: Option<&Secret>,
        deadline: Duration,
    ) -> Result<A, RpcError>
    where
        Q: prost::Message + Clone + 'static,
        A: prost::Message + Default + 'static,
    {
        let metadata = token.map(|token| (ACCESS_TOKEN, token.reveal()));
        let call = Call {
            service: &self.gateway,
            path,
            message,
            metadata: metadata.into_iter().collect(),
            deadline,
        };
        self.channels.unary(call).await
    }

    fn granted(&self, token: String, user: Option<User>) -> Result<Authentication, RpcError> {
        let user = user.ok_or_else(|| self.unusable("no user in a login that says OK"))?;
        let id = user.id.clone().filter(|id| !id.opaque_id.is_empty());
        let id = id.ok_or_else(|| self.unusable("a user without id"))?;
        if token.is_empty() {
            return Err(self.unusable("no token in a login that says OK"));
        }
        Ok(Authentication::Granted(Box::new(Granted {
            token: Secret::new(token),
            user,
            id,
        })))
    }

    fn credential(&self, outcome: Outcome) -> RpcError {
        RpcError::Credential {
            service: label(&self.gateway),
            detail: outcome.into_words(),
        }
    }

    fn failed(&self, outcome: Outcome) -> RpcError {
        outcome.into_error(&label(&self.gateway))
    }

    fn unusable(&self, detail: &str) -> RpcError {
        RpcError::unusable(&label(&self.gateway), detail)
    }
}

/// Says the kind alone.
impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Machine { .. } => "Machine",
            Self::Basic { .. } => "Basic",
            Self::AppPassword { .. } => "AppPassword",
            Self::SharePassword { .. } => "SharePassword",
            Self::ShareSignature { .. } => "ShareSignature",
            Self::ServiceAccount { .. } => "ServiceAccount",
        })
    }
}

fn method(name: &str) -> PathAndQuery {
    let path = format!("/cs3.gateway.v1beta1.GatewayAPI/{name}");
    PathAndQuery::try_from(path).unwrap_or(PathAndQuery::from_static("/"))
}

/// The gateway reads the quota here and not in the field of that name (docs/design/contract.md 1.3).
fn quota_of(bytes: u64) -> Opaque {
    let entry = OpaqueEntry {
        decoder: "plain".to_owned(),
        value: bytes.to_string().into_bytes(),
    };
    Opaque {
        map: [("quota".to_owned(), entry)].into(),
    }
}

impl From<Credentials<'_>> for AuthenticateRequest {
    fn from(credentials: Credentials<'_>) -> Self {
        let (kind, client_id, client_secret) = match credentials {
            Credentials::Machine { claim, value, key } => (
                "machine",
                format!("{}:{value}", claim.name()),
                key.reveal().to_owned(),
            ),
            Credentials::Basic { name, password } => {
                ("basic", name.to_owned(), password.reveal().to_owned())
            }
            Credentials::AppPassword { name, password } => {
                ("appauth", name.to_owned(), password.reveal().to_owned())
            }
            Credentials::SharePassword { share, password } => (
                "publicshares",
                share.to_owned(),
                format!("password|{}", password.reveal()),
            ),
            Credentials::ShareSignature {
                share,
                signature,
                expiration,
            } => (
                "publicshares",
                share.to_owned(),
                format!("signature|{signature}|{expiration}"),
            ),
            Credentials::ServiceAccount { id, secret } => {
                ("serviceaccounts", id.to_owned(), secret.reveal().to_owned())
            }
        };
        Self {
            kind: kind.to_owned(),
            client_id,
            client_secret,
        }
    }
}

#[cfg(test)]
mod tests;
