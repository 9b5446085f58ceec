//! The life of a request.
//!
//! ```text
//! handle          request id, log record, form of errors   everything below is logged, also panics and departures
//!   respond       the steps below, by `?`                  the outer function always answers
//!     client      address, scheme, host                    before the headers that say it are taken out
//!     clean       forgeable and hop-by-hop headers go      before any other code reads a header
//!     target      one normal form of the path              matched and forwarded are the same bytes
//!     local       discovery, logout, webfinger             answered here
//!     route       public or protected                      by the policy in force; after `admit` where users have their own
//!     admit       token -> session                         one comparison, or digest and cache read; else a set-up, on control
//!     forward     identity headers, backend                bodies stream
//!   finish        security headers, request id             once each, on every answer, errors too
//! ```
//!
//! Forwarding a protected route without a session does not compile: only [`crate::routes`] makes a `ProtectedRoute`,
//! and the forwarder takes one only together with an identity.

mod admission;
mod destinations;
mod proven;
mod record;
mod request_id;
mod selection;
mod unread;
mod unreadable;
mod worker_sessions;

pub use self::worker_sessions::WorkerSessions;

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::FutureExt as _;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;

use self::admission::Caller;
use self::record::Record;
use self::request_id::{RequestId, RequestIds};
use self::selection::Selected;
use self::unread::UnreadBody;
use crate::answer::AnswerForm;
use crate::body::Body;
use crate::error::GatewayError;
use crate::forwarded::Client;
use crate::headers::{CleanHead, HeaderFault};
use crate::local;
use crate::process::{Process, Snapshot};
use crate::routes::{RouteError, Target, effective_host, redacted_path, upstream_target};
use crate::server::{Connection, Handler, OddHead, Stream, UnreadableHead};
use crate::session::Session;
use crate::telemetry::{AccessLog, WorkerMetrics};
use crate::upstream::{Call, Ends, EventStream, Forwarder, Ingress, TunnelEnd};

/// One worker's view of the gateway: what all workers share, and what only this one touches.
#[derive(Debug)]
pub struct Pipeline {
    process: Arc<Process>,
    snapshot: RefCell<HeldSnapshot>,
    sessions: WorkerSessions,
    forwarder: Forwarder,
    request_ids: RequestIds,
    access_log: Rc<AccessLog>,
    metrics: WorkerMetrics,
    drain: CancellationToken,
}

/// A worker counts its requests' uses of the configuration by itself: the `Arc`'s count is the other workers' too, and
/// moves only when the configuration does.
type HeldSnapshot = Rc<Arc<Snapshot>>;

/// What is known of a request before anything is decided about it.
struct Arrival<'r> {
    connection: &'r Connection,
    snapshot: &'r Snapshot,
    /// Its client, as backends are told.
    ingress: &'r Ingress,
    /// Whether it names one host.
    host: Result<(), RouteError>,
    /// Where its client has to go instead.
    redirect: Option<HeaderValue>,
    record: &'r Record,
}

impl Handler for Pipeline {
    type Body = Body;

