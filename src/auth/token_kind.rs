//! Which kind of token it is (docs/design/design.md 2, Kinds of token). ID, refresh, logout and session tokens are signed by the same
//! keys as access tokens, and introspection calls them active; each issuer marks them in its own way.

use serde_json::{Map, Value};

use super::jwk::shown;
use super::{AuthError, json};
use crate::config::oidc::Issuer;
use crate::model::Reason;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Claims that say what a token is.
const MARKS: [&str; 4] = ["typ", "type", "token_use", "token_type"];
/// Words in them of what is no access token.
const OTHERS: [&str; 11] = [
    "id",
    "idtoken",
    "refresh",
    "refreshtoken",
    "offline",
    "offlinetoken",
    "logout",
    "logouttoken",
    "session",
    "sessiontoken",
    "registrationaccesstoken",
];

/// Checks what is signed: the header's `typ` and the claims.
///
/// # Errors
/// [`AuthError::Token`] with `wrong_token_type`.
pub(super) fn check(
    header: Option<&str>,
    claims: &Map<String, Value>,
    settings: &Issuer,
) -> Result<(), AuthError> {
    check_header(header, settings)?;
    check_claims(claims)
}

/// Checks what a token says of itself where its issuer decides about it and not a signature. It may be believed against
/// itself: whoever changes it has no token any more.
///
/// # Errors
/// [`AuthError::Token`] with `wrong_token_type`.
pub(super) fn check_unverified(token: &str, settings: &Issuer) -> Result<(), AuthError> {
    let mut parts = token.split('.');
    let mut part = || {
        let bytes = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
        json::object(&bytes).ok()
    };
    let header = part().unwrap_or_default();
    let typ = header.get("typ").and_then(Value::as_str).map(media_type);
    check_header(typ.as_deref(), settings)?;
    check_claims(&part().unwrap_or_default())
}

/// A `typ` as it is compared (RFC 7515 section 4.1.9): without case, without `application/`.
pub(super) fn media_type(typ: &str) -> String {
    let typ = typ.to_ascii_lowercase();
    match typ.strip_prefix("application/") {
        Some(short) => short.to_owned(),
        None => typ,
    }
}

fn check_header(typ: Option<&str>, settings: &Issuer) -> Result<(), AuthError> {
    let accepted = &settings.access_token_types;
    if !accepted.is_empty() {
        return match typ {
            Some(typ) if accepted.iter().any(|one| one == typ) => Ok(()),
            _ => Err(wrong(format!(
                "header typ {} is not in PROXY_OIDC_ACCESS_TOKEN_TYP",
                shown(typ.unwrap_or("(none)"))
            ))),
        };
    }
    // RFC 8725 section 3.11: another explicit type is another kind of token. Free words say nothing.
    match typ {
        Some(typ) if typ.ends_with("+jwt") && typ != "at+jwt" => {
            Err(wrong(format!("header typ {}", shown(typ))))
        }
        _ => Ok(()),
    }
}

/// What the claims say, of a token or of introspection's answer about one. `nonce` and `at_hash` say nothing: Dex and
/// Kanidm put them into access tokens.
///
/// # Errors
/// [`AuthError::Token`] with `wrong_token_type`.
pub(super) fn check_claims(claims: &Map<String, Value>) -> Result<(), AuthError> {
    for (claim, of) in [
        ("events", "a logout or security event token"),
        ("c_hash", "an ID token"),
    ] {
        if claims.get(claim).is_some_and(|value| !value.is_null()) {
            return Err(wrong(format!("a claim {claim}: {of}")));
        }
    }
    for claim in MARKS {
        if let Some(Value::String(kind)) = claims.get(claim)
            && is_another(claim, kind)
        {
            return Err(wrong(format!("claim {claim} is {}", shown(kind))));
        }
    }
    match claims.get("lg.t") {
        None | Some(Value::Null) => Ok(()),
        Some(kind) if kind == "1" || kind == 1 => Ok(()),
        Some(_) => Err(wrong("claim lg.t is not 1: no access token of lico".into())),
    }
}

