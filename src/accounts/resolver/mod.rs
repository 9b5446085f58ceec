//! From a verified login to an account: look it up; `ownership` decides whether it may be used, `settle` makes or updates it.

mod ownership;
mod settle;

use std::sync::Arc;

use super::claimed::{self, OptionalText};
use super::usernames;
use super::{
    AccountAttribute, AccountChange, AccountError, AccountKey, Found, LoginFacts, NewAccount,
    Ownership, Provisioner, TenantNames, UserDirectory,
};
use crate::config::accounts::{Accounts, ServiceClient};
use crate::config::oidc::UserLookup;
use crate::model::{Account, ClaimPath, ExternalIdentity, Reason, canonical_name};
use crate::roles::RoleStore;
use crate::telemetry::Seldom;

/// Resolves logins against one account backend. One per process; safe to use from many tasks.
#[derive(Debug, Clone)]
pub struct Resolver {
    directory: Arc<dyn UserDirectory>,
    provisioner: Option<Arc<dyn Provisioner>>,
    roles: Arc<dyn RoleStore>,
    tenants: Option<Arc<dyn TenantNames>>,
    settings: Arc<Accounts>,
    skipped_groups: Seldom,
}

impl Resolver {
    /// A resolver that writes only if there is a provisioner and provisioning is on. Roles are kept with the account.
    #[must_use]
    pub fn new(
        directory: Arc<dyn UserDirectory>,
        provisioner: Option<Arc<dyn Provisioner>>,
        settings: Arc<Accounts>,
    ) -> Self {
        let provisioner = provisioner.filter(|_| settings.provision);
        Self {
            directory,
            roles: Arc::new(AccountAttribute::new(provisioner.clone())),
            provisioner,
            tenants: None,
            settings,
            skipped_groups: Seldom::once(),
        }
    }

    /// The same resolver where roles are kept elsewhere.
    #[must_use]
    pub fn with_roles(self, roles: Arc<dyn RoleStore>) -> Self {
        Self { roles, ..self }
    }

    /// The same resolver where claims have the ids that others know tenants by.
    #[must_use]
    pub(crate) fn with_tenants(self, tenants: Arc<dyn TenantNames>) -> Self {
        Self {
            tenants: Some(tenants),
            ..self
        }
    }

    /// Where roles are kept.
    #[must_use]
    pub fn roles(&self) -> &dyn RoleStore {
        &*self.roles
    }

    /// Where accounts are.
    #[must_use]
    pub fn directory(&self) -> &dyn UserDirectory {
        &*self.directory
    }

