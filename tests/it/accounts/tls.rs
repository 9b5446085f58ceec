//! LDAPS and StartTLS with a CA of one's own; docs/design/hardening.md F13: no password without a proven server.

use std::path::PathBuf;
use std::time::Duration;

use davgate::door::accounts::ldap::LdapDirectory;
use davgate::door::accounts::{DirectoryError, UserDirectory};
use davgate::door::config::accounts::Ldap;
use davgate::door::model::Reason;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

use super::wire::{BIND, EXTENDED, FakeServer, result};
use crate::support::slapd::{self, PASSWORD, Slapd, TlsFiles};

/// Certificate files in a folder of their own.
pub(crate) struct Certificates {
    folder: PathBuf,
    pub(crate) files: TlsFiles,
}

impl Certificates {
    pub(crate) fn new(name: &str, expired: bool) -> Self {
        let folder = std::env::temp_dir().join(format!("davgate-tls-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        let files = TlsFiles {
            ca: folder.join("ca.pem"),
            cert: folder.join("cert.pem"),
            key: folder.join("key.pem"),
        };
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_cert = ca.self_signed(&ca_key).unwrap();
        let issuer = Issuer::new(ca, ca_key);
        let key = KeyPair::generate().unwrap();
        let mut server = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if expired {
            server.not_before = date_time_ymd(2020, 1, 1);
            server.not_after = date_time_ymd(2021, 1, 1);
        }
        let cert = server.signed_by(&key, &issuer).unwrap();
        std::fs::write(&files.ca, ca_cert.pem()).unwrap();
        std::fs::write(&files.cert, cert.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        Self { folder, files }
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn probe(settings: Ldap) -> Result<(), DirectoryError> {
    LdapDirectory::new(settings).unwrap().probe().await
}

/// LDAPS and StartTLS against the same server.
fn both(server: &Slapd, certificates: &Certificates) -> [Ldap; 2] {
    let settings = |uri: String, start_tls| Ldap {
        cacert: Some(certificates.files.ca.clone()),
        start_tls,
        ..slapd::settings(&uri)
    };
    [
        settings(server.tls_uri(), false),
        settings(server.start_tls_uri(), true),
    ]
}

#[tokio::test]
async fn ldaps_and_start_tls_work_with_an_own_ca() {
    let certificates = Certificates::new("localhost", false);
    let server = Slapd::start_with(Some(&certificates.files)).await;
    for settings in both(&server, &certificates) {
        probe(settings).await.unwrap();
    }
}

#[tokio::test]
async fn f13_a_foreign_ca_a_wrong_name_and_an_expired_certificate_are_refused() {
    let good = Certificates::new("localhost", false);
    let cases = [
        ("localhost", false, "foreign CA"),
        ("elsewhere.test", false, "wrong name"),
        ("localhost", true, "expired"),
    ];
    for (name, expired, case) in cases {
        let certificates = Certificates::new(name, expired);
        let server = Slapd::start_with(Some(&certificates.files)).await;
        let trusted = if case == "foreign CA" {
            &good
        } else {
            &certificates
        };
        for settings in both(&server, trusted) {
            let outcome = probe(settings.clone()).await;
            assert!(
                matches!(
                    outcome,
                    Err(DirectoryError::Misconfigured {
                        reason: Reason::DirectoryCertificate,
                        ..
                    })
                ),
                "{case}: {outcome:?}"
            );
            let insecure = Ldap {
                insecure: true,
                ..settings
            };
            probe(insecure).await.unwrap();
        }
    }
}

#[tokio::test]
async fn f13_no_password_is_sent_where_start_tls_is_refused_or_stripped() {
    let certificates = Certificates::new("localhost", false);
    // Refused; unknown to the server; promised, but then there is no TLS behind it.
    for code in [52, 2, 0] {
        let server = FakeServer::start(move |tag| match tag {
            EXTENDED => vec![result(EXTENDED, code)],
            BIND => vec![result(BIND, 0)],
            _ => vec![],
        })
        .await;
        let outcome = probe(Ldap {
            cacert: Some(certificates.files.ca.clone()),
            start_tls: true,
            timeout: Duration::from_millis(500),
            ..slapd::settings(&server.uri)
        })
        .await;
        assert!(
            matches!(outcome, Err(DirectoryError::Unavailable(_))),
            "{code}: {outcome:?}"
        );
        assert!(server.has_received(b"1.3.6.1.4.1.1466.20037"));
        assert!(!server.has_received(PASSWORD.as_bytes()), "code {code}");
    }
}

#[tokio::test]
async fn the_same_fake_server_does_see_the_password_of_a_plain_bind() {
    // What the test above rests on: the capture would show it.
    let server = FakeServer::start(|tag| vec![result(tag, 0)]).await;
    let _ = probe(Ldap {
        timeout: Duration::from_millis(500),
        ..slapd::settings(&server.uri)
    })
    .await;
    assert!(server.has_received(PASSWORD.as_bytes()));
}

#[test]
fn a_ca_file_that_is_missing_or_empty_is_said_at_start() {
    let certificates = Certificates::new("localhost", false);
    let empty = certificates.folder.join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    for file in [empty, certificates.folder.join("none.pem")] {
        let settings = Ldap {
            cacert: Some(file.clone()),
            ..slapd::settings("ldaps://localhost")
        };
        let error = LdapDirectory::new(settings).unwrap_err();
        assert!(
            error.to_string().contains(&file.display().to_string()),
            "{error}"
        );
    }
}
