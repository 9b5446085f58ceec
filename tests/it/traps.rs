//! The six mistakes that cost administrators most time (docs/design/identity-providers.md section 5): the log of the gateway and `davgate explain`
//! both name the cause, and the setting or the place where it is mended.

use serde_json::{Value, json};

use crate::explain::Place;
use crate::support::issuer::{Endpoint, FakeIssuer, Fault};
use crate::support::until;
use crate::support::world::World;

/// A mistake in the settings, or of the client.
struct Trap {
    /// Variables beside the usual ones.
    variables: Vec<(&'static str, String)>,
    token: String,
    status: u16,
    reason: &'static str,
    /// What has to be said.
    cause: &'static str,
    mended_by: &'static str,
}

impl Trap {
    async fn is_told(&self, issuer: &FakeIssuer) {
        let world = World::with(|gateway| {
            let gateway = gateway.issuer(issuer);
            let mapping = "admin=fleet-admin;user=fleet-user";
            let gateway = gateway
                .var("PROXY_ROLE_ASSIGNMENT_DRIVER", "oidc")
                .var("PROXY_ROLE_ASSIGNMENT_OIDC_MAPPING", mapping);
            let set = |gateway: crate::support::gateway::Builder,
                       (name, value): &(&str, String)| {
                gateway.var(name, value)
            };
            self.variables.iter().fold(gateway, set)
        })
        .await;
        let id = uuid::Uuid::new_v4().to_string();
        let call = world.get("/files/a").header("X-Request-Id", &id);
        let answer = call.bearer(&self.token).send().await;
        answer.refused(self.status, self.reason);
        let told = || {
            let lines = world.gateway.log_lines(&id);
            let mut refused = lines.iter().filter(|line| line["message"] == "refused");
            refused.any(|line| {
                let detail = line["detail"].as_str().unwrap_or_default();
                detail.contains(self.cause) && detail.contains(self.mended_by)
            })
        };
        until(&format!("a line with {:?}", self.cause), told).await;
        world.gateway.stop().await;

        let place = self
            .variables
            .iter()
            .fold(Place::new(issuer), |place, (name, value)| {
                place.var(name, value)
            });
        let said = place.explain(&self.token).await;
        said.has(1, &[self.reason, self.cause, self.mended_by, "to do"]);
    }
}

#[tokio::test]
async fn an_opaque_token_in_jwt_mode_names_the_verify_method() {
    let issuer = FakeIssuer::start().await;
    let trap = Trap {
        variables: vec![],
        token: issuer.opaque("mara", Value::Null),
        status: 401,
        reason: "opaque_token",
        cause: "the token is no JWT",
        mended_by: "PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD to none or auto",
    };
    trap.is_told(&issuer).await;
}

#[tokio::test]
async fn a_slash_too_many_names_both_strings_and_the_issuers_setting() {
    let issuer = FakeIssuer::start().await;
    let slash = format!("{}/", issuer.url());
    let trap = Trap {
        variables: vec![("PROXY_OIDC_ISSUER", slash.clone())],
        token: issuer.token("mara").claim("iss", slash).sign(),
        status: 503,
        reason: "issuer_mismatch",
        cause: "the slash at the end",
        mended_by: "PROXY_OIDC_ISSUER",
    };
    trap.is_told(&issuer).await;
    // The document is right and the token has the slash.
    let trap = Trap {
        variables: vec![],
        token: issuer
            .token("mara")
            .claim("iss", format!("{}/", issuer.url()))
            .sign(),
        status: 401,
        reason: "wrong_issuer",
        cause: "they differ by the slash at the end only",
        mended_by: "PROXY_OIDC_ISSUER",
    };
    trap.is_told(&issuer).await;
}

#[tokio::test]
async fn a_token_for_graph_says_that_nobody_else_can_verify_it() {
    let issuer = FakeIssuer::start().await;
    let graph = issuer
        .token("mara")
        .claim("aud", "00000003-0000-0000-c000-000000000000");
    // The nonce is hashed before the token is signed, so that the signature fits nothing that others see.
    let signed = graph.clone().header("nonce", "n").sign();
    let (head, signature) = signed.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    let spoiled = format!("{first}{}", &signature[1..]);
    let trap = Trap {
        variables: vec![],
        token: format!("{head}.{spoiled}"),
        status: 401,
        reason: "bad_signature",
        cause: "Microsoft Graph",
        mended_by: "scope of its own API",
    };
    trap.is_told(&issuer).await;
    let trap = Trap {
        variables: vec![("PROXY_OIDC_AUDIENCES", "files".into())],
        token: graph.sign(),
        status: 401,
        reason: "wrong_audience",
        cause: "Microsoft Graph",
        mended_by: "scope of its own API",
    };
    trap.is_told(&issuer).await;
}

#[tokio::test]
async fn a_role_claim_that_is_not_there_names_the_granted_scopes_and_where_clients_get_them() {
    let issuer = FakeIssuer::start().await;
    let trap = Trap {
        variables: vec![],
        token: issuer.token("mara").claim("scope", "openid profile").sign(),
        status: 403,
        reason: "no_role",
        cause: "granted scopes: openid profile",
        mended_by: "PROXY_ROLE_ASSIGNMENT_OIDC_CLAIM",
    };
    trap.is_told(&issuer).await;
}

#[tokio::test]
async fn a_lightweight_token_is_told_from_a_bad_one() {
    let issuer = FakeIssuer::start().await;
    issuer.fault(Endpoint::Userinfo, Fault::Status(401));
    let token = ["preferred_username", "email", "name"]
        .into_iter()
        .fold(issuer.token("mara"), crate::support::token::Token::without)
        .claim("typ", "Bearer");
    let trap = Trap {
        variables: vec![],
        token: token.sign(),
        status: 401,
        reason: "token_rejected",
        cause: "a lightweight access token of Keycloak",
        mended_by: "`Always use lightweight access token` off",
    };
    trap.is_told(&issuer).await;
}

#[tokio::test]
async fn a_wrong_audience_names_what_the_token_has_and_the_setting_that_wants_another() {
    let issuer = FakeIssuer::start().await;
    for (setting, hint) in [
        (
            "PROXY_OIDC_AUDIENCES",
            "PROXY_OIDC_ACCESS_TOKEN_VERIFY_AUD looks at azp too",
        ),
        (
            "PROXY_OIDC_ACCESS_TOKEN_VERIFY_AUD",
            "let Keycloak add the audience",
        ),
    ] {
        let wanted = match setting {
            "PROXY_OIDC_AUDIENCES" => "desktop",
            _ => "files",
        };
        let trap = Trap {
            variables: vec![(setting, wanted.into())],
            token: issuer.token("mara").claim("aud", json!(["account"])).sign(),
            status: 401,
            reason: "wrong_audience",
            cause: setting,
            mended_by: hint,
        };
        trap.is_told(&issuer).await;
    }
}
