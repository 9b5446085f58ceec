//! HTTP to the graph service: one short call at a time, on a connection of its own.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use rustls::ClientConfig;
use serde_json::Value;
use tokio_util::task::AbortOnDropHandle;

use crate::config::Secret;
use crate::model::{Endpoint, TraceContext};
use crate::rpc::RpcError;
use crate::rpc::connect::connect;
use crate::telemetry::traces::Calling;

/// Largest answer read: a user with some thousand groups.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// Time for a call, connecting included.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// `null` if there is none or it is no JSON.
    pub(super) body: Value,
}

impl Answer {
    /// The OData error in words, for the log.
    pub(super) fn words(&self) -> String {
        let error = &self.body["error"];
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        let said = format!(
            "{} {} {}",
            self.status.as_u16(),
            text("code"),
            text("message")
        );
        crate::rpc::error::shown(said.trim_end())
    }
}

/// One call.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    /// Path and query.
    pub(super) target: &'a str,
    pub(super) token: &'a Secret,
    pub(super) body: Option<Value>,
}

/// Sends the call to one node. Whether it arrived is not known after an error.
pub(super) async fn send(
    endpoint: &Endpoint,
    tls: &Arc<ClientConfig>,
    call: &Call<'_>,
    service: &str,
) -> Result<Answer, RpcError> {
    let calling = Calling::begin();
    let context = calling.as_ref().map(|calling| calling.context);
    let exchange = exchange(endpoint, tls, call, context, service);
    let answer = match tokio::time::timeout(DEADLINE, exchange).await {
        Ok(answer) => answer,
        Err(_) => Err(RpcError::Timeout {
            service: service.to_owned(),
            after: DEADLINE,
        }),
    };
    if let Some(calling) = calling {
        let name = || format!("graph {}", call.method);
        calling.end(name, answer.is_err().then_some("failed"));
    }
    answer
}

async fn exchange(
    endpoint: &Endpoint,
    tls: &Arc<ClientConfig>,
    call: &Call<'_>,
    context: Option<TraceContext>,
    service: &str,
) -> Result<Answer, RpcError> {
    let unreachable = |error: &dyn std::error::Error| RpcError::Unreachable {
        service: service.to_owned(),
        detail: error.to_string(),
    };
    let tls = endpoint.tls.then(|| Arc::clone(tls));
    let io = connect(endpoint.place.clone(), tls)
        .await
        .map_err(|error| unreachable(&error))?;
    let (mut sender, connection) = http1::handshake(io)
        .await
        .map_err(|error| unreachable(&error))?;
    let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
    let mut request =
        request(endpoint, call).map_err(|error| RpcError::unusable(service, error.to_string()))?;
    let context = context.and_then(|context| HeaderValue::from_bytes(&context.header()).ok());
    if let Some(context) = context {
        request.headers_mut().insert("traceparent", context);
    }
    let answer = sender
        .send_request(request)
        .await
        .map_err(|error| unreachable(&error))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_ANSWER)
        .collect()
        .await
        .map_err(|error| RpcError::unusable(service, error.to_string()))?
        .to_bytes();
    Ok(Answer {
        status,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    })
}

fn request(endpoint: &Endpoint, call: &Call<'_>) -> Result<Request<Full<Bytes>>, http::Error> {
    let mut token = HeaderValue::from_str(call.token.reveal())?;
    token.set_sensitive(true);
    let host = match endpoint.host() {
        Some(_) => endpoint.to_string(),
        None => "localhost".to_owned(),
    };
    let mut request = Request::builder()
        .method(call.method.clone())
        .uri(call.target)
        .header(HOST, host)
        .header(USER_AGENT, "davgate")
        .header(ACCEPT, "application/json")
        .header("x-access-token", token);
    let body = match &call.body {
        Some(body) => {
            request = request.header(CONTENT_TYPE, "application/json");
            Bytes::from(body.to_string())
        }
        None => Bytes::new(),
    };
    request.body(Full::new(body))
}
