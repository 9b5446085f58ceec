//! One bound connection: every operation with a deadline, every outcome sorted into what the caller can do about it.

use std::collections::HashSet;
use std::time::Duration;

use ldap3::controls::{Assertion, Control, ControlType, MakeCritical, PagedResults, RawControl};
use ldap3::{Ldap, LdapError, LdapResult, Mod, Scope, SearchEntry, SearchOptions};
use tokio::time::{Instant, timeout};

use super::DirectoryError;
use super::asking::Rehearsal;
use super::entry::Entry;
use super::escape::Filter;
use crate::model::Reason;

/// Entries asked for at once where a search may find many; Active Directory gives out 1,000 at most.
const PAGE: i32 = 500;

/// Result codes of RFC 4511 section 4.1.9 and RFC 4528 that something depends on.
pub(super) mod code {
    pub(crate) const SIZE_LIMIT_EXCEEDED: u32 = 4;
    pub(crate) const REFERRAL: u32 = 10;
    pub(crate) const STRONGER_AUTH_REQUIRED: u32 = 8;
    pub(crate) const CONFIDENTIALITY_REQUIRED: u32 = 13;
    pub(crate) const UNDEFINED_ATTRIBUTE_TYPE: u32 = 17;
    pub(crate) const INAPPROPRIATE_MATCHING: u32 = 18;
    pub(crate) const INVALID_ATTRIBUTE_SYNTAX: u32 = 21;
    pub(crate) const INAPPROPRIATE_AUTHENTICATION: u32 = 48;
    pub(crate) const INVALID_CREDENTIALS: u32 = 49;
    pub(crate) const INSUFFICIENT_ACCESS: u32 = 50;
    pub(crate) const NAMING_VIOLATION: u32 = 64;
    pub(crate) const NOT_ALLOWED_ON_RDN: u32 = 67;
    pub(crate) const OBJECT_CLASS_MODS_PROHIBITED: u32 = 69;
    pub(crate) const UNAVAILABLE_CRITICAL_EXTENSION: u32 = 12;
    pub(crate) const NO_SUCH_ATTRIBUTE: u32 = 16;
    pub(crate) const ATTRIBUTE_OR_VALUE_EXISTS: u32 = 20;
    pub(crate) const NO_SUCH_OBJECT: u32 = 32;
    pub(crate) const OBJECT_CLASS_VIOLATION: u32 = 65;
    pub(crate) const ENTRY_ALREADY_EXISTS: u32 = 68;
    pub(crate) const ASSERTION_FAILED: u32 = 122;
}

/// Attributes of an entry to be added, each with its values.
pub(super) type Attributes = Vec<(String, HashSet<String>)>;

/// What to search for, and where.
#[derive(Debug)]
pub(super) struct Query<'a> {
    pub(super) base: &'a str,
    pub(super) scope: Scope,
    pub(super) filter: Filter,
    pub(super) attributes: &'a [String],
}

/// Why an operation has no usable result.
#[derive(Debug)]
pub(super) enum OpError {
    /// The connection is gone; a fresh one may do.
    Broken(String),
    /// It did not answer in time; nothing is tried again.
    TimedOut,
    /// The server's answer.
    Result(Box<LdapResult>),
    /// Already sorted.
    Directory(DirectoryError),
}

impl OpError {
    /// The result code of the server's answer.
    pub(super) fn code(&self) -> Option<u32> {
        match self {
            Self::Result(result) => Some(result.rc),
            _ => None,
        }
    }
}

impl From<OpError> for DirectoryError {
    fn from(error: OpError) -> Self {
        match error {
            OpError::Broken(why) => Self::Unavailable(why),
            OpError::TimedOut => Self::Unavailable("no answer in time".to_owned()),
            OpError::Directory(error) => error,
            OpError::Result(result) => sorted(&result),
        }
    }
}

