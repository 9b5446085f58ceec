//! Whole logins over a real slapd with OpenCloud's settings: look-up, role, writes.

use std::sync::Arc;

use davgate::door::accounts::ldap::LdapDirectory;
use davgate::door::accounts::{AccountError, LoginFacts, Resolver};
use davgate::door::config::accounts::AccountBackend;
use davgate::door::config::{Config, LoadOptions};
use davgate::door::model::{Account, Claims, Reason, Role, StoredRole};
use davgate::door::roles::RoleRules;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::backends::{Backend, OverLdap};
use crate::support::slapd::{BIND_DN, PASSWORD, Slapd, USERS};

/// One gateway process in front of the directory.
pub(super) struct Process {
    config: Config,
    resolver: Resolver,
}

#[derive(Debug)]
pub(super) enum Outcome {
    In(Box<Account>, Role),
    Out(Reason),
}

impl Process {
    pub(super) fn start(server: &Slapd) -> Self {
        Self::with(server, &[])
    }

    pub(super) fn with(server: &Slapd, more: &[(&str, &str)]) -> Self {
        let uri = server.uri();
        let mut vars = std::collections::HashMap::from(
            [
                ("OC_LDAP_URI", uri.as_str()),
                ("OC_LDAP_BIND_DN", BIND_DN),
                ("OC_LDAP_BIND_PASSWORD", PASSWORD),
                ("PROXY_ACCOUNT_BACKEND_TYPE", "ldap"),
                ("PROXY_JWT_SECRET", "0123456789abcdef0123456789abcdef"),
                ("OC_OIDC_ISSUER", "https://idp.test/realms/harbor"),
                ("PROXY_AUTOPROVISION_ACCOUNTS", "true"),
                ("PROXY_ROLE_ASSIGNMENT_DRIVER", "oidc"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        for (name, value) in more {
            vars.insert((*name).to_owned(), (*value).to_owned());
        }
        let config = Config::load(&LoadOptions::with_yaml(""), &vars)
            .unwrap()
            .config;
        let AccountBackend::Ldap(settings) = &config.accounts.backend else {
            panic!("not LDAP")
        };
        let directory = Arc::new(LdapDirectory::new(settings.as_ref().clone()).unwrap());
        let resolver = Resolver::new(
            Arc::clone(&directory) as _,
            Some(directory),
            Arc::new(config.accounts.clone()),
        );
        Self { config, resolver }
    }

    pub(super) async fn login(&self, subject: &str, claims: &Value) -> Outcome {
        let claims = Claims(claims.as_object().unwrap().clone());
        let issuer = &self.config.issuers[0];
        let login = LoginFacts {
            issuer,
            claims: &claims,
            subject: Some(subject),
            client_id: None,
        };
        let refused = |error: AccountError| Outcome::Out(error.reason());
        let found = match self.resolver.look_up(&login).await {
            Ok(found) => found,
            Err(error) => return refused(error),
        };
        let rules = RoleRules {
            assignment: &issuer.role_assignment,
            sync: self.config.accounts.role_sync,
            bootstrap_admin: None,
            writable: self.resolver.is_writable(),
        };
        let roles = self.resolver.roles();
        let stored = match found.account() {
            Some(account) => roles.stored(account).await.unwrap(),
            None => None,
        };
        let role = match rules.assign(&claims, stored.as_ref(), found.user_type()) {
            Ok(role) => role,
            Err(error) => return Outcome::Out(error.reason()),
        };
        let write = role.write.then_some(role.role);
        let account = match self.resolver.settle(&login, found, write).await {
            Ok(account) => account,
            Err(error) => return refused(error),
        };
        let unwritten = write.filter(|role| account.role != Some(StoredRole::Known(*role)));
        if let Some(role) = unwritten
            && let Err(error) = roles.assign(&account, role).await
        {
            return refused(error.into());
        }
        Outcome::In(Box::new(account), role.role)
    }

    pub(super) async fn let_in(&self, subject: &str, claims: &Value) -> (Account, Role) {
        match self.login(subject, claims).await {
            Outcome::In(account, role) => (*account, role),
            Outcome::Out(reason) => panic!("{reason}"),
        }
    }

    pub(super) async fn refusal(&self, subject: &str, claims: &Value) -> Reason {
        match self.login(subject, claims).await {
            Outcome::Out(reason) => reason,
            Outcome::In(account, _) => panic!("{} was let in", account.username),
        }
    }
}

fn mara() -> Value {
    json!({
        "preferred_username": "mara", "name": "Mara Kay", "email": "mara@harbor.test",
        "roles": ["offline_access", "opencloudSpaceAdmin"], "groups": ["tide-crew", "/fleet/dock~/a"],
    })
}

#[tokio::test]
async fn a_first_login_makes_what_the_contract_lists_and_a_second_one_writes_nothing() {
    let backend = OverLdap::start().await;
    let process = Process::start(&backend.0);
    let (account, role) = process.let_in("s1", &mara()).await;
    assert_eq!((role, account.groups.len()), (Role::SpaceAdmin, 2));
    let entry = &backend.0.entries(USERS).await[0];
    let value = |name: &str| entry.attrs[name][0].as_str();
    assert_eq!(entry.dn, format!("uid=mara,{USERS}"));
    assert_eq!(value("openCloudUUID"), account.id);
    assert_eq!(
        value("openCloudExternalIdentity").trim(),
        "$ https://idp.test/realms/harbor $ s1"
    );
    assert_eq!(
        (
            value("cn"),
            value("sn"),
            value("displayName"),
            value("mail")
        ),
        ("mara", "mara", "Mara Kay", "mara@harbor.test")
    );
    assert_eq!(
        (value("openCloudUserType"), value("employeeType")),
        ("Member", "spaceadmin")
    );
    for class in [
        "inetOrgPerson",
        "organizationalPerson",
        "person",
        "top",
        "openCloudUser",
    ] {
        assert!(
            entry.attrs["objectClass"].contains(&class.to_owned()),
            "{class}"
        );
    }
    let before = backend.fingerprint().await;
    let (again, _) = process.let_in("s1", &mara()).await;
    assert_eq!(again, account);
    assert_eq!(backend.fingerprint().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_107_many_first_logins_on_three_replicas_make_one_entry_and_all_succeed() {
    let backend = OverLdap::start().await;
    let replicas = [
        Process::start(&backend.0),
        Process::start(&backend.0),
        Process::start(&backend.0),
    ];
    let claims = mara();
    let logins = (0..500).map(|n| replicas[n % 3].login("s1", &claims));
    for outcome in join_all(logins).await {
        assert!(matches!(outcome, Outcome::In(..)), "{outcome:?}");
    }
    assert_eq!(backend.count_accounts().await, 1);
    assert_eq!(backend.group_names().await.len(), 2);
    let (account, _) = replicas[0].let_in("s1", &claims).await;
    assert_eq!((account.groups.len(), account.identities.len()), (2, 1));
    assert_eq!(account.role, Some(StoredRole::Known(Role::SpaceAdmin)));
}

#[tokio::test]
async fn row_99_look_alikes_of_an_existing_name_are_refused() {
    let backend = OverLdap::start().await;
    let process = Process::with(&backend.0, &[("GRAPH_USERNAME_MATCH", "none")]);
    let mut claims = mara();
    claims["preferred_username"] = json!("admin");
    process.let_in("s1", &claims).await;
    for name in ["ａdmin", "admin ", " admin", "ＡＤＭＩＮ", "admin\u{200b}"] {
        claims["preferred_username"] = json!(name);
        assert_eq!(
            process.refusal("evil", &claims).await,
            Reason::ClaimCharset,
            "{name:?}"
        );
    }
    claims["preferred_username"] = json!("ADMIN");
    assert_eq!(
        process.refusal("evil", &claims).await,
        Reason::IdentityConflict
    );
    assert_eq!(backend.count_accounts().await, 1);
}

#[tokio::test]
async fn row_98_a_name_with_dn_syntax_lands_directly_under_the_base() {
    let backend = OverLdap::start().await;
    let process = Process::with(&backend.0, &[("GRAPH_USERNAME_MATCH", "none")]);
    let names = [
        "x,ou=admins",
        "a+b",
        "#1",
        "\"q\"",
        "a;b",
        "<c>",
        "d=e",
        " outer ",
    ];
    for (n, name) in names.iter().enumerate() {
        let mut claims = mara();
        claims["preferred_username"] = json!(name);
        let (account, _) = process.let_in(&format!("s{n}"), &claims).await;
        assert_eq!(account.username.trim(), name.trim());
    }
    assert_eq!(backend.count_accounts().await, names.len());
}

#[tokio::test]
async fn nobody_is_made_without_a_role_and_a_foreign_attribute_is_left_alone() {
    let backend = OverLdap::start().await;
    let process = Process::start(&backend.0);
    let mut claims = mara();
    claims["roles"] = json!(["unknown"]);
    assert_eq!(process.refusal("s1", &claims).await, Reason::NoRole);
    assert_eq!(backend.count_accounts().await, 0);
    process.let_in("s1", &mara()).await;
    backend.set_raw_role("mara", "Contractor").await;
    assert_eq!(
        process.refusal("s1", &mara()).await,
        Reason::RoleAttributeForeign
    );
    let entry = &backend.0.entries(USERS).await[0];
    assert_eq!(entry.attrs["employeeType"], ["Contractor"]);
}

#[tokio::test]
async fn row_105_five_hundred_groups_are_joined_and_more_change_nothing() {
    let backend = OverLdap::start().await;
    let process = Process::start(&backend.0);
    let many = |count: usize| -> Value {
        let mut claims = mara();
        claims["groups"] = (0..count).map(|n| format!("cn=group {n},dc=x")).collect();
        claims
    };
    let (account, _) = process.let_in("s1", &many(500)).await;
    assert_eq!(account.groups.len(), 500);
    let before = backend.fingerprint().await;
    for claims in [many(500), many(501)] {
        let (account, _) = process.let_in("s1", &claims).await;
        assert_eq!(account.groups.len(), 500);
    }
    assert_eq!(backend.fingerprint().await, before);
}

#[tokio::test]
async fn with_provisioning_off_nothing_is_written() {
    let backend = OverLdap::start().await;
    Process::start(&backend.0).let_in("s1", &mara()).await;
    backend.set_raw_role("mara", "user").await;
    let before = backend.fingerprint().await;
    let process = Process::with(&backend.0, &[("PROXY_AUTOPROVISION_ACCOUNTS", "false")]);
    let mut claims = mara();
    claims["name"] = json!("Changed");
    claims["groups"] = json!([]);
    let (_, role) = process.let_in("s1", &claims).await;
    assert_eq!(role, Role::SpaceAdmin, "the claim decides, in memory");
    claims["preferred_username"] = json!("stranger");
    assert_eq!(process.refusal("s2", &claims).await, Reason::AccountUnknown);
    assert_eq!(backend.fingerprint().await, before);
}

#[tokio::test]
async fn f9_nobody_is_made_while_the_directory_is_down() {
    let mut backend = OverLdap::start().await;
    let process = Process::start(&backend.0);
    backend.0.stop();
    assert_eq!(
        process.refusal("s1", &mara()).await,
        Reason::DirectoryUnavailable
    );
    backend.0.start_again().await;
    assert_eq!(backend.count_accounts().await, 0);
    process.let_in("s1", &mara()).await;
}
