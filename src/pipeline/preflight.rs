//! A page of another origin asks by OPTIONS whether it may (Fetch standard, section 3.3.5). The backend answers; where it does not say
//! yes, the browser shows an error that says little, and the log is where its cause is looked for.

use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use http::{HeaderMap, HeaderValue, Method};

use crate::config::routes::Route;
use crate::headers::CleanHead;
use crate::telemetry::Seldom;

/// The origin that asks, if this is such a question.
pub(super) fn asked_by(head: &CleanHead) -> Option<HeaderValue> {
    let headers = head.headers();
    let asks =
        *head.method() == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    asks.then(|| headers.get(ORIGIN).cloned()).flatten()
}

/// Says who was not answered as a browser wants it.
pub(super) fn look(told: &Seldom, origin: &HeaderValue, route: &Route, answer: &HeaderMap) {
    if answer.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) || !told.is_due(&route.endpoint) {
        return;
    }
    tracing::warn!(
        route = route.endpoint,
        backend = %route.backend.name,
        origin = origin.to_str().unwrap_or_default(),
        hint = "let the backend send CORS headers for this origin (services of OpenCloud and oCIS: OC_CORS_ALLOW_ORIGINS, OCIS_CORS_ALLOW_ORIGINS); davgate adds none, and passes those of the backend on",
        "a browser asked whether a page of another origin may use this route (CORS), and the backend's answer has no Access-Control-Allow-Origin"
    );
}