/// What a server's refusal means. Most say which of our settings does not fit.
fn sorted(result: &LdapResult) -> DirectoryError {
    let said = result.to_string();
    let misfit = |reason, setting: &str| DirectoryError::Misconfigured {
        reason,
        detail: format!("{said}; {setting}"),
    };
    match result.rc {
        code::INVALID_CREDENTIALS | code::INAPPROPRIATE_AUTHENTICATION => misfit(
            Reason::DirectoryCredentials,
            "see OC_LDAP_BIND_DN and OC_LDAP_BIND_PASSWORD",
        ),
        code::NO_SUCH_OBJECT => misfit(
            Reason::DirectoryBase,
            "see OC_LDAP_USER_BASE_DN and OC_LDAP_GROUP_BASE_DN",
        ),
        code::INSUFFICIENT_ACCESS => misfit(
            Reason::DirectoryRights,
            "OC_LDAP_BIND_DN may not do that; or set OC_LDAP_SERVER_WRITE_ENABLED=false",
        ),
        code::UNDEFINED_ATTRIBUTE_TYPE
        | code::INAPPROPRIATE_MATCHING
        | code::INVALID_ATTRIBUTE_SYNTAX
        | code::NAMING_VIOLATION
        | code::OBJECT_CLASS_VIOLATION
        | code::NOT_ALLOWED_ON_RDN
        | code::OBJECT_CLASS_MODS_PROHIBITED => misfit(
            Reason::DirectorySchema,
            "load the schema, or see OC_LDAP_USER_OBJECTCLASS, OC_LDAP_GROUP_OBJECTCLASS and the names of attributes \
             (OC_LDAP_USER_SCHEMA_*, OC_LDAP_GROUP_SCHEMA_*, PROXY_LDAP_*_ATTRIBUTE)",
        ),
        code::STRONGER_AUTH_REQUIRED | code::CONFIDENTIALITY_REQUIRED => {
            DirectoryError::Unavailable(format!(
                "{said}; the server wants TLS: ldaps:// in OC_LDAP_URI, or PROXY_LDAP_START_TLS=true"
            ))
        }
        // operationsError, timeLimit, other mechanisms of the bind, adminLimit, saslBindInProgress, busy, unavailable,
        // unwillingToPerform, other.
        1 | 3 | 7 | 11 | 14 | 51..=53 | 80 => DirectoryError::Unavailable(said),
        code::SIZE_LIMIT_EXCEEDED | code::REFERRAL => DirectoryError::Unusable(said),
        _ => DirectoryError::Refused(said),
    }
}

/// A connection that is bound already.
pub(super) struct Connection {
    ldap: Ldap,
    limit: Duration,
    /// `false` from the start of an operation until it ended well, so that a caller that leaves in between does not hand
    /// a hanging connection to the next one.
    clean: bool,
    used: Instant,
    /// Writes are asked about and not done.
    rehearsal: Option<Rehearsal>,
}

impl Connection {
    pub(super) fn new(ldap: Ldap, limit: Duration) -> Self {
        Self {
            ldap,
            limit,
            clean: true,
            used: Instant::now(),
            rehearsal: None,
        }
    }

    /// From now on nothing is written by this connection, which serves nobody else afterwards.
    pub(super) async fn rehearse(&mut self) -> Result<(), OpError> {
        let attributes = ["objectClass".to_owned(), "supportedControl".to_owned()];
        let query = Query {
            base: "",
            scope: Scope::Base,
            filter: Filter::Present("objectClass".to_owned()),
            attributes: &attributes,
        };
        let (found, _) = self.search_limited(&query, 1).await?;
        self.rehearsal = Some(Rehearsal::by(|attribute, value| {
            let mut values = found.iter().flat_map(|root| root.texts(attribute));
            values.any(|one| one.eq_ignore_ascii_case(value))
        }));
        Ok(())
    }

    /// Whether nothing is written by it.
    pub(super) fn rehearses(&self) -> bool {
        self.rehearsal.is_some()
    }

    /// Whether it may serve again.
    pub(super) fn is_usable(&mut self) -> bool {
        self.clean && self.rehearsal.is_none() && !self.ldap.is_closed()
    }

    /// When it last served.
    pub(super) fn last_used(&self) -> Instant {
        self.used
    }

    /// Simple bind; the password is sent only here.
    pub(super) async fn bind(&mut self, dn: &str, password: &str) -> Result<(), OpError> {
        self.start();
        let bind = self.ldap.with_timeout(self.limit).simple_bind(dn, password);
        let result = timeout(self.limit, bind).await;
        self.end(result).and_then(success)
    }

    /// Reads the root entry, to see whether the server still answers.
    pub(super) async fn probe(&mut self, limit: Duration) -> Result<(), OpError> {
        self.start();
        self.ldap
            .with_timeout(limit)
            .with_search_options(SearchOptions::new().sizelimit(1));
        let filter = Filter::Present("objectClass".to_owned()).to_string();
        let search = self.ldap.search("", Scope::Base, &filter, vec!["1.1"]);
        let result = timeout(limit, search).await;
        self.end(result).map(drop)
    }

    /// Entries and the server's result, at most `limit` entries. The result may be an error beside entries.
    pub(super) async fn search_limited(
        &mut self,
        query: &Query<'_>,
        limit: i32,
    ) -> Result<(Vec<Entry>, LdapResult), OpError> {
        self.start();
        self.ldap
            .with_timeout(self.limit)
            .with_search_options(SearchOptions::new().sizelimit(limit));
        let filter = query.filter.to_string();
        let search = self
            .ldap
            .search(query.base, query.scope, &filter, query.attributes);
        let result = timeout(self.limit, search).await;
        let found = self.end(result)?;
        Ok((entries(found.0)?, found.1))
    }

