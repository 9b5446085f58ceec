//! The policies service: may this go on (docs/design/contract.md 2.3)?

mod decisions;

use std::time::Duration;

use http::uri::PathAndQuery;

use super::{Call, Channels, RpcError};
use crate::services::Address;
use messages::{
    Environment, EvaluateRequest, EvaluateResponse, Id, Request, Resource, Stage, User,
};

pub(crate) use decisions::{Decisions, Operation, ResourceName};

/// A client of the policies service. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Policies {
    channels: Channels,
    service: Address,
}

/// What a policy decides by.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// The configured query.
    pub query: &'a str,
    /// The request's method.
    pub method: &'a str,
    /// Its path.
    pub path: &'a str,
    /// Name of the file it is about, or empty.
    pub resource_name: &'a str,
    /// Who asks, where that is known.
    pub person: Option<Person<'a>>,
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct Person<'a> {
    /// Account id.
    pub id: &'a str,
    /// Login name.
    pub username: &'a str,
    /// Mail address.
    pub mail: Option<&'a str>,
    /// Name shown to people.
    pub display_name: &'a str,
    /// Ids of groups.
    pub groups: Vec<String>,
}

/// A request waits for this answer.
const DEADLINE: Duration = Duration::from_secs(5);

impl Policies {
    /// A client of the service at that address.
    #[must_use]
    pub fn new(channels: Channels, service: Address) -> Self {
        Self { channels, service }
    }

    /// Whether the policies let it pass. A query that no policy defines does not.
    ///
    /// # Errors
    /// See [`RpcError`]; then nothing may pass.
    pub async fn evaluate(&self, question: Question<'_>) -> Result<bool, RpcError> {
        let call = Call {
            service: &self.service,
            path: path(&self.service),
            message: EvaluateRequest::from(question),
            metadata: Vec::new(),
            deadline: DEADLINE,
        };
        let answer: EvaluateResponse = self.channels.unary(call).await?;
        Ok(answer.result)
    }
}

fn path(service: &Address) -> PathAndQuery {
    let path = match service {
        Address::Service(name) => format!("/{name}.PoliciesProvider/Evaluate"),
        Address::Endpoint(_) => "/PoliciesProvider/Evaluate".to_owned(),
    };
    PathAndQuery::try_from(path).unwrap_or(PathAndQuery::from_static("/"))
}

impl From<Question<'_>> for EvaluateRequest {
    fn from(question: Question<'_>) -> Self {
        let user = question.person.map(|person| User {
            id: Some(Id {
                opaque_id: person.id.to_owned(),
            }),
            username: person.username.to_owned(),
            mail: person.mail.unwrap_or_default().to_owned(),
            display_name: person.display_name.to_owned(),
            groups: person.groups,
        });
        Self {
            query: question.query.to_owned(),
            environment: Some(Environment {
                stage: Stage::Http.into(),
                user,
                request: Some(Request {
                    method: question.method.to_owned(),
                    path: question.path.to_owned(),
                }),
                resource: Some(Resource {
                    name: question.resource_name.to_owned(),
                }),
            }),
        }
    }
}

/// The messages, with the fields that matter here.
mod messages {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct EvaluateRequest {
        #[prost(string, tag = "1")]
        pub(super) query: String,
        #[prost(message, optional, tag = "2")]
        pub(super) environment: Option<Environment>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct EvaluateResponse {
        #[prost(bool, tag = "1")]
        pub(super) result: bool,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Environment {
        #[prost(enumeration = "Stage", tag = "1")]
        pub(super) stage: i32,
        #[prost(message, optional, tag = "2")]
        pub(super) user: Option<User>,
        #[prost(message, optional, tag = "3")]
        pub(super) request: Option<Request>,
        #[prost(message, optional, tag = "4")]
        pub(super) resource: Option<Resource>,
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq, prost::Enumeration)]
    #[repr(i32)]
    pub(super) enum Stage {
        Postprocessing = 0,
        Http = 1,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct User {
        #[prost(message, optional, tag = "1")]
        pub(super) id: Option<Id>,
        #[prost(string, tag = "2")]
        pub(super) username: String,
        #[prost(string, tag = "3")]
        pub(super) mail: String,
        #[prost(string, tag = "4")]
        pub(super) display_name: String,
        #[prost(string, repeated, tag = "5")]
        pub(super) groups: Vec<String>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Id {
        #[prost(string, tag = "1")]
        pub(super) opaque_id: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Request {
        #[prost(string, tag = "1")]
        pub(super) method: String,
        #[prost(string, tag = "2")]
        pub(super) path: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Resource {
        #[prost(string, tag = "2")]
        pub(super) name: String,
    }
}

#[cfg(test)]
mod tests {
    use super::messages::*;
    use super::*;
    use crate::rpc::vectors;

    #[test]
    fn questions_are_the_recorded_ones_byte_for_byte() {
        let mut asked = 0;
        for vector in vectors::of("policies") {
            let recorded: EvaluateRequest = vector.request();
            let Some(environment) = &recorded.environment else {
                continue;
            };
            let (request, resource) = (environment.request.clone(), environment.resource.clone());
            let (request, resource) = (request.unwrap(), resource.unwrap());
            let question = Question {
                query: &recorded.query,
                method: &request.method,
                path: &request.path,
                resource_name: &resource.name,
                person: None,
            };
            vector.assert_request(&EvaluateRequest::from(question));
            asked += 1;
        }
        assert!(asked >= 6);
    }

    #[test]
    fn an_undefined_query_is_an_empty_answer_and_means_no() {
        let recorded = vectors::of("policies");
        let answer = |name: &str| -> EvaluateResponse {
            recorded.iter().find(|v| v.name == name).unwrap().answer()
        };
        assert!(!answer("Evaluate, unknown query").result);
        assert!(answer("constant true").result);
    }
}
