//! Which living sessions belong to a `sid` or a `sub`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::{Digest, Digester, Session, SessionFacts};

/// From keyed digests of `sid` and `sub` to sessions. Written when a session is made and when its last holder lets go of
/// it, be that the cache, a worker's map or a stream; read on logout; never touched on the warm path. Values are hashed,
/// so that any bytes and any length are fine (idps.md T14).
#[derive(Debug)]
pub(crate) struct Index {
    digester: Digester,
    sessions: Mutex<HashMap<Key, Holders>>,
}

/// Half a keyed digest is still beyond guessing, and there are two for each session.
type Key = [u8; 16];

/// The sessions of one key. One is the common case, and takes no memory of its own.
#[derive(Debug)]
enum Holders {
    One(Weak<Session>),
    #[expect(clippy::box_collection, reason = "keeps every entry at two words")]
    Many(Box<Vec<Weak<Session>>>),
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
        let sessions = self.lock();
        let holders = sessions.get(&key.half()).map(Holders::as_slice);
        holders
            .into_iter()
            .flatten()
            .filter_map(Weak::upgrade)
            .collect()
    }

    pub(super) fn enter(&self, session: &Arc<Session>) {
        let keys = self.keys(&session.facts);
        let mut sessions = self.lock();
        for key in keys.into_iter().flatten() {
            let entered = Arc::downgrade(session);
            match sessions.entry(key) {
                Entry::Vacant(entry) => {
                    entry.insert(Holders::One(entered));
                }
                Entry::Occupied(mut entry) => entry.get_mut().add(entered),
            }
        }
    }

    /// Called by a session that nobody holds any more.
    pub(super) fn leave(&self, facts: &SessionFacts) {
        let keys = self.keys(facts);
        let mut sessions = self.lock();
        for key in keys.into_iter().flatten() {
            if let Entry::Occupied(mut entry) = sessions.entry(key)
                && !entry.get_mut().retain_living()
            {
                entry.remove();
            }
        }
    }

    /// Made anew when they are needed: kept, they would take more memory than the entries.
    fn keys(&self, facts: &SessionFacts) -> [Option<Key>; 2] {
        let sid = facts.sid.as_deref();
        let subject = facts.subject.as_deref();
        [
            sid.map(|sid| self.sid_key(facts.issuer, sid).half()),
            subject.map(|subject| self.subject_key(facts.issuer, subject).half()),
        ]
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Holders>> {
        // Nothing below the lock can leave the map half changed, so a poisoned one is still good.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Holders {
    fn as_slice(&self) -> &[Weak<Session>] {
        match self {
            Self::One(session) => std::slice::from_ref(session),
            Self::Many(sessions) => sessions,
        }
    }

    fn add(&mut self, session: Weak<Session>) {
        match self {
            Self::Many(sessions) => sessions.push(session),
            Self::One(first) => *self = Self::Many(Box::new(vec![first.clone(), session])),
        }
    }

    /// Whether any is left.
    fn retain_living(&mut self) -> bool {
        match self {
            Self::One(session) => session.strong_count() > 0,
            Self::Many(sessions) => {
                sessions.retain(|session| session.strong_count() > 0);
                !sessions.is_empty()
            }
        }
    }
}
