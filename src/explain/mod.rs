//! `davgate explain`: what the gateway would do with a token and a request, step by step, and which setting decides.
//!
//! The gateway's own loader takes its steps, over a directory and a role store that are only read, and what it tells is
//! written down. Of the claims only those values are shown that decide something: user name, role, groups. The token itself is
//! never shown.

mod report;
mod request;

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

use crate::accounts::{Found, GroupClaim, Ownership, Unwritten, claimed_groups};
use crate::auth::{Inspection, IssuerLogin, inspect};
use crate::config::Flavor;
use crate::config::accounts::RoleAssignment;
use crate::config::oidc::{Issuer, UserLookup, VerifyMethod};
use crate::credentials::{BearerToken, Credential};
use crate::error::GatewayError;
use crate::login::Login;
use crate::model::{Claims, Role, StoredRole, UnixTime};
use crate::roles::{Assigned, AssignedBy, RoleError, RoleRules};
use crate::session::loader::Loader;
use crate::session::trace::{Step, Trace};
use crate::session::{LoadError, SessionFacts};
use report::{Report, ago, list, shown};
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

/// Writes down what the loader tells.
struct Listener<'a> {
    report: &'a mut Report,
    unwritten: &'a Unwritten,
    /// Whether accounts are made and changed.
    writes: bool,
    /// Of the issuer whose token it is.
    asks_userinfo: bool,
    role: Option<Role>,
}

impl Trace for Listener<'_> {
    fn hear(&mut self, step: Step<'_>) {
        let report = &mut *self.report;
        match step {
            Step::Verified { login, issuer } => {
                if let (Login::Claims(login), Some(issuer)) = (login, issuer) {
                    self.asks_userinfo = !issuer.skip_user_info;
                    verified(report, issuer, login);
                    user(report, issuer, login);
                    groups(report, issuer, login, self.writes);
                }
            }
            Step::LookedUp(found) => account(report, found),
            Step::Role {
                rules,
                claims,
                stored,
                outcome,
            } => {
                role(report, rules, claims, stored, outcome, self.asks_userinfo);
                self.role = outcome.ok().map(|assigned| assigned.role);
            }
            Step::ServiceRole(role) => {
                report.step("role", format!("{role}, of PROXY_SERVICE_CLIENTS"));
                self.role = Some(role);
            }
            Step::Settled(_) | Step::RoleKept(_) => {
                for what in self.unwritten.take() {
                    report.step("to write", what);
                }
            }
            Step::Identified | Step::Home(_) | Step::Announced => {}
        }
    }
}

/// What the token says of itself, beside what the configuration wants.
fn before_verification(report: &mut Report, token: &Inspection, issuers: &[Issuer], now: UnixTime) {
    report.step("token", format!("{}, {} bytes", token.kind, token.bytes));
    if let Some(kind) = &token.header_type {
        report.more(format!("typ {}", shown(kind)));
    }
    let known: Vec<&str> = issuers.iter().map(|one| one.issuer.as_str()).collect();
    let issuer = match &token.issuer {
        None => {
            report.step(
                "issuer",
                format!("not named by the token; configured: {}", list(&known)),
            );
            None
        }
        Some(name) => {
            let at = known.iter().position(|one| one == name);
            match at {
                Some(at) => report.step(
                    "issuer",
                    format!("{}, number {at} of {}", shown(name), known.len()),
                ),
                None => report.step(
                    "issuer",
                    format!("{}, which is none of {}", shown(name), list(&known)),
                ),
            }
            at
        }
    };
    let issuer = issuer
        .and_then(|at| issuers.get(at))
        .or_else(|| issuers.first());
    if let Some(algorithm) = &token.algorithm {
        let key = token
            .key_id
            .as_deref()
            .map_or_else(|| "not named".to_owned(), shown);
        report.step("key", format!("{key}, algorithm {}", shown(algorithm)));
    }
    for (what, at) in [
        ("issued", token.issued_at),
        ("valid from", token.not_before),
        ("expires", token.expires_at),
    ] {
        if let Some(at) = at {
            report.step("times", format!("{what} {}", ago(at, now)));
        }
    }
    let Some(issuer) = issuer else { return };
    if let Some(audience) = &token.audience {
        report.step("audience", shown_json(audience));
    }
    if let Some(party) = &token.authorized_party {
        report.step("audience", format!("azp {}", shown(party)));
    }
    for (setting, wanted) in [
        ("PROXY_OIDC_ACCESS_TOKEN_VERIFY_AUD", &issuer.verify_aud),
        ("PROXY_OIDC_AUDIENCES", &issuer.audiences),
    ] {
        if !wanted.is_empty() {
            report.step(
                "audience",
                format!("{setting} wants one of {}", list(wanted)),
            );
        }
    }
    if issuer.verify_aud.is_empty() && issuer.audiences.is_empty() {
        report.step("audience", "not checked; PROXY_OIDC_AUDIENCES does");
    }
}

