//! The messages of CS3 that are sent and read, with the fields that matter here (docs/design/contract.md 1.3, docs/design/contract.md 1).
//! Fields that are not named are skipped when read.

use std::collections::BTreeMap;
use std::fmt;

/// `cs3.rpc.v1beta1.Status`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Status {
    /// Not a gRPC code: OK is 1.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// For the log.
    #[prost(string, tag = "2")]
    pub message: String,
    /// Id of the server's trace.
    #[prost(string, tag = "3")]
    pub trace: String,
}

/// `cs3.types.v1beta1.Opaque`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Opaque {
    /// By name.
    #[prost(btree_map = "string, message", tag = "1")]
    pub map: BTreeMap<String, OpaqueEntry>,
}

/// `cs3.types.v1beta1.OpaqueEntry`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct OpaqueEntry {
    /// `plain` or `json`.
    #[prost(string, tag = "1")]
    pub decoder: String,
    /// In that form.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

/// `cs3.identity.user.v1beta1.UserId`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UserId {
    /// Who names the user.
    #[prost(string, tag = "1")]
    pub idp: String,
    /// The account's id.
    #[prost(string, tag = "2")]
    pub opaque_id: String,
    /// See [`UserType`].
    #[prost(enumeration = "UserType", tag = "3")]
    pub kind: i32,
    /// From OpenCloud 4.0 on.
    #[prost(string, tag = "4")]
    pub tenant_id: String,
}

/// `cs3.identity.user.v1beta1.UserType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum UserType {
    /// Not said.
    Invalid = 0,
    /// A member.
    Primary = 1,
    /// A second account of a member.
    Secondary = 2,
    /// A service account.
    Service = 3,
    /// An application.
    Application = 4,
    /// A guest.
    Guest = 5,
    /// Of another deployment.
    Federated = 6,
    /// Without storage of their own.
    Lightweight = 7,
    /// The owner of a project space.
    SpaceOwner = 8,
}

/// `cs3.identity.user.v1beta1.User`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct User {
    /// Id.
    #[prost(message, optional, tag = "1")]
    pub id: Option<UserId>,
    /// Login name.
    #[prost(string, tag = "2")]
    pub username: String,
    /// Mail address.
    #[prost(string, tag = "3")]
    pub mail: String,
    /// Whether somebody verified it.
    #[prost(bool, tag = "4")]
    pub mail_verified: bool,
    /// Name shown to people.
    #[prost(string, tag = "5")]
    pub display_name: String,
    /// Ids of groups.
    #[prost(string, repeated, tag = "6")]
    pub groups: Vec<String>,
    /// Further things.
    #[prost(message, optional, tag = "7")]
    pub opaque: Option<Opaque>,
    /// POSIX id.
    #[prost(int64, tag = "8")]
    pub uid_number: i64,
    /// POSIX group.
    #[prost(int64, tag = "9")]
    pub gid_number: i64,
}

/// `cs3.gateway.v1beta1.AuthenticateRequest`.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub(super) struct AuthenticateRequest {
    /// Kind of credential.
    #[prost(string, tag = "2")]
    pub kind: String,
    /// Who.
    #[prost(string, tag = "3")]
    pub client_id: String,
    /// What proves it.
    #[prost(string, tag = "4")]
    pub client_secret: String,
}

impl fmt::Debug for AuthenticateRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticateRequest")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// `cs3.gateway.v1beta1.AuthenticateResponse`.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub(super) struct AuthenticateResponse {
    /// Outcome.
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    /// A reva token.
    #[prost(string, tag = "3")]
    pub token: String,
    /// Whose it is.
    #[prost(message, optional, tag = "4")]
    pub user: Option<User>,
}

impl fmt::Debug for AuthenticateResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticateResponse")
            .field("status", &self.status)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// `cs3.identity.user.v1beta1.GetUserByClaimRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct GetUserByClaimRequest {
    /// `username`, `mail` or `userid`.
    #[prost(string, tag = "2")]
    pub claim: String,
    /// Its value.
    #[prost(string, tag = "3")]
    pub value: String,
    /// Groups are not wanted.
    #[prost(bool, tag = "4")]
    pub skip_fetching_user_groups: bool,
}

/// `cs3.identity.user.v1beta1.GetUserByClaimResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct GetUserByClaimResponse {
    /// Outcome.
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    /// The user.
    #[prost(message, optional, tag = "3")]
    pub user: Option<User>,
}

/// `cs3.identity.tenant.v1beta1.GetTenantByClaimRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct GetTenantByClaimRequest {
    /// `externalid`.
    #[prost(string, tag = "1")]
    pub claim: String,
    /// Its value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// `cs3.identity.tenant.v1beta1.GetTenantByClaimResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct GetTenantByClaimResponse {
    /// Outcome.
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    /// The tenant.
    #[prost(message, optional, tag = "2")]
    pub tenant: Option<Tenant>,
}

/// `cs3.identity.tenant.v1beta1.Tenant`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Tenant {
    /// The deployment's own id.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Name.
    #[prost(string, tag = "2")]
    pub name: String,
    /// The id that others know.
    #[prost(string, tag = "3")]
    pub external_id: String,
}

/// `cs3.storage.provider.v1beta1.CreateHomeRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct CreateHomeRequest {
    /// Holds the quota.
    #[prost(message, optional, tag = "1")]
    pub opaque: Option<Opaque>,
}

/// `cs3.storage.provider.v1beta1.CreateHomeResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct CreateHomeResponse {
    /// Outcome.
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
}

/// `cs3.storage.provider.v1beta1.ResourceId`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ResourceId {
    /// Storage.
    #[prost(string, tag = "1")]
    pub storage_id: String,
    /// Node.
    #[prost(string, tag = "2")]
    pub opaque_id: String,
    /// Space.
    #[prost(string, tag = "3")]
    pub space_id: String,
}

/// `cs3.storage.provider.v1beta1.Reference`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Reference {
    /// Where from.
    #[prost(message, optional, tag = "1")]
    pub resource_id: Option<ResourceId>,
    /// And on from there.
    #[prost(string, tag = "2")]
    pub path: String,
}

/// `cs3.storage.provider.v1beta1.StatRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct StatRequest {
    /// Of what.
    #[prost(message, optional, tag = "2")]
    pub reference: Option<Reference>,
}

/// `cs3.storage.provider.v1beta1.StatResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct StatResponse {
    /// Outcome.
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    /// What it is.
    #[prost(message, optional, tag = "3")]
    pub info: Option<ResourceInfo>,
}

/// `cs3.storage.provider.v1beta1.ResourceInfo`, the parts that are read.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ResourceInfo {
    /// Id.
    #[prost(message, optional, tag = "3")]
    pub id: Option<ResourceId>,
    /// Path in its space.
    #[prost(string, tag = "8")]
    pub path: String,
    /// Bytes.
    #[prost(uint64, tag = "10")]
    pub size: u64,
    /// Name.
    #[prost(string, tag = "18")]
    pub name: String,
}
