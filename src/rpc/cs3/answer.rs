//! The status inside an answer (`cs3.rpc.v1beta1.Status`): its codes are its own, OK is 1.

use std::time::Duration;

use super::messages::Status;
use crate::rpc::RpcError;
use crate::rpc::error::shown;

/// The codes that say something here (docs/design/contract.md 1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    /// 1.
    Ok,
    /// 4.
    InvalidArgument,
    /// 6.
    NotFound,
    /// 7.
    AlreadyExists,
    /// 8.
    PermissionDenied,
    /// 9.
    Unauthenticated,
    /// 15: a fault of the gateway, a service that is away, a passed deadline, or a wrong password.
    Internal,
    /// Any other, 0 included.
    Other(i32),
}

impl From<i32> for Code {
    fn from(code: i32) -> Self {
        match code {
            1 => Self::Ok,
            4 => Self::InvalidArgument,
            6 => Self::NotFound,
            7 => Self::AlreadyExists,
            8 => Self::PermissionDenied,
            9 => Self::Unauthenticated,
            15 => Self::Internal,
            code => Self::Other(code),
        }
    }
}

/// What an answer says of itself.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) code: Code,
    pub(super) message: String,
    /// The answer came when its time was nearly over.
    late: bool,
    deadline: Duration,
}

impl Outcome {
    /// Reads a status. `elapsed`: how long the call took.
    pub(super) fn of(status: Option<Status>, elapsed: Duration, deadline: Duration) -> Self {
        let status = status.unwrap_or_default();
        Self {
            code: status.code.into(),
            message: shown(&status.message),
            late: elapsed >= deadline / 2,
            deadline,
        }
    }

    /// Whether the service that knows the credential was asked and said no, as far as the gateway tells. A passed
    /// deadline sounds otherwise, but a late answer is not believed either.
    pub(super) fn provider_refused(&self) -> bool {
        !self.late && self.message.contains("error authenticating credentials")
    }

    pub(super) fn into_words(self) -> String {
        match self.code {
            Code::Other(code) => format!("CS3 code {code}: {}", self.message),
            code => format!("{code:?}: {}", self.message),
        }
    }

    /// The answer as a fault: nothing is known.
    pub(super) fn into_error(self, service: &str) -> RpcError {
        let service = service.to_owned();
        match self.code {
            Code::Internal if self.late => RpcError::Timeout {
                service,
                after: self.deadline,
            },
            Code::Ok | Code::Other(0) => RpcError::Unusable {
                service,
                detail: "an answer without a status".to_owned(),
            },
            _ => RpcError::Failed {
                service,
                detail: self.into_words(),
            },
        }
    }
}
