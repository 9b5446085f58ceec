use std::collections::BTreeSet;

use super::messages::*;
use super::*;
use crate::rpc::vectors::{self, Vector};

fn recorded(method: &str) -> Vec<Vector> {
    let all = vectors::of("cs3").into_iter();
    let found: Vec<_> = all.filter(|vector| vector.method() == method).collect();
    assert!(!found.is_empty(), "{method}");
    found
}

/// The request that we would send for what a recorded one was meant to say.
fn ours(kind: &str, id: &str, secret: &str) -> Option<AuthenticateRequest> {
    let secret = Secret::new(secret);
    let request = match kind {
        "machine" => {
            let (claim, value) = id.split_once(':')?;
            let claim = [Claim::Username, Claim::Mail, Claim::UserId]
                .into_iter()
                .find(|one| one.name() == claim)?;
            AuthenticateRequest::from(Credentials::Machine {
                claim,
                value,
                key: &secret,
            })
        }
        "basic" => AuthenticateRequest::from(Credentials::Basic {
            name: id,
            password: &secret,
        }),
        "appauth" => AuthenticateRequest::from(Credentials::AppPassword {
            name: id,
            password: &secret,
        }),
        "serviceaccounts" => AuthenticateRequest::from(Credentials::ServiceAccount {
            id,
            secret: &secret,
        }),
        "publicshares" => {
            let (form, rest) = secret.reveal().split_once('|')?;
            match form {
                "password" => AuthenticateRequest::from(Credentials::SharePassword {
                    share: id,
                    password: &Secret::new(rest),
                }),
                _ => {
                    let (signature, expiration) = rest.split_once('|')?;
                    AuthenticateRequest::from(Credentials::ShareSignature {
                        share: id,
                        signature,
                        expiration,
                    })
                }
            }
        }
        _ => return None,
    };
    Some(request)
}

#[test]
fn logins_are_the_recorded_ones_byte_for_byte() {
    let mut kinds = BTreeSet::new();
    let mut compared = 0;
    for vector in recorded("Authenticate") {
        let (kind, id) = (vector.text("type"), vector.text("client_id"));
        if let Some(request) = ours(&kind, &id, &vector.text("client_secret")) {
            vector.assert_request(&request);
            kinds.insert(kind);
            compared += 1;
        }
    }
    assert_eq!(kinds.len(), 5, "{kinds:?}");
    assert!(compared > 60, "{compared}");
}

#[test]
fn recorded_answers_to_logins_are_read_whole() {
    for vector in recorded("Authenticate") {
        vector.assert_answer::<AuthenticateResponse>();
    }
}

#[test]
fn users_are_asked_for_and_read_as_recorded() {
    for vector in recorded("GetUserByClaim") {
        let recorded: GetUserByClaimRequest = vector.request();
        let request = GetUserByClaimRequest {
            claim: vector.text("claim"),
            value: vector.text("value"),
            skip_fetching_user_groups: recorded.skip_fetching_user_groups,
        };
        vector.assert_request(&request);
        vector.assert_answer::<GetUserByClaimResponse>();
    }
}

#[test]
fn homes_are_asked_for_as_recorded_the_quota_in_opaque() {
    let mut quotas = 0;
    for vector in recorded("CreateHome") {
        let recorded: CreateHomeRequest = vector.request();
        let quota = recorded.opaque.and_then(|opaque| {
            let text = String::from_utf8(opaque.map["quota"].value.clone()).unwrap();
            text.parse().ok()
        });
        if vector.name.contains("bad quota") {
            continue;
        }
        quotas += usize::from(quota.is_some());
        let request = CreateHomeRequest {
            opaque: quota.map(quota_of),
        };
        vector.assert_request(&request);
        vector.assert_answer::<CreateHomeResponse>();
    }
    assert!(quotas >= 2);
}

#[test]
fn a_file_is_asked_for_and_found_as_recorded() {
    for vector in recorded("Stat") {
        vector.assert_request(&vector.request::<StatRequest>());
    }
    let found: Vec<_> = recorded("Stat")
        .iter()
        .filter_map(|vector| vector.answer::<StatResponse>().info)
        .collect();
    assert!(
        found
            .iter()
            .all(|info| info.name == "a.txt" && info.size > 0)
    );
    assert!(!found.is_empty());
}

#[test]
fn tenants_and_their_ids_have_the_numbers_of_later_releases() {
    let id = UserId {
        idp: "i".to_owned(),
        opaque_id: "o".to_owned(),
        kind: UserType::Guest.into(),
        tenant_id: "t".to_owned(),
    };
    let bytes = prost::Message::encode_to_vec(&id);
    assert_eq!(bytes, b"\x0a\x01i\x12\x01o\x18\x05\x22\x01t");
}

#[test]
fn a_status_without_a_code_is_no_success() {
    for status in [None, Some(Status::default())] {
        let outcome = Outcome::of(status, Duration::ZERO, DEADLINE);
        assert_ne!(outcome.code, Code::Ok);
        assert!(matches!(
            outcome.into_error("gateway"),
            RpcError::Unusable { .. }
        ));
    }
}

#[test]
fn a_late_failure_is_a_timeout_and_never_a_refusal() {
    let status = || {
        Some(Status {
            code: 15,
            message: "error authenticating credentials to auth provider for type: basic".to_owned(),
            trace: String::new(),
        })
    };
    let early = Outcome::of(status(), Duration::from_millis(90), DEADLINE);
    assert!(early.provider_refused());
    let late = Outcome::of(status(), DEADLINE, DEADLINE);
    assert!(!late.provider_refused());
    assert!(matches!(
        late.into_error("gateway"),
        RpcError::Timeout { .. }
    ));
}

#[test]
fn secrets_are_in_no_debug_output() {
    let request = ours("basic", "alan", "hunter2").unwrap();
    assert!(!format!("{request:?}").contains("hunter2"));
    let answer = AuthenticateResponse {
        token: "hunter2".to_owned(),
        ..AuthenticateResponse::default()
    };
    assert!(!format!("{answer:?}").contains("hunter2"));
}