    /// Whether accounts are made and changed at all.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.provisioner.is_some()
    }

    /// Looks up and settles, for callers that keep no role with the account.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn resolve(&self, login: &LoginFacts<'_>) -> Result<Account, AccountError> {
        let found = self.look_up(login).await?;
        self.settle(login, found, None).await
    }

    /// Finds the account of a login, or says what would be created. Writes nothing.
    ///
    /// # Errors
    /// [`AccountError`]; a look-up that failed is never "absent".
    pub async fn look_up(&self, login: &LoginFacts<'_>) -> Result<Found, AccountError> {
        let found = self.look_up_in_any_tenant(login).await?;
        self.check_tenant(login, &found).await?;
        Ok(found)
    }

    /// The account of that id, which somebody else has named. It is looked at whether it may be used; nothing is written.
    ///
    /// # Errors
    /// [`AccountError`]
    pub async fn look_up_id(&self, id: &str) -> Result<Account, AccountError> {
        let key = AccountKey::UserId(id.to_owned());
        let found = self.directory.find(&key).await?;
        // Some backends show no disabled accounts.
        let account = found.ok_or_else(|| {
            AccountError::denied(Reason::AccountDisabled, "the account is disabled, or gone")
        })?;
        if account.enabled {
            Ok(account)
        } else {
            let detail = format!("account `{}` is disabled", account.username);
            Err(AccountError::denied(Reason::AccountDisabled, detail))
        }
    }

    /// Before anything is written (docs/design/contract.md 9.5).
    async fn check_tenant(
        &self,
        login: &LoginFacts<'_>,
        found: &Found,
    ) -> Result<(), AccountError> {
        let Some(tenancy) = &self.settings.tenancy else {
            return Ok(());
        };
        let denied = |detail: &str| AccountError::denied(Reason::TenantMismatch, detail);
        let tenant = found.tenant(&tenancy.attribute);
        let tenant = tenant.ok_or_else(|| denied("the account has no tenant"))?;
        let Some(claim) = &tenancy.claim else {
            return Ok(());
        };
        let missing = || denied("the claim is missing or names another tenant");
        let claimed = login.claims.text_at(claim).ok_or_else(missing)?;
        let is_theirs = match self.tenants.as_ref().filter(|_| tenancy.is_external) {
            None => claimed == tenant,
            Some(_) if claimed.is_empty() => false,
            Some(tenants) => tenants.own_id(claimed).await?.as_deref() == Some(tenant),
        };
        if is_theirs { Ok(()) } else { Err(missing()) }
    }

    async fn look_up_in_any_tenant(&self, login: &LoginFacts<'_>) -> Result<Found, AccountError> {
        if let Some(client) = self.service_client(login) {
            return self.look_up_service(login, client).await;
        }
        let identity = identity(login)?;
        if identity.is_none() && self.provisioner.is_some() {
            return Err(subject_missing(login));
        }
        let key = user_key(login)?;
        if let Some(identity) = &identity
            && self.directory.capabilities().finds_identities
        {
            let key = AccountKey::Identity(identity.clone());
            if let Some(account) = self.directory.find(&key).await? {
                return enabled(account, Ownership::Identity);
            }
        }
        check_mail(login, &login.issuer.user_claim)?;
        if let Some(account) = self.find_by_claim(&key).await? {
            let claim = self.ownership(login, &account, identity.as_ref()).await?;
            return enabled(account, claim);
        }
        let mut keys = vec![key];
        keys.extend(identity.clone().map(AccountKey::Identity));
        let Some(provisioner) = &self.provisioner else {
            self.check_hidden(&keys).await?;
            return Err(AccountError::denied(
                Reason::AccountUnknown,
                format!("no account for claim `{}`", login.issuer.user_claim),
            ));
        };
        let new = self.new_account(login, identity)?;
        let by_name = AccountKey::Username(new.username.clone());
        if !keys.contains(&by_name) {
            if let Some(account) = self.find_by_claim(&by_name).await? {
                let claim = self
                    .ownership(login, &account, new.identity.as_ref())
                    .await?;
                return enabled(account, claim);
            }
            keys.push(by_name);
        }
        self.check_hidden(&keys).await?;
        if let Some(why) = provisioner.would_hide(&new) {
            return Err(AccountError::denied(Reason::AccountExcluded, why));
        }
        Ok(Found::Absent { new, service: None })
    }

    /// Nobody is made a second time because the operator's filter hides them.
    async fn check_hidden(&self, keys: &[AccountKey]) -> Result<(), AccountError> {
        match self.directory.hidden(keys).await? {
            Some(what) => Err(AccountError::denied(Reason::AccountExcluded, what)),
            None => Ok(()),
        }
    }

    fn service_client(&self, login: &LoginFacts<'_>) -> Option<&ServiceClient> {
        let client_id = login.client_id?;
        let mut clients = self.settings.service_clients.iter();
        clients.find(|client| client.client_id == client_id)
    }

    async fn look_up_service(
        &self,
        login: &LoginFacts<'_>,
        client: &ServiceClient,
    ) -> Result<Found, AccountError> {
        let key = AccountKey::Username(client.username.clone());
        if let Some(account) = self.directory.find(&key).await? {
            return enabled(account, Ownership::ServiceClient(client.role));
        }
        if self.provisioner.is_none() {
            return Err(AccountError::denied(
                Reason::AccountUnknown,
                format!("no account for service client `{}`", client.client_id),
            ));
        }
        // An account without identity would be anybody's who has its name.
        if login.subject.is_none() {
            return Err(subject_missing(login));
        }
        Ok(Found::Absent {
            new: NewAccount {
                username: client.username.clone(),
                display_name: client.username.clone(),
                mail: None,
                identity: identity(login)?,
                role: None,
                attributes: Vec::new(),
            },
            service: Some(client.role),
        })
    }

    /// Searches by the user claim's value. A name is also searched in its canonical form, so that a directory that
    /// compares bytes cannot be given a second account for the same person.
    async fn find_by_claim(&self, key: &AccountKey) -> Result<Option<Account>, AccountError> {
        let found = self.directory.find(key).await?;
        let AccountKey::Username(name) = key else {
            return Ok(found);
        };
        let canonical = canonical_name(name);
        let found = match found {
            None if canonical != *name => {
                self.directory
                    .find(&AccountKey::Username(canonical))
                    .await?
            }
            found => found,
        };
        match found {
            Some(account) if !has_name(&account, name) => Err(AccountError::denied(
                Reason::ClaimCharset,
                format!(
                    "the user name looks like the existing account `{}` but is not it",
                    account.username
                ),
            )),
            found => Ok(found),
        }
    }

    fn new_account(
        &self,
        login: &LoginFacts<'_>,
        identity: Option<ExternalIdentity>,
    ) -> Result<NewAccount, AccountError> {
        let claims = &login.issuer.provision_claims;
        let (claim, username) =
            claimed::first_text(login.claims, &claims.username).ok_or_else(|| {
                AccountError::denied(
                    Reason::UserClaimMissing,
                    format!("none of the claims {:?} is a text", claims.username),
                )
            })?;
        check_mail(login, claim)?;
        usernames::check_new(username, self.settings.username_match).map_err(|why| {
            AccountError::denied(Reason::ClaimCharset, format!("user name refused: {why}"))
        })?;
        let profile = self.profile(login);
        Ok(NewAccount {
            username: username.to_owned(),
            display_name: profile.display_name.unwrap_or_else(|| username.to_owned()),
            mail: profile.mail,
            identity,
            role: None,
            attributes: profile.attributes,
        })
    }

    /// The optional claims; one that cannot be used is left out and logged.
    fn profile(&self, login: &LoginFacts<'_>) -> AccountChange {
        let claims = &login.issuer.provision_claims;
        let read = |paths: &[ClaimPath], kind| claimed::optional(login.claims, paths, kind);
        AccountChange {
            display_name: read(&claims.display_name, OptionalText::DisplayName),
            mail: read(&claims.email, OptionalText::Mail),
            attributes: self
                .settings
                .attributes
                .iter()
                .filter_map(|(name, claim)| {
                    let value = read(std::slice::from_ref(claim), OptionalText::Attribute)?;
                    Some((name.clone(), value))
                })
                .collect(),
            ..AccountChange::default()
        }
    }
}

