//! Who may pass: from a route and a credential to a caller.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::AUTHORIZATION;

use super::Pipeline;
use super::arrival::Arrival;
use super::traced::Traced;
use crate::config::routes::IdentityMode;
use crate::credentials::{
    Credential, CredentialError, Presented, PresentedToken, offered, presented,
};
use crate::error::GatewayError;
use crate::headers::CleanHead;
use crate::identity::{MAX_REMOTE_GROUPS, ReturnedToken};
use crate::model::{Clock, Fault};
use crate::process::Snapshot;
use crate::routes::{NormalPath, ProtectedRoute, PublicRoute, RouteMatch, backend_reads_passwords};
use crate::session::{Cancellation, Digest, LoadError, Session, Told, Verdict};
use crate::telemetry::traces;

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

    pub(super) fn session(&self) -> Option<&Session> {
        match self {
            Self::Anyone(_) => None,
            Self::Session(_, session) => Some(session),
        }
    }
}

impl Pipeline {
    /// The caller of a request, as far as the route wants to know.
    pub(super) async fn admit<'s>(
        &self,
        arrival: &Arrival<'s>,
        route: RouteMatch<'s>,
        path: &NormalPath<'_>,
        head: &CleanHead,
    ) -> Result<Caller<'s>, GatewayError> {
        let route = match route {
            RouteMatch::Public(route) => return anybody(route, head),
            RouteMatch::Protected(route) => route,
        };
        let admitted = match self.session_of(arrival, path, head).await {
            Ok(Some(session)) => self.let_in(route, session),
            Ok(None) => without_credential(arrival.snapshot, route, head),
            Err(error) => match Box::pin(self.by_what_else(arrival, path, head, error)).await {
                Ok(session) => self.let_in(route, session),
                Err(error) => Err(error),
            },
        };
        admitted.or_else(|error| unless_open(route, error))
    }

    /// The caller with this session, if the route lets them in.
    pub(super) fn let_in<'s>(
        &self,
        route: ProtectedRoute<'s>,
        session: Arc<Session>,
    ) -> Result<Caller<'s>, GatewayError> {
        check_route(route, &session, &self.process.clock)?;
        Ok(Caller::Session(route, session))
    }

    /// The session of the credential that came, if one came.
    pub(super) async fn session_of(
        &self,
        arrival: &Arrival<'_>,
        path: &NormalPath<'_>,
        head: &CleanHead,
    ) -> Result<Option<Arc<Session>>, GatewayError> {
        let session = match presented(head.headers())? {
            Some(Presented::Bearer(presented)) => {
                let remembered = &arrival.connection.remembered;
                if let Some(session) = self.still_good(remembered.find(presented.bytes())) {
                    return Ok(Some(session));
                }
                let digest = self.process.digester.bearer(presented.bytes());
                let credential = || presented.token().map(Credential::Bearer);
                let session = self.session(arrival, digest, credential).await?;
                remembered.keep(presented.bytes(), &session);
                session
            }
            Some(Presented::Dpop(presented)) => {
                Box::pin(self.proven_session(arrival, head, presented)).await?
            }
            Some(Presented::Basic(encoded)) => {
                return Box::pin(self.session_without_token(arrival, path, head, Some(encoded)))
                    .await;
            }
            None if self.process.accepts.without_header() => {
                return Box::pin(self.session_without_token(arrival, path, head, None)).await;
            }
            None => return Ok(None),
        };
        Ok(Some(session))
    }

    /// The session of a credential that is no token, if one came and there is somebody to check it.
    async fn session_without_token(
        &self,
        arrival: &Arrival<'_>,
        path: &NormalPath<'_>,
        head: &CleanHead,
        basic: Option<PresentedToken<'_>>,
    ) -> Result<Option<Arc<Session>>, GatewayError> {
        if basic.is_some() && backend_reads_passwords(path) {
            // The backend reads it: a link's password, which is no user's.
            return Ok(None);
        }
        let request = (head.method(), head.uri(), path.matched());
        let offered = offered(self.process.accepts, request, head.headers(), basic)?;
        let Some(credential) = offered else {
            return Ok(None);
        };
        let digest = self.process.digester.credential(&credential);
        let session = self
            .session(arrival, digest, || Ok(credential.clone()))
            .await?;
        Ok(Some(session))
    }

    /// A token that is bad does not stand in the way of a link or a signed URL that came beside it: whatever succeeds
    /// first counts (docs/design/contract.md 9.3). Where nothing else came, or it is refused too, the token's refusal stays;
    /// where it cannot be decided now, nobody has said no.
    pub(super) async fn by_what_else(
        &self,
        arrival: &Arrival<'_>,
        path: &NormalPath<'_>,
        head: &CleanHead,
        refused: GatewayError,
    ) -> Result<Arc<Session>, GatewayError> {
        let is_token = matches!(
            presented(head.headers()),
            Ok(Some(Presented::Bearer(_) | Presented::Dpop(_)))
        );
        if !is_token
            || !self.process.accepts.without_header()
            || refused.refusal().status != StatusCode::UNAUTHORIZED
        {
            return Err(refused);
        }
        match self.session_without_token(arrival, path, head, None).await {
            Ok(Some(session)) => Ok(session),
            Err(undecided) if undecided.fault() != Fault::Caller => Err(undecided),
            Ok(None) | Err(_) => Err(refused),
        }
    }

    /// The session of the connection's last request, if nothing has to be done about it.
    fn still_good(&self, session: Option<Arc<Session>>) -> Option<Arc<Session>> {
        let generation = self.process.sessions.generation();
        let session = session
            .filter(|one| one.verdict(self.process.clock.now(), generation) == Verdict::Use)?;
        self.metrics.session_looked_up(true);
        Some(session)
    }

    /// The session of a credential. Warm: one digest, one map read, some atomics.
    /// `credential` is asked for only if it has to be looked at.
    pub(super) async fn session(
        &self,
        arrival: &Arrival<'_>,
        digest: Digest,
        credential: impl Fn() -> Result<Credential, CredentialError>,
    ) -> Result<Arc<Session>, GatewayError> {
        let sessions = &self.process.sessions;
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
                    sessions.recheck_ahead(digest, &credential()?, &session);
                    return Ok(session);
                }
                Verdict::Ended => return Err(LoadError::Ended.into()),
                Verdict::Renew | Verdict::Stale => self.sessions.forget(&digest),
            }
        }
        let credential = credential()?;
        self.metrics.session_looked_up(false);
        let session = self.obtained(arrival, digest, &credential).await?;
        self.sessions.keep(digest, &session);
        Ok(session)
    }

    /// What the set-up came to, a part of the request's trace. Boxed, so that warm requests do not carry its room.
    fn obtained<'r>(
        &'r self,
        arrival: &'r Arrival<'_>,
        digest: Digest,
        credential: &'r Credential,
    ) -> Pin<Box<dyn Future<Output = Result<Arc<Session>, LoadError>> + 'r>> {
        let obtained = self
            .process
            .sessions
            .obtain(digest, credential, address_of(arrival));
        let begun = arrival.traced.as_deref().map(Traced::begun);
        Box::pin(traces::within(begun, "session set-up", obtained, |done| {
            done.as_ref().err().map(|error| error.reason().code())
        }))
    }
}

