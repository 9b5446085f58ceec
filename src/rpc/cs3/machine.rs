//! Logins by the machine key: davgate vouches for who the issuer's token named.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Authentication, Claim, Credentials, Cs3, Granted};
use crate::config::Secret;
use crate::rpc::RpcError;

/// The deployment's machine key at work. Clones share what was asked a moment ago.
#[derive(Clone)]
pub struct MachineLogins {
    cs3: Cs3,
    key: Secret,
    recent: Arc<Mutex<HashMap<String, Recent>>>,
}

/// A login of a moment ago: who found the account has logged it in already.
struct Recent {
    granted: Arc<Granted>,
    until: Instant,
}

/// As long as a set-up takes.
const RECENT: Duration = Duration::from_secs(5);
/// More set-ups than that are not under way.
const MAX_RECENT: usize = 2_048;

impl MachineLogins {
    /// Logins at this gateway with this key.
    #[must_use]
    pub fn new(cs3: Cs3, key: Secret) -> Self {
        Self {
            cs3,
            key,
            recent: Arc::default(),
        }
    }

    /// Logs in whoever is named so; `None`: there is nobody, or they are disabled.
    ///
    /// # Errors
    /// [`RpcError::Credential`] if the key is not the deployment's.
    pub async fn log_in(
        &self,
        claim: Claim,
        value: &str,
    ) -> Result<Option<Arc<Granted>>, RpcError> {
        let credentials = Credentials::Machine {
            claim,
            value,
            key: &self.key,
        };
        match self.cs3.authenticate(credentials).await? {
            Authentication::Refused(_) => Ok(None),
            Authentication::Granted(granted) => {
                let granted = Arc::from(granted);
                self.remember(&granted);
                Ok(Some(granted))
            }
        }
    }

    /// Logs in the account of this id, or takes the login by which it was found a moment ago.
    ///
    /// # Errors
    /// See [`MachineLogins::log_in`].
    pub async fn log_in_account(&self, id: &str) -> Result<Option<Arc<Granted>>, RpcError> {
        let now = Instant::now();
        let taken = self.recent().remove(id);
        match taken.filter(|recent| now < recent.until) {
            Some(recent) => Ok(Some(recent.granted)),
            None => {
                let granted = self.log_in(Claim::UserId, id).await?;
                self.recent().remove(id);
                Ok(granted)
            }
        }
    }

    fn remember(&self, granted: &Arc<Granted>) {
        let now = Instant::now();
        let mut recent = self.recent();
        if recent.len() >= MAX_RECENT {
            recent.retain(|_, recent| now < recent.until);
        }
        if recent.len() < MAX_RECENT {
            let entry = Recent {
                granted: Arc::clone(granted),
                until: now + RECENT,
            };
            recent.insert(granted.id.opaque_id.clone(), entry);
        }
    }

    fn recent(&self) -> MutexGuard<'_, HashMap<String, Recent>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MachineLogins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MachineLogins")
            .field("cs3", &self.cs3)
            .finish_non_exhaustive()
    }
}
