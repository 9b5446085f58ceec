//! The certificate and its key: read as a pair, checked as a pair, or made when there is none.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use thiserror::Error;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::model::{Clock, UnixTime};

/// The organisation in certificates that were made here; only those are ever replaced.
const OURS: &str = "davgate self-signed";

const LIFE: Duration = Duration::from_secs(365 * 24 * 3600);

/// Why there is no certificate.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// A file is not PEM, or has not what is looked for.
    #[error("{path}: no usable {what}: {source}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// `certificate` or `private key`.
        what: &'static str,
        /// What is wrong.
        source: rustls::pki_types::pem::Error,
    },
    /// The certificate itself cannot be parsed.
    #[error("{path}: the certificate cannot be parsed")]
    Certificate {
        /// The file.
        path: PathBuf,
    },
    /// Only one of the two files is there.
    #[error("{missing} is missing although {present} is there")]
    Half {
        /// The file that is not there.
        missing: PathBuf,
        /// The file that is.
        present: PathBuf,
    },
    /// Key and certificate do not belong together, or the key is of no usable kind.
    #[error("{certificate} and {key}: {}{source}", way_out(source))]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
    /// No certificate could be made.
    #[error("a self-signed certificate cannot be made: {0}")]
    Generate(#[from] rcgen::Error),
    /// rustls does not take the settings.
    #[error("TLS: {0}")]
    Settings(#[from] rustls::Error),
}

/// What mends it, where that is known.
const fn way_out(error: &rustls::Error) -> &'static str {
    match error {
        rustls::Error::InconsistentKeys(_) => {
            "the key is of another certificate; name the two files that were made together: "
        }
        _ => "",
    }
}

/// A certificate with its key, ready to be served.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) certified: CertifiedKey,
    pub(super) not_after: UnixTime,
    /// Made here, not by an administrator.
    pub(super) is_ours: bool,
}

/// Where the two files are.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

impl Files {
    /// Which of the two files are there.
    pub(super) fn present(&self) -> (bool, bool) {
        (self.certificate.exists(), self.key.exists())
    }

    /// Reads both files; they have to belong together.
    pub(super) fn load(&self, provider: &CryptoProvider) -> Result<Pair, TlsError> {
        let certificate = read(&self.certificate)?;
        let key = read(&self.key)?;
        self.parse(&certificate, &key, provider)
    }

    fn parse(
        &self,
        certificate: &[u8],
        key: &[u8],
        provider: &CryptoProvider,
    ) -> Result<Pair, TlsError> {
        let pem = |path: &Path, what| {
            let path = path.to_owned();
            move |source| TlsError::Pem { path, what, source }
        };
        let no_certificate = pem(&self.certificate, "certificate");
        let chain = CertificateDer::pem_slice_iter(certificate)
            .collect::<Result<Vec<_>, _>>()
            .and_then(|chain| {
                if chain.is_empty() {
                    Err(rustls::pki_types::pem::Error::NoItemsFound)
                } else {
                    Ok(chain)
                }
            })
            .map_err(no_certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(pem(&self.key, "private key"))?;
        let (not_after, is_ours) =
            chain
                .first()
                .and_then(facts)
                .ok_or_else(|| TlsError::Certificate {
                    path: self.certificate.clone(),
                })?;
        let certified =
            CertifiedKey::from_der(chain, key, provider).map_err(|source| TlsError::Pair {
                certificate: self.certificate.clone(),
                key: self.key.clone(),
                source,
            })?;
        Ok(Pair {
            certified,
            not_after,
            is_ours,
        })
    }

    /// Makes a pair for `names` and writes it; where the folder cannot be written (a read-only root), it
    /// lives in memory only, which costs clients a new exception at each start and hence a warning.
    pub(super) fn generate(
        &self,
        names: Vec<String>,
        clock: &Clock,
        provider: &CryptoProvider,
    ) -> Result<Pair, TlsError> {
        let (certificate, key) = self_signed(names, clock)?;
        let pair = self.parse(certificate.as_bytes(), key.as_bytes(), provider)?;
        // The key first: a certificate without its key would stop the next start.
        let written = write(&self.key, key.as_bytes(), 0o600)
            .and_then(|()| write(&self.certificate, certificate.as_bytes(), 0o644));
        match written {
            Ok(()) => tracing::info!(
                certificate = %self.certificate.display(),
                "a self-signed certificate was made"
            ),
            Err(error) => tracing::warn!(
                %error,
                "the self-signed certificate cannot be written and lasts until the next start only"
            ),
        }
        Ok(pair)
    }
}

/// End of validity, and whether the certificate was made here.
fn facts(certificate: &CertificateDer<'_>) -> Option<(UnixTime, bool)> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let is_ours = parsed
        .subject()
        .iter_organization()
        .any(|organization| organization.as_str() == Ok(OURS));
    Some((UnixTime(parsed.validity().not_after.timestamp()), is_ours))
}

/// Whether a certificate is for this host (RFC 6125: a `*` stands for one label, the first). One that cannot be read is
/// somebody else's matter.
pub(super) fn covers(certificate: &CertificateDer<'_>, host: &str) -> bool {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
        return true;
    };
    let Ok(Some(names)) = parsed.subject_alternative_name() else {
        return false;
    };
    let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    names
        .value
        .general_names
        .iter()
        .any(|name| match (name, address) {
            (GeneralName::DNSName(name), None) => is_name(name, host),
            (GeneralName::IPAddress(bytes), Some(IpAddr::V4(address))) => {
                *bytes == address.octets()
            }
            (GeneralName::IPAddress(bytes), Some(IpAddr::V6(address))) => {
                *bytes == address.octets()
            }
            _ => false,
        })
}

