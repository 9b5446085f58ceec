//! The loader over a directory that changes its mind, fails and hangs: what sessions of one account share.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderValue;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::until;
use crate::accounts::{AccountKey, DirectoryError, Resolver, UserDirectory};
use crate::auth::{AuthError, Authenticator, Login};
use crate::config::{Config, LoadOptions};
use crate::credentials::BearerToken;
use crate::identity::Minter;
use crate::model::{Account, Claims, Clock, Group, Reason, UnixTime, UserType};
use crate::session::freshness::keep_accounts_fresh;
use crate::session::loader::{LiveAccounts, Loader, Rules};
use crate::session::store::Sessions;
use crate::session::{Digester, LoadError, Session, Verdict};

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

    async fn probe(&self) -> Result<(), DirectoryError> {
        Ok(())
    }
}

/// `name/anything` is a token of that user.
#[derive(Debug)]
struct NameInToken;

#[async_trait]
impl Authenticator for NameInToken {
    async fn authenticate(&self, token: &BearerToken) -> Result<Login, AuthError> {
        let name = token.reveal().split('/').next().unwrap().to_owned();
        let claims = serde_json::json!({"preferred_username": name, "sub": name});
        Ok(Login {
            issuer: 0,
            claims: Claims(claims.as_object().unwrap().clone()),
            subject: Some(name),
            sid: None,
            client_id: None,
            expires_at: None,
            recheck_at: None,
            issued_at: None,
            auth_time: None,
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
        let vars = [
            ("PROXY_ACCOUNT_BACKEND_TYPE", "embedded"),
            ("PROXY_JWT_SECRET", "0123456789abcdef0123456789abcdef"),
            ("PROXY_OIDC_ISSUER", "https://idp.test"),
            ("PROXY_USER_OIDC_CLAIM", "preferred_username"),
            ("PROXY_USER_CS3_CLAIM", "username"),
            ("PROXY_ROLE_ASSIGNMENT_DRIVER", "default"),
        ];
        let config = Config::load(&LoadOptions::with_yaml(""), &vars)
            .unwrap()
            .config;
        let clock = Clock::shifted();
        let directory = Arc::new(FakeDirectory {
            account: Mutex::new(Ok(Some(mara()))),
            searches: AtomicUsize::new(0),
        });
        let loader = Arc::new(Loader {
            authenticator: Arc::new(NameInToken),
            resolver: Resolver::new(
                Arc::clone(&directory) as Arc<_>,
                None,
                Arc::new(config.accounts.clone()),
            ),
            directory: Arc::clone(&directory) as Arc<_>,
            minter: Minter::new(&config.identity),
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
        let token = BearerToken::new(token);
        self.sessions
            .obtain(self.digester.token(&token), &token)
            .await
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

fn mara() -> Account {
    let groups = (0..5).map(|number| Group {
        id: format!("509a9dcd-bb37-4f4f-a01a-19dca27d9cf{number}"),
        name: format!("Department {number}"),
    });
    Account {
        id: "b1f74ec4-dd7e-11ef-a543-03775734d0f7".into(),
        username: "mara".into(),
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

fn reva_token(session: &Session) -> Option<HeaderValue> {
    session
        .facts
        .account
        .snapshot()
        .identity
        .access_token
        .clone()
}

#[tokio::test]
async fn sessions_of_one_account_share_its_state_and_its_refresh() {
    let world = World::new();
    let phone = world.obtain("mara/phone").await.unwrap();
    let laptop = world.obtain("mara/laptop").await.unwrap();
    assert!(Arc::ptr_eq(&phone.facts.account, &laptop.facts.account));
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
    assert!(!Arc::ptr_eq(&old.facts.account, &new.facts.account));
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
        let accounts = &world.loader.accounts.0;
        accounts.due(world.clock.now(), Duration::ZERO).len()
    };
    assert_eq!((due(), due()), (1, 0));
    assert_eq!(world.verdict(&session), Verdict::Use);
    assert_eq!(due(), 0, "to judge a session is no use of it");
    let _used = session.facts.account.snapshot();
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
    assert!(session.facts.issued_at > UnixTime(0));
}
