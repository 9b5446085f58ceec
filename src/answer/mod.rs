//! The body of a refusal, in the form that the client in front understands.

mod challenge;

use http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::body::Body;
use crate::config::http::{AgentChallenge, ChallengeScheme};
use crate::credentials::{Scheme, scheme};
use crate::error::{Challenge, Refusal};
use crate::model::UnixTime;
use crate::routes::LOGOUT_PATH;

/// Read from the request before it is consumed.
#[derive(Debug, Clone)]
pub(crate) struct AnswerForm {
    kind: Kind,
    /// For the challenge's realm.
    host: HeaderValue,
    /// The web app asks by script: a challenge would make the browser ask for a password.
    by_script: bool,
    /// The one scheme this client is told of, if it is another's than everybody's.
    wanted: Option<ChallengeScheme>,
    /// The scheme it used.
    sent: Option<Scheme>,
    /// It may be told to send a password.
    takes_passwords: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// WebDAV XML (RFC 4918 section 8.7).
    Dav,
    /// OData error of the Graph API.
    Graph,
    /// OCS envelope.
    Ocs { json: bool },
    /// OpenID Connect Back-Channel Logout 1.0, section 2.8.
    Logout,
    /// RFC 9457.
    Problem,
}

const DAV_PREFIXES: [&str; 3] = ["/remote.php", "/dav", "/webdav"];

const DAV_METHODS: [&str; 9] = [
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "REPORT",
    "SEARCH",
];

/// `DPoP-Nonce` (RFC 9449 section 8.1).
pub(crate) const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// `X-Requested-With`.
const X_REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");

impl AnswerForm {
    /// Chooses by method and path, as routes see it, then by what the client accepts. `agents`: who is challenged in another
    /// way; `passwords`: whether they are taken.
    #[must_use]
    pub(crate) fn of(
        method: &Method,
        path: &str,
        query: Option<&str>,
        headers: &HeaderMap,
        host: HeaderValue,
        agents: &[AgentChallenge],
        passwords: bool,
    ) -> Self {
        let by_script = headers
            .get(X_REQUESTED_WITH)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"XMLHttpRequest"));
        Self {
            kind: kind(method, path, query, headers),
            host,
            by_script,
            wanted: challenge::scheme(agents, headers),
            sent: scheme(headers),
            takes_passwords: passwords && !is_browser(headers),
        }
    }

    /// The whole answer to a refused request. `metadata`: where the protected resource's metadata are.
    #[must_use]
    pub(crate) fn refuse(
        &self,
        refusal: &Refusal,
        request_id: &str,
        metadata: &str,
        now: UnixTime,
    ) -> Response<Body> {
        let kind = match refusal.denied {
            // Whatever asked: clients of every kind read it in this form (docs/design/contract.md 9.8).
            Some(_) => Kind::Graph,
            None => self.kind,
        };
        let (content_type, text) = match kind {
            Kind::Dav => ("application/xml", dav(refusal, request_id)),
            Kind::Graph => ("application/json", graph(refusal, request_id, now)),
            Kind::Ocs { json: true } => (
                "application/json; charset=utf-8",
                ocs_json(refusal, request_id),
            ),
            Kind::Ocs { json: false } => ("application/xml", ocs_xml(refusal, request_id)),
            Kind::Logout => ("application/json", logout(refusal, request_id)),
            Kind::Problem => ("application/problem+json", problem(refusal, request_id)),
        };
        let mut response = Response::new(Body::full(text));
        *response.status_mut() = refusal.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if self.kind == Kind::Logout {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        if let Some(methods) = refusal.allow {
            headers.insert(ALLOW, HeaderValue::from_static(methods));
        }
        if let Some(after) = refusal.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        if let Some(Challenge::UseNonce(nonce)) = &refusal.challenge
            && let Ok(nonce) = HeaderValue::from_str(nonce)
        {
            headers.insert(DPOP_NONCE, nonce);
        }
        if let Some(challenge) = refusal.challenge.as_ref().filter(|_| !self.by_script)
            && let Ok(value) = HeaderValue::from_str(&challenge::value(
                self.host.to_str().unwrap_or_default(),
                challenge,
                self.wanted,
                self.sent,
                metadata,
            ))
        {
            headers.insert(WWW_AUTHENTICATE, value);
            let basic = challenge::basic(self.host.to_str().unwrap_or_default());
            if self.takes_passwords
                && self.wanted.is_none()
                && let Ok(basic) = HeaderValue::from_str(&basic)
            {
                headers.append(WWW_AUTHENTICATE, basic);
            }
        }
        response
    }
}

