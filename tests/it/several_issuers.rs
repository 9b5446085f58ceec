//! Two issuers behind one gateway: whose tokens count where, whose accounts are whose, and what clients are told.

use davgate::door::model::{Role, StoredRole};
use serde_json::{Value, json};

use crate::support::backend::{FakeBackend, Told};
use crate::support::client::Answer;
use crate::support::gateway::{Builder, TestGateway};
use crate::support::issuer::{Endpoint, FakeIssuer, Fault};
use crate::support::keys::Key;
use crate::support::token::Token;
use crate::support::{now, until};

/// `home` is the first issuer, `partner` the further one.
struct Two {
    home: FakeIssuer,
    partner: FakeIssuer,
    backend: FakeBackend,
    gateway: TestGateway,
}

impl Two {
    async fn new() -> Self {
        Self::with(json!({}), |gateway| gateway).await
    }

    /// `keys` are the further issuer's own.
    async fn with(keys: Value, settings: impl FnOnce(Builder) -> Builder) -> Self {
        let (home, partner) = (FakeIssuer::start().await, FakeIssuer::start().await);
        partner.rotate(Key::new("key-of-partner", "ES256"), false);
        let backend = FakeBackend::told(Told::Headers).await;
        let mut entry = json!({"issuer": partner.url(), "webfinger_domains": ["partner.example"]});
        let own = keys.as_object().unwrap().clone();
        entry.as_object_mut().unwrap().extend(own);
        let gateway = TestGateway::new()
            .issuer(&home)
            .yaml("oidc", json!({"issuers": [entry]}))
            .backend("/files/", &backend);
        Self {
            gateway: settings(gateway).spawn().await,
            home,
            partner,
            backend,
        }
    }

    async fn request(&self, token: &str) -> Answer {
        self.gateway.get("/files/a").bearer(token).send().await
    }

    /// The user name the backend is told.
    async fn enters(&self, token: &str) -> String {
        self.request(token).await.is(200);
        let seen = self.backend.the_request();
        seen.header("remote-user").unwrap().to_owned()
    }

    /// Another name for the partner's `mara`, whose subject is that of the home's.
    fn partners_mara_is(&self, name: &str) {
        self.partner.knows("mara", "preferred_username", name);
    }

    async fn logout(&self, token: Token) {
        let event = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
        let token = token
            .header("typ", "logout+jwt")
            .claim("events", event)
            .sign();
        let call = self.gateway.call("POST", "/backchannel_logout");
        let call = call.header("Content-Type", "application/x-www-form-urlencoded");
        let form = format!("logout_token={token}");
        call.body(form).send().await.is(200);
    }
}

#[tokio::test]
async fn the_same_subject_at_two_issuers_is_two_accounts() {
    let two = Two::new().await;
    two.partners_mara_is("partner-mara");
    let (ours, theirs) = (two.home.token("mara"), two.partner.token("mara"));
    assert_eq!(two.enters(&ours.sign()).await, "mara");
    assert_eq!(two.enters(&theirs.sign()).await, "partner-mara");
    assert_eq!(two.gateway.accounts().len(), 2);
    two.gateway.stop().await;
}

#[tokio::test]
async fn a_name_that_is_taken_at_the_other_issuer_opens_nothing() {
    let two = Two::new().await;
    assert_eq!(two.enters(&two.home.token("mara").sign()).await, "mara");
    let same_name = two.partner.token("mara").sign();
    two.request(&same_name)
        .await
        .refused(403, "identity_conflict");
    two.backend.saw_nothing();
    assert_eq!(two.gateway.accounts().len(), 1);
    two.gateway.stop().await;
}

#[tokio::test]
async fn a_token_of_one_issuer_is_never_checked_against_the_other() {
    let two = Two::new().await;
    two.partners_mara_is("partner-mara");
    let home_key = Key::shared();
    // Both documents are known, so that every key there is could be tried.
    two.enters(&two.home.token("mara").sign()).await;
    two.enters(&two.partner.token("mara").sign()).await;
    let forged = [
        // Names the partner, and is signed by the home's key under the home's key id.
        two.partner.token("mara").by(&home_key),
        // ... under the partner's key id.
        two.partner
            .token("mara")
            .by(&home_key.clone().named("key-of-partner")),
        // ... without any: the partner has one key only.
        two.partner
            .token("mara")
            .by(&home_key)
            .without_header("kid"),
        // Names the home and is the partner's.
        two.partner.token("mara").claim("iss", two.home.url()),
    ];
    let asked = two.home.calls(Endpoint::Userinfo);
    for (number, token) in forged.into_iter().enumerate() {
        let answer = two.request(&token.sign()).await;
        // A key id that is unknown there may be one that is not published yet.
        let is_out = answer.status == 401 || answer.reason() == "keys_pending";
        assert!(is_out, "{number}: {}", answer.text());
    }
    assert_eq!(two.home.calls(Endpoint::Userinfo), asked);
    two.backend.saw_nothing();
    two.gateway.stop().await;
}

