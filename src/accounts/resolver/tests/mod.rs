//! The resolver over the embedded backend, and over one that fails.

mod odd_issuers;
mod tenants;

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::*;
use crate::accounts::embedded::EmbeddedDirectory;
use crate::accounts::{Capabilities, Created, DirectoryError, GroupReport, GroupSync};
use crate::config::accounts::{
    AccountBackend, ProvisionClaims, RoleAssignment, RoleSync, UsernameMatch,
};
use crate::config::oidc::ClaimByName;
use crate::config::oidc::{ClaimsMerge, Issuer, Jwks, VerifyMethod};
use crate::model::{Claims, Role};

const ISSUER: &str = "https://idp.test";

pub(in crate::accounts) fn issuer() -> Issuer {
    Issuer {
        issuer: ISSUER.to_owned(),
        insecure: false,
        verify_method: VerifyMethod::Jwt,
        skip_user_info: true,
        jwks: Jwks {
            refresh_interval: Duration::from_secs(3600),
            refresh_timeout: Duration::from_secs(10),
            refresh_limit: Duration::from_secs(60),
            refresh_unknown_kid: true,
        },
        user_info_ttl: Duration::from_secs(10),
        client: None,
        verify_aud: vec![],
        audiences: vec![],
        access_token_types: vec![],
        service_clients: vec!["sync".to_owned()],
        require_verified_mail: true,
        logout_audiences: vec![],
        require_exp: true,
        leeway: Duration::from_secs(5),
        required_claims: vec![],
        allow_claims: vec![],
        claims_merge: ClaimsMerge::UserinfoWins,
        userinfo_sub_check: true,
        backchannel_url: None,
        introspection_url: None,
        accept_bound_tokens: false,
        user_claim: "preferred_username".into(),
        user_lookup: UserLookup::Username,
        provision_claims: ProvisionClaims {
            username: vec!["preferred_username".into(), "upn".into()],
            email: vec!["email".into()],
            display_name: vec!["name".into()],
            groups: vec!["groups".into()],
            group_id: None,
            groups_absent: crate::config::accounts::GroupsAbsent::Keep,
        },
        role_assignment: RoleAssignment::Default,
        claim_by_name: ClaimByName::Unprivileged,
    }
}

fn accounts() -> Accounts {
    Accounts {
        backend: AccountBackend::Embedded {
            database: "unused".into(),
        },
        provision: true,
        provisioner: crate::config::accounts::ProvisionBackend::Account,
        role_store: crate::config::accounts::RoleStoreKind::Account,
        username_match: UsernameMatch::Default,
        tenancy: None,
        adopt_groups: false,
        former_issuers: vec![],
        create_groups: true,
        attributes: vec![("preferredLanguage".to_owned(), "locale".into())],
        role_sync: RoleSync::Always,
        bootstrap_admin: None,
        service_clients: vec![ServiceClient {
            client_id: "sync".to_owned(),
            username: "robot".to_owned(),
            role: Role::SpaceAdmin,
        }],
        cache_ttl: Duration::from_secs(30),
        max_stale: Duration::from_secs(3600),
    }
}

/// One backend in a folder of its own, with the settings a test may change.
struct World {
    folder: std::path::PathBuf,
    directory: EmbeddedDirectory,
    issuer: Issuer,
    accounts: Accounts,
}

