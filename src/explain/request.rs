//! Where a request goes: policy, route with its place in the configuration, backend, and whether somebody has to be known.

use http::{HeaderMap, Method, Uri};
use serde::Serialize;

use super::report::{Report, list, shown};
use super::{LoadError, Refused, SessionFacts, UnixTime};
use crate::config::routes::{IdentityMode, Route, RouteKind, Server};
use crate::config::selector::PolicySelector;
use crate::error::GatewayError;
use crate::local;
use crate::model::Fault;
use crate::process::Snapshot;
use crate::routes::{
    NormalPath, Policies, ProtectedRoute, RouteError, RouteMatch, Target, upstream_target,
};
use crate::services::Directory;
use crate::session::Identity;

/// A request as a client sends it.
#[derive(Debug, Clone)]
pub(crate) struct AskedRequest {
    /// Its method.
    pub method: Method,
    /// Path and query; of a whole URL no more is read.
    pub target: Uri,
}

/// Who sends it.
#[derive(Debug)]
pub(crate) enum Caller<'a> {
    /// Somebody without a token.
    Nobody,
    /// Somebody whose token is not let in.
    Refused(&'a LoadError),
    /// Whoever was let in.
    Known(&'a SessionFacts),
}

/// What decides where requests go.
#[derive(Debug)]
pub(crate) struct Way<'a> {
    /// Policies and routes.
    pub snapshot: &'a Snapshot,
    /// Addresses of services.
    pub services: &'a Directory,
    /// The time it is.
    pub now: UnixTime,
}

/// What a request comes to.
#[derive(Debug, Serialize)]
pub(super) struct RequestVerdict {
    verdict: Outcome,
    method: String,
    path: String,
    policy: Option<String>,
    route: Option<RouteTold>,
    #[serde(flatten)]
    refusal: Option<Refused>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    /// To the backend.
    Forwarded,
    /// By the gateway itself.
    AnsweredHere,
    /// Not without a token, and none was given to look at.
    NeedsLogin,
    /// Not at all.
    Refused,
}

#[derive(Debug, Serialize)]
struct RouteTold {
    kind: &'static str,
    endpoint: String,
    method: Option<String>,
    /// File, line and key; null for a route that is there by default.
    place: Option<String>,
    /// `required`, `none`, or `optional`: where the backend reads credentials of its own.
    login: &'static str,
    /// What the backend is told about a person: `reva`, `headers` or `none`.
    identity: &'static str,
    required_claims: Vec<String>,
    max_age_seconds: Option<u64>,
    backend: String,
    /// Where the backend answers; empty if nobody knows.
    addresses: Vec<String>,
    /// Path and query that the backend gets.
    target: String,
}

impl RequestVerdict {
    /// Whether it is not refused.
    pub(super) fn passes(&self) -> bool {
        self.verdict != Outcome::Refused
    }
}

