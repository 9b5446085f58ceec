//! LibreGraph, by which users and groups are made and changed (docs/design/contract.md 7.3, docs/design/contract.md 7.3).

mod http;

use std::sync::Arc;

use ::http::{Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::ClientConfig;
use serde::Deserialize;
use serde_json::{Value, json};

use self::http::{Answer, Call, send};
use super::RpcError;
use super::cs3::ServiceAccount;
use crate::model::{ExternalIdentity, ServiceName};
use crate::services::Directory;

/// A client of the graph service, acting as the service account. Clones are cheap.
#[derive(Debug, Clone)]
pub struct Graph {
    directory: Directory,
    service: ServiceName,
    tls: Arc<ClientConfig>,
    account: ServiceAccount,
}

/// A user as graph shows one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GraphUser {
    /// The account's id.
    pub id: String,
    /// Login name.
    #[serde(default)]
    pub on_premises_sam_account_name: String,
    /// Name shown to people.
    #[serde(default)]
    pub display_name: String,
    /// Mail address; not shown to the service account in every answer.
    #[serde(default)]
    pub mail: Option<String>,
    /// Absent until somebody set it.
    #[serde(default)]
    pub account_enabled: Option<bool>,
    /// `Member` or `Guest`.
    #[serde(default)]
    pub user_type: Option<String>,
    /// The groups, if they were asked for.
    #[serde(default)]
    pub member_of: Vec<GraphGroup>,
}

/// A group as graph shows one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GraphGroup {
    /// Its id.
    pub id: String,
    /// Its name.
    #[serde(default)]
    pub display_name: String,
}

/// A user to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewUser<'a> {
    /// Login name.
    pub username: &'a str,
    /// Name shown to people.
    pub display_name: &'a str,
    /// Mail address.
    pub mail: Option<&'a str>,
    /// Who owns it.
    pub identity: Option<&'a ExternalIdentity>,
}

/// What graph said to a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<T> {
    /// It is done.
    Done(T),
    /// The name is taken.
    NameTaken,
    /// What was to be changed is not there.
    NotFound,
    /// It does not take this: a name, a mail address, a right that davgate lacks.
    Refused(String),
}

/// Everything but what RFC 3986 leaves unreserved.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

impl Graph {
    /// A client of the service of that name; `tls` counts for nodes that say they have it.
    #[must_use]
    pub fn new(
        directory: Directory,
        service: ServiceName,
        tls: Arc<ClientConfig>,
        account: ServiceAccount,
    ) -> Self {
        Self {
            directory,
            service,
            tls,
            account,
        }
    }