fn kind(method: &Method, path: &str, query: Option<&str>, headers: &HeaderMap) -> Kind {
    if DAV_METHODS.contains(&method.as_str())
        || DAV_PREFIXES.iter().any(|prefix| is_below(path, prefix))
    {
        return Kind::Dav;
    }
    if path == LOGOUT_PATH {
        return Kind::Logout;
    }
    if is_below(path, "/graph") {
        return Kind::Graph;
    }
    if is_below(path, "/ocs") {
        let by_query =
            query.is_some_and(|query| query.split('&').any(|pair| pair == "format=json"));
        let accept = headers
            .get(ACCEPT)
            .is_some_and(|accept| accept.as_bytes().starts_with(b"application/json"));
        return Kind::Ocs {
            json: by_query || accept,
        };
    }
    Kind::Problem
}

fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A browser would ask its user for a password, over the page that is just about to log in.
fn is_browser(headers: &HeaderMap) -> bool {
    let takes_pages = |value: &HeaderValue| {
        let accepted = value.as_bytes();
        accepted.windows(9).any(|part| part == b"text/html")
    };
    headers.contains_key("sec-fetch-mode") || headers.get_all(ACCEPT).iter().any(takes_pages)
}

fn dav(refusal: &Refusal, request_id: &str) -> String {
    let exception = match refusal.status.as_u16() {
        400 | 414 | 417 | 431 => "BadRequest",
        401 => "NotAuthenticated",
        403 => "PermissionDenied",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        503 => "ServiceUnavailable",
        _ => "GatewayFailure",
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<d:error xmlns:d=\"DAV:\" xmlns:s=\"http://sabredav.org/ns\">\
         <s:exception>Sabre\\DAV\\Exception\\{exception}</s:exception><s:message>{}</s:message>\
         <s:reason>{}</s:reason><s:request-id>{}</s:request-id></d:error>",
        xml(&refusal.public),
        refusal.reason,
        xml(request_id)
    )
}

fn graph(refusal: &Refusal, request_id: &str, now: UnixTime) -> String {
    let code = match refusal.status.as_u16() {
        400 => "invalidRequest",
        401 => "unauthenticated",
        403 => "accessDenied",
        404 => "itemNotFound",
        405 => "notAllowed",
        503 => "serviceNotAvailable",
        _ => "generalException",
    };
    let mut inner =
        json!({"date": rfc3339(now), "request-id": request_id, "reason": refusal.reason.code()});
    if let Some(denied) = &refusal.denied {
        inner["method"] = denied.method.as_str().into();
        inner["filename"] = denied.filename.as_str().into();
        inner["path"] = denied.path.as_str().into();
    }
    let code = match refusal.denied {
        Some(_) => "deniedByPolicy",
        None => code,
    };
    json!({"error": {"code": code, "message": refusal.public, "innererror": inner}}).to_string()
}

fn ocs_json(refusal: &Refusal, request_id: &str) -> String {
    let meta =
        json!({"status": "failure", "statuscode": ocs_code(refusal), "message": refusal.public});
    let data = json!({"reason": refusal.reason.code(), "request-id": request_id});
    json!({"ocs": {"meta": meta, "data": data}}).to_string()
}

fn ocs_xml(refusal: &Refusal, request_id: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ocs><meta><status>failure</status><statuscode>{}</statuscode>\
         <message>{}</message></meta><data><reason>{}</reason><request-id>{}</request-id></data></ocs>",
        ocs_code(refusal),
        xml(&refusal.public),
        refusal.reason,
        xml(request_id)
    )
}

/// OCS clients know 997 as "not authenticated".
fn ocs_code(refusal: &Refusal) -> u16 {
    if refusal.status == http::StatusCode::UNAUTHORIZED {
        997
    } else {
        refusal.status.as_u16()
    }
}

fn logout(refusal: &Refusal, request_id: &str) -> String {
    let error = match refusal.status.as_u16() {
        400 => "invalid_request",
        503 => "temporarily_unavailable",
        _ => "server_error",
    };
    json!({
        "error": error,
        "error_description": refusal.public,
        "reason": refusal.reason.code(),
        "request-id": request_id,
    })
    .to_string()
}

