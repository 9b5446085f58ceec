//! `WWW-Authenticate`: which credential is wanted, and where a client reads how to get one.

use std::fmt::Write as _;

use http::HeaderMap;
use http::header::USER_AGENT;

use crate::auth::PROOF_ALGORITHMS;
use crate::config::http::{AgentChallenge, ChallengeScheme};
use crate::credentials::Scheme;
use crate::error::Challenge;

/// The scheme for the client that sent these headers: that of the first entry its `User-Agent` contains. A client that
/// says nothing about itself matches none (docs/design/hardening.md row 42).
pub(super) fn scheme(agents: &[AgentChallenge], headers: &HeaderMap) -> Option<ChallengeScheme> {
    if agents.is_empty() {
        return None;
    }
    let agent = headers
        .get(USER_AGENT)
        .map_or("", |value| value.to_str().unwrap_or_default());
    let entry = agents.iter().find(|entry| agent.contains(&entry.agent));
    entry.map(|entry| entry.scheme)
}

/// The challenge to a client that sent its credential in the scheme `sent`; every value a quoted string (RFC 6750 section 3,
/// RFC 9110 section 5.6.4). `metadata` (RFC 9728 section 5.1) stands last, for clients that stop at a parameter they do not
/// know.
///
/// Whoever came with a proof is told about it in the scheme of the proof, and whoever came with a password hears of no bad
/// token.
pub(super) fn value(
    host: &str,
    challenge: &Challenge,
    wanted: Option<ChallengeScheme>,
    sent: Option<Scheme>,
    metadata: &str,
) -> String {
    if wanted == Some(ChallengeScheme::Basic) {
        return basic(host);
    }
    let by_proof = wanted == Some(ChallengeScheme::Dpop) || sent == Some(Scheme::Dpop);
    let scheme = if by_proof { "DPoP" } else { "Bearer" };
    let mut text = format!("{scheme} realm={}, charset=\"UTF-8\"", quoted(host));
    let mut parameter = |name: &str, value: &str| {
        let _ = write!(text, ", {name}={}", quoted(value));
    };
    match challenge {
        Challenge::Plain => {}
        Challenge::InvalidToken(_) if sent == Some(Scheme::Basic) => {}
        Challenge::InvalidToken(description) => {
            parameter("error", "invalid_token");
            parameter("error_description", description);
        }
        Challenge::InvalidProof(description) => {
            parameter("error", "invalid_dpop_proof");
            parameter("error_description", description);
        }
        Challenge::UseNonce(_) => {
            parameter("error", "use_dpop_nonce");
            parameter("error_description", "the DPoP proof needs a nonce");
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
    if by_proof {
        parameter("algs", PROOF_ALGORITHMS);
    }
    parameter("resource_metadata", metadata);
    text
}

/// The challenge for clients that send passwords, where they are taken (RFC 7617 section 2).
pub(super) fn basic(host: &str) -> String {
    format!("Basic realm={}, charset=\"UTF-8\"", quoted(host))
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
            value("cloud.example", &Challenge::Plain, None, None, METADATA),
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
            Challenge::InvalidProof("x"),
        ] {
            for wanted in [None, Some(ChallengeScheme::Dpop)] {
                let text = value("a\"b", &challenge, wanted, Some(Scheme::Dpop), METADATA);
                let end = format!("resource_metadata=\"{METADATA}\"");
                assert!(text.ends_with(&end), "{text}");
                assert!(text.contains(r#"realm="a\"b""#), "{text}");
            }
        }
    }

    #[test]
    fn a_challenge_is_in_the_scheme_that_was_sent_or_is_wanted() {
        let text =
            |challenge: &Challenge, wanted, sent| value("a", challenge, wanted, sent, METADATA);
        let algorithms = format!("algs=\"{PROOF_ALGORITHMS}\"");
        let bad = Challenge::InvalidToken("x");
        for (wanted, sent) in [
            (Some(ChallengeScheme::Dpop), None),
            (Some(ChallengeScheme::Dpop), Some(Scheme::Bearer)),
            (None, Some(Scheme::Dpop)),
        ] {
            let text = text(&bad, wanted, sent);
            assert!(
                text.starts_with("DPoP realm=") && text.contains(&algorithms),
                "{text}"
            );
            assert!(text.contains("error=\"invalid_token\""), "{text}");
        }
        for sent in [None, Some(Scheme::Bearer), Some(Scheme::Basic)] {
            let text = text(&bad, None, sent);
            assert!(
                text.starts_with("Bearer ") && !text.contains("algs"),
                "{text}"
            );
            // RFC 6750 section 3.1: who sent no token hears of none.
            assert_eq!(
                text.contains("error="),
                sent != Some(Scheme::Basic),
                "{text}"
            );
        }
    }

    #[test]
    fn the_first_entry_that_the_agent_contains_decides() {
        let entry = |agent: &str, scheme| AgentChallenge {
            agent: agent.to_owned(),
            scheme,
        };
        let entries = [
            entry("mirall/5", ChallengeScheme::Bearer),
            entry("mirall", ChallengeScheme::Dpop),
        ];
        let of = |agent: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(agent) = agent {
                headers.insert(USER_AGENT, agent.parse().unwrap());
            }
            scheme(&entries, &headers)
        };
        assert_eq!(
            of(Some("Mozilla/5.0 (Linux) mirall/4.2")),
            Some(ChallengeScheme::Dpop)
        );
        assert_eq!(
            of(Some("Mozilla/5.0 (Linux) mirall/5.0")),
            Some(ChallengeScheme::Bearer)
        );
        for other in [None, Some(""), Some(" "), Some("m"), Some("mira")] {
            assert_eq!(of(other), None, "{other:?}");
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
