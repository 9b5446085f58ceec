//! Accepting: who takes a connection, when it is too many, and what happens when descriptors run out.
//!
//! All workers accept from clones of one listener. With SO_REUSEPORT each would have a queue of its own,
//! filled by a hash of the addresses: with a few dozen kept-alive connections one worker easily gets
//! twice another's, and what is in a queue when its worker closes is lost. One queue has neither fault; a
//! worker that holds more connections than another lets that one go first.

use std::cell::Cell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use http::HeaderValue;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::activity::Stage;
use super::connection::Server;
use super::handshake;
use super::room::make_room;
use super::timeouts::{Command, Sweep};
use super::watched_io::WatchedIo;
use super::{Connection, Handler, Protocol, Shared};
use crate::session::Remembered;

/// How long accepting rests when the process has no descriptors left.
const REST: Duration = Duration::from_millis(200);

/// Bytes that may wait encrypted for a client that does not read.
const TLS_AHEAD: usize = 32 * 1024;

/// Accepts until the drain began and the queue is empty; until then the caller counts as open. Connections run as tasks of their own.
pub(super) async fn accept<H: Handler>(
    worker: usize,
    listener: TcpListener,
    server: Rc<Server<H>>,
    sweep: Rc<Sweep>,
    shared: Shared,
) {
    let mut warned: Option<Instant> = None;
    loop {
        shared.places.give_way(worker).await;
        let accepted = tokio::select! {
            biased;
            accepted = listener.accept() => accepted,
            () = shared.drain.begun() => break,
        };
        match accepted {
            Ok((socket, peer)) => {
                if !make_room(&shared.places, &sweep).await {
                    if warned.is_none_or(|at| at.elapsed() > Duration::from_secs(10)) {
                        warned = Some(Instant::now());
                        tracing::error!("all connections are in use (PROXY_MAX_CONNECTIONS)");
                    }
                    continue;
                }
                take(worker, socket, peer, &server, &sweep, &shared);
            }
            Err(error) if is_exhausted(&error) => {
                if warned.is_none_or(|at| at.elapsed() > Duration::from_secs(10)) {
                    warned = Some(Instant::now());
                    tracing::error!(%error, "no connection can be accepted");
                }
                tokio::time::sleep(REST).await;
            }
            // The client left before it was accepted.
            Err(error) => tracing::debug!(%error, "a connection was not accepted"),
        }
    }
    // Asks the system itself: tokio knows of a connection only after its next look at the queue's events.
    let Ok(listener) = listener.into_std() else {
        return;
    };
    while let Ok((socket, peer)) = listener.accept() {
        let socket = socket
            .set_nonblocking(true)
            .and_then(|()| TcpStream::from_std(socket));
        if let Ok(socket) = socket {
            take(worker, socket, peer, &server, &sweep, &shared);
        }
    }
}

fn is_exhausted(error: &io::Error) -> bool {
    const ENOMEM: i32 = 12;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    const ENOBUFS: i32 = 105;
    matches!(
        error.raw_os_error(),
        Some(ENOMEM | ENFILE | EMFILE | ENOBUFS)
    )
}

fn take<H: Handler>(
    worker: usize,
    socket: TcpStream,
    peer: SocketAddr,
    server: &Rc<Server<H>>,
    sweep: &Rc<Sweep>,
    shared: &Shared,
) {
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    let permit = match &shared.per_address {
        None => None,
        Some(limit) => match limit.enter(peer.ip()) {
            Some(permit) => Some(permit),
            None => {
                tracing::debug!(peer = %peer, "too many connections of one address");
                return;
            }
        },
    };
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    let facts = Connection {
        peer,
        // Digits, dots, colons and letters are always fine.
        peer_text: HeaderValue::from_str(&peer.ip().to_string())
            .unwrap_or(HeaderValue::from_static("unknown")),
        remembered: Remembered::default(),
        awaits_first: Cell::new(true),
        tls: shared.tls.is_some(),
        protocol: Protocol::Http1,
        drain: shared.drain.clone(),
    };
    let guards = (
        shared.drain.count(),
        shared.places.enter(worker),
        permit,
        server.metrics.clone(),
    );
    let acceptor = shared.tls.clone().map(TlsAcceptor::from);
    let server = Rc::clone(server);
    let sweep = Rc::clone(sweep);
    tokio::task::spawn_local(async move {
        let (_open, _place, _permit, metrics) = guards;
        metrics.connection_opened();
        run(socket, facts, acceptor, server, &sweep).await;
        metrics.connection_closed();
    });
}

/// One connection from its first byte to its last; cut when the sweep says so.
async fn run<H: Handler>(
    socket: TcpStream,
    facts: Connection,
    acceptor: Option<TlsAcceptor>,
    server: Rc<Server<H>>,
    sweep: &Sweep,
) {
    let stage = if acceptor.is_some() {
        Stage::Handshake
    } else {
        Stage::Preface
    };
    let entry = sweep.enter(stage);
    if facts.peer.ip().is_loopback()
        && let Ok(ours) = socket.local_addr()
    {
        entry.activity.outlet.is_between(ours, facts.peer);
    }
    let io = WatchedIo::new(socket, Arc::clone(&entry.activity));
    let entry_of_task = Rc::clone(&entry);
    let mut served = Box::pin(async move {
        let entry = entry_of_task;
        match acceptor {
            None => server.serve(io, facts, None, &entry).await,
            Some(acceptor) => {
                // Boxed: the handshake's state is large and short-lived.
                let bounded = |session: &mut rustls::ServerConnection| {
                    session.set_buffer_limit(Some(TLS_AHEAD));
                };
                let stream = match Box::pin(acceptor.accept_with(io, bounded)).await {
                    Ok(stream) => stream,
                    Err(error) => {
                        server.metrics.handshake_failed();
                        handshake::failed(&error, facts.peer);
                        return Ok(());
                    }
                };
                let protocol = match stream.get_ref().1.alpn_protocol() {
                    Some(b"h2") => Protocol::Http2,
                    _ => Protocol::Http1,
                };
                // Boxed, so that a connection without TLS has no room for the state of one.
                let stream = Box::new(stream);
                server.serve(stream, facts, Some(protocol), &entry).await
            }
        }
    });
    let ended = poll_fn(|cx| {
        entry.register(cx.waker());
        if entry.command() == Command::Close {
            return Poll::Ready(Ok(()));
        }
        served.as_mut().poll(cx)
    })
    .await;
    if let Err(error) = ended {
        tracing::debug!(error = &*error, "a connection ended early");
    }
}

/// The connections of each client address, over all workers (docs/design/design.md 2, Limits per client address).
#[derive(Debug)]
pub(super) struct AddressLimit {
    most: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

impl AddressLimit {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            open: Mutex::default(),
        })
    }

    fn enter(self: &Arc<Self>, address: IpAddr) -> Option<AddressPermit> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(AddressPermit {
            limit: Arc::clone(self),
            address,
        })
    }
}

#[derive(Debug)]
struct AddressPermit {
    limit: Arc<AddressLimit>,
    address: IpAddr,
}

impl Drop for AddressPermit {
    fn drop(&mut self) {
        let mut open = self
            .limit
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_hold_its_number_of_connections_and_no_more() {
        let limit = AddressLimit::new(2);
        let (a, b) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let first = limit.enter(a);
        let second = limit.enter(a);
        assert!(first.is_some() && second.is_some());
        assert!(limit.enter(a).is_none());
        assert!(limit.enter(b).is_some());
        drop(first);
        assert!(limit.enter(a).is_some());
        drop(second);
        assert!(limit.open.lock().unwrap().is_empty());
    }
}