    async fn handle(
        &self,
        connection: &Rc<Connection>,
        request: Request<Incoming>,
    ) -> Response<Body> {
        let snapshot = self.snapshot();
        let request_id = self.request_ids.of(request.headers());
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        let host = effective_host(request.version(), uri, headers);
        let own_host = host.ok().flatten();
        let client =
            snapshot
                .forwarding
                .client(connection.peer.ip(), connection.tls, own_host, headers);
        let ingress = ingress(&client, own_host, connection, headers, &request_id);
        let form = AnswerForm::of(
            method,
            uri,
            &snapshot.root,
            headers,
            ingress.host.clone(),
            &snapshot.config.http.agent_challenges,
        );
        let record = Record::begin(
            (&self.access_log, &self.metrics),
            (method, request.version()),
            redacted_path(uri.path(), &snapshot.root).into_owned(),
            ingress.client.clone(),
            connection,
            request_id.clone(),
        );
        let arrival = Arrival {
            connection,
            snapshot: &snapshot,
            ingress: &ingress,
            host: host.map(drop),
            redirect: snapshot.forwarding.https_redirect(&client, uri),
            record: &record,
        };

        let is_head = request.method() == Method::HEAD;
        let is_http1 = request.version() <= Version::HTTP_11;
        let (head, body) = request.into_parts();
        let body = UnreadBody::new(&head, body);
        let request = Request::from_parts(head, ());
        let answered = AssertUnwindSafe(self.respond(&arrival, request, &body))
            .catch_unwind()
            .await;
        let mut response = answered
            .unwrap_or(Err(GatewayError::Panic))
            .unwrap_or_else(|error| {
                let refusal = error.refusal();
                record.refused(&refusal, &error);
                let mut answer = form.refuse(
                    &refusal,
                    request_id.as_str(),
                    &snapshot.resource_metadata,
                    self.process.clock.now(),
                );
                if body.refuse() || breaks_the_rules(&error, is_http1) {
                    let close = HeaderValue::from_static("close");
                    answer.headers_mut().insert(CONNECTION, close);
                }
                answer
            });

        if is_head {
            leave_body(&mut response);
        }
        snapshot.security_headers().apply(response.headers_mut());
        response
            .headers_mut()
            .insert(RequestId::NAME, request_id.value());
        record.answered(response)
    }

    fn unreadable(&self, connection: &Connection, head: UnreadableHead) -> Option<Response<Body>> {
        Some(self.refuse_unreadable(connection, head))
    }
}

impl Pipeline {
    /// The pipeline of the calling worker.
    #[must_use]
    pub fn new(
        process: Arc<Process>,
        forwarder: Forwarder,
        access_log: Rc<AccessLog>,
        metrics: WorkerMetrics,
        drain: CancellationToken,
    ) -> Self {
        Self {
            snapshot: RefCell::new(Rc::new(process.snapshot.load_full())),
            process,
            sessions: WorkerSessions::default(),
            forwarder,
            request_ids: RequestIds::new(),
            access_log,
            metrics,
            drain,
        }
    }

    #[expect(
        clippy::manual_async_fn,
        reason = "an async fn holds its arguments twice, and a request is large"
    )]
    fn respond<'r>(
        &'r self,
        arrival: &'r Arrival<'r>,
        request: Request<()>,
        body: &'r UnreadBody,
    ) -> impl Future<Output = Result<Response<Body>, GatewayError>> + use<'r> {
        async move {
            let snapshot = arrival.snapshot;
            arrival.host?;
            if let Some(location) = &arrival.redirect {
                return Ok(local::redirect(location.clone()));
            }
            let odd_head = request.extensions().get::<OddHead>().copied();
            let (mut head, ()) = snapshot.reserved.clean(request)?;
            only_100_continue(&head)?;
            match odd_head {
                Some(OddHead::Fragment) => return Err(RouteError::BadTarget.into()),
                Some(OddHead::Framing) => return Err(HeaderFault::Framing.into()),
                None => {}
            }

            let (uri, wants_upgrade) = (head.uri().clone(), head.wants_upgrade());
            let Target::Path(path) = Target::parse(head.method(), &uri, &snapshot.root)? else {
                return Ok(local::server_options());
            };
            if head.ends_here() {
                return Ok(local::server_options());
            }
            if let Some(endpoint) = local::endpoint(snapshot, &path) {
                // Boxed, so that other requests do not carry its room.
                let answer = endpoint.answer(&self.process, snapshot, head, body.take());
                return Box::pin(answer).await;
            }

            let Selected {
                table,
                caller,
                cookie,
            } = self.select(arrival, &path, &head).await?;
            let services = &self.process.directory;
            destinations::rewrite(arrival, services, table, caller.route(), &mut head)?;

            let returned = self.returned_token(&caller, &mut head);
            let session = caller.session();
            let call = Call {
                head,
                body: body.take(),
                target: upstream_target(caller.route().settings(), &path, &snapshot.root),
                ingress: arrival.ingress,
                second_factor: session.is_some_and(|session| session.facts.mfa),
                ends: Ends {
                    session: session.map(Session::cancellations),
                    drain: Some(&self.drain),
                },
                on_tunnel_end: wants_upgrade.then(|| tunnel_end(arrival)),
            };
            let response = match &caller {
                Caller::Anyone(route) => {
                    self.forwarder
                        .send_public(*route, returned.as_ref(), call)
                        .await?
                }
                Caller::Session(route, session) => {
                    let account = admission::account(*route, session)?;
                    self.forwarder
                        .send_as(*route, &account.identity, call)
                        .await?
                }
            };
            let mut response = self.watch_stream(&caller, response);
            self.give_nonce(&caller, &mut response);
            if let Some(cookie) = cookie {
                response.headers_mut().append(SET_COOKIE, cookie);
            }
            Ok(response)
        }
    }

    /// Streams end with their session's token, and soon after a drain begins.
    fn watch_stream(&self, caller: &Caller<'_>, mut response: Response<Body>) -> Response<Body> {
        let is_tunnel = response.status() == http::StatusCode::SWITCHING_PROTOCOLS;
        if !is_tunnel && response.extensions().get::<EventStream>().is_none() {
            return response;
        }
        response.extensions_mut().insert(Stream);
        if let Caller::Session(_, session) = caller {
            tokio::task::spawn_local(admission::cut_at_expiry(
                Arc::clone(session),
                self.process.clock.clone(),
            ));
        }
        response
    }

    /// The configuration in force.
    fn snapshot(&self) -> HeldSnapshot {
        let current = self.process.snapshot.load();
        let mut held = self.snapshot.borrow_mut();
        if !Arc::ptr_eq(&current, &held) {
            *held = Rc::new(Arc::clone(&current));
        }
        Rc::clone(&held)
    }
}

