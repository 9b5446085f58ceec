//! One request and its answer on a connection of the pool; once more on a fresh one where that is safe.

use std::error::Error;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::header::{EXPECT, UPGRADE};
use http::{Method, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;

use super::head::Head;
use super::pool::{BackendPool, Lease, Protocol, Wanted};
use super::spare::Spare;
use super::upload::{Gate, Upload};
use super::{BackendFault, UpstreamError};
use crate::body::Body;
use crate::config::http::Upstream;
use crate::config::routes::Backend;
use crate::telemetry::PoolCounters;

/// An answer whose head has come, with the connection its body still comes on.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) response: Response<Incoming>,
    pub(super) exchange: Exchange,
}

/// What an exchange holds until the answer's last byte.
#[derive(Debug)]
pub(super) struct Exchange {
    lease: Lease,
    upload: Option<Upload>,
    /// The backend was asked to change the protocol. Where it did not, it may still believe it has.
    asked_upgrade: bool,
}

impl Exchange {
    /// Ends the exchange. The connection is kept only if both bodies came to their ends.
    pub(super) fn finish(self, complete: bool) {
        match self.upload {
            Some(upload) if !upload.is_done() => upload.stop(),
            _ if complete && !self.asked_upgrade => self.lease.give_back(),
            _ => {}
        }
    }
}

/// How long a backend may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// To say `100 Continue`; the body is sent then.
    pub(super) to_continue: Duration,
    /// To begin its answer, once it has the whole request; `None`: as long as it likes.
    pub(super) to_answer: Option<Duration>,
}

impl Patience {
    /// As configured.
    pub(super) fn new(settings: &Upstream) -> Self {
        Self {
            to_continue: settings.expect_continue_timeout,
            to_answer: settings.response_header_timeout,
        }
    }
}

/// Sends a request and waits for the head of its answer.
pub(super) async fn exchange(
    pool: &Rc<BackendPool>,
    backend: &Backend,
    counters: &PoolCounters,
    mut head: Head,
    body: Body,
    patience: Patience,
) -> Result<Answer, UpstreamError> {
    head.frame(&body);
    let expects = head.headers.contains_key(EXPECT);
    let upload = (!body.is_end_stream()).then(|| Upload::new(body, expects));
    let sent = send(pool, backend, counters, head, upload.as_ref(), patience).await;
    if let (Err(_), Some(upload)) = (&sent, &upload) {
        upload.stop();
    }
    sent
}

#[expect(
    clippy::manual_async_fn,
    reason = "an async fn holds its arguments twice, and a head is large"
)]
fn send<'r>(
    pool: &'r Rc<BackendPool>,
    backend: &'r Backend,
    counters: &'r PoolCounters,
    mut head: Head,
    upload: Option<&'r Upload>,
    patience: Patience,
) -> impl Future<Output = Result<Answer, UpstreamError>> + use<'r> {
    async move {
        let mut wanted = Wanted::Any;
        let asked_upgrade = head.headers.contains_key(UPGRADE);
        let protocol = if asked_upgrade {
            Protocol::Http1
        } else {
            Protocol::Any
        };
        loop {
            let mut lease = pool
                .lease(wanted, protocol)
                .await
                .map_err(|fault| UpstreamError::of(backend, fault))?;
            if lease.is_reused() {
                if !is_repeatable(&head.method, upload) || upload.is_some() {
                    // Lets the runtime look at its sockets: a close that has arrived is seen before the request is sent,
                    // which could not be sent again.
                    tokio::task::yield_now().await;
                    if lease.is_closed() {
                        continue;
                    }
                }
                counters.reuses.fetch_add(1, Ordering::Relaxed);
            }
            let spare = lease.is_reused().then(|| Spare::of(&head));
            let request = attempt(head, upload, patience.to_continue);
            let sent = lease.send(request);
            let sent = match patience.to_answer {
                None => sent.await,
                Some(limit) => Box::pin(answered_within(limit, upload, sent))
                    .await
                    .ok_or_else(|| UpstreamError::of(backend, BackendFault::Silent(limit)))?,
            };
            let mut error = match sent {
                Ok(response) => {
                    if let Some(upload) = upload {
                        upload.answered();
                        if !upload.is_done() && is_refusal(response.status()) {
                            upload.hold();
                        }
                    }
                    let upload = upload.cloned();
                    let exchange = Exchange {
                        lease,
                        upload,
                        asked_upgrade,
                    };
                    return Ok(Answer { response, exchange });
                }
                Err(error) => error,
            };
            if let Some(fault) = upload.and_then(Upload::fault) {
                return Err(UpstreamError::ClientBody(fault));
            }
            let unsent = error.take_message().is_some();
            let is_repeatable = |spare: &Spare| is_repeatable(spare.method(), upload);
            let safe = unsent || !lease.was_sent() || spare.as_ref().is_some_and(is_repeatable);
            let replayable = upload.is_none_or(Upload::is_replayable);
            let may_repeat = lease.is_reused() && !lease.was_answered() && safe && replayable;
            match spare.filter(|_| may_repeat).and_then(Spare::into_head) {
                Some(again) => {
                    counters.retries.fetch_add(1, Ordering::Relaxed);
                    head = again;
                    wanted = Wanted::Fresh;
                }
                None => {
                    let fault = fault_of(&error.into_error(), lease.was_answered());
                    return Err(UpstreamError::of(backend, fault));
                }
            }
        }
    }
}

/// What was sent is counted from its last byte: an upload may take its time.
async fn answered_within<T>(
    limit: Duration,
    upload: Option<&Upload>,
    sent: impl Future<Output = T>,
) -> Option<T> {
    let too_late = async {
        if let Some(upload) = upload {
            upload.done().await;
        }
        tokio::time::sleep(limit).await;
    };
    tokio::select! {
        biased;
        sent = sent => Some(sent),
        () = too_late => None,
    }
}

fn attempt(head: Head, upload: Option<&Upload>, continue_timeout: Duration) -> http::Request<Body> {
    let Some(upload) = upload else {
        return head.with(Body::empty());
    };
    if !head.headers.contains_key(EXPECT) {
        return head.with(upload.attempt(None));
    }
    let gate = Arc::new(Gate::default());
    let mut request = head.with(upload.attempt(Some((Arc::clone(&gate), continue_timeout))));
    hyper::ext::on_informational(&mut request, move |response| {
        if response.status() == StatusCode::CONTINUE {
            gate.open();
        }
    });
    request
}

/// Whether sending twice does no harm although the backend may have acted on the first (libraries.md 2, rule 4).
fn is_repeatable(method: &Method, upload: Option<&Upload>) -> bool {
    match method.as_str() {
        "GET" | "HEAD" | "OPTIONS" | "PROPFIND" | "REPORT" => {
            upload.is_none_or(Upload::is_replayable)
        }
        "PUT" | "DELETE" => upload.is_none_or(|upload| !upload.was_started()),
        _ => false,
    }
}

/// After such an answer the backend will hardly read the rest of the upload.
fn is_refusal(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

fn fault_of(error: &hyper::Error, answered: bool) -> BackendFault {
    let text = chain(error);
    if error.is_parse() || answered {
        BackendFault::Malformed(text)
    } else {
        BackendFault::Broken(text)
    }
}

/// The error and what caused it: the HTTP library's own text is general.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
