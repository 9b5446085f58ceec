//! What the operator wants, read once and validated: after [`Config`] exists nothing is checked again.

/// Account backend, provisioning, roles.
pub(crate) mod accounts;
/// The deployment's own services.
pub(crate) mod deployment;
/// Listeners, backends, log.
pub(crate) mod http;
/// Credentials besides access tokens.
pub(crate) mod logins;
/// Issuers.
pub(crate) mod oidc;
/// The reference of all settings, written from the table.
pub(crate) mod reference;
/// Routes and backends.
pub(crate) mod routes;
/// JSON Schemas of the two files.
pub(crate) mod schema;
/// Which policy serves whom.
pub(crate) mod selector;
/// Services by name.
pub(crate) mod services;
/// Stores, the registry, the event bus.
pub(crate) mod stores;
/// The table of settings.
pub(crate) mod table;
/// Traces and their collector.
pub(crate) mod traces;

mod build;
mod clients;
mod default_routes;
mod document;
mod flavor;
mod given;
mod key;
mod layers;
pub(crate) mod ldap_syntax;
mod lines;
mod load;
mod notes;
mod scalar;
mod secret;
mod setting;
mod substitute;
mod suggest;
mod summary;
mod values;
mod vars;
mod words;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use load::LoadOptions;
pub(crate) use load::{Effective, Loaded};
pub(crate) use notes::{ConfigErrors, Mistake, Place};
pub use secret::Secret;
pub(crate) use setting::Effect;
pub(crate) use values::Origin;
pub(crate) use vars::{ProcessVars, Vars};

/// The whole configuration, one section per collaborator.
#[derive(Debug, Clone)]
pub struct Config {
    /// Whose names and defaults apply.
    pub flavor: Flavor,
    /// The release whose defaults apply.
    pub compat: Compat,
    /// The backends that are asked which release it is, in this order (`PROXY_COMPAT=auto`).
    pub asked_for_release: Vec<routes::Backend>,
    /// Logging.
    pub log: http::Log,
    /// Debug listener.
    pub debug: http::DebugListener,
    /// Public listener.
    pub http: http::Http,
    /// Connections to backends.
    pub upstream: http::Upstream,
    /// Proxies on the way to the issuers.
    pub outbound_proxies: http::OutboundProxies,
    /// Issuers; at least one.
    pub issuers: Vec<oidc::Issuer>,
    /// `/.well-known/openid-configuration` is answered with the issuer's document.
    pub rewrite_well_known: bool,
    /// Proofs of possession need a nonce of ours (RFC 9449 section 9).
    pub dpop_nonce: bool,
    /// `PROXY_WEBFINGER=native` with its clients; `None`: forwarded.
    pub webfinger: Option<Webfinger>,
    /// Sessions.
    pub sessions: Sessions,
    /// Account backend, provisioning, roles.
    pub accounts: accounts::Accounts,
    /// Credentials besides access tokens.
    pub logins: logins::Logins,
    /// The deployment's own services.
    pub deployment: deployment::Deployment,
    /// The identity told to backends.
    pub identity: Identity,
    /// Routes, additional policies included.
    pub policies: Vec<routes::Policy>,
    /// Services by name.
    pub services: services::Services,
    /// What is kept for several processes, and where.
    pub stores: stores::Stores,
    /// The event bus, if there is one.
    pub events: Option<stores::Events>,
    /// Which of them serves a request.
    pub policy_selector: selector::PolicySelector,
    /// The Content-Security-Policy as merged and substituted, directives in order of their names.
    pub csp: Vec<(String, Vec<String>)>,
    /// The issuer's origins enter `connect-src` and `frame-src`.
    pub csp_issuer_origins: bool,
    /// Upload locations of data servers are turned into ones of the gateway; `None`: the backends do that.
    pub data_gateway: Option<DataGateway>,
    /// oCIS: `X-Multi-Factor-Authentication` is told to backends.
    pub mfa: Mfa,
    /// Where traces go; `None`: none are made.
    pub traces: Option<traces::Traces>,
}

/// Which of the two products' names and defaults apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavor {
    /// OpenCloud.
    OpenCloud,
    /// ownCloud Infinite Scale.
    Ocis,
}

/// `PROXY_COMPAT`; a value holds from its release up to the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Compat {
    /// OpenCloud 1.0 to 3.x.
    OpenCloud1,
    /// OpenCloud 4.
    OpenCloud4,
    /// OpenCloud 5 and 6.
    OpenCloud5,
    /// OpenCloud 7.
    OpenCloud7,
    /// OpenCloud 8.
    OpenCloud8,
    /// oCIS 7.
    Ocis7,
    /// oCIS 8.
    Ocis8,
}

/// Limits of the session cache.
#[derive(Debug, Clone)]
pub struct Sessions {
    /// Bytes all cached sessions may take.
    pub cache_bytes: u64,
    /// A request waits this long for its session, then gets 503 while the loader goes on.
    pub setup_timeout: Duration,
}

/// Uploads to data servers inside the deployment (docs/design/contract.md 9.14).
#[derive(Debug, Clone)]
pub struct DataGateway {
    /// Signs upload locations.
    pub secret: Secret,
    /// `host:port` of the data servers.
    pub servers: Vec<String>,
}

/// What the reva token is made with.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Signs the minted token.
    pub jwt_secret: Secret,
    /// Life of a minted token; renewed at half.
    pub token_lifetime: Duration,
    /// `user.id.idp` and the token's `iss`, the same for every issuer.
    pub idp: String,
}

/// oCIS MFA (docs/design/contract.md 9.15).
#[derive(Debug, Clone)]
pub struct Mfa {
    /// The header is sent at all (oCIS).
    pub header: bool,
    /// `false`: the header is always `true`.
    pub enabled: bool,
    /// Accepted `acr` values.
    pub auth_level_names: Vec<String>,
}

/// Native webfinger (docs/design/contract.md A.3).
#[derive(Debug, Clone)]
pub struct Webfinger {
    /// `http://webfinger.owncloud/rel/server-instance` target.
    pub instance_url: String,
    /// One entry per issuer, in their order; the first is named for whoever fits no other. Never empty.
    pub issuers: Vec<WebfingerIssuer>,
}

/// What webfinger says of one issuer.
#[derive(Debug, Clone)]
pub struct WebfingerIssuer {
    /// Issuer named in the answer.
    pub issuer: String,
    /// Domains whose accounts log in there, in lower case; the issuer's own host counts too.
    pub domains: Vec<String>,
    /// Platform, client id, scopes.
    pub clients: Vec<WebfingerClient>,
}

/// One platform's client.
#[derive(Debug, Clone)]
pub struct WebfingerClient {
    /// `web`, `desktop`, `android` or `ios`.
    pub platform: String,
    /// Its client id.
    pub client_id: String,
    /// Its scopes.
    pub scopes: Vec<String>,
}
