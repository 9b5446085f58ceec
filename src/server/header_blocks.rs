//! A look at the frames of an HTTP/2 connection for header blocks that have begun and do not end (RFC 9113 section 4.3): the
//! HTTP library waits for their rest as long as the connection lasts.

use std::sync::Arc;

use super::activity::Activity;

/// What HTTP/2 clients open with when they know the server speaks it (RFC 9113 section 3.4).
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Length, kind, flags and stream of a frame (RFC 9113 section 4.1).
const FRAME_HEAD: usize = 9;

const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// Where in the frames of a connection its bytes are. The preface has to be fed to it like everything else.
#[derive(Debug)]
pub(super) struct HeaderBlocks {
    activity: Arc<Activity>,
    /// Bytes of the preface, or of the present frame, that are still to come.
    left: usize,
    head: [u8; FRAME_HEAD],
    filled: usize,
    /// The present frame belongs to a header block, and whether it is the block's last.
    of_block: Option<bool>,
    is_in_block: bool,
}

impl HeaderBlocks {
    pub(super) fn new(activity: Arc<Activity>) -> Self {
        Self {
            activity,
            left: PREFACE.len(),
            head: [0; FRAME_HEAD],
            filled: 0,
            of_block: None,
            is_in_block: false,
        }
    }

    /// Looks at bytes that came in.
    pub(super) fn see(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let passed = self.left.min(bytes.len());
                self.left -= passed;
                bytes = bytes.get(passed..).unwrap_or_default();
            } else {
                let wanted = FRAME_HEAD - self.filled;
                let (head, rest) = bytes.split_at(wanted.min(bytes.len()));
                if let Some(free) = self.head.get_mut(self.filled..self.filled + head.len()) {
                    free.copy_from_slice(head);
                }
                self.filled += head.len();
                bytes = rest;
                if self.filled < FRAME_HEAD {
                    break;
                }
                self.frame_begins();
            }
            if self.left == 0 {
                self.frame_ends();
            }
        }
    }

    fn frame_begins(&mut self) {
        self.filled = 0;
        let [a, b, c, kind, flags, ..] = self.head;
        self.left = u32::from_be_bytes([0, a, b, c]) as usize;
        if matches!(kind, HEADERS | CONTINUATION) {
            self.of_block = Some(flags & END_HEADERS != 0);
            self.set(true);
        }
    }

    fn frame_ends(&mut self) {
        if self.of_block.take() == Some(true) {
            self.set(false);
        }
    }

    fn set(&mut self, is_in_block: bool) {
        if self.is_in_block != is_in_block {
            self.is_in_block = is_in_block;
            self.activity.is_in_block(is_in_block);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap().to_be_bytes();
        let head = [length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        [&head[..], &vec![b'x'; payload]].concat()
    }

    fn is_open_after(pieces: &[&[u8]]) -> bool {
        let activity = Arc::new(Activity::for_tests());
        let mut blocks = HeaderBlocks::new(Arc::clone(&activity));
        blocks.see(PREFACE);
        for piece in pieces {
            blocks.see(piece);
        }
        activity.block() != 0
    }

    #[test]
    fn a_block_is_open_until_its_last_frame_is_whole() {
        let whole = frame(HEADERS, END_HEADERS, 20);
        assert!(!is_open_after(&[&whole]));
        assert!(is_open_after(&[&whole[..28]]));
        assert!(is_open_after(&[&whole[..9]]));
        assert!(is_open_after(&[&frame(HEADERS, 0, 20)]));
        assert!(is_open_after(&[&frame(HEADERS, 0, 0)]));
        let last = frame(CONTINUATION, END_HEADERS, 5);
        assert!(!is_open_after(&[&frame(HEADERS, 0, 20), &last]));
        assert!(!is_open_after(&[&frame(HEADERS, END_HEADERS, 0)]));
        // Data, however much of it is still to come.
        assert!(!is_open_after(&[&whole, &frame(0, 0, 16_384)[..100]]));
    }

    proptest! {
        #[test]
        fn how_the_bytes_are_cut_makes_no_difference(
            frames in prop::collection::vec((0_u8..12, 0_u8..8, 0_usize..50), 0..8),
            end in 0_usize..400,
            cuts in prop::collection::vec(1_usize..30, 0..40),
        ) {
            let bytes: Vec<u8> = frames.iter().flat_map(|(k, f, p)| frame(*k, *f, *p)).collect();
            let mut rest = &bytes[..end.min(bytes.len())];
            let whole = is_open_after(&[rest]);
            let mut pieces = Vec::new();
            for cut in cuts {
                let (piece, more) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = more;
            }
            pieces.push(rest);
            prop_assert_eq!(is_open_after(&pieces), whole);
        }
    }
}
