use std::time::Duration;

use strum::{EnumString, VariantNames};
use url::Url;

use super::Secret;
use super::accounts::{ProvisionClaims, RoleAssignment};
use crate::model::{ClaimPath, ClaimRequirement};

/// Position of the issuer of the flat settings. What is configured once and names somebody by a claim or a client id
/// (service clients, the bootstrap admin) means this one: another issuer gives out the same names to others.
pub(crate) const FLAT_ISSUER: usize = 0;

/// One OpenID Connect issuer and everything that is decided per issuer. Issuer 0 is the flat configuration.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// The issuer as configured, compared byte for byte.
    pub issuer: String,
    /// Certificates of the issuer are not verified, and plain http is allowed anywhere.
    pub insecure: bool,
    /// How an access token is verified.
    pub verify_method: VerifyMethod,
    /// Claims come from the token (or introspection) alone.
    pub skip_user_info: bool,
    /// When keys are fetched.
    pub jwks: Jwks,
    /// How long an opaque token without expiry counts before it is asked about again.
    pub user_info_ttl: Duration,
    /// Our credentials at the issuer, for introspection.
    pub client: Option<ClientCredentials>,
    /// One of these must be in `aud` or be `azp`; empty: not checked.
    pub verify_aud: Vec<String>,
    /// One of these must be in `aud`; empty: not checked.
    pub audiences: Vec<String>,
    /// Accepted header `typ` values of access tokens that are JWTs, in lower case without `application/`; empty: any.
    pub access_token_types: Vec<String>,
    /// Clients whose own tokens are service accounts; of the flat issuer only.
    pub service_clients: Vec<String>,
    /// Where mail decides, `email_verified: false` is refused.
    pub require_verified_mail: bool,
    /// Accepted `aud` of logout tokens; empty: not checked.
    pub logout_audiences: Vec<String>,
    /// A JWT without `exp` is refused.
    pub require_exp: bool,
    /// Clock leeway for `exp` and `nbf`.
    pub leeway: Duration,
    /// All must hold, else 403 (or an RFC 9470 challenge).
    pub required_claims: Vec<ClaimRequirement>,
    /// One must hold before anybody is let in; empty: everybody.
    pub allow_claims: Vec<ClaimRequirement>,
    /// Who wins where token and userinfo differ.
    pub claims_merge: ClaimsMerge,
    /// Userinfo's `sub` must equal the token's.
    pub userinfo_sub_check: bool,
    /// Base URL for calls where the public name is not reachable from here.
    pub backchannel_url: Option<Url>,
    /// Where introspection is, whatever the document says.
    pub introspection_url: Option<Url>,
    /// A token with `cnf` is accepted as a plain bearer.
    pub accept_bound_tokens: bool,
    /// The claim that names the user.
    pub user_claim: ClaimPath,
    /// What the user claim is compared with.
    pub user_lookup: UserLookup,
    /// Which claims fill a new account.
    pub provision_claims: ProvisionClaims,
    /// How the role is chosen.
    pub role_assignment: RoleAssignment,
    /// Whether an account without an identity may be claimed by its name.
    pub claim_by_name: ClaimByName,
}

/// `oidc.access_token_verify_method`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum VerifyMethod {
    /// Signature by the issuer's keys.
    #[default]
    Jwt,
    /// Userinfo decides.
    None,
    /// A JWT of the issuer by its keys, anything else by introspection or userinfo.
    Auto,
    /// RFC 7662.
    Introspection,
}

/// `oidc.jwks.*`.
#[derive(Debug, Clone)]
pub struct Jwks {
    /// Between background refreshes.
    pub refresh_interval: Duration,
    /// One fetch may take this long.
    pub refresh_timeout: Duration,
    /// At most one fetch for unknown key ids in this time.
    pub refresh_limit: Duration,
    /// An unknown key id triggers a fetch.
    pub refresh_unknown_kid: bool,
}

/// Our own client at the issuer.
#[derive(Debug, Clone)]
pub struct ClientCredentials {
    /// `client_id`.
    pub id: String,
    /// `client_secret`.
    pub secret: Secret,
}

/// `PROXY_OIDC_CLAIMS_MERGE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum ClaimsMerge {
    /// As the existing service does.
    #[default]
    UserinfoWins,
    /// The verified token wins.
    TokenWins,
    /// Lists are united, else userinfo wins.
    Union,
}

/// `user_cs3_claim`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum UserLookup {
    /// Compare with the user name.
    #[default]
    Username,
    /// Compare with the mail address.
    Mail,
    /// Compare with the account id.
    #[strum(serialize = "userid")]
    UserId,
}

/// `PROXY_ACCOUNT_CLAIM_BY_NAME`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum ClaimByName {
    /// Never.
    Never,
    /// Unless the account holds admin or spaceadmin.
    Unprivileged,
    /// Always.
    Always,
}
