//! Group memberships from claims: each changed group in one modify (docs/design/design.md 2, Groups; docs/design/contract.md 7.2).

use std::collections::HashSet;

use ldap3::{Mod, Scope};
use uuid::Uuid;

use super::candidates::{Candidate, Choice, mark};
use super::connection::{Attributes, Connection, OpError, Query, code};
use super::entry::Entry;
use super::escape::{self, Filter};
use super::write::one;
use super::{DirectoryError, GroupReport, GroupSync, LdapDirectory};
use crate::accounts::WantedGroup;
use crate::model::{Account, Reason};

impl LdapDirectory {
    /// See `Provisioner::sync_groups`.
    pub(super) async fn sync_groups_on(
        &self,
        connection: &mut Connection,
        account: &Account,
        sync: &GroupSync,
    ) -> Result<GroupReport, OpError> {
        let user_dn = self.user_dn(connection, account).await?;
        let candidates = self.candidates(connection, &user_dn, sync).await?;
        let mut report = GroupReport::default();
        let mut kept = HashSet::new();
        for wanted in &sync.wanted {
            let choice = candidates.choose(wanted, sync.adopt);
            let joined = match choice {
                Choice::Join(group) => {
                    self.join(connection, group, &user_dn, wanted, sync, &mut report)
                        .await
                }
                Choice::Create if !sync.create => {
                    report.missing.push(wanted.name.clone());
                    continue;
                }
                Choice::Create => {
                    self.create_group(connection, &user_dn, wanted, sync, &mut report)
                        .await
                }
                Choice::Leave => {
                    report.unmanaged.push(wanted.name.clone());
                    continue;
                }
            };
            match joined.map_err(sorted) {
                Ok(()) => {}
                // One name the directory does not take must not keep the person out.
                Err(OpError::Directory(DirectoryError::Refused(why))) => {
                    tracing::warn!(reason = %Reason::DirectoryRefused, group = wanted.name, why, "group not joined");
                    report.refused.push(wanted.name.clone());
                }
                Err(OpError::Directory(DirectoryError::Misconfigured { reason, detail }))
                    if matches!(reason, Reason::DirectorySchema | Reason::DirectoryRights) =>
                {
                    tracing::warn!(%reason, group = wanted.name, why = detail, "group not joined");
                    report.refused.push(wanted.name.clone());
                }
                Err(error) => return Err(error),
            }
            if let Choice::Join(group) = choice {
                kept.insert(group.entry.dn.as_str());
            }
        }
        for group in candidates.joined_and_managed() {
            if !kept.contains(group.entry.dn.as_str()) {
                self.leave(connection, &group.entry, &user_dn, &mut report)
                    .await?;
            }
        }
        Ok(report)
    }

