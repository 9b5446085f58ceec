//! Memory of connections that are gone, given back to the system although nobody comes any more.

use std::cell::Cell;

/// An allocator keeps pages that were freed for a moment (mimalloc a second) and lets go of them when it next takes or
/// frees a whole page. A worker that has become quiet does neither, and would keep what a burst of connections left. So it
/// takes such a page itself, and frees it, at each look of the sweep until that moment is over. It is never written to.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    /// By the ticks.
    until: Cell<u64>,
}

/// Large enough for pages of its own in every allocator.
const PAGES: usize = 2 << 20;

/// How long after connections went, in milliseconds.
const FOR: u64 = 4_000;

impl Leftovers {
    /// Connections went, or were taken apart.
    pub(super) fn came_about(&self, now: u64) {
        self.until.set(now + FOR);
    }

    /// To be called from time to time.
    pub(super) fn give_back(&self, now: u64) {
        if now < self.until.get() {
            drop(std::hint::black_box(Vec::<u8>::with_capacity(PAGES)));
        }
    }
}
