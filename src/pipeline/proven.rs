//! Requests whose token comes with a proof of possession (RFC 9449 section 7).

use std::sync::Arc;

use http::{HeaderValue, Response};

use super::admission::Caller;
use super::{Arrival, Pipeline};
use crate::answer::DPOP_NONCE;
use crate::auth::{BearerToken, Proof, ProvenRequest, Target};
use crate::body::Body;
use crate::error::GatewayError;
use crate::headers::CleanHead;
use crate::session::Session;

impl Pipeline {
    /// The session of a token with the scheme `DPoP`. The proof is checked at every request, before the session, so that
    /// who has only the token causes no work; it is used up last, so that who has only a key fills no memory.
    pub(super) async fn proven_session(
        &self,
        arrival: &Arrival<'_>,
        head: &CleanHead,
        token: &BearerToken,
    ) -> Result<Arc<Session>, GatewayError> {
        let targets = targets(arrival, head);
        let request = ProvenRequest {
            method: head.method(),
            targets: &targets,
            token,
            nonces: self.process.nonces.as_ref(),
        };
        let proof = Proof::verify(head.headers(), &request, self.process.clock.now())?;
        let session = self
            .session(self.process.digester.token(token), || Ok(token.clone()))
            .await
            .map_err(GatewayError::ProvenSession)?;
        proof.is_by(session.facts.key_thumbprint.as_deref())?;
        self.process
            .proofs
            .spend(&proof, self.process.clock.now())?;
        Ok(session)
    }
}

impl Pipeline {
    /// The nonce of the client's next proof, so that none is refused for being old (RFC 9449 section 8.2).
    pub(super) fn give_nonce(&self, caller: &Caller<'_>, response: &mut Response<Body>) {
        if let Some(nonces) = &self.process.nonces
            && let Some(session) = caller.session()
            && session.facts.key_thumbprint.is_some()
            && let Ok(nonce) = HeaderValue::from_str(&nonces.current(self.process.clock.now()))
        {
            response.headers_mut().insert(DPOP_NONCE, nonce);
        }
    }
}

/// The URL the client asked for: as it reached us, and below the public URL, for a proxy in front may have changed host
/// and scheme without saying so.
fn targets(arrival: &Arrival<'_>, head: &CleanHead) -> Vec<Target> {
    let path = head.uri().path();
    let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let ingress = arrival.ingress;
    let asked = format!("{}://{}", text(&ingress.scheme), text(&ingress.host));
    let public = arrival.snapshot.config.http.public_url.origin();
    [asked, public.ascii_serialization()]
        .iter()
        .filter_map(|origin| Target::parse(&format!("{origin}{path}")))
        .collect()
}
