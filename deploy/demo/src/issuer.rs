//! The OpenID provider: discovery, JWKS, authorization code with PKCE, refresh, userinfo, logout.
//!
//! One public client (`davgate-demo`), loopback redirects with any port (RFC 8252 section 7.3).

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body::Body;
use serde_json::{Value, json};
use url::Url;

use crate::grants::{Binding, Grant, Grants};
use crate::login_page;
use crate::tokens::{ACCESS_TOKEN, ID_TOKEN, Signer, now, random};
use crate::users::User;
use crate::web::{Answer, answer, fields, form, json as json_answer, see_other};

/// The only client.
pub(crate) const CLIENT_ID: &str = "davgate-demo";
/// `aud` of access tokens: the gateway.
const AUDIENCE: &str = "davgate";
/// Fields of an authorization request that the login form sends along.
const REQUEST_FIELDS: [&str; 8] = [
    "client_id",
    "redirect_uri",
    "response_type",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
];

type Fields = HashMap<String, String>;

/// The provider and all its state.
pub(crate) struct Issuer {
    address: String,
    token_lifetime: Duration,
    signer: Signer,
    grants: Grants,
}

impl Issuer {
    /// A provider with this issuer identifier and a fresh key.
    pub(crate) fn new(address: String, token_lifetime: Duration) -> anyhow::Result<Self> {
        Ok(Self {
            address,
            token_lifetime,
            signer: Signer::generate()?,
            grants: Grants::default(),
        })
    }

