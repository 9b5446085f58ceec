//! `WWW-Authenticate`: which credential is wanted, and where a client reads how to get one.

use std::fmt::Write as _;

use crate::auth::PROOF_ALGORITHMS;
use crate::error::Challenge;

/// One challenge; every value a quoted string (RFC 6750 section 3, RFC 9110 section 5.6.4). `metadata` (RFC 9728
/// section 5.1) stands last, for clients that stop at a parameter they do not know.
pub(super) fn value(host: &str, challenge: &Challenge, metadata: &str) -> String {
    let scheme = match challenge {
        Challenge::Dpop { .. } => "DPoP",
        Challenge::Plain | Challenge::InvalidToken(_) | Challenge::StepUp { .. } => "Bearer",
    };
    let mut text = format!("{scheme} realm={}, charset=\"UTF-8\"", quoted(host));
    let mut parameter = |name: &str, value: &str| {
        let _ = write!(text, ", {name}={}", quoted(value));
    };
    match challenge {
        Challenge::Plain => {}
        Challenge::Dpop { error, description } => {
            parameter("error", error);
            parameter("error_description", description);
            parameter("algs", PROOF_ALGORITHMS);
        }
        Challenge::InvalidToken(description) => {
            parameter("error", "invalid_token");
            parameter("error_description", description);
        }
        Challenge::StepUp {
            acr_values,
            max_age,
        } => {
            parameter("error", "insufficient_user_authentication");
            parameter("error_description", "a stronger or fresher login is needed");
            if !acr_values.is_empty() {
                parameter("acr_values", &acr_values.join(" "));
            }
            if let Some(age) = max_age {
                parameter("max_age", &age.as_secs().to_string());
            }
        }
    }
    parameter("resource_metadata", metadata);
    text
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const METADATA: &str = "https://cloud.example/.well-known/oauth-protected-resource";

    #[test]
    fn no_error_is_named_where_no_credential_was_sent() {
        assert_eq!(
            value("cloud.example", &Challenge::Plain, METADATA),
            format!(
                r#"Bearer realm="cloud.example", charset="UTF-8", resource_metadata="{METADATA}""#
            )
        );
    }

    #[test]
    fn the_metadata_is_the_last_parameter_of_every_challenge() {
        for challenge in [
            Challenge::Plain,
            Challenge::InvalidToken("x"),
            Challenge::StepUp {
                acr_values: vec!["a".into()],
                max_age: Some(std::time::Duration::from_secs(5)),
            },
            Challenge::Dpop {
                error: "invalid_token",
                description: "x",
            },
        ] {
            let text = value("a\"b", &challenge, METADATA);
            let end = format!("resource_metadata=\"{METADATA}\"");
            assert!(text.ends_with(&end), "{text}");
            assert!(text.contains(r#"realm="a\"b""#), "{text}");
        }
    }

    proptest! {
        #[test]
        fn row_41_any_host_stays_inside_its_quotes(host in "\\PC{0,40}") {
            let text = quoted(&host);
            let inner = &text[1..text.len() - 1];
            prop_assert_eq!(inner.replace("\\\\", "").replace("\\\"", "").matches('"').count(), 0);
        }
    }
}
