//! Which living sessions belong to a `sid` or a `sub`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::Digester;
use super::digest::DigestOf;

/// From keyed digests of `sid` and `sub` to sessions. Written when a session is made and when its last holder lets go of
/// it, be that the cache, a worker's map or a stream; read on logout; never touched on the warm path. Values are hashed,
/// so that any bytes and any length are fine (docs/design/identity-providers.md T14).
#[derive(Debug)]
pub(crate) struct Index<S> {
    digester: Digester,
    sessions: Mutex<HashMap<Key, Holders<S>>>,
}

/// Stands for one `sid` or `sub` of one issuer. Half a keyed digest is still beyond guessing, and there are two for each
/// session.
pub(super) type Key = [u8; 16];

/// What a session is found by, in place of the values themselves: those can be of any length, and nothing else reads them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Keys {
    /// Of its `sid`.
    pub(super) sid: Option<Key>,
    /// Of its `sub`.
    pub(super) subject: Option<Key>,
}

impl Keys {
    fn each(self) -> impl Iterator<Item = Key> {
        [self.sid, self.subject].into_iter().flatten()
    }
}

/// The sessions of one key. One is the common case, and takes no memory of its own.
#[derive(Debug)]
enum Holders<S> {
    One(Weak<S>),
    #[expect(clippy::box_collection, reason = "keeps every entry at two words")]
    Many(Box<Vec<Weak<S>>>),
}

impl<S> Index<S> {
    pub(super) fn new(digester: Digester) -> Arc<Self> {
        Arc::new(Self {
            digester,
            sessions: Mutex::default(),
        })
    }

    pub(super) fn sid_key(&self, issuer: usize, sid: &str) -> Key {
        let values = [&issuer.to_le_bytes(), sid.as_bytes()];
        self.digester.values(DigestOf::Sid, &values).half()
    }

    pub(super) fn subject_key(&self, issuer: usize, subject: &str) -> Key {
        let values = [&issuer.to_le_bytes(), subject.as_bytes()];
        self.digester.values(DigestOf::Subject, &values).half()
    }

    pub(super) fn keys(&self, issuer: usize, sid: Option<&str>, subject: Option<&str>) -> Keys {
        Keys {
            sid: sid.map(|sid| self.sid_key(issuer, sid)),
            subject: subject.map(|subject| self.subject_key(issuer, subject)),
        }
    }

    pub(super) fn sessions(&self, key: Key) -> Vec<Arc<S>> {
        let sessions = self.lock();
        let holders = sessions.get(&key).map(Holders::as_slice);
        holders
            .into_iter()
            .flatten()
            .filter_map(Weak::upgrade)
            .collect()
    }

    pub(super) fn enter(&self, keys: Keys, session: &Arc<S>) {
        let mut sessions = self.lock();
        for key in keys.each() {
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
    pub(super) fn leave(&self, keys: Keys) {
        let mut sessions = self.lock();
        for key in keys.each() {
            if let Entry::Occupied(mut entry) = sessions.entry(key)
                && !entry.get_mut().retain_living()
            {
                entry.remove();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Holders<S>>> {
        // Nothing below the lock can leave the map half changed, so a poisoned one is still good.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Holders<S> {
    fn as_slice(&self) -> &[Weak<S>] {
        match self {
            Self::One(session) => std::slice::from_ref(session),
            Self::Many(sessions) => sessions,
        }
    }

    fn add(&mut self, session: Weak<S>) {
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
