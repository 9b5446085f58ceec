use std::path::PathBuf;

use rustls::pki_types::PrivatePkcs8KeyDer;

use super::*;
use crate::telemetry::PoolCounters;

/// A TLS backend for `localhost` with a certificate of its own, and the file that certificate is in.
async fn tls_backend(file: &str) -> (SocketAddr, PathBuf) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let path = std::env::temp_dir().join(format!("davgate-{}-{file}", std::process::id()));
    std::fs::write(&path, made.cert.pem()).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let address = backend(move |socket, _| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(socket).await else {
                return;
            };
            let mut head = Vec::new();
            while let Ok(byte) = stream.read_u8().await {
                head.push(byte);
                if head.ends_with(b"\r\n\r\n") {
                    stream.write_all(OK.as_bytes()).await.unwrap();
                    head.clear();
                }
            }
        }
    })
    .await;
    (address, path)
}

async fn through(
    backend: SocketAddr,
    host: &str,
    settings: Upstream,
) -> (String, Arc<PoolCounters>) {
    let mut setup = Setup::new(backend);
    setup.route.backend.server = tls_origin(host, backend.port());
    setup.settings = settings;
    let gateway = setup.start().await;
    gateway.once("GET / HTTP/1.1\r\n\r\n").await;
    let answer = gateway.once("GET / HTTP/1.1\r\n\r\n").await;
    (answer, gateway.counters)
}

#[test]
fn a_backend_is_trusted_by_the_configured_certificate_and_its_connection_is_kept() {
    on_worker(async {
        let (backend, ca) = tls_backend("ca.pem").await;
        let settings = Upstream {
            cacert: Some(ca.clone()),
            ..upstream_settings()
        };
        let (answer, counters) = through(backend, "localhost", settings).await;
        std::fs::remove_file(ca).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let connects = counters.connects.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(connects, 1);
    });
}

#[test]
fn an_unknown_or_misnamed_backend_is_502_unless_insecure() {
    on_worker(async {
        let (backend, ca) = tls_backend("other.pem").await;
        let (answer, _) = through(backend, "localhost", upstream_settings()).await;
        assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
        let named = Upstream {
            cacert: Some(ca.clone()),
            ..upstream_settings()
        };
        let (answer, _) = through(backend, "127.0.0.1", named).await;
        std::fs::remove_file(ca).unwrap();
        assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
        let insecure = Upstream {
            insecure: true,
            ..upstream_settings()
        };
        let (answer, _) = through(backend, "127.0.0.1", insecure).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    });
}

#[test]
fn a_certificate_file_without_certificate_is_a_configuration_error_that_names_it() {
    on_worker(async {
        for (file, content) in [("absent.pem", None), ("empty.pem", Some("hello"))] {
            let path = std::env::temp_dir().join(format!("davgate-{}-{file}", std::process::id()));
            if let Some(content) = content {
                std::fs::write(&path, content).unwrap();
            }
            let settings = Upstream {
                cacert: Some(path.clone()),
                ..upstream_settings()
            };
            let error = Connector::new(&settings, Handle::current()).unwrap_err();
            let _ = std::fs::remove_file(&path);
            assert!(error.to_string().contains(file), "{error}");
        }
    });
}
