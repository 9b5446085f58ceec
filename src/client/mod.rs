//! The outgoing HTTP client for issuers: bounded, patient with nobody, and honest about why a call failed.
//!
//! Runs on the control runtime. One [`Client`] serves all issuers; connections are kept per remote.

mod backchannel;
mod backoff;
mod coding;
mod connector;
mod error;
mod exchange;
mod patience;
mod tls;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, COOKIE, HOST, HeaderName, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use url::Url;

pub(crate) use backchannel::Backchannel;
pub(crate) use connector::Proxies;
pub(crate) use error::{CallError, SetupError};

use crate::telemetry::{ControlMetrics, IssuerCall, Outcome};
use backoff::Backoff;
use exchange::{Connections, Hop};
use rustls::pki_types::CertificateDer;

/// Largest answer read, docs/design/design.md and docs/design/hardening.md row 85.
const MAX_BODY: usize = 1024 * 1024;
/// Redirects followed, docs/design/hardening.md row 84.
const MAX_REDIRECTS: usize = 3;
/// Calls under way at once.
const MAX_CALLS: usize = 64;
/// Default time for one call, redirects included.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// What the client trusts and passes through.
#[derive(Debug, Default)]
pub struct Options {
    /// `PROXY_HTTPS_CACERT`: PEM file of further certificate authorities.
    pub ca_file: Option<PathBuf>,
    /// Certificates trusted by themselves, such as the gateway's own generated one.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// Proxies for calls to issuers.
    pub proxies: Proxies,
    /// Where calls are counted.
    pub metrics: Option<ControlMetrics>,
}

/// The shared client. Clones are cheap.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    permits: Arc<Semaphore>,
}

struct Inner {
    connections: Connections,
    backoff: Backoff,
    metrics: Option<ControlMetrics>,
}

/// One call.
#[derive(Debug, Clone)]
pub struct Call {
    /// What it is counted as.
    pub kind: IssuerCall,
    /// GET or POST.
    pub method: Method,
    /// The public address; [`Call::backchannel`] may lead elsewhere.
    pub url: Url,
    /// Sent as they are; `Authorization` is dropped when a redirect leaves the origin.
    pub headers: HeaderMap,
    /// Request body.
    pub body: Bytes,
    /// Certificates are not verified, and redirects to plain http are followed.
    pub insecure: bool,
    /// Where the issuer is reached from here.
    pub backchannel: Option<Arc<Backchannel>>,
    /// Time for the whole call, redirects included, waiting for a free slot not.
    pub timeout: Duration,
}

