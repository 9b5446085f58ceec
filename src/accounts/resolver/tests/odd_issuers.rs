//! What odd issuers say about whose account it is: no subject, unverified mail, another address, the built-in provider.

use super::*;

impl World {
    /// A login where nothing is ever written.
    async fn mapped(&self, subject: Option<&str>, claims: Value) -> Result<Account, AccountError> {
        self.with(self.reader(), subject, claims).await
    }

    fn reader(&self) -> Resolver {
        Resolver::new(
            Arc::new(self.directory.clone()),
            None,
            Arc::new(self.accounts.clone()),
        )
    }

    async fn with(
        &self,
        resolver: Resolver,
        subject: Option<&str>,
        claims: Value,
    ) -> Result<Account, AccountError> {
        let claims = Claims(claims.as_object().unwrap().clone());
        let login = LoginFacts {
            issuer: &self.issuer,
            claims: &claims,
            subject,
            client_id: None,
        };
        resolver.resolve(&login).await
    }

    /// An account with these identities.
    async fn owned(&self, name: &str, role: Option<Role>, owners: &[(&str, &str)]) -> Account {
        let identity = |(issuer, subject): &(&str, &str)| ExternalIdentity {
            issuer: (*issuer).to_owned(),
            subject: (*subject).to_owned(),
        };
        let new = NewAccount {
            username: name.to_owned(),
            display_name: name.to_owned(),
            mail: Some(format!("{name}@corp.test")),
            identity: owners.first().map(identity),
            role,
            attributes: vec![],
        };
        match self.directory.create(&new).await {
            Ok(Created::New(account)) => *account,
            other => panic!("{other:?}"),
        }
    }

    async fn identities(&self, name: &str) -> Vec<(String, String)> {
        let key = AccountKey::Username(name.to_owned());
        let account = self.directory.find(&key).await.unwrap().unwrap();
        let pairs = account.identities.into_iter();
        pairs.map(|one| (one.issuer, one.subject)).collect()
    }
}

fn reason(outcome: Result<Account, AccountError>) -> Reason {
    match outcome {
        Err(error @ AccountError::Denied { .. }) => error.reason(),
        other => panic!("no refusal: {other:?}"),
    }
}

fn pair(issuer: &str, subject: &str) -> (String, String) {
    (issuer.to_owned(), subject.to_owned())
}

#[tokio::test]
async fn issue_15_13_without_a_subject_nobody_is_made_and_a_mapping_still_maps() {
    let world = World::new();
    world.given("alan", Some(Role::Admin)).await;
    for claims in [mara(), json!({"preferred_username": "alan"})] {
        let outcome = world.with(world.resolver(), None, claims).await;
        assert_eq!(reason(outcome), Reason::SubjectMissing);
    }
    assert_eq!(world.count(), 1);
    let alan = json!({"preferred_username": "alan"});
    for _ in 0..2 {
        assert_eq!(
            world.mapped(None, alan.clone()).await.unwrap().username,
            "alan"
        );
    }
    assert!(world.identities("alan").await.is_empty());
    let unknown = world.mapped(None, mara()).await;
    assert_eq!(reason(unknown), Reason::AccountUnknown);
}

#[tokio::test]
async fn issue_14_3_an_unverified_address_finds_nobody() {
    let unverified = [json!(false), json!("false"), json!("False")];
    let accepted = [json!(true), json!("true"), json!(null), json!(0)];
    let mail_finds: [fn(&mut Issuer); 3] = [
        |issuer| {
            issuer.user_claim = "email".into();
            issuer.user_lookup = UserLookup::Mail;
        },
        |issuer| issuer.user_claim = "email".into(),
        |issuer| issuer.provision_claims.username = vec!["email".into()],
    ];
    for change in mail_finds {
        for (values, refused) in [(&unverified[..], true), (&accepted[..], false)] {
            for value in values {
                let mut world = World::new();
                change(&mut world.issuer);
                let mut claims = mara();
                claims["email_verified"] = value.clone();
                let outcome = world.login("s1", claims.clone()).await;
                if refused {
                    assert_eq!(reason(outcome), Reason::MailUnverified, "{value}");
                    assert_eq!(world.count(), 0);
                    world.issuer.require_verified_mail = false;
                    world.login("s1", claims).await.unwrap();
                } else {
                    outcome.unwrap();
                }
            }
        }
    }
    // By its identity an account is found whatever the address.
    let mut world = World::new();
    world.login("s1", mara()).await.unwrap();
    world.issuer.user_lookup = UserLookup::Mail;
    world.issuer.user_claim = "email".into();
    let mut claims = mara();
    claims["email_verified"] = json!(false);
    world.login("s1", claims.clone()).await.unwrap();
    assert_eq!(
        world.refused("s2", claims.clone()).await,
        Reason::MailUnverified
    );
    assert_eq!(
        reason(world.mapped(None, claims).await),
        Reason::MailUnverified
    );
}

