//! Roles, as the settings service keeps them (docs/design/contract.md 2.2). Who acts is named by `account-id`, and by nothing else.

use std::time::Duration;

use http::uri::PathAndQuery;

use super::{Call, Channels, RpcError};
use crate::services::Address;
use messages::{
    AssignRoleToUserRequest, AssignRoleToUserResponse, ListBundlesRequest, ListBundlesResponse,
    ListRoleAssignmentsRequest, ListRoleAssignmentsResponse,
};

/// A client of the settings service. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Settings {
    channels: Channels,
    service: Address,
}

/// A role that the deployment has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleDefinition {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// Time for each call; the first after a start of the service takes a tenth of a second.
const DEADLINE: Duration = Duration::from_secs(5);

impl Settings {
    /// A client of the service at that address.
    #[must_use]
    pub fn new(channels: Channels, service: Address) -> Self {
        Self { channels, service }
    }

    /// The roles that can be assigned.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub async fn roles(&self) -> Result<Vec<RoleDefinition>, RpcError> {
        let answer: ListBundlesResponse = self
            .call("ListRoles", ListBundlesRequest::default(), None)
            .await?;
        let roles = answer.bundles.into_iter().map(|bundle| RoleDefinition {
            id: bundle.id,
            name: bundle.name,
        });
        Ok(roles.collect())
    }

    /// Ids of the roles that the account has: one, none, or after a race several.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub async fn roles_of(&self, account_id: &str) -> Result<Vec<String>, RpcError> {
        let request = ListRoleAssignmentsRequest {
            account_uuid: account_id.to_owned(),
        };
        let answer: ListRoleAssignmentsResponse =
            self.call("ListRoleAssignments", request, None).await?;
        let ids = answer.assignments.into_iter().map(|one| one.role_id);
        Ok(ids.collect())
    }

    /// Gives the account this role instead of whatever it has, as `actor`, the service account. The id has to be one
    /// that [`Settings::roles`] named: the service takes any.
    ///
    /// # Errors
    /// [`RpcError::Credential`] if `actor` may not.
    pub async fn assign(
        &self,
        account_id: &str,
        role_id: &str,
        actor: &str,
    ) -> Result<(), RpcError> {
        let request = AssignRoleToUserRequest {
            account_uuid: account_id.to_owned(),
            role_id: role_id.to_owned(),
        };
        let _: AssignRoleToUserResponse =
            self.call("AssignRoleToUser", request, Some(actor)).await?;
        Ok(())
    }

    async fn call<Q, A>(&self, method: &str, message: Q, actor: Option<&str>) -> Result<A, RpcError>
    where
        Q: prost::Message + Clone + 'static,
        A: prost::Message + Default + 'static,
    {
        let call = Call {
            service: &self.service,
            path: path(&self.service, method),
            message,
            metadata: actor
                .map(|actor| ("account-id", actor))
                .into_iter()
                .collect(),
            deadline: DEADLINE,
        };
        self.channels.unary(call).await
    }
}

/// The server looks at the last word of the service's name only; the registry's name stands before it (docs/design/contract.md 2.1).
fn path(service: &Address, method: &str) -> PathAndQuery {
    let path = match service {
        Address::Service(name) => format!("/{name}.RoleService/{method}"),
        Address::Endpoint(_) => format!("/RoleService/{method}"),
    };
    PathAndQuery::try_from(path).unwrap_or(PathAndQuery::from_static("/"))
}

/// The messages, with the fields that matter here.
mod messages {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct ListBundlesRequest {
        #[prost(string, repeated, tag = "1")]
        pub(super) bundle_ids: Vec<String>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct ListBundlesResponse {
        #[prost(message, repeated, tag = "1")]
        pub(super) bundles: Vec<Bundle>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Bundle {
        #[prost(string, tag = "1")]
        pub(super) id: String,
        #[prost(string, tag = "2")]
        pub(super) name: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct ListRoleAssignmentsRequest {
        #[prost(string, tag = "1")]
        pub(super) account_uuid: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct ListRoleAssignmentsResponse {
        #[prost(message, repeated, tag = "1")]
        pub(super) assignments: Vec<UserRoleAssignment>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct UserRoleAssignment {
        #[prost(string, tag = "1")]
        pub(super) id: String,
        #[prost(string, tag = "2")]
        pub(super) account_uuid: String,
        #[prost(string, tag = "3")]
        pub(super) role_id: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct AssignRoleToUserRequest {
        #[prost(string, tag = "1")]
        pub(super) account_uuid: String,
        #[prost(string, tag = "2")]
        pub(super) role_id: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct AssignRoleToUserResponse {
        #[prost(message, optional, tag = "1")]
        pub(super) assignment: Option<UserRoleAssignment>,
    }
}

#[cfg(test)]
mod tests {
    use super::messages::*;
    use super::*;
    use crate::rpc::vectors::{self, Vector};

    #[test]
    fn requests_are_the_recorded_ones_byte_for_byte() {
        let recorded = vectors::of("settings");
        assert!(recorded.len() > 20);
        for vector in &recorded {
            match vector.method() {
                "ListRoles" => {
                    let request: ListBundlesRequest = vector.request();
                    // One asks in a language of its own, which is not sent here.
                    if !vector.name.contains("locale") {
                        vector.assert_request(&request);
                    }
                }
                "ListRoleAssignments" => {
                    let request = ListRoleAssignmentsRequest {
                        account_uuid: vector.text("account_uuid"),
                    };
                    vector.assert_request(&request);
                }
                "AssignRoleToUser" => {
                    let request = AssignRoleToUserRequest {
                        account_uuid: vector.text("account_uuid"),
                        role_id: vector.text("role_id"),
                    };
                    vector.assert_request(&request);
                }
                _ => {}
            }
        }
    }

    #[test]
    fn recorded_answers_are_read_whole() {
        let with = |method: &str| -> Vec<Vector> {
            let recorded = vectors::of("settings").into_iter();
            recorded
                .filter(|vector| vector.method() == method && vector.is_answered())
                .collect()
        };
        for vector in with("ListRoleAssignments") {
            vector.assert_answer::<ListRoleAssignmentsResponse>();
        }
        for vector in with("AssignRoleToUser") {
            vector.assert_answer::<AssignRoleToUserResponse>();
        }
        let all = with("ListRoles");
        let roles: ListBundlesResponse = all[0].answer();
        let mut names: Vec<_> = roles
            .bundles
            .iter()
            .map(|role| role.name.as_str())
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["admin", "spaceadmin", "user", "user-light"]);
    }

    #[test]
    fn the_registrys_name_stands_in_the_path() {
        let name = Address::parse("eu.opencloud.api.settings").unwrap();
        assert_eq!(
            path(&name, "ListRoles"),
            "/eu.opencloud.api.settings.RoleService/ListRoles"
        );
        let node = Address::parse("127.0.0.1:9191").unwrap();
        assert_eq!(path(&node, "ListRoles"), "/RoleService/ListRoles");
    }
}
