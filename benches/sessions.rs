//! `cargo run --release --example sessions [COUNT]`: bytes that a session of a user with five groups takes, by the
//! process's resident memory, beside what the cache believes (design.md 4: at most 2 KiB, indexes included).
//!
//! Everything but issuer and directory is the gateway's own: loader, minted token, cache, indexes, account states.

use std::io::Write as _;
use std::sync::Arc;

use async_trait::async_trait;
use davgate::accounts::{AccountKey, DirectoryError, Resolver, UserDirectory};
use davgate::auth::{AuthError, Authenticator, BearerToken, Login};
use davgate::config::{Config, LoadOptions};
use davgate::identity::Minter;
use davgate::model::{Account, Claims, Clock, Group, Role, StoredRole, UserType};
use davgate::session::Digester;
use davgate::session::loader::{LiveAccounts, Loader, Rules};
use davgate::session::store::Sessions;
use serde_json::json;

/// Every token is a user's name; its login has a `sub`, a `sid` and an expiry, as real ones do.
#[derive(Debug)]
struct AnyToken(Clock);

#[async_trait]
impl Authenticator for AnyToken {
    async fn authenticate(&self, token: &BearerToken) -> Result<Login, AuthError> {
        let name = token.reveal();
        let claims = json!({"preferred_username": name, "roles": ["opencloudUser"]});
        Ok(Login {
            issuer: 0,
            claims: Claims(claims.as_object().cloned().unwrap_or_default()),
            subject: Some(format!("f3b8c7a2-5d1e-4c9f-8a6b-{name}")),
            sid: Some(format!("0e9d2c4b-7f6a-4b3c-9d8e-{name}")),
            client_id: Some("web".to_owned()),
            expires_at: Some(self.0.now().plus(std::time::Duration::from_secs(3600))),
            recheck_at: None,
            issued_at: Some(self.0.now()),
            auth_time: Some(self.0.now()),
            key_thumbprint: None,
        })
    }
}

/// Everybody is there, in five groups.
#[derive(Debug)]
struct Everybody;

#[async_trait]
impl UserDirectory for Everybody {
    async fn find(&self, key: &AccountKey) -> Result<Option<Account>, DirectoryError> {
        let AccountKey::Username(name) = key else {
            return Ok(None);
        };
        let group = |number: u32| Group {
            id: format!("7b1d4e5c-2a3f-4f60-9c81-00000000000{number}"),
            name: format!("department-{number}"),
        };
        Ok(Some(Account {
            id: format!("c0ffee00-1234-4abc-9def-{name}"),
            username: name.clone(),
            display_name: format!("Person Number {name}"),
            mail: Some(format!("{name}@cloud.example.org")),
            user_type: UserType::Member,
            enabled: true,
            groups: (1..=5).map(group).collect(),
            role: Some(StoredRole::Known(Role::User)),
            identities: Vec::new(),
            uid_number: None,
            gid_number: None,
        }))
    }

    async fn probe(&self) -> Result<(), DirectoryError> {
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count = std::env::args().nth(1).map_or(Ok(200_000), |n| n.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(fill(count))
}

async fn fill(count: u64) -> Result<(), Box<dyn std::error::Error>> {
    let vars = [
        ("PROXY_ACCOUNT_BACKEND_TYPE", "embedded"),
        ("PROXY_JWT_SECRET", "0123456789abcdef0123456789abcdef"),
        ("PROXY_AUTOPROVISION_ACCOUNTS", "false"),
        ("OC_CONFIG_DIR", "/nonexistent"),
        ("OC_BASE_DATA_PATH", "/nonexistent"),
    ];
    let loaded = Config::load(&LoadOptions::default(), &vars).map_err(|e| e.to_string())?;
    let mut config = loaded.config;
    config.sessions.cache_bytes = 1 << 40;
    let clock = Clock::system();
    let directory: Arc<dyn UserDirectory> = Arc::new(Everybody);
    let loader = Loader {
        authenticator: Arc::new(AnyToken(clock.clone())),
        resolver: Resolver::new(
            Arc::clone(&directory),
            None,
            Arc::new(config.accounts.clone()),
        ),
        directory,
        minter: Minter::new(&config.identity),
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
    let before = resident()?;
    for number in 0..count {
        let token = BearerToken::new(format!("{number:012}"));
        let digest = digester.token(&token);
        sessions
            .obtain(digest, &token)
            .await
            .map_err(|error| error.to_string())?;
    }
    // The cache counts at its housekeeping.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let _ = sessions.cached(&digester.token(&BearerToken::new("nobody")));
    let measured = (resident()? - before) as f64 / count as f64;
    let (entries, weight) = sessions.size();
    writeln!(
        std::io::stdout(),
        "{count} sessions: {measured:.0} bytes each by resident memory; the cache counts {entries} of {:.0} bytes",
        weight as f64 / entries.max(1) as f64
    )?;
    Ok(())
}

/// Bytes.
fn resident() -> std::io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let digits = line.and_then(|line| line.split_whitespace().next());
    Ok(digits
        .and_then(|text| text.parse::<u64>().ok())
        .unwrap_or(0)
        * 1024)
}
