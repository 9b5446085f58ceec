//! A request's body on its way to a backend: held until the backend wants it, kept while it may have to be sent again,
//! stopped when nobody needs the rest.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::Sleep;

use crate::body::{Body, BodyError, Traffic};

/// Bytes that are kept for a second attempt.
const REPLAY_BYTES: usize = 64 * 1024;

/// Bytes of one piece for a stream of HTTP/2, whose connection tells nobody how far it is: as much as one frame has.
const STREAM_PIECE: usize = 16 * 1024;

/// The sender's view of a body; each attempt takes a [`Body`] of its own from it.
#[derive(Debug, Clone)]
pub(super) struct Upload {
    state: Rc<State>,
}

#[derive(Debug)]
struct State {
    source: RefCell<Body>,
    started: Cell<bool>,
    ended: Cell<bool>,
    /// The client waits for `100 Continue`.
    gated: bool,
    /// The client's fault, if its body broke off.
    fault: RefCell<Option<String>>,
    replay: RefCell<Replay>,
    wish: Cell<Wish>,
    waker: RefCell<Option<Waker>>,
    done: Notify,
}

/// What was read so far, as long as it is little.
#[derive(Debug)]
enum Replay {
    Kept(Vec<Bytes>, usize),
    Spilled,
}

/// What the sender wants of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Flow,
    /// The backend has answered with an error: it will hardly read the rest.
    Hold,
    /// The exchange is over.
    Stop,
}

/// Opened when the backend says `100 Continue`. The HTTP library calls it from its own task and wants it `Sync`.
#[derive(Debug, Default)]
pub(super) struct Gate {
    open: AtomicBool,
    waker: AtomicWaker,
}

impl Gate {
    pub(super) fn open(&self) {
        self.open.store(true, Ordering::Release);
        self.waker.wake();
    }
}

impl Upload {
    /// `gated`: the client waits for `100 Continue` before it sends.
    pub(super) fn new(source: Body, gated: bool) -> Self {
        Self {
            state: Rc::new(State {
                source: RefCell::new(source),
                started: Cell::new(false),
                ended: Cell::new(false),
                gated,
                fault: RefCell::default(),
                replay: RefCell::new(Replay::Kept(Vec::new(), 0)),
                wish: Cell::new(Wish::Flow),
                waker: RefCell::default(),
                done: Notify::new(),
            }),
        }
    }

    /// A body for one attempt: what was read before, then the rest. With a gate it waits for `100 Continue`, at most
    /// for the given time. `traffic`: of its connection, if it has one for itself.
    pub(super) fn attempt(
        &self,
        traffic: Option<Arc<Traffic>>,
        gate: Option<(Arc<Gate>, Duration)>,
    ) -> Body {
        let kept = match &*self.state.replay.borrow() {
            Replay::Kept(frames, _) => frames.clone(),
            Replay::Spilled => Vec::new(),
        };
        let length = self.state.source.borrow().size_hint().exact();
        let kept_bytes: usize = kept.iter().map(Bytes::len).sum();
        Body::stream(Attempt {
            state: Rc::clone(&self.state),
            again: kept.into_iter(),
            left: length.map(|rest| rest + kept_bytes as u64),
            traffic,
            rest: Bytes::new(),
            gate: gate.map(|(gate, patience)| (gate, Box::pin(tokio::time::sleep(patience)))),
        })
    }

    /// Whether anything was taken from the client's body.
    pub(super) fn was_started(&self) -> bool {
        self.state.started.get()
    }

    /// Whether a second attempt could send everything again.
    pub(super) fn is_replayable(&self) -> bool {
        matches!(&*self.state.replay.borrow(), Replay::Kept(..)) && self.fault().is_none()
    }

    /// Whether the last byte was handed over.
    pub(super) fn is_done(&self) -> bool {
        self.state.ended.get()
    }

    /// Waits until the last byte was handed over.
    pub(super) async fn done(&self) {
        if !self.is_done() {
            self.state.done.notified().await;
        }
    }

    /// Why the client's body broke off, if it did.
    pub(super) fn fault(&self) -> Option<String> {
        self.state.fault.borrow().clone()
    }

    /// An answer has begun: nothing is sent a second time.
    pub(super) fn answered(&self) {
        self.state.replay.replace(Replay::Spilled);
    }