impl Call {
    /// A GET with the default time.
    #[must_use]
    pub fn get(kind: IssuerCall, url: Url) -> Self {
        Self {
            kind,
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            insecure: false,
            backchannel: None,
            timeout: CALL_TIMEOUT,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

/// What came back, whatever its status.
#[derive(Debug)]
pub struct Answer {
    /// Status of the last hop.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, at most 1 MiB.
    pub body: Bytes,
}

impl Client {
    /// Builds the client.
    ///
    /// # Errors
    /// If the file of certificate authorities cannot be used.
    pub fn new(options: Options) -> Result<Self, SetupError> {
        let tls = tls::Connectors::new(options.ca_file.as_deref(), options.extra_roots)?;
        Ok(Self {
            inner: Arc::new(Inner {
                connections: Connections::new(&tls, &options.proxies),
                backoff: Backoff::default(),
                metrics: options.metrics,
            }),
            permits: Arc::new(Semaphore::new(MAX_CALLS)),
        })
    }

    /// The same client for one of so many issuers: it has its share of the calls that may be under way, so that one that
    /// hangs takes nothing from the others.
    #[must_use]
    pub fn share(&self, issuers: usize) -> Self {
        let calls = MAX_CALLS.checked_div(issuers).unwrap_or(MAX_CALLS).max(1);
        Self {
            inner: Arc::clone(&self.inner),
            permits: Arc::new(Semaphore::new(calls)),
        }
    }

    /// Sends the call and reads the whole answer.
    ///
    /// A remote that asked for patience (`Retry-After` with 429 or 503) is not called before that time; one that
    /// could not be reached, or hung up several times in a row, is tried at most once a second.
    ///
    /// # Errors
    /// [`CallError`] says whether the remote refused, was silent, spoke TLS we do not trust, or answered nonsense.
    pub async fn send(&self, call: Call) -> Result<Answer, CallError> {
        let permit = tokio::time::timeout(CALL_TIMEOUT, self.permits.acquire())
            .await
            .map_err(|_| CallError::Busy)?;
        let (kind, limit, started) = (call.kind, call.timeout, Instant::now());
        let origin = Hop::of(&call).map(|hop| hop.origin());
        let answer = match tokio::time::timeout(limit, self.follow(call)).await {
            Ok(answer) => answer,
            Err(_) => {
                if let Ok(origin) = &origin {
                    self.inner.backoff.failed(origin, Instant::now());
                }
                Err(CallError::Timeout)
            }
        };
        drop(permit);
        if let Some(metrics) = &self.inner.metrics {
            metrics.issuer_called(kind, outcome(&answer), started.elapsed());
        }
        answer
    }

    async fn follow(&self, mut call: Call) -> Result<Answer, CallError> {
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.once(&call).await?;
            let leads_elsewhere =
                answer.status.is_redirection() && answer.status != StatusCode::NOT_MODIFIED;
            if !leads_elsewhere || call.method != Method::GET {
                return Ok(answer);
            }
            let location = answer
                .headers
                .get(LOCATION)
                .and_then(|value| value.to_str().ok())
                .ok_or_else(|| CallError::Redirect("without Location".into()))?;
            let next = call
                .url
                .join(location)
                .map_err(|_| CallError::Redirect("to something that is no URL".into()))?;
            let plain_before = call.url.scheme() == "http";
            match next.scheme() {
                "https" => {}
                "http" if plain_before || call.insecure => {}
                scheme => return Err(CallError::Redirect(format!("to {scheme}:"))),
            }
            if next.origin() != call.url.origin() {
                call.headers.remove(AUTHORIZATION);
                call.headers.remove(COOKIE);
            }
            call.url = next;
        }
        Err(CallError::Redirect("too many times".into()))
    }

    /// One hop, with one more try on a fresh connection if a kept one turned out to be dead.
    async fn once(&self, call: &Call) -> Result<Answer, CallError> {
        let hop = Hop::of(call)?;
        let origin = hop.origin();
        self.inner.backoff.admit(&origin, Instant::now())?;
        let mut headers = call.headers.clone();
        headers.insert(
            HOST,
            HeaderValue::from_str(&hop.authority())
                .map_err(|_| CallError::Address("host is no header value".into()))?,
        );
        headers.insert(USER_AGENT, HeaderValue::from_static("davgate"));
        let answer = self
            .inner
            .connections
            .exchange(&hop, &call.method, &headers, &call.body, MAX_BODY)
            .await
            .and_then(|answer| coding::plain(answer, MAX_BODY));
        match &answer {
            Ok(answer) => {
                self.inner.backoff.reached(&origin);
                if matches!(
                    answer.status,
                    StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
                ) {
                    self.inner.backoff.asked_for_patience(
                        &origin,
                        answer.retry_after(),
                        Instant::now(),
                    );
                }
            }
            Err(error) if error.is_unreachable() => {
                self.inner.backoff.failed(&origin, Instant::now());
            }
            Err(CallError::Protocol(_)) => self.inner.backoff.cut(&origin, Instant::now()),
            Err(_) => {}
        }
        answer
    }
}

/// What a call is counted as.
fn outcome(answer: &Result<Answer, CallError>) -> Outcome {
    match answer {
        Ok(answer) if answer.status.is_success() => Outcome::Ok,
        Ok(answer) if answer.status.is_client_error() => Outcome::Refused,
        Ok(_) => Outcome::Failed,
        Err(CallError::Timeout) => Outcome::TimedOut,
        Err(_) => Outcome::Failed,
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("free", &self.permits.available_permits())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
