//! One request and its answer on a connection of the pool; once more on a fresh one or at another node where that is safe.

use std::error::Error;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use http::header::{EXPECT, UPGRADE};
use http::{Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;

use super::head::Head;
use super::pool::{BackendPool, Lease, Nodes, Protocol, Wanted};
use super::retry::{BodyLeft, Failed, Verdict, may_be_sent_twice, verdict};
use super::spare::Spare;
use super::upload::{Gate, Upload};
use super::{BackendFault, Trip, UpstreamError};
use crate::body::{Body, Pulse, Traffic};
use crate::config::http::Upstream;

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
    pulse: Option<Rc<Pulse>>,
}

impl Exchange {
    /// An answer's body comes: whether it moves can be seen at its connection.
    pub(super) fn comes_down(&self) {
        if let (Some(pulse), Some(traffic)) = (&self.pulse, self.lease.traffic()) {
            pulse.travels_by(Arc::clone(traffic));
        }
    }

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

/// Sends a request to `first`, or another node if that fails, and waits for the head of the answer. Says which node gave it.
pub(super) async fn exchange(
    nodes: &Nodes,
    first: Rc<BackendPool>,
    mut head: Head,
    body: Body,
    patience: Patience,
    trip: &Trip,
) -> Result<(Answer, Rc<BackendPool>), UpstreamError> {
    head.frame(&body);
    let expects = head.headers.contains_key(EXPECT);
    let pulse = body.pulse().cloned();
    let upload = (!body.is_end_stream()).then(|| Upload::new(body, expects));
    let sent = send(nodes, first, head, upload.as_ref(), pulse, patience, trip).await;
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
    nodes: &'r Nodes,
    first: Rc<BackendPool>,
    mut head: Head,
    upload: Option<&'r Upload>,
    pulse: Option<Rc<Pulse>>,
    patience: Patience,
    trip: &'r Trip,
) -> impl Future<Output = Result<(Answer, Rc<BackendPool>), UpstreamError>> + use<'r> {
    async move {
        let started = Instant::now();
        let mut pool = first;
        let mut tried = Vec::new();
        let mut attempts = 0;
        let mut wanted = Wanted::Any;
        let asked_upgrade = head.headers.contains_key(UPGRADE);
        let protocol = if asked_upgrade {
            Protocol::Http1
        } else {
            Protocol::Any
        };
        loop {
            trip.goes_to(pool.address());
            let leased = pool.lease(wanted, protocol).await;
            let mut lease = match leased {
                Ok(lease) => lease,
                Err(fault) => {
                    pool.eject(&fault);
                    let failed = Failed {
                        method: &head.method,
                        body: body_left(upload),
                        sent: false,
                        answered: false,
                        reused: false,
                        attempts,
                        other_node: nodes.are_several(),
                    };
                    let other = elsewhere(nodes, &pool, &mut tried, verdict(failed));
                    pool = other.ok_or_else(|| pool.error(fault))?;
                    wanted = Wanted::Any;
                    continue;
                }
            };
            let is_repeatable = may_be_sent_twice(&head.method, body_left(upload));
            if lease.is_reused() {
                if !is_repeatable || upload.is_some() {
                    // Lets the runtime look at its sockets: a close that has arrived is seen before the request is sent,
                    // which could not be sent again.
                    tokio::task::yield_now().await;
                    if lease.is_closed() {
                        continue;
                    }
                }
                pool.counters().reuses.fetch_add(1, Ordering::Relaxed);
            }
            let may_go_elsewhere = nodes.are_several() && is_repeatable;
            let spare = (lease.is_reused() || may_go_elsewhere).then(|| Spare::of(&head));
            if let (Some(_), Some(pulse), Some(traffic)) = (upload, &pulse, lease.traffic()) {
                pulse.travels_by(Arc::clone(traffic));
            }
            let traffic = upload.and_then(|_| lease.traffic().cloned());
            let request = attempt(head, upload, traffic, patience.to_continue);
            attempts += 1;
            let sent = lease.send(request);
            let sent = match patience.to_answer {
                None => sent.await,
                Some(limit) => Box::pin(answered_within(limit, upload, sent))
                    .await
                    .ok_or_else(|| pool.error(BackendFault::Silent(limit)))?,
            };
            let mut error = match sent {
                Ok(response) => {
                    if let Some(upload) = upload {
                        upload.answered();
                        if !upload.is_done() && is_refusal(response.status()) {
                            upload.hold();
                        }
                    }
                    let (status, after) = (response.status().as_u16(), started.elapsed());
                    trip.came_back(status, after);
                    pool.counters().answered(status, after);
                    let upload = upload.cloned();
                    let exchange = Exchange {
                        lease,
                        upload,
                        asked_upgrade,
                        pulse,
                    };
                    return Ok((Answer { response, exchange }, pool));
                }
                Err(error) => error,
            };
            if let Some(fault) = upload.and_then(Upload::fault) {
                return Err(UpstreamError::ClientBody(fault));
            }
            let unsent = error.take_message().is_some();
            let answered = lease.was_answered();
            let fault = fault_of(&error.into_error(), answered);
            let decided = spare.as_ref().map_or(Verdict::GiveUp, |spare| {
                verdict(Failed {
                    method: spare.method(),
                    body: body_left(upload),
                    sent: !unsent && lease.was_sent(),
                    answered,
                    reused: lease.is_reused(),
                    attempts,
                    other_node: nodes.are_several(),
                })
            });
            if !lease.is_reused() {
                pool.eject(&fault);
            }
            let next = match decided {
                Verdict::SameNode => {
                    pool.counters().retries.fetch_add(1, Ordering::Relaxed);
                    wanted = Wanted::Fresh;
                    Some(Rc::clone(&pool))
                }
                decided => {
                    wanted = Wanted::Any;
                    elsewhere(nodes, &pool, &mut tried, decided)
                }
            };
            match (next, spare.and_then(Spare::into_head)) {
                (Some(next), Some(again)) => {
                    pool = next;
                    head = again;
                }
                _ => return Err(pool.error(fault)),
            }
        }
    }
}