    /// All entries, page by page.
    pub(super) async fn search_all(&mut self, query: &Query<'_>) -> Result<Vec<Entry>, OpError> {
        let filter = query.filter.to_string();
        let mut all = Vec::new();
        let mut cookie = Vec::new();
        loop {
            self.start();
            self.ldap
                .with_timeout(self.limit)
                .with_controls(vec![PagedResults { size: PAGE, cookie }.into()]);
            let search = self
                .ldap
                .search(query.base, query.scope, &filter, query.attributes);
            let result = timeout(self.limit, search).await;
            let found = self.end(result)?;
            let answer = success_of(found.1)?;
            all.extend(entries(found.0)?);
            cookie = next_page(&answer.ctrls);
            if cookie.is_empty() {
                return Ok(all);
            }
        }
    }

    /// Adds an entry.
    pub(super) async fn add(&mut self, dn: &str, attributes: Attributes) -> Result<(), OpError> {
        if self.rehearsal == Some(Rehearsal::Silent) {
            return Ok(());
        }
        self.start_write(self.rehearsal.map(|_| Rehearsal::never()));
        let add = self.ldap.with_timeout(self.limit).add(dn, attributes);
        let result = timeout(self.limit, add).await;
        self.end_write(result)
    }

    /// Changes an entry; with `only_if` only while that filter matches it (RFC 4528).
    pub(super) async fn modify(
        &mut self,
        dn: &str,
        changes: Vec<Mod<String>>,
        only_if: Option<&Filter>,
    ) -> Result<(), OpError> {
        let (mut changes, mut control) = (changes, only_if.map(assertion));
        if let Some(rehearsal) = self.rehearsal {
            match rehearsal.changes(&changes) {
                _ if rehearsal == Rehearsal::Silent => return Ok(()),
                Some(with_one_that_fails) => (changes, control) = (with_one_that_fails, None),
                None => control = Some(Rehearsal::never()),
            }
        }
        self.start_write(control);
        let modify = self.ldap.with_timeout(self.limit).modify(dn, changes);
        let result = timeout(self.limit, modify).await;
        self.end_write(result)
    }

    /// Gives an entry another relative name under the same parent.
    pub(super) async fn rename(&mut self, dn: &str, rdn: &str) -> Result<(), OpError> {
        if self.rehearsal == Some(Rehearsal::Silent) {
            return Ok(());
        }
        self.start_write(self.rehearsal.map(|_| Rehearsal::never()));
        let rename = self
            .ldap
            .with_timeout(self.limit)
            .modifydn(dn, rdn, true, None);
        let result = timeout(self.limit, rename).await;
        self.end_write(result)
    }

    fn start_write(&mut self, control: Option<RawControl>) {
        self.start();
        if let Some(control) = control {
            self.ldap.with_controls(vec![control]);
        }
    }

    fn end_write(
        &mut self,
        result: Result<Result<LdapResult, LdapError>, tokio::time::error::Elapsed>,
    ) -> Result<(), OpError> {
        let outcome = self.end(result).and_then(success);
        if self.rehearses() {
            rehearsed(outcome)
        } else {
            outcome
        }
    }

    fn start(&mut self) {
        self.clean = false;
    }

    fn end<T>(
        &mut self,
        result: Result<Result<T, LdapError>, tokio::time::error::Elapsed>,
    ) -> Result<T, OpError> {
        match result {
            Ok(Ok(value)) => {
                self.clean = true;
                self.used = Instant::now();
                Ok(value)
            }
            Err(_) | Ok(Err(LdapError::Timeout { .. })) => Err(OpError::TimedOut),
            Ok(Err(
                error @ (LdapError::Io { .. }
                | LdapError::OpSend { .. }
                | LdapError::ResultRecv { .. }
                | LdapError::IdScrubSend { .. }
                | LdapError::EndOfStream),
            )) => Err(OpError::Broken(error.to_string())),
            Ok(Err(error)) => Err(OpError::Directory(DirectoryError::Unusable(
                error.to_string(),
            ))),
        }
    }
}

/// What would have been written counts as written.
fn rehearsed(outcome: Result<(), OpError>) -> Result<(), OpError> {
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

/// RFC 4528, critical.
fn assertion(filter: &Filter) -> RawControl {
    let filter = filter.to_string();
    Assertion { filter }.critical().into()
}

fn success(result: LdapResult) -> Result<(), OpError> {
    success_of(result).map(drop)
}

fn success_of(result: LdapResult) -> Result<LdapResult, OpError> {
    match result.rc {
        0 => Ok(result),
        _ => Err(OpError::Result(Box::new(result))),
    }
}

fn entries(found: Vec<ldap3::ResultEntry>) -> Result<Vec<Entry>, OpError> {
    // The library panics on an entry that is no proper BER; a broken server must not take the task down.
    std::panic::catch_unwind(|| {
        found
            .into_iter()
            .map(|entry| Entry::from(SearchEntry::construct(entry)))
            .collect()
    })
    .map_err(|_| OpError::Directory(DirectoryError::Unusable("a malformed entry".to_owned())))
}

fn next_page(controls: &[Control]) -> Vec<u8> {
    controls
        .iter()
        .find(|control| matches!(control.0, Some(ControlType::PagedResults)))
        .map(|control| control.1.parse::<PagedResults>().cookie)
        .unwrap_or_default()
}