    /// Makes a user.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub async fn create_user(&self, new: NewUser<'_>) -> Result<Change<GraphUser>, RpcError> {
        let mut body = json!({
            "displayName": new.display_name,
            "onPremisesSamAccountName": new.username,
        });
        if let Some(mail) = new.mail {
            body["mail"] = mail.into();
        }
        if let Some(identity) = new.identity {
            body["identities"] =
                json!([{"issuer": identity.issuer, "issuerAssignedId": identity.subject}]);
        }
        self.change(Method::POST, "users", Some(body)).await
    }

    /// The user of that name or id, with groups.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub async fn user(&self, name_or_id: &str) -> Result<Option<GraphUser>, RpcError> {
        let target = format!("users/{}?$expand=memberOf", segment(name_or_id));
        self.find(&target).await
    }

    /// Changes a user's display name or mail address, or both; no value may be empty.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub async fn update_user(
        &self,
        id: &str,
        display_name: Option<&str>,
        mail: Option<&str>,
    ) -> Result<Change<()>, RpcError> {
        let mut body = serde_json::Map::new();
        for (name, value) in [("displayName", display_name), ("mail", mail)] {
            if let Some(value) = value {
                body.insert(name.to_owned(), value.into());
            }
        }
        let target = format!("users/{}", segment(id));
        self.change_without_answer(Method::PATCH, &target, Some(body.into()))
            .await
    }

    /// The group of that name.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub async fn group(&self, name: &str) -> Result<Option<GraphGroup>, RpcError> {
        self.find(&format!("groups/{}", segment(name))).await
    }

    /// Makes a group.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub async fn create_group(&self, name: &str) -> Result<Change<GraphGroup>, RpcError> {
        let body = json!({"displayName": name});
        self.change(Method::POST, "groups", Some(body)).await
    }

    /// Makes the user a member; again is no fault.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub async fn add_member(&self, group_id: &str, user_id: &str) -> Result<Change<()>, RpcError> {
        // Only the end of the address is looked at, and it has to be the id.
        let user = format!("https://localhost/graph/v1.0/users/{}", segment(user_id));
        let target = format!("groups/{}/members/$ref", segment(group_id));
        let body = json!({"@odata.id": user});
        self.change_without_answer(Method::POST, &target, Some(body))
            .await
    }

    /// Takes the user out; who is no member is not found.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub async fn remove_member(
        &self,
        group_id: &str,
        user_id: &str,
    ) -> Result<Change<()>, RpcError> {
        let (group, user) = (segment(group_id), segment(user_id));
        let target = format!("groups/{group}/members/{user}/$ref");
        self.change_without_answer(Method::DELETE, &target, None)
            .await
    }

    async fn find<T: for<'de> Deserialize<'de>>(
        &self,
        target: &str,
    ) -> Result<Option<T>, RpcError> {
        let answer = self.call(Method::GET, target, None).await?;
        match answer.status {
            StatusCode::OK => self.read(answer).map(Some),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(self.failed(&answer)),
        }
    }

    async fn change<T: for<'de> Deserialize<'de>>(
        &self,
        method: Method,
        target: &str,
        body: Option<Value>,
    ) -> Result<Change<T>, RpcError> {
        let answer = self.call(method, target, body).await?;
        match answer.status {
            StatusCode::OK | StatusCode::CREATED => self.read(answer).map(Change::Done),
            _ => self.not_done(&answer),
        }
    }

    async fn change_without_answer(
        &self,
        method: Method,
        target: &str,
        body: Option<Value>,
    ) -> Result<Change<()>, RpcError> {
        let answer = self.call(method, target, body).await?;
        if answer.status.is_success() {
            return Ok(Change::Done(()));
        }
        self.not_done(&answer)
    }

    fn not_done<T>(&self, answer: &Answer) -> Result<Change<T>, RpcError> {
        match answer.status {
            StatusCode::CONFLICT => Ok(Change::NameTaken),
            StatusCode::NOT_FOUND => Ok(Change::NotFound),
            StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN => Ok(Change::Refused(answer.words())),
            _ => Err(self.failed(answer)),
        }
    }

    /// One call, sent once more with a new token if the kept one is refused, and to another node if one is out of reach.
    async fn call(
        &self,
        method: Method,
        target: &str,
        body: Option<Value>,
    ) -> Result<Answer, RpcError> {
        let target = format!("/graph/v1.0/{target}");
        let token = self.account.token().await?;
        let mut call = Call {
            method,
            target: &target,
            token: &token,
            body,
        };
        let answer = self.send(&call).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        self.account.forget(&token).await;
        let token = self.account.token().await?;
        call.token = &token;
        let answer = self.send(&call).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            return Err(RpcError::Credential {
                service: self.service.to_string(),
                detail: answer.words(),
            });
        }
        Ok(answer)
    }

    async fn send(&self, call: &Call<'_>) -> Result<Answer, RpcError> {
        let service = self.service.as_str();
        let mut last = RpcError::NoNode {
            service: service.to_owned(),
        };
        for endpoint in self.directory.endpoints(service).iter() {
            match send(endpoint, &self.tls, call, service).await {
                Err(error) if error.is_of_the_connection() => last = error,
                answer => return answer,
            }
        }
        Err(last)
    }

    fn read<T: for<'de> Deserialize<'de>>(&self, answer: Answer) -> Result<T, RpcError> {
        serde_json::from_value(answer.body)
            .map_err(|error| RpcError::unusable(self.service.as_str(), error.to_string()))
    }

    fn failed(&self, answer: &Answer) -> RpcError {
        RpcError::Failed {
            service: self.service.to_string(),
            detail: answer.words(),
        }
    }
}

fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_segment_of_a_path_whatever_is_in_it() {
        assert_eq!(segment("a/b?c#d e%"), "a%2Fb%3Fc%23d%20e%25");
        assert_eq!(segment("mara.k-1_x~y"), "mara.k-1_x~y");
    }

    #[test]
    fn a_user_is_read_as_recorded_with_and_without_what_graph_leaves_out() {
        let user = json!({"accountEnabled": true, "displayName": "Contract Person", "id": "d4fc6883", "mail": "p@example.org",
            "onPremisesSamAccountName": "ctr", "userType": "Member", "surname": "ctr",
            "memberOf": [{"id": "5c6d", "displayName": "crew", "groupTypes": []}]});
        let user: GraphUser = serde_json::from_value(user).unwrap();
        assert_eq!(user.member_of[0].display_name, "crew");
        let bare: GraphUser = serde_json::from_value(json!({"id": "d4fc6883"})).unwrap();
        assert_eq!((bare.account_enabled, bare.mail), (None, None));
    }
}
