//! A look at the bytes of HTTP/1 requests, in order and from their first to their last, for what the HTTP library settles
//! without a word: a fragment in the target, lines that end with a bare line feed, a second Content-Length, two framings, a
//! heap of empty lines in front (docs/design/hardening.md rows 1, 2, 5, 10, 25, 57).
//!
//! The library reads each of them in one way, so nothing is matched or forwarded differently; but whoever sends them may
//! have meant another. Where a head begins is told by the framing of what came before it, never by the time it comes at: it
//! may come while a request runs, behind a body, or piece by piece. Where the framing cannot be followed, the next head of
//! the connection counts as odd, whatever it is.

use std::borrow::Cow;
use std::sync::Arc;

use super::activity::{Activity, OddHead};

/// Empty lines that may come before a request line (RFC 9112 section 2.2 wants at least one).
const MAX_EMPTY: u8 = 8;

/// As much of a line as is kept when it comes in pieces: more than any framing field has.
const KEPT: usize = 128;

const CONTENT_LENGTH: &[u8] = b"content-length:";
const TRANSFER_ENCODING: &[u8] = b"transfer-encoding:";

/// Where in the requests of a connection its bytes are.
#[derive(Debug)]
pub(super) struct Framing {
    activity: Arc<Activity>,
    /// Which request this is; counted from 1.
    request: u32,
    place: Place,
    empty: u8,
    lengths: u8,
    length: u64,
    is_coded: bool,
    /// The first bytes of a line that comes in pieces, and its last one.
    kept: Vec<u8>,
    last: u8,
    is_cut: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before or in the request line.
    Request,
    /// In a header line.
    Header,
    /// In a body, or in a chunk of one.
    Data { left: u64, is_chunk: bool },
    /// In the line that begins a chunk.
    ChunkSize,
    /// In the line end behind a chunk's data.
    ChunkEnd,
    /// In a trailer line.
    Trailer,
    /// Nobody knows.
    Lost,
}

impl Framing {
    pub(super) fn new(activity: Arc<Activity>) -> Self {
        Self {
            activity,
            request: 1,
            place: Place::Request,
            empty: 0,
            lengths: 0,
            length: 0,
            is_coded: false,
            kept: Vec::new(),
            last: 0,
            is_cut: false,
        }
    }

    /// The connection's notes.
    pub(super) fn activity(&self) -> &Activity {
        &self.activity
    }

    /// Looks at bytes that came in.
    pub(super) fn see(&mut self, mut bytes: &[u8]) {
        if self.activity.is_opaque() {
            return;
        }
        while !bytes.is_empty() {
            match self.place {
                Place::Lost => return,
                Place::Data { left, is_chunk } => {
                    let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    bytes = bytes.get(here..).unwrap_or_default();
                    let left = left - here as u64;
                    self.place = match (left, is_chunk) {
                        (1.., _) => Place::Data { left, is_chunk },
                        (0, true) => Place::ChunkEnd,
                        (0, false) => self.next_request(),
                    };
                }
                _ => {
                    // A head is looked at whole, so the search has to be the fast one.
                    let Some(end) = memchr::memchr(b'\n', bytes) else {
                        self.keep(bytes);
                        return;
                    };
                    let (line, rest) = bytes.split_at(end);
                    self.line(line);
                    bytes = rest.get(1..).unwrap_or_default();
                }
            }
        }
    }

    /// A piece of a line whose end has not come yet.
    fn keep(&mut self, piece: &[u8]) {
        self.look_for_fragment(piece);
        let free = KEPT - self.kept.len();
        let fits = piece.get(..free).unwrap_or(piece);
        self.kept.extend_from_slice(fits);
        self.is_cut |= fits.len() < piece.len();
        self.last = piece.last().copied().unwrap_or(self.last);
    }

    fn look_for_fragment(&mut self, piece: &[u8]) {
        if self.place == Place::Request && memchr::memchr(b'#', piece).is_some() {
            self.has_odd(OddHead::Fragment);
        }
    }

    /// A line has ended; `piece` is its last part, without the line feed.
    fn line(&mut self, piece: &[u8]) {
        self.look_for_fragment(piece);
        if self.kept.is_empty() && !self.is_cut {
            return self.whole_line(piece, false);
        }
        // Rare: most heads come at once.
        let mut line = std::mem::take(&mut self.kept);
        let is_cut = std::mem::take(&mut self.is_cut) || line.len() + piece.len() > KEPT;
        let last = piece.last().copied().unwrap_or(self.last);
        line.extend_from_slice(piece.get(..KEPT - line.len()).unwrap_or(piece));
        if is_cut {
            // Its end counts, its middle does not.
            line.truncate(KEPT - 1);
            line.push(last);
        }
        self.whole_line(&line, is_cut);
    }

