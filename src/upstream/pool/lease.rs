//! A connection, or a stream of one, while one request has it; and the right to have a connection open.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::Either;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::SendRequest;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::BackendPool;
use super::streams::StreamLease;
use crate::body::{Body, Traffic};

/// How long a connection that is done may take to be ready again.
const SETTLE: Duration = Duration::from_secs(1);

/// A connection of the pool, idle or leased.
pub(super) struct Connection {
    sender: SendRequest<Body>,
    traffic: Arc<Traffic>,
    old_at: Instant,
    stale_at: Instant,
    permit: Permit,
    _task: Task,
}

/// The task that moves the connection's bytes; ends with it, also where the backend reads no further.
pub(super) struct Task(AbortHandle);

/// The right to have one connection open; comes back to the pool when dropped.
pub(super) struct Permit {
    pool: Option<Rc<BackendPool>>,
    /// Its connection does not stand yet.
    is_opening: bool,
}

/// What one request has. Dropped, its connection is closed, or its stream; [`Lease::give_back`] keeps a connection.
#[derive(Debug)]
pub(in crate::upstream) enum Lease {
    /// A whole connection, of HTTP/1.1.
    Connection(ConnectionLease),
    /// A stream, of HTTP/2.
    Stream(StreamLease),
}

/// A connection that one request has.
#[derive(Debug)]
pub(in crate::upstream) struct ConnectionLease {
    connection: Connection,
    pool: Rc<BackendPool>,
    reused: bool,
    read_before: u64,
    written_before: u64,
}

impl Connection {
    pub(super) fn new(
        sender: SendRequest<Body>,
        traffic: Arc<Traffic>,
        old_at: Instant,
        mut permit: Permit,
        task: AbortHandle,
    ) -> Self {
        permit.opened();
        Self {
            _task: Task::new(task),
            sender,
            traffic,
            old_at,
            stale_at: old_at,
            permit,
        }
    }

    /// Whether it can take a request now. Bytes or an end that came while idle have closed it by then.
    pub(super) fn is_usable(&self, now: Instant) -> bool {
        self.sender.is_ready() && now < self.old_at && now < self.stale_at
    }

    pub(super) fn rest_until(&mut self, time: Instant) {
        self.stale_at = time;
    }

    /// Closes the connection and keeps its place.
    pub(super) fn into_permit(self) -> Permit {
        self.permit
    }
}

impl Task {
    pub(super) fn new(handle: AbortHandle) -> Self {
        Self(handle)
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Permit {
    pub(super) fn new(pool: Rc<BackendPool>) -> Self {
        Self {
            pool: Some(pool),
            is_opening: true,
        }
    }

    fn opened(&mut self) {
        if std::mem::take(&mut self.is_opening)
            && let Some(pool) = &self.pool
        {
            pool.opened();
        }
    }

    /// Gives it up without telling the pool. Whether its connection did not stand yet.
    pub(super) fn defuse(mut self) -> bool {
        self.pool = None;
        self.is_opening
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.release(self.is_opening);
        }
    }
}

impl Lease {
    pub(super) fn fresh(connection: Connection, pool: Rc<BackendPool>) -> Self {
        Self::Connection(ConnectionLease::new(connection, pool, false))
    }

    pub(super) fn reused(mut connection: Connection, pool: Rc<BackendPool>) -> Self {
        connection.stale_at = connection.old_at;
        Self::Connection(ConnectionLease::new(connection, pool, true))
    }

    /// Sends a request; comes back with the head of its answer.
    pub(in crate::upstream) fn send(
        &mut self,
        request: Request<Body>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<Body>>>> + use<> {
        match self {
            Self::Connection(lease) => {
                Either::Left(lease.connection.sender.try_send_request(request))
            }
            Self::Stream(lease) => Either::Right(lease.send(request)),
        }
    }

    /// Whether it served before, so that the backend may have closed it by now.
    pub(in crate::upstream) fn is_reused(&self) -> bool {
        match self {
            Self::Connection(lease) => lease.reused,
            Self::Stream(lease) => lease.is_reused(),
        }
    }

    /// Whether the backend (or the pool's own task) closed it.
    pub(in crate::upstream) fn is_closed(&self) -> bool {
        match self {
            Self::Connection(lease) => lease.connection.sender.is_closed(),
            Self::Stream(lease) => lease.is_closed(),
        }
    }

    /// Whether any byte came back since the lease began. Of a stream nothing comes before its head.
    pub(in crate::upstream) fn was_answered(&self) -> bool {
        match self {
            Self::Connection(lease) => lease.connection.traffic.read() != lease.read_before,
            Self::Stream(_) => false,
        }
    }

    /// Whether any byte went out since the lease began. Of a stream nobody can tell.
    pub(in crate::upstream) fn was_sent(&self) -> bool {
        match self {
            Self::Connection(lease) => lease.connection.traffic.written() != lease.written_before,
            Self::Stream(_) => true,
        }
    }

    /// What passes on it, if it is this request's alone.
    pub(in crate::upstream) fn traffic(&self) -> Option<&Arc<Traffic>> {
        match self {
            Self::Connection(lease) => Some(&lease.connection.traffic),
            Self::Stream(_) => None,
        }
    }

    /// Returns a connection to the pool, at the latest a moment from now when it is ready again.
    pub(in crate::upstream) fn give_back(self) {
        if let Self::Connection(lease) = self {
            lease.give_back();
        }
    }
}

impl ConnectionLease {
    fn new(connection: Connection, pool: Rc<BackendPool>, reused: bool) -> Self {
        Self {
            read_before: connection.traffic.read(),
            written_before: connection.traffic.written(),
            connection,
            pool,
            reused,
        }
    }

    fn give_back(self) {
        let Self {
            mut connection,
            pool,
            ..
        } = self;
        if connection.sender.is_ready() {
            pool.give_back(connection);
        } else if !connection.sender.is_closed() {
            tokio::task::spawn_local(async move {
                let ready = tokio::time::timeout(SETTLE, connection.sender.ready()).await;
                if matches!(ready, Ok(Ok(()))) {
                    pool.give_back(connection);
                }
            });
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("ready", &self.sender.is_ready())
            .field("closed", &self.sender.is_closed())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permit")
    }
}
