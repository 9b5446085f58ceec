//! What a bad token, a bad proof or an issuer in trouble look like.

use http::StatusCode;

use super::{Challenge, RETRY_AFTER, Refusal, later, plain};
use crate::auth::{AuthError, ProofError};
use crate::credentials::CredentialError;
use crate::model::Reason;

pub(super) fn proof(error: &ProofError) -> Refusal {
    let (challenge, text) = match error {
        ProofError::Full => {
            return later(error.reason(), "too many requests at once", RETRY_AFTER);
        }
        ProofError::Invalid(_) => {
            let text = "the DPoP proof is not acceptable";
            (Challenge::InvalidProof(text), text)
        }
        ProofError::Nonce(nonce) => (
            Challenge::UseNonce(nonce.clone()),
            "the DPoP proof needs a nonce",
        ),
    };
    Refusal {
        challenge: Some(challenge),
        ..plain(StatusCode::UNAUTHORIZED, error.reason(), text)
    }
}

pub(super) fn presented(error: CredentialError) -> Refusal {
    let reason = error.reason();
    match error {
        CredentialError::Duplicate => plain(
            StatusCode::BAD_REQUEST,
            reason,
            "more than one Authorization header",
        ),
        CredentialError::Malformed(_) => invalid_token(reason, token_text(reason)),
    }
}

pub(super) fn auth(error: &AuthError) -> Refusal {
    match error {
        AuthError::Token { reason, .. } => invalid_token(*reason, token_text(*reason)),
        AuthError::Denied { reason, .. } => plain(StatusCode::FORBIDDEN, *reason, reason.meaning()),
        AuthError::StepUp {
            acr_values,
            max_age,
        } => Refusal {
            challenge: Some(Challenge::StepUp {
                acr_values: acr_values.clone(),
                max_age: *max_age,
            }),
            ..plain(
                StatusCode::UNAUTHORIZED,
                Reason::InsufficientAuthentication,
                "a stronger or fresher login is needed",
            )
        },
        AuthError::Unavailable {
            reason,
            retry_after,
            ..
        } => later(
            *reason,
            "the identity provider could not be asked",
            *retry_after,
        ),
        AuthError::Misconfigured { reason, .. } => plain(
            StatusCode::BAD_GATEWAY,
            *reason,
            "the identity provider refuses the gateway",
        ),
    }
}

pub(super) fn invalid_token(reason: Reason, text: &'static str) -> Refusal {
    Refusal {
        challenge: Some(Challenge::InvalidToken(text)),
        ..plain(StatusCode::UNAUTHORIZED, reason, text)
    }
}

/// What a client may know about its bad token. An attacker learns nothing from it that the token does not say.
fn token_text(reason: Reason) -> &'static str {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "most reasons are none of the client's business"
    )]
    match reason {
        Reason::TokenExpired => "the token is expired",
        Reason::TokenNotYetValid => "the token is not valid yet",
        Reason::SessionEnded => "the session was ended",
        Reason::WrongAudience => "the token is for another audience",
        Reason::BoundToken => "the token is bound to a key",
        Reason::DpopProof => "the token is not bound to the proof's key",
        Reason::MalformedCredential => "the credential is malformed",
        Reason::WrongPassword => "the user name or the password is wrong",
        Reason::ShareUnknown => "there is no such public link",
        _ => "the token is not acceptable",
    }
}
