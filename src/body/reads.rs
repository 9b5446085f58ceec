//! How much is read from a socket at once.
//!
//! Large reads make a transfer cheap, and what was read and cannot be written stays in memory. So reads are large while few
//! bodies are under way on a worker, and small while there are many: a crowd that stalls costs little, a single upload runs
//! at full speed.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf, Take};

/// What all reads of a worker share.
const SHARED: usize = 256 * 1024;

/// The least of one.
const LEAST: usize = 32 * 1024;

/// Slightly less than a power of two: the HTTP library doubles its buffer when a read fills it.
const SPARED: usize = 16;

thread_local! {
    static UNDER_WAY: Cell<usize> = const { Cell::new(0) };
}

/// A body that is under way; counted until dropped.
#[derive(Debug)]
pub(super) struct UnderWay(());

impl UnderWay {
    pub(super) fn begins() -> Self {
        UNDER_WAY.set(UNDER_WAY.get() + 1);
        Self(())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        UNDER_WAY.set(UNDER_WAY.get().saturating_sub(1));
    }
}

/// Bytes of one read at most, at present.
fn most() -> usize {
    share(UNDER_WAY.get()) - SPARED
}

fn share(bodies: usize) -> usize {
    let bodies = bodies.max(1).next_power_of_two();
    (SHARED / bodies).max(LEAST)
}

/// Reads as much as it may.
pub(crate) fn poll<S: AsyncRead + Unpin>(
    socket: &mut Take<S>,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    // The buffer of a small message has no more room than the least.
    let most = if buf.remaining() <= LEAST - SPARED {
        usize::MAX
    } else {
        most()
    };
    if buf.remaining() <= most {
        return Pin::new(socket.get_mut()).poll_read(cx, buf);
    }
    socket.set_limit(most as u64);
    Pin::new(socket).poll_read(cx, buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_body_reads_much_and_each_of_a_crowd_little() {
        assert_eq!(share(0), SHARED);
        assert_eq!(share(1), SHARED);
        assert_eq!(share(3), SHARED / 4);
        assert_eq!(share(200), LEAST);
    }

    #[test]
    fn bodies_are_counted_while_they_last() {
        let before = most();
        let crowd: Vec<_> = (0..8).map(|_| UnderWay::begins()).collect();
        assert_eq!(most(), LEAST - SPARED);
        drop(crowd);
        assert_eq!(most(), before);
    }
}
