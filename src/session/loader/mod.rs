//! The set-up of a session, one step after the other: verify, look up, role, settle, identity, home, event.

mod role;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::accounts::{LoginFacts, Resolver};
use crate::auth::{IssuerLogin, Standing};
use crate::config::Mfa;
use crate::config::oidc::FLAT_ISSUER;
use crate::credentials::{Credential, CredentialKind};
use crate::events::EventSink;
use crate::headers::IdentityHeaders;
use crate::identity::{HomeMaker, IdentitySource, remote_headers};
use crate::login::{Authenticators, Login, OwnLogin, UserLogin};
use crate::model::{Account, Claims, Clock, Role, UnixTime};
use crate::session::account::{AccountSnapshot, AccountState, Origin, Rare};
use crate::session::live::LiveAccounts;
use crate::session::policy::{policy_by_account, policy_by_claims};
use crate::session::principal::{Identity, OwnIdentity, Principal};
use crate::session::rules::Rules;
use crate::session::trace::{Step, Trace, Unheard};
use crate::session::{LoadError, Requirements, SessionFacts};

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

    pub(in crate::session) async fn snapshot(
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
            fingerprint: self.accounts.states.fingerprint(account, role),
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

/// docs/design/contract.md 9.15: without the feature every login counts as one with a second factor.
fn is_second_factor(mfa: &Mfa, claims: &Claims) -> bool {
    !mfa.enabled
        || claims
            .text("acr")
            .is_some_and(|acr| mfa.auth_level_names.iter().any(|name| name == acr))
}
