//! The server silent while people work.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{Gate, WEB, request};
use crate::support::keycloak::Keycloak;

/// People who are known go on; who is new waits with a 503 and is let in as soon as the server speaks again.
pub(super) async fn work_goes_on_while_the_server_is_silent(keycloak: &Keycloak) {
    let gate = Gate::new(keycloak, "outage", &[]).await;
    gate.realm.person("mara", "opencloudUser", &[]).await;
    let (_, known) = gate.login("mara").await;
    gate.request(known.access()).await.is(200);
    let unseen = gate.refreshed(WEB, &known).await;
    let over = AtomicBool::new(false);
    let traffic = async {
        let mut answers = 0;
        while !over.load(Ordering::Relaxed) {
            request(&gate.gateway, known.access()).await.is(200);
            answers += 1;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        answers
    };
    let outage = async {
        keycloak.freeze();
        for _ in 0..2 {
            let answer = gate.request(unseen.access()).await;
            answer.is(503);
            assert!(answer.header("retry-after").is_some());
        }
        keycloak.thaw();
        gate.becomes(200, unseen.access()).await;
        over.store(true, Ordering::Relaxed);
    };
    let (answers, ()) = tokio::join!(traffic, outage);
    assert!(answers > 50, "traffic went on: {answers}");
    gate.gateway.stop().await;
}
