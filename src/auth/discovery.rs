//! What a discovery document says (OpenID Connect Discovery 1.0 section 3), and which of its addresses may be called.
//!
//! The members are read one by one into types of the `openidconnect` crate: its whole-document type requires members that
//! real documents lack, and an address has to be judged before anybody calls it.

use std::time::Duration;

use bytes::Bytes;
use openidconnect::core::CoreClientAuthMethod;
use serde::Deserialize as _;
use serde_json::{Map, Value};
use url::{Host, Url};

use super::{AuthError, json};
use crate::config::oidc::{Issuer, VerifyMethod};
use crate::model::Reason;

/// The members of OpenID Connect Discovery 1.0 section 3 that count here.
#[derive(Debug)]
pub(super) struct Discovery {
    /// Where the keys are; a provider that only hands out opaque tokens may have none.
    pub(super) jwks_uri: Endpoint,
    /// Userinfo, if there is one.
    pub(super) userinfo_endpoint: Endpoint,
    /// RFC 7662, if there is one.
    pub(super) introspection_endpoint: Endpoint,
    /// How our own client shows its secret at the introspection endpoint.
    pub(super) client_auth: CoreClientAuthMethod,
    /// AD FS signs access tokens under another name than its own.
    pub(super) access_token_issuer: Option<String>,
    /// Origins a browser client talks to.
    pub(super) browser_origins: Vec<String>,
    /// The document as it came.
    pub(super) raw: Bytes,
}

/// An address in the document. It is judged when somebody is about to call it: a bad one that nobody needs keeps nobody out.
#[derive(Debug)]
pub(super) struct Endpoint {
    name: &'static str,
    /// What the document says, if it says anything.
    address: Option<Result<Url, String>>,
}

impl Endpoint {
    /// Whether the document has none.
    pub(super) fn is_absent(&self) -> bool {
        self.address.is_none()
    }

    /// The address to call.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`] if there is none, or none that may be called.
    pub(super) fn address(&self) -> Result<Url, AuthError> {
        match &self.address {
            Some(Ok(url)) => Ok(url.clone()),
            Some(Err(why)) => Err(AuthError::garbage(
                "discovery",
                &format!("{} {why}", self.name),
            )),
            None => {
                let hint = match self.name {
                    "userinfo_endpoint" => "; PROXY_OIDC_SKIP_USER_INFO=true does without",
                    "introspection_endpoint" => {
                        "; the issuer tells nobody where it is: name it by PROXY_OIDC_INTROSPECTION_URL, or PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD has to be jwt, none, or auto without PROXY_OIDC_CLIENT_ID"
                    }
                    _ => "",
                };
                Err(AuthError::garbage(
                    "discovery",
                    &format!("{} is missing{hint}", self.name),
                ))
            }
        }
    }
}

impl Discovery {
    /// Reads and checks the document.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`], with `issuer_mismatch` if it names another issuer.
    pub(super) fn parse(settings: &Issuer, raw: Bytes) -> Result<Self, AuthError> {
        let members =
            json::document(&raw).map_err(|e| AuthError::garbage("discovery", &e.to_string()))?;
        let named = members
            .get("issuer")
            .and_then(Value::as_str)
            .ok_or_else(|| AuthError::garbage("discovery", "issuer is missing"))?;
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
                    "configured {:?}, the document has {named:?}{hint}; PROXY_OIDC_ISSUER has to be that very string, \
                     the slash at the end included",
                    settings.issuer
                ),
                retry_after: Duration::from_secs(5),
            });
        }
        let endpoint = |name: &'static str| endpoint(settings, &members, name);
        let jwks_uri = endpoint("jwks_uri");
        if matches!(
            settings.verify_method,
            VerifyMethod::Jwt | VerifyMethod::Auto
        ) {
            jwks_uri.address()?;
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
            userinfo_endpoint: endpoint("userinfo_endpoint"),
            introspection_endpoint: match &settings.introspection_url {
                Some(url) => Endpoint {
                    name: "PROXY_OIDC_INTROSPECTION_URL",
                    address: Some(callable(settings, url.as_str())),
                },
                None => endpoint("introspection_endpoint"),
            },
            client_auth: client_auth(&members),
            access_token_issuer: members
                .get("access_token_issuer")
                .and_then(Value::as_str)
                .map(str::to_owned),
            browser_origins,
            raw,
        })
    }
}

/// `client_secret_post` only where the document lists it and not `client_secret_basic`. What it says of the token endpoint
/// counts where it is silent about introspection (RFC 8414 section 2 has no default for that).
fn client_auth(members: &Map<String, Value>) -> CoreClientAuthMethod {
    let listed = [
        "introspection_endpoint_auth_methods_supported",
        "token_endpoint_auth_methods_supported",
    ]
    .into_iter()
    .find_map(|name| members.get(name))
    .and_then(|list| Vec::<CoreClientAuthMethod>::deserialize(list).ok())
    .unwrap_or_default();
    let basic = CoreClientAuthMethod::ClientSecretBasic;
    let post = CoreClientAuthMethod::ClientSecretPost;
    if listed.contains(&post) && !listed.contains(&basic) {
        post
    } else {
        basic
    }
}

/// An endpoint as the document has it; an empty text is none.
fn endpoint(settings: &Issuer, members: &Map<String, Value>, name: &'static str) -> Endpoint {
    let address = match members.get(name) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text.is_empty() => None,
        Some(Value::String(text)) => {
            Some(callable(settings, text).map_err(|why| format!("{text:?}: {why}")))
        }
        Some(_) => Some(Err("is no string".to_owned())),
    };
    Endpoint { name, address }
}

/// The address, if it may be called (docs/design/hardening.md row 84).
fn callable(settings: &Issuer, text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|e| e.to_string())?;
    if is_link_local(&url) {
        return Err("link-local addresses are not called".into());
    }
    let plain_allowed = settings.insecure
        || settings.issuer.starts_with("http://")
        || is_loopback(&url)
        || settings.backchannel_url.is_some();
    match url.scheme() {
        "https" => Ok(url),
        "http" if plain_allowed => Ok(url),
        "http" => {
            Err("plain http; set PROXY_OIDC_INSECURE=true if the way there is trusted".into())
        }
        _ => Err("neither https nor http".into()),
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
