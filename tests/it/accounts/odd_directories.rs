//! Directories that are not as a textbook has them (issue 15, C), over a real slapd and over scripted servers.

use davgate::door::accounts::{
    AccountChange, AccountError, AccountKey, Created, DirectoryError, Provisioner, UserDirectory,
};
use davgate::door::config::accounts::Ldap;
use davgate::door::model::{ExternalIdentity, Reason, Role, StoredRole};
use serde_json::json;

use super::faults::{directory, made, mara, new_account};
use super::logins::{Outcome, Process};
use super::wire::{FakeServer, SEARCH, result};
use crate::support::slapd::{self, Slapd, USERS};

/// A person whom an administrator made.
const PERSON: &[(&str, &[&str])] = &[
    ("objectClass", &["inetOrgPerson", "openCloudUser"]),
    ("uid", &["mara"]),
    ("cn", &["mara"]),
    ("sn", &["mara"]),
    ("openCloudUUID", &["11111111-1111-4111-8111-111111111111"]),
];

fn person<'a>(changes: &[(&'a str, &'a [&'a str])]) -> Vec<(&'a str, &'a [&'a str])> {
    let mut attributes: Vec<(&str, &[&str])> = PERSON.to_vec();
    for change in changes {
        attributes.retain(|(name, _)| name != &change.0);
        attributes.push(*change);
    }
    attributes
}

#[tokio::test]
async fn issue_15_16_references_to_other_servers_are_no_trouble() {
    let server = Slapd::start().await;
    let referral: &[(&str, &[&str])] = &[
        ("objectClass", &["referral", "extensibleObject"]),
        ("ou", &["elsewhere"]),
        ("ref", &["ldap://127.0.0.1:1/dc=elsewhere,dc=test"]),
    ];
    server.add(&format!("ou=elsewhere,{USERS}"), referral).await;
    for write_enabled in [true, false] {
        let directory = directory(Ldap {
            write_enabled,
            ..slapd::settings(&server.uri())
        });
        assert_eq!(directory.find(&mara()).await.unwrap(), None);
        assert_eq!(directory.hidden(&[mara()]).await.unwrap(), None);
    }
    let writer = directory(slapd::settings(&server.uri()));
    let account = made(&writer, "mara").await;
    assert_eq!(writer.find(&mara()).await.unwrap().unwrap().id, account.id);
    // A base that is elsewhere as a whole is another matter.
    let elsewhere = FakeServer::start(|tag| match tag {
        SEARCH => vec![result(SEARCH, 10)],
        tag => vec![result(tag, 0)],
    })
    .await;
    let outcome = directory(slapd::settings(&elsewhere.uri))
        .find(&mara())
        .await;
    assert!(
        matches!(outcome, Err(DirectoryError::Unusable(_))),
        "{outcome:?}"
    );
}

const FILTERS: [&str; 3] = [
    "(employeeNumber=cloud)",
    "(&(objectClass=inetOrgPerson)(employeeNumber=*))",
    "(!(!(employeeNumber=cl*d)))",
];

#[tokio::test]
async fn issue_15_17_a_person_whom_the_filter_hides_is_refused_and_nothing_is_made() {
    for filter in FILTERS {
        let server = Slapd::start().await;
        server.add(&format!("cn=Mara K,{USERS}"), PERSON).await;
        let process = Process::with(&server, &[("OC_LDAP_USER_FILTER", filter)]);
        let claims = json!({"preferred_username": "mara", "roles": ["opencloudUser"]});
        for _ in 0..2 {
            assert_eq!(
                process.refusal("s1", &claims).await,
                Reason::AccountExcluded,
                "{filter}"
            );
        }
        let off = Process::with(
            &server,
            &[
                ("OC_LDAP_USER_FILTER", filter),
                ("PROXY_AUTOPROVISION_ACCOUNTS", "false"),
            ],
        );
        assert_eq!(
            off.refusal("s1", &claims).await,
            Reason::AccountExcluded,
            "{filter}"
        );
        assert_eq!(server.entries(USERS).await.len(), 1);
        // A new person whose entry would not match: before anything is made.
        let new = json!({"preferred_username": "new", "roles": ["opencloudUser"]});
        assert_eq!(
            process.refusal("s2", &new).await,
            Reason::AccountExcluded,
            "{filter}"
        );
        assert_eq!(server.entries(USERS).await.len(), 1);
        let dn = format!("cn=Mara K,{USERS}");
        server.replace(&dn, "employeeNumber", &["cloud"]).await;
        process.let_in("s1", &claims).await;
    }
}

#[tokio::test]
async fn issue_15_17_what_only_the_server_can_judge_is_looked_at_after_the_write() {
    let server = Slapd::start().await;
    let filter = "(&(uid=*)(createTimestamp<=19700101000000Z))";
    let process = Process::with(&server, &[("OC_LDAP_USER_FILTER", filter)]);
    let claims = json!({"preferred_username": "mara", "roles": ["opencloudUser"]});
    for _ in 0..2 {
        assert_eq!(
            process.refusal("s1", &claims).await,
            Reason::AccountExcluded
        );
    }
    assert_eq!(
        server.entries(USERS).await.len(),
        1,
        "made once, and seen to be hidden"
    );
    let fits = "(&(uid=*)(createTimestamp>=19700101000000Z))";
    Process::with(&server, &[("OC_LDAP_USER_FILTER", fits)])
        .let_in(
            "s2",
            &json!({"preferred_username": "alan", "roles": ["opencloudUser"]}),
        )
        .await;
}

#[tokio::test]
async fn issue_15_17_a_name_that_something_else_has_is_told_at_once() {
    let server = Slapd::start().await;
    let account: &[(&str, &[&str])] = &[
        ("objectClass", &["account", "simpleSecurityObject"]),
        ("uid", &["mara"]),
        ("userPassword", &["x"]),
    ];
    server.add(&format!("uid=mara,{USERS}"), account).await;
    let outcome = directory(slapd::settings(&server.uri()))
        .create(&new_account("mara"))
        .await;
    match outcome {
        Err(DirectoryError::Excluded(why)) => {
            assert!(why.contains("OC_LDAP_USER_OBJECTCLASS"), "{why}")
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn issue_15_18_a_user_name_is_any_of_the_values() {
    let server = Slapd::start().await;
    let names: &[&str] = &["mara", "mara.k", "M\u{e4}ra"];
    server
        .add(&format!("cn=Mara K,{USERS}"), &person(&[("uid", names)]))
        .await;
    let process = Process::start(&server);
    let login = |name: &str| json!({"preferred_username": name, "roles": ["opencloudUser"]});
    let (first, _) = process.let_in("s1", &login("mara.k")).await;
    for name in ["mara", "MARA.K", "Ma\u{308}ra"] {
        let (account, _) = process.let_in("s1", &login(name)).await;
        assert_eq!(
            (&account.id, &account.username),
            (&first.id, &first.username),
            "{name}"
        );
    }
    assert_eq!(server.entries(USERS).await.len(), 1);
}

#[tokio::test]
async fn issue_15_18_somebody_elses_data_in_a_read_only_directory_is_no_role() {
    let server = Slapd::start().await;
    for (values, of_writable) in [
        (&["Contractor"][..], false),
        (&["admin", "Staff"], false),
        (&["user"], true),
    ] {
        let dn = format!("cn=Mara K,{USERS}");
        let mut admin = server.admin().await;
        let _ = admin.delete(&dn).await.unwrap();
        server.add(&dn, &person(&[("employeeType", values)])).await;
        let claims = json!({"preferred_username": "mara", "roles": ["opencloudSpaceAdmin"]});
        let writer = Process::start(&server);
        match writer.login("s1", &claims).await {
            Outcome::In(..) => assert!(of_writable, "{values:?}"),
            Outcome::Out(reason) => {
                assert!(!of_writable, "{values:?}");
                assert_eq!(reason, Reason::RoleAttributeForeign);
            }
        }
        let reader = Process::with(&server, &[("PROXY_AUTOPROVISION_ACCOUNTS", "false")]);
        let (_, role) = reader.let_in("s1", &claims).await;
        assert_eq!(role, Role::SpaceAdmin, "{values:?}");
    }
}

#[tokio::test]
async fn issue_14_9_an_identity_of_a_former_issuer_is_replaced_by_one_conditional_modify() {
    let server = Slapd::start().await;
    let directory = directory(slapd::settings(&server.uri()));
    let identity = |issuer: &str, subject: &str| ExternalIdentity {
        issuer: issuer.to_owned(),
        subject: subject.to_owned(),
    };
    let (old, other) = (
        identity("https://old.test", "o1"),
        identity("https://third.test", "t1"),
    );
    let mut new = new_account("mara");
    new.identity = Some(old.clone());
    let Ok(Created::New(account)) = directory.create(&new).await else {
        panic!("not made")
    };
    let dn = format!("uid=mara,{USERS}");
    let values = [" $ https://old.test $ o1", " $ https://third.test $ t1"];
    server
        .replace(&dn, "openCloudExternalIdentity", &values)
        .await;
    let move_to = |subject: &str| AccountChange {
        identity: Some(identity("https://new.test", subject)),
        replaces: vec![old.clone()],
        role: Some(Role::User),
        ..AccountChange::default()
    };
    directory.update(&account, &move_to("n1")).await.unwrap();
    let mut moved = directory.find(&mara()).await.unwrap().unwrap();
    moved.identities.sort_by(|a, b| a.issuer.cmp(&b.issuer));
    assert_eq!(
        moved.identities,
        [identity("https://new.test", "n1"), other]
    );
    assert_eq!(moved.role, Some(StoredRole::Known(Role::User)));
    directory.update(&account, &move_to("n1")).await.unwrap();
    let late = directory.update(&account, &move_to("n2")).await;
    assert!(matches!(late, Err(DirectoryError::Conflict)), "{late:?}");
    let key = AccountKey::Identity(identity("https://new.test", "n1"));
    assert_eq!(directory.find(&key).await.unwrap().unwrap().id, account.id);
}

#[tokio::test]
async fn the_reason_of_a_directorys_refusal_reaches_the_log_line() {
    let error = AccountError::from(DirectoryError::Misconfigured {
        reason: Reason::DirectoryBase,
        detail: "no such object".to_owned(),
    });
    assert_eq!(error.reason(), Reason::DirectoryBase);
    assert!(error.retry_after().is_some());
}
