//! Whose account it is that a login found.

use super::Resolver;
use crate::accounts::{AccountError, LoginFacts, Ownership, claimed};
use crate::config::oidc::ClaimByName;
use crate::model::{Account, ExternalIdentity, Reason, StoredRole};

impl Resolver {
    /// docs/design/design.md 2, Account identity.
    pub(super) async fn ownership(
        &self,
        login: &LoginFacts<'_>,
        account: &Account,
        identity: Option<&ExternalIdentity>,
    ) -> Result<Ownership, AccountError> {
        if !self.directory.capabilities().finds_identities {
            // The user claim is all there is, so that only issuers who may name accounts by it let anybody in: with
            // several, one could name another's people.
            return match (login.issuer.claim_by_name, &self.provisioner) {
                (ClaimByName::Never, _) => Err(AccountError::denied(
                    Reason::AccountUnclaimed,
                    format!(
                        "account `{}` is known by its name alone, and this issuer may not claim accounts by name",
                        account.username
                    ),
                )),
                (_, Some(_)) => Ok(Ownership::ByClaim),
                (_, None) => Ok(Ownership::Mapping),
            };
        }
        if identity.is_some_and(|identity| account.identities.contains(identity))
            || is_built_in_providers(login, account)
        {
            return Ok(Ownership::Identity);
        }
        if !account.identities.is_empty() {
            return self.ownership_of_another(login, account, identity);
        }
        let may_claim = match login.issuer.claim_by_name {
            ClaimByName::Never => false,
            ClaimByName::Always => true,
            ClaimByName::Unprivileged if self.provisioner.is_none() => true,
            ClaimByName::Unprivileged => match self.roles.stored(account).await? {
                Some(StoredRole::Known(role) | StoredRole::Several(role)) => !role.is_privileged(),
                Some(StoredRole::Foreign(_)) | None => true,
            },
        };
        match (may_claim, &self.provisioner) {
            (false, _) => Err(AccountError::denied(
                Reason::AccountUnclaimed,
                format!(
                    "account `{}` has no identity and may not be claimed by name",
                    account.username
                ),
            )),
            (true, None) => Ok(Ownership::Mapping),
            (true, Some(_)) => Ok(Ownership::ClaimedByName),
        }
    }

    /// The account has identities, but not the login's.
    fn ownership_of_another(
        &self,
        login: &LoginFacts<'_>,
        account: &Account,
        identity: Option<&ExternalIdentity>,
    ) -> Result<Ownership, AccountError> {
        let of_this_issuer =
            |known: &ExternalIdentity| identity.is_some() && known.issuer == login.issuer.issuer;
        let is_another_persons = account.identities.iter().any(of_this_issuer);
        let is_former =
            |known: &ExternalIdentity| self.settings.former_issuers.contains(&known.issuer);
        if !is_another_persons {
            let may_map = login.issuer.claim_by_name != ClaimByName::Never;
            if self.provisioner.is_none() && may_map {
                tracing::info!(
                    user = account.username, known = %shown(&account.identities),
                    "the user claim leads to an account of another issuer; provisioning is off, so that counts and nothing is written"
                );
                return Ok(Ownership::Mapping);
            }
            if self.provisioner.is_some() && account.identities.iter().any(is_former) {
                return Ok(Ownership::Moved);
            }
        }
        let hint = if is_another_persons {
            "another client of the issuer may give the same person another subject (pairwise subjects): let all clients \
             have the same sector identifier, or public subjects; else the name was somebody else's before"
        } else {
            "if the issuer's address changed, or people move from another provider, PROXY_ACCOUNT_FORMER_ISSUERS with the \
             old issuer lets the login take the account over"
        };
        let own =
            identity.map_or_else(|| "none".to_owned(), |own| shown(std::slice::from_ref(own)));
        Err(AccountError::denied(
            Reason::IdentityConflict,
            format!(
                "account `{}` belongs to {}, the token to {own}; {hint}",
                account.username,
                shown(&account.identities)
            ),
        ))
    }
}

/// OpenCloud's built-in provider names the account itself. Of several issuers at most one may claim by name, and no other
/// one's word counts for that.
fn is_built_in_providers(login: &LoginFacts<'_>, account: &Account) -> bool {
    login.issuer.claim_by_name != ClaimByName::Never
        && claimed::built_in_subject(login.claims) == Some(account.id.as_str())
}

/// Identities for a log line.
fn shown(identities: &[ExternalIdentity]) -> String {
    let each = identities
        .iter()
        .map(|one| format!("(issuer {:?}, subject {:?})", one.issuer, one.subject));
    each.collect::<Vec<_>>().join(", ")
}
