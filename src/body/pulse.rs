//! Whether the bodies of a request move. Whoever moves them notes it, and the server's sweep looks a few times a second.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use super::{Ends, Outlet, Traffic};

/// What is noted of one request's bodies, both ways. An HTTP/1 connection has one for all its requests, which come one after
/// the other; an HTTP/2 stream has its own.
#[derive(Default)]
pub(crate) struct Pulse {
    /// Pieces that passed.
    pieces: Cell<u64>,
    /// Bytes of the request's body.
    received: Cell<u64>,
    /// The request's body has begun and not ended.
    goes_up: Cell<bool>,
    /// The answer's body has begun and not ended.
    comes_down: Cell<bool>,
    /// It rests as long as it likes: an event stream.
    is_patient: Cell<bool>,
    /// The backend's connection, if it is this request's alone.
    backend: RefCell<Option<Arc<Traffic>>>,
    /// What had moved when the sweep looked last, and since when no more has.
    seen: Cell<Option<(u64, u64)>>,
    /// What its reader, if it is on this machine, had not read when it was asked last.
    unread: Cell<Option<u64>>,
    is_stalled: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Pulse {
    /// A new request begins.
    pub(crate) fn begins(&self) {
        self.received.set(0);
        self.goes_up.set(false);
        self.comes_down.set(false);
        self.is_patient.set(false);
        self.seen.set(None);
        self.backend.replace(None);
    }

    /// A piece of a body has passed.
    pub(crate) fn moves(&self) {
        self.pieces.set(self.pieces.get().wrapping_add(1));
    }

    /// A piece of the request's body came.
    pub(crate) fn receives(&self, bytes: u64) {
        self.received.set(self.received.get() + bytes);
    }

    /// Bytes of the request's body so far.
    pub(crate) fn received(&self) -> u64 {
        self.received.get()
    }

    /// The request has a body, or its body is over.
    pub(crate) fn goes_up(&self, goes: bool) {
        self.goes_up.set(goes);
    }

    /// The answer has a body, or its body is over.
    pub(crate) fn comes_down(&self, comes: bool) {
        self.comes_down.set(comes);
    }

    /// The answer ends when its session or the process does, however long it is silent.
    pub(crate) fn is_patient(&self) {
        self.is_patient.set(true);
    }

    /// No body is under way.
    pub(crate) fn is_over(&self) -> bool {
        !self.goes_up.get() && !self.comes_down.get()
    }

    /// The backend's connection carries this request alone: its bytes are movement, too.
    pub(crate) fn travels_by(&self, traffic: Arc<Traffic>) {
        self.backend.replace(Some(traffic));
    }

    /// How long nothing has moved at `now`, in the sweep's ticks; `None` while nothing has to. `of_client`: what has moved on
    /// the client's connection, if it is this request's alone.
    pub(crate) fn rests(&self, of_client: u64, now: u64) -> Option<u64> {
        if self.is_patient.get() || !(self.goes_up.get() || self.comes_down.get()) {
            self.seen.set(None);
            return None;
        }
        let of_backend = self
            .backend
            .borrow()
            .as_ref()
            .map_or(0, |backend| backend.read().wrapping_add(backend.written()));
        let moved = self.pieces.get().wrapping_add(of_client);
        let moved = moved.wrapping_add(of_backend);
        match self.seen.get() {
            Some((seen, since)) if seen == moved => Some(now.saturating_sub(since)),
            _ => {
                self.seen.set(Some((moved, now)));
                self.unread.set(None);
                Some(0)
            }
        }
    }

    /// Whether its backend takes no more for now.
    pub(crate) fn is_held_by_backend(&self) -> bool {
        let backend = self.backend.borrow();
        backend
            .as_ref()
            .is_some_and(|backend| !backend.outlet.is_free())
    }

    /// The ends of the connection that holds it up, if it is one within this machine.
    pub(crate) fn held_within(&self, client: &Outlet) -> Option<Ends> {
        let backend = self.backend.borrow();
        let of_backend = || backend.as_ref()?.outlet.held_within();
        client.held_within().or_else(of_backend)
    }

    /// What its reader has not read. Whether that is another amount than before.
    pub(crate) fn has_moved_at_its_reader(&self, unread: u64) -> bool {
        let before = self.unread.replace(Some(unread));
        let moves = before.is_some_and(|before| before != unread);
        if moves {
            self.moves();
        }
        moves
    }

    /// The request is cut because nothing moved any more.
    pub(crate) fn stalls(&self) {
        self.is_stalled.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Whether it is cut, or was.
    pub(crate) fn is_stalled(&self) -> bool {
        self.is_stalled.get()
    }

    /// Who is to be woken when it is cut.
    pub(crate) fn register(&self, waker: &Waker) {
        match &mut *self.waker.borrow_mut() {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }
}

impl fmt::Debug for Pulse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pulse")
            .field("up", &self.goes_up.get())
            .field("down", &self.comes_down.get())
            .field("stalled", &self.is_stalled.get())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_body_that_has_begun_can_rest() {
        let pulse = Pulse::default();
        assert_eq!(pulse.rests(0, 10), None);
        pulse.goes_up(true);
        assert_eq!(pulse.rests(0, 20), Some(0));
        assert_eq!(pulse.rests(0, 90), Some(70));
        pulse.goes_up(false);
        assert_eq!(pulse.rests(0, 95), None);
        pulse.comes_down(true);
        assert_eq!(pulse.rests(0, 100), Some(0));
        pulse.is_patient();
        assert_eq!(pulse.rests(0, 900), None);
    }

    #[test]
    fn movement_anywhere_is_movement() {
        let pulse = Pulse::default();
        let traffic = Arc::new(Traffic::default());
        pulse.comes_down(true);
        pulse.travels_by(Arc::clone(&traffic));
        let moves: [(&dyn Fn(), u64); 4] = [
            (&|| pulse.moves(), 0),
            (&|| {}, 1),
            (&|| traffic.has_read(5), 1),
            (&|| traffic.has_written(5), 1),
        ];
        for (now, (moves, of_client)) in (1..).zip(moves) {
            moves();
            assert_eq!(pulse.rests(of_client, 100 * now), Some(0));
            assert_eq!(pulse.rests(of_client, 100 * now + 60), Some(60));
        }
    }
}
