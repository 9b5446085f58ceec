//! Provisioning by the deployment's own graph service, as its proxy does it (docs/design/contract.md 7.3).
//!
//! Groups bear no marks there: a person is made a member of exactly the groups that the claim names, by display name.

use std::collections::HashSet;

use async_trait::async_trait;

use super::group_claim::group_key;
use super::usernames;
use super::{
    AccountChange, Created, DirectoryError, GroupReport, GroupSync, NewAccount, Provisioner,
};
use crate::model::{Account, UserType};
use crate::rpc::graph::{Change, Graph, GraphGroup, GraphUser, NewUser};

/// The provisioner `graph`. Clones are cheap.
#[derive(Debug, Clone)]
pub struct GraphProvisioner {
    graph: Graph,
}

impl GraphProvisioner {
    /// Over the graph service.
    #[must_use]
    pub fn new(graph: Graph) -> Self {
        Self { graph }
    }

    /// What stands in the way of a name that is taken.
    async fn taken(&self, username: &str) -> Result<Created, DirectoryError> {
        let there = self.graph.user(username).await?;
        // It may also have found somebody whose id is that name.
        let there =
            there.filter(|user| usernames::is_same(&user.on_premises_sam_account_name, username));
        Ok(match there.and_then(|user| user.account_enabled) {
            Some(false) => Created::Disabled,
            _ => Created::AlreadyExists,
        })
    }

    /// The group of that name; graph also takes an id for a name.
    async fn group(&self, name: &str) -> Result<Option<GraphGroup>, DirectoryError> {
        let found = self.graph.group(name).await?;
        Ok(found.filter(|group| group_key(&group.display_name) == group_key(name)))
    }

    /// The group of that name, made if it is to be. `true`: it is new.
    async fn group_or_new(
        &self,
        name: &str,
        create: bool,
    ) -> Result<Option<(GraphGroup, bool)>, DirectoryError> {
        if let Some(group) = self.group(name).await? {
            return Ok(Some((group, false)));
        }
        if !create {
            return Ok(None);
        }
        match self.graph.create_group(name).await? {
            Change::Done(group) => Ok(Some((group, true))),
            // Somebody else's login made it meanwhile.
            Change::NameTaken => Ok(self.group(name).await?.map(|group| (group, false))),
            Change::NotFound => Err(refused("POST /groups is not found")),
            Change::Refused(why) => Err(refused(&why)),
        }
    }
}

#[async_trait]
impl Provisioner for GraphProvisioner {
    async fn create(&self, new: &NewAccount) -> Result<Created, DirectoryError> {
        if !new.attributes.is_empty() {
            return Err(refused("graph takes no further attributes"));
        }
        let user = NewUser {
            username: &new.username,
            display_name: &new.display_name,
            mail: new.mail.as_deref(),
            identity: new.identity.as_ref(),
        };
        match self.graph.create_user(user).await? {
            Change::Done(user) => Ok(Created::New(Box::new(account(user, new)))),
            Change::NameTaken => self.taken(&new.username).await,
            Change::NotFound => Err(refused("POST /users is not found")),
            Change::Refused(why) => Err(refused(&why)),
        }
    }

    async fn update(
        &self,
        account: &Account,
        change: &AccountChange,
    ) -> Result<(), DirectoryError> {
        if !change.attributes.is_empty() {
            return Err(refused("graph takes no further attributes"));
        }
        let display_name = change.display_name.as_deref();
        let mail = change.mail.as_deref();
        if display_name.is_none() && mail.is_none() {
            return Ok(());
        }
        let changed = self.graph.update_user(&account.id, display_name, mail);
        match changed.await? {
            Change::Done(()) => Ok(()),
            Change::NameTaken => Err(refused("the name is taken")),
            Change::NotFound => Err(DirectoryError::Unusable(
                "graph does not know the account".to_owned(),
            )),
            Change::Refused(why) => Err(refused(&why)),
        }
    }

    /// Graph lets nobody ask; that it answers at all is what can be said.
    async fn rehearse(&self, new: &NewAccount) -> Result<(), DirectoryError> {
        self.graph.user(&new.username).await?;
        Ok(())
    }

