//! A backend that answers 401 to a request with our identity does not believe us: mostly it has another secret.

use http::{HeaderValue, StatusCode};

use crate::config::routes::Route;
use crate::model::Reason;
use crate::telemetry::{Seldom, WorkerMetrics};

/// Looks at the answer to a request that carried an identity: counts each refusal, tells of one a minute and route.
pub(super) fn look(
    told: &Seldom,
    status: StatusCode,
    route: &Route,
    request_id: &HeaderValue,
    metrics: &WorkerMetrics,
) {
    if status != StatusCode::UNAUTHORIZED {
        return;
    }
    let reason = Reason::IdentityRefusedByBackend;
    metrics.refused(reason);
    if !told.is_due(&route.endpoint) {
        return;
    }
    tracing::warn!(
        %reason,
        route = route.endpoint,
        place = route.place,
        backend = %route.backend.name,
        "request-id" = request_id.to_str().unwrap_or_default(),
        hint = reason.hint(),
        "the backend does not believe who we say the user is"
    );
}
