//! Tenants by the id that the issuer knows them by (docs/design/contract.md 9.5).

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use moka::Expiry;
use moka::sync::Cache;

use super::DirectoryError;
use crate::rpc::RpcError;
use crate::rpc::cs3::{Cs3, ServiceAccount};

/// Who knows a tenant's own id by the one that others use.
#[async_trait]
pub(crate) trait TenantNames: fmt::Debug + Send + Sync {
    /// The tenant's own id; `None`: there is no such tenant.
    ///
    /// # Errors
    /// [`DirectoryError`]: nothing is known.
    async fn own_id(&self, external_id: &str) -> Result<Option<Arc<str>>, DirectoryError>;
}

/// The deployment's tenant service, asked through the CS3 gateway as davgate's own account.
#[derive(Debug)]
pub(crate) struct DeploymentTenants {
    cs3: Cs3,
    actor: ServiceAccount,
    known: Cache<Box<str>, Option<Arc<str>>>,
}

/// As long as the existing service keeps one.
const KNOWN_FOR: Duration = Duration::from_mins(10);

/// A new tenant's first people should not wait, and a wrong claim should not ask at every request.
const UNKNOWN_FOR: Duration = Duration::from_secs(5);

/// Tenants that are remembered.
const REMEMBERED: u64 = 4_096;

struct Kept;

impl Expiry<Box<str>, Option<Arc<str>>> for Kept {
    fn expire_after_create(
        &self,
        _: &Box<str>,
        own_id: &Option<Arc<str>>,
        _: Instant,
    ) -> Option<Duration> {
        Some(if own_id.is_some() {
            KNOWN_FOR
        } else {
            UNKNOWN_FOR
        })
    }
}

impl DeploymentTenants {
    pub(crate) fn new(cs3: Cs3, actor: ServiceAccount) -> Self {
        let known = Cache::builder().max_capacity(REMEMBERED);
        Self {
            cs3,
            actor,
            known: known.expire_after(Kept).build(),
        }
    }

    /// Once more with a new token if the kept one is refused.
    async fn ask(&self, external_id: &str) -> Result<Option<String>, RpcError> {
        let token = self.actor.token().await?;
        match self.cs3.tenant_by_external_id(&token, external_id).await {
            Err(RpcError::Credential { .. }) => {
                self.actor.forget(&token).await;
                let token = self.actor.token().await?;
                self.cs3.tenant_by_external_id(&token, external_id).await
            }
            answer => answer,
        }
    }
}

#[async_trait]
impl TenantNames for DeploymentTenants {
    async fn own_id(&self, external_id: &str) -> Result<Option<Arc<str>>, DirectoryError> {
        if let Some(known) = self.known.get(external_id) {
            return Ok(known);
        }
        let own_id: Option<Arc<str>> = self.ask(external_id).await?.map(Arc::from);
        self.known.insert(external_id.into(), own_id.clone());
        Ok(own_id)
    }
}