fn verified(report: &mut Report, issuer: &Issuer, login: &IssuerLogin) {
    let position = login.issuer;
    let how = match issuer.verify_method {
        VerifyMethod::Jwt => "by the issuer's keys",
        VerifyMethod::None => "by the issuer's userinfo (verify method none)",
        VerifyMethod::Auto => "by keys, introspection or userinfo (verify method auto)",
        VerifyMethod::Introspection => "by introspection",
    };
    report.step("verified", format!("{how}, issuer number {position}"));
    let userinfo = if issuer.skip_user_info {
        "not asked (PROXY_OIDC_SKIP_USER_INFO)"
    } else {
        "asked"
    };
    report.step("userinfo", userinfo);
    let names: Vec<&str> = login.claims.0.keys().map(String::as_str).collect();
    report.step("claims", format!("there are {}", list(&names)));
}

fn user(report: &mut Report, issuer: &Issuer, login: &IssuerLogin) {
    let compared = match issuer.user_lookup {
        UserLookup::Username => "user name",
        UserLookup::Mail => "mail address",
        UserLookup::UserId => "account id",
    };
    let value = login.claims.text_at(&issuer.user_claim);
    let value = value.map_or_else(
        || "is not there or no text".to_owned(),
        |text| format!("is {}", shown(text)),
    );
    report.step(
        "user",
        format!(
            "claim `{}` {value}; compared with the {compared}",
            issuer.user_claim
        ),
    );
    report.more("PROXY_USER_OIDC_CLAIM and PROXY_USER_CS3_CLAIM decide");
}

fn account(report: &mut Report, found: &Found) {
    match found {
        Found::Known { account, claim } => {
            let why = match claim {
                Ownership::Identity => "it has the token's issuer and subject",
                Ownership::ClaimedByName => {
                    "it has no identity yet and would get this one (PROXY_ACCOUNT_CLAIM_BY_NAME)"
                }
                Ownership::ByClaim => "the user claim names it; the backend knows no identities",
                Ownership::Mapping => "the user claim names it; provisioning is off",
                Ownership::Moved => {
                    "it is of a former issuer (PROXY_ACCOUNT_FORMER_ISSUERS) and becomes the login's"
                }
                Ownership::ServiceClient(_) => "PROXY_SERVICE_CLIENTS names it",
            };
            report.step(
                "account",
                format!("found: {}, id {}", shown(&account.username), account.id),
            );
            report.more(why);
        }
        Found::Absent { new, .. } => {
            report.step(
                "account",
                format!("none; {} would be created", shown(&new.username)),
            );
            report.more("PROXY_AUTOPROVISION_ACCOUNTS is on");
        }
    }
}

