//! Personal spaces: made once per session, by one call at a time for a user (docs/design/contract.md 9.9).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Cs3, Home};
use crate::config::Secret;
use crate::model::Role;
use crate::rpc::{RpcError, Turns};

/// Makes homes. Clones share what is known of them.
#[derive(Debug, Clone)]
pub struct Homes {
    cs3: Cs3,
    /// Bytes a new home may take, by role id.
    quotas: Arc<HashMap<String, u64>>,
    turns: Turns,
    known: Arc<Mutex<HashMap<String, Known>>>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    home: Home,
    until: Instant,
}

/// Sessions of one user that are set up at the same time ask once.
const KNOWN_FOR: Duration = Duration::from_secs(60);
/// More users than that do not come within the minute.
const MAX_KNOWN: usize = 4_096;

impl Homes {
    /// Homes at this gateway.
    #[must_use]
    pub fn new(cs3: Cs3, quotas: HashMap<String, u64>) -> Self {
        Self {
            cs3,
            quotas: Arc::new(quotas),
            turns: Turns::default(),
            known: Arc::default(),
        }
    }

    /// Sees to it that the account has its home, as far as its role lets it have one. Call it after the role is right,
    /// with the user's own token, and not for service or lightweight users.
    ///
    /// # Errors
    /// See [`RpcError`]; whether there is a home is not known then.
    pub async fn make(
        &self,
        account_id: &str,
        role: Option<Role>,
        token: &Secret,
    ) -> Result<Home, RpcError> {
        if let Some(home) = self.known_of(account_id, role) {
            return Ok(home);
        }
        let _turn = self.turns.of(account_id).await;
        if let Some(home) = self.known_of(account_id, role) {
            return Ok(home);
        }
        let quota = role.and_then(|role| self.quotas.get(role.id()).copied());
        let home = self.cs3.create_home(token, quota).await?;
        self.remember(&key(account_id, role), home);
        Ok(home)
    }

    /// What a role may not have another may: the answer is kept with the role.
    fn known_of(&self, account_id: &str, role: Option<Role>) -> Option<Home> {
        let known = self.known();
        let entry = known.get(&key(account_id, role))?;
        (Instant::now() < entry.until).then_some(entry.home)
    }

    fn remember(&self, key: &str, home: Home) {
        let now = Instant::now();
        let mut known = self.known();
        if known.len() >= MAX_KNOWN {
            known.retain(|_, entry| now < entry.until);
        }
        if known.len() < MAX_KNOWN {
            let until = now + KNOWN_FOR;
            known.insert(key.to_owned(), Known { home, until });
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(account_id: &str, role: Option<Role>) -> String {
    format!("{} {account_id}", role.map_or("", Role::name))
}
