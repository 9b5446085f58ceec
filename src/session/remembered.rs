//! The session of a connection's last request. Clients keep their connections and their tokens for many requests, and
//! comparing a token with the last one costs a tenth of its digest.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use super::Session;

/// What one client connection sent last as a bearer token, and the session that was found for it.
///
/// No other connection reads it, and the session judges itself at each use as any other, so that it ends here when it ends
/// anywhere. The bytes are compared whole and without an early end: behind a proxy that shares connections among its
/// clients, time must not tell one of them how much of another's token it guessed. As in the HTTP library's read buffer,
/// the token stays in memory as long as the connection does; the shared cache holds none.
#[derive(Default)]
pub(crate) struct Remembered(RefCell<Option<Last>>);

type Last = (Box<[u8]>, Arc<Session>);

impl Remembered {
    /// The session, if these are the bytes it was found for.
    #[must_use]
    pub(crate) fn find(&self, presented: &[u8]) -> Option<Arc<Session>> {
        let last = self.0.borrow();
        let (token, session) = last.as_ref()?;
        is_same(token, presented).then(|| Arc::clone(session))
    }

    /// Keeps a session in place of the last one.
    pub(crate) fn keep(&self, presented: &[u8], session: &Arc<Session>) {
        self.0
            .replace(Some((presented.into(), Arc::clone(session))));
    }
}

/// Looks at every byte, whatever the outcome; the compiler makes wide compares of it.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let difference = |all: u8, (a, b): (&u8, &u8)| all | (a ^ b);
    one.len() == other.len() && one.iter().zip(other).fold(0, difference) == 0
}

impl fmt::Debug for Remembered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remembered")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bytes_are_the_same_if_they_are_equal_and_only_then(
            one in "[ab]{0,40}", other in "[ab]{0,40}", at in any::<prop::sample::Index>(),
        ) {
            prop_assert!(is_same(one.as_bytes(), one.as_bytes()));
            prop_assert_eq!(is_same(one.as_bytes(), other.as_bytes()), one == other);
            let mut changed = one.clone().into_bytes();
            if !changed.is_empty() {
                let at = at.index(changed.len());
                changed[at] ^= 1;
                prop_assert!(!is_same(one.as_bytes(), &changed));
            }
        }
    }
}
