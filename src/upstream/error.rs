//! Why a request got no answer from its backend: the backend's fault, the client's, or ours.

use std::time::Duration;

use crate::config::routes::{Backend, Server};
use crate::model::{Endpoint, Fault, Reason};

/// A request that got no answer. Says what a log line needs; nothing of it is for the client but status and reason.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The backend's fault, or the network's between.
    #[error("backend {backend} ({address}): {fault}")]
    Backend {
        /// What went wrong.
        fault: BackendFault,
        /// The backend's name in logs and metrics.
        backend: String,
        /// Host and port of the node, or the service's name.
        address: String,
    },
    /// The client's body broke off or broke its framing.
    #[error("the client's body broke off: {0}")]
    ClientBody(String),
    /// A fault of the gateway.
    #[error("{0}")]
    Internal(&'static str),
}

/// What a backend did wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackendFault {
    /// No connection could be made.
    #[error("not reachable: {0}")]
    Unreachable(String),
    /// No node of the service is known.
    #[error("no node is known, neither by the registry nor by `services`")]
    Nowhere,
    /// The connection broke before an answer.
    #[error("closed the connection before it answered: {0}")]
    Broken(String),
    /// The connection did not stand in time.
    #[error("no connection within {0:?}")]
    Timeout(Duration),
    /// It had the whole request, and no answer came in time.
    #[error("no answer within {0:?}")]
    Silent(Duration),
    /// The answer is no HTTP, or not one a proxy may pass on.
    #[error("unusable answer: {0}")]
    Malformed(String),
    /// Every connection is in use and the queue is full, or the wait was too long.
    #[error("all connections are in use")]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
}

impl UpstreamError {
    pub(super) fn at(backend: &str, endpoint: &Endpoint, fault: BackendFault) -> Self {
        Self::Backend {
            fault,
            backend: backend.to_owned(),
            address: endpoint.to_string(),
        }
    }

    /// A service without a node.
    pub(super) fn nowhere(backend: &Backend) -> Self {
        Self::Backend {
            fault: BackendFault::Nowhere,
            backend: backend.name.clone(),
            address: match &backend.server {
                Server::Service(name) => name.to_string(),
                Server::Origin(endpoint) => endpoint.to_string(),
            },
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Backend { .. } => Fault::Remote,
            Self::ClientBody(_) => Fault::Caller,
            Self::Internal(_) => Fault::Ours,
        }
    }

    /// The word for log and body.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Backend { fault, .. } => match fault {
                BackendFault::Unreachable(_) | BackendFault::Nowhere | BackendFault::Broken(_) => {
                    Reason::BackendUnreachable
                }
                BackendFault::Malformed(_) => Reason::BackendMalformed,
                BackendFault::Timeout(_) | BackendFault::Silent(_) => Reason::BackendTimeout,
                BackendFault::Busy { .. } => Reason::BackendBusy,
            },
            Self::ClientBody(_) => Reason::ClientBody,
            Self::Internal(_) => Reason::Internal,
        }
    }

    /// `Retry-After`, where the answer is 503.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Backend {
                fault: BackendFault::Busy { retry_after },
                ..
            } => Some(*retry_after),
            _ => None,
        }
    }
}
