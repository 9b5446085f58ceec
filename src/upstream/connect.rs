//! TCP and TLS to backends, and the names behind them.

use std::path::PathBuf;

use tokio::runtime::Handle;

use crate::config::http::Upstream;

/// Opens connections. Made once, cloned into each worker.
#[derive(Debug, Clone)]
pub struct Connector {
    control: Handle,
}

/// Why backends cannot be connected to at all: a configuration error.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    /// The CA file cannot be read or holds no certificate.
    #[error("{path}: {detail}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// TLS cannot be set up.
    #[error("TLS to backends: {0}")]
    Tls(String),
}

impl Connector {
    /// Reads the trusted certificates. Names are looked up on `control`.
    ///
    /// # Errors
    /// See [`ConnectorError`].
    pub fn new(_settings: &Upstream, control: Handle) -> Result<Self, ConnectorError> {
        Ok(Self { control })
    }
}
