//! From a path to a caller by the routes of a policy: everybody's, or the user's own (`policy_selector.claims` and `.regex`).
//! There the login comes before the route, because it decides which routes there are.

use http::HeaderValue;

use super::Pipeline;
use super::admission::{self, Caller};
use super::arrival::Arrival;
use crate::error::GatewayError;
use crate::headers::CleanHead;
use crate::model::Fault;
use crate::routes::{NormalPath, Policies, RouteMatch, Table, UserPolicies};

/// A caller, and the routes of their policy.
pub(super) struct Selected<'s> {
    pub(super) table: &'s Table,
    pub(super) caller: Caller<'s>,
    /// For the answer, so that a browser's later requests without a login go the same way.
    pub(super) cookie: Option<HeaderValue>,
}

impl Pipeline {
    /// The caller, as far as the route wants to know who it is.
    pub(super) async fn select<'s>(
        &self,
        arrival: &Arrival<'s>,
        path: &NormalPath<'_>,
        head: &CleanHead,
    ) -> Result<Selected<'s>, GatewayError> {
        match &arrival.snapshot.policies {
            Policies::Static(table) => {
                let route = table.find(head.method(), path)?;
                Ok(Selected {
                    table,
                    caller: self.admit(arrival, route, path, head).await?,
                    cookie: None,
                })
            }
            // Boxed, so that requests under one policy do not carry its room.
            Policies::ByUser(policies) => {
                Box::pin(self.select_by_user(arrival, policies, path, head)).await
            }
        }
    }

    /// The caller by their own policy; without a good login by the one for those without.
    async fn select_by_user<'s>(
        &self,
        arrival: &Arrival<'s>,
        policies: &'s UserPolicies,
        path: &NormalPath<'_>,
        head: &CleanHead,
    ) -> Result<Selected<'s>, GatewayError> {
        let found = match self.session_of(arrival, path, head).await {
            Err(error) => Box::pin(self.by_what_else(arrival, path, head, error))
                .await
                .map(Some),
            found => found,
        };
        let refused = match found {
            Ok(Some(session)) => {
                let policy = session.policy();
                let policy = policy.as_deref();
                let table = policies.of_user(policy);
                let https = arrival.ingress.scheme == "https";
                let cookie =
                    policy.and_then(|policy| policies.cookie(head.headers(), policy, https));
                let caller = match table.find(head.method(), path)? {
                    RouteMatch::Public(route) => admission::anybody(route, head)?,
                    RouteMatch::Protected(route) => self
                        .let_in(route, session)
                        .or_else(|error| admission::unless_open(route, error))?,
                };
                return Ok(Selected {
                    table,
                    caller,
                    cookie,
                });
            }
            Ok(None) => None,
            Err(error) => Some(error),
        };
        let (table, route) = policies.of_anybody(head.headers(), head.method(), path)?;
        let caller = match (route, refused) {
            // Where the login cannot be judged now, nobody knows whose backend would get the request.
            (_, Some(error)) if error.fault() != Fault::Caller => return Err(error),
            (RouteMatch::Public(route), _) => admission::anybody(route, head)?,
            (RouteMatch::Protected(route), Some(error)) => admission::unless_open(route, error)?,
            (RouteMatch::Protected(route), None) => {
                admission::without_credential(arrival.snapshot, route, head)?
            }
        };
        Ok(Selected {
            table,
            caller,
            cookie: None,
        })
    }
}
