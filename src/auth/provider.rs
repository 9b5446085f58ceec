//! One issuer's discovery document: fetched when needed, kept, refreshed, and never believed about who it is.

use std::sync::Arc;

use http::header::{ACCEPT, ACCEPT_ENCODING};
use http::{HeaderValue, StatusCode};
use openidconnect::IssuerUrl;
use url::Url;

use super::AuthError;
use super::discovery::Discovery;
use super::latest::Latest;
use crate::client::{Answer, Backchannel, Call, CallError, Client};
use crate::config::oidc::Issuer;
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
        let issuer = IssuerUrl::new(settings.issuer.clone()).map_err(no_url)?;
        // Joins with exactly one slash, as OpenID Connect Discovery 1.0 section 4 says.
        let address = issuer
            .join(".well-known/openid-configuration")
            .map_err(no_url)?;
        let backchannel = settings
            .backchannel_url
            .clone()
            .map(|base| Arc::new(Backchannel::new(issuer.url().clone(), base)));
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

    /// Its last load failed: how long ago, and how.
    pub(super) fn trouble(&self) -> Option<(std::time::Duration, String)> {
        self.document.trouble()
    }

    /// Fetches the document anew and keeps the old one if that fails.
    pub(super) async fn refresh(&self) -> Result<Arc<Discovery>, AuthError> {
        self.document.reload(self.fetch()).await
    }

    /// Calls one of the issuer's endpoints.
    pub(super) async fn send(&self, call: Call) -> Result<Answer, AuthError> {
        // Compressed answers are read all the same, but nothing is gained by them.
        let call = call.header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let call = Call {
            insecure: self.settings.insecure,
            backchannel: self.backchannel.clone(),
            ..call
        };
        let (what, url) = (call.kind.label(), call.url.clone());
        self.client
            .send(call)
            .await
            .map_err(|error| unreachable(&self.settings, what, &url, &error))
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

/// A call that gave no answer.
fn unreachable(settings: &Issuer, what: &str, url: &Url, error: &CallError) -> AuthError {
    let hint = match error {
        // A name that leads nowhere from inside resolves to nothing, or to a router that never answers.
        CallError::Refused(_) | CallError::Timeout if settings.backchannel_url.is_none() => {
            "; PROXY_OIDC_ISSUER is what is asked: where that public name does not lead there from here, PROXY_OIDC_BACKCHANNEL_URL names what does"
        }
        CallError::Refused(_) | CallError::Timeout => {
            "; PROXY_OIDC_BACKCHANNEL_URL is what is asked in place of PROXY_OIDC_ISSUER"
        }
        CallError::Tls(_)
        | CallError::Protocol(_)
        | CallError::TooLarge
        | CallError::Redirect(_)
        | CallError::Address(_)
        | CallError::Backoff { .. }
        | CallError::Busy => "",
    };
    AuthError::unavailable(
        format!("{what} at {}: {error}{hint}", place(url)),
        error.retry_after(),
    )
}

/// An address as it may be told: a query or a password in it stays here.
fn place(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

/// An answer whose status says that the issuer has trouble.
pub(super) fn bad_status(what: &str, answer: &Answer) -> AuthError {
    AuthError::unavailable(
        format!("{what}: status {}", answer.status.as_u16()),
        answer.retry_after(),
    )
}
