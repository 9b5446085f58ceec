//! Whom operators let in: allow-lists, required claims, audiences, stronger and fresher logins, service clients.

use davgate::door::model::Role;
use serde_json::json;

use crate::claims::{MAPPING, role_of};
use crate::support::backend::{FakeBackend, Told};
use crate::support::client::Answer;
use crate::support::gateway::TestGateway;
use crate::support::issuer::FakeIssuer;
use crate::support::now;
use crate::support::token::Token;
use crate::support::world::World;

#[track_caller]
fn challenge(answer: &Answer) -> &str {
    answer.header("www-authenticate").unwrap()
}

#[tokio::test]
async fn who_is_not_admitted_leaves_no_account_behind() {
    let world = World::set(&[(
        "PROXY_OIDC_ALLOW_CLAIM",
        "groups=cloud,email=alan@example.org",
    )])
    .await;
    world.issuer.knows("mara", "groups", json!(["printers"]));
    let mara = || world.issuer.token("mara").sign();
    world.request(&mara()).await.refused(403, "not_admitted");
    world.backend.saw_nothing();
    assert!(world.gateway.accounts().is_empty());
    world
        .request(&world.issuer.token("alan").sign())
        .await
        .is(200);
    world
        .issuer
        .knows("mara", "groups", json!(["printers", "cloud"]));
    world.request(&mara()).await.is(200);
    world.gateway.stop().await;
}

#[tokio::test]
async fn required_claims_are_403_and_a_missing_acr_asks_for_a_stronger_login() {
    let required = "amr=mfa,department=files,acr=advanced";
    let world = World::set(&[("PROXY_OIDC_REQUIRED_CLAIMS", required)]).await;
    let person = || {
        world
            .issuer
            .token("mara")
            .claim("amr", json!(["pwd", "mfa"]))
    };
    world
        .request(&person().sign())
        .await
        .refused(403, "required_claim");
    let weak = world
        .request(&person().claim("department", "files").sign())
        .await;
    weak.refused(401, "insufficient_user_authentication");
    let told = challenge(&weak);
    assert!(told.starts_with("Bearer "), "{told}");
    assert!(
        told.contains("error=\"insufficient_user_authentication\""),
        "{told}"
    );
    assert!(told.contains("acr_values=\"advanced\""), "{told}");
    assert!(world.gateway.accounts().is_empty());
    let strong = person()
        .claim("department", "files")
        .claim("acr", "advanced");
    world.request(&strong.sign()).await.is(200);
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_routes_own_requirements_judge_also_sessions_that_are_known() {
    let issuer = FakeIssuer::start().await;
    let backend = FakeBackend::told(Told::Headers).await;
    let gateway = TestGateway::new()
        .issuer(&issuer)
        .route(
            "/mfa/",
            &backend,
            json!({"required_claims": ["acr=advanced"]}),
        )
        .route(
            "/staff/",
            &backend,
            json!({"required_claims": ["groups=staff"]}),
        )
        .route("/fresh/", &backend, json!({"max_age": "2m"}))
        .backend("/files/", &backend)
        .spawn()
        .await;
    let world = World {
        issuer,
        backend,
        gateway,
    };
    let token = world
        .issuer
        .token("mara")
        .claim("auth_time", now() - 60)
        .sign();
    let at = async |path: &str| world.get(path).bearer(&token).send().await;
    at("/files/a").await.is(200);
    let weak = at("/mfa/a").await;
    weak.refused(401, "insufficient_user_authentication");
    assert!(challenge(&weak).contains("acr_values=\"advanced\""));
    assert!(!challenge(&weak).contains("max_age"));
    at("/staff/a").await.refused(403, "required_claim");
    at("/fresh/a").await.is(200);
    world.gateway.clock.advance(90);
    let old = at("/fresh/a").await;
    old.refused(401, "insufficient_user_authentication");
    assert!(challenge(&old).contains("max_age=\"120\""));
    at("/files/a").await.is(200);
    // An age that is not told is none.
    let untold = world.issuer.token("mara").sign();
    let untold = world.get("/fresh/a").bearer(&untold).send().await;
    untold.refused(401, "insufficient_user_authentication");
    world.gateway.stop().await;
}

#[tokio::test]
async fn audiences_count_in_aud_and_the_other_list_in_azp_too() {
    for (setting, by_azp) in [
        ("PROXY_OIDC_ACCESS_TOKEN_VERIFY_AUD", 200),
        ("PROXY_OIDC_AUDIENCES", 401),
    ] {
        let world = World::set(&[(setting, "files,desktop")]).await;
        let token = || world.issuer.token("mara");
        let aud = token()
            .claim("aud", json!(["other", "files"]))
            .without("azp");
        world.request(&aud.sign()).await.is(200);
        // `azp` is `desktop`.
        let azp = world.request(&token().claim("aud", "account").sign()).await;
        assert_eq!(azp.status, by_azp, "{setting}");
        let neither = token().claim("aud", "files2").claim("azp", "web").sign();
        world.request(&neither).await.refused(401, "wrong_audience");
        world.gateway.stop().await;
    }
}

#[tokio::test]
async fn a_service_clients_own_token_is_its_configured_user_with_that_role_and_off_by_default() {
    let service = |world: &World| {
        let token = world.issuer.token("mara").claim("sub", "scanner");
        let token = token
            .claim("azp", "scanner")
            .claim("roles", json!(["boss"]));
        let person = ["preferred_username", "name", "email", "email_verified"];
        person.into_iter().fold(token, Token::without)
    };
    let skip = ("PROXY_OIDC_SKIP_USER_INFO", "true");
    let off = World::set(&[skip, MAPPING[0], MAPPING[1]]).await;
    let answer = off.request(&service(&off).sign()).await;
    answer.refused(403, "user_claim_missing");
    assert!(off.gateway.accounts().is_empty());
    off.gateway.stop().await;

    let clients = ("PROXY_SERVICE_CLIENTS", "scanner=scan:user");
    let on = World::set(&[skip, MAPPING[0], MAPPING[1], clients]).await;
    let login = async |token: Token| on.request(&token.sign()).await;
    // The user has to be there: nobody is made for a machine.
    on.request(
        &on.issuer
            .token("mara")
            .claim("roles", json!(["staff"]))
            .sign(),
    )
    .await
    .is(200);
    let scan = on.issuer.token("alan").claim("preferred_username", "scan");
    login(scan.claim("roles", json!(["staff"]))).await.is(200);
    on.backend.take_seen();
    login(service(&on)).await.is(200);
    let seen = on.backend.the_request();
    assert_eq!(seen.header("remote-user"), Some("scan"));
    // The claim says admin; what is configured counts.
    assert_eq!(role_of(&on, "scan"), Some(Role::User));
    // A person who came by that client is themselves.
    let person = on.issuer.token("mara").claim("azp", "scanner");
    login(person.claim("roles", json!(["staff"]))).await.is(200);
    let seen = on.backend.the_request();
    assert_eq!(seen.header("remote-user"), Some("mara"));
    on.gateway.stop().await;
}
