//! The connections of one worker to one endpoint of a backend.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::client::conn::http1;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Shared;
use super::lease::{Connection, Lease, Permit};
use super::openers::Openers;
use super::streams::{StreamConnection, Streams};
use crate::body::Traffic;
use crate::headers::MAX_ANSWER_FIELDS;
use crate::model::Endpoint;
use crate::telemetry::PoolCounters;
use crate::upstream::{BackendFault, UpstreamError};

/// A backend that refuses is asked again after this time, doubled with each failure ...
const FIRST_BACK_OFF: Duration = Duration::from_millis(50);
/// ... up to this one. Refusing costs nobody anything, so a restarted backend is found at once.
const MAX_BACK_OFF_REFUSED: Duration = Duration::from_millis(250);
/// A silent one costs each request the whole connect timeout.
const MAX_BACK_OFF_SILENT: Duration = Duration::from_secs(5);
/// An endpoint that failed is left out for this time, where the backend has others ...
const EJECTED: Duration = Duration::from_secs(1);
/// ... and for this one if it was silent, for the same reason.
const EJECTED_SILENT: Duration = Duration::from_secs(10);

/// The connections of one worker to one endpoint of a backend.
#[derive(Debug)]
pub(in crate::upstream) struct BackendPool {
    /// The backend's name in logs.
    name: String,
    endpoint: Endpoint,
    /// The endpoint as log lines have it.
    address: Rc<str>,
    pub(super) counters: Arc<PoolCounters>,
    pub(super) shared: Rc<Shared>,
    /// Only where HTTP/2 is wanted.
    streams: Option<Streams>,
    /// Latest last.
    idle: RefCell<VecDeque<Connection>>,
    waiters: RefCell<VecDeque<oneshot::Sender<Grant>>>,
    /// Requests whose own connection is being opened; one that becomes idle before is as good.
    pub(super) openers: Openers,
    /// Connections there are, those being opened included.
    open: Cell<usize>,
    opening: Cell<usize>,
    failure: RefCell<Option<Failure>>,
    ejected_until: Cell<Option<Instant>>,
    /// Spreads idle timeouts and ages, so that connections made together do not end together.
    jitter: Cell<u32>,
}

/// Which connection a request may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::upstream) enum Wanted {
    /// Any that is ready.
    Any,
    /// One that never served: the idle ones may all be stale.
    Fresh,
}

/// Which protocol a request can be sent in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::upstream) enum Protocol {
    /// Whichever the backend speaks.
    Any,
    /// One that can be upgraded.
    Http1,
}

/// What a waiter gets.
#[derive(Debug)]
pub(super) enum Grant {
    /// A connection that became idle.
    Connection(Connection),
    /// The right to open one.
    Permit(Permit),
}

/// What a backend chose.
pub(super) enum Opened {
    Http1(Connection),
    Http2(StreamConnection),
}

#[derive(Debug)]
struct Failure {
    count: u32,
    fault: BackendFault,
    until: Instant,
}

impl BackendPool {
    pub(super) fn new(
        backend: &str,
        endpoint: &Endpoint,
        counters: Arc<PoolCounters>,
        shared: Rc<Shared>,
    ) -> Rc<Self> {
        Rc::new(Self {
            streams: (endpoint.tls && shared.connector.speaks_http2()).then(Streams::default),
            name: backend.to_owned(),
            endpoint: endpoint.clone(),
            address: endpoint.to_string().into(),
            counters,
            shared,
            idle: RefCell::default(),
            waiters: RefCell::default(),
            openers: Openers::default(),
            open: Cell::new(0),
            opening: Cell::new(0),
            failure: RefCell::default(),
            ejected_until: Cell::new(None),
            jitter: Cell::new(0),
        })
    }

    /// What this endpoint's requests count.
    pub(in crate::upstream) fn counters(&self) -> &Arc<PoolCounters> {
        &self.counters
    }

    /// Where it leads.
    pub(in crate::upstream) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Where it leads, as log lines have it.
    pub(in crate::upstream) fn address(&self) -> &Rc<str> {
        &self.address
    }

    /// A failure of this endpoint, as a request tells it.
    pub(in crate::upstream) fn error(&self, fault: BackendFault) -> UpstreamError {
        self.counters.failed(fault.to_string());
        UpstreamError::at(&self.name, &self.endpoint, fault)
    }

    /// Requests it has now, as far as connections tell.
    pub(super) fn busy(&self) -> usize {
        let streams = self.streams.as_ref().map_or(0, Streams::busy);
        self.open.get() - self.idle.borrow().len() + streams
    }

    /// Whether it failed lately.
    pub(super) fn is_ejected(&self, now: Instant) -> bool {
        self.ejected_until.get().is_some_and(|until| now < until)
    }

    /// It failed, so others of the backend come first for a while.
    pub(in crate::upstream) fn eject(&self, fault: &BackendFault) {
        let time = match fault {
            BackendFault::Timeout(_) | BackendFault::Silent(_) => EJECTED_SILENT,
            BackendFault::Unreachable(_) | BackendFault::Broken(_) => EJECTED,
            BackendFault::Malformed(_) | BackendFault::Busy { .. } | BackendFault::Nowhere => {
                return;
            }
        };
        self.counters.ejections.fetch_add(1, Ordering::Relaxed);
        self.ejected_until.set(Some(Instant::now() + time));
    }

