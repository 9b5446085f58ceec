//! The loader over a directory that changes its mind, fails and hangs: what sessions of one account share.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderValue;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::until;
use crate::accounts::{AccountKey, Capabilities, DirectoryError, Resolver, UserDirectory};
use crate::auth::{AuthError, Authenticator, IssuerLogin};
use crate::config::accounts::{RoleAssignment, RoleMapping};
use crate::config::{Config, LoadOptions};
use crate::credentials::{BearerToken, Credential};
use crate::events::NoEvents;
use crate::identity::{Minter, NoHomes};
use crate::login::{Authenticators, Oidc};
use crate::model::{Account, ClaimPath, Claims, Clock, Group, Reason, Role, UserType};
use crate::session::freshness::keep_accounts_fresh;
use crate::session::live::LiveAccounts;
use crate::session::loader::Loader;
use crate::session::rules::Rules;
use crate::session::store::Sessions;
use crate::session::{AccountState, Digester, LoadError, Session, Verdict};

const TTL: i64 = 30;

/// One account, as a test leaves it.
#[derive(Debug)]
struct FakeDirectory {
    account: Mutex<Result<Option<Account>, DirectoryError>>,
    searches: AtomicUsize,
}

#[async_trait]
impl UserDirectory for FakeDirectory {
    async fn find(&self, key: &AccountKey) -> Result<Option<Account>, DirectoryError> {
        self.searches.fetch_add(1, Ordering::Relaxed);
        let found = self.account.lock().unwrap().clone()?;
        if matches!(key, AccountKey::Identity(_)) {
            return Ok(None);
        }
        // With this name every user has an account of its own.
        Ok(found.map(|mut account| {
            if let (AccountKey::Username(name), "anybody") = (key, account.id.as_str()) {
                account.id.clone_from(name);
                account.username.clone_from(name);
            }
            if let (AccountKey::UserId(id), "anybody") = (key, account.id.as_str()) {
                account.id.clone_from(id);
            }
            account
        }))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            finds_identities: true,
            writes: false,
        }
    }

    async fn probe(&self) -> Result<(), DirectoryError> {
        Ok(())
    }
}

/// `name/anything` is a token of that user; `name/other` one of the second issuer.
#[derive(Debug)]
struct NameInToken;

#[async_trait]
impl Authenticator for NameInToken {
    async fn authenticate(&self, token: &BearerToken) -> Result<IssuerLogin, AuthError> {
        let name = token.reveal().split('/').next().unwrap().to_owned();
        let claims = serde_json::json!({"preferred_username": name, "sub": name});
        Ok(IssuerLogin {
            issuer: usize::from(token.reveal().ends_with("/other")),
            claims: Claims(claims.as_object().unwrap().clone()),
            subject: Some(name),
            sid: None,
            client_id: None,
            expires_at: None,
            recheck_at: None,
            issued_at: None,
            auth_time: None,
            was_asked_about: false,
            key: None,
            service_client: None,
        })
    }
}

struct World {
    clock: Clock,
    directory: Arc<FakeDirectory>,
    loader: Arc<Loader>,
    sessions: Arc<Sessions>,
    digester: Digester,
}

impl World {
    fn new() -> Self {
        Self::of(|_| {})
    }

    /// The second one's role claims make everybody an admin.
    fn of_two_issuers() -> Self {
        Self::of(|config| {
            let mut other = config.issuers[0].clone();
            other.role_assignment = RoleAssignment::Oidc {
                claim: ClaimPath::parse("sub"),
                mapping: vec![RoleMapping {
                    role: Role::Admin,
                    value: "mara".to_owned(),
                    pattern: None,
                }],
            };
            config.issuers.push(other);
        })
    }

