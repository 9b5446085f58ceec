//! One request to an issuer and its whole answer.

use std::time::Duration;

use bytes::Bytes;
use http::header::PROXY_AUTHORIZATION;
use http::{Extensions, HeaderMap, Method, Request, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::connector::{Connector, Proxies, Used, chain};
use super::tls::Connectors;
use super::{Answer, Call, CallError};

/// Kept connections per remote.
const MAX_IDLE: usize = 64;
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// So many kept connections may turn out to be dead for one call; a restarted issuer leaves several behind.
const MAX_DEAD: usize = 8;

/// Where one hop goes.
#[derive(Debug, Clone)]
pub(super) struct Hop {
    https: bool,
    host: String,
    port: u16,
    path: String,
    insecure: bool,
}

impl Hop {
    /// The address of the call after its back-channel rewriting.
    pub(super) fn of(call: &Call) -> Result<Self, CallError> {
        let url = match &call.backchannel {
            Some(backchannel) => backchannel.rewrite(&call.url),
            None => call.url.clone(),
        };
        let https = match url.scheme() {
            "https" => true,
            "http" => false,
            other => return Err(CallError::Address(format!("scheme {other}"))),
        };
        let host = url
            .host_str()
            .ok_or_else(|| CallError::Address("no host".into()))?;
        Ok(Self {
            https,
            host: host.to_owned(),
            port: url
                .port_or_known_default()
                .ok_or_else(|| CallError::Address("no port".into()))?,
            path: url[url::Position::BeforePath..url::Position::AfterQuery].to_owned(),
            insecure: call.insecure,
        })
    }

    /// Scheme, host and port: what back-off is remembered by.
    pub(super) fn origin(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        format!("{scheme}://{}:{}", self.host, self.port)
    }

    /// The `Host` header.
    pub(super) fn authority(&self) -> String {
        if self.port == if self.https { 443 } else { 80 } {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

type Kept = legacy::Client<Connector, Full<Bytes>>;

/// Kept connections: those whose certificate was verified are never mixed with those whose was not.
pub(super) struct Connections {
    verifying: (Kept, Connector),
    trusting: (Kept, Connector),
}

impl Connections {
    /// None yet.
    pub(super) fn new(tls: &Connectors, proxies: &Proxies) -> Self {
        let kept = |insecure| {
            let connector = Connector::new(tls.pick(insecure).clone(), proxies);
            let client = legacy::Client::builder(TokioExecutor::new())
                // Without a timer of its own the pool never closes what is idle.
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(IDLE_TIMEOUT)
                .pool_max_idle_per_host(MAX_IDLE)
                .http1_max_buf_size(64 * 1024)
                // The header is set by whoever calls: with a back-channel it is not the address.
                .set_host(false)
                .build(connector.clone());
            (client, connector)
        };
        Self {
            verifying: kept(false),
            trusting: kept(true),
        }
    }

    /// One request and its whole answer. A kept connection that died is replaced: all our calls may be repeated.
    pub(super) async fn exchange(
        &self,
        hop: &Hop,
        method: &Method,
        headers: &HeaderMap,
        body: &Bytes,
        max_body: usize,
    ) -> Result<Answer, CallError> {
        let (client, connector) = if hop.insecure {
            &self.trusting
        } else {
            &self.verifying
        };
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = method.clone();
        *request.headers_mut() = headers.clone();
        *request.uri_mut() = Uri::try_from(format!("{}{}", hop.origin(), hop.path))
            .map_err(|_| CallError::Address("path is no URI".into()))?;
        if let Some(value) = connector.proxy_authorization(request.uri()) {
            request.headers_mut().insert(PROXY_AUTHORIZATION, value);
        }
        let mut dead = 0;
        loop {
            match once(client, request.clone(), max_body).await {
                Err(Ended::OnUsed(_)) if dead < MAX_DEAD => dead += 1,
                Err(Ended::OnUsed(error) | Ended::OnNew(error)) => return Err(error),
                Ok(answer) => return Ok(answer),
            }
        }
    }
}

/// How a try failed: on a connection that had served before, or for a reason that another try would not mend.
enum Ended {
    OnUsed(CallError),
    OnNew(CallError),
}

async fn once(
    client: &Kept,
    request: Request<Full<Bytes>>,
    max_body: usize,
) -> Result<Answer, Ended> {
    let response = client.request(request).await.map_err(ended)?;
    let used = response
        .extensions()
        .get::<Used>()
        .cloned()
        .unwrap_or_default();
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, max_body).collect().await;
    let body = body.map_err(|error| {
        if error.is::<LengthLimitError>() {
            return Ended::OnNew(CallError::TooLarge);
        }
        let error = CallError::Protocol(chain(&*error));
        if used.is() {
            Ended::OnUsed(error)
        } else {
            Ended::OnNew(error)
        }
    })?;
    used.mark();
    Ok(Answer {
        status: parts.status,
        headers: parts.headers,
        body: body.to_bytes(),
    })
}

fn ended(error: legacy::Error) -> Ended {
    let mut extras = Extensions::new();
    if let Some(connected) = error.connect_info() {
        connected.get_extras(&mut extras);
    }
    let used = extras.get::<Used>().is_some_and(Used::is);
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(cause) = source {
        if let Some(ours) = cause.downcast_ref::<CallError>() {
            return Ended::OnNew(ours.clone());
        }
        source = cause.source();
    }
    let error = CallError::Protocol(chain(&error));
    if used {
        Ended::OnUsed(error)
    } else {
        Ended::OnNew(error)
    }
}
