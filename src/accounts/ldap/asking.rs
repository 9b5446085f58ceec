//! How a server is asked about a write that it is not to do.

use std::collections::HashSet;

use ldap3::Mod;
use ldap3::controls::{Assertion, MakeCritical, RawControl};
use uuid::Uuid;

/// RFC 4528.
const ASSERTION: &str = "1.3.6.1.1.12";
/// A condition that no entry meets.
const NEVER: &str = "(!(objectClass=*))";

/// How a server can be asked about a write.
///
/// OpenLDAP's no-operation control would be the plain way, but an add that is taken back by it leaves its database with
/// attributes it cannot decode (2.5 says "internal error in mdb_entry_decode" at the next search).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rehearsal {
    /// OpenLDAP looks at the rights of a whole modify before it does any of it. So a change is sent behind the removal of a
    /// value that nothing has, which ends all of it (RFC 4511 section 4.6). A new entry is asked about as below.
    OpenLdap,
    /// By a condition that nothing meets: it says what is wrong with schema and place, and looks at rights too late.
    Assertion,
    /// Not at all, so nothing is sent: a server that does not say that it knows a control may pass over it and write.
    Silent,
}

impl Rehearsal {
    /// By what the server's root entry says: `says` tells whether an attribute of it has a value.
    pub(super) fn by(says: impl Fn(&str, &str) -> bool) -> Self {
        if !says("supportedControl", ASSERTION) {
            Self::Silent
        } else if says("objectClass", "OpenLDAProotDSE") {
            Self::OpenLdap
        } else {
            Self::Assertion
        }
    }

    /// The changes as they are sent; `None`: under a condition that nothing meets.
    pub(super) fn changes(self, changes: &[Mod<String>]) -> Option<Vec<Mod<String>>> {
        if self != Self::OpenLdap {
            return None;
        }
        let (Mod::Add(name, _)
        | Mod::Delete(name, _)
        | Mod::Replace(name, _)
        | Mod::Increment(name, _)) = changes.first()?;
        // A text and a name of an entry, whatever the attribute takes.
        let nobodys = HashSet::from([format!("cn={}", Uuid::new_v4())]);
        let first = Mod::Delete(name.clone(), nobodys);
        Some(
            std::iter::once(first)
                .chain(changes.iter().cloned())
                .collect(),
        )
    }

    /// The condition that nothing meets, critical.
    pub(super) fn never() -> RawControl {
        Assertion { filter: NEVER }.critical().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_does_not_say_it_knows_assertions_is_sent_nothing() {
        let by = |root: &[(&str, &str)]| {
            Rehearsal::by(|attribute, value| root.contains(&(attribute, value)))
        };
        let openldap = ("objectClass", "OpenLDAProotDSE");
        let assertions = ("supportedControl", ASSERTION);
        assert_eq!(by(&[]), Rehearsal::Silent);
        assert_eq!(by(&[openldap]), Rehearsal::Silent);
        assert_eq!(by(&[assertions]), Rehearsal::Assertion);
        assert_eq!(by(&[openldap, assertions]), Rehearsal::OpenLdap);
    }

    #[test]
    fn what_cannot_succeed_comes_before_every_change() {
        let value = HashSet::from(["Mara".to_owned()]);
        let change = Mod::Replace("displayName".to_owned(), value);
        let sent = Rehearsal::OpenLdap
            .changes(std::slice::from_ref(&change))
            .unwrap();
        assert!(matches!(&sent[0], Mod::Delete(name, _) if name == "displayName"));
        assert_eq!(sent[1], change);
        assert_eq!(Rehearsal::Assertion.changes(&[change]), None);
    }
}
