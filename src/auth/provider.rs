//! One issuer's discovery document: fetched when needed, kept, refreshed, and never believed about who it is.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde_json::{Map, Value};
use url::{Host, Url};

use super::latest::Latest;
use super::{AuthError, json};
use crate::client::{Answer, Backchannel, Call, CallError, Client};
use crate::config::oidc::{Issuer, VerifyMethod};
use crate::model::{Clock, Reason};
use crate::telemetry::IssuerCall;

/// An issuer as configured, and what it says of itself.
pub(super) struct Provider {
    /// Settings of this issuer.
    pub(super) settings: Issuer,
    /// The wall clock.
    pub(super) clock: Clock,
    client: Client,
    address: Url,
    backchannel: Option<Arc<Backchannel>>,
    document: Latest<Discovery>,
}

/// The members of OpenID Connect Discovery 1.0 section 3 that count here.
#[derive(Debug)]
pub(super) struct Discovery {
    /// Where the keys are; a provider that only hands out opaque tokens may have none.
    pub(super) jwks_uri: Option<Url>,
    /// Userinfo, if there is one.
    pub(super) userinfo_endpoint: Option<Url>,
    /// RFC 7662, if there is one.
    pub(super) introspection_endpoint: Option<Url>,
    /// AD FS signs access tokens under another name than its own.
    pub(super) access_token_issuer: Option<String>,
    /// Origins a browser client talks to.
    pub(super) browser_origins: Vec<String>,
    /// The document as it came.
    pub(super) raw: Bytes,
}

impl Provider {
    /// Knows the settings, calls nobody yet.
    ///
    /// # Errors
    /// If the issuer is no http(s) address; the configuration has refused that before.
    pub(super) fn new(settings: Issuer, client: Client, clock: Clock) -> Result<Self, AuthError> {
        let no_url = |error: url::ParseError| AuthError::Misconfigured {
            reason: Reason::IssuerUnavailable,
            detail: format!("issuer {}: {error}", settings.issuer),
        };
        let public = Url::parse(&settings.issuer).map_err(no_url)?;
        // One slash at the end is cut, as OpenID Connect Discovery 1.0 section 4 says.
        let base = settings
            .issuer
            .strip_suffix('/')
            .unwrap_or(&settings.issuer);
        let address =
            Url::parse(&format!("{base}/.well-known/openid-configuration")).map_err(no_url)?;
        let backchannel = settings
            .backchannel_url
            .clone()
            .map(|base| Arc::new(Backchannel::new(public, base)));
        Ok(Self {
            settings,
            clock,
            client,
            address,
            backchannel,
            document: Latest::new(),
        })
    }

    /// The document: the last good one, or a first load.
    pub(super) async fn discovery(&self) -> Result<Arc<Discovery>, AuthError> {
        self.document.get_or_load(self.fetch()).await
    }

    /// The document if it was ever loaded.
    pub(super) fn known(&self) -> Option<Arc<Discovery>> {
        self.document.peek()
    }

    /// Fetches the document anew and keeps the old one if that fails.
    pub(super) async fn refresh(&self) -> Result<Arc<Discovery>, AuthError> {
        self.document.reload(self.fetch()).await
    }

    /// Calls one of the issuer's endpoints.
    pub(super) async fn send(&self, call: Call) -> Result<Answer, AuthError> {
        let call = Call {
            insecure: self.settings.insecure,
            backchannel: self.backchannel.clone(),
            ..call
        };
        let (what, url) = (call.kind.label(), call.url.clone());
        self.client
            .send(call)
            .await
            .map_err(|error| unreachable(what, &url, &error))
    }

    async fn fetch(&self) -> Result<Discovery, AuthError> {
        let call = Call::get(IssuerCall::Discovery, self.address.clone())
            .header(ACCEPT, HeaderValue::from_static("application/json"));
        let answer = self.send(call).await?;
        if answer.status != StatusCode::OK {
            return Err(bad_status("discovery", &answer));
        }
        Discovery::parse(&self.settings, answer.body)
    }
}