/// The node for the next attempt, if another one is to have it and there is one that was not tried.
fn elsewhere(
    nodes: &Nodes,
    failed: &Rc<BackendPool>,
    tried: &mut Vec<Rc<BackendPool>>,
    decided: Verdict,
) -> Option<Rc<BackendPool>> {
    if decided != Verdict::OtherNode {
        return None;
    }
    tried.push(Rc::clone(failed));
    let next = nodes.pick(tried)?;
    failed.counters().retries.fetch_add(1, Ordering::Relaxed);
    Some(next)
}

fn body_left(upload: Option<&Upload>) -> BodyLeft {
    match upload {
        None => BodyLeft::None,
        Some(upload) if !upload.is_replayable() => BodyLeft::Gone,
        Some(upload) if upload.was_started() => BodyLeft::Kept,
        Some(_) => BodyLeft::Untouched,
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

fn attempt(
    mut head: Head,
    upload: Option<&Upload>,
    traffic: Option<Arc<Traffic>>,
    continue_timeout: Duration,
) -> http::Request<Body> {
    let Some(upload) = upload else {
        return head.with(Body::empty());
    };
    // The HTTP library tells nobody of a `100 Continue` on a stream of HTTP/2: who waited there would wait in vain.
    if traffic.is_none() {
        head.headers.remove(EXPECT);
    }
    if !head.headers.contains_key(EXPECT) {
        return head.with(upload.attempt(traffic, None));
    }
    let gate = Arc::new(Gate::default());
    let mut request =
        head.with(upload.attempt(traffic, Some((Arc::clone(&gate), continue_timeout))));
    hyper::ext::on_informational(&mut request, move |response| {
        if response.status() == StatusCode::CONTINUE {
            gate.open();
        }
    });
    request
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