impl Pipeline {
    /// The reva token of a backend that calls back, where one may pass. What does not verify is dropped in silence: anybody
    /// may send such a header.
    pub(super) fn returned_token(
        &self,
        caller: &Caller<'_>,
        head: &mut CleanHead,
    ) -> Option<ReturnedToken> {
        let presented = head.take_reva()?;
        match caller {
            Caller::Anyone(route) if route.takes_reva_tokens() => {
                let key = self.process.reva_key.as_ref()?;
                key.verify(presented, self.process.clock.now())
            }
            _ => None,
        }
    }
}

/// The client's address, as trusted proxies tell it.
fn address_of(arrival: &Arrival<'_>) -> IpAddr {
    let told = arrival.ingress.client.to_str().ok();
    told.and_then(|text| text.parse().ok())
        .unwrap_or_else(|| arrival.connection.peer.ip())
}

/// An open route's backend may read credentials itself, and two of them in different ways (docs/design/hardening.md row 26).
pub(super) fn anybody<'s>(
    route: PublicRoute<'s>,
    head: &CleanHead,
) -> Result<Caller<'s>, GatewayError> {
    let mut credentials = head.headers().get_all(AUTHORIZATION).iter();
    if credentials.nth(1).is_some() {
        return Err(CredentialError::Duplicate.into());
    }
    Ok(Caller::Anyone(route))
}

