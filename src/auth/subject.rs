//! `sub`: text, or a number that stands for its decimal text (docs/design/design.md 2, Subject).

use serde_json::{Map, Value};

use super::AuthError;
use super::jwk::shown;
use crate::model::Reason;

/// Makes `sub` a text wherever it comes from, so that one person is one subject. `null` is absent.
///
/// # Errors
/// [`AuthError::Denied`] with `claim_type` if it is something else: also a number with a fraction or of more digits than
/// are read exactly, for two of them could look alike.
pub(super) fn read(claims: &mut Map<String, Value>) -> Result<(), AuthError> {
    match claims.get_mut("sub") {
        None | Some(Value::String(_)) => {}
        Some(Value::Null) => {
            claims.remove("sub");
        }
        Some(sub) => match sub.as_number().filter(|it| it.is_u64() || it.is_i64()) {
            Some(number) => *sub = Value::String(number.to_string()),
            None => {
                return Err(AuthError::Denied {
                    reason: Reason::ClaimType,
                    detail: format!(
                        "sub is {}, neither a text nor a whole number that is read exactly",
                        shown(&sub.to_string())
                    ),
                });
            }
        },
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn subject(json: &str) -> Option<Option<String>> {
        let mut claims: Map<String, Value> = serde_json::from_str(json).unwrap();
        read(&mut claims).ok()?;
        Some(
            claims
                .get("sub")
                .map(|sub| sub.as_str().unwrap().to_owned()),
        )
    }

    #[test]
    fn issue_15_13_a_number_is_its_text_and_what_could_be_two_is_nobody() {
        for (json, expected) in [
            ("{}", Some(None)),
            (r#"{"sub":null}"#, Some(None)),
            (r#"{"sub":"x"}"#, Some(Some("x"))),
            (r#"{"sub":0}"#, Some(Some("0"))),
            (r#"{"sub":-7}"#, Some(Some("-7"))),
            (
                r#"{"sub":18446744073709551615}"#,
                Some(Some("18446744073709551615")),
            ),
            (r#"{"sub":18446744073709551616}"#, None),
            (r#"{"sub":1.5}"#, None),
            (r#"{"sub":1e3}"#, None),
            (r#"{"sub":true}"#, None),
            (r#"{"sub":["x"]}"#, None),
            (r#"{"sub":{}}"#, None),
        ] {
            let expected = expected.map(|sub| sub.map(str::to_owned));
            assert_eq!(subject(json), expected, "{json}");
        }
    }

    proptest! {
        #[test]
        fn two_numbers_are_never_one_subject(one in any::<u64>(), other in any::<u64>()) {
            let text = |n: u64| subject(&format!(r#"{{"sub":{n}}}"#));
            prop_assert_eq!(one == other, text(one) == text(other));
        }
    }
}