fn enabled(account: Account, claim: Ownership) -> Result<Found, AccountError> {
    if account.enabled {
        Ok(Found::Known { account, claim })
    } else {
        Err(AccountError::denied(
            Reason::AccountDisabled,
            format!("account `{}` is disabled", account.username),
        ))
    }
}

/// Whether one of the account's names is that name.
fn has_name(account: &Account, name: &str) -> bool {
    let mut names = std::iter::once(&account.username).chain(&account.aliases);
    names.any(|own| usernames::is_same(own, name))
}

fn subject_missing(login: &LoginFacts<'_>) -> AccountError {
    let userinfo = if login.issuer.skip_user_info {
        "the token has no sub, and userinfo is not asked (PROXY_OIDC_SKIP_USER_INFO)"
    } else {
        "neither the token nor userinfo has a sub"
    };
    AccountError::denied(
        Reason::SubjectMissing,
        format!("{userinfo}; Keycloak adds it to tokens by the client scope `basic`"),
    )
}

/// Where an address decides whose account it is, it has to be the person's (`PROXY_OIDC_REQUIRE_VERIFIED_MAIL`).
fn check_mail(login: &LoginFacts<'_>, claim: &ClaimPath) -> Result<(), AccountError> {
    let decides = claim.as_str() == "email" || login.issuer.user_lookup == UserLookup::Mail;
    if decides && login.issuer.require_verified_mail && login.claims.denies_mail() {
        return Err(AccountError::denied(
            Reason::MailUnverified,
            format!("claim `{claim}` finds the account, and email_verified is false"),
        ));
    }
    Ok(())
}

/// (configured issuer, subject); `None` for a token without subject. OpenCloud's built-in provider derives its `sub` from
/// the id that counts.
fn identity(login: &LoginFacts<'_>) -> Result<Option<ExternalIdentity>, AccountError> {
    let Some(subject) = claimed::built_in_subject(login.claims).or(login.subject) else {
        return Ok(None);
    };
    if subject.is_empty() || subject.contains('$') || subject.chars().any(char::is_control) {
        return Err(AccountError::denied(
            Reason::ClaimCharset,
            "`sub` is empty or has `$` or control characters",
        ));
    }
    Ok(Some(ExternalIdentity {
        issuer: login.issuer.issuer.clone(),
        subject: subject.to_owned(),
    }))
}

/// What the account is searched by besides its identity.
fn user_key(login: &LoginFacts<'_>) -> Result<AccountKey, AccountError> {
    let claim = &login.issuer.user_claim;
    let value = claimed::required_text(login.claims, claim, login.issuer)?;
    let check = match login.issuer.user_lookup {
        UserLookup::Username => usernames::check(value),
        UserLookup::Mail | UserLookup::UserId => claimed::check_key(value),
    };
    check.map_err(|why| {
        AccountError::denied(
            Reason::ClaimCharset,
            format!("claim `{claim}` refused: {why}"),
        )
    })?;
    Ok(match login.issuer.user_lookup {
        UserLookup::Username => AccountKey::Username(value.to_owned()),
        UserLookup::Mail => AccountKey::Mail(value.to_owned()),
        UserLookup::UserId => AccountKey::UserId(value.to_owned()),
    })
}

#[cfg(test)]
pub(super) mod tests;
