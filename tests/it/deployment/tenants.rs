//! People belong to tenants, and claims have the ids that others know those by (docs/design/contract.md 9.5).

use serde_json::json;

use super::logins::Place;
use crate::support::deployment::{Fault, User};

async fn place() -> Place {
    let place = Place::with(|builder| {
        builder
            .var("PROXY_AUTOPROVISION_ACCOUNTS", "false")
            .var("OC_MULTI_TENANT_ENABLED", "true")
            .var("PROXY_TENANT_OIDC_CLAIM", "org.id")
            .var("PROXY_TENANT_ID_MAPPING_ENABLED", "true")
    })
    .await;
    for (name, tenant) in [("mara", "t-7"), ("alan", "t-8"), ("nobodys", "")] {
        place.deployment.add(User {
            tenant: tenant.to_owned(),
            ..User::new(name)
        });
    }
    place.issuer.person("nobodys", "In no tenant");
    let tenants = [("t-7", "school-seven"), ("t-8", "school-eight")];
    let tenants = tenants.map(|(id, external)| (id.to_owned(), external.to_owned()));
    place.deployment.world.lock().tenants = tenants.to_vec();
    place
}

/// One login of its own.
async fn status(place: &Place, name: &str, org: &str) -> u16 {
    let token = place.issuer.token(name).claim("org", json!({"id": org}));
    let token = token.claim("jti", uuid::Uuid::new_v4().to_string()).sign();
    let answer = place.gateway.get("/dav/a").bearer(&token).send().await;
    answer.status.as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whose_claim_has_the_id_that_others_know_their_tenant_by_may_enter() {
    let place = place().await;
    for (name, org, wanted) in [
        ("mara", "school-seven", 200),
        ("alan", "school-eight", 200),
        ("mara", "school-eight", 403),
        // The deployment's own id is not what others know.
        ("mara", "t-7", 403),
        ("mara", "school-nine", 403),
        ("mara", "", 403),
        ("nobodys", "school-seven", 403),
        ("nobodys", "", 403),
    ] {
        assert_eq!(status(&place, name, org).await, wanted, "{name} of {org}");
    }
    let answer = place.gateway.get("/dav/a");
    let token = place.issuer.token("mara").claim("org", 7).sign();
    answer.bearer(&token).send().await.is(403);
    assert!(!place.gateway.log_lines("tenant_mismatch").is_empty());
    place.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_is_asked_for_once_whether_it_is_there_or_not() {
    let place = place().await;
    for _ in 0..5 {
        assert_eq!(status(&place, "mara", "school-seven").await, 200);
    }
    assert_eq!(place.deployment.calls("GetTenantByClaim"), 1);
    for _ in 0..5 {
        assert_eq!(status(&place, "mara", "school-nine").await, 403);
    }
    assert_eq!(place.deployment.calls("GetTenantByClaim"), 2);
    place.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_does_not_know_now_keeps_people_waiting_and_does_not_refuse_them() {
    let place = place().await;
    for fault in [
        Fault::Cs3(15, "error getting tenant provider client"),
        Fault::Grpc(2, "no"),
        Fault::Cs3(12, "unimplemented"),
    ] {
        place.deployment.fault("GetTenantByClaim", fault.clone());
        assert_eq!(
            status(&place, "mara", "school-seven").await,
            503,
            "{fault:?}"
        );
    }
    assert_eq!(status(&place, "mara", "school-seven").await, 200);
    place.gateway.stop().await;
}

/// The kept token of the service account ends when the deployment's secret changes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_token_of_the_service_account_is_fetched_anew() {
    let place = place().await;
    assert_eq!(status(&place, "mara", "school-seven").await, 200);
    place.deployment.world.lock().tokens.clear();
    assert_eq!(status(&place, "alan", "school-eight").await, 200);
    place.gateway.stop().await;
}