impl World {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("davgate-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        Self {
            directory: EmbeddedDirectory::open(&folder.join("accounts.db")).unwrap(),
            folder,
            issuer: issuer(),
            accounts: accounts(),
        }
    }

    fn resolver(&self) -> Resolver {
        Resolver::new(
            Arc::new(self.directory.clone()),
            Some(Arc::new(self.directory.clone())),
            Arc::new(self.accounts.clone()),
        )
    }

    async fn login(&self, subject: &str, claims: Value) -> Result<Account, AccountError> {
        self.login_as(subject, claims, None).await
    }

    async fn login_as(
        &self,
        subject: &str,
        claims: Value,
        client_id: Option<&str>,
    ) -> Result<Account, AccountError> {
        let claims = Claims(claims.as_object().unwrap().clone());
        self.resolver()
            .resolve(&LoginFacts {
                issuer: &self.issuer,
                claims: &claims,
                subject: Some(subject),
                client_id,
            })
            .await
    }

    async fn refused(&self, subject: &str, claims: Value) -> Reason {
        let refusal = self.login(subject, claims).await.unwrap_err();
        assert!(
            matches!(refusal, AccountError::Denied { .. }),
            "{refusal:?}"
        );
        refusal.reason()
    }

    /// An account that an administrator made, without identity.
    async fn given(&self, name: &str, role: Option<Role>) {
        let new = NewAccount {
            username: name.to_owned(),
            display_name: name.to_owned(),
            mail: Some(format!("{name}@corp.test")),
            identity: None,
            role,
            attributes: vec![],
        };
        assert!(matches!(
            self.directory.create(&new).await,
            Ok(Created::New(_))
        ));
    }

    fn count(&self) -> usize {
        crate::accounts::embedded::admin::list(&self.folder.join("accounts.db"))
            .unwrap()
            .len()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn mara() -> Value {
    json!({"preferred_username": "mara", "name": "Mara K", "email": "mara@corp.test", "groups": ["crew"]})
}

#[tokio::test]
async fn a_first_login_makes_the_account_with_its_groups() {
    let world = World::new();
    let account = world.login("s1", mara()).await.unwrap();
    assert_eq!(account.username, "mara");
    assert_eq!(account.display_name, "Mara K");
    assert_eq!(account.mail.as_deref(), Some("mara@corp.test"));
    assert_eq!(account.groups.len(), 1);
    assert_eq!(account.identities.len(), 1);
    assert_eq!(world.login("s1", mara()).await.unwrap(), account);
}

#[tokio::test]
async fn changed_claims_are_written_and_missing_ones_change_nothing() {
    let world = World::new();
    world.login("s1", mara()).await.unwrap();
    let mut claims = mara();
    claims["name"] = json!("Mara Kay");
    claims["groups"] = Value::Null;
    claims["email"] = json!("mara@new.test");
    let account = world.login("s1", claims).await.unwrap();
    assert_eq!(account.display_name, "Mara Kay");
    assert_eq!(account.mail.as_deref(), Some("mara@new.test"));
    assert_eq!(account.groups.len(), 1, "a null claim changes nothing");
    let bare = world
        .login("s1", json!({"preferred_username": "mara"}))
        .await
        .unwrap();
    assert_eq!(bare, account);
    let none = world
        .login("s1", json!({"preferred_username": "mara", "groups": []}))
        .await;
    assert!(none.unwrap().groups.is_empty());
}

#[tokio::test]
async fn row_103_a_rename_keeps_the_account_and_another_identity_is_refused() {
    let world = World::new();
    let before = world.login("s1", mara()).await.unwrap();
    let mut renamed = mara();
    renamed["preferred_username"] = json!("mara.new");
    assert_eq!(world.login("s1", renamed).await.unwrap().id, before.id);
    assert_eq!(world.refused("s2", mara()).await, Reason::IdentityConflict);
    assert_eq!(
        world.refused("S1", mara()).await,
        Reason::IdentityConflict,
        "case matters"
    );
    assert_eq!(world.count(), 1);
}

#[tokio::test]
async fn row_99_look_alikes_never_make_a_second_account_nor_enter_the_first() {
    let mut world = World::new();
    world.accounts.username_match = UsernameMatch::None;
    world.given("admin", Some(Role::User)).await;
    for name in ["ａdmin", "admin ", "ＡＤＭＩＮ"] {
        let claims = json!({ "preferred_username": name });
        assert_eq!(
            world.refused("evil", claims).await,
            Reason::ClaimCharset,
            "{name:?}"
        );
    }
    for name in ["ad\u{202e}min", "admin\u{200b}", "admin\n"] {
        let claims = json!({ "preferred_username": name });
        assert_eq!(
            world.refused("evil", claims).await,
            Reason::ClaimCharset,
            "{name:?}"
        );
    }
    let same = world
        .login("s1", json!({"preferred_username": "ADMIN"}))
        .await
        .unwrap();
    assert_eq!(same.username, "admin");
    assert_eq!(world.count(), 1);
}

#[tokio::test]
async fn an_account_without_identity_is_claimed_once_and_only_if_unprivileged() {
    let world = World::new();
    world.given("mara", Some(Role::User)).await;
    world.given("root", Some(Role::Admin)).await;
    world.given("spaces", Some(Role::SpaceAdmin)).await;
    let claimed = world.login("s1", mara()).await.unwrap();
    assert_eq!(claimed.identities.len(), 1);
    assert_eq!(world.refused("s2", mara()).await, Reason::IdentityConflict);
    for name in ["root", "spaces"] {
        let claims = json!({ "preferred_username": name });
        assert_eq!(world.refused("s3", claims).await, Reason::AccountUnclaimed);
    }
}

#[tokio::test]
async fn claiming_by_name_can_be_forbidden_or_allowed_for_everybody() {
    let mut world = World::new();
    world.given("mara", None).await;
    world.given("root", Some(Role::Admin)).await;
    world.issuer.claim_by_name = ClaimByName::Never;
    assert_eq!(world.refused("s1", mara()).await, Reason::AccountUnclaimed);
    world.issuer.claim_by_name = ClaimByName::Always;
    world
        .login("s2", json!({"preferred_username": "root"}))
        .await
        .unwrap();
}

#[tokio::test]
async fn with_provisioning_off_a_match_is_the_operators_and_nothing_is_written() {
    let mut world = World::new();
    world.given("root", Some(Role::Admin)).await;
    world.accounts.provision = false;
    let account = world
        .login(
            "s1",
            json!({"preferred_username": "root", "name": "Changed", "groups": ["x"]}),
        )
        .await
        .unwrap();
    assert_eq!(account.display_name, "root");
    assert!(account.identities.is_empty() && account.groups.is_empty());
    assert_eq!(world.refused("s1", mara()).await, Reason::AccountUnknown);
}

#[tokio::test]
async fn row_101_missing_and_mistyped_user_claims_are_refused_by_name() {
    let world = World::new();
    assert_eq!(
        world.refused("s", json!({})).await,
        Reason::UserClaimMissing
    );
    assert_eq!(
        world
            .refused("s", json!({"preferred_username": null}))
            .await,
        Reason::UserClaimMissing
    );
    for value in [json!(1), json!(true), json!({}), json!(["mara"])] {
        let claims = json!({ "preferred_username": value });
        assert_eq!(world.refused("s", claims).await, Reason::ClaimType);
    }
    assert_eq!(world.refused("a$b", mara()).await, Reason::ClaimCharset);
    assert_eq!(world.refused("a\u{1}b", mara()).await, Reason::ClaimCharset);
    assert_eq!(
        world
            .refused("s", json!({"preferred_username": "4711"}))
            .await,
        Reason::ClaimCharset
    );
    assert_eq!(world.count(), 0);
}

#[tokio::test]
async fn row_102_a_bad_optional_claim_does_not_block_the_login() {
    let world = World::new();
    let account = world
        .login("s1", json!({"preferred_username": "mara", "name": "x".repeat(1 << 20), "email": "a@b\ncc:", "locale": ["de"]}))
        .await
        .unwrap();
    assert_eq!(account.display_name, "mara");
    assert_eq!(account.mail, None);
}

#[tokio::test]
async fn row_107_fifty_first_logins_at_once_make_one_account() {
    let world = World::new();
    let logins = (0..50).map(|_| world.login("s1", mara()));
    let accounts = futures_util::future::join_all(logins).await;
    let first = accounts[0].as_ref().unwrap().id.clone();
    for account in accounts {
        assert_eq!(account.unwrap().id, first);
    }
    assert_eq!(world.count(), 1);
}

#[tokio::test]
async fn a_disabled_account_is_refused() {
    let world = World::new();
    world.login("s1", mara()).await.unwrap();
    crate::accounts::embedded::admin::set_enabled(&world.folder.join("accounts.db"), "mara", false)
        .unwrap();
    assert_eq!(world.refused("s1", mara()).await, Reason::AccountDisabled);
}

#[tokio::test]
async fn a_service_clients_own_token_is_its_user() {
    let world = World::new();
    let account = world
        .login_as("sync", json!({}), Some("sync"))
        .await
        .unwrap();
    assert_eq!(account.username, "robot");
    let unknown = world.login_as("s1", mara(), Some("other")).await.unwrap();
    assert_eq!(unknown.username, "mara");
}

#[tokio::test]
async fn two_accounts_of_one_mail_address_refuse_the_login() {
    let mut world = World::new();
    world.issuer.user_lookup = UserLookup::Mail;
    world.issuer.user_claim = "email".into();
    world.given("mara", None).await;
    let twin = NewAccount {
        username: "mara2".to_owned(),
        display_name: "twin".to_owned(),
        mail: Some("MARA@corp.test".to_owned()),
        identity: None,
        role: None,
        attributes: vec![],
    };
    world.directory.create(&twin).await.unwrap();
    assert_eq!(world.refused("s1", mara()).await, Reason::AccountAmbiguous);
}

/// A directory that cannot be asked, and must not be written to then.
#[derive(Debug)]
struct Broken;

#[async_trait]
impl UserDirectory for Broken {
    async fn find(&self, _: &AccountKey) -> Result<Option<Account>, DirectoryError> {
        Err(DirectoryError::Unavailable("refused".to_owned()))
    }
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            finds_identities: true,
            writes: true,
        }
    }
    async fn probe(&self) -> Result<(), DirectoryError> {
        Err(DirectoryError::Unavailable("refused".to_owned()))
    }
}

