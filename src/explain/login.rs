//! What the steps of a login come to, in words: each names the values that decided, and the setting.

use super::report::{Report, ago, list, shown, shown_json};
use crate::accounts::{Found, GroupClaim, Ownership, Unwritten, claimed_groups};
use crate::auth::{Inspection, IssuerLogin};
use crate::config::accounts::RoleAssignment;
use crate::config::oidc::{Issuer, UserLookup, VerifyMethod};
use crate::login::Login;
use crate::model::{Claims, Role, StoredRole, UnixTime};
use crate::roles::{Assigned, AssignedBy, RoleError, RoleRules};
use crate::session::trace::{Step, Trace};

/// Writes down what the loader tells.
pub(super) struct Listener<'a> {
    pub(super) report: &'a mut Report,
    pub(super) unwritten: &'a Unwritten,
    /// Whether accounts are made and changed.
    pub(super) writes: bool,
    /// Of the issuer whose token it is.
    pub(super) asks_userinfo: bool,
    pub(super) role: Option<Role>,
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
pub(super) fn before_verification(
    report: &mut Report,
    token: &Inspection,
    issuers: &[Issuer],
    now: UnixTime,
) {
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
