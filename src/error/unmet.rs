//! What a route itself requires of a session, and the session does not have.

use std::time::Duration;

use super::GatewayError;
use crate::auth::AuthError;
use crate::config::routes::Route;

impl GatewayError {
    /// The refusal (docs/design/design.md 1, `PROXY_OIDC_REQUIRED_CLAIMS`): a stronger or newer login is asked for where that
    /// would help (RFC 9470). `too_old`: the age that the login is above.
    #[cold]
    pub(crate) fn unmet(route: &Route, meets_claims: bool, too_old: Option<Duration>) -> Self {
        let acr_values: Vec<String> = route
            .required_claims
            .iter()
            .filter(|required| !meets_claims && required.claim.as_str() == "acr")
            .map(|required| required.value.clone())
            .collect();
        if too_old.is_some() || !acr_values.is_empty() {
            return AuthError::StepUp {
                acr_values,
                max_age: too_old,
            }
            .into();
        }
        let required: Vec<_> = route
            .required_claims
            .iter()
            .map(|one| format!("{}={}", one.claim, one.value))
            .collect();
        Self::RouteClaim(required.join(", "))
    }
}