impl Way<'_> {
    pub(super) fn explain(
        &self,
        report: &mut Report,
        asked: &AskedRequest,
        caller: &Caller<'_>,
    ) -> RequestVerdict {
        let mut told = RequestVerdict {
            verdict: Outcome::Forwarded,
            method: asked.method.to_string(),
            path: asked.target.path().to_owned(),
            policy: None,
            route: None,
            refusal: None,
        };
        report.step(
            "request",
            format!("{} {}", asked.method, shown(asked.target.path())),
        );
        match self.follow(report, asked, caller, &mut told) {
            Ok(outcome) => told.verdict = outcome,
            // Without a token at hand nobody was refused yet.
            Err(GatewayError::NoCredential) if matches!(caller, Caller::Nobody) => {
                report.step(
                    "outcome",
                    "needs a login; `--token-file` says what a token comes to",
                );
                told.verdict = Outcome::NeedsLogin;
            }
            Err(error) => {
                let flavor = self.snapshot.config.flavor;
                let refused = Refused::new(&error, &error.to_string(), flavor);
                report.step(
                    "outcome",
                    format!("refused with {}: {}", refused.status, refused.reason),
                );
                report.more(refused.detail.as_str());
                report.step("to do", refused.advice.as_ref());
                told.verdict = Outcome::Refused;
                told.refusal = Some(refused);
            }
        }
        told
    }

    /// The steps of [`crate::pipeline`], for one who is known or not.
    fn follow(
        &self,
        report: &mut Report,
        asked: &AskedRequest,
        caller: &Caller<'_>,
        told: &mut RequestVerdict,
    ) -> Result<Outcome, GatewayError> {
        let snapshot = self.snapshot;
        let Target::Path(path) = Target::parse(&asked.method, &asked.target, &snapshot.root)?
        else {
            report.step("outcome", "answered by the gateway itself: what it can do");
            return Ok(Outcome::AnsweredHere);
        };
        if path.matched() != asked.target.path() {
            report.more(format!("routes see {}", shown(path.matched())));
        }
        if let Some(endpoint) = local::endpoint(snapshot, &path) {
            report.step(
                "outcome",
                format!("answered by the gateway itself: {endpoint:?}"),
            );
            return Ok(Outcome::AnsweredHere);
        }
        if snapshot.data_gateway.is_some() && path.without_prefix("/data").is_some() {
            report.more("an upload by tus goes where its own token leads, past all routes");
        }
        let route = self.policy(report, &asked.method, &path, caller, told)?;
        let mut described = self.describe(report, route, &path);
        let open = self.login(report, &asked.method, route, &mut described);
        told.route = Some(described);
        match (route, caller) {
            (RouteMatch::Protected(route), Caller::Known(facts)) => {
                let admitted = self.meets(route, facts);
                if !(open && admitted.is_err()) {
                    admitted?;
                }
                report.step("outcome", "forwarded in the person's name");
            }
            (RouteMatch::Protected(_), _) if open => {
                report.step("outcome", "forwarded in nobody's name");
            }
            (RouteMatch::Protected(_), Caller::Refused(error)) => {
                return Err((*error).clone().into());
            }
            (RouteMatch::Protected(_), Caller::Nobody) => return Err(GatewayError::NoCredential),
            (RouteMatch::Public(_), _) => {
                report.step("outcome", "forwarded; nobody has to be known");
            }
        }
        Ok(Outcome::Forwarded)
    }

    /// The route, by the policy that serves the caller.
    fn policy(
        &self,
        report: &mut Report,
        method: &Method,
        path: &NormalPath<'_>,
        caller: &Caller<'_>,
        told: &mut RequestVerdict,
    ) -> Result<RouteMatch<'_>, GatewayError> {
        let (name, why, route) = match (
            &self.snapshot.policies,
            &self.snapshot.config.policy_selector,
        ) {
            (Policies::ByUser(policies), PolicySelector::ByUser(selector)) => match caller {
                Caller::Known(facts) => {
                    let policy = policy_of(facts);
                    let table = policies.of_user(policy.as_deref());
                    let name = policy.as_deref().unwrap_or(&selector.default_policy);
                    (
                        name.to_owned(),
                        "the person's own (policy_selector)",
                        table.find(method, path),
                    )
                }
                Caller::Refused(error) if error.fault() != Fault::Caller => {
                    return Err((*error).clone().into());
                }
                Caller::Nobody | Caller::Refused(_) => {
                    let found = policies.of_anybody(&HeaderMap::new(), method, path);
                    (
                        selector.unauthenticated_policy.to_string(),
                        "of requests without a login and without the cookie (policy_selector)",
                        found.map(|(_, route)| route),
                    )
                }
            },
            (Policies::Static(table), PolicySelector::Static(name)) => {
                (name.clone(), "for everybody", table.find(method, path))
            }
            // They are made of each other.
            _ => return Err(RouteError::NoRoute.into()),
        };
        report.step("policy", format!("{}, {why}", shown(&name)));
        told.policy = Some(name);
        Ok(route?)
    }

    /// Route and backend.
    fn describe(
        &self,
        report: &mut Report,
        matched: RouteMatch<'_>,
        path: &NormalPath<'_>,
    ) -> RouteTold {
        let route = matched.settings();
        let kind = match route.kind {
            RouteKind::Prefix => "prefix",
            RouteKind::Query => "query",
            RouteKind::Regex => "regex",
        };
        let for_method = match &route.method {
            Some(method) => format!(", for {method} only"),
            None => String::new(),
        };
        report.step(
            "route",
            format!("{kind} {}{for_method}", shown(&route.endpoint)),
        );
        let place = (!route.place.is_empty()).then(|| route.place.clone());
        report.more(place.as_deref().unwrap_or("it is there by default"));
        let addresses: Vec<String> = match &route.backend.server {
            Server::Origin(endpoint) => vec![endpoint.to_string()],
            Server::Service(name) => {
                let known = self.services.endpoints(name.as_str());
                known.iter().map(ToString::to_string).collect()
            }
        };
        let at = if addresses.is_empty() {
            "at no address that anybody knows".to_owned()
        } else {
            format!("at {}", addresses.join(", "))
        };
        report.step("backend", format!("{} {at}", route.backend.name));
        let target = upstream_target(route, path, &self.snapshot.root);
        let target = target.path_and_query().into_owned();
        report.more(format!("is asked for {}", shown(&target)));
        RouteTold {
            kind,
            endpoint: route.endpoint.clone(),
            method: route.method.as_ref().map(ToString::to_string),
            place,
            login: "none",
            identity: identity(route),
            required_claims: required(route),
            max_age_seconds: route.max_age.map(|age| age.as_secs()),
            backend: route.backend.name.clone(),
            addresses,
            target,
        }
    }

    /// Whether it goes on without anybody known.
    fn login(
        &self,
        report: &mut Report,
        method: &Method,
        route: RouteMatch<'_>,
        told: &mut RouteTold,
    ) -> bool {
        let route = match route {
            RouteMatch::Public(_) => {
                report.step("login", "none needed: the route is open (unprotected)");
                return true;
            }
            RouteMatch::Protected(route) => route,
        };
        let is_preflight = !self.snapshot.config.http.options_require_auth
            && route.for_preflight(method).is_some();
        let open = route.without_login().is_some() || is_preflight;
        let (login, why) = if is_preflight {
            (
                "optional",
                "OPTIONS needs none (PROXY_OPTIONS_REQUIRE_AUTH)",
            )
        } else if open {
            let why = "the backend reads credentials of its own here, as those of public links";
            ("optional", why)
        } else {
            ("required", "the route is protected")
        };
        told.login = login;
        report.step("login", format!("{login}: {why}"));
        let what = match told.identity {
            "reva" => "the person by x-access-token",
            "headers" => "the person by Remote-User, Remote-Name, Remote-Email, Remote-Groups",
            _ => "nothing of the person",
        };
        report.more(format!("the backend is told {what}"));
        let settings = route.settings();
        if let Some(name) = &settings.remote_user_header {
            report.more(format!("and the account's id in {name}"));
        }
        if !told.required_claims.is_empty() {
            report.more(format!("required_claims: {}", list(&told.required_claims)));
        }
        if let Some(age) = told.max_age_seconds {
            report.more(format!("max_age: the login may be {age} s old"));
        }
        open
    }

    /// What the route itself requires.
    fn meets(&self, route: ProtectedRoute<'_>, facts: &SessionFacts) -> Result<(), GatewayError> {
        let settings = route.settings();
        let meets_claims = facts.requirements.meet(&settings.required_claims);
        let too_old = settings.max_age.filter(|age| {
            let logged_in = facts.auth_time;
            logged_in.is_none_or(|at| self.now > at.plus(*age))
        });
        if meets_claims && too_old.is_none() {
            return Ok(());
        }
        Err(GatewayError::unmet(settings, meets_claims, too_old))
    }
}

fn policy_of(facts: &SessionFacts) -> Option<std::sync::Arc<str>> {
    facts.policy.clone().or_else(|| match &facts.identity {
        Identity::OfAccount(account) => account.policy(),
        Identity::Own(_) => None,
    })
}

fn identity(route: &Route) -> &'static str {
    match route.identity {
        IdentityMode::Reva if route.skip_x_access_token => "none",
        IdentityMode::Reva => "reva",
        IdentityMode::Headers => "headers",
        IdentityMode::None => "none",
    }
}

fn required(route: &Route) -> Vec<String> {
    let required = route.required_claims.iter();
    required
        .map(|one| format!("{}={}", one.claim, one.value))
        .collect()
}
