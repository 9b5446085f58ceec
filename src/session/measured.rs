//! Set-ups, with their time and outcome for the metrics.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;

use super::account::AccountState;
use super::loader::{Loaded, SessionLoader};
use super::{LoadError, loader};
use crate::auth::Standing;
use crate::credentials::Credential;
use crate::telemetry::{ControlMetrics, Outcome};

/// A loader whose set-ups are measured.
#[derive(Debug)]
pub(crate) struct MeasuredLoader {
    loader: Arc<loader::Loader>,
    metrics: ControlMetrics,
}

impl MeasuredLoader {
    /// Measures `loader`.
    #[must_use]
    pub(crate) fn new(loader: Arc<loader::Loader>, metrics: ControlMetrics) -> Self {
        Self { loader, metrics }
    }
}

#[async_trait]
impl SessionLoader for MeasuredLoader {
    fn lanes(&self) -> usize {
        self.loader.lanes()
    }

    fn standing(&self, credential: &Credential) -> Standing {
        self.loader.standing(credential)
    }

    async fn load(&self, credential: &Credential, generation: u64) -> Result<Loaded, LoadError> {
        let started = Instant::now();
        let loaded = self.loader.load(credential, generation).await;
        let outcome = match &loaded {
            Ok(_) => Outcome::Ok,
            Err(error) if error.is_temporary() => Outcome::Failed,
            Err(_) => Outcome::Refused,
        };
        self.metrics.session_set_up(outcome, started.elapsed());
        loaded
    }

    async fn refresh_account(&self, account: &AccountState) -> Result<(), LoadError> {
        self.loader.refresh_account(account).await
    }
}
