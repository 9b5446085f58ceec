//! TLS on the public listener: what is spoken, and a certificate that can be exchanged while it is in use.

use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, ResolvesServerCert, ServerSessionMemoryCache};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, ServerConfig};

use super::certificate::{Files, Pair, TlsError, covers};
use crate::config::http::Http;
use crate::model::{Clock, UnixTime};

/// From when on the coming end of the certificate is warned of.
const ENDING: Duration = Duration::from_secs(14 * 24 * 3600);

/// TLS settings with a certificate that can be exchanged.
#[derive(Debug)]
pub struct Tls {
    config: Arc<ServerConfig>,
    current: Arc<Current>,
    files: Files,
    provider: Arc<CryptoProvider>,
    names: Vec<String>,
    /// What the files looked like when they were last read.
    seen: Mutex<Seen>,
    clock: Clock,
}

/// Modification time and size of both files.
type Seen = [Option<(SystemTime, u64)>; 2];

impl Tls {
    /// Reads the certificate, or makes one where neither file was named nor is there.
    ///
    /// # Errors
    /// If a named file is missing, or the two cannot be used together.
    pub fn load(http: &Http, clock: Clock) -> Result<Self, TlsError> {
        let provider = Arc::new(provider());
        let files = Files {
            certificate: http.tls_cert.clone(),
            key: http.tls_key.clone(),
        };
        let names = own_names(http);
        let pair = first_pair(&files, http.tls_files_set, &names, &clock, &provider)?;
        let public = http.public_url.host_str().unwrap_or_default();
        if let Some(certificate) = pair.certified.cert.first()
            && http.tls_files_set
            && !covers(certificate, public)
        {
            tracing::warn!(
                certificate = %http.tls_cert.display(),
                host = public,
                "the certificate is not for the host of the public URL, so that clients refuse it; set PROXY_TRANSPORT_TLS_CERT to one that is, or OC_URL (OCIS_URL) to the name it has"
            );
        }
        let current = Arc::new(Current {
            pair: ArcSwap::from_pointee(Served::from(pair)),
        });
        let config = server_config(Arc::clone(&provider), Arc::clone(&current))?;
        let tls = Self {
            seen: Mutex::new(seen(&files)),
            config,
            current,
            files,
            provider,
            names,
            clock,
        };
        tls.warn_if_ending();
        Ok(tls)
    }

    /// For [`super::Shared::new`].
    #[must_use]
    pub fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Reads the files again; new connections get the new certificate, those that stand keep theirs. An
    /// own certificate that was never written, or has ended, is made anew. Blocks on the files.
    ///
    /// # Errors
    /// If the files cannot be used; the certificate before stays.
    pub fn reload(&self) -> Result<(), TlsError> {
        let served = self.current.pair.load_full();
        // Before they are read: a change in between is then seen as one.
        let now_seen = seen(&self.files);
        let pair = if served.is_ours && self.files.present() == (false, false) {
            if served.not_after > self.clock.now() {
                return Ok(());
            }
            self.generate()?
        } else {
            let pair = self.files.load(&self.provider)?;
            if pair.is_ours && pair.not_after <= self.clock.now() {
                self.generate()?
            } else {
                pair
            }
        };
        self.current.pair.store(Arc::new(Served::from(pair)));
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = now_seen;
        self.warn_if_ending();
        Ok(())
    }

    /// Whether the files are others than those last read, for a periodic look. A rename and the exchange of
    /// a symbolic link (Kubernetes secrets) are seen.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) != seen(&self.files)
    }

    /// When the certificate in use ends; a metric.
    #[must_use]
    pub fn not_after(&self) -> UnixTime {
        self.current.pair.load().not_after
    }

    /// The certificate if it was made here: trusted when the gateway calls its own public URL.
    #[must_use]
    pub fn own_certificate(&self) -> Option<CertificateDer<'static>> {
        let served = self.current.pair.load();
        served
            .is_ours
            .then(|| served.certified.cert.first().cloned())
            .flatten()
    }

    /// Warns from two weeks before the certificate's end; to be called once a day.
    pub fn warn_if_ending(&self) {
        let (now, end) = (self.clock.now(), self.not_after());
        if end <= now {
            tracing::error!(not_after = end.0, "the TLS certificate has ended");
        } else if end <= now.plus(ENDING) {
            let days = end.since(now).as_secs() / (24 * 3600);
            tracing::warn!(not_after = end.0, days, "the TLS certificate ends soon");
        }
    }

    fn generate(&self) -> Result<Pair, TlsError> {
        self.files
            .generate(self.names.clone(), &self.clock, &self.provider)
    }
}

/// The library's own choice of algorithms, in another order: processors have instructions for SHA-256 and none for the
/// SHA-384 that comes with AES-256, which took 9 % of a full handshake. AES-128 is what browsers prefer, too, and what every
/// client has to know (RFC 8446 section 9.1).
fn provider() -> CryptoProvider {
    const FIRST: [CipherSuite; 3] = [
        CipherSuite::TLS13_AES_128_GCM_SHA256,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ];
    let mut provider = aws_lc_rs::default_provider();
    // Stable: the rest stays as it was.
    provider
        .cipher_suites
        .sort_by_key(|suite| !FIRST.contains(&suite.suite()));
    provider
}

/// The pair of the start.
fn first_pair(
    files: &Files,
    are_named: bool,
    names: &[String],
    clock: &Clock,
    provider: &CryptoProvider,
) -> Result<Pair, TlsError> {
    match files.present() {
        (false, false) if !are_named => files.generate(names.to_vec(), clock, provider),
        (true, false) if !are_named => Err(TlsError::Half {
            missing: files.key.clone(),
            present: files.certificate.clone(),
        }),
        (false, true) if !are_named => Err(TlsError::Half {
            missing: files.certificate.clone(),
            present: files.key.clone(),
        }),
        _ => {
            let pair = files.load(provider)?;
            if pair.is_ours && pair.not_after <= clock.now() {
                return files.generate(names.to_vec(), clock, provider);
            }
            Ok(pair)
        }
    }
}

fn server_config(
    provider: Arc<CryptoProvider>,
    current: Arc<Current>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(current);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ignore_client_order = true;
    // Tickets hold the session at the client, so that any worker resumes it. The store is for TLS 1.2
    // clients without tickets, which are few.
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    config.session_storage = ServerSessionMemoryCache::new(1024);
    // Early data can be replayed (RFC 8446 section 8).
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// What a self-signed certificate is made for.
fn own_names(http: &Http) -> Vec<String> {
    let hostname = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let public = http.public_url.host_str().unwrap_or_default();
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(Into::into).into();
    for name in [hostname.trim(), public.trim_matches(['[', ']'])] {
        if !name.is_empty() && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

fn seen(files: &Files) -> Seen {
    [&files.certificate, &files.key].map(|path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    })
}

/// The certificate of new handshakes.
#[derive(Debug)]
struct Current {
    pair: ArcSwap<Served>,
}

#[derive(Debug)]
struct Served {
    certified: Arc<CertifiedKey>,
    not_after: UnixTime,
    is_ours: bool,
}

impl From<Pair> for Served {
    fn from(pair: Pair) -> Self {
        Self {
            certified: Arc::new(pair.certified),
            not_after: pair.not_after,
            is_ours: pair.is_ours,
        }
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.pair.load().certified))
    }
}
