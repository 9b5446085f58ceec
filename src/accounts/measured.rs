//! Any account backend, with the time and outcome of each operation for the metrics.

use std::time::Instant;

use async_trait::async_trait;

use super::{
    AccountChange, AccountKey, Capabilities, Created, DirectoryError, GroupReport, GroupSync,
    NewAccount, Provisioner, UserDirectory,
};
use crate::model::Account;
use crate::telemetry::{ControlMetrics, DirectoryOperation, Outcome, PoolLevel};

/// A backend whose operations are measured.
#[derive(Debug)]
pub(crate) struct MeasuredDirectory<D> {
    backend: D,
    metrics: ControlMetrics,
}

impl<D> MeasuredDirectory<D> {
    /// Measures `backend`.
    #[must_use]
    pub(crate) fn new(backend: D, metrics: ControlMetrics) -> Self {
        Self { backend, metrics }
    }

    fn done<T>(
        &self,
        operation: DirectoryOperation,
        started: Instant,
        result: &Result<T, DirectoryError>,
    ) {
        let outcome = match result {
            Ok(_) => Outcome::Ok,
            Err(
                DirectoryError::Refused(_)
                | DirectoryError::Misconfigured { .. }
                | DirectoryError::Excluded(_)
                | DirectoryError::Conflict
                | DirectoryError::Ambiguous(_),
            ) => Outcome::Refused,
            Err(DirectoryError::Unavailable(_) | DirectoryError::Unusable(_)) => Outcome::Failed,
        };
        self.metrics
            .directory_asked(operation, outcome, started.elapsed());
    }
}

#[async_trait]
impl<D: UserDirectory> UserDirectory for MeasuredDirectory<D> {
    async fn find(&self, key: &AccountKey) -> Result<Option<Account>, DirectoryError> {
        let started = Instant::now();
        let result = self.backend.find(key).await;
        self.done(DirectoryOperation::Search, started, &result);
        result
    }

    fn capabilities(&self) -> Capabilities {
        self.backend.capabilities()
    }

    async fn hidden(&self, keys: &[AccountKey]) -> Result<Option<String>, DirectoryError> {
        let started = Instant::now();
        let result = self.backend.hidden(keys).await;
        self.done(DirectoryOperation::Search, started, &result);
        result
    }

    fn pool(&self) -> Option<PoolLevel> {
        self.backend.pool()
    }

    async fn probe(&self) -> Result<(), DirectoryError> {
        let started = Instant::now();
        let result = self.backend.probe().await;
        self.done(DirectoryOperation::Connect, started, &result);
        result
    }
}

#[async_trait]
impl<D: Provisioner> Provisioner for MeasuredDirectory<D> {
    fn would_hide(&self, new: &NewAccount) -> Option<String> {
        self.backend.would_hide(new)
    }

    async fn create(&self, new: &NewAccount) -> Result<Created, DirectoryError> {
        let started = Instant::now();
        let result = self.backend.create(new).await;
        self.done(DirectoryOperation::Add, started, &result);
        result
    }

    async fn update(
        &self,
        account: &Account,
        change: &AccountChange,
    ) -> Result<(), DirectoryError> {
        let started = Instant::now();
        let result = self.backend.update(account, change).await;
        self.done(DirectoryOperation::Modify, started, &result);
        result
    }

    async fn sync_groups(
        &self,
        account: &Account,
        sync: &GroupSync,
    ) -> Result<GroupReport, DirectoryError> {
        let started = Instant::now();
        let result = self.backend.sync_groups(account, sync).await;
        self.done(DirectoryOperation::Modify, started, &result);
        result
    }

    async fn rehearse(&self, new: &NewAccount) -> Result<(), DirectoryError> {
        self.backend.rehearse(new).await
    }

    async fn rehearse_update(
        &self,
        account: &Account,
        change: &AccountChange,
    ) -> Result<Vec<String>, DirectoryError> {
        self.backend.rehearse_update(account, change).await
    }

    async fn rehearse_groups(
        &self,
        account: &Account,
        sync: &GroupSync,
    ) -> Result<GroupReport, DirectoryError> {
        self.backend.rehearse_groups(account, sync).await
    }
}
