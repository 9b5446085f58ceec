//! What administrators of a realm get wrong or choose otherwise, and the line that davgate has for it: settings of clients, too
//! many groups, another address.

use serde_json::{Value, json};

use super::{AUDIENCE, DESKTOP, Gate, METHOD, SCOPE, SKIP, WEB, request};
use crate::support::client::Answer;
use crate::support::gateway::TestGateway;
use crate::support::keycloak::Keycloak;
use crate::support::keys::Key;
use crate::support::until;

/// One line about this very request has all these texts.
async fn is_told(gateway: &TestGateway, answer: &Answer, texts: &[&str]) {
    let id = answer.header("x-request-id").unwrap();
    until(&format!("a line with {texts:?}"), || {
        let has = |line: &Value| texts.iter().all(|text| line.to_string().contains(text));
        gateway.log_lines(id).iter().any(has)
    })
    .await;
}

/// Userinfo that only the client can read is the issuer's matter and says nothing of the person; somebody who was deleted is out.
pub(super) async fn issue_14_7_encrypted_userinfo_and_deleted_people(keycloak: &Keycloak) {
    let gate = Gate::new(keycloak, "unreadable", &[]).await;
    let mara = gate.realm.person("mara", "opencloudUser", &[]).await;
    let (_, plain) = gate.login("mara").await;
    let mut key = Key::shared().named("enc-1").jwk();
    key["use"] = json!("enc");
    key["alg"] = json!("RSA-OAEP");
    let encrypted = json!({"attributes": {"use.jwks.string": "true", "jwks.string": json!({"keys": [key]}).to_string(),
        "user.info.encrypted.response.alg": "RSA-OAEP", "user.info.encrypted.response.enc": "A256GCM"}});
    gate.realm.change_client(WEB, &encrypted).await;
    let (_, login) = gate.login("mara").await;
    let answer = gate.request(login.access()).await;
    answer.is(503);
    is_told(&gate.gateway, &answer, &["userinfo", "encrypted"]).await;
    let plainly = json!({"attributes": {"user.info.encrypted.response.alg": "", "user.info.encrypted.response.enc": ""}});
    gate.realm.change_client(WEB, &plainly).await;
    gate.becomes(200, login.access()).await;
    let path = format!("/users/{mara}");
    gate.realm.admin("DELETE", &path, &Value::Null).await;
    gate.request(plain.access())
        .await
        .refused(401, "token_rejected");
    gate.gateway.stop().await;
}

/// 300 groups as names and as paths, as a stock mapper and one's own give them: more than 20 KiB.
pub(super) async fn issue_14_8_somebody_in_300_groups_comes_in(keycloak: &Keycloak) {
    let gate = Gate::new(keycloak, "many", &[SKIP, AUDIENCE]).await;
    let names: Vec<String> = (0..300)
        .map(|number| format!("a-department-of-its-{number:03}"))
        .collect();
    let group = |name: &String| json!({"name": name, "path": format!("/{name}")});
    let groups: Vec<Value> = names.iter().map(group).collect();
    let import = json!({"ifResourceExists": "SKIP", "groups": groups});
    gate.realm.admin("POST", "/partialImport", &import).await;
    let client = gate.realm.client_id(WEB).await;
    let paths = json!({"name": "paths", "protocol": "openid-connect", "protocolMapper": "oidc-group-membership-mapper",
        "config": {"claim.name": "paths", "full.path": "true", "access.token.claim": "true"}});
    let mappers = format!("/clients/{client}/protocol-mappers/models");
    gate.realm.admin("POST", &mappers, &paths).await;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    gate.realm.member("mara", "opencloudUser", &names).await;
    let (_, login) = gate.login("mara").await;
    assert!(login.access().len() > 20_000, "{}", login.access().len());
    gate.request(login.access()).await.is(200);
    let beyond = format!("{}{}", login.access(), "a".repeat(48 * 1024));
    assert_eq!(gate.request(&beyond).await.status, 431);
    gate.gateway.stop().await;
}

