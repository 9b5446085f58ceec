//! TLS to backends: whom it trusts and what it speaks.

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::ConnectorError;
use crate::config::http::Upstream;
use crate::trust;

/// The system's certificates and those of the configuration, or any.
pub(super) fn client_config(settings: &Upstream) -> Result<ClientConfig, ConnectorError> {
    let mut config = if settings.insecure {
        tracing::warn!("certificates of backends are not verified (insecure_backends)");
        trust::unverified()?
    } else {
        trust::verifying(trust::roots(settings.cacert.as_deref())?)?
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The same, with HTTP/2 before HTTP/1.1.
pub(super) fn with_http2(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

/// The name in the certificate: the backend's host.
pub(super) fn server_name(host: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(host.to_owned()).map_err(|error| format!("TLS: {host}: {error}"))
}