    async fn rehearse_update(
        &self,
        account: &Account,
        change: &AccountChange,
    ) -> Result<Vec<String>, DirectoryError> {
        if !change.attributes.is_empty() {
            return Err(refused("graph takes no further attributes"));
        }
        self.graph.user(&account.id).await?;
        let name = change.display_name.as_ref().map(|_| "displayName");
        let mail = change.mail.as_ref().map(|_| "mail");
        let parts = [name, mail].into_iter().flatten();
        Ok(parts.map(str::to_owned).collect())
    }

    async fn rehearse_groups(
        &self,
        account: &Account,
        sync: &GroupSync,
    ) -> Result<GroupReport, DirectoryError> {
        let user = self.graph.user(&account.id).await?;
        // Of one that is not made either there are none.
        let user = user.filter(|user| user.id == account.id);
        let member_of = user.map(|user| user.member_of).unwrap_or_default();
        let current: HashSet<String> = member_of.iter().map(key_of).collect();
        let wanted: HashSet<String> = sync.wanted.iter().map(|one| group_key(&one.name)).collect();
        let mut report = GroupReport::default();
        for group in &sync.wanted {
            if current.contains(&group_key(&group.name)) {
                continue;
            }
            let is_there = self.group(&group.name).await?.is_some();
            if !is_there && !sync.create {
                report.missing.push(group.name.clone());
                continue;
            }
            if !is_there {
                report.created.push(group.name.clone());
            }
            report.added.push(group.name.clone());
        }
        let left = member_of
            .iter()
            .filter(|one| !wanted.contains(&key_of(one)));
        report.removed = left.map(|one| one.display_name.clone()).collect();
        Ok(report)
    }

    async fn sync_groups(
        &self,
        account: &Account,
        sync: &GroupSync,
    ) -> Result<GroupReport, DirectoryError> {
        let user = self.graph.user(&account.id).await?;
        let user = user.filter(|user| user.id == account.id).ok_or_else(|| {
            DirectoryError::Unusable("graph does not know the account".to_owned())
        })?;
        let current: HashSet<String> = user.member_of.iter().map(key_of).collect();
        let wanted: HashSet<String> = sync.wanted.iter().map(|one| group_key(&one.name)).collect();
        let mut report = GroupReport::default();
        for group in &sync.wanted {
            if current.contains(&group_key(&group.name)) {
                continue;
            }
            let Some((found, is_new)) = self.group_or_new(&group.name, sync.create).await? else {
                report.missing.push(group.name.clone());
                continue;
            };
            if is_new {
                report.created.push(group.name.clone());
            }
            match self.graph.add_member(&found.id, &account.id).await? {
                Change::Done(()) => report.added.push(group.name.clone()),
                // Deleted meanwhile; the next login makes it anew.
                Change::NotFound | Change::NameTaken => report.missing.push(group.name.clone()),
                Change::Refused(why) => return Err(refused(&why)),
            }
        }
        for group in user
            .member_of
            .iter()
            .filter(|one| !wanted.contains(&key_of(one)))
        {
            match self.graph.remove_member(&group.id, &account.id).await? {
                Change::Refused(why) => return Err(refused(&why)),
                // Not found: it is not a member any more, which was wanted.
                _ => report.removed.push(group.display_name.clone()),
            }
        }
        Ok(report)
    }
}

fn key_of(group: &GraphGroup) -> String {
    group_key(&group.display_name)
}

fn refused(why: &str) -> DirectoryError {
    DirectoryError::Refused(why.to_owned())
}

/// The account that was just made.
fn account(user: GraphUser, new: &NewAccount) -> Account {
    let text = |text: String, other: &str| {
        if text.is_empty() {
            other.to_owned()
        } else {
            text
        }
    };
    Account {
        id: user.id,
        username: text(user.on_premises_sam_account_name, &new.username),
        aliases: Vec::new(),
        display_name: text(user.display_name, &new.display_name),
        mail: user.mail.or_else(|| new.mail.clone()),
        user_type: match user.user_type.as_deref() {
            Some("Guest") => UserType::Guest,
            _ => UserType::Member,
        },
        enabled: user.account_enabled.unwrap_or(true),
        groups: Vec::new(),
        role: None,
        identities: new.identity.iter().cloned().collect(),
        tenant: None,
        uid_number: None,
        gid_number: None,
    }
}
