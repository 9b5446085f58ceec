//! Requests whose token comes with a proof of possession (RFC 9449 section 7).

use std::sync::Arc;

use http::{HeaderValue, Response};

use super::Pipeline;
use super::admission::Caller;
use super::arrival::Arrival;
use crate::answer::DPOP_NONCE;
use crate::auth::{Proof, ProvenRequest, Target};
use crate::body::Body;
use crate::credentials::{BearerToken, Credential, CredentialKind, PresentedToken};
use crate::error::GatewayError;
use crate::headers::CleanHead;
use crate::session::Session;

impl Pipeline {
    /// The session of a token with the scheme `DPoP`. The proof is checked at every request, before the session, so that
    /// who has only the token causes no work. Its key is part of what a session is found by, and a set-up compares it with
    /// the one the token is bound to. The proof is used up last, so that who has only a key fills no memory.
    pub(super) async fn proven_session(
        &self,
        arrival: &Arrival<'_>,
        head: &CleanHead,
        presented: PresentedToken<'_>,
    ) -> Result<Arc<Session>, GatewayError> {
        let text = presented.text()?;
        let target = target(arrival, head);
        let request = ProvenRequest {
            method: head.method(),
            targets: target.as_slice(),
            token: text,
            nonces: self.process.nonces.as_ref(),
        };
        let proof = Proof::verify(head.headers(), &request, self.process.clock.now())?;
        let digest = self.process.digester.proven(proof.key(), text);
        let token = || Ok(Credential::Dpop(BearerToken::with_proof(text, proof.key())));
        let session = self.session(arrival, digest, token).await?;
        self.process
            .proofs
            .spend(&proof, self.process.clock.now())?;
        self.process.replicas.spent(&proof);
        Ok(session)
    }
}

impl Pipeline {
    /// The nonce of the client's next proof, so that none is refused for being old (RFC 9449 section 8.2).
    pub(super) fn give_nonce(&self, caller: &Caller<'_>, response: &mut Response<Body>) {
        if let Some(nonces) = &self.process.nonces
            && let Some(session) = caller.session()
            && session.facts.kind == CredentialKind::Dpop
            && let Ok(nonce) = HeaderValue::from_str(&nonces.current(self.process.clock.now()))
        {
            response.headers_mut().insert(DPOP_NONCE, nonce);
        }
    }
}

/// The URL the client asked for, at the public URL's origin. What the client itself says about the host does not count: a
/// proof made for another server would be good here (RFC 9449 section 11.1).
fn target(arrival: &Arrival<'_>, head: &CleanHead) -> Option<Target> {
    let origin = arrival.snapshot.config.http.public_url.origin();
    let origin = origin.ascii_serialization();
    Target::parse(&format!("{origin}{}", head.uri().path()))
}
