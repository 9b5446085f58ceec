//! The set-up of a session, one step after the other: verify, look up, role, settle, identity, home, event.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use super::account::{AccountSnapshot, AccountState, Origin, Rare, fingerprint};
use super::live::LiveAccounts;
use super::policy::{policy_by_account, policy_by_claims};
use super::principal::{Identity, OwnIdentity, Principal};
use super::rules::Rules;
use super::trace::{Step, Trace, Unheard};
use super::{LoadError, Requirements, SessionFacts};
use crate::accounts::{AccountError, Found, LoginFacts, Resolver};
use crate::auth::{AuthError, IssuerLogin, Standing};
use crate::config::Mfa;
use crate::config::accounts::RoleAssignment;
use crate::config::oidc::{FLAT_ISSUER, Issuer};
use crate::credentials::{Credential, CredentialKind};
use crate::events::EventSink;
use crate::headers::IdentityHeaders;
use crate::identity::{HomeMaker, IdentitySource, remote_headers};
use crate::login::{Authenticators, Login, OwnLogin, UserLogin};
use crate::model::{Account, ClaimPath, Claims, Clock, Reason, Role, StoredRole, UnixTime};
use crate::roles::{AssignedBy, RoleError, RoleRules};

/// Sets sessions up. Called once per credential, from tasks that no client can cancel.
#[async_trait]
pub trait SessionLoader: fmt::Debug + Send + Sync {
    /// How many lanes of set-ups there are, see [`Standing`].
    fn lanes(&self) -> usize {
        1
    }

    /// What is known of the credential without asking anybody.
    fn standing(&self, credential: &Credential) -> Standing {
        let _ = credential;
        Standing {
            lane: 0,
            is_proven: true,
        }
    }

    /// Verifies the credential, finds or makes the account, assigns the role, asks for the identity.
    ///
    /// # Errors
    /// See [`LoadError`].
    async fn load(&self, credential: &Credential, generation: u64) -> Result<Loaded, LoadError>;

    /// Asks the directory about the account again and for a new identity if anything changed. The old state serves on while
    /// the directory fails, until it is too old.
    ///
    /// # Errors
    /// The directory's, once the state is too old.
    async fn refresh_account(&self, account: &AccountState) -> Result<(), LoadError>;
}

/// What a set-up found.
#[derive(Debug)]
pub struct Loaded {
    /// The session to be.
    pub facts: SessionFacts,
    /// The token's `sub`.
    pub subject: Option<String>,
    /// The token's `sid`.
    pub sid: Option<String>,
    /// The set-up asked the issuer about the token, by introspection or userinfo.
    pub was_asked_about: bool,
    /// When who checked the credential has to be asked again, if ever.
    pub recheck_at: Option<UnixTime>,
}

/// The loader of the gateway.
#[derive(Debug, Clone)]
pub struct Loader {
    /// Who sent the credential.
    pub authenticators: Authenticators,
    /// Which account that is, and where its role is kept.
    pub resolver: Resolver,
    /// Where what backends are told comes from.
    pub identity: Arc<dyn IdentitySource>,
    /// Who makes homes.
    pub homes: Arc<dyn HomeMaker>,
    /// Who is told of logins.
    pub events: Arc<dyn EventSink>,
    /// What is decided by configuration; replaced as a whole on a reload.
    pub rules: Rules,
    /// Accounts in use.
    pub accounts: Arc<LiveAccounts>,
    /// The wall clock.
    pub clock: Clock,
}

#[async_trait]
impl SessionLoader for Loader {
    fn lanes(&self) -> usize {
        self.authenticators.lanes()
    }

    fn standing(&self, credential: &Credential) -> Standing {
        self.authenticators.standing(credential)
    }

    async fn load(&self, credential: &Credential, generation: u64) -> Result<Loaded, LoadError> {
        self.set_up(credential, generation, &mut Unheard).await
    }

    async fn refresh_account(&self, state: &AccountState) -> Result<(), LoadError> {
        self.refresh(state).await
    }
}

/// A role, and whether it is to be written to its store.
#[derive(Debug, Clone, Copy)]
struct DecidedRole {
    role: Role,
    to_store: Option<Role>,
}

impl Loader {
    /// The same loader under other rules.
    #[must_use]
    pub fn with_rules(&self, rules: Rules) -> Self {
        Self {
            rules,
            ..self.clone()
        }
    }

