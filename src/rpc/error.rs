//! Why a call by gRPC has no answer. What an answer refuses is no error: each client has a type of its own for that.

use std::time::Duration;

use tonic::{Code, Status};

use crate::model::Fault;

/// Nothing is known about what was asked, for one of these reasons.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// No address is known: it is not registered, or not started.
    #[error("{service}: no address is known, it is not registered or not running")]
    NoNode {
        /// Its name.
        service: String,
    },
    /// No connection, or it broke.
    #[error("{service}: not reached: {detail}")]
    Unreachable {
        /// Its name.
        service: String,
        /// What happened.
        detail: String,
    },
    /// No answer in time.
    #[error("{service}: no answer within {} ms", .after.as_millis())]
    Timeout {
        /// Its name.
        service: String,
        /// How long it had.
        after: Duration,
    },
    /// It does not let davgate itself do this: the machine key, the service account, or the right it lacks.
    #[error("{service}: davgate's own credential is refused: {detail}")]
    Credential {
        /// Its name.
        service: String,
        /// Its words.
        detail: String,
    },
    /// It answered that it failed, or that it does not know the call.
    #[error("{service}: failed: {detail}")]
    Failed {
        /// Its name.
        service: String,
        /// Its words.
        detail: String,
    },
    /// It answered, but not in a way that can be used.
    #[error("{service}: unusable answer: {detail}")]
    Unusable {
        /// Its name.
        service: String,
        /// What is wrong with it.
        detail: String,
    },
}

/// Longest piece of somebody else's words that is repeated.
const SHOWN: usize = 300;

impl RpcError {
    /// Whose fault it is: a service's or the way's there, or ours where it does not take our own credential.
    pub(crate) const fn fault(&self) -> Fault {
        match self {
            Self::NoNode { .. }
            | Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Failed { .. }
            | Self::Unusable { .. } => Fault::Remote,
            Self::Credential { .. } => Fault::Ours,
        }
    }

    /// What a gRPC status means that ended a call. `after`: how long the call was allowed to take.
    pub(super) fn of_status(service: &str, status: &Status, after: Duration) -> Self {
        let service = service.to_owned();
        let detail = words(status.message());
        match status.code() {
            // tonic's own timer ends a call as "cancelled", the server's as "deadline exceeded".
            Code::DeadlineExceeded | Code::Cancelled => Self::Timeout { service, after },
            Code::Unavailable | Code::ResourceExhausted | Code::Aborted => {
                Self::Unreachable { service, detail }
            }
            Code::Unauthenticated | Code::PermissionDenied => Self::Credential { service, detail },
            Code::OutOfRange => Self::Unusable { service, detail },
            code => Self::Failed {
                service,
                detail: format!("{code:?}: {detail}"),
            },
        }
    }

    /// The same fault as told of a part of the work.
    pub(super) fn unusable(service: &str, detail: impl Into<String>) -> Self {
        Self::Unusable {
            service: service.to_owned(),
            detail: detail.into(),
        }
    }

    /// Whether another node, or the same over a new connection, may be asked at once.
    pub(super) const fn is_of_the_connection(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

/// A status message in words: go-micro's is a JSON object (docs/design/contract.md 2.1).
fn words(message: &str) -> String {
    #[derive(serde::Deserialize)]
    struct GoMicro {
        code: i64,
        detail: String,
    }
    let text = match serde_json::from_str::<GoMicro>(message) {
        Ok(error) => format!("{} ({})", error.detail, error.code),
        Err(_) => message.to_owned(),
    };
    shown(&text)
}

/// Somebody else's words, cut and without control characters.
pub(super) fn shown(text: &str) -> String {
    text.chars()
        .take(SHOWN)
        .flat_map(|c| {
            let c = if c.is_control() { ' ' } else { c };
            std::iter::once(c)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: &Status) -> RpcError {
        RpcError::of_status("settings", status, Duration::from_secs(5))
    }

    #[test]
    fn a_refusal_of_our_own_is_not_an_outage() {
        let json = r#"{"id":"opencloud-settings","code":403,"detail":"user has no role management permission","status":"Forbidden"}"#;
        let error = of(&Status::permission_denied(json));
        assert_eq!(
            error.to_string(),
            "settings: davgate's own credential is refused: user has no role management permission (403)"
        );
        assert!(matches!(
            of(&Status::unavailable("no")),
            RpcError::Unreachable { .. }
        ));
        assert!(matches!(
            of(&Status::deadline_exceeded("no")),
            RpcError::Timeout { .. }
        ));
        assert!(matches!(
            of(&Status::cancelled("Timeout expired")),
            RpcError::Timeout { .. }
        ));
        assert!(matches!(
            of(&Status::unimplemented("no")),
            RpcError::Failed { .. }
        ));
    }

    #[test]
    fn words_of_others_are_cut_and_stay_on_one_line() {
        let text = format!("a\nb{}", "x".repeat(1_000));
        assert_eq!(shown(&text).len(), SHOWN);
        assert!(shown(&text).starts_with("a b"));
    }
}