/// The client as backends are told. Values that are at hand as such are shared, not made again.
fn ingress(
    client: &Client<'_>,
    own_host: Option<&str>,
    connection: &Connection,
    headers: &HeaderMap,
    request_id: &RequestId,
) -> Ingress {
    let made =
        |text: &str| HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""));
    let sent = headers.get(HOST);
    let host = |text: &str| match sent.filter(|sent| sent.as_bytes() == text.as_bytes()) {
        Some(sent) => sent.clone(),
        None => made(text),
    };
    Ingress {
        client: if client.address == connection.peer.ip() {
            connection.peer_text.clone()
        } else {
            made(&client.address.to_string())
        },
        scheme: HeaderValue::from_static(client.scheme()),
        host: host(&client.host),
        own_host: host(own_host.unwrap_or(&client.host)),
        request_id: request_id.value(),
    }
}

/// A tunnel leaves its connection, so log and drain have to know of its end by themselves.
fn tunnel_end(arrival: &Arrival<'_>) -> Box<dyn FnOnce(TunnelEnd)> {
    let log = arrival.record.tunnel_end();
    let open = arrival.connection.drain.count();
    Box::new(move |end| {
        log(end.sent);
        drop(open);
    })
}

/// The answer to HEAD: the length is told, the body stays here. The HTTP library would send it on HTTP/2.
fn leave_body(response: &mut Response<Body>) {
    let body = std::mem::take(response.body_mut());
    if let Some(length) = body.size_hint().exact().filter(|length| *length > 0) {
        response
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
}

/// After a head that two parsers could read differently nobody knows what comes next on an HTTP/1 connection.
fn breaks_the_rules(error: &GatewayError, is_http1: bool) -> bool {
    let is_odd = matches!(
        error,
        GatewayError::Headers(_) | GatewayError::Route(RouteError::BadHost | RouteError::BadTarget)
    );
    is_http1 && is_odd
}

/// RFC 9110 section 10.1.1.
fn only_100_continue(head: &CleanHead) -> Result<(), GatewayError> {
    let mut expected = head.headers().get_all(EXPECT).iter();
    if expected.all(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        Ok(())
    } else {
        Err(GatewayError::Expectation)
    }
}
