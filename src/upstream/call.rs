//! One request to a backend as its caller hands it over: what is sent, what is known of its client, what ends it early.

use std::pin::Pin;

use http::HeaderValue;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::Trip;
use crate::body::{Body, Outcome};
use crate::headers::CleanHead;
use crate::routes::UpstreamTarget;
use crate::session::Cancellation;

/// One request, ready to be sent.
pub(crate) struct Call<'a> {
    /// The cleaned head.
    pub head: CleanHead,
    /// The client's body, not polled yet: the first poll sends `100 Continue`.
    pub body: Body,
    /// Path and query for the backend, from the route's rewriting.
    pub target: UpstreamTarget<'a>,
    /// What is known of the client's connection.
    pub ingress: &'a Ingress,
    /// The login's `acr` is one of `mfa.auth_level_names` (oCIS).
    pub second_factor: bool,
    /// `Location` stays as the backend told it.
    pub keeps_location: bool,
    /// What ends streams and tunnels early.
    pub ends: Ends<'a>,
    /// Where it went and what came back is written here.
    pub trip: &'a Trip,
    /// Called when an upgraded connection ends; needed only if [`CleanHead::wants_upgrade`]. The answer's body is empty then.
    pub on_tunnel_end: Option<Box<dyn FnOnce(TunnelEnd)>>,
}

/// What is known of the client's connection, after trusted proxies were believed.
#[derive(Debug, Clone)]
pub struct Ingress {
    /// The client's address, for `X-Forwarded-For`; made once per connection.
    pub client: HeaderValue,
    /// `https` or `http`, as the client sees it.
    pub scheme: HeaderValue,
    /// The host the client asked for, as an outer proxy may tell it, validated: `X-Forwarded-Host`.
    pub host: HeaderValue,
    /// The host of the request itself, which the backend gets as `Host` (docs/design/contract.md 9.1).
    pub own_host: HeaderValue,
    /// The request's id.
    pub request_id: HeaderValue,
}

/// Cancellations that end event streams and tunnels, never transfers.
///
/// Borrowed, because most requests end in neither.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ends<'a> {
    /// The session's and its account's: logout, expiry, disabling.
    pub session: Option<[&'a Cancellation; 2]>,
    /// The listener's: draining.
    pub drain: Option<&'a CancellationToken>,
}

/// How an upgraded connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TunnelEnd {
    /// Bytes from the client.
    pub received: u64,
    /// Bytes to the client.
    pub sent: u64,
    /// Whether it was closed in order, broke, or was ended from here.
    pub outcome: Outcome,
}

impl Ends<'_> {
    /// Those there are, each as something to wait for.
    pub(super) fn fired(self) -> Vec<Pin<Box<WaitForCancellationFutureOwned>>> {
        let session = self.session.into_iter().flatten();
        session
            .map(Cancellation::token)
            .chain(self.drain)
            .map(|token| Box::pin(token.clone().cancelled_owned()))
            .collect()
    }
}

impl std::fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call")
            .field("method", self.head.method())
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}
