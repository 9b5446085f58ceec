//! A session store filled with users nobody has to sign tokens for: loader, minted token, cache, indexes and account states
//! are the gateway's own, only issuer and directory are not. Read by several benches.

#![allow(dead_code, reason = "no bench uses all of it")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use davgate::door::accounts::{AccountKey, Capabilities, DirectoryError, Resolver, UserDirectory};
use davgate::door::auth::{AuthError, Authenticator, IssuerLogin};
use davgate::door::config::{Config, LoadOptions};
use davgate::door::credentials::{BearerToken, Credential};
use davgate::door::events::NoEvents;
use davgate::door::identity::{Minter, NoHomes};
use davgate::door::login::{Authenticators, Oidc};
use davgate::door::model::{Account, Claims, Clock, Group, Role, StoredRole, UserType};
use davgate::door::session::live::LiveAccounts;
use davgate::door::session::loader::Loader;
use davgate::door::session::rules::Rules;
use davgate::door::session::store::Sessions;
use davgate::door::session::{Digest, Digester};
use serde_json::json;

/// Whatever goes wrong ends the bench.
pub(crate) type Error = Box<dyn std::error::Error>;

/// The store and what finds a session in it.
pub(crate) struct Crowd {
    pub(crate) sessions: Arc<Sessions>,
    digester: Digester,
}

impl Crowd {
    /// Within a runtime, on which set-ups run. Every user is in `groups` groups.
    pub(crate) fn new(cache_bytes: u64, groups: usize) -> Result<Self, Error> {
        let vars = [
            ("PROXY_ACCOUNT_BACKEND_TYPE", "embedded"),
            ("PROXY_JWT_SECRET", "0123456789abcdef0123456789abcdef"),
            ("PROXY_AUTOPROVISION_ACCOUNTS", "false"),
            ("OC_CONFIG_DIR", "/nonexistent"),
            ("OC_BASE_DATA_PATH", "/nonexistent"),
        ];
        let loaded = Config::load(&LoadOptions::default(), &vars).map_err(|e| e.to_string())?;
        let mut config = loaded.config;
        config.sessions.cache_bytes = cache_bytes;
        let clock = Clock::system();
        let directory: Arc<dyn UserDirectory> = Arc::new(Everybody { groups });
        let loader = Loader {
            authenticators: Authenticators::new(vec![Arc::new(Oidc(Arc::new(AnyToken(
                clock.clone(),
            ))))]),
            resolver: Resolver::new(directory, None, Arc::new(config.accounts.clone())),
            identity: Arc::new(Minter::new(&config.identity)),
            homes: Arc::new(NoHomes),
            events: Arc::new(NoEvents),
            rules: Rules::new(&config, Vec::new()),
            accounts: Arc::new(LiveAccounts::default()),
            clock: clock.clone(),
        };
        let digester = Digester::random().map_err(|_| "no randomness")?;
        let sessions = Sessions::new(
            config.sessions.clone(),
            config.accounts.max_stale,
            digester.clone(),
            Arc::new(loader),
            clock,
            tokio::runtime::Handle::current(),
        );
        Ok(Self { sessions, digester })
    }

    /// User number `number` comes with their token.
    pub(crate) async fn enter(&self, number: u64) -> Result<Digest, Error> {
        let credential = Credential::from(BearerToken::new(format!("{number:012}")));
        let digest = self.digester.credential(&credential);
        let outcome = self
            .sessions
            .obtain(digest, &credential, std::net::Ipv4Addr::LOCALHOST.into())
            .await;
        outcome.map_err(|error| error.to_string())?;
        Ok(digest)
    }

    /// The key of that user's session.
    pub(crate) fn digest(&self, number: u64) -> Digest {
        self.digester
            .token(&BearerToken::new(format!("{number:012}")))
    }

    /// Lets the cache count and evict, which it does beside its use.
    pub(crate) async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let _ = self.sessions.cached(&self.digest(u64::MAX));
    }
}

/// Every token is a user's name; its login has a `sub`, a `sid` and an expiry, as real ones do.
#[derive(Debug)]
struct AnyToken(Clock);

#[async_trait]
impl Authenticator for AnyToken {
    async fn authenticate(&self, token: &BearerToken) -> Result<IssuerLogin, AuthError> {
        let name = token.reveal();
        let claims = json!({"preferred_username": name, "roles": ["opencloudUser"]});
        Ok(IssuerLogin {
            issuer: 0,
            claims: Claims(claims.as_object().cloned().unwrap_or_default()),
            subject: Some(format!("f3b8c7a2-5d1e-4c9f-8a6b-{name}")),
            sid: Some(format!("0e9d2c4b-7f6a-4b3c-9d8e-{name}")),
            client_id: Some("web".to_owned()),
            expires_at: Some(self.0.now().plus(Duration::from_secs(3600))),
            recheck_at: None,
            issued_at: Some(self.0.now()),
            auth_time: Some(self.0.now()),
            was_asked_about: true,
            key: None,
            service_client: None,
        })
    }
}

/// Everybody is there, in so many groups.
#[derive(Debug)]
struct Everybody {
    groups: usize,
}

#[async_trait]
impl UserDirectory for Everybody {
    async fn find(&self, key: &AccountKey) -> Result<Option<Account>, DirectoryError> {
        let AccountKey::Username(name) = key else {
            return Ok(None);
        };
        let group = |number: usize| Group {
            id: format!("7b1d4e5c-2a3f-4f60-9c81-{number:012}"),
            name: format!("department-{number}"),
        };
        Ok(Some(Account {
            id: format!("c0ffee00-1234-4abc-9def-{name}"),
            username: name.clone(),
            aliases: Vec::new(),
            display_name: format!("Person Number {name}"),
            mail: Some(format!("{name}@cloud.example.org")),
            user_type: UserType::Member,
            enabled: true,
            groups: (1..=self.groups).map(group).collect(),
            role: Some(StoredRole::Known(Role::User)),
            identities: Vec::new(),
            tenant: None,
            uid_number: None,
            gid_number: None,
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
