//! Whom tenants let in.

use super::*;
use crate::config::accounts::Tenancy;

#[tokio::test]
async fn with_tenants_nobody_enters_without_theirs() {
    let mut world = World::new();
    let tenancy = |claim: &str| Tenancy {
        attribute: "preferredLanguage".to_owned(),
        claim: Some(claim.into()),
        is_external: false,
    };
    // A new account gets its tenant by a claim, or is not made.
    world.accounts.tenancy = Some(tenancy("org"));
    for claims in [
        json!({}),
        json!({"locale": "t-7"}),
        json!({"locale": "t-7", "org": "t-8"}),
    ] {
        let mut person = mara();
        person
            .as_object_mut()
            .unwrap()
            .extend(claims.as_object().unwrap().clone());
        assert_eq!(
            world.refused("s1", person).await,
            Reason::TenantMismatch,
            "{claims}"
        );
    }
    assert!(
        world
            .directory
            .find(&AccountKey::Username("mara".into()))
            .await
            .unwrap()
            .is_none()
    );
    let mut person = mara();
    person["locale"] = json!("t-7");
    person["org"] = json!("t-7");
    world.login("s1", person.clone()).await.unwrap();
    // Embedded accounts keep none, so the next login finds it without.
    assert_eq!(world.refused("s1", person).await, Reason::TenantMismatch);
}
