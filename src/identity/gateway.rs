//! Identities given out by the CS3 gateway: davgate vouches for the account by the machine key.

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{IdentityError, IdentitySource, Issued};
use crate::config::Secret;
use crate::model::{Account, Role, UnixTime};
use crate::rpc::RpcError;
use crate::rpc::cs3::MachineLogins;

/// The identity source of deployments whose own services know the accounts.
#[derive(Debug, Clone)]
pub(crate) struct GatewayIdentities {
    logins: MachineLogins,
}

/// What a token lives if it does not say so (docs/design/contract.md 6).
const LIFETIME: Duration = Duration::from_secs(86_400);
/// An account that was just made is not known everywhere at once.
const ATTEMPTS: u32 = 4;
/// Between them, and longer each time.
const PAUSE: Duration = Duration::from_millis(60);

impl GatewayIdentities {
    /// Over machine logins.
    #[must_use]
    pub(crate) fn new(logins: MachineLogins) -> Self {
        Self { logins }
    }
}

#[async_trait]
impl IdentitySource for GatewayIdentities {
    async fn issue(
        &self,
        account: &Account,
        _: Option<Role>,
        now: UnixTime,
    ) -> Result<Issued, IdentityError> {
        for attempt in 1..=ATTEMPTS {
            let granted = self.logins.log_in_account(&account.id).await;
            match granted.map_err(IdentityError::from)? {
                Some(granted) => {
                    let lifetime = lifetime(&granted.token, now);
                    return Issued::new(granted.token.reveal(), now, lifetime);
                }
                None if attempt < ATTEMPTS => tokio::time::sleep(PAUSE * attempt).await,
                None => {}
            }
        }
        Err(IdentityError::Refused(
            "the CS3 gateway knows no such account, or it is disabled".to_owned(),
        ))
    }
}

impl From<RpcError> for IdentityError {
    fn from(error: RpcError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// How long the token is good from `now` on. It is not verified: it came from whoever made it.
fn lifetime(token: &Secret, now: UnixTime) -> Duration {
    let payload = token.reveal().split('.').nth(1).unwrap_or_default();
    let payload = URL_SAFE_NO_PAD.decode(payload).unwrap_or_default();
    let payload: serde_json::Value = serde_json::from_slice(&payload).unwrap_or_default();
    match payload["exp"].as_i64() {
        Some(exp) => UnixTime(exp).since(now).min(LIFETIME),
        None => LIFETIME,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(payload: &str) -> Secret {
        Secret::new(format!("e30.{}.e30", URL_SAFE_NO_PAD.encode(payload)))
    }

    #[test]
    fn a_token_lives_as_long_as_it_says_and_never_longer_than_a_day() {
        let now = UnixTime(1_000_000);
        let of = |payload: &str| lifetime(&token(payload), now).as_secs();
        assert_eq!(of(r#"{"exp":1000600}"#), 600);
        assert_eq!(of(r#"{"exp":999999}"#), 0);
        assert_eq!(of(r#"{"exp":99999999999}"#), 86_400);
        assert_eq!(of(r#"{}"#), 86_400);
        assert_eq!(lifetime(&Secret::new("opaque"), now).as_secs(), 86_400);
    }
}
