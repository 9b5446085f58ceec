//! A backend that answers 401 to a request with our identity does not believe us: mostly it has another secret.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use tokio::time::Instant;

use crate::config::routes::Route;
use crate::model::Reason;
use crate::telemetry::WorkerMetrics;

/// Between two lines about one route.
const AGAIN: Duration = Duration::from_secs(60);

/// When each route was last told of, by its endpoint.
#[derive(Debug, Default)]
pub(super) struct RefusedIdentities(RefCell<HashMap<String, Instant>>);

impl RefusedIdentities {
    /// Looks at the answer to a request that carried an identity: counts each refusal, tells of one a minute and route.
    pub(super) fn look(
        &self,
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
        let now = Instant::now();
        let mut told = self.0.borrow_mut();
        if told
            .get(&route.endpoint)
            .is_some_and(|last| now.duration_since(*last) < AGAIN)
        {
            return;
        }
        told.insert(route.endpoint.clone(), now);
        tracing::warn!(
            %reason,
            route = route.endpoint,
            backend = %route.backend.name,
            "request-id" = request_id.to_str().unwrap_or_default(),
            hint = reason.hint(),
            "the backend does not believe who we say the user is"
        );
    }
}