    /// Answers one request.
    pub(crate) async fn handle<B>(&self, request: Request<B>) -> Answer
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        let query = parts.uri.query().unwrap_or("");
        match (&parts.method, parts.uri.path()) {
            (&Method::GET, "/.well-known/openid-configuration") => {
                json_answer(StatusCode::OK, &self.discovery())
            }
            (&Method::GET, "/jwks") => json_answer(StatusCode::OK, &self.signer.jwks()),
            (&Method::GET, "/authorize") => match fields(query.as_bytes()) {
                Some(request) => self.authorize(&request),
                None => bad_request("The authorization request has a parameter twice."),
            },
            (&Method::POST, "/authorize") => match form(body).await {
                Some(request) => self.authorize(&request),
                None => bad_request("The login form could not be read."),
            },
            (&Method::POST, "/token") => match form(body).await {
                Some(request) => self.token(&request),
                None => token_error("invalid_request"),
            },
            (&Method::GET | &Method::POST, "/userinfo") => self.userinfo(&parts.headers),
            (&Method::GET, "/logout") => self.logout(&fields(query.as_bytes()).unwrap_or_default()),
            (&Method::POST, "/logout") => self.logout(&form(body).await.unwrap_or_default()),
            (&Method::GET, "/healthz") => answer(StatusCode::OK, "text/plain", "ok\n"),
            (_, "/token" | "/authorize" | "/jwks" | "/userinfo" | "/logout") => {
                let mut refusal =
                    answer(StatusCode::METHOD_NOT_ALLOWED, "text/plain", Bytes::new());
                refusal
                    .headers_mut()
                    .insert(ALLOW, HeaderValue::from_static("GET, POST"));
                refusal
            }
            _ => login_page::notice(StatusCode::NOT_FOUND, "There is nothing here."),
        }
    }

    fn discovery(&self) -> Value {
        let at = |path: &str| format!("{}{path}", self.address);
        json!({
            "issuer": self.address,
            "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/token"),
            "userinfo_endpoint": at("/userinfo"),
            "jwks_uri": at("/jwks"),
            "end_session_endpoint": at("/logout"),
            "scopes_supported": ["openid", "profile", "email", "roles", "groups", "offline_access"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["none"],
            "code_challenge_methods_supported": ["S256"],
            "claims_supported": ["sub", "preferred_username", "name", "email", "email_verified", "roles", "groups"],
            "authorization_response_iss_parameter_supported": true,
        })
    }

    /// The authorization endpoint: the login page, or with credentials in the form the redirect with a code.
    fn authorize(&self, request: &Fields) -> Answer {
        let field = |name: &str| request.get(name).map_or("", String::as_str);
        if field("client_id") != CLIENT_ID {
            return bad_request("This client is not known here.");
        }
        let Some(redirect) = loopback(field("redirect_uri")) else {
            return bad_request("The redirect address is not a loopback address.");
        };
        // From here on mistakes are told to the client, not to the person (RFC 6749 section 4.1.2.1).
        let state = request.get("state").map(String::as_str);
        if field("response_type") != "code" {
            return self.redirect(redirect, state, &[("error", "unsupported_response_type")]);
        }
        if !field("scope").split(' ').any(|scope| scope == "openid") {
            return self.redirect(redirect, state, &[("error", "invalid_scope")]);
        }
        if field("code_challenge_method") != "S256" || field("code_challenge").len() != 43 {
            let why = ("error_description", "PKCE with S256 is required");
            return self.redirect(redirect, state, &[("error", "invalid_request"), why]);
        }
        let Some(user) = User::log_in(field("username"), field("password")) else {
            let known = REQUEST_FIELDS
                .iter()
                .filter_map(|name| request.get(*name).map(|value| (*name, value.as_str())));
            return login_page::login(known, field("username"), request.contains_key("password"));
        };
        let code = random().and_then(|sid| {
            let grant = Grant {
                user,
                scope: field("scope").to_owned(),
                nonce: request.get("nonce").cloned(),
                sid,
                auth_time: now(),
            };
            let binding = Binding {
                redirect_uri: field("redirect_uri").to_owned(),
                code_challenge: field("code_challenge").to_owned(),
            };
            self.grants.issue_code(grant, binding)
        });
        match code {
            Ok(code) => self.redirect(redirect, state, &[("code", &code)]),
            Err(_) => self.redirect(redirect, state, &[("error", "server_error")]),
        }
    }

    fn redirect(&self, mut target: Url, state: Option<&str>, answer: &[(&str, &str)]) -> Answer {
        target
            .query_pairs_mut()
            .extend_pairs(answer)
            .extend_pairs(state.map(|state| ("state", state)))
            .append_pair("iss", &self.address);
        see_other(target.as_str())
    }

    /// The token endpoint (RFC 6749 sections 4.1.3 and 6).
    fn token(&self, request: &Fields) -> Answer {
        let field = |name: &str| request.get(name).map_or("", String::as_str);
        if field("client_id") != CLIENT_ID {
            return token_error("invalid_client");
        }
        let grant = match field("grant_type") {
            "authorization_code" => self.grants.redeem_code(
                field("code"),
                field("redirect_uri"),
                field("code_verifier"),
            ),
            "refresh_token" => self.grants.redeem_refresh_token(field("refresh_token")),
            _ => return token_error("unsupported_grant_type"),
        };
        let Some(grant) = grant else {
            return token_error("invalid_grant");
        };
        match self.token_response(&grant) {
            Ok(response) => json_answer(StatusCode::OK, &response),
            Err(_) => json_answer(
                StatusCode::INTERNAL_SERVER_ERROR,
                &json!({"error": "server_error"}),
            ),
        }
    }

    fn token_response(&self, grant: &Grant) -> anyhow::Result<Value> {
        let lifetime = self.token_lifetime.as_secs();
        let common = json!({
            "iss": self.address,
            "iat": now(),
            "exp": now() + lifetime,
            "sid": grant.sid,
            "auth_time": grant.auth_time,
        });
        let access = merged([
            &common,
            &grant.user.claims(),
            &json!({
                "aud": AUDIENCE, "azp": CLIENT_ID, "client_id": CLIENT_ID,
                "scope": grant.scope, "jti": random()?,
            }),
        ]);
        let id = merged([
            &common,
            &grant.user.claims(),
            &json!({"aud": CLIENT_ID}),
            &grant
                .nonce
                .as_ref()
                .map_or(Value::Null, |nonce| json!({"nonce": nonce})),
        ]);
        Ok(json!({
            "token_type": "Bearer",
            "expires_in": lifetime,
            "scope": grant.scope,
            "access_token": self.signer.sign(ACCESS_TOKEN, &access)?,
            "id_token": self.signer.sign(ID_TOKEN, &id)?,
            "refresh_token": self.grants.issue_refresh_token(grant)?,
        }))
    }

    /// Userinfo, for an access token of a login that still stands.
    fn userinfo(&self, headers: &HeaderMap) -> Answer {
        let user = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .and_then(|token| self.signer.verify(ACCESS_TOKEN, token))
            .filter(|claims| claims["exp"].as_u64().is_some_and(|exp| exp > now()))
            .filter(|claims| {
                claims["sid"]
                    .as_str()
                    .is_some_and(|sid| self.grants.is_live(sid))
            })
            .and_then(|claims| User::by_subject(claims["sub"].as_str()?));
        match user {
            Some(user) => json_answer(StatusCode::OK, &user.claims()),
            None => {
                let mut refusal =
                    json_answer(StatusCode::UNAUTHORIZED, &json!({"error": "invalid_token"}));
                refusal.headers_mut().insert(
                    WWW_AUTHENTICATE,
                    HeaderValue::from_static("Bearer error=\"invalid_token\""),
                );
                refusal
            }
        }
    }

    /// RP-initiated logout. An expired ID token still names its login.
    fn logout(&self, request: &Fields) -> Answer {
        let hint = request
            .get("id_token_hint")
            .and_then(|token| self.signer.verify(ID_TOKEN, token));
        let Some(claims) = hint else {
            return bad_request("Logging out needs the ID token as id_token_hint.");
        };
        if let Some(sid) = claims["sid"].as_str() {
            self.grants.end(sid);
        }
        match request
            .get("post_logout_redirect_uri")
            .and_then(|uri| loopback(uri))
        {
            Some(target) => self.redirect(target, request.get("state").map(String::as_str), &[]),
            None => login_page::notice(StatusCode::OK, "You are logged out."),
        }
    }
}

/// The address, if it is plain http on a loopback host without a fragment.
fn loopback(redirect_uri: &str) -> Option<Url> {
    let url = Url::parse(redirect_uri).ok()?;
    let local = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    (local && url.scheme() == "http" && url.fragment().is_none() && url.username().is_empty())
        .then_some(url)
}

fn bad_request(sentence: &str) -> Answer {
    login_page::notice(StatusCode::BAD_REQUEST, sentence)
}

fn token_error(code: &str) -> Answer {
    json_answer(StatusCode::BAD_REQUEST, &json!({"error": code}))
}

/// One object of all members; later ones win.
fn merged<'a>(objects: impl IntoIterator<Item = &'a Value>) -> Value {
    let members = objects.into_iter().filter_map(Value::as_object).flatten();
    Value::Object(
        members
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    )
}

#[cfg(test)]
mod tests;
