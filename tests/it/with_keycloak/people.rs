//! What becomes of people at the issuer: another name, out of groups, without a role, disabled, an address that is not verified.

use serde_json::{Value, json};

use super::{Gate, METHOD, WEB, request};
use crate::support::keycloak::Keycloak;

pub(super) async fn issue_14_4_people_are_renamed_leave_groups_and_roles_and_are_disabled(
    keycloak: &Keycloak,
) {
    let leaves = ("PROXY_AUTOPROVISION_GROUPS_ABSENT", "none");
    let gate = Gate::new(keycloak, "people", &[leaves]).await;
    let mara = gate
        .realm
        .person("mara", "opencloudUser", &["crew", "deck"])
        .await;
    let keeping = gate.beside(&[]).await;
    let (_, login) = gate.login("mara").await;
    for gateway in [&gate.gateway, &keeping] {
        let groups = gate.groups(gateway, login.access()).await;
        assert_eq!(groups.as_deref(), Some("crew,deck"));
    }
    let id = gate.account("mara").id;
    // Out of all groups: Keycloak leaves the claim out.
    for group in ["crew", "deck"] {
        let group = gate.realm.group(group).await;
        let path = format!("/users/{mara}/groups/{group}");
        gate.realm.admin("DELETE", &path, &Value::Null).await;
    }
    let login = gate.refreshed(WEB, &login).await;
    assert_eq!(gate.groups(&gate.gateway, login.access()).await, None);
    let kept = gate.groups(&keeping, login.access()).await;
    assert_eq!(kept.as_deref(), Some("crew,deck"), "the default keeps them");
    // Another name is the same account.
    let editable = json!({"editUsernameAllowed": true});
    gate.realm.admin("PUT", "", &editable).await;
    let mut user = gate
        .realm
        .admin("GET", &format!("/users/{mara}"), &Value::Null)
        .await;
    user["username"] = json!("mara.k");
    gate.realm
        .admin("PUT", &format!("/users/{mara}"), &user)
        .await;
    let login = gate.refreshed(WEB, &login).await;
    gate.request(login.access()).await.is(200);
    assert_eq!(gate.gateway.accounts().len(), 1);
    assert_eq!(gate.gateway.accounts()[0].id, id);
    // Without a role nobody comes in.
    let roles = format!("/users/{mara}/role-mappings/realm");
    let role = gate
        .realm
        .admin("GET", "/roles/opencloudUser", &Value::Null)
        .await;
    gate.realm.admin("DELETE", &roles, &json!([role])).await;
    let login = gate.refreshed(WEB, &login).await;
    gate.request(login.access()).await.refused(403, "no_role");
    gate.realm.admin("POST", &roles, &json!([role])).await;
    // Disabled: no refresh any more, and where the issuer is asked, nobody comes in for longer than the answer is kept.
    let login = gate.refreshed(WEB, &login).await;
    let asking = gate.beside(&[(METHOD, "none")]).await;
    request(&asking, login.access()).await.is(200);
    user["enabled"] = json!(false);
    gate.realm
        .admin("PUT", &format!("/users/{mara}"), &user)
        .await;
    assert!(gate.realm.refresh(WEB, &login).await.is_err());
    asking.clock.advance(11);
    request(&asking, login.access())
        .await
        .refused(401, "token_rejected");
    for gateway in [keeping, asking, gate.gateway] {
        gateway.stop().await;
    }
}

pub(super) async fn issue_14_3_an_unverified_address_finds_nobody(keycloak: &Keycloak) {
    let by_mail = [
        ("PROXY_USER_OIDC_CLAIM", "email"),
        ("PROXY_USER_CS3_CLAIM", "mail"),
    ];
    let gate = Gate::new(keycloak, "mail", &by_mail).await;
    let mara = gate.realm.person("mara", "opencloudUser", &[]).await;
    let path = format!("/users/{mara}");
    let mut user = gate.realm.admin("GET", &path, &Value::Null).await;
    user["emailVerified"] = json!(false);
    gate.realm.admin("PUT", &path, &user).await;
    let (_, login) = gate.login("mara").await;
    gate.request(login.access())
        .await
        .refused(403, "mail_unverified");
    assert!(gate.gateway.accounts().is_empty());
    user["emailVerified"] = json!(true);
    gate.realm.admin("PUT", &path, &user).await;
    let login = gate.refreshed(WEB, &login).await;
    gate.request(login.access()).await.is(200);
    gate.gateway.stop().await;
}
