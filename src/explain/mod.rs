//! `davgate explain`: what the gateway would do with a token and a request, step by step, and which setting decides.
//!
//! The gateway's own loader takes its steps, over a directory and a role store that are only read, and what it tells is
//! written down. Of the claims only those values are shown that decide something: user name, role, groups. The token itself is
//! never shown.

mod login;
mod report;
mod request;

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

use crate::accounts::Unwritten;
use crate::auth::inspect;
use crate::config::Flavor;
use crate::credentials::{BearerToken, Credential};
use crate::error::GatewayError;
use crate::model::{Role, UnixTime};
use crate::session::loader::Loader;
use crate::session::{LoadError, SessionFacts};
use login::{Listener, before_verification};
use report::{Report, shown_detail};
use request::RequestVerdict;
pub(crate) use request::{AskedRequest, Caller, Way};

/// What is asked.
#[derive(Debug, Default)]
pub(crate) struct Question {
    /// A token somebody logs in with.
    pub token: Option<BearerToken>,
    /// A request.
    pub request: Option<AskedRequest>,
}

/// The explanation. As text for a terminal, or as JSON (docs/explain.md).
#[derive(Debug, Default, Serialize)]
pub(crate) struct Explanation {
    /// What the token comes to, if there is one.
    login: Option<LoginVerdict>,
    /// What the request comes to, if there is one.
    request: Option<RequestVerdict>,
    steps: Report,
}

/// What a token comes to.
#[derive(Debug, Serialize)]
struct LoginVerdict {
    /// `let_in`, `refused`, or `undecided`: somebody who has to be asked did not answer.
    verdict: &'static str,
    role: Option<&'static str>,
    #[serde(flatten)]
    refusal: Option<Refused>,
}

/// How a refusal is answered, and what to do about it.
#[derive(Debug, Serialize)]
struct Refused {
    status: u16,
    reason: &'static str,
    detail: String,
    advice: Cow<'static, str>,
}

impl Refused {
    fn new(error: &GatewayError, detail: &str, flavor: Flavor) -> Self {
        let refusal = error.refusal();
        Self {
            status: refusal.status.as_u16(),
            reason: refusal.reason.code(),
            detail: shown_detail(&flavor.words(detail)),
            advice: flavor.words(refusal.reason.advice()),
        }
    }
}

impl Explanation {
    /// Whether the token is let in and the request is not refused.
    #[must_use]
    pub(crate) fn lets_in(&self) -> bool {
        self.login
            .as_ref()
            .is_none_or(|login| login.refusal.is_none())
            && self.request.as_ref().is_none_or(RequestVerdict::passes)
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.fmt(f)
    }
}

/// The token in a text: without blanks around it, and without the scheme of a header that was copied with it. After
/// `DPoP` it is looked at as if its client's proof were there too.
#[must_use]
pub(crate) fn token_in(text: &str) -> BearerToken {
    let text = text.trim();
    let text = after(text, "authorization:").unwrap_or(text);
    match (after(text, "bearer "), after(text, "dpop ")) {
        (Some(token), _) => BearerToken::new(token),
        (None, Some(token)) => BearerToken::with_assumed_proof(token),
        (None, None) => BearerToken::new(text),
    }
}

fn after<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let start = text.get(..word.len())?;
    start
        .eq_ignore_ascii_case(word)
        .then(|| text[word.len()..].trim())
}

impl Explanation {
    /// Explains what a gateway with this loader would do with a token at `now`. The loader writes nothing: what it would
    /// have written it leaves in `unwritten`. The answer is who was let in.
    pub(crate) async fn login(
        &mut self,
        loader: &Loader,
        token: &BearerToken,
        unwritten: &Unwritten,
        (now, flavor): (UnixTime, Flavor),
    ) -> Result<SessionFacts, LoadError> {
        let report = &mut self.steps;
        before_verification(report, &inspect(token), &loader.rules.issuers, now);
        let mut listener = Listener {
            report,
            unwritten,
            writes: loader.resolver.is_writable(),
            asks_userinfo: true,
            role: None,
        };
        let credential = Credential::from(token.clone());
        let outcome = loader.set_up(&credential, 0, &mut listener).await;
        let role = listener.role;
        let verdict = match &outcome {
            Err(error) if error.is_temporary() => "undecided",
            Err(_) => "refused",
            Ok(_) => "let_in",
        };
        let login = match &outcome {
            Ok(_) => {
                let whom = role.map(|role| format!(" as {role}")).unwrap_or_default();
                report.step("verdict", format!("let in{whom}"));
                LoginVerdict {
                    verdict,
                    role: role.map(Role::name),
                    refusal: None,
                }
            }
            Err(error) => LoginVerdict {
                verdict,
                role: None,
                refusal: Some(refused(report, verdict, error, flavor)),
            },
        };
        self.login = Some(login);
        outcome.map(|loaded| loaded.facts)
    }

    /// Explains where a request goes, and whether it does.
    pub(crate) fn request(&mut self, way: &Way<'_>, asked: &AskedRequest, caller: &Caller<'_>) {
        self.request = Some(way.explain(&mut self.steps, asked, caller));
    }
}

/// The end of a token that is not let in.
fn refused(report: &mut Report, word: &str, error: &LoadError, flavor: Flavor) -> Refused {
    let detail = error.to_string();
    let refused = Refused::new(&GatewayError::Session(error.clone()), &detail, flavor);
    report.step(
        "verdict",
        format!("{word} with {}: {}", refused.status, refused.reason),
    );
    report.more(error.reason().meaning());
    report.more(refused.detail.as_str());
    report.step("to do", refused.advice.as_ref());
    refused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_in_a_copied_header() {
        for text in [
            "abc\n",
            "  abc ",
            "Bearer abc\n",
            "authorization: bearer  abc",
            "Authorization:Bearer abc",
        ] {
            assert_eq!(token_in(text).reveal(), "abc", "{text:?}");
            assert!(!token_in(text).has_proof(), "{text:?}");
        }
        assert!(token_in("DPoP abc") == BearerToken::with_assumed_proof("abc"));
    }
}
