//! What an administrator can do about a refused token that is not bad but of a kind that cannot work (docs/design/identity-providers.md section 5).
//! Words for the log; nothing is decided here.

use http::StatusCode;
use serde_json::{Map, Value};

use super::claims::has_audience;
use crate::config::oidc::Issuer;
use crate::credentials::BearerToken;

/// Microsoft Graph's own audience, by id and by address.
const GRAPH: [&str; 2] = [
    "00000003-0000-0000-c000-000000000000",
    "https://graph.microsoft.com",
];

/// Why two issuers differ that look alike.
pub(super) fn issuer(found: &str, expected: &str) -> &'static str {
    if found.starts_with("https://sts.windows.net/") {
        "; a version 1 token: let the client ask for a scope of its own API with requestedAccessTokenVersion 2"
    } else if found.trim_end_matches('/') == expected.trim_end_matches('/') {
        "; they differ by the slash at the end only: correct PROXY_OIDC_ISSUER"
    } else {
        ""
    }
}

/// Why a token is for another audience.
pub(super) fn audience(claims: &Map<String, Value>, settings: &Issuer) -> &'static str {
    let party = claims.get("azp").and_then(Value::as_str);
    if is_for_graph(claims) {
        "; it is for Microsoft Graph: let the client ask for a scope of its own API"
    } else if party.is_some_and(|party| settings.audiences.iter().any(|wanted| wanted == party)) {
        "; its azp is one of PROXY_OIDC_AUDIENCES, which counts for aud only: PROXY_OIDC_ACCESS_TOKEN_VERIFY_AUD looks at azp too"
    } else if has_audience(claims, "account") {
        "; let Keycloak add the audience to the token by a mapper (Audience) of the client or a client scope"
    } else {
        ""
    }
}

/// A token above this is more than many servers take in a header.
const LARGE: usize = 7 * 1024;

/// Why userinfo does not take a token that is good otherwise. `claims` are the token's own, empty for an opaque one.
pub(super) fn userinfo(
    status: StatusCode,
    claims: &Map<String, Value>,
    token: &BearerToken,
) -> &'static str {
    if token.has_proof() {
        "the token is bound to the client's key, and userinfo wants a proof that only the client can make: \
         PROXY_OIDC_SKIP_USER_INFO=true does without"
    } else if is_for_graph(claims) {
        "a token for Microsoft Graph: let the client ask for a scope of its own API, and set PROXY_OIDC_SKIP_USER_INFO=true"
    } else if has_no_scope_openid(claims) {
        "the token was granted without the scope openid, which userinfo needs: let the client ask for it; a client's own \
         token (client credentials) needs an entry in PROXY_SERVICE_CLIENTS instead"
    } else if is_lightweight(claims) {
        "a lightweight access token of Keycloak, which some releases of its userinfo refuse: switch `Always use lightweight \
         access token` off at the client"
    } else if status == StatusCode::BAD_REQUEST && token.reveal().len() > LARGE {
        "the token is long, and userinfo or a proxy before it may refuse a header of that length: raise its limit, let the \
         issuer put less into access tokens (lightweight tokens, group names without paths), or set \
         PROXY_OIDC_SKIP_USER_INFO=true"
    } else if status == StatusCode::NOT_FOUND {
        "the issuer knows no such person any more; if it knows them, its userinfo is not where its discovery document says"
    } else {
        "the token was revoked, or its person disabled or deleted; if it is good, the issuer's userinfo does not take this \
         kind of token: PROXY_OIDC_SKIP_USER_INFO=true does without"
    }
}

/// The token tells its scopes, and `openid` is not among them.
fn has_no_scope_openid(claims: &Map<String, Value>) -> bool {
    match claims.get("scope").or_else(|| claims.get("scp")) {
        Some(Value::String(scopes)) => !scopes.split(' ').any(|scope| scope == "openid"),
        Some(Value::Array(scopes)) => !scopes.iter().any(|scope| scope == "openid"),
        _ => false,
    }
}

fn is_for_graph(claims: &Map<String, Value>) -> bool {
    GRAPH.iter().any(|graph| has_audience(claims, graph))
}

/// Keycloak marks an access token by `typ`; a lightweight one has no claim about the person.
fn is_lightweight(claims: &Map<String, Value>) -> bool {
    claims.get("typ").and_then(Value::as_str) == Some("Bearer")
        && !["preferred_username", "email", "name", "realm_access"]
            .iter()
            .any(|claim| claims.contains_key(*claim))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::auth::fake_issuer::settings;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_slash_is_told_from_another_issuer() {
        assert!(issuer("https://a.test/", "https://a.test").contains("slash"));
        assert!(issuer("https://sts.windows.net/T/", "https://a.test").contains("version 1"));
        assert_eq!(issuer("https://b.test", "https://a.test"), "");
    }

    #[test]
    fn a_wrong_audience_names_the_setting_that_would_look_there() {
        let mut settings = settings("https://a.test", "http://127.0.0.1");
        settings.audiences = vec!["web".into()];
        let hint = |claims| audience(&map(claims), &settings);
        assert!(hint(json!({"aud": "account", "azp": "web"})).contains("VERIFY_AUD"));
        assert!(hint(json!({"aud": ["account"], "azp": "x"})).contains("Keycloak"));
        assert!(hint(json!({"aud": "https://graph.microsoft.com"})).contains("Graph"));
        assert_eq!(hint(json!({"aud": "x"})), "");
    }

    #[test]
    fn userinfos_refusal_is_told_by_the_kind_of_token() {
        let (plain, proven) = (BearerToken::new("x"), BearerToken::with_assumed_proof("x"));
        let long = BearerToken::new("x".repeat(8_000));
        let hint =
            |claims, token: &BearerToken| userinfo(StatusCode::BAD_REQUEST, &map(claims), token);
        let no_openid = json!({"typ": "Bearer", "scope": "profile email"});
        assert!(hint(no_openid, &plain).contains("without the scope openid"));
        assert!(!hint(json!({"scope": "a openid"}), &plain).contains("openid"));
        assert!(hint(json!({}), &long).contains("long"));
        assert!(
            userinfo(StatusCode::NOT_FOUND, &map(json!({})), &plain)
                .contains("knows no such person")
        );
        assert!(hint(json!({"typ": "Bearer", "azp": "web"}), &plain).contains("lightweight"));
        assert!(hint(json!({"aud": GRAPH[0]}), &plain).contains("Graph"));
        assert!(hint(json!({}), &proven).contains("proof"));
        let whole = json!({"typ": "Bearer", "preferred_username": "mara"});
        assert!(hint(whole, &plain).contains("if it is good"));
    }
}