#[tokio::test]
async fn issue_14_9_an_account_of_a_former_issuer_moves_once_and_no_other_does() {
    const OLD: &str = "https://old.test";
    let mut world = World::new();
    world.owned("mara", Some(Role::Admin), &[(OLD, "o1")]).await;
    let refusal = world.login("s1", mara()).await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::IdentityConflict);
    let line = refusal.to_string();
    for told in [OLD, "o1", ISSUER, "s1", "PROXY_ACCOUNT_FORMER_ISSUERS"] {
        assert!(line.contains(told), "{told} is not in {line}");
    }
    world.accounts.former_issuers = vec!["https://older.test".to_owned()];
    assert_eq!(world.refused("s1", mara()).await, Reason::IdentityConflict);
    world.accounts.former_issuers.push(OLD.to_owned());
    let account = world.login("s1", mara()).await.unwrap();
    assert_eq!(world.identities("mara").await, [pair(ISSUER, "s1")]);
    assert_eq!(world.login("s1", mara()).await.unwrap().id, account.id);
    // Once: whoever has the name now is somebody else.
    assert_eq!(world.refused("s2", mara()).await, Reason::IdentityConflict);
    let line = world.login("s2", mara()).await.unwrap_err().to_string();
    assert!(line.contains("pairwise"), "{line}");
    assert_eq!(world.count(), 1);
}

#[tokio::test]
async fn issue_14_9_of_logins_at_once_one_takes_the_account_over() {
    let mut world = World::new();
    world.accounts.former_issuers = vec!["https://old.test".to_owned()];
    world
        .owned("mara", None, &[("https://old.test", "o1")])
        .await;
    let logins = ["s1", "s2", "s3", "s1"].map(|subject| world.login(subject, mara()));
    let outcomes = futures_util::future::join_all(logins).await;
    let owners = world.identities("mara").await;
    assert_eq!(owners.len(), 1);
    for (subject, outcome) in ["s1", "s2", "s3", "s1"].into_iter().zip(outcomes) {
        assert_eq!(
            outcome.is_ok(),
            owners[0].1 == subject,
            "{subject}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn with_provisioning_off_the_user_claim_is_the_operators_mapping() {
    let mut world = World::new();
    world
        .owned("mara", None, &[("https://old.test", "o1")])
        .await;
    world.owned("alan", None, &[(ISSUER, "a1")]).await;
    assert_eq!(
        world.mapped(Some("s1"), mara()).await.unwrap().username,
        "mara"
    );
    assert_eq!(
        world.identities("mara").await,
        [pair("https://old.test", "o1")]
    );
    let alan = json!({"preferred_username": "alan"});
    assert_eq!(
        world
            .mapped(Some("a1"), alan.clone())
            .await
            .unwrap()
            .username,
        "alan"
    );
    let another = world.mapped(Some("a2"), alan).await;
    assert_eq!(
        reason(another),
        Reason::IdentityConflict,
        "somebody else of the same issuer"
    );
    // Of several issuers only one may go by names.
    world.issuer.claim_by_name = ClaimByName::Never;
    let foreign = world.mapped(Some("s1"), mara()).await;
    assert_eq!(reason(foreign), Reason::IdentityConflict);
}

#[tokio::test]
async fn the_built_in_provider_names_the_account_itself() {
    let world = World::new();
    let ines = world.owned("ines", Some(Role::Admin), &[]).await;
    let claims = |id: &str| json!({"preferred_username": "ines", "lg.t": "1", "lg.i": {"id": id, "un": "ines"}});
    // An administrator's entry is nobody's by its name alone, but the id says it.
    assert_eq!(
        world.refused("s", claims("another")).await,
        Reason::AccountUnclaimed
    );
    let account = world.login("derived@1", claims(&ines.id)).await.unwrap();
    assert_eq!(account.id, ines.id);
    assert_eq!(
        world.login("derived@2", claims(&ines.id)).await.unwrap().id,
        ines.id
    );
    // What is written for a new account is the id, not the derived subject.
    let mut new = claims("uid=new,ou=users");
    new["preferred_username"] = json!("new");
    world.login("derived@3", new).await.unwrap();
    assert_eq!(
        world.identities("new").await,
        [pair(ISSUER, "uid=new,ou=users")]
    );
}

#[tokio::test]
async fn issue_15_10_unprivileged_is_who_holds_neither_admin_nor_spaceadmin() {
    use ClaimByName::{Always, Never, Unprivileged};
    for (rule, role, may_claim) in [
        (Unprivileged, None, true),
        (Unprivileged, Some(Role::User), true),
        (Unprivileged, Some(Role::UserLight), true),
        (Unprivileged, Some(Role::SpaceAdmin), false),
        (Unprivileged, Some(Role::Admin), false),
        (Never, None, false),
        (Never, Some(Role::User), false),
        (Always, Some(Role::Admin), true),
        (Always, None, true),
    ] {
        let mut world = World::new();
        world.issuer.claim_by_name = rule;
        world.given("mara", role).await;
        let outcome = world.login("s1", mara()).await;
        if may_claim {
            outcome.unwrap();
            assert_eq!(world.identities("mara").await, [pair(ISSUER, "s1")]);
            assert_eq!(world.refused("s2", mara()).await, Reason::IdentityConflict);
        } else {
            assert_eq!(
                reason(outcome),
                Reason::AccountUnclaimed,
                "{rule:?} {role:?}"
            );
            assert!(world.identities("mara").await.is_empty());
        }
    }
}
