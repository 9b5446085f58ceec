//! Which living sessions belong to a `sid` or a `sub`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::{Digest, Digester, Session, SessionFacts};

/// From keyed digests of `sid` and `sub` to sessions. Written when a session is made and when its last holder lets go of
/// it, be that the cache, a worker's map or a stream; read on logout; never touched on the warm path. Values are hashed,
/// so that any bytes and any length are fine (idps.md T14).
#[derive(Debug)]
pub(super) struct Index {
    digester: Digester,
    sessions: Mutex<HashMap<Digest, Vec<Weak<Session>>>>,
}

/// A session's entries; they go with it.
#[derive(Debug)]
pub(super) struct Registration {
    index: Arc<Index>,
    keys: [Option<Digest>; 2],
}

const SID: u8 = 1;
const SUBJECT: u8 = 2;

impl Index {
    pub(super) fn new(digester: Digester) -> Arc<Self> {
        Arc::new(Self {
            digester,
            sessions: Mutex::default(),
        })
    }

    pub(super) fn sid_key(&self, issuer: usize, sid: &str) -> Digest {
        self.digester
            .values(SID, &[&issuer.to_le_bytes(), sid.as_bytes()])
    }

    pub(super) fn subject_key(&self, issuer: usize, subject: &str) -> Digest {
        self.digester
            .values(SUBJECT, &[&issuer.to_le_bytes(), subject.as_bytes()])
    }

    pub(super) fn sessions(&self, key: Digest) -> Vec<Arc<Session>> {
        self.lock()
            .get(&key)
            .into_iter()
            .flatten()
            .filter_map(Weak::upgrade)
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Vec<Weak<Session>>>> {
        // Nothing below the lock can leave the map half changed, so a poisoned one is still good.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registration {
    pub(super) fn new(index: &Arc<Index>, facts: &SessionFacts) -> Self {
        let sid = facts
            .sid
            .as_deref()
            .map(|sid| index.sid_key(facts.issuer, sid));
        let subject = facts
            .subject
            .as_deref()
            .map(|subject| index.subject_key(facts.issuer, subject));
        Self {
            index: Arc::clone(index),
            keys: [sid, subject],
        }
    }

    pub(super) fn enter(&self, session: &Arc<Session>) {
        let mut sessions = self.index.lock();
        for key in self.keys.iter().flatten() {
            sessions
                .entry(*key)
                .or_default()
                .push(Arc::downgrade(session));
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut sessions = self.index.lock();
        for key in self.keys.iter().flatten() {
            if let Entry::Occupied(mut entry) = sessions.entry(*key) {
                entry.get_mut().retain(|session| session.strong_count() > 0);
                if entry.get().is_empty() {
                    entry.remove();
                }
            }
        }
    }
}