fn groups(report: &mut Report, issuer: &Issuer, login: &IssuerLogin, writes: bool) {
    let text = match claimed_groups(&login.claims, &issuer.provision_claims) {
        GroupClaim::Off => "left alone; PROXY_AUTOPROVISION_CLAIM_GROUPS is empty".to_owned(),
        GroupClaim::Unusable(why) => format!("left alone: {why}"),
        GroupClaim::Wanted { .. } if !writes => {
            "left alone; nothing is written to the directory".to_owned()
        }
        GroupClaim::Wanted { groups, ignored } => {
            let names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
            let ignored = match ignored {
                0 => String::new(),
                number => format!("; {number} values are no names"),
            };
            format!("member of {}{ignored}", list(&names))
        }
    };
    report.step("groups", text);
}

fn role(
    report: &mut Report,
    rules: &RoleRules<'_>,
    claims: &Claims,
    stored: Option<&StoredRole>,
    assigned: Result<&Assigned, &RoleError>,
    asks_userinfo: bool,
) {
    report.step(
        "role",
        match stored {
            Some(StoredRole::Known(role)) => format!("the account has {role}"),
            Some(StoredRole::Several(role)) => {
                format!("the account has several, {role} among them; one is to be left")
            }
            Some(StoredRole::Foreign(text)) => {
                format!("the account has {}, which is no role", shown(text))
            }
            None => "the account has none".to_owned(),
        },
    );
    if let RoleAssignment::Oidc { claim, mapping } = rules.assignment {
        let (values, met) = crate::roles::compare(claims, claim, mapping);
        report.more(match claims.at(claim) {
            None if asks_userinfo => format!(
                "claim `{claim}` is absent; the issuer may send it only for a scope that the client has to ask for"
            ),
            None => format!(
                "claim `{claim}` is absent from the token; userinfo may have it, but is not asked (PROXY_OIDC_SKIP_USER_INFO)"
            ),
            Some(_) => format!("claim `{claim}` has {}", list(&values)),
        });
        let chosen = match assigned {
            Ok(assigned) => match assigned.by {
                AssignedBy::Mapping(at) => Some(at),
                AssignedBy::Stored | AssignedBy::Bootstrap | AssignedBy::Default => None,
            },
            Err(_) => None,
        };
        for (at, (entry, met)) in mapping.iter().zip(met).enumerate() {
            let outcome = match (met, chosen) {
                (true, Some(chosen)) if at == chosen => "matches and decides",
                (true, Some(_)) => "matches too, but an earlier one decides",
                (true, None) => "matches, but does not decide",
                (false, _) => "is not among the claim's values",
            };
            report.more(format!(
                "{} for {}: {outcome}",
                entry.role,
                shown(&entry.value)
            ));
        }
    }
    let Ok(assigned) = assigned else { return };
    report.more(match assigned.by {
        AssignedBy::Stored => {
            "the account's own role counts (PROXY_ROLE_SYNC, PROXY_ROLE_ASSIGNMENT_DRIVER)"
        }
        AssignedBy::Mapping(_) => "the mapping decides (PROXY_ROLE_ASSIGNMENT_OIDC_MAPPING)",
        AssignedBy::Bootstrap => "PROXY_ROLE_BOOTSTRAP_ADMIN decides",
        AssignedBy::Default => "the default of PROXY_ROLE_ASSIGNMENT_DRIVER=default",
    });
    let written = if assigned.write {
        "; it would be written to the account"
    } else {
        ""
    };
    report.more(format!("{}{written}", assigned.role));
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

/// JSON of a token on one line, without what moves a cursor.
fn shown_json(json: &str) -> String {
    json.chars().take(400).flat_map(escape).collect()
}

fn shown_detail(detail: &str) -> String {
    detail.chars().take(2_000).flat_map(escape).collect()
}

fn escape(c: char) -> impl Iterator<Item = char> {
    let plain = (!c.is_control()).then_some(c);
    plain.into_iter().chain(
        plain
            .is_none()
            .then(|| c.escape_default())
            .into_iter()
            .flatten(),
    )
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

    #[test]
    fn nothing_in_a_token_moves_the_cursor() {
        assert_eq!(shown_json("\u{1b}[2Jå"), "\\u{1b}[2Jå");
    }
}