#[async_trait]
impl Provisioner for Broken {
    async fn create(&self, _: &NewAccount) -> Result<Created, DirectoryError> {
        panic!("an account was made although the look-up failed")
    }
    async fn update(&self, _: &Account, _: &AccountChange) -> Result<(), DirectoryError> {
        panic!("an account was changed although the look-up failed")
    }
    async fn sync_groups(&self, _: &Account, _: &GroupSync) -> Result<GroupReport, DirectoryError> {
        panic!("groups were changed although the look-up failed")
    }
    async fn rehearse(&self, _: &NewAccount) -> Result<(), DirectoryError> {
        Ok(())
    }
    async fn rehearse_update(
        &self,
        _: &Account,
        _: &AccountChange,
    ) -> Result<Vec<String>, DirectoryError> {
        Ok(Vec::new())
    }
    async fn rehearse_groups(
        &self,
        _: &Account,
        _: &GroupSync,
    ) -> Result<GroupReport, DirectoryError> {
        Ok(GroupReport::default())
    }
}

#[tokio::test]
async fn nobody_is_provisioned_because_a_look_up_failed() {
    let (issuer, claims) = (issuer(), Claims(mara().as_object().unwrap().clone()));
    let error = Resolver::new(
        Arc::new(Broken),
        Some(Arc::new(Broken)),
        Arc::new(accounts()),
    )
    .resolve(&LoginFacts {
        issuer: &issuer,
        claims: &claims,
        subject: Some("s1"),
        client_id: None,
    })
    .await
    .unwrap_err();
    assert_eq!(error.reason(), Reason::DirectoryUnavailable);
    assert!(error.retry_after().is_some());
}