    /// One modify: mark and member together. The new name comes before it, as LDAP renames by an operation of its own.
    async fn join(
        &self,
        connection: &mut Connection,
        group: &Candidate,
        user_dn: &str,
        wanted: &WantedGroup,
        sync: &GroupSync,
        report: &mut GroupReport,
    ) -> Result<(), OpError> {
        let mut dn = group.entry.dn.clone();
        if !group.has_name(&wanted.name) {
            dn = self.rename_group(connection, &dn, &wanted.name).await?;
        }
        let wanted_marks = std::iter::once(sync.issuer.clone())
            .chain(wanted.external_id.as_ref().map(|id| mark(&sync.issuer, id)));
        let marks: HashSet<String> = wanted_marks.filter(|mark| !group.has_mark(mark)).collect();
        let mut changes = Vec::new();
        if !marks.is_empty() {
            changes.push(Mod::Add(self.settings.group_managed.clone(), marks));
        }
        let member = &self.settings.group_member;
        if !group.joined {
            changes.push(Mod::Add(member.clone(), one(user_dn)));
        }
        if changes.is_empty() {
            return Ok(());
        }
        // The placeholder of an empty group goes with the first member; most groups have none.
        let mut first_member = changes.clone();
        first_member.push(Mod::Delete(member.clone(), one("")));
        let first = if group.joined {
            connection.modify(&dn, changes.clone(), None).await
        } else {
            connection.modify(&dn, first_member, None).await
        };
        let result = match first {
            Err(error) if !group.joined && error.code() == Some(code::NO_SUCH_ATTRIBUTE) => {
                connection.modify(&dn, changes, None).await
            }
            result => result,
        };
        match result {
            Ok(()) if group.joined => Ok(()),
            Ok(()) => {
                report.added.push(wanted.name.clone());
                Ok(())
            }
            // Somebody else added the same member meanwhile.
            Err(error) if error.code() == Some(code::ATTRIBUTE_OR_VALUE_EXISTS) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The name after the rename; the old one if another group has the new name.
    async fn rename_group(
        &self,
        connection: &mut Connection,
        dn: &str,
        name: &str,
    ) -> Result<String, OpError> {
        let Some(parent) = escape::parent(dn) else {
            return Ok(dn.to_owned());
        };
        let attribute = &self.settings.group_name;
        match connection.rename(dn, &escape::rdn(attribute, name)).await {
            // Only rehearsed: it still has its old name.
            Ok(()) if connection.rehearses() => Ok(dn.to_owned()),
            Ok(()) => Ok(escape::child(attribute, name, parent)),
            Err(error) if error.code() == Some(code::ENTRY_ALREADY_EXISTS) => {
                tracing::warn!(reason = %Reason::GroupUnmanaged, group = name, "group keeps its old name, the new one is taken");
                Ok(dn.to_owned())
            }
            Err(error) => Err(error),
        }
    }

    /// One add, with the account as its first member.
    async fn create_group(
        &self,
        connection: &mut Connection,
        user_dn: &str,
        wanted: &WantedGroup,
        sync: &GroupSync,
        report: &mut GroupReport,
    ) -> Result<(), OpError> {
        let settings = &self.settings;
        let dn = escape::child(
            &settings.group_name,
            &wanted.name,
            &settings.group_create_base_dn,
        );
        if self.is_disabling_group(&dn) {
            report.unmanaged.push(wanted.name.clone());
            return Ok(());
        }
        match connection
            .add(&dn, self.new_group(user_dn, wanted, sync))
            .await
        {
            Ok(()) => {
                report.created.push(wanted.name.clone());
                report.added.push(wanted.name.clone());
                Ok(())
            }
            Err(error) if error.code() == Some(code::ENTRY_ALREADY_EXISTS) => {
                self.join_existing(connection, &dn, user_dn, wanted, sync, report)
                    .await
            }
            Err(error) => Err(error),
        }
    }

    fn new_group(&self, user_dn: &str, wanted: &WantedGroup, sync: &GroupSync) -> Attributes {
        let settings = &self.settings;
        let mut classes = HashSet::from(["top".to_owned(), settings.group_object_class.clone()]);
        let marks = std::iter::once(sync.issuer.clone())
            .chain(wanted.external_id.as_ref().map(|id| mark(&sync.issuer, id)))
            .collect();
        let mut attributes: Attributes = vec![
            (settings.group_name.clone(), one(&wanted.name)),
            (settings.group_member.clone(), one(user_dn)),
            (settings.group_managed.clone(), marks),
        ];
        if !settings.server_uuid {
            if !settings.group_aux_class.is_empty() {
                classes.insert(settings.group_aux_class.clone());
            }
            let id = Uuid::new_v4().to_string();
            attributes.push((settings.group_id.clone(), one(&id)));
        }
        attributes.push(("objectClass".to_owned(), classes));
        attributes
    }

    /// A group of that name appeared meanwhile, or the directory takes two names for one where we do not.
    async fn join_existing(
        &self,
        connection: &mut Connection,
        dn: &str,
        user_dn: &str,
        wanted: &WantedGroup,
        sync: &GroupSync,
        report: &mut GroupReport,
    ) -> Result<(), OpError> {
        let query = Query {
            base: dn,
            scope: Scope::Base,
            filter: Filter::equal("objectClass", &self.settings.group_object_class),
            attributes: &self.group_attributes,
        };
        let (mut found, _) = connection.search_limited(&query, 1).await?;
        let Some(entry) = found.pop() else {
            report.unmanaged.push(wanted.name.clone());
            return Ok(());
        };
        let marks = entry.texts(&self.settings.group_managed);
        let ours = marks.contains(&sync.issuer.as_str()) || (sync.adopt && marks.is_empty());
        if !ours {
            report.unmanaged.push(wanted.name.clone());
            return Ok(());
        }
        let group = self.candidate(entry, &sync.issuer, false);
        self.join(connection, &group, user_dn, wanted, sync, report)
            .await
    }

    /// One modify; the last member is replaced by the empty placeholder, as the class wants at least one.
    async fn leave(
        &self,
        connection: &mut Connection,
        group: &Entry,
        user_dn: &str,
        report: &mut GroupReport,
    ) -> Result<(), OpError> {
        let member = &self.settings.group_member;
        let delete = Mod::Delete(member.clone(), one(user_dn));
        let first = connection
            .modify(&group.dn, vec![delete.clone()], None)
            .await;
        let result = match first {
            Err(error) if error.code() == Some(code::OBJECT_CLASS_VIOLATION) => {
                let placeholder = Mod::Add(member.clone(), one(""));
                connection
                    .modify(&group.dn, vec![delete, placeholder], None)
                    .await
            }
            result => result,
        };
        match result {
            Ok(()) => {
                let name = group.text(&self.settings.group_name).unwrap_or(&group.dn);
                report.removed.push(name.to_owned());
                Ok(())
            }
            // Somebody else removed it, or the whole group, meanwhile.
            Err(error)
                if matches!(
                    error.code(),
                    Some(code::NO_SUCH_ATTRIBUTE | code::NO_SUCH_OBJECT)
                ) =>
            {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

/// A refusal by the server and one of ours look the same to the caller.
fn sorted(error: OpError) -> OpError {
    match error {
        OpError::Result(result) => OpError::Directory(OpError::Result(result).into()),
        error => error,
    }
}
