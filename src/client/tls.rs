//! Which certificates of issuers are trusted.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

use super::SetupError;

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
            .with_custom_certificate_verifier(Arc::new(TrustAnything(
                provider.signature_verification_algorithms,
            )))
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

/// `PROXY_OIDC_INSECURE=true`: any certificate, though the handshake's own signatures still have to be right.
#[derive(Debug)]
struct TrustAnything(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for TrustAnything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
