//! The writing half of the resolver: make or change the account, then its groups.

use std::time::Duration;

use super::{Resolver, identity};
use crate::accounts::group_claim::{self, GroupClaim};
use crate::accounts::{
    AccountError, AccountKey, Created, DirectoryError, Found, GroupSync, LoginFacts, NewAccount,
    Ownership,
};
use crate::model::{Account, Reason, Role};

/// How often a lost race is looked up again before the directory counts as inconsistent.
const RACE_ATTEMPTS: u32 = 4;
/// A replica of the directory may lag behind the one that took the write.
const RACE_PAUSE: Duration = Duration::from_millis(50);

impl Resolver {
    /// Writes what a look-up found to be missing: the account, its identity, changed claims, group memberships. With
    /// unchanged claims nothing is written. A new account is made with `role`, where it has room for one.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn settle(
        &self,
        login: &LoginFacts<'_>,
        found: Found,
        role: Option<Role>,
    ) -> Result<Account, AccountError> {
        let mut found = found;
        for attempt in 0..RACE_ATTEMPTS {
            let written = match found {
                Found::Known { account, claim } => self.update(login, account, claim).await?,
                Found::Absent { mut new, service } => {
                    new.role = role;
                    self.create(new, service).await?
                }
            };
            if let Some((account, claim)) = written {
                return self.sync_groups(login, account, claim).await;
            }
            // Somebody else wrote first; what they wrote decides now.
            tokio::time::sleep(RACE_PAUSE * attempt).await;
            found = self.look_up(login).await?;
        }
        Err(DirectoryError::Unavailable(
            "an account that was just created elsewhere is not visible".to_owned(),
        )
        .into())
    }

    /// `None`: an identity appeared meanwhile.
    async fn update(
        &self,
        login: &LoginFacts<'_>,
        mut account: Account,
        claim: Ownership,
    ) -> Result<Option<(Account, Ownership)>, AccountError> {
        let provisioner = self.provisioner.as_ref();
        let Some(provisioner) = provisioner.filter(|_| claim.follows_claims()) else {
            return Ok(Some((account, claim)));
        };
        let mut change = self.profile(login);
        change.display_name = change
            .display_name
            .filter(|name| *name != account.display_name);
        change.mail = change
            .mail
            .filter(|mail| Some(mail) != account.mail.as_ref());
        if matches!(claim, Ownership::ClaimedByName | Ownership::Moved) {
            change.identity = identity(login)?;
        }
        if claim == Ownership::Moved {
            let former = &self.settings.former_issuers;
            let known = account.identities.iter();
            change.replaces = known
                .filter(|known| former.contains(&known.issuer))
                .cloned()
                .collect();
        }
        if change.is_empty() {
            return Ok(Some((account, claim)));
        }
        let result = match provisioner.update(&account, &change).await {
            Err(error) if is_refused(&error) && !change.attributes.is_empty() => {
                tracing::warn!(reason = %Reason::DirectoryRefused, %error, "further attributes left out");
                change.attributes.clear();
                if change.is_empty() {
                    Ok(())
                } else {
                    provisioner.update(&account, &change).await
                }
            }
            result => result,
        };
        match result {
            Ok(()) => {}
            Err(DirectoryError::Conflict) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        if let Some(name) = change.display_name {
            account.display_name = name;
        }
        account.mail = change.mail.or(account.mail);
        if claim == Ownership::Moved {
            tracing::warn!(
                user = account.username,
                id = account.id,
                "an account of a former issuer is the login's now"
            );
            let replaced = &change.replaces;
            account.identities.retain(|known| !replaced.contains(known));
        }
        account.identities.extend(change.identity);
        Ok(Some((account, claim)))
    }

    /// `None`: somebody else made it first.
    async fn create(
        &self,
        mut new: NewAccount,
        service: Option<Role>,
    ) -> Result<Option<(Account, Ownership)>, AccountError> {
        let Some(provisioner) = &self.provisioner else {
            return Err(AccountError::denied(
                Reason::AccountUnknown,
                "provisioning is off",
            ));
        };
        let created = match provisioner.create(&new).await {
            Err(error) if is_refused(&error) && !new.attributes.is_empty() => {
                tracing::warn!(reason = %Reason::DirectoryRefused, %error, "further attributes left out");
                new.attributes.clear();
                provisioner.create(&new).await?
            }
            result => result?,
        };
        let claim = service.map_or(Ownership::Identity, Ownership::ServiceClient);
        Ok(match created {
            Created::New(account) => Some((*account, claim)),
            Created::AlreadyExists => None,
            Created::Disabled => {
                return Err(AccountError::denied(
                    Reason::AccountDisabled,
                    format!("account `{}` is disabled", new.username),
                ));
            }
        })
    }

    /// Once for each issuer and cause: it is the same at every login, of everybody or of those with too many groups.
    fn tell_of_skipped_groups(&self, login: &LoginFacts<'_>, account: &Account, why: &str) {
        let issuer = &login.issuer.issuer;
        // How many values there were differs from person to person.
        let cause: String = why.chars().filter(|c| !c.is_ascii_digit()).collect();
        if self.skipped_groups.is_due(&format!("{issuer} {cause}")) {
            tracing::warn!(
                reason = %Reason::GroupSyncSkipped, issuer, user = account.username, why,
                "groups left as they are; later logins of this issuer for the same cause are not told of"
            );
        } else {
            tracing::debug!(
                issuer,
                user = account.username,
                why,
                "groups left as they are"
            );
        }
    }

    async fn sync_groups(
        &self,
        login: &LoginFacts<'_>,
        account: Account,
        claim: Ownership,
    ) -> Result<Account, AccountError> {
        let provisioner = self.provisioner.as_ref();
        let Some(provisioner) = provisioner.filter(|_| claim.follows_claims()) else {
            return Ok(account);
        };
        let wanted = match group_claim::read(login.claims, &login.issuer.provision_claims) {
            GroupClaim::Off => return Ok(account),
            GroupClaim::Unusable(why) => {
                self.tell_of_skipped_groups(login, &account, &why);
                return Ok(account);
            }
            GroupClaim::Wanted { groups, ignored } => {
                if ignored > 0 {
                    tracing::warn!(reason = %Reason::ClaimType, user = account.username, ignored, "group values left out");
                }
                groups
            }
        };
        let sync = GroupSync {
            issuer: login.issuer.issuer.clone(),
            wanted,
            adopt: self.settings.adopt_groups,
            create: self.settings.create_groups,
        };
        let report = provisioner.sync_groups(&account, &sync).await?;
        for group in &report.unmanaged {
            tracing::warn!(reason = %Reason::GroupUnmanaged, group, "group left alone");
        }
        for group in &report.missing {
            tracing::info!(
                group,
                "a group of the claim does not exist, and none is created"
            );
        }
        if report.is_unchanged() {
            return Ok(account);
        }
        let fresh = self
            .directory
            .find(&AccountKey::UserId(account.id.clone()))
            .await?;
        Ok(fresh.unwrap_or(account))
    }
}

/// Whether a write may be taken without the attributes that only the operator's list asks for.
fn is_refused(error: &DirectoryError) -> bool {
    matches!(
        error,
        DirectoryError::Refused(_)
            | DirectoryError::Misconfigured {
                reason: Reason::DirectorySchema | Reason::DirectoryRights,
                ..
            }
    )
}