    /// Takes the steps, and tells each.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub async fn set_up(
        &self,
        credential: &Credential,
        generation: u64,
        trace: &mut dyn Trace,
    ) -> Result<Loaded, LoadError> {
        let kind = credential.kind();
        match self.verify(credential, trace).await? {
            Login::Claims(login) => self.by_claims(login, kind, generation, trace).await,
            Login::User(login) => self.by_password(login, generation, trace).await,
            Login::Ready(own) => Ok(self.by_itself(own, kind, generation)),
        }
    }

    /// Of whom an issuer says something.
    async fn by_claims(
        &self,
        login: IssuerLogin,
        kind: CredentialKind,
        generation: u64,
        trace: &mut dyn Trace,
    ) -> Result<Loaded, LoadError> {
        let issuer = &self.rules.issuers[login.issuer];
        let facts = LoginFacts {
            issuer,
            claims: &login.claims,
            subject: login.subject.as_deref(),
            client_id: login.service_client_id(),
        };
        let found = self.resolver.look_up(&facts).await?;
        trace.hear(Step::LookedUp(&found));
        // Decided before anything is written, so that nobody is provisioned who has no role.
        let role = self.decide_role(issuer, &login, &found, trace).await?;
        let (is_new, is_program) = (found.account().is_none(), found.service_role().is_some());
        let initial = role.to_store;
        let initial = initial.filter(|_| self.resolver.roles().is_part_of_account());
        let account = self.resolver.settle(&facts, found, initial).await?;
        trace.hear(Step::Settled(&account));
        self.keep_role(&account, role, is_new, trace).await?;
        let snapshot = self.identify(&account, Some(role.role), trace).await?;
        self.make_home(&account, role.role, &snapshot, trace).await;
        self.announce(&login, &account, trace).await;
        let origin = Origin::Issuer(u16::try_from(login.issuer).unwrap_or(u16::MAX));
        let state = self.accounts.states.adopt(&account.id, origin, snapshot);
        let principal = if is_program {
            Principal::ServiceClient
        } else {
            Principal::Account
        };
        let selector = self.rules.policy_selector.as_deref();
        Ok(Loaded {
            facts: SessionFacts {
                kind,
                principal,
                identity: Identity::OfAccount(state),
                issuer: login.issuer,
                expires_at: login.expires_at,
                leeway: issuer.leeway,
                issued_at: login.issued_at,
                auth_time: login.auth_time,
                key: login.key,
                mfa: is_second_factor(&self.rules.mfa, &login.claims),
                requirements: Requirements::judge(&self.rules.requirements, &login.claims),
                policy: selector.and_then(|selector| policy_by_claims(selector, &login.claims)),
                generation,
            },
            subject: login.subject,
            sid: login.sid,
            was_asked_about: login.was_asked_about,
            recheck_at: login.recheck_at,
        })
    }

    /// Of a user whom the CS3 gateway knows by a password. Their account is looked up once more, because the gateway lets
    /// disabled ones in by their password (docs/design/contract.md V0.1).
    async fn by_password(
        &self,
        login: UserLogin,
        generation: u64,
        trace: &mut dyn Trace,
    ) -> Result<Loaded, LoadError> {
        let account = self.resolver.look_up_id(&login.account_id).await?;
        let role = self.kept_role(&account).await?;
        let snapshot = self.identify(&account, Some(role), trace).await?;
        self.make_home(&account, role, &snapshot, trace).await;
        let accounts = &self.accounts.states;
        // Of the account, as the rights are of the password: routes that tell plain headers tell who it is.
        let remote = snapshot.identity.remote.clone();
        let state = accounts.adopt(&account.id, Origin::Gateway, snapshot);
        let claims = Claims::default();
        let identity = match login.own {
            None => Identity::OfAccount(state),
            Some(own) => Identity::Own(Box::new(OwnIdentity {
                headers: IdentityHeaders {
                    remote,
                    ..own.headers
                },
                last_at: own.last_at,
                account: Some(state),
            })),
        };
        let facts = self.facts(
            login.kind,
            Principal::Account,
            identity,
            &claims,
            generation,
        );
        Ok(Loaded {
            facts,
            subject: None,
            sid: None,
            was_asked_about: true,
            recheck_at: Some(login.recheck_at),
        })
    }

    /// Of a visitor, who has no account.
    fn by_itself(&self, own: OwnLogin, kind: CredentialKind, generation: u64) -> Loaded {
        let recheck_at = own.recheck_at;
        let identity = Identity::Own(Box::new(OwnIdentity {
            headers: own.headers,
            last_at: own.last_at,
            account: None,
        }));
        let claims = Claims::default();
        Loaded {
            facts: self.facts(kind, Principal::Share, identity, &claims, generation),
            subject: None,
            sid: None,
            was_asked_about: true,
            recheck_at: Some(recheck_at),
        }
    }

    /// Of a login without an issuer.
    fn facts(
        &self,
        kind: CredentialKind,
        principal: Principal,
        identity: Identity,
        claims: &Claims,
        generation: u64,
    ) -> SessionFacts {
        SessionFacts {
            kind,
            principal,
            identity,
            issuer: FLAT_ISSUER,
            expires_at: None,
            leeway: std::time::Duration::ZERO,
            issued_at: None,
            auth_time: None,
            key: None,
            mfa: is_second_factor(&self.rules.mfa, claims),
            requirements: Requirements::judge(&self.rules.requirements, claims),
            policy: None,
            generation,
        }
    }

    async fn verify(
        &self,
        credential: &Credential,
        trace: &mut dyn Trace,
    ) -> Result<Login, LoadError> {
        let login = self.authenticators.authenticate(credential).await?;
        let issuer = match &login {
            Login::Claims(login) => self.rules.issuers.get(login.issuer),
            Login::User(_) | Login::Ready(_) => None,
        };
        trace.hear(Step::Verified {
            login: &login,
            issuer,
        });
        Ok(login)
    }

    async fn decide_role(
        &self,
        issuer: &Issuer,
        login: &IssuerLogin,
        found: &Found,
        trace: &mut dyn Trace,
    ) -> Result<DecidedRole, LoadError> {
        if let Some(role) = found.service_role() {
            trace.hear(Step::ServiceRole(role));
            return Ok(DecidedRole {
                role,
                to_store: None,
            });
        }
        let stored = match found.account() {
            Some(account) => self.stored_role(account).await?,
            None => None,
        };
        let bootstrap = self.rules.bootstrap_admin.as_ref();
        let rules = RoleRules {
            assignment: &issuer.role_assignment,
            sync: self.rules.role_sync,
            bootstrap_admin: bootstrap.filter(|_| login.issuer == FLAT_ISSUER),
            writable: self.resolver.roles().is_writable(),
        };
        let outcome = rules.assign(&login.claims, stored.as_ref(), found.user_type());
        trace.hear(Step::Role {
            rules: &rules,
            claims: &login.claims,
            stored: stored.as_ref(),
            outcome: outcome.as_ref(),
        });
        let assigned = outcome.map_err(|error| without_userinfo(error, issuer))?;
        let by_mail = rules
            .bootstrap_admin
            .is_some_and(|wanted| wanted.claim.as_str() == "email");
        if assigned.by == AssignedBy::Bootstrap
            && by_mail
            && issuer.require_verified_mail
            && login.claims.denies_mail()
        {
            return Err(LoadError::Auth(AuthError::Denied {
                reason: Reason::MailUnverified,
                detail: "PROXY_ROLE_BOOTSTRAP_ADMIN goes by the mail address, and email_verified is false"
                    .to_owned(),
            }));
        }
        if assigned.by == AssignedBy::Default {
            tell_of_unused_roles(&login.claims);
        }
        Ok(DecidedRole {
            role: assigned.role,
            to_store: assigned.write.then_some(assigned.role),
        })
    }

    /// The role of somebody of whom no issuer says anything: the stored one, else what everybody has.
    async fn kept_role(&self, account: &Account) -> Result<Role, LoadError> {
        let stored = self.stored_role(account).await?;
        let rules = RoleRules {
            assignment: &RoleAssignment::Default,
            sync: self.rules.role_sync,
            bootstrap_admin: None,
            writable: false,
        };
        let assigned = rules.assign(&Claims::default(), stored.as_ref(), account.user_type)?;
        Ok(assigned.role)
    }

    pub(super) async fn stored_role(
        &self,
        account: &Account,
    ) -> Result<Option<StoredRole>, LoadError> {
        let stored = self.resolver.roles().stored(account).await;
        Ok(stored.map_err(AccountError::from)?)
    }

    /// Writes a decided role, now that the account exists. A new account may have got one in the meantime: from whoever made
    /// it at the same moment and decided the same, or from a backend that gives everybody a role.
    async fn keep_role(
        &self,
        account: &Account,
        decided: DecidedRole,
        is_new: bool,
        trace: &mut dyn Trace,
    ) -> Result<(), LoadError> {
        let Some(role) = decided.to_store else {
            return Ok(());
        };
        let roles = self.resolver.roles();
        let _one_writer = self.accounts.writer(&account.id).await;
        if is_new {
            let stored = self.stored_role(account).await?;
            if stored == Some(StoredRole::Known(role))
                || (stored.is_some() && roles.is_part_of_account())
            {
                return Ok(());
            }
        }
        let written = roles.assign(account, role).await;
        written.map_err(AccountError::from)?;
        trace.hear(Step::RoleKept(role));
        Ok(())
    }

    async fn identify(
        &self,
        account: &Account,
        role: Option<Role>,
        trace: &mut dyn Trace,
    ) -> Result<AccountSnapshot, LoadError> {
        let snapshot = self.snapshot(account, role).await?;
        trace.hear(Step::Identified);
        Ok(snapshot)
    }

    /// A home that was not made keeps nobody out: what needs it says so by itself.
    async fn make_home(
        &self,
        account: &Account,
        role: Role,
        snapshot: &AccountSnapshot,
        trace: &mut dyn Trace,
    ) {
        let Some(token) = &snapshot.identity.access_token else {
            return;
        };
        let _one_writer = self.accounts.writer(&account.id).await;
        let made = self.homes.make_home(account, Some(role), token).await;
        if let Err(error) = &made {
            tracing::warn!(user = account.username, %error, "login goes on without a new home");
        }
        trace.hear(Step::Home(made.err().as_ref()));
    }

    async fn announce(&self, login: &IssuerLogin, account: &Account, trace: &mut dyn Trace) {
        let subject = login.subject.as_deref().unwrap_or(&account.id);
        let announced = &self.accounts.announced;
        if announced.is_first(login.issuer, login.sid.as_deref(), subject) {
            self.events.signed_in(account, self.clock.now()).await;
            trace.hear(Step::Announced);
        }
    }

    pub(super) async fn snapshot(
        &self,
        account: &Account,
        role: Option<Role>,
    ) -> Result<AccountSnapshot, LoadError> {
        let now = self.clock.now();
        let issued = self.identity.issue(account, role, now).await?;
        let wants_remote = self.rules.remote_headers;
        let remote = wants_remote.then(|| remote_headers(account)).transpose()?;
        let selector = self.rules.policy_selector.as_deref();
        let rare = Rare {
            tenant: account.tenant.as_deref().map(Box::from),
            policy: selector.and_then(|selector| policy_by_account(selector, account)),
            account: self.rules.keeps_accounts.then(|| Arc::new(account.clone())),
        };
        let snapshot = AccountSnapshot {
            role,
            identity: IdentityHeaders {
                access_token: Some(issued.access_token),
                remote: remote.map(Arc::new),
            },
            fingerprint: fingerprint(account, role),
            rare: (rare != Rare::default()).then(|| Box::new(rare)),
            checked_at: now,
            renew_at: issued.renew_at,
            last_at: issued.last_at,
            fresh_until: now,
            serve_until: now,
        };
        Ok(self.still_good(snapshot, now))
    }
}

