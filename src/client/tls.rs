//! Which certificates of issuers are trusted.

use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use tokio_rustls::TlsConnector;

use super::SetupError;
use crate::trust;

/// One connector that verifies, one that does not (`PROXY_OIDC_INSECURE`).
#[derive(Clone)]
pub(super) struct Connectors {
    verifying: TlsConnector,
    trusting: TlsConnector,
}

impl Connectors {
    /// Trust: the system's store, the file, and single certificates.
    pub(super) fn new(
        ca_file: Option<&Path>,
        extra: Vec<CertificateDer<'static>>,
    ) -> Result<Self, SetupError> {
        let mut roots = trust::roots(ca_file)?;
        roots.add_parsable_certificates(extra);
        if roots.is_empty() {
            tracing::warn!(
                "no certificate authority is known; calls to https issuers will fail unless PROXY_HTTPS_CACERT or SSL_CERT_FILE is set"
            );
        }
        Ok(Self {
            verifying: connector(trust::verifying(roots)?),
            trusting: connector(trust::unverified()?),
        })
    }

    /// The connector for a remote.
    pub(super) fn pick(&self, insecure: bool) -> &TlsConnector {
        if insecure {
            &self.trusting
        } else {
            &self.verifying
        }
    }
}

fn connector(mut config: ClientConfig) -> TlsConnector {
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsConnector::from(Arc::new(config))
}