fn is_another(claim: &str, kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    // Pocket ID's word for its session cookie; its access tokens say oauth-access-token, glewlwyd's access_token.
    if claim == "type" && kind == "access-token" {
        return true;
    }
    kind.split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| OTHERS.contains(&word))
}

fn wrong(detail: String) -> AuthError {
    AuthError::token(Reason::WrongTokenType, detail)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::auth::fake_issuer::settings;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn issue_14_2_each_issuers_own_mark_of_what_is_no_access_token() {
        for claims in [
            json!({"typ": "ID"}),
            json!({"typ": "Refresh"}),
            json!({"typ": "Offline"}),
            json!({"typ": "Logout"}),
            json!({"typ": "Serialized-ID"}),
            json!({"token_type": "ID"}),
            json!({"token_type": "Refresh"}),
            json!({"token_type": "urn:ietf:params:oauth:token-type:id_token"}),
            json!({"token_type": "urn:ietf:params:oauth:token-type:refresh_token"}),
            json!({"token_use": "id"}),
            json!({"token_use": "refresh_token"}),
            json!({"type": "refresh-token"}),
            json!({"type": "oauth-refresh-token"}),
            json!({"type": "id_token"}),
            json!({"type": "access-token"}),
            json!({"type": "SESSION"}),
            json!({"type": "session_token"}),
            json!({"c_hash": "x"}),
            json!({"events": {}}),
            json!({"lg.t": "2"}),
            json!({"lg.t": "0"}),
        ] {
            assert!(check_claims(&map(claims.clone())).is_err(), "{claims}");
        }
    }

    #[test]
    fn issue_14_2_access_tokens_of_real_issuers_pass() {
        for claims in [
            json!({"typ": "Bearer", "azp": "web"}),
            json!({"typ": "DPoP"}),
            json!({"nonce": "n", "at_hash": "x", "sid": "s"}),
            json!({"type": "oauth-access-token"}),
            json!({"type": "access_token"}),
            json!({"token_use": "access"}),
            json!({"token_type": "Bearer"}),
            json!({"token_type": "access_token", "active": true}),
            json!({"token_type": "urn:ietf:params:oauth:token-type:access_token"}),
            json!({"lg.t": "1"}),
            json!({"events": null, "c_hash": null, "lg.t": null, "typ": null, "type": 7}),
            json!({"typ": "identity", "type": "idle"}),
        ] {
            assert!(check_claims(&map(claims.clone())).is_ok(), "{claims}");
        }
    }

    #[test]
    fn issue_14_2_a_list_of_types_refuses_all_others() {
        let mut settings = settings("https://a.test", "http://127.0.0.1");
        let check = |typ: Option<&str>, settings: &Issuer| {
            check_header(typ.map(media_type).as_deref(), settings).is_ok()
        };
        for (typ, of_any, of_listed) in [
            (Some("at+jwt"), true, true),
            (Some("AT+JWT"), true, true),
            (Some("application/at+jwt"), true, true),
            (Some("JWT"), true, false),
            (Some("logout+jwt"), false, false),
            (None, true, false),
        ] {
            settings.access_token_types = Vec::new();
            assert_eq!(check(typ, &settings), of_any, "{typ:?}");
            settings.access_token_types = vec!["at+jwt".to_owned()];
            assert_eq!(check(typ, &settings), of_listed, "{typ:?}");
        }
    }

    proptest! {
        #[test]
        fn a_mark_is_read_without_case_and_by_its_words(
            word in proptest::sample::select(&["id", "refresh", "offline", "logout", "session"][..]),
            before in "([a-z]{1,6}[-_. :])?", after in "([-_. :][a-z]{1,6})?", upper in any::<bool>(),
            claim in proptest::sample::select(&MARKS[..]),
        ) {
            let kind = format!("{before}{word}{after}");
            let kind = if upper { kind.to_uppercase() } else { kind };
            let claims = map(json!({claim: kind}));
            prop_assert!(check_claims(&claims).is_err());
        }

        #[test]
        fn any_text_is_looked_at_without_harm(text in "\\PC{0,60}|[A-Za-z0-9_.-]{0,90}") {
            let _ = check_unverified(&text, &settings("https://a.test", "http://127.0.0.1"));
        }
    }
}
