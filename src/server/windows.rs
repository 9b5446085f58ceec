//! How far ahead of us HTTP/2 clients may send (RFC 9113 section 5.2), within a budget of memory.
//!
//! A client on a long line is as fast as one window per round trip: 1 MiB is 80 Mbit/s at 100 ms. So a connection gets wide
//! windows as long as few are open, and narrow ones beyond, where everybody's unread bytes together would be too much.
//! It is settled when a connection opens, because the HTTP library changes no window later.

use std::cell::Cell;
use std::rc::Rc;

/// Of one stream, while the budget allows (design.md 2, Sizes).
const WIDE: u32 = 8 * 1024 * 1024;

/// Of one stream, always.
const NARROW: u32 = 1024 * 1024;

/// Of all streams of a connection together.
pub(super) const CONNECTION: u32 = 16 * 1024 * 1024;

/// Bytes that wide windows of one worker's connections may add up to.
const BUDGET: u32 = 256 * 1024 * 1024;

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
        let fits = wide < BUDGET / CONNECTION;
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
    fn windows_are_wide_until_the_budget_is_spent_and_again_when_connections_go() {
        let windows = Windows::default();
        let mut open: Vec<Window> = (0..16).map(|_| windows.open()).collect();
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
