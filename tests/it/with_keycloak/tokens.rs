//! Kinds of token and the keys they are signed with: every verify method, keys that come and go, clients of their own, tokens
//! that say little, tokens bound to a key.

use davgate::door::model::{Role, StoredRole};
use serde_json::json;

use super::{AUDIENCE, GATE, GATE_SECRET, Gate, METHOD, SCOPE, SKIP, WEB, request};
use crate::support::client::CLOUD;
use crate::support::keycloak::Keycloak;
use crate::support::keys::Key;
use crate::support::proof::proof;

pub(super) async fn issue_14_2_every_verify_method_lets_the_access_token_in_and_no_other(
    keycloak: &Keycloak,
) {
    let gate = Gate::new(keycloak, "methods", &[AUDIENCE]).await;
    gate.realm.service_client(GATE, GATE_SECRET).await;
    gate.realm
        .person("mara", "opencloudSpaceAdmin", &["crew"])
        .await;
    let (_, login) = gate.login("mara").await;
    for variables in [
        &[(METHOD, "jwt"), AUDIENCE][..],
        &[(METHOD, "jwt"), AUDIENCE, SKIP],
        &[(METHOD, "none")],
        &[(METHOD, "auto"), AUDIENCE],
        &[(METHOD, "introspection"), AUDIENCE],
        &[(METHOD, "introspection"), AUDIENCE, SKIP],
    ] {
        let gateway = gate.beside(variables).await;
        request(&gateway, login.access()).await.is(200);
        let seen = gate.backend.the_request();
        assert_eq!(seen.header("remote-user"), Some("mara"), "{variables:?}");
        assert_eq!(seen.header("remote-groups"), Some("crew"), "{variables:?}");
        let accounts = gateway.accounts();
        assert_eq!(accounts[0].role, Some(StoredRole::Known(Role::SpaceAdmin)));
        for other in [login.id(), login.refresh()] {
            let answer = request(&gateway, other).await;
            assert_eq!(answer.status, 401, "{variables:?}: {}", answer.text());
            let reasons = ["wrong_token_type", "token_algorithm", "token_rejected"];
            assert!(
                reasons.contains(&answer.reason().as_str()),
                "{variables:?}: {}",
                answer.reason()
            );
        }
        gateway.stop().await;
    }
    gate.gateway.stop().await;
}

pub(super) async fn issue_14_5_keys_are_made_made_passive_and_disabled(keycloak: &Keycloak) {
    let limit = ("PROXY_OIDC_JWKS_REFRESH_RATE_LIMIT", "1");
    let gate = Gate::new(keycloak, "keys", &[limit, SKIP]).await;
    gate.realm.person("mara", "opencloudUser", &[]).await;
    let old = gate.realm.first_key().await;
    let (_, before) = gate.login("mara").await;
    gate.request(before.access()).await.is(200);
    gate.realm.new_key(200).await;
    let (_, after) = gate.login("mara").await;
    gate.request(after.access()).await.is(200);
    gate.realm.set_key(&old, false, true).await;
    gate.request(before.access()).await.is(200);
    gate.realm.set_key(&old, false, false).await;
    // It is seen when the set is fetched again, here because of a further key.
    gate.realm.new_key(300).await;
    gate.gateway.clock.advance(2);
    let (_, newest) = gate.login("mara").await;
    gate.becomes(200, newest.access()).await;
    gate.request(before.access())
        .await
        .refused(401, "unknown_key");
    gate.request(after.access()).await.is(200);
    gate.gateway.stop().await;
}

pub(super) async fn issue_14_6_service_clients_and_lightweight_tokens(keycloak: &Keycloak) {
    let service = ("PROXY_SERVICE_CLIENTS", "scanner=scan:user");
    let gate = Gate::new(keycloak, "clients", &[service]).await;
    gate.realm
        .service_client("scanner", "canary-scanner-secret")
        .await;
    gate.realm
        .service_client("stranger", "canary-stranger-secret")
        .await;
    for scope in ["", "openid"] {
        let token = gate
            .realm
            .client_credentials("scanner", "canary-scanner-secret", scope)
            .await;
        gate.request(token.access()).await.is(200);
        let seen = gate.backend.the_request();
        assert_eq!(seen.header("remote-user"), Some("scan"), "scope {scope:?}");
    }
    let stranger = gate
        .realm
        .client_credentials("stranger", "canary-stranger-secret", "")
        .await;
    gate.request(stranger.access())
        .await
        .refused(401, "token_rejected");
    // A lightweight token says nothing of the person; userinfo does.
    gate.realm.person("mara", "opencloudAdmin", &["crew"]).await;
    let light = json!({"attributes": {"client.use.lightweight.access.token.enabled": "true"}});
    gate.realm.change_client(WEB, &light).await;
    let (_, login) = gate.login("mara").await;
    gate.request(login.access()).await.is(200);
    assert_eq!(
        gate.account("mara").role,
        Some(StoredRole::Known(Role::Admin))
    );
    gate.gateway.stop().await;
}

/// A client whose tokens are bound to a key of its own (RFC 9449): Keycloak names their kind `DPoP`.
pub(super) async fn a_bound_token_counts_with_a_proof_of_its_key_only(keycloak: &Keycloak) {
    let public = format!("http://{CLOUD}");
    let url = ("PROXY_PUBLIC_URL", public.as_str());
    let gate = Gate::new(keycloak, "bound", &[SKIP, AUDIENCE, url]).await;
    gate.realm.person("mara", "opencloudUser", &[]).await;
    let bound = json!({"attributes": {"dpop.bound.access.tokens": "true"}});
    gate.realm.change_client(WEB, &bound).await;
    let key = Key::new("client", "ES256");
    let proven = |url: &str| proof(&key, "POST", url, None, |_| {});
    let tokens = gate
        .realm
        .login_with_proof(WEB, &gate.redirect(), "mara", SCOPE, proven)
        .await;
    assert_eq!(tokens.0["token_type"], "DPoP");
    let token = tokens.access();
    let get = |proof: &str| {
        let call = gate.gateway.get("/files/a");
        let call = call.header("authorization", &format!("DPoP {token}"));
        call.header("dpop", proof).send()
    };
    let target = format!("{public}/files/a");
    get(&proof(&key, "GET", &target, Some(token), |_| {}))
        .await
        .is(200);
    let seen = gate.backend.the_request();
    assert_eq!(seen.header("remote-user"), Some("mara"));
    let stolen = Key::new("thief", "ES256");
    get(&proof(&stolen, "GET", &target, Some(token), |_| {}))
        .await
        .refused(401, "dpop_proof");
    gate.request(token).await.refused(401, "bound_token");
    gate.gateway.stop().await;
}