    /// A connection, from the pool or new.
    ///
    /// # Errors
    /// The backend cannot be connected to, or everything is in use and so is the queue.
    pub(in crate::upstream) async fn lease(
        self: &Rc<Self>,
        wanted: Wanted,
        protocol: Protocol,
    ) -> Result<Lease, BackendFault> {
        if let Some(streams) = &self.streams
            && protocol == Protocol::Any
            && !streams.are_refused()
        {
            if let Some(lease) = streams.take(wanted == Wanted::Fresh) {
                return Ok(Lease::Stream(lease));
            }
            return Box::pin(self.open_streams(streams, wanted)).await;
        }
        if wanted == Wanted::Any
            && let Some(connection) = self.take_idle()
        {
            return Ok(Lease::reused(connection, Rc::clone(self)));
        }
        let permit = match self.permit(wanted) {
            Some(permit) => permit,
            None => match Box::pin(self.wait()).await? {
                Grant::Permit(permit) => permit,
                Grant::Connection(connection) if wanted == Wanted::Any => {
                    return Ok(Lease::reused(connection, Rc::clone(self)));
                }
                Grant::Connection(connection) => connection.into_permit(),
            },
        };
        // Boxed, so that requests on a kept connection do not carry the room a handshake needs.
        match wanted {
            Wanted::Any => Box::pin(self.open_or_reuse(permit)).await,
            Wanted::Fresh => self.leased(Box::pin(self.open(permit, false)).await?),
        }
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut now = None;
        loop {
            // Dropping a connection reaches back into this pool, so no borrow may be held then.
            let connection = self.idle.borrow_mut().pop_back()?;
            self.counters.idle.fetch_sub(1, Ordering::Relaxed);
            let now = *now.get_or_insert_with(Instant::now);
            if connection.is_usable(now) {
                return Some(connection);
            }
        }
    }

    pub(super) fn permit(self: &Rc<Self>, wanted: Wanted) -> Option<Permit> {
        if self.may_open() {
            return Some(self.new_permit());
        }
        // Only a request that must not have an idle connection finds one here.
        let oldest = match wanted {
            Wanted::Any => None,
            Wanted::Fresh => self.idle.borrow_mut().pop_front(),
        }?;
        self.counters.idle.fetch_sub(1, Ordering::Relaxed);
        Some(oldest.into_permit())
    }

    fn may_open(&self) -> bool {
        let limits = &self.shared.limits;
        self.open.get() < limits.connections && self.opening.get() < limits.opening
    }

    fn new_permit(self: &Rc<Self>) -> Permit {
        self.open.set(self.open.get() + 1);
        self.opening.set(self.opening.get() + 1);
        self.counters.open.fetch_add(1, Ordering::Relaxed);
        Permit::new(Rc::clone(self))
    }

    pub(super) async fn wait(&self) -> Result<Grant, BackendFault> {
        let busy = BackendFault::Busy {
            retry_after: Duration::from_secs(1),
        };
        let receiver = {
            let limits = &self.shared.limits;
            // Who waits only for a turn to open a connection is not in anybody's way.
            let room = limits.queue + limits.connections.saturating_sub(self.open.get());
            let mut waiters = self.waiters.borrow_mut();
            if waiters.len() >= room {
                // Those whose client left still stand in the queue.
                waiters.retain(|waiter| !waiter.is_closed());
            }
            if waiters.len() >= room {
                self.counters.refused.fetch_add(1, Ordering::Relaxed);
                return Err(busy);
            }
            let (sender, receiver) = oneshot::channel();
            waiters.push_back(sender);
            receiver
        };
        let _waiting = Gauge::raised(&self.counters.waiting);
        match tokio::time::timeout(self.shared.limits.wait, receiver).await {
            Ok(Ok(grant)) => Ok(grant),
            _ => {
                self.counters.refused.fetch_add(1, Ordering::Relaxed);
                Err(busy)
            }
        }
    }

    pub(super) async fn open(&self, permit: Permit, http2: bool) -> Result<Opened, BackendFault> {
        if let Some(failure) = &*self.failure.borrow()
            && failure.until > Instant::now()
        {
            return Err(failure.fault.clone());
        }
        match self.connect(permit, http2).await {
            Ok(opened) => {
                self.failure.replace(None);
                self.ejected_until.set(None);
                self.counters.connects.fetch_add(1, Ordering::Relaxed);
                Ok(opened)
            }
            Err(fault) => {
                self.remember(fault.clone());
                Err(fault)
            }
        }
    }