fn problem(refusal: &Refusal, request_id: &str) -> String {
    json!({
        "type": "about:blank",
        "title": refusal.status.canonical_reason().unwrap_or("Error"),
        "status": refusal.status.as_u16(),
        "detail": refusal.public,
        "reason": refusal.reason.code(),
        "request-id": request_id,
    })
    .to_string()
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn rfc3339(now: UnixTime) -> String {
    let time = OffsetDateTime::from_unix_timestamp(now.0).ok();
    time.and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::error::GatewayError;
    use crate::routes::{Root, Target, readable_path};

    fn form(method: &str, path: &str) -> AnswerForm {
        form_below("/", method, path)
    }

    fn form_below(root: &str, method: &str, path: &str) -> AnswerForm {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let (uri, root) = (path.parse().unwrap(), Root::new(root));
        let target = Target::parse(&method, &uri, &root);
        AnswerForm::of(
            &method,
            readable_path(&target, &uri, &root),
            uri.query(),
            &HeaderMap::new(),
            HeaderValue::from_static("cloud.example"),
            &[],
            false,
        )
    }

    /// The challenges of a 401 to a client that sent these headers, where passwords are taken.
    fn challenges(headers: &[(&'static str, &str)]) -> Vec<String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let host = HeaderValue::from_static("a");
        let form = AnswerForm::of(&Method::GET, "/dav/x", None, &map, host, &[], true);
        let answer = form.refuse(&GatewayError::NoCredential.refusal(), "id", "", UnixTime(0));
        let values = answer.headers().get_all(WWW_AUTHENTICATE).iter();
        values
            .map(|value| value.to_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn a_password_is_asked_of_clients_and_never_of_a_browser() {
        let both = challenges(&[("user-agent", "Mozilla/5.0 (Linux) mirall/6.0")]);
        assert!(both[0].starts_with("Bearer "), "{both:?}");
        assert_eq!(both[1], r#"Basic realm="a", charset="UTF-8""#);
        for browser in [
            ("sec-fetch-mode", "navigate"),
            ("accept", "text/html,application/xhtml+xml"),
        ] {
            assert_eq!(challenges(&[browser]).len(), 1, "{browser:?}");
        }
        assert!(challenges(&[("x-requested-with", "XMLHttpRequest")]).is_empty());
    }

    #[test]
    fn the_form_follows_method_and_path() {
        for (method, path, kind) in [
            ("PROPFIND", "/anything", Kind::Dav),
            ("GET", "/remote.php/dav/files/a", Kind::Dav),
            ("GET", "/graph/v1.0/me", Kind::Graph),
            ("GET", "/ocs/v1.php/cloud/user", Kind::Ocs { json: false }),
            (
                "GET",
                "/ocs/v1.php/cloud/user?format=json",
                Kind::Ocs { json: true },
            ),
            ("GET", "/archiver", Kind::Problem),
            ("GET", "//dav//x", Kind::Dav),
            ("GET", "/%64av/x", Kind::Dav),
            ("GET", "/dav", Kind::Dav),
            ("GET", "/dav/../x", Kind::Dav),
            ("GET", "/graph", Kind::Graph),
            ("GET", "/graphics", Kind::Problem),
        ] {
            assert_eq!(form(method, path).kind, kind, "{method} {path}");
        }
    }

    #[test]
    fn below_a_root_the_form_follows_the_rest_of_the_path() {
        for (path, kind) in [
            ("/cloud/dav/x", Kind::Dav),
            ("/cloud/dav/../x", Kind::Dav),
            ("/cloud/graph/v1.0/me", Kind::Graph),
            ("/cloud/ocs/v1.php?format=json", Kind::Ocs { json: true }),
            ("/cloud/x", Kind::Problem),
        ] {
            assert_eq!(form_below("/cloud", "GET", path).kind, kind, "{path}");
        }
    }

    #[test]
    fn a_405_names_the_methods_that_are_allowed() {
        for error in [
            GatewayError::LocalMethod,
            GatewayError::Route(crate::routes::RouteError::MethodNotAllowed),
        ] {
            let response = form("FOO", "/x").refuse(&error.refusal(), "id", "", UnixTime(0));
            assert_eq!(response.status(), 405);
            assert!(response.headers()[ALLOW].to_str().unwrap().contains("GET"));
        }
    }

    #[test]
    fn a_dav_401_is_not_authenticated_in_the_dav_namespace() {
        let response = form("GET", "/dav/x").refuse(
            &GatewayError::NoCredential.refusal(),
            "id-1",
            "",
            UnixTime(0),
        );
        assert_eq!(response.headers()[CONTENT_TYPE], "application/xml");
        let text = dav(&GatewayError::NoCredential.refusal(), "id-1");
        assert!(
            text.contains("xmlns:d=\"DAV:\"")
                && text.contains("Sabre\\DAV\\Exception\\NotAuthenticated")
        );
        assert!(text.contains("id-1") && text.contains("no_credential"));
    }

    #[test]
    fn scripts_get_no_challenge() {
        let mut headers = HeaderMap::new();
        headers.insert(X_REQUESTED_WITH, HeaderValue::from_static("XMLHttpRequest"));
        let form = AnswerForm::of(
            &Method::GET,
            "/graph/x",
            None,
            &headers,
            HeaderValue::from_static("a"),
            &[],
            false,
        );
        let response = form.refuse(&GatewayError::NoCredential.refusal(), "id", "", UnixTime(0));
        assert!(!response.headers().contains_key(WWW_AUTHENTICATE));
    }
}
