//! Who may pass: from a route and a credential to a caller.

use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use tokio_util::sync::CancellationToken;

use super::{Arrival, Pipeline};
use crate::auth::{AuthError, BearerToken, Credential, credential};
use crate::config::routes::IdentityMode;
use crate::error::GatewayError;
use crate::headers::{CleanHead, IdentityHeaders};
use crate::identity::MAX_REMOTE_GROUPS;
use crate::model::{Clock, Reason, UnixTime};
use crate::process::Snapshot;
use crate::routes::{ProtectedRoute, PublicRoute, RouteMatch};
use crate::session::{LoadError, Session, Verdict};
use crate::upstream::Ingress;

/// Who a request is forwarded for.
#[derive(Debug)]
pub(super) enum Caller<'s> {
    /// The route needs no login.
    Anyone(PublicRoute<'s>),
    /// Somebody with a session.
    Session(ProtectedRoute<'s>, Arc<Session>),
}

impl<'s> Caller<'s> {
    pub(super) fn route(&self) -> RouteMatch<'s> {
        match self {
            Self::Anyone(route) => RouteMatch::Public(*route),
            Self::Session(route, _) => RouteMatch::Protected(*route),
        }
    }

    pub(super) fn cancellation(&self) -> Option<CancellationToken> {
        match self {
            Self::Anyone(_) => None,
            Self::Session(_, session) => Some(session.cancellation().clone()),
        }
    }
}

impl Pipeline {
    /// The caller of a request, as far as the route wants to know.
    pub(super) async fn admit<'s>(
        &self,
        arrival: &Arrival<'s>,
        route: RouteMatch<'s>,
        head: &CleanHead,
        ingress: &Ingress,
    ) -> Result<Caller<'s>, GatewayError> {
        let route = match route {
            RouteMatch::Public(route) => return anybody(route, head),
            RouteMatch::Protected(route) => route,
        };
        let Some(credential) = credential(head.headers())? else {
            return without_credential(arrival.snapshot, route, head);
        };
        let session = match credential {
            Credential::Bearer(token) => self.session(&token).await?,
            Credential::Dpop(token) => self.proven_session(arrival, head, ingress, &token).await?,
        };
        check_route(route, &session, self.process.clock.now())?;
        Ok(Caller::Session(route, session))
    }

    /// The token's session. Warm: one digest, one map read, some atomics.
    pub(super) async fn session(&self, token: &BearerToken) -> Result<Arc<Session>, LoadError> {
        let sessions = &self.process.sessions;
        let digest = self.process.digester.token(token);
        let found = self
            .sessions
            .find(&digest)
            .or_else(|| sessions.cached(&digest));
        if let Some(session) = found {
            match session.verdict(self.process.clock.now(), sessions.generation()) {
                Verdict::Use => {
                    self.metrics.session_looked_up(true);
                    return Ok(session);
                }
                Verdict::UseAndRecheck => {
                    self.metrics.session_looked_up(true);
                    sessions.recheck_ahead(digest, token, &session);
                    return Ok(session);
                }
                Verdict::Ended => return Err(LoadError::Ended),
                Verdict::Renew | Verdict::Stale => self.sessions.forget(&digest),
            }
        }
        self.metrics.session_looked_up(false);
        let session = sessions.obtain(digest, token).await?;
        self.sessions.keep(digest, &session);
        Ok(session)
    }
}

/// An open route's backend may read credentials itself, and two of them in different ways (hardening.md row 26).
fn anybody<'s>(route: PublicRoute<'s>, head: &CleanHead) -> Result<Caller<'s>, GatewayError> {
    let mut credentials = head.headers().get_all(AUTHORIZATION).iter();
    if credentials.nth(1).is_some() {
        let detail = "two Authorization headers";
        return Err(AuthError::token(Reason::DuplicateAuthorization, detail).into());
    }
    Ok(Caller::Anyone(route))
}

/// No credential at all: preflights and public shares go on in nobody's name, the rest needs a login.
fn without_credential<'s>(
    snapshot: &Snapshot,
    route: ProtectedRoute<'s>,
    head: &CleanHead,
) -> Result<Caller<'s>, GatewayError> {
    if head.headers().contains_key(AUTHORIZATION) {
        // Of a scheme that is not for access tokens.
        return Err(GatewayError::NoCredential);
    }
    if !snapshot.config.http.options_require_auth
        && let Some(route) = route.for_preflight(head.method())
    {
        return Ok(Caller::Anyone(route));
    }
    route
        .without_credential()
        .map(Caller::Anyone)
        .ok_or(GatewayError::NoCredential)
}

/// What the route itself requires of a session (design.md 1, `PROXY_OIDC_REQUIRED_CLAIMS`).
fn check_route(
    route: ProtectedRoute<'_>,
    session: &Session,
    now: UnixTime,
) -> Result<(), GatewayError> {
    let settings = route.settings();
    let meets_claims = session.facts.requirements.meet(&settings.required_claims);
    let too_old = settings
        .max_age
        .filter(|age| session.facts.auth_time.is_none_or(|at| now > at.plus(*age)));
    if meets_claims && too_old.is_none() {
        return Ok(());
    }
    let acr_values: Vec<String> = settings
        .required_claims
        .iter()
        .filter(|required| !meets_claims && required.claim.as_str() == "acr")
        .map(|required| required.value.clone())
        .collect();
    if too_old.is_some() || !acr_values.is_empty() {
        return Err(AuthError::StepUp {
            acr_values,
            max_age: too_old,
        }
        .into());
    }
    let required: Vec<_> = settings
        .required_claims
        .iter()
        .map(|one| format!("{}={}", one.claim, one.value))
        .collect();
    Err(GatewayError::RouteClaim(required.join(", ")))
}

/// What the route's backend is told about the session's account.
pub(super) fn identity(
    route: ProtectedRoute<'_>,
    session: &Session,
) -> Result<IdentityHeaders, GatewayError> {
    let account = session.facts.account.snapshot();
    let told = &account.identity;
    if route.settings().identity == IdentityMode::Headers {
        // Of another configuration than the route: a reload is just having it made anew.
        let remote = told.remote.as_ref().ok_or(LoadError::SetupTimeout)?;
        if remote.groups.len() > MAX_REMOTE_GROUPS {
            return Err(GatewayError::IdentityTooLarge);
        }
    }
    Ok(IdentityHeaders {
        second_factor: session.facts.mfa,
        ..told.clone()
    })
}

/// Between looks at the clock, which tests and administrators may move.
const LOOK: Duration = Duration::from_secs(1);

/// Cuts the session's streams a minute after its token expired (design.md 2, Ending).
pub(super) async fn cut_at_expiry(session: Arc<Session>, clock: Clock) {
    let Some(end) = session.streams_end_at() else {
        return;
    };
    let cancelled = session.cancellation().clone();
    while clock.now() < end {
        tokio::select! {
            () = cancelled.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    cancelled.cancel();
}