    fn of(change: impl FnOnce(&mut Config)) -> Self {
        let vars = [
            ("PROXY_ACCOUNT_BACKEND_TYPE", "embedded"),
            ("PROXY_JWT_SECRET", "0123456789abcdef0123456789abcdef"),
            ("PROXY_OIDC_ISSUER", "https://idp.test"),
            ("PROXY_USER_OIDC_CLAIM", "preferred_username"),
            ("PROXY_USER_CS3_CLAIM", "username"),
            ("PROXY_ROLE_ASSIGNMENT_DRIVER", "default"),
        ];
        let loaded = Config::load(&LoadOptions::with_yaml(""), &vars);
        let mut config = loaded.unwrap().config;
        change(&mut config);
        let clock = Clock::shifted();
        let directory = Arc::new(FakeDirectory {
            account: Mutex::new(Ok(Some(mara()))),
            searches: AtomicUsize::new(0),
        });
        let loader = Arc::new(Loader {
            authenticators: Authenticators::new(vec![Arc::new(Oidc(Arc::new(NameInToken)))]),
            resolver: Resolver::new(
                Arc::clone(&directory) as Arc<_>,
                None,
                Arc::new(config.accounts.clone()),
            ),
            identity: Arc::new(Minter::new(&config.identity)),
            homes: Arc::new(NoHomes),
            events: Arc::new(NoEvents),
            rules: Rules::new(&config, Vec::new()),
            accounts: Arc::new(LiveAccounts::default()),
            clock: clock.clone(),
        });
        let digester = Digester::random().unwrap();
        let sessions = Sessions::new(
            config.sessions.clone(),
            config.accounts.max_stale,
            digester.clone(),
            Arc::clone(&loader) as Arc<_>,
            clock.clone(),
            Handle::current(),
        );
        Self {
            clock,
            directory,
            loader,
            sessions,
            digester,
        }
    }

    async fn obtain(&self, token: &str) -> Result<Arc<Session>, LoadError> {
        let credential = Credential::from(BearerToken::new(token));
        let digest = self.digester.credential(&credential);
        self.sessions.obtain(digest, &credential, super::HERE).await
    }

    fn verdict(&self, session: &Session) -> Verdict {
        session.verdict(self.clock.now(), self.sessions.generation())
    }

    fn searches(&self) -> usize {
        self.directory.searches.load(Ordering::Relaxed)
    }

    fn change(&self, change: impl FnOnce(&mut Account)) {
        if let Ok(Some(account)) = &mut *self.directory.account.lock().unwrap() {
            change(account);
        }
    }

    fn directory_is(&self, state: Result<Option<Account>, DirectoryError>) {
        *self.directory.account.lock().unwrap() = state;
    }

    fn keep_fresh(&self) -> CancellationToken {
        let stop = CancellationToken::new();
        tokio::spawn(keep_accounts_fresh(
            Arc::clone(&self.loader.accounts),
            Arc::clone(&self.sessions),
            Duration::from_secs(TTL as u64),
            self.clock.clone(),
            stop.clone(),
        ));
        stop
    }
}

pub(super) fn mara() -> Account {
    let groups = (0..5).map(|number| Group {
        id: format!("509a9dcd-bb37-4f4f-a01a-19dca27d9cf{number}"),
        name: format!("Department {number}"),
    });
    Account {
        id: "b1f74ec4-dd7e-11ef-a543-03775734d0f7".into(),
        username: "mara".into(),
        aliases: Vec::new(),
        display_name: "Mara Lindqvist".into(),
        mail: Some("mara@example.org".into()),
        user_type: UserType::Member,
        enabled: true,
        groups: groups.collect(),
        role: None,
        identities: Vec::new(),
        tenant: None,
        uid_number: None,
        gid_number: None,
    }
}

fn down<T>() -> Result<T, DirectoryError> {
    Err(DirectoryError::Unavailable("scripted".into()))
}

fn account(session: &Session) -> &Arc<AccountState> {
    session.account().unwrap()
}

fn reva_token(session: &Session) -> Option<HeaderValue> {
    session.facts.identity.told().access_token.clone()
}

#[tokio::test]
async fn sessions_of_one_account_share_its_state_and_its_refresh() {
    let world = World::new();
    let phone = world.obtain("mara/phone").await.unwrap();
    let laptop = world.obtain("mara/laptop").await.unwrap();
    assert!(Arc::ptr_eq(account(&phone), account(&laptop)));
    let (before, first) = (world.searches(), reva_token(&laptop));
    world.clock.advance(TTL + 1);
    world.change(|account| account.display_name = "Mara Holm".into());
    world.obtain("mara/phone").await.unwrap();
    assert_eq!(world.verdict(&laptop), Verdict::Use);
    assert_eq!(world.searches(), before + 1);
    assert_ne!(reva_token(&laptop), first);
}