    async fn connect(&self, permit: Permit, http2: bool) -> Result<Opened, BackendFault> {
        let traffic = Arc::new(Traffic::default());
        let (connector, names) = (&self.shared.connector, &self.shared.names);
        let io = connector
            .connect(&self.endpoint, names, http2, Arc::clone(&traffic))
            .await?;
        let old_at = Instant::now() + self.jittered(self.shared.limits.max_age);
        if io.inner().chose_http2() {
            let greeted = StreamConnection::greet(io, &self.name, old_at, permit).await?;
            return Ok(Opened::Http2(greeted));
        }
        let (sender, connection) = http1::Builder::new()
            .max_headers(MAX_ANSWER_FIELDS)
            .handshake(io)
            .await
            .map_err(|error| BackendFault::Unreachable(error.to_string()))?;
        let name = self.name.clone();
        let task = tokio::task::spawn_local(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(backend = name, %error, "backend connection ended");
            }
        });
        let task = task.abort_handle();
        let connection = Connection::new(sender, traffic, old_at, permit, task);
        Ok(Opened::Http1(connection))
    }

    fn remember(&self, fault: BackendFault) {
        let counters = &self.counters;
        counters.connect_failures.fetch_add(1, Ordering::Relaxed);
        let mut failure = self.failure.borrow_mut();
        let count = failure.as_ref().map_or(0, |failure| failure.count);
        let cap = match fault {
            BackendFault::Timeout(_) => MAX_BACK_OFF_SILENT,
            _ => MAX_BACK_OFF_REFUSED,
        };
        let pause = FIRST_BACK_OFF.saturating_mul(1 << count.min(10)).min(cap);
        *failure = Some(Failure {
            count: count + 1,
            fault,
            until: Instant::now() + pause,
        });
    }

    /// Takes a connection back that is ready for another request.
    pub(super) fn give_back(&self, mut connection: Connection) {
        let now = Instant::now();
        if !connection.is_usable(now) {
            return;
        }
        while let Some(waiter) = self.next_waiter() {
            match waiter.send(Grant::Connection(connection)) {
                Ok(()) => return,
                Err(Grant::Connection(returned)) => connection = returned,
                Err(Grant::Permit(_)) => return,
            }
        }
        let Some(mut connection) = self.openers.take(connection) else {
            return;
        };
        connection.rest_until(now + self.jittered(self.shared.limits.idle_timeout));
        let surplus = {
            let mut idle = self.idle.borrow_mut();
            idle.push_back(connection);
            (idle.len() > self.shared.limits.idle).then(|| idle.pop_front())
        };
        if surplus.is_none() {
            self.counters.idle.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A connection stands: whoever waits for a turn to open one has it.
    pub(super) fn opened(self: &Rc<Self>) {
        self.opening.set(self.opening.get() - 1);
        self.admit_waiters();
    }

    /// Takes a permit back, for the first who waits.
    pub(super) fn release(self: &Rc<Self>, was_opening: bool) {
        self.count_out(was_opening);
        self.admit_waiters();
    }

    fn admit_waiters(self: &Rc<Self>) {
        while self.may_open()
            && let Some(waiter) = self.next_waiter()
        {
            let permit = Grant::Permit(self.new_permit());
            if let Err(Grant::Permit(returned)) = waiter.send(permit) {
                // Its client left. Not dropped, which would lead back here.
                self.count_out(returned.defuse());
            }
        }
    }

    fn count_out(&self, was_opening: bool) {
        self.open.set(self.open.get() - 1);
        self.opening
            .set(self.opening.get() - usize::from(was_opening));
        self.counters.open.fetch_sub(1, Ordering::Relaxed);
    }

    fn next_waiter(&self) -> Option<oneshot::Sender<Grant>> {
        self.waiters.borrow_mut().pop_front()
    }

    /// Drops what was idle for too long.
    pub(super) fn sweep(&self, now: Instant) {
        let dropped: Vec<Connection> = {
            let mut idle = self.idle.borrow_mut();
            let (kept, dropped) = idle.drain(..).partition(|c| c.is_usable(now));
            *idle = kept;
            dropped.into()
        };
        let idle = &self.counters.idle;
        idle.fetch_sub(dropped.len() as i64, Ordering::Relaxed);
        drop(dropped);
        if let Some(streams) = &self.streams {
            streams.sweep(now, self.shared.limits.idle_timeout);
        }
    }

    /// Closes what is idle. Idle connections keep their pool alive, so it would not go by itself.
    pub(super) fn close(&self) {
        let idle = self.idle.take();
        let gauge = &self.counters.idle;
        gauge.fetch_sub(idle.len() as i64, Ordering::Relaxed);
        if let Some(streams) = &self.streams {
            streams.close();
        }
    }

    /// 80 to 100 % of a time.
    fn jittered(&self, time: Duration) -> Duration {
        // A full-period step through all residues: spread evenly, and no random numbers on the way of a request.
        let step = self
            .jitter
            .get()
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        self.jitter.set(step);
        time - (time / 5).mul_f32((step >> 8) as f32 / 16_777_216.0)
    }
}

/// A gauge that goes down again whatever becomes of the request.
struct Gauge<'a>(&'a std::sync::atomic::AtomicI64);

impl<'a> Gauge<'a> {
    fn raised(gauge: &'a std::sync::atomic::AtomicI64) -> Self {
        gauge.fetch_add(1, Ordering::Relaxed);
        Self(gauge)
    }
}

impl Drop for Gauge<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
