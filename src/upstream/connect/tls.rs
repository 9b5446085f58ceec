//! Whom a TLS backend has to convince.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

use super::ConnectorError;
use crate::config::http::Upstream;
use crate::unverified::AnyCertificate;

/// TLS 1.2 and 1.3 with the system's certificates and those of the configuration.
pub(super) fn client_config(settings: &Upstream) -> Result<ClientConfig, ConnectorError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| ConnectorError::Tls(error.to_string()))?;
    let mut config = if settings.insecure {
        tracing::warn!("certificates of backends are not verified (insecure_backends)");
        builder
            .dangerous()
            .with_custom_certificate_verifier(AnyCertificate::new(&provider))
            .with_no_client_auth()
    } else {
        builder
            .with_root_certificates(roots(settings)?)
            .with_no_client_auth()
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The name in the certificate: the backend's host.
pub(super) fn server_name(host: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(host.to_owned()).map_err(|error| format!("TLS: {host}: {error}"))
}

fn roots(settings: &Upstream) -> Result<RootCertStore, ConnectorError> {
    let mut roots = RootCertStore::empty();
    // A system without certificates is no error: backends may all be plain or named in the configuration.
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    let Some(path) = &settings.cacert else {
        return Ok(roots);
    };
    let fault = |detail: String| ConnectorError::CaFile {
        path: path.clone(),
        detail,
    };
    let mut found = 0;
    let certificates =
        CertificateDer::pem_file_iter(path).map_err(|error| fault(error.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| fault(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| fault(error.to_string()))?;
        found += 1;
    }
    if found == 0 {
        return Err(fault("no certificate in it".to_owned()));
    }
    Ok(roots)
}