#[tokio::test]
async fn the_identity_is_minted_anew_when_the_account_changed_and_kept_when_not() {
    let world = World::new();
    let session = world.obtain("mara/phone").await.unwrap();
    let first = reva_token(&session);
    world.clock.advance(TTL + 1);
    world.obtain("mara/phone").await.unwrap();
    assert_eq!(reva_token(&session), first);
    world.change(|account| drop(account.groups.pop()));
    world.clock.advance(TTL + 1);
    world.obtain("mara/phone").await.unwrap();
    assert_ne!(reva_token(&session), first);
}

#[tokio::test]
async fn the_reva_token_is_renewed_at_half_its_life() {
    let world = World::new();
    let session = world.obtain("mara/phone").await.unwrap();
    let first = reva_token(&session);
    world.clock.advance(2 * 3600);
    world.obtain("mara/phone").await.unwrap();
    assert_ne!(reva_token(&session), first);
}

#[tokio::test]
async fn while_the_directory_fails_the_old_state_serves_on_until_it_is_too_old() {
    let world = World::new();
    let session = world.obtain("mara/phone").await.unwrap();
    world.directory_is(down());
    world.clock.advance(TTL + 1);
    world.obtain("mara/phone").await.unwrap();
    assert_eq!(world.verdict(&session), Verdict::Use);
    let searches = world.searches();
    world.obtain("mara/phone").await.unwrap();
    assert_eq!(world.searches(), searches, "not asked at each request");
    world.clock.advance(3600);
    let refusal = world.obtain("mara/phone").await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::DirectoryUnavailable);
    world.directory_is(Ok(Some(mara())));
    world.obtain("mara/phone").await.unwrap();
}

#[tokio::test]
async fn a_disabled_account_is_shut_out_at_once_when_that_is_seen_and_its_streams_are_cut() {
    let world = World::new();
    let phone = world.obtain("mara/phone").await.unwrap();
    let laptop = world.obtain("mara/laptop").await.unwrap();
    world.change(|account| account.enabled = false);
    world.clock.advance(TTL + 1);
    let refusal = world.obtain("mara/phone").await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::AccountDisabled);
    for session in [phone, laptop] {
        assert_eq!(world.verdict(&session), Verdict::Stale);
        assert!(session.is_cut());
    }
}

#[tokio::test]
async fn an_account_that_is_enabled_again_gets_a_state_of_its_own() {
    let world = World::new();
    let old = world.obtain("mara/phone").await.unwrap();
    world.change(|account| account.enabled = false);
    world.clock.advance(TTL + 1);
    world.obtain("mara/phone").await.unwrap_err();
    world.change(|account| account.enabled = true);
    world.clock.advance(6);
    let new = world.obtain("mara/phone").await.unwrap();
    assert!(!Arc::ptr_eq(account(&old), account(&new)));
    assert_eq!(world.verdict(&new), Verdict::Use);
    assert!(!new.is_cut());
}

#[tokio::test]
async fn an_account_that_is_gone_is_shut_out() {
    let world = World::new();
    world.obtain("mara/phone").await.unwrap();
    world.directory_is(Ok(None));
    world.clock.advance(TTL + 1);
    let refusal = world.obtain("mara/phone").await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::AccountUnknown);
}

#[tokio::test]
async fn accounts_in_use_are_refreshed_ahead_so_that_no_request_waits() {
    let world = World::new();
    let session = world.obtain("mara/phone").await.unwrap();
    world.clock.advance(TTL - 5);
    let searches = world.searches();
    let stop = world.keep_fresh();
    until("a refresh", || world.searches() > searches).await;
    world.clock.advance(TTL - 5);
    assert_eq!(world.verdict(&session), Verdict::Use);
    stop.cancel();
}

