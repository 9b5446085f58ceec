//! Writes that the server is asked about and does not do, for `davgate explain`.

use ldap3::controls::{Assertion, MakeCritical, RawControl};
use ldap3::{Mod, Scope};
use uuid::Uuid;

use super::connection::{Connection, OpError, Query, code};
use super::escape::{self, Filter};
use super::write::one;
use super::{
    AccountChange, AccountKey, DirectoryError, GroupReport, GroupSync, LdapDirectory, NewAccount,
};
use crate::model::Account;

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
    /// What the server's root entry says.
    pub(super) async fn with(connection: &mut Connection) -> Result<Self, OpError> {
        let attributes = ["objectClass".to_owned(), "supportedControl".to_owned()];
        let query = Query {
            base: "",
            scope: Scope::Base,
            filter: Filter::Present("objectClass".to_owned()),
            attributes: &attributes,
        };
        let (found, _) = connection.search_limited(&query, 1).await?;
        let says = |attribute: &str, value: &str| {
            let mut values = found.iter().flat_map(|root| root.texts(attribute));
            values.any(|one| one.eq_ignore_ascii_case(value))
        };
        Ok(if !says("supportedControl", ASSERTION) {
            Self::Silent
        } else if says("objectClass", "OpenLDAProotDSE") {
            Self::OpenLdap
        } else {
            Self::Assertion
        })
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
        let nobodys = one(&format!("cn={}", Uuid::new_v4()));
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

    /// Sorts an answer: what would have been written counts as written.
    pub(super) fn sorted(outcome: Result<(), OpError>) -> Result<(), OpError> {
        match outcome {
            Ok(()) => Err(OpError::Directory(DirectoryError::Unusable(
                "the server wrote what it was asked not to write".to_owned(),
            ))),
            Err(error) => match error.code() {
                Some(
                    code::ASSERTION_FAILED
                    | code::UNAVAILABLE_CRITICAL_EXTENSION
                    // The value that nothing has: it is not there, or no value of that attribute at all.
                    | code::NO_SUCH_ATTRIBUTE
                    | code::INVALID_ATTRIBUTE_SYNTAX
                    | code::INAPPROPRIATE_MATCHING,
                ) => Ok(()),
                _ => Err(error),
            },
        }
    }
}

impl LdapDirectory {
    /// Says what stands in the way of a new entry.
    pub(super) async fn rehearse_on(
        &self,
        connection: &mut Connection,
        new: &NewAccount,
    ) -> Result<(), OpError> {
        connection.rehearse().await?;
        let settings = &self.settings;
        let dn = escape::child(&settings.username, &new.username, &settings.user_base_dn);
        let id = (!settings.server_uuid).then(|| Uuid::new_v4().to_string());
        let attributes = self.new_entry(new, id.as_deref());
        match connection.add(&dn, attributes).await {
            Err(error) if error.code() == Some(code::ENTRY_ALREADY_EXISTS) => Ok(()),
            outcome => outcome,
        }
    }

    /// The attributes that would change.
    pub(super) async fn rehearse_update_on(
        &self,
        connection: &mut Connection,
        account: &Account,
        change: &AccountChange,
    ) -> Result<Vec<String>, OpError> {
        connection.rehearse().await?;
        self.update_on(connection, account, change).await
    }

    /// What would become of the groups.
    pub(super) async fn rehearse_groups_on(
        &self,
        connection: &mut Connection,
        account: &Account,
        sync: &GroupSync,
    ) -> Result<GroupReport, OpError> {
        connection.rehearse().await?;
        self.sync_groups_on(connection, account, sync).await
    }

    /// Where the account's entry is. One that is only rehearsed has the place that it would be made at.
    pub(super) async fn user_dn(
        &self,
        connection: &mut Connection,
        account: &Account,
    ) -> Result<String, OpError> {
        let key = AccountKey::UserId(account.id.clone());
        let found = self
            .find_entry(connection, &key, &["1.1".to_owned()])
            .await?;
        match found {
            Some(entry) => Ok(entry.dn),
            None if connection.rehearses() => {
                let settings = &self.settings;
                let base = &settings.user_base_dn;
                Ok(escape::child(&settings.username, &account.username, base))
            }
            None => Err(OpError::Directory(DirectoryError::Refused(
                "the account is gone".to_owned(),
            ))),
        }
    }
}
