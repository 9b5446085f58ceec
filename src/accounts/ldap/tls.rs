//! TLS to the LDAP server: which certificates are believed.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::DirectoryError;
use crate::unverified::AnyCertificate;

/// The client's side of LDAPS and StartTLS: `cacert` alone if there is one, else the system's roots.
///
/// # Errors
/// [`DirectoryError::Unusable`] if the CA file cannot be used.
pub(super) fn client_config(
    cacert: Option<&Path>,
    insecure: bool,
) -> Result<Arc<ClientConfig>, DirectoryError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| DirectoryError::Unusable(format!("TLS: {error}")))?;
    let config = if insecure {
        builder
            .dangerous()
            .with_custom_certificate_verifier(AnyCertificate::new(&provider))
            .with_no_client_auth()
    } else {
        builder
            .with_root_certificates(roots(cacert)?)
            .with_no_client_auth()
    };
    Ok(Arc::new(config))
}

fn roots(cacert: Option<&Path>) -> Result<RootCertStore, DirectoryError> {
    let mut store = RootCertStore::empty();
    let Some(file) = cacert else {
        // A broken certificate among the system's must not stop the others.
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(store);
    };
    let unusable =
        |why: String| DirectoryError::Unusable(format!("LDAP CA file {}: {why}", file.display()));
    let certificates = CertificateDer::pem_file_iter(file).map_err(|e| unusable(e.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        store
            .add(certificate)
            .map_err(|error| unusable(error.to_string()))?;
    }
    if store.is_empty() {
        return Err(unusable("no certificate in it".to_owned()));
    }
    Ok(store)
}
