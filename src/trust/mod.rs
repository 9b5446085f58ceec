//! Whom the servers that are called have to convince: issuers, backends and the directory alike.
//!
//! A file of certificate authorities counts besides the system's, for all of them: who names a private CA still calls
//! public servers. A file that was named and holds no certificate is a mistake, never "trust the system's then".

mod unverified;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

use self::unverified::AnyCertificate;

/// A file of certificate authorities that cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}: {detail}", .path.display())]
pub struct CaFileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub detail: String,
}

/// The system's certificate authorities (`SSL_CERT_FILE` honoured), and those of a PEM file. Blocks on files.
///
/// # Errors
/// If the file cannot be read, or one of its certificates cannot, or there is none in it.
pub(crate) fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, CaFileError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    // A broken certificate among the system's must not stop the others.
    for error in &system.errors {
        tracing::warn!(%error, "a system certificate store could not be read");
    }
    roots.add_parsable_certificates(system.certs);
    if let Some(path) = ca_file {
        add_file(&mut roots, path).map_err(|detail| CaFileError {
            path: path.to_owned(),
            detail,
        })?;
    }
    Ok(roots)
}

/// TLS 1.2 and 1.3 to servers whose certificate one of these authorities gave out.
///
/// # Errors
/// If rustls refuses its own defaults.
pub(crate) fn verifying(roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    Ok(builder()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// TLS 1.2 and 1.3 to servers with any certificate: behind an `insecure` setting only, whose user warns of it.
///
/// # Errors
/// If rustls refuses its own defaults.
pub fn unverified() -> Result<ClientConfig, rustls::Error> {
    let builder = builder()?;
    let verifier = AnyCertificate::new(builder.crypto_provider());
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), String> {
    let mut found = 0;
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
        found += 1;
    }
    match found {
        0 => Err("no certificate in it".to_owned()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_file(name: &str, content: &str) -> Result<RootCertStore, CaFileError> {
        let path = std::env::temp_dir().join(format!("davgate-{}-{name}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        let found = roots(Some(&path));
        let _ = std::fs::remove_file(&path);
        found
    }

    #[test]
    fn a_file_counts_besides_the_systems_authorities() {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let pem = made.cert.pem();
        let system = roots(None).unwrap().len();
        assert_eq!(with_file("one.pem", &pem).unwrap().len(), system + 1);
        assert_eq!(
            with_file("two.pem", &pem.repeat(2)).unwrap().len(),
            system + 2
        );
    }

    #[test]
    fn a_file_without_a_usable_certificate_is_a_mistake_that_names_it() {
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (name, content) in [
            ("empty.pem", ""),
            ("text.pem", "no PEM"),
            ("broken.pem", broken),
        ] {
            let error = with_file(name, content).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
        let error = roots(Some(Path::new("/nonexistent/ca.pem"))).unwrap_err();
        assert!(
            error.to_string().starts_with("/nonexistent/ca.pem: "),
            "{error}"
        );
    }
}