#[tokio::test]
async fn a_logout_at_one_issuer_leaves_the_same_subject_of_the_other_alone() {
    let two = Two::new().await;
    two.partners_mara_is("partner-mara");
    let earlier = |token: Token| token.claim("sid", "s-1").claim("iat", now() - 5).sign();
    let ours = earlier(two.home.token("mara"));
    let theirs = earlier(two.partner.token("mara"));
    two.enters(&ours).await;
    two.enters(&theirs).await;
    two.logout(two.partner.token("mara").without("sid")).await;
    two.request(&theirs).await.refused(401, "session_ended");
    assert_eq!(two.enters(&ours).await, "mara");
    // The same name of a session counts at its own issuer only, too.
    two.logout(two.partner.token("alan").claim("sid", "s-1"))
        .await;
    assert_eq!(two.enters(&ours).await, "mara");
    two.gateway.stop().await;
}

#[tokio::test]
async fn an_issuer_that_is_down_leaves_the_other_working() {
    for down in ["home", "partner"] {
        let (home, partner) = (FakeIssuer::start().await, FakeIssuer::start().await);
        let gone = if down == "home" { &home } else { &partner };
        gone.go_down().await;
        let backend = FakeBackend::told(Told::Headers).await;
        let gateway = TestGateway::new()
            .issuer(&home)
            .yaml("oidc", json!({"issuers": [{"issuer": partner.url()}]}))
            .backend("/files/", &backend)
            .spawn()
            .await;
        let request = async |token: String| gateway.get("/files/a").bearer(&token).send().await;
        let alive = if down == "home" { &partner } else { &home };
        request(alive.token("mara").sign()).await.is(200);
        let lost = request(gone.token("alan").sign()).await;
        lost.refused(503, "issuer_unavailable");
        assert!(lost.header("retry-after").is_some());
        // Ready for those it can serve.
        assert_eq!(gateway.debug("/readyz").await.0, 200, "{down} is down");
        // The issuer that is away may have another name in its tokens, so nothing is known about this one.
        let foreign = alive.token("mara").claim("iss", "https://other.example");
        request(foreign.clone().sign())
            .await
            .refused(503, "issuer_unavailable");
        gone.come_back().await;
        let served = async || request(gone.token("alan").sign()).await.status == 200;
        while !served().await {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        request(foreign.claim("jti", "2").sign())
            .await
            .refused(401, "wrong_issuer");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn an_issuer_that_hangs_takes_no_calls_away_from_the_other() {
    let two = Two::new().await;
    two.enters(&two.home.token("mara").sign()).await;
    two.partner.fault(Endpoint::Userinfo, Fault::Hang);
    let stuck: Vec<_> = (0..100)
        .map(|_| {
            two.gateway
                .get("/files/a")
                .bearer(&two.partner.token("alan").sign())
        })
        .map(|call| tokio::spawn(call.send()))
        .collect();
    let all_there_may_be = || two.partner.calls(Endpoint::Userinfo) >= 32;
    until("calls that hang", all_there_may_be).await;
    two.request(&two.home.token("alan").sign()).await.is(200);
    assert_eq!(two.partner.calls(Endpoint::Userinfo), 32);
    for call in stuck {
        call.await.unwrap().refused(503, "setup_timeout");
    }
    two.gateway.stop().await;
}

#[tokio::test]
async fn opaque_tokens_find_their_issuer_also_while_the_other_one_is_down() {
    let opaque = |gateway: Builder| gateway.var("PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD", "auto");
    let two = Two::with(json!({}), opaque).await;
    two.partners_mara_is("partner-mara");
    let theirs = || two.partner.opaque("mara", Value::Null);
    assert_eq!(two.enters(&theirs()).await, "partner-mara");
    two.request("opaque-of-nobody").await.is(401);
    two.home.fault(Endpoint::Userinfo, Fault::Status(500));
    assert_eq!(two.enters(&theirs()).await, "partner-mara");
    // Nobody knows it, but the one who might is away.
    two.request("opaque-of-somebody")
        .await
        .refused(503, "issuer_unavailable");
    two.gateway.stop().await;
}

#[tokio::test]
async fn what_names_somebody_of_the_first_issuer_means_nobody_of_the_other() {
    let two = Two::with(json!({}), |gateway| {
        gateway
            .var("PROXY_ROLE_BOOTSTRAP_ADMIN", "email=mara@example.org")
            .var("PROXY_SERVICE_CLIENTS", "scanner=mara:admin")
            .var("PROXY_OIDC_SKIP_USER_INFO", "true")
    })
    .await;
    two.partners_mara_is("partner-mara");
    two.enters(&two.partner.token("mara").sign()).await;
    let role = two.gateway.accounts()[0].role.clone();
    assert_eq!(role, Some(StoredRole::Known(Role::User)));
    let machine = |issuer: &FakeIssuer| {
        let token = issuer.token("mara").claim("sub", "scanner");
        token.claim("azp", "scanner").without("preferred_username")
    };
    two.enters(&two.home.token("mara").sign()).await;
    assert_eq!(two.enters(&machine(&two.home).sign()).await, "mara");
    two.request(&machine(&two.partner).sign())
        .await
        .refused(403, "user_claim_missing");
    two.gateway.stop().await;
}

#[tokio::test]
async fn webfinger_names_the_issuer_of_the_account_and_discovery_the_first() {
    let clients = json!({"webfinger": {"desktop_client_id": "desk-at-partner"}});
    let two = Two::with(clients, |gateway| {
        gateway
            .var("PROXY_WEBFINGER", "native")
            .var("WEBFINGER_DESKTOP_OIDC_CLIENT_ID", "desk-at-home")
            .var("PROXY_OIDC_REWRITE_WELLKNOWN", "true")
    })
    .await;
    for (resource, issuer, client) in [
        ("acct:mara@home.example", two.home.url(), "desk-at-home"),
        ("https://cloud.example", two.home.url(), "desk-at-home"),
        (
            "acct:mara@partner.example",
            two.partner.url(),
            "desk-at-partner",
        ),
    ] {
        let encoded: String = url::form_urlencoded::byte_serialize(resource.as_bytes()).collect();
        let target = format!("/.well-known/webfinger?resource={encoded}&platform=desktop");
        let answer = two.gateway.get(&target).send().await;
        answer.is(200);
        let document = answer.json();
        let links = document["links"].as_array().unwrap();
        let named: Vec<_> = links
            .iter()
            .filter(|link| link["rel"] == "http://openid.net/specs/connect/1.0/issuer")
            .map(|link| link["href"].as_str().unwrap())
            .collect();
        assert_eq!(named, [issuer], "{resource}");
        let told = &document["properties"]["http://opencloud.eu/ns/oidc/client_id"];
        assert_eq!(told, client, "{resource}");
    }
    let discovery = two.gateway.get("/.well-known/openid-configuration");
    assert_eq!(discovery.send().await.json()["issuer"], two.home.url());
    let resource = two.gateway.get("/.well-known/oauth-protected-resource");
    assert_eq!(
        resource.send().await.json()["authorization_servers"],
        json!([two.home.url(), two.partner.url()])
    );
    two.gateway.stop().await;
}

#[tokio::test]
async fn a_reload_changes_an_issuers_roles_and_never_which_issuer_a_token_belongs_to() {
    let roles = |value: &str| {
        json!({"driver": "oidc", "oidc_role_mapper": {"role_claim": "roles", "role_mapping": [
            {"role_name": "user", "claim_value": value},
        ]}})
    };
    let mut two = Two::with(json!({"role_assignment": roles("staff")}), |it| it).await;
    two.partners_mara_is("partner-mara");
    two.partner.knows("mara", "roles", json!(["staff"]));
    let (ours, theirs) = (
        two.home.token("mara").sign(),
        two.partner.token("mara").sign(),
    );
    two.enters(&ours).await;
    two.enters(&theirs).await;
    let change = |yaml: &mut Value| {
        yaml["oidc"]["issuers"][0]["role_assignment"] = roles("others");
    };
    assert!(two.gateway.reload(change).await);
    two.request(&theirs).await.refused(403, "no_role");
    two.enters(&ours).await;
    // An issuer that goes needs a restart; until then its tokens are its own.
    let without = |yaml: &mut Value| {
        yaml["oidc"]["issuers"] = json!([]);
        yaml["policies"][0]["routes"][0]["additional_headers"] = json!({"X-Test": "1"});
    };
    assert!(two.gateway.reload(without).await);
    assert_eq!(two.enters(&ours).await, "mara");
    two.request(&theirs).await.refused(403, "no_role");
    let told = two.gateway.log_lines("needs a restart, but for");
    assert!(told.iter().any(|line| line["key"] == "oidc.issuers"));
    two.gateway.stop().await;
}