/// No credential at all: preflights and public shares go on in nobody's name, the rest needs a login.
pub(super) fn without_credential<'s>(
    snapshot: &Snapshot,
    route: ProtectedRoute<'s>,
    head: &CleanHead,
) -> Result<Caller<'s>, GatewayError> {
    // One that is there is of a scheme that is not for access tokens.
    if !head.headers().contains_key(AUTHORIZATION)
        && !snapshot.config.http.options_require_auth
        && let Some(route) = route.for_preflight(head.method())
    {
        return Ok(Caller::Anyone(route));
    }
    unless_open(route, GatewayError::NoCredential)
}

/// Where nobody has to be known, a refused credential is as good as none (docs/design/design.md 2). What could be read in
/// two ways, and what cannot be decided now, is refused there too.
pub(super) fn unless_open(
    route: ProtectedRoute<'_>,
    error: GatewayError,
) -> Result<Caller<'_>, GatewayError> {
    let status = error.refusal().status;
    match route.without_login() {
        Some(route) if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN => {
            Ok(Caller::Anyone(route))
        }
        _ => Err(error),
    }
}

/// What the route itself requires of a session (docs/design/design.md 1, `PROXY_OIDC_REQUIRED_CLAIMS`).
fn check_route(
    route: ProtectedRoute<'_>,
    session: &Session,
    clock: &Clock,
) -> Result<(), GatewayError> {
    let settings = route.settings();
    let meets_claims = session.facts.requirements.meet(&settings.required_claims);
    let too_old = settings.max_age.filter(|age| {
        let logged_in = session.facts.auth_time;
        logged_in.is_none_or(|at| clock.now() > at.plus(*age))
    });
    if meets_claims && too_old.is_none() {
        return Ok(());
    }
    Err(GatewayError::unmet(settings, meets_claims, too_old))
}

/// What the route's backend is told in the name of a session.
pub(super) fn identity<'s>(
    route: ProtectedRoute<'_>,
    session: &'s Session,
) -> Result<Told<'s>, GatewayError> {
    let identity = session.facts.identity.told();
    let route = route.settings();
    if route.needs_remote_headers() {
        let remote = match (&identity, &identity.remote) {
            (_, Some(remote)) => remote,
            // A visitor of a public link is nobody, and this backend wants to know who it is.
            (Told::Own(_), None) => return Err(GatewayError::NoCredential),
            // Of another configuration than the route: a reload is just having it made anew.
            (Told::OfAccount(_), None) => return Err(LoadError::SetupTimeout.into()),
        };
        if route.identity == IdentityMode::Headers && remote.groups.len() > MAX_REMOTE_GROUPS {
            return Err(GatewayError::IdentityTooLarge);
        }
    }
    Ok(identity)
}

/// Between looks at the clock, which tests and administrators may move.
const LOOK: Duration = Duration::from_secs(1);

/// Cuts the session's streams a minute after its token expired (docs/design/design.md 2, Ending).
pub(super) async fn cut_at_expiry(session: Arc<Session>, clock: Clock) {
    let Some(end) = session.streams_end_at() else {
        return;
    };
    let [own, account] = session.cancellations().map(Cancellation::token);
    while clock.now() < end {
        tokio::select! {
            () = own.cancelled() => return,
            () = account.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    own.cancel();
}