#[tokio::test]
async fn an_account_that_nobody_used_since_its_refresh_is_not_due() {
    let world = World::new();
    let session = world.obtain("mara/phone").await.unwrap();
    let due = || {
        let accounts = &world.loader.accounts.states;
        accounts.due(world.clock.now(), Duration::ZERO).len()
    };
    assert_eq!((due(), due()), (1, 0));
    assert_eq!(world.verdict(&session), Verdict::Use);
    assert_eq!(due(), 0, "to judge a session is no use of it");
    let _used = account(&session).current();
    assert_eq!(due(), 1);
}

#[tokio::test]
async fn the_sweep_shuts_a_disabled_account_out_within_the_ttl() {
    let world = World::new();
    let session = world.obtain("mara/phone").await.unwrap();
    world.change(|account| account.enabled = false);
    world.clock.advance(TTL - 5);
    let stop = world.keep_fresh();
    until("the shut-out", || session.is_cut()).await;
    assert_eq!(world.verdict(&session), Verdict::Stale);
    stop.cancel();
}

#[tokio::test]
async fn at_most_100_accounts_a_second_are_asked_about_and_the_rest_serve_on() {
    let world = World::new();
    world.change(|account| account.id = "anybody".into());
    for number in 0..300 {
        world.obtain(&format!("user{number}/phone")).await.unwrap();
    }
    world.clock.advance(TTL + 1);
    let (searches, start) = (world.searches(), world.clock.now());
    for number in 0..300 {
        world.obtain(&format!("user{number}/phone")).await.unwrap();
    }
    let asked = world.searches() - searches;
    let seconds = world.clock.now().since(start).as_secs() as usize + 1;
    assert!(asked >= 100, "{asked}");
    assert!(asked <= 100 * seconds, "{asked} in {seconds} s");
}

#[tokio::test]
async fn a_session_of_a_user_with_5_groups_costs_at_most_2_kib() {
    let world = World::new();
    let session = world.obtain("mara/phone").await.unwrap();
    assert!(session.weight() <= 2_048, "{} bytes", session.weight());
}

#[tokio::test]
async fn each_issuer_has_its_own_state_of_an_account() {
    let world = World::of_two_issuers();
    let here = world.obtain("mara/phone").await.unwrap();
    let there = world.obtain("mara/other").await.unwrap();
    assert!(!Arc::ptr_eq(account(&here), account(&there)));
    // The role claim of one says nothing about the sessions of the other.
    assert_eq!(account(&here).current().role, Some(Role::User));
    assert_eq!(account(&there).current().role, Some(Role::Admin));
    world.clock.advance(TTL + 1);
    for (token, role) in [("mara/phone", Role::User), ("mara/other", Role::Admin)] {
        let session = world.obtain(token).await.unwrap();
        assert_eq!(account(&session).current().role, Some(role), "{token}");
    }
}

#[tokio::test]
async fn a_member_made_a_guest_is_told_as_one_after_the_next_refresh() {
    let world = World::new();
    let session = world.obtain("mara/phone").await.unwrap();
    let as_member = reva_token(&session);
    world.clock.advance(TTL + 1);
    world.change(|account| account.user_type = UserType::Guest);
    world.obtain("mara/phone").await.unwrap();
    assert_ne!(reva_token(&session), as_member);
}

#[tokio::test]
async fn who_is_of_another_tenant_now_is_shut_out_and_logs_in_anew() {
    let world = World::new();
    world.change(|account| account.tenant = Some("harbor".into()));
    let old = world.obtain("mara/phone").await.unwrap();
    world.clock.advance(TTL + 1);
    world.change(|account| account.tenant = Some("airport".into()));
    let new = world.obtain("mara/phone").await.unwrap();
    assert!(old.is_cut());
    assert!(!Arc::ptr_eq(account(&old), account(&new)));
}

#[tokio::test]
async fn the_order_in_which_a_directory_lists_things_changes_nothing() {
    let world = World::new();
    let session = world.obtain("mara/phone").await.unwrap();
    let before = reva_token(&session);
    world.clock.advance(TTL + 1);
    world.change(|account| account.groups.reverse());
    world.obtain("mara/phone").await.unwrap();
    assert_eq!(reva_token(&session), before);
}
