//! davgate's own account at the deployment: its token, kept for hours.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Authentication, Credentials, Cs3};
use crate::config::Secret;
use crate::rpc::RpcError;

/// The service account. Clones share its token.
#[derive(Clone)]
pub struct ServiceAccount {
    cs3: Cs3,
    id: Arc<str>,
    secret: Secret,
    kept: Arc<Mutex<Option<Kept>>>,
}

struct Kept {
    token: Secret,
    until: Instant,
}

/// A token lives for a day.
const KEPT_FOR: Duration = Duration::from_secs(6 * 3_600);

impl ServiceAccount {
    /// The account of that id.
    #[must_use]
    pub fn new(cs3: Cs3, id: &str, secret: Secret) -> Self {
        Self {
            cs3,
            id: id.into(),
            secret,
            kept: Arc::default(),
        }
    }

    /// Its id, which names who acts at the settings service.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its token; of many callers one fetches it.
    ///
    /// # Errors
    /// [`RpcError::Credential`] if id or secret are not the deployment's.
    pub async fn token(&self) -> Result<Secret, RpcError> {
        let mut kept = self.kept.lock().await;
        if let Some(kept) = kept.as_ref().filter(|kept| Instant::now() < kept.until) {
            return Ok(kept.token.clone());
        }
        let credentials = Credentials::ServiceAccount {
            id: &self.id,
            secret: &self.secret,
        };
        match self.cs3.authenticate(credentials).await? {
            Authentication::Granted(granted) => {
                *kept = Some(Kept {
                    token: granted.token.clone(),
                    until: Instant::now() + KEPT_FOR,
                });
                Ok(granted.token)
            }
            Authentication::Refused(refused) => Err(RpcError::Credential {
                service: "the service account".to_owned(),
                detail: format!("{refused:?}"),
            }),
        }
    }

    /// Somebody refused this token: the next caller gets a new one.
    pub async fn forget(&self, token: &Secret) {
        let mut kept = self.kept.lock().await;
        if kept.as_ref().is_some_and(|kept| kept.token == *token) {
            *kept = None;
        }
    }
}

impl fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceAccount")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
