//! Which group of the directory a wanted one is, if any (docs/design/design.md 2, Groups).

use std::collections::{HashMap, HashSet};

use super::connection::{Connection, OpError};
use super::entry::Entry;
use super::escape::{self, Filter};
use super::{GroupSync, LdapDirectory};
use crate::accounts::WantedGroup;
use crate::accounts::group_claim::group_key;

/// Names searched for at once.
const NAMES_PER_SEARCH: usize = 50;

/// A group that may be a wanted one.
pub(super) struct Candidate {
    pub(super) entry: Entry,
    /// The account is a member.
    pub(super) joined: bool,
    names: Vec<String>,
    marks: Vec<String>,
    /// Claims of this issuer may change it.
    managed: bool,
    disabling: bool,
}

impl Candidate {
    pub(super) fn has_name(&self, name: &str) -> bool {
        self.names.contains(&group_key(name))
    }

    pub(super) fn has_mark(&self, mark: &str) -> bool {
        self.marks.iter().any(|known| known == mark)
    }
}

/// What is done about a wanted group.
#[derive(Clone, Copy)]
pub(super) enum Choice<'c> {
    Join(&'c Candidate),
    Create,
    Leave,
}

/// The groups the account is in and those of the wanted names and ids.
pub(super) struct Candidates {
    issuer: String,
    groups: Vec<Candidate>,
    by_name: HashMap<String, Vec<usize>>,
    by_mark: HashMap<String, usize>,
}

impl Candidates {
    fn new(issuer: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            groups: Vec::new(),
            by_name: HashMap::new(),
            by_mark: HashMap::new(),
        }
    }

    fn push(&mut self, group: Candidate) {
        let position = self.groups.len();
        for name in &group.names {
            self.by_name.entry(name.clone()).or_default().push(position);
        }
        if !group.disabling {
            for mark in &group.marks {
                self.by_mark.entry(mark.clone()).or_insert(position);
            }
        }
        self.groups.push(group);
    }

    fn named(&self, name: &str) -> impl Iterator<Item = &Candidate> {
        let positions = self.by_name.get(&group_key(name));
        positions.into_iter().flatten().map(|p| &self.groups[*p])
    }

    /// Whether nothing about this group is left to find out.
    fn settles(&self, wanted: &WantedGroup) -> bool {
        self.named(&wanted.name).any(|group| {
            let id = wanted.external_id.as_ref();
            group.managed && id.is_none_or(|id| group.has_mark(&mark(&self.issuer, id)))
        })
    }

    /// The stable id decides first, then the name among the marked groups, then one unmarked group if adopting is on.
    pub(super) fn choose(&self, wanted: &WantedGroup, adopt: bool) -> Choice<'_> {
        let id = wanted.external_id.as_ref();
        if let Some(position) = id.and_then(|id| self.by_mark.get(&mark(&self.issuer, id))) {
            return Choice::Join(&self.groups[*position]);
        }
        let named: Vec<&Candidate> = self.named(&wanted.name).collect();
        let managed: Vec<&Candidate> = named.iter().copied().filter(|g| g.managed).collect();
        match (managed.as_slice(), named.as_slice()) {
            ([group], _) => Choice::Join(group),
            ([], []) => Choice::Create,
            ([], [only]) if adopt && only.marks.is_empty() && !only.disabling => Choice::Join(only),
            _ => Choice::Leave,
        }
    }

    pub(super) fn joined_and_managed(&self) -> impl Iterator<Item = &Candidate> {
        let groups = self.groups.iter();
        groups.filter(|group| group.joined && group.managed)
    }
}

impl LdapDirectory {
    /// Reads the groups the account is in, and by name and id those it is to be in.
    pub(super) async fn candidates(
        &self,
        connection: &mut Connection,
        user_dn: &str,
        sync: &GroupSync,
    ) -> Result<Candidates, OpError> {
        let mut candidates = Candidates::new(&sync.issuer);
        let mut known = HashSet::new();
        for entry in self.groups_of(connection, user_dn).await? {
            known.insert(entry.dn.clone());
            candidates.push(self.candidate(entry, &sync.issuer, true));
        }
        let missing: Vec<&WantedGroup> = sync
            .wanted
            .iter()
            .filter(|wanted| !candidates.settles(wanted))
            .collect();
        for chunk in missing.chunks(NAMES_PER_SEARCH) {
            let names = chunk
                .iter()
                .map(|wanted| Filter::equal(&self.settings.group_name, &wanted.name));
            let ids = chunk
                .iter()
                .filter_map(|wanted| wanted.external_id.as_ref())
                .map(|id| Filter::equal(&self.settings.group_managed, mark(&sync.issuer, id)));
            let either = Filter::Or(names.chain(ids).collect());
            for entry in connection.search_all(&self.group_query(either)).await? {
                if known.insert(entry.dn.clone()) {
                    candidates.push(self.candidate(entry, &sync.issuer, false));
                }
            }
        }
        Ok(candidates)
    }

    /// An entry with everything the choice compares.
    pub(super) fn candidate(&self, entry: Entry, issuer: &str, joined: bool) -> Candidate {
        let texts = |attribute: &str| -> Vec<String> {
            let texts = entry.texts(attribute).into_iter();
            texts.map(str::to_owned).collect()
        };
        let marks = texts(&self.settings.group_managed);
        let disabling = self.is_disabling_group(&entry.dn);
        Candidate {
            names: texts(&self.settings.group_name)
                .iter()
                .map(|name| group_key(name))
                .collect(),
            managed: !disabling && marks.iter().any(|mark| mark == issuer),
            marks,
            disabling,
            joined,
            entry,
        }
    }

    /// The configured group whose members are disabled.
    pub(super) fn is_disabling_group(&self, dn: &str) -> bool {
        self.disabling_group
            .as_ref()
            .is_some_and(|group| *group == escape::normalised(dn))
    }
}

/// The mark that keeps a group's id at its issuer, beside the mark that is the issuer alone.
pub(super) fn mark(issuer: &str, id: &str) -> String {
    format!("{issuer} $ {id}")
}