    fn whole_line(&mut self, line: &[u8], is_cut: bool) {
        let Some((b'\r', line)) = line.split_last() else {
            // A body's framing is the library's to refuse, but nobody can be sure where it ends.
            return match self.place {
                Place::Request | Place::Header => {
                    self.has_odd(OddHead::Framing);
                    self.in_line(line, is_cut);
                }
                _ => self.is_lost(),
            };
        };
        self.in_line(line, is_cut);
    }

    fn in_line(&mut self, line: &[u8], is_cut: bool) {
        match self.place {
            Place::Request if line.is_empty() => {
                self.empty = self.empty.saturating_add(1);
                if self.empty > MAX_EMPTY {
                    self.has_odd(OddHead::Framing);
                }
            }
            Place::Request => self.place = Place::Header,
            Place::Header if line.is_empty() => self.head_ends(),
            // Of most lines the first letter says enough.
            Place::Header => match line.first() {
                Some(b'C' | b'c') => self.content_length(line, is_cut),
                Some(b'T' | b't') => self.transfer_encoding(line, is_cut),
                _ => {}
            },
            Place::ChunkSize => match chunk_size(line) {
                Some(0) => self.place = Place::Trailer,
                Some(left) => {
                    self.place = Place::Data {
                        left,
                        is_chunk: true,
                    };
                }
                None => self.is_lost(),
            },
            Place::ChunkEnd if line.is_empty() => self.place = Place::ChunkSize,
            Place::Trailer if line.is_empty() => self.place = self.next_request(),
            Place::Trailer => {}
            Place::ChunkEnd | Place::Data { .. } | Place::Lost => self.is_lost(),
        }
    }

    fn content_length(&mut self, line: &[u8], is_cut: bool) {
        let Some(value) = value_of(line, CONTENT_LENGTH) else {
            return;
        };
        self.lengths = self.lengths.saturating_add(1);
        match length(value).filter(|_| !is_cut && self.lengths == 1) {
            Some(length) => self.length = length,
            None => self.has_odd(OddHead::Framing),
        }
    }

    fn transfer_encoding(&mut self, line: &[u8], is_cut: bool) {
        let Some(value) = value_of(line, TRANSFER_ENCODING) else {
            return;
        };
        if is_cut || self.is_coded || !value.eq_ignore_ascii_case(b"chunked") {
            self.has_odd(OddHead::Framing);
        }
        self.is_coded = true;
    }

    fn head_ends(&mut self) {
        let is_odd = self.activity.odd_request() == self.request;
        self.place = match (self.is_coded, self.lengths, self.length) {
            // It is refused, and its connection closed.
            _ if is_odd => return self.is_lost(),
            (true, 1.., _) => {
                self.has_odd(OddHead::Framing);
                return self.is_lost();
            }
            (true, ..) => Place::ChunkSize,
            (false, _, 0) => self.next_request(),
            (false, _, left) => Place::Data {
                left,
                is_chunk: false,
            },
        };
    }

    fn next_request(&mut self) -> Place {
        self.request = self.request.wrapping_add(1);
        (self.empty, self.lengths, self.length, self.is_coded) = (0, 0, 0, false);
        Place::Request
    }

    /// What comes now, nobody can tell from a request.
    fn is_lost(&mut self) {
        self.place = Place::Lost;
        let next = self.request.wrapping_add(1);
        self.activity.has_odd_head(next, OddHead::Framing);
    }

    fn has_odd(&self, odd: OddHead) {
        self.activity.has_odd_head(self.request, odd);
    }
}

/// The value of a field with that name, which is in lower case and has its colon.
fn value_of<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    let (field, value) = line.split_at_checked(name.len())?;
    field.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

fn length(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// RFC 9112 section 7.1: digits, and extensions that say nothing here.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| *byte == b';').next()?;
    let digits = String::from_utf8_lossy(digits.trim_ascii_end());
    if digits.is_empty() || !matches!(digits, Cow::Borrowed(_)) {
        return None;
    }
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex
        .then(|| u64::from_str_radix(&digits, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests;