fn is_name(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(below) => host
            .split_once('.')
            .is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(below)),
        None => name.eq_ignore_ascii_case(host),
    }
}

/// An ECDSA P-256 pair as PEM. Names that are neither a DNS name nor an address are left out.
fn self_signed(names: Vec<String>, clock: &Clock) -> Result<(String, String), TlsError> {
    let names: Vec<String> = names
        .into_iter()
        .filter(|name| CertificateParams::new(vec![name.clone()]).is_ok())
        .collect();
    let now = Duration::from_secs(u64::try_from(clock.now().0).unwrap_or(0));
    let mut params = CertificateParams::new(names)?;
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    // A day back, for clients whose clocks are behind.
    params.not_before = epoch + now.saturating_sub(Duration::from_secs(24 * 3600));
    params.not_after = epoch + now + LIFE;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, OURS);
    params
        .distinguished_name
        .push(DnType::CommonName, "davgate");
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::File {
        path: path.to_owned(),
        source,
    })
}

/// Writes beside the file and renames, so that nobody reads half of it, and a key is never open to others.
fn write(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::PermissionsExt;

    fn provider() -> CryptoProvider {
        rustls::crypto::aws_lc_rs::default_provider()
    }

    fn files(name: &str) -> Files {
        let folder = std::env::temp_dir().join(format!("davgate-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        Files {
            certificate: folder.join("deep/server.crt"),
            key: folder.join("deep/server.key"),
        }
    }

    fn names() -> Vec<String> {
        vec!["localhost".into(), "127.0.0.1".into(), "not a\nname".into()]
    }

    #[test]
    fn a_certificate_is_for_the_names_it_has() {
        let names = ["cloud.example.org", "*.files.example", "127.0.0.1"].map(String::from);
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let is_for = |host| covers(made.cert.der(), host);
        for host in [
            "cloud.example.org",
            "CLOUD.example.org",
            "a.files.example",
            "127.0.0.1",
        ] {
            assert!(is_for(host), "{host}");
        }
        for host in [
            "example.org",
            "a.b.files.example",
            "files.example",
            "127.0.0.2",
            "[::1]",
        ] {
            assert!(!is_for(host), "{host}");
        }
    }

    #[test]
    fn a_generated_pair_is_written_with_a_private_key_file_and_can_be_read_again() {
        let files = files("written");
        let made = files
            .generate(names(), &Clock::system(), &provider())
            .unwrap();
        let mode = fs::metadata(&files.key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let read = files.load(&provider()).unwrap();
        assert!(read.is_ours);
        assert_eq!(read.not_after, made.not_after);
        assert_eq!(read.certified.cert, made.certified.cert);
        fs::remove_dir_all(files.key.parent().unwrap().parent().unwrap()).unwrap();
    }

    #[test]
    fn a_generated_pair_stays_in_memory_where_nothing_can_be_written() {
        let files = Files {
            certificate: "/proc/davgate/server.crt".into(),
            key: "/proc/davgate/server.key".into(),
        };
        files
            .generate(names(), &Clock::system(), &provider())
            .unwrap();
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let files = files("other");
        let (certificate, _) = self_signed(names(), &Clock::system()).unwrap();
        let (_, key) = self_signed(names(), &Clock::system()).unwrap();
        let refused = files.parse(certificate.as_bytes(), key.as_bytes(), &provider());
        assert!(matches!(refused, Err(TlsError::Pair { .. })));
    }

    #[test]
    fn an_empty_file_and_a_swapped_one_are_refused() {
        let files = files("empty");
        let (certificate, key) = self_signed(names(), &Clock::system()).unwrap();
        for (first, second) in [
            ("", key.as_str()),
            (certificate.as_str(), ""),
            (key.as_str(), certificate.as_str()),
        ] {
            let refused = files.parse(first.as_bytes(), second.as_bytes(), &provider());
            assert!(matches!(refused, Err(TlsError::Pem { .. })));
        }
    }

    proptest! {
        #[test]
        fn a_damaged_certificate_is_refused_or_read_but_never_a_panic(
            at in 0_usize..400, with in any::<u8>(),
        ) {
            let (certificate, key) = self_signed(names(), &Clock::system()).unwrap();
            let mut bytes = certificate.into_bytes();
            let at = at % bytes.len();
            bytes[at] = with;
            let _ = files("damaged").parse(&bytes, key.as_bytes(), &provider());
        }
    }
}
