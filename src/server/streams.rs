//! HTTP/2 streams: tasks of their own on the worker's thread, which end when their request is cut.

use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use super::timeouts::Entry;
use crate::body::Pulse;

/// Runs a connection's streams. A stream that waits for its client's window is never asked by the library for more of its
/// body, so a cut cannot reach it there: its task ends instead, which resets the stream.
#[derive(Debug, Clone, Default)]
pub(super) struct StreamExecutor {
    next: Rc<RefCell<Option<Rc<Pulse>>>>,
}

impl StreamExecutor {
    /// Whose stream is run next: the library makes a request's future and runs it in one go.
    pub(super) fn next_is(&self, pulse: Rc<Pulse>) {
        self.next.replace(Some(pulse));
    }
}

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for StreamExecutor {
    fn execute(&self, future: F) {
        let Some(pulse) = self.next.take() else {
            tokio::task::spawn_local(future);
            return;
        };
        tokio::task::spawn_local(async move {
            let mut future = pin!(future);
            let ended = std::future::poll_fn(|cx| {
                if pulse.is_stalled() {
                    return Poll::Ready(());
                }
                pulse.register(cx.waker());
                future.as_mut().poll(cx).map(drop)
            });
            ended.await;
        });
    }
}

/// A stream that the sweep looks at until it is dropped.
#[derive(Debug)]
pub(super) struct OpenStream {
    entry: Rc<Entry>,
    pub(super) pulse: Rc<Pulse>,
}

impl OpenStream {
    pub(super) fn begins(entry: &Rc<Entry>) -> Self {
        let pulse = Rc::<Pulse>::default();
        entry.watch(Rc::clone(&pulse));
        Self {
            entry: Rc::clone(entry),
            pulse,
        }
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.entry.forget(&self.pulse);
    }
}