/// A role claim that is not there may be one that only userinfo has.
fn without_userinfo(error: RoleError, issuer: &Issuer) -> RoleError {
    match error {
        RoleError::NoRole(why) if issuer.skip_user_info => RoleError::NoRole(format!(
            "{why}; userinfo is not asked (PROXY_OIDC_SKIP_USER_INFO=true), so a claim that only it has is never seen"
        )),
        error => error,
    }
}

/// docs/design/contract.md 9.15: without the feature every login counts as one with a second factor.
fn is_second_factor(mfa: &Mfa, claims: &Claims) -> bool {
    !mfa.enabled
        || claims
            .text("acr")
            .is_some_and(|acr| mfa.auth_level_names.iter().any(|name| name == acr))
}

/// Somebody sends roles that nobody asked for: said once, because the driver may be meant.
fn tell_of_unused_roles(claims: &Claims) {
    static TOLD: AtomicBool = AtomicBool::new(false);
    let roles = claims.at(&ClaimPath::parse("roles"));
    let has_some = roles.is_some_and(|roles| roles.as_array().is_some_and(|all| !all.is_empty()));
    if has_some && !TOLD.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            "the issuer sends the claim roles, but roles are not taken from claims; if they are to be, set PROXY_ROLE_ASSIGNMENT_DRIVER=oidc"
        );
    }
}