/// The realm is asked by another address, as after `KC_HOSTNAME` was set: everybody has another identity.
pub(super) async fn issue_14_9_another_address_of_keycloak(keycloak: &Keycloak) {
    let gate = Gate::new(keycloak, "moved", &[SKIP]).await;
    gate.realm.person("mara", "opencloudUser", &[]).await;
    let (_, before) = gate.login("mara").await;
    gate.request(before.access()).await.is(200);
    let old = gate.realm.url();
    let new = old.replace("127.0.0.1", "localhost");
    let direct = json!({"directAccessGrantsEnabled": true});
    gate.realm.change_client(DESKTOP, &direct).await;
    let after = gate
        .realm
        .by_password(DESKTOP, "mara", SCOPE, Some("localhost"))
        .await;
    let database = gate.gateway.database();
    let accounts = ("PROXY_EMBEDDED_DATABASE", database.to_str().unwrap());
    let issuer = ("PROXY_OIDC_ISSUER", new.as_str());
    let moved = gate.beside(&[SKIP, accounts, issuer]).await;
    let answer = request(&moved, after.access()).await;
    answer.refused(403, "identity_conflict");
    let texts = [old.as_str(), new.as_str(), "PROXY_ACCOUNT_FORMER_ISSUERS"];
    is_told(&moved, &answer, &texts).await;
    moved.stop().await;
    let former = ("PROXY_ACCOUNT_FORMER_ISSUERS", old.as_str());
    let moved = gate.beside(&[SKIP, accounts, issuer, former]).await;
    request(&moved, after.access()).await.is(200);
    assert_eq!(gate.gateway.accounts().len(), 1);
    moved.stop().await;
    gate.gateway.stop().await;
}

pub(super) async fn issue_14_10_each_line_names_the_setting_that_is_wrong(keycloak: &Keycloak) {
    let gate = Gate::new(keycloak, "lines", &[]).await;
    gate.realm.person("mara", "opencloudUser", &[]).await;
    // Without the scope openid there is no userinfo.
    let direct = json!({"directAccessGrantsEnabled": true});
    gate.realm.change_client(DESKTOP, &direct).await;
    let token = gate
        .realm
        .by_password(DESKTOP, "mara", "profile email", None)
        .await;
    let answer = gate.request(token.access()).await;
    answer.refused(401, "token_rejected");
    is_told(&gate.gateway, &answer, &["without the scope openid"]).await;
    // Userinfo is not asked, and the token alone says nothing of the person.
    let light = json!({"attributes": {"client.use.lightweight.access.token.enabled": "true"}});
    gate.realm.change_client(DESKTOP, &light).await;
    let token = gate.realm.by_password(DESKTOP, "mara", SCOPE, None).await;
    let alone = gate.beside(&[SKIP]).await;
    let answer = request(&alone, token.access()).await;
    answer.is(403);
    is_told(&alone, &answer, &["PROXY_OIDC_SKIP_USER_INFO"]).await;
    // Without the scope basic the token has no subject.
    let light = json!({"attributes": {"client.use.lightweight.access.token.enabled": "false"}});
    gate.realm.change_client(DESKTOP, &light).await;
    gate.realm.without_scope(DESKTOP, "basic").await;
    let token = gate.realm.by_password(DESKTOP, "mara", SCOPE, None).await;
    let answer = request(&alone, token.access()).await;
    answer.refused(403, "subject_missing");
    is_told(&alone, &answer, &["basic"]).await;
    // Issue 14, 11: without a list of audiences the start says that every token counts.
    until("a warning about audiences", || {
        let lines = alone.log_lines("every access token of the issuer counts");
        let lines = lines.iter().map(Value::to_string);
        let mut lines = lines.filter(|line| line.contains(&gate.realm.url()));
        lines.any(|line| line.contains("PROXY_OIDC_AUDIENCES"))
    })
    .await;
    // The key that Keycloak publishes for encryption is nobody's trouble.
    for gateway in [&alone, &gate.gateway] {
        let lines = gateway.log_lines("RSA-OAEP");
        assert!(
            lines.iter().all(|line| line["level"] != "warn"),
            "{lines:#?}"
        );
    }
    let asking = gate.beside(&[(METHOD, "none")]).await;
    request(&asking, token.access()).await.is(200);
    for gateway in [asking, alone, gate.gateway] {
        gateway.stop().await;
    }
}
