//! How far ahead of us HTTP/2 clients may send (RFC 9113 section 5.2).
//!
//! A client on a long line is as fast as one window per round trip: 1 MiB is 80 Mbit/s at 100 ms. So a connection gets wide
//! windows as long as few are open, and narrow ones beyond, where everybody's unread bytes together would be too much.
//! It is settled when a connection opens, because the HTTP library changes no window later.

use std::cell::Cell;
use std::rc::Rc;

/// Streams of one connection (docs/design/design.md 2, Sizes).
pub(super) const STREAMS: u32 = 100;

/// Of one stream, while few connections are open: 320 Mbit/s at 100 ms.
const WIDE: u32 = 4 * 1024 * 1024;

/// Of one stream, always.
const NARROW: u32 = 512 * 1024;

/// How many connections of one worker have wide windows.
const WIDE_ONES: u32 = 16;

/// One worker's budget.
#[derive(Debug, Default)]
pub(super) struct Windows {
    wide: Rc<Cell<u32>>,
}

/// The windows of one connection; gives its share back when it goes.
#[derive(Debug)]
pub(super) struct Window {
    wide: Option<Rc<Cell<u32>>>,
}

impl Windows {
    /// The windows of a connection that opens now.
    pub(super) fn open(&self) -> Window {
        let wide = self.wide.get();
        let fits = wide < WIDE_ONES;
        if fits {
            self.wide.set(wide + 1);
        }
        Window {
            wide: fits.then(|| Rc::clone(&self.wide)),
        }
    }
}

impl Window {
    /// Bytes of one stream.
    pub(super) fn stream(&self) -> u32 {
        if self.wide.is_some() { WIDE } else { NARROW }
    }

    /// Bytes of all its streams together: a stream that nobody reads keeps its own window full and takes nothing from the
    /// others. What rests is cut by the sweep.
    pub(super) fn connection(&self) -> u32 {
        self.stream() * STREAMS
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        if let Some(wide) = &self.wide {
            wide.set(wide.get().saturating_sub(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_wide_while_few_connections_are_open_and_again_when_some_go() {
        let windows = Windows::default();
        let mut open: Vec<Window> = (0..WIDE_ONES).map(|_| windows.open()).collect();
        assert!(open.iter().all(|window| window.stream() == WIDE));
        let beyond = windows.open();
        assert_eq!(beyond.stream(), NARROW);
        open.pop();
        assert_eq!(windows.open().stream(), WIDE);
        drop(beyond);
        open.push(windows.open());
        assert_eq!(windows.open().stream(), NARROW);
    }
}
