//! How full the way out is, and what passed on a backend's connection.
//!
//! The HTTP library takes pieces of a body as long as its own buffers have room, which is far more than a transfer that
//! nobody reads should cost. So a body gives out its next piece only when the socket has taken the one before.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

use super::Ends;

/// Bytes that may wait for one socket before a body gives out more of itself.
const AHEAD: u32 = 64 * 1024;

/// The way of bodies into one socket. Atomic only because an upgraded socket has to be `Send`; one thread writes it.
#[derive(Debug, Default)]
pub(crate) struct Outlet {
    is_full: AtomicBool,
    waiting: AtomicU32,
    is_asked: AtomicBool,
    waker: AtomicWaker,
    within: OnceLock<Ends>,
}

impl Outlet {
    /// Waits until a body may give out its next piece. The library mostly asks again by itself once it has written, but not
    /// where that write comes last in its turn.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_full.load(Ordering::Relaxed) && self.waiting.load(Ordering::Relaxed) < AHEAD {
            return Poll::Ready(());
        }
        self.waker.register(cx.waker());
        self.is_asked.store(true, Ordering::Relaxed);
        Poll::Pending
    }

    /// Whose ends the socket is between.
    pub(crate) fn is_between(&self, ours: SocketAddr, theirs: SocketAddr) {
        if theirs.ip().to_canonical().is_loopback() {
            self.within.get_or_init(|| (ours.port(), theirs.port()));
        }
    }

    /// The ends of a socket within this machine that takes no more for now.
    pub(crate) fn held_within(&self) -> Option<Ends> {
        self.within.get().copied().filter(|_| !self.is_free())
    }

    /// Whether the socket has taken all it was offered.
    pub(crate) fn is_free(&self) -> bool {
        !self.is_full.load(Ordering::Relaxed)
    }

    /// A piece was given out.
    pub(crate) fn is_given(&self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let waiting = self.waiting.load(Ordering::Relaxed).saturating_add(bytes);
        self.waiting.store(waiting, Ordering::Relaxed);
    }

    /// The socket was written to. What is left over, the library offers again at once.
    pub(crate) fn was_tried(&self, has_taken: bool) {
        self.is_full.store(!has_taken, Ordering::Relaxed);
        if has_taken {
            self.waiting.store(0, Ordering::Relaxed);
            if self.is_asked.load(Ordering::Relaxed) {
                self.is_asked.store(false, Ordering::Relaxed);
                self.waker.wake();
            }
        }
    }
}

/// Bytes of one connection to a backend, to tell whether anything was sent or answered, and whether it still moves.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    read: AtomicU64,
    written: AtomicU64,
    pub(crate) outlet: Outlet,
}

impl Traffic {
    /// Bytes the backend sent so far.
    pub(crate) fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Bytes sent to the backend so far.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    pub(crate) fn has_read(&self, bytes: usize) {
        Self::add(&self.read, bytes);
    }

    pub(crate) fn has_written(&self, bytes: usize) {
        Self::add(&self.written, bytes);
    }

    /// Only the connection's own task writes, so no read-modify-write is needed.
    fn add(counter: &AtomicU64, bytes: usize) {
        counter.store(
            counter.load(Ordering::Relaxed) + bytes as u64,
            Ordering::Relaxed,
        );
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn has_room(outlet: &Outlet) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        outlet.poll_room(&mut cx).is_ready()
    }

    #[test]
    fn a_full_socket_holds_bodies_back_until_it_takes_again() {
        let outlet = Outlet::default();
        assert!(has_room(&outlet));
        outlet.was_tried(false);
        assert!(!has_room(&outlet));
        outlet.was_tried(true);
        assert!(has_room(&outlet));
    }

    #[test]
    fn pieces_that_wait_add_up() {
        let outlet = Outlet::default();
        outlet.is_given(AHEAD as usize - 1);
        assert!(has_room(&outlet));
        outlet.is_given(usize::MAX);
        assert!(!has_room(&outlet));
        outlet.was_tried(true);
        assert!(has_room(&outlet));
    }

    #[tokio::test]
    async fn who_waits_is_woken_by_the_next_write() {
        let outlet = Outlet::default();
        outlet.was_tried(false);
        let room = std::future::poll_fn(|cx| outlet.poll_room(cx));
        let write = async {
            tokio::task::yield_now().await;
            outlet.was_tried(true);
        };
        tokio::join!(room, write);
    }
}
