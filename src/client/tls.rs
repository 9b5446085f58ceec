//! Which certificates of issuers are trusted.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use super::SetupError;
use crate::unverified::AnyCertificate;

/// One connector that verifies, one that does not (`PROXY_OIDC_INSECURE`).
#[derive(Clone)]
pub(super) struct Connectors {
    verifying: TlsConnector,
    trusting: TlsConnector,
}

impl Connectors {
    /// Trust: the system's store (`SSL_CERT_FILE` honoured), the given PEM, and single certificates.
    pub(super) fn new(
        ca_pem: Option<&[u8]>,
        extra: Vec<CertificateDer<'static>>,
    ) -> Result<Self, SetupError> {
        let mut roots = RootCertStore::empty();
        let native = rustls_native_certs::load_native_certs();
        for error in &native.errors {
            tracing::warn!(%error, "a system certificate store could not be read");
        }
        roots.add_parsable_certificates(native.certs);
        if let Some(pem) = ca_pem {
            let before = roots.len();
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|e| SetupError::CaFile(e.to_string()))?;
                roots
                    .add(certificate)
                    .map_err(|e| SetupError::CaFile(e.to_string()))?;
            }
            if roots.len() == before {
                return Err(SetupError::CaFile("it is empty".into()));
            }
        }
        roots.add_parsable_certificates(extra);
        if roots.is_empty() {
            tracing::warn!(
                "no certificate authority is known; calls to https issuers will fail unless PROXY_HTTPS_CACERT or SSL_CERT_FILE is set"
            );
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifying = builder(&provider)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let trusting = builder(&provider)?
            .dangerous()
            .with_custom_certificate_verifier(AnyCertificate::new(&provider))
            .with_no_client_auth();
        Ok(Self {
            verifying: connector(verifying),
            trusting: connector(trusting),
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

fn builder(
    provider: &Arc<CryptoProvider>,
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, rustls::Error> {
    ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()
}

fn connector(mut config: ClientConfig) -> TlsConnector {
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsConnector::from(Arc::new(config))
}