impl Discovery {
    /// Reads and checks the document.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`], with `issuer_mismatch` if it names another issuer.
    pub(super) fn parse(settings: &Issuer, raw: Bytes) -> Result<Self, AuthError> {
        let members = json::object(&raw).map_err(|e| garbage("discovery", &e.to_string()))?;
        let named = members
            .get("issuer")
            .and_then(Value::as_str)
            .ok_or_else(|| garbage("discovery", "issuer is missing"))?;
        if named != settings.issuer {
            let hint = if named.contains("{tenantid}") {
                "; name the tenant in the issuer instead of common"
            } else {
                ""
            };
            tracing::error!(
                reason = %Reason::IssuerMismatch,
                configured = settings.issuer,
                found = named,
                "the discovery document names another issuer; PROXY_OIDC_ISSUER has to be that very string, the slash at the end included{hint}"
            );
            return Err(AuthError::Unavailable {
                reason: Reason::IssuerMismatch,
                detail: format!(
                    "configured {:?}, the document has {named:?}{hint}",
                    settings.issuer
                ),
                retry_after: Duration::from_secs(5),
            });
        }
        let endpoint = |name: &str| endpoint(settings, &members, name);
        let jwks_uri = endpoint("jwks_uri")?;
        if jwks_uri.is_none()
            && matches!(
                settings.verify_method,
                VerifyMethod::Jwt | VerifyMethod::Auto
            )
        {
            return Err(garbage("discovery", "jwks_uri is missing"));
        }
        let mut browser_origins = Vec::new();
        let own = Url::parse(named).ok();
        let shown = [
            "authorization_endpoint",
            "token_endpoint",
            "end_session_endpoint",
        ]
        .into_iter()
        .filter_map(|name| Url::parse(members.get(name)?.as_str()?).ok());
        for url in own.into_iter().chain(shown) {
            let origin = url.origin();
            let text = origin.ascii_serialization();
            if origin.is_tuple() && !browser_origins.contains(&text) {
                browser_origins.push(text);
            }
        }
        Ok(Self {
            jwks_uri,
            userinfo_endpoint: endpoint("userinfo_endpoint")?,
            introspection_endpoint: endpoint("introspection_endpoint")?,
            access_token_issuer: members
                .get("access_token_issuer")
                .and_then(Value::as_str)
                .map(str::to_owned),
            browser_origins,
            raw,
        })
    }
}

/// An endpoint's address, if the document has it and it may be called (hardening.md row 84).
fn endpoint(
    settings: &Issuer,
    members: &Map<String, Value>,
    name: &str,
) -> Result<Option<Url>, AuthError> {
    let text = match members.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text,
        Some(_) => return Err(garbage("discovery", &format!("{name} is no string"))),
    };
    let refused = |why: &str| garbage("discovery", &format!("{name} {text:?}: {why}"));
    let url = Url::parse(text).map_err(|e| refused(&e.to_string()))?;
    if is_link_local(&url) {
        return Err(refused("link-local addresses are not called"));
    }
    let plain_allowed = settings.insecure
        || settings.issuer.starts_with("http://")
        || is_loopback(&url)
        || settings.backchannel_url.is_some();
    match url.scheme() {
        "https" => Ok(Some(url)),
        "http" if plain_allowed => Ok(Some(url)),
        "http" => Err(refused(
            "plain http; set PROXY_OIDC_INSECURE=true if the way there is trusted",
        )),
        _ => Err(refused("neither https nor http")),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn is_link_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_link_local(),
        Some(Host::Ipv6(address)) => address.segments()[0] & 0xffc0 == 0xfe80,
        _ => false,
    }
}

/// A call that gave no answer.
fn unreachable(what: &str, url: &Url, error: &CallError) -> AuthError {
    let host = url.host_str().unwrap_or_default();
    AuthError::unavailable(format!("{what} at {host}: {error}"), error.retry_after())
}

/// An answer whose status says that the issuer has trouble.
pub(super) fn bad_status(what: &str, answer: &Answer) -> AuthError {
    let retry_after = answer
        .headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .unwrap_or(1)
        .clamp(1, 300);
    AuthError::unavailable(
        format!("{what}: status {}", answer.status.as_u16()),
        Duration::from_secs(retry_after),
    )
}

/// An answer that makes no sense.
pub(super) fn garbage(what: &str, why: &str) -> AuthError {
    AuthError::unavailable(
        format!("{what}: unusable answer: {why}"),
        Duration::from_secs(1),
    )
}
