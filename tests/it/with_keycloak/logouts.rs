//! Ways out: the browser's logout beside an offline session, an administrator's of one session, of a person, of the realm.

use std::time::Duration;

use serde_json::{Value, json};

use super::{DESKTOP, DESKTOP_REDIRECT, Gate, METHOD, WEB, request};
use crate::support::keycloak::Keycloak;

pub(super) async fn issue_14_1_the_desktops_offline_session_outlives_the_browsers_logout(
    keycloak: &Keycloak,
) {
    let gate = Gate::new(keycloak, "logout", &[]).await;
    gate.realm.person("mara", "opencloudUser", &[]).await;
    let (browser, web) = gate.login("mara").await;
    let scope = "openid profile email offline_access";
    let desktop = gate
        .realm
        .login_again(&browser, DESKTOP, DESKTOP_REDIRECT, scope)
        .await;
    for token in [&web, &desktop] {
        gate.request(token.access()).await.is(200);
    }
    let home = format!("http://{}/", gate.gateway.addr);
    gate.realm.log_out(&browser, &web, WEB, &home).await;
    for token in [&web, &desktop] {
        gate.becomes(401, token.access())
            .await
            .refused(401, "session_ended");
    }
    // The desktop goes on refreshing; what it gets has the same session id and is issued later.
    let mut desktop = desktop;
    for second in 0.. {
        tokio::time::sleep(Duration::from_secs(1)).await;
        desktop = gate.refreshed(DESKTOP, &desktop).await;
        if gate.request(desktop.access()).await.status == 200 {
            break;
        }
        assert!(second < 5, "the desktop is shut out");
    }
    assert!(
        gate.realm.refresh(WEB, &web).await.is_err(),
        "the browser's is over"
    );
    gate.gateway.stop().await;
}

pub(super) async fn an_administrators_logout_ends_what_it_names(keycloak: &Keycloak) {
    let gate = Gate::new(keycloak, "admins", &[]).await;
    let mara = gate.realm.person("mara", "opencloudUser", &[]).await;
    let (_, first) = gate.login("mara").await;
    let (_, second) = gate.login("mara").await;
    for token in [&first, &second] {
        gate.request(token.access()).await.is(200);
    }
    // One session of two.
    let session = first.0["session_state"].as_str().unwrap().to_owned();
    gate.realm
        .admin("DELETE", &format!("/sessions/{session}"), &Value::Null)
        .await;
    gate.becomes(401, first.access())
        .await
        .refused(401, "session_ended");
    gate.request(second.access()).await.is(200);
    // All of one person: Keycloak tells of one session where the session is required, of the person where it is not.
    let required = json!({"attributes": {"backchannel.logout.session.required": "false"}});
    gate.realm.change_client(WEB, &required).await;
    let (_, third) = gate.login("mara").await;
    gate.request(third.access()).await.is(200);
    gate.realm
        .admin("POST", &format!("/users/{mara}/logout"), &Value::Null)
        .await;
    for token in [&second, &third] {
        gate.becomes(401, token.access()).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (_, next) = gate.login("mara").await;
    gate.request(next.access()).await.is(200);
    gate.gateway.stop().await;
}

/// Keycloak tells nobody of a logout of the whole realm, nor of one of a person's sessions but one where the session is
/// required. A JWT counts until it expires; where the issuer is asked, people are out as soon as its answer is old.
pub(super) async fn a_logout_of_all_is_told_to_nobody_and_bounded_by_the_method(
    keycloak: &Keycloak,
) {
    let gate = Gate::new(keycloak, "all", &[]).await;
    let mara = gate.realm.person("mara", "opencloudUser", &[]).await;
    let asking = gate.beside(&[(METHOD, "none")]).await;
    // Of one person, with "session required": one of the sessions is named.
    let (_, first) = gate.login("mara").await;
    let (_, second) = gate.login("mara").await;
    for token in [&first, &second] {
        gate.request(token.access()).await.is(200);
    }
    let path = format!("/users/{mara}/logout");
    gate.realm.admin("POST", &path, &Value::Null).await;
    let mut ended = 0;
    for _ in 0..100 {
        ended = 0;
        for token in [&first, &second] {
            ended += usize::from(gate.request(token.access()).await.status == 401);
        }
        if ended > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(ended, 1, "Keycloak names one session of two");
    // Of the realm: none is.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (_, login) = gate.login("mara").await;
    for gateway in [&gate.gateway, &asking] {
        request(gateway, login.access()).await.is(200);
    }
    gate.realm.admin("POST", "/logout-all", &Value::Null).await;
    assert!(gate.realm.refresh(WEB, &login).await.is_err());
    gate.request(login.access()).await.is(200);
    asking.clock.advance(11);
    request(&asking, login.access())
        .await
        .refused(401, "token_rejected");
    gate.gateway.clock.advance(310);
    gate.request(login.access())
        .await
        .refused(401, "token_expired");
    for gateway in [asking, gate.gateway] {
        gateway.stop().await;
    }
}
