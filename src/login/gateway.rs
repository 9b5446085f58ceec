//! What the CS3 gateway's answers mean for a login.

use std::time::Duration;

use super::OwnLogin;
use crate::auth::AuthError;
use crate::headers::IdentityHeaders;
use crate::identity::Issued;
use crate::model::{Reason, UnixTime};
use crate::rpc::RpcError;
use crate::rpc::cs3::Granted;

/// When a client comes back after nothing could be decided.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Life of the tokens that the gateway gives out (docs/design/contract.md 1.4).
const TOKEN_LIFETIME: Duration = Duration::from_secs(86_400);

/// The token of a login as an identity of its own, with the rights that the gateway put into it.
pub(super) fn own(granted: &Granted, now: UnixTime) -> Result<OwnLogin, AuthError> {
    let issued = Issued::new(granted.token.reveal(), now, TOKEN_LIFETIME)
        .map_err(|error| trouble(error.to_string()))?;
    Ok(OwnLogin {
        headers: IdentityHeaders {
            access_token: Some(issued.access_token),
            remote: None,
        },
        recheck_at: issued.renew_at,
        last_at: issued.last_at,
    })
}

/// Nothing is known about the credential.
pub(super) fn undecided(error: RpcError) -> AuthError {
    trouble(error.to_string())
}

fn trouble(detail: String) -> AuthError {
    AuthError::Unavailable {
        reason: Reason::IdentityUnavailable,
        detail,
        retry_after: RETRY_AFTER,
    }
}
