//! One worker's own map in front of the shared session cache, so that warm requests of all workers meet in no lock.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use crate::session::{Digest, Session};

/// Sessions this worker saw last. A session judges itself at each use, so an old entry can do no harm.
#[derive(Debug, Default)]
pub struct WorkerSessions {
    entries: RefCell<HashMap<Digest, Arc<Session>, BuildHasherDefault<DigestHasher>>>,
}

/// Above this the map starts afresh: keeping an order would cost more on every request than the rare refill does.
const MAX_ENTRIES: usize = 4096;

impl WorkerSessions {
    /// The session under that digest, as this worker saw it last.
    #[must_use]
    pub fn find(&self, digest: &Digest) -> Option<Arc<Session>> {
        self.entries.borrow().get(digest).cloned()
    }

    /// Keeps a session for the next request with its token.
    pub fn keep(&self, digest: Digest, session: &Arc<Session>) {
        let mut entries = self.entries.borrow_mut();
        if entries.len() >= MAX_ENTRIES {
            entries.clear();
        }
        entries.insert(digest, Arc::clone(session));
    }

    /// Drops a session that is none any more, so that the shared cache is asked.
    pub fn forget(&self, digest: &Digest) {
        self.entries.borrow_mut().remove(digest);
    }
}

/// A digest is as good as random already: its last eight bytes are its hash.
#[derive(Debug, Default)]
struct DigestHasher(u64);

impl Hasher for DigestHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(tail) = bytes.last_chunk::<8>() {
            self.0 ^= u64::from_le_bytes(*tail);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
