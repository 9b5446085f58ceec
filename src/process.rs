//! What all workers share: the configuration in force, the sessions, the issuer's documents.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::auth::{Nonces, OidcAuthenticator, Replays};
use crate::config::Config;
use crate::config::routes::Policy;
use crate::credentials::Accepts;
use crate::events::EventSink;
use crate::forwarded::Forwarding;
use crate::headers::Reserved;
use crate::identity::{DataGateway, RevaKey};
use crate::model::{ClaimRequirement, Clock};
use crate::replicas::Replicas;
use crate::routes::{Policies, PoliciesError, Root};
use crate::rpc::policies::Decisions;
use crate::security_headers::SecurityHeaders;
use crate::services::Directory;
use crate::session::Digester;
use crate::session::store::Sessions;
use crate::telemetry::Seldom;

/// Shared by workers and control; lives as long as the process.
#[derive(Debug)]
pub struct Process {
    /// The configuration in force; replaced as a whole by a reload.
    pub snapshot: ArcSwap<Snapshot>,
    /// Sessions.
    pub sessions: Arc<Sessions>,
    /// Makes the keys of sessions.
    pub digester: Digester,
    /// The issuers' documents and keys, for the local endpoints.
    pub issuers: Arc<OidcAuthenticator>,
    /// Proofs of possession that were used.
    pub proofs: Arc<Replays>,
    /// The other gateways of the deployment.
    pub replicas: Replicas,
    /// Nonces of proofs, if they are asked for (`PROXY_OIDC_DPOP_NONCE`).
    pub nonces: Option<Nonces>,
    /// Tells reva tokens of the deployment from made-up ones, if its secret is known.
    pub reva_key: Option<RevaKey>,
    /// Services and their endpoints.
    pub directory: Directory,
    /// Asks the policies service about every request, if there is a query (`PROXY_POLICIES_QUERY`).
    pub(crate) decisions: Option<Decisions>,
    /// Routes whose backend does not believe us, as they were told of.
    pub refused_identities: Seldom,
    /// Routes whose backend does not answer browsers of other origins, as they were told of.
    pub unanswered_preflights: Seldom,
    /// Tells other services what happens here.
    pub events: Arc<dyn EventSink>,
    /// Which credentials besides tokens there is somebody to check.
    pub accepts: Accepts,
    /// The wall clock.
    pub clock: Clock,
}

/// One configuration, compiled. A request holds on to one from beginning to end.
#[derive(Debug)]
pub struct Snapshot {
    /// The configuration it was compiled from.
    pub config: Arc<Config>,
    /// Routes of the policies in force.
    pub policies: Policies,
    /// `http.root`.
    pub root: Root,
    /// Header names no client may send.
    pub reserved: Reserved,
    /// Trusted proxies and the public URL.
    pub forwarding: Forwarding,
    /// Where clients find out who gives out tokens for this gateway (RFC 9728 section 3.1).
    pub resource_metadata: String,
    /// Uploads to data servers inside the deployment.
    pub data_gateway: Option<DataGateway>,
    /// Each distinct `required_claims` of a route; sessions keep the outcomes.
    pub requirements: Vec<Vec<ClaimRequirement>>,
    security_headers: ArcSwap<SecurityHeaders>,
    issuer_origins: ArcSwap<Vec<String>>,
}

/// The path of the protected resource's metadata (RFC 9728 section 3).
pub(crate) const RESOURCE_METADATA: &str = "/.well-known/oauth-protected-resource";

impl Snapshot {
    /// Compiles a configuration.
    ///
    /// # Errors
    /// See [`PoliciesError`].
    pub fn compile(config: Arc<Config>) -> Result<Self, PoliciesError> {
        Ok(Self {
            policies: Policies::compile(&config.policies, &config.policy_selector)?,
            root: Root::new(&config.http.root),
            reserved: Reserved::new(&config.policies),
            forwarding: Forwarding::new(&config.http),
            resource_metadata: format!(
                "{}{RESOURCE_METADATA}",
                config.http.public_url.as_str().trim_end_matches('/')
            ),
            data_gateway: config.data_gateway.as_ref().and_then(DataGateway::new),
            requirements: requirements(&config.policies),
            security_headers: ArcSwap::from_pointee(SecurityHeaders::new(&config, &[])),
            issuer_origins: ArcSwap::default(),
            config,
        })
    }

    /// Headers of every answer.
    #[must_use]
    pub fn security_headers(&self) -> arc_swap::Guard<Arc<SecurityHeaders>> {
        self.security_headers.load()
    }

    /// Once the issuers are known, their origins enter the policy (docs/design/design.md 1, `PROXY_CSP_ISSUER_ORIGINS`).
    pub fn admit_issuer_origins(&self, origins: Vec<String>) {
        if self.config.csp_issuer_origins && **self.issuer_origins.load() != origins {
            self.security_headers
                .store(Arc::new(SecurityHeaders::new(&self.config, &origins)));
            self.issuer_origins.store(Arc::new(origins));
        }
    }
}

fn requirements(policies: &[Policy]) -> Vec<Vec<ClaimRequirement>> {
    let mut distinct: Vec<Vec<ClaimRequirement>> = Vec::new();
    for route in policies
        .iter()
        .flat_map(|policy| &policy.routes)
        .filter(|route| !route.required_claims.is_empty())
    {
        if !distinct.contains(&route.required_claims) {
            distinct.push(route.required_claims.clone());
        }
    }
    distinct
}
