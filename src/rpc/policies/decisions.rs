//! What workers ask: the calls run on the control runtime, and a worker awaits their outcome.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::{Person, Policies, Question};
use crate::config::Secret;
use crate::model::Account;
use crate::rpc::RpcError;
use crate::rpc::cs3::{Cs3, Reference, ResourceId};
use crate::telemetry::traces;

/// Decides by one query whether operations may go on.
#[derive(Debug, Clone)]
pub(crate) struct Decisions {
    policies: Policies,
    resources: Cs3,
    query: Arc<str>,
    control: Handle,
}

/// What somebody wants to do.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    /// The request's method.
    pub(crate) method: String,
    /// A path it names: its target's or its `Destination`'s.
    pub(crate) path: String,
    /// Name of the file it is about.
    pub(crate) resource: ResourceName,
    /// Who wants it, where that is known.
    pub(crate) account: Option<Arc<Account>>,
}

/// Name of the file an operation is about.
#[derive(Debug, Clone)]
pub(crate) enum ResourceName {
    /// This, or empty.
    Known(String),
    /// Of the resource with that id, as the token's user sees it.
    OfId {
        /// The id.
        id: ResourceId,
        /// The reva token of whoever asks.
        token: Secret,
    },
}

impl Decisions {
    /// Asks `policies` by that query, and `resources` for the names of files that a request names by their id only.
    pub(crate) fn new(policies: Policies, resources: Cs3, query: &str, control: Handle) -> Self {
        Self {
            policies,
            resources,
            query: query.into(),
            control,
        }
    }

    /// The name by which the policies let the operation go on: `Ok(Err(name))` is a refusal.
    ///
    /// # Errors
    /// Nobody could be asked; then nothing may pass.
    pub(crate) async fn decide(
        &self,
        operation: Operation,
    ) -> Result<Result<(), String>, RpcError> {
        let decisions = self.clone();
        let ask = async move { decisions.ask(operation).await };
        let asked = self.control.spawn(traces::carried(ask));
        match asked.await {
            Ok(decision) => decision,
            // A panic there, or the process ends.
            Err(error) => Err(RpcError::Failed {
                service: "policies".to_owned(),
                detail: error.to_string(),
            }),
        }
    }

    async fn ask(&self, operation: Operation) -> Result<Result<(), String>, RpcError> {
        let name = match operation.resource {
            ResourceName::Known(name) => name,
            ResourceName::OfId { id, token } => self.name_of(id, &token).await?,
        };
        let person = operation.account.as_deref().map(|account| Person {
            id: &account.id,
            username: &account.username,
            mail: account.mail.as_deref(),
            display_name: &account.display_name,
            groups: account
                .groups
                .iter()
                .map(|group| group.id.clone())
                .collect(),
        });
        let question = Question {
            query: &self.query,
            method: &operation.method,
            path: &operation.path,
            resource_name: &name,
            person,
        };
        let passes = self.policies.evaluate(question).await?;
        Ok(if passes { Ok(()) } else { Err(name) })
    }

    /// Something that is not there has no name; the backend says so itself.
    async fn name_of(&self, id: ResourceId, token: &Secret) -> Result<String, RpcError> {
        let reference = Reference {
            resource_id: Some(id),
            path: String::new(),
        };
        let info = self.resources.stat(token, reference).await?;
        Ok(info.map(|info| info.name).unwrap_or_default())
    }
}