    /// Sends the backend no more, without ending the exchange. What the client still sends is read away, as it may read the
    /// answer only after that.
    pub(super) fn hold(&self) {
        if self.state.wish.get() == Wish::Flow {
            self.state.wish.set(Wish::Hold);
            self.read_away();
        }
    }

    /// Ends the body with an error, which closes its connection. What the client still sends is read for a while, so that
    /// it sees the answer; unless it waits to be told to send at all.
    pub(super) fn stop(&self) {
        self.state.wish.set(Wish::Stop);
        if let Some(waker) = self.state.waker.borrow_mut().take() {
            waker.wake();
        }
        self.read_away();
    }

    fn read_away(&self) {
        let unasked = self.state.gated && !self.was_started();
        if !unasked && self.fault().is_none() {
            tokio::task::spawn_local(self.state.source.take().drain());
        }
    }
}

impl State {
    fn moves(&self) {
        if let Some(pulse) = self.source.borrow().pulse() {
            pulse.moves();
        }
    }

    fn ends(&self) {
        self.ended.set(true);
        self.done.notify_one();
    }

    fn keep(&self, data: &Bytes) {
        let mut replay = self.replay.borrow_mut();
        if let Replay::Kept(frames, bytes) = &mut *replay {
            *bytes += data.len();
            if *bytes > REPLAY_BYTES {
                *replay = Replay::Spilled;
            } else {
                frames.push(data.clone());
            }
        }
    }
}

struct Attempt {
    state: Rc<State>,
    again: std::vec::IntoIter<Bytes>,
    left: Option<u64>,
    traffic: Option<Arc<Traffic>>,
    /// Of a piece that is too large for a stream.
    rest: Bytes,
    gate: Option<(Arc<Gate>, Pin<Box<Sleep>>)>,
}

impl Attempt {
    fn poll_gate(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some((gate, patience)) = &mut self.gate else {
            return Poll::Ready(());
        };
        gate.waker.register(cx.waker());
        if !gate.open.load(Ordering::Acquire) {
            ready!(patience.as_mut().poll(cx));
        }
        self.gate = None;
        Poll::Ready(())
    }

    /// What of a piece goes out now.
    fn piece(&mut self, mut data: Bytes) -> Bytes {
        match &self.traffic {
            Some(traffic) => traffic.outlet.is_given(data.len()),
            None if data.len() > STREAM_PIECE => self.rest = data.split_off(STREAM_PIECE),
            None => {}
        }
        self.passed(&data);
        data
    }

    fn passed(&mut self, data: &Bytes) {
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(data.len() as u64);
            if *left == 0 {
                self.state.ends();
            }
        }
    }
}

impl HttpBody for Attempt {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        match this.state.wish.get() {
            Wish::Flow => {}
            Wish::Stop => return Poll::Ready(Some(Err(BodyError::Unwanted))),
            Wish::Hold => {
                this.state.waker.replace(Some(cx.waker().clone()));
                return Poll::Pending;
            }
        }
        let is_full = match &this.traffic {
            Some(traffic) => traffic.outlet.poll_room(cx).is_pending(),
            None => false,
        };
        if is_full || this.poll_gate(cx).is_pending() {
            this.state.waker.replace(Some(cx.waker().clone()));
            return Poll::Pending;
        }
        let at_hand = std::mem::take(&mut this.rest);
        let at_hand = (!at_hand.is_empty()).then_some(at_hand);
        if let Some(data) = at_hand.or_else(|| this.again.next()) {
            this.state.moves();
            return Poll::Ready(Some(Ok(Frame::data(this.piece(data)))));
        }
        let polled = Pin::new(&mut *this.state.source.borrow_mut()).poll_frame(cx);
        let Poll::Ready(polled) = polled else {
            this.state.waker.replace(Some(cx.waker().clone()));
            return Poll::Pending;
        };
        this.state.started.set(true);
        match polled {
            None => {
                this.state.ends();
                Poll::Ready(None)
            }
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => {
                    this.state.keep(&data);
                    Poll::Ready(Some(Ok(Frame::data(this.piece(data)))))
                }
                Err(trailers) => {
                    // Trailers are the end, and they are not kept.
                    this.state.ends();
                    this.state.replay.replace(Replay::Spilled);
                    Poll::Ready(Some(Ok(trailers)))
                }
            },
            Some(Err(error)) => {
                this.state.fault.replace(Some(error.to_string()));
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
