//! Single claims on their way into an account: required and optional.

use serde_json::Value;

use super::AccountError;
use super::usernames::is_invisible;
use crate::config::oidc::{Issuer, VerifyMethod};
use crate::model::{ClaimPath, Claims, Reason};

/// Longest mail address in bytes (RFC 5321 section 4.5.3.1.3 without the angle brackets).
const MAX_MAIL_BYTES: usize = 254;
/// Longest display name or further attribute in bytes.
const MAX_TEXT_BYTES: usize = 1_024;

/// Which rule an optional claim has to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OptionalText {
    /// Shown to people.
    DisplayName,
    /// A mail address in ASCII; LDAP's `mail` takes nothing else.
    Mail,
    /// A further attribute; numbers and booleans count as their text.
    Attribute,
}

/// The string at `path`.
///
/// # Errors
/// `user_claim_missing` if it is absent or null, `claim_type` if it is no string.
pub(super) fn required_text<'a>(
    claims: &'a Claims,
    path: &ClaimPath,
    issuer: &Issuer,
) -> Result<&'a str, AccountError> {
    match claims.at(path) {
        None | Some(Value::Null) => Err(AccountError::denied(
            Reason::UserClaimMissing,
            format!("claim `{path}` is absent; {}", why_absent(claims, issuer)),
        )),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(AccountError::denied(
            Reason::ClaimType,
            format!("claim `{path}` is not a string"),
        )),
    }
}

/// What can be done about a claim that is not there.
fn why_absent(claims: &Claims, issuer: &Issuer) -> String {
    if issuer.skip_user_info && issuer.verify_method != VerifyMethod::None {
        return "userinfo is not asked (PROXY_OIDC_SKIP_USER_INFO=true): set it to false, or let the issuer put the claim \
                into access tokens"
            .to_owned();
    }
    format!(
        "the issuer may send it only for a scope that the client has to ask for; {}",
        claims.granted_scopes()
    )
}

/// The first of the fallbacks that is a non-empty string, and which it is.
pub(super) fn first_text<'a, 'p>(
    claims: &'a Claims,
    paths: &'p [ClaimPath],
) -> Option<(&'p ClaimPath, &'a str)> {
    paths
        .iter()
        .filter_map(|path| Some((path, claims.text_at(path)?)))
        .find(|(_, text)| !text.is_empty())
}

/// The id in tokens of OpenCloud's built-in provider (`lg.i.id`), whose `sub` is derived from it.
pub(super) fn built_in_subject(claims: &Claims) -> Option<&str> {
    let id = claims.0.get("lg.i")?.get("id")?.as_str()?;
    Some(id).filter(|id| !id.is_empty())
}

/// The first of the fallbacks that keeps the rule. One that is there but breaks it is logged by its name.
pub(super) fn optional(claims: &Claims, paths: &[ClaimPath], kind: OptionalText) -> Option<String> {
    paths.iter().find_map(|path| {
        let text = match claims.at(path)? {
            Value::Null => return None,
            Value::String(text) if text.is_empty() => return None,
            Value::String(text) => text.clone(),
            value @ (Value::Number(_) | Value::Bool(_)) if kind == OptionalText::Attribute => {
                value.to_string()
            }
            _ => {
                tracing::warn!(reason = %Reason::ClaimType, claim = %path, "optional claim left out");
                return None;
            }
        };
        if is_usable(&text, kind) {
            Some(text)
        } else {
            tracing::warn!(reason = %Reason::ClaimCharset, claim = %path, "optional claim left out");
            None
        }
    })
}

/// The rule for a mail address or id that an account is searched by.
///
/// # Errors
/// What is wrong with it, for the log.
pub(super) fn check_key(value: &str) -> Result<(), &'static str> {
    if value.is_empty() || value.len() > MAX_TEXT_BYTES {
        Err("it is empty or too long")
    } else if value.trim() != value || value.chars().any(is_invisible) {
        Err("it has outer blanks, control, bidi or zero-width characters")
    } else {
        Ok(())
    }
}

fn is_usable(text: &str, kind: OptionalText) -> bool {
    match kind {
        OptionalText::Mail => {
            text.len() <= MAX_MAIL_BYTES
                && text.bytes().all(|b| b.is_ascii_graphic())
                && text
                    .split_once('@')
                    .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
        }
        OptionalText::DisplayName | OptionalText::Attribute => {
            text.len() <= MAX_TEXT_BYTES
                && !text.trim().is_empty()
                && !text.chars().any(is_deceptive)
        }
    }
}

/// Narrower than for user names: zero-width joiners belong to Persian names and to emoji.
fn is_deceptive(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(value: Value, kind: OptionalText) -> Option<String> {
        let claims = Claims(json!({ "c": value }).as_object().unwrap().clone());
        optional(&claims, &["missing".into(), "c".into()], kind)
    }

    #[test]
    fn row_101_a_required_claim_is_a_string_or_refused_by_name() {
        let claims = Claims(
            json!({"n": 1, "b": true, "o": {"k": "v"}, "a": ["x"], "z": null, "s": "mara", "lg.i": {"un": "ines"}})
                .as_object()
                .unwrap()
                .clone(),
        );
        let issuer = crate::accounts::resolver::tests::issuer();
        let required = |name: &str| required_text(&claims, &name.into(), &issuer);
        let reason = |name: &str| match required(name) {
            Err(AccountError::Denied { reason, .. }) => Some(reason),
            _ => None,
        };
        for name in ["n", "b", "o", "a"] {
            assert_eq!(reason(name), Some(Reason::ClaimType), "{name}");
        }
        for name in ["z", "none", "a.0", "o.k.x"] {
            assert_eq!(reason(name), Some(Reason::UserClaimMissing), "{name}");
        }
        assert_eq!(required("s").unwrap(), "mara");
        assert_eq!(required(r"lg\.i.un").unwrap(), "ines");
        let skipped = required("none").unwrap_err().to_string();
        assert!(skipped.contains("PROXY_OIDC_SKIP_USER_INFO"), "{skipped}");
    }

    #[test]
    fn row_102_bad_optional_claims_are_left_out() {
        for (value, kind) in [
            (json!("x".repeat(1 << 20)), OptionalText::DisplayName),
            (json!("a\nb"), OptionalText::DisplayName),
            (json!("a\u{202e}b"), OptionalText::DisplayName),
            (json!(7), OptionalText::DisplayName),
            (json!(["a@b"]), OptionalText::Mail),
            (json!("a@b\ncc:"), OptionalText::Mail),
            (
                json!(format!("{}@b.test", "a".repeat(320))),
                OptionalText::Mail,
            ),
            (json!("no-at"), OptionalText::Mail),
            (json!("å@b.test"), OptionalText::Mail),
            (json!({}), OptionalText::Attribute),
        ] {
            assert_eq!(read(value.clone(), kind), None, "{value}");
        }
        assert_eq!(
            read(json!("Åsa Berg"), OptionalText::DisplayName).as_deref(),
            Some("Åsa Berg")
        );
        assert_eq!(
            read(json!("a@b"), OptionalText::Mail).as_deref(),
            Some("a@b")
        );
        assert_eq!(
            read(json!(5), OptionalText::Attribute).as_deref(),
            Some("5")
        );
    }

    proptest! {
        #[test]
        fn an_accepted_mail_address_is_one_line_of_ascii(text in any::<String>()) {
            if let Some(mail) = read(json!(text), OptionalText::Mail) {
                prop_assert!(mail.len() <= MAX_MAIL_BYTES && mail.bytes().all(|b| b.is_ascii_graphic()));
            }
        }
    }
}
