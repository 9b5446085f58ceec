//! What a client sees of a failure.

use super::*;

#[test]
fn what_could_not_be_decided_is_503_with_a_time_and_never_401() {
    let errors = [
        GatewayError::Credential(AuthError::unavailable("down", Duration::from_secs(7))),
        GatewayError::Session(LoadError::SetupTimeout),
        GatewayError::Session(LoadError::SetupOverload),
        GatewayError::Session(LoadError::Account(
            crate::accounts::DirectoryError::Unavailable("down".into()).into(),
        )),
        GatewayError::Session(LoadError::Role(RoleError::Foreign("chef".into()))),
    ];
    for error in errors {
        let refusal = error.refusal();
        assert_eq!(refusal.status, StatusCode::SERVICE_UNAVAILABLE, "{error}");
        assert!(refusal.retry_after.is_some(), "{error}");
        assert!(refusal.challenge.is_none(), "{error}");
    }
}

#[test]
fn a_401_always_has_a_challenge() {
    for reason in [
        Reason::TokenExpired,
        Reason::BadSignature,
        Reason::MalformedCredential,
    ] {
        let refusal = GatewayError::Credential(AuthError::token(reason, "x")).refusal();
        assert_eq!(refusal.status, StatusCode::UNAUTHORIZED);
        assert!(matches!(
            refusal.challenge,
            Some(Challenge::InvalidToken(_))
        ));
    }
    assert_eq!(
        GatewayError::NoCredential.refusal().challenge,
        Some(Challenge::Plain)
    );
}

#[test]
fn the_internal_text_is_not_the_public_one() {
    let error = GatewayError::Credential(AuthError::token(Reason::WrongIssuer, "got https://evil"));
    assert!(!error.refusal().public.contains("evil"));
}
