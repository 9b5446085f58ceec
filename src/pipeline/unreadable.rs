//! The answer to a head that the HTTP library cannot read: no request comes of it, so nothing is known but the peer.

use http::{HeaderMap, Method, Response};

use super::Pipeline;
use super::record::{About, log_refusal};
use super::request_id::RequestId;
use crate::answer::AnswerForm;
use crate::body::Body;
use crate::error::GatewayError;
use crate::headers::HeaderFault;
use crate::routes::RouteError;
use crate::server::{Connection, UnreadableHead};

impl Pipeline {
    /// A refusal with everything each answer has, but no line in the access log, which is one of requests.
    pub(super) fn refuse_unreadable(
        &self,
        connection: &Connection,
        head: UnreadableHead,
    ) -> Response<Body> {
        let error = match head {
            UnreadableHead::Malformed => GatewayError::UnreadableHead,
            UnreadableHead::TargetTooLong => RouteError::TargetTooLong.into(),
            UnreadableHead::TooLarge => HeaderFault::TooLarge.into(),
        };
        let snapshot = self.snapshot();
        let id = self.request_ids.make();
        let refusal = error.refusal();
        let client = connection.peer_text.to_str().unwrap_or_default();
        let who = (id.as_str(), client);
        log_refusal(&self.metrics, &refusal, &error, who, About::default());
        let form = AnswerForm::of(
            &Method::GET,
            "/",
            None,
            &HeaderMap::new(),
            connection.peer_text.clone(),
            &[],
            false,
        );
        let now = self.process.clock.now();
        let mut response = form.refuse(&refusal, id.as_str(), &snapshot.resource_metadata, now);
        snapshot.security_headers().apply(response.headers_mut());
        response.headers_mut().insert(RequestId::NAME, id.value());
        response
    }
}
