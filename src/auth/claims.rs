//! Claims from several sources become one set, and requirements on them.

use serde_json::{Map, Value};

use super::AuthError;
use crate::config::oidc::{ClaimsMerge, Issuer};
use crate::model::{ClaimRequirement, Claims, Reason};

/// What userinfo never decides: it would move the token's identity, life or session (docs/design/hardening.md row 88). `iat` of
/// userinfo is when it answered (or whatever its issuer puts there); a token would outlive a logout of its subject by it.
const TOKEN_ONLY: [&str; 7] = ["iss", "aud", "exp", "nbf", "iat", "sid", "cnf"];
/// What is said of the client and of how the person logged in. Userinfo speaks of the person; where a token was verified,
/// what it does not say of its client and its login is not so.
const OF_CLIENT_AND_LOGIN: [&str; 12] = [
    "azp",
    "client_id",
    "clientId",
    "appid",
    "idtyp",
    "gty",
    "acr",
    "amr",
    "auth_time",
    "lg.i",
    "lg.p",
    "lg.t",
];

/// Merges userinfo into the claims of a verified token, or into none. `sub` is the token's, unless it has none. `null` and
/// an empty text in userinfo say nothing.
pub(super) fn merge(
    mut token: Map<String, Value>,
    userinfo: Map<String, Value>,
    mode: ClaimsMerge,
) -> Map<String, Value> {
    let is_verified = !token.is_empty();
    for (name, value) in userinfo {
        if TOKEN_ONLY.contains(&name.as_str())
            || is_verified && OF_CLIENT_AND_LOGIN.contains(&name.as_str())
            || value.is_null()
            || value == ""
        {
            continue;
        }
        match token.get_mut(&name) {
            None => {
                token.insert(name, value);
            }
            Some(_) if name == "sub" || mode == ClaimsMerge::TokenWins => {}
            Some(Value::Array(own)) if mode == ClaimsMerge::Union && value.is_array() => {
                if let Value::Array(others) = value {
                    for other in others {
                        if !own.contains(&other) {
                            own.push(other);
                        }
                    }
                }
            }
            Some(own) => *own = value,
        }
    }
    token
}

/// Whether `aud`, a string or a list of strings, has that member.
pub(super) fn has_audience(claims: &Map<String, Value>, wanted: &str) -> bool {
    match claims.get("aud") {
        Some(Value::String(only)) => only == wanted,
        Some(Value::Array(list)) => list.iter().any(|member| member == wanted),
        _ => false,
    }
}

/// Checks `PROXY_OIDC_ALLOW_CLAIM`, then `PROXY_OIDC_REQUIRED_CLAIMS`.
///
/// # Errors
/// [`AuthError::Denied`], or [`AuthError::StepUp`] if a stronger login would do.
pub(super) fn admit(claims: &Claims, settings: &Issuer) -> Result<(), AuthError> {
    if !settings.allow_claims.is_empty()
        && !settings
            .allow_claims
            .iter()
            .any(|requirement| requirement.holds(claims))
    {
        return Err(AuthError::Denied {
            reason: Reason::NotAdmitted,
            detail: "no claim of PROXY_OIDC_ALLOW_CLAIM holds".into(),
        });
    }
    require(claims, &settings.required_claims)
}

/// Checks that all requirements hold.
///
/// # Errors
/// [`AuthError::StepUp`] if only `acr` is missing, so that a stronger login would do (RFC 9470), else
/// [`AuthError::Denied`].
fn require(claims: &Claims, requirements: &[ClaimRequirement]) -> Result<(), AuthError> {
    let missing: Vec<&ClaimRequirement> = requirements
        .iter()
        .filter(|requirement| !requirement.holds(claims))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    match missing.iter().find(|it| it.claim.as_str() != "acr") {
        Some(other) => Err(AuthError::Denied {
            reason: Reason::RequiredClaim,
            detail: format!("{} is not {:?}", other.claim, other.value),
        }),
        None => Err(AuthError::StepUp {
            acr_values: missing.iter().map(|it| it.value.clone()).collect(),
            max_age: None,
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::ClaimPath;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn row_88_userinfo_never_decides_identity_life_or_session() {
        let token = map(json!({"iss": "a", "sub": "s", "exp": 1, "roles": ["x"], "name": "old"}));
        let userinfo = map(
            json!({"iss": "b", "sub": "t", "exp": 9, "nbf": 1, "iat": 2, "aud": "c", "sid": "d", "cnf": {"jkt": "x"}, "roles": ["y", "x"], "name": "new"}),
        );
        let merged = merge(token.clone(), userinfo.clone(), ClaimsMerge::UserinfoWins);
        assert_eq!(
            Value::Object(merged),
            json!({"iss": "a", "sub": "s", "exp": 1, "roles": ["y", "x"], "name": "new"})
        );
        let merged = merge(token.clone(), userinfo.clone(), ClaimsMerge::TokenWins);
        assert_eq!(merged, token);
        let merged = merge(token, userinfo, ClaimsMerge::Union);
        assert_eq!(merged["roles"], json!(["x", "y"]));
        assert_eq!(merged["name"], "new");
    }

    #[test]
    fn issue_15_10_client_and_login_are_the_tokens_own_word() {
        let of_userinfo = json!({"azp": "sync", "client_id": "sync", "appid": "sync", "acr": "high", "amr": ["mfa"],
            "auth_time": 9, "gty": "client-credentials", "idtyp": "app", "lg.i": {"id": "x"}, "name": "Mara"});
        for mode in [
            ClaimsMerge::UserinfoWins,
            ClaimsMerge::TokenWins,
            ClaimsMerge::Union,
        ] {
            let token = map(json!({"sub": "s", "amr": ["pwd"]}));
            let merged = merge(token, map(of_userinfo.clone()), mode);
            assert_eq!(
                Value::Object(merged),
                json!({"sub": "s", "amr": ["pwd"], "name": "Mara"})
            );
        }
        let alone = merge(
            Map::new(),
            map(of_userinfo.clone()),
            ClaimsMerge::UserinfoWins,
        );
        assert_eq!(Value::Object(alone), of_userinfo);
    }

    #[test]
    fn issue_15_15_what_userinfo_leaves_empty_overwrites_nothing() {
        for empty in [json!(null), json!("")] {
            for mode in [ClaimsMerge::UserinfoWins, ClaimsMerge::Union] {
                let token =
                    map(json!({"sub": "s", "roles": ["a"], "groups": ["g"], "x": {"y": 1}}));
                let userinfo =
                    map(json!({"roles": empty, "groups": empty, "x": empty, "name": empty}));
                assert_eq!(merge(token.clone(), userinfo, mode), token, "{empty}");
            }
        }
    }

    #[test]
    fn only_a_missing_acr_asks_for_a_stronger_login() {
        let need = |claim: &str| ClaimRequirement {
            claim: ClaimPath::parse(claim),
            value: "v".into(),
        };
        let claims = Claims::default();
        assert!(matches!(
            require(&claims, &[need("acr")]),
            Err(AuthError::StepUp { .. })
        ));
        assert!(matches!(
            require(&claims, &[need("acr"), need("dept")]),
            Err(AuthError::Denied {
                reason: Reason::RequiredClaim,
                ..
            })
        ));
    }
}
