//! TLS: what is spoken, what is refused, and certificates exchanged under connections.

use std::path::PathBuf;

use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, ProtocolVersion, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::model::{Clock, UnixTime};
use crate::server::{Tls, TlsError};

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("davgate-tls-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    fn http(&self) -> Http {
        Http {
            tls: true,
            tls_cert: self.0.join("server.crt"),
            tls_key: self.0.join("server.key"),
            ..http_config(1)
        }
    }

    fn tls(&self) -> Tls {
        Tls::load(&self.http(), Clock::system()).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn serve(tls: &Tls, timeouts: Timeouts) -> Fixture {
    Fixture::start_with(1, timeouts, Some(tls.server_config()), |_| {})
}

fn client(
    trusted: CertificateDer<'static>,
    alpn: &[&str],
    version: ProtocolVersion,
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(trusted).unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let versions: &[&rustls::SupportedProtocolVersion] = match version {
        ProtocolVersion::TLSv1_2 => &[&rustls::version::TLS12],
        _ => &[&rustls::version::TLS13],
    };
    let mut config = ClientConfig::builder_with_provider(provider.into())
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

type Client = TlsStream<tokio::net::TcpStream>;

async fn connect(
    server: &Fixture,
    config: &Arc<ClientConfig>,
    name: &str,
) -> std::io::Result<Client> {
    let socket = tokio::net::TcpStream::connect(server.addr).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::clone(config))
        .connect(name, socket)
        .await
}

async fn get(client: &mut Client) -> String {
    client.write_all(GET).await.unwrap();
    let mut read = Vec::new();
    let mut chunk = [0; 1024];
    while !read.ends_with(b"tls=true") {
        let n = client.read(&mut chunk).await.unwrap();
        assert!(n > 0, "closed: {:?}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&chunk[..n]);
    }
    String::from_utf8(read).unwrap()
}

#[test]
fn both_versions_and_both_protocols_are_spoken_with_the_certificate_made_at_the_start() {
    let folder = Folder::new("versions");
    let tls = folder.tls();
    let server = serve(&tls, Timeouts::default());
    block_on(async {
        for version in [ProtocolVersion::TLSv1_2, ProtocolVersion::TLSv1_3] {
            for (alpn, name) in [
                (&["http/1.1"][..], "localhost"),
                (&[], "127.0.0.1"),
                (&[], "cloud.example.org"),
            ] {
                let config = client(tls.own_certificate().unwrap(), alpn, version);
                let mut client = connect(&server, &Arc::new(config), name).await.unwrap();
                assert_eq!(client.get_ref().1.protocol_version(), Some(version));
                let suite = client.get_ref().1.negotiated_cipher_suite().unwrap();
                assert!(
                    format!("{suite:?}").ends_with("AES_128_GCM_SHA256"),
                    "{suite:?}"
                );
                assert!(get(&mut client).await.contains("Http1 tls=true"));
            }
            let config = client(tls.own_certificate().unwrap(), &["http/1.1", "h2"], version);
            let socket = connect(&server, &Arc::new(config), "localhost")
                .await
                .unwrap();
            assert_eq!(socket.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            let (mut h2, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(socket))
                    .await
                    .unwrap();
            tokio::spawn(connection);
            let request = Request::get("https://a/")
                .body(Full::<Bytes>::default())
                .unwrap();
            let body = h2.send_request(request).await.unwrap().into_body();
            assert_eq!(body.collect().await.unwrap().to_bytes(), "Http2 tls=true");
        }
    });
}

#[test]
fn sessions_are_resumed_and_early_data_is_not_offered() {
    let folder = Folder::new("resumed");
    let tls = folder.tls();
    let server = serve(&tls, Timeouts::default());
    block_on(async {
        for version in [ProtocolVersion::TLSv1_2, ProtocolVersion::TLSv1_3] {
            let mut config = client(tls.own_certificate().unwrap(), &["http/1.1"], version);
            config.resumption = Resumption::in_memory_sessions(4);
            config.enable_early_data = true;
            let config = Arc::new(config);
            let mut first = connect(&server, &config, "localhost").await.unwrap();
            get(&mut first).await;
            let mut second = connect(&server, &config, "localhost").await.unwrap();
            get(&mut second).await;
            assert_eq!(
                second.get_ref().1.handshake_kind(),
                Some(HandshakeKind::Resumed)
            );
            assert!(!second.get_ref().1.is_early_data_accepted());
        }
    });
}

#[test]
fn row_122_unknown_alpn_is_refused_and_a_half_handshake_is_closed_at_its_limit() {
    let folder = Folder::new("half");
    let tls = folder.tls();
    let server = serve(
        &tls,
        Timeouts {
            handshake: SHORT,
            ..long()
        },
    );
    block_on(async {
        let config = client(
            tls.own_certificate().unwrap(),
            &["junk"],
            ProtocolVersion::TLSv1_3,
        );
        assert!(
            connect(&server, &Arc::new(config), "localhost")
                .await
                .is_err()
        );
    });
    let mut silent = server.connect();
    assert_fired(closed_after(&mut silent));
    // A record header that promises 64 KiB, byte by byte.
    let mut dripping = server.connect();
    let mut other = dripping.try_clone().unwrap();
    let drip = std::thread::spawn(move || {
        let began = Instant::now();
        for byte in [0x16, 3, 1, 0x3f, 0xff]
            .into_iter()
            .chain(std::iter::repeat(0))
        {
            if other.write_all(&[byte]).is_err() || began.elapsed() > Duration::from_secs(9) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    assert!(closed_after(&mut dripping) < Duration::from_secs(8));
    drip.join().unwrap();
}

#[test]
fn row_122_tls_1_1_is_refused() {
    let folder = Folder::new("old");
    let tls = folder.tls();
    let server = serve(&tls, Timeouts::default());
    let mut socket = server.connect();
    // A TLS 1.1 ClientHello: record 3.1, version 3.2, 32 random bytes, no session, one suite, no compression.
    let mut hello = vec![0x16, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0, 0x2f, 1, 0]);
    socket.write_all(&hello).unwrap();
    let answer = rest(&mut socket);
    assert_eq!(answer.first(), Some(&0x15), "an alert: {answer:?}");
}

#[test]
fn row_123_plain_http_to_the_tls_port_and_the_reverse_are_closed_within_a_second() {
    let folder = Folder::new("plain");
    let tls = folder.tls();
    let server = serve(&tls, Timeouts::default());
    let mut socket = server.connect();
    socket.write_all(GET).unwrap();
    assert!(closed_after(&mut socket) < Duration::from_secs(1));

    let server = Fixture::start(1, Timeouts::default());
    let mut socket = server.connect();
    let hello = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[9; 506]].concat();
    socket.write_all(&hello).unwrap();
    assert!(closed_after(&mut socket) < Duration::from_secs(1));
}

#[test]
fn f22_a_new_certificate_serves_new_connections_and_leaves_old_ones_alone() {
    let folder = Folder::new("swap");
    let other = Folder::new("swap-other");
    let tls = folder.tls();
    let before = tls.own_certificate().unwrap();
    let server = serve(&tls, Timeouts::default());
    block_on(async {
        let old = Arc::new(client(before.clone(), &[], ProtocolVersion::TLSv1_3));
        let mut standing = connect(&server, &old, "localhost").await.unwrap();
        get(&mut standing).await;
        assert!(!tls.has_changed());

        let after = other.tls().own_certificate().unwrap();
        std::fs::copy(other.http().tls_cert, folder.http().tls_cert).unwrap();
        // Half of the exchange: the pair does not match, the old one stays.
        assert!(tls.has_changed());
        assert!(matches!(tls.reload(), Err(TlsError::Pair { .. })));
        get(&mut connect(&server, &old, "localhost").await.unwrap()).await;

        std::fs::copy(other.http().tls_key, folder.http().tls_key).unwrap();
        tls.reload().unwrap();
        assert!(!tls.has_changed());
        let new = Arc::new(client(after, &[], ProtocolVersion::TLSv1_3));
        get(&mut connect(&server, &new, "localhost").await.unwrap()).await;
        get(&mut standing).await;
    });
}

#[test]
fn a_generated_certificate_is_made_anew_when_it_has_ended() {
    let folder = Folder::new("ended");
    let clock = Clock::shifted();
    clock.advance(-400 * 24 * 3600);
    let ended = Tls::load(&folder.http(), clock).unwrap();
    assert!(ended.not_after() < Clock::system().now());
    let anew = folder.tls();
    assert!(anew.not_after() > Clock::system().now());
    assert_ne!(anew.own_certificate(), ended.own_certificate());

    let clock = Clock::shifted();
    let running = Tls::load(&folder.http(), clock.clone()).unwrap();
    let before = running.not_after();
    clock.advance(366 * 24 * 3600);
    running.reload().unwrap();
    assert!(running.not_after() >= UnixTime(before.0 + 365 * 24 * 3600));
}

#[test]
fn a_named_file_that_is_missing_and_a_lone_half_stop_the_start() {
    let folder = Folder::new("missing");
    let named = Http {
        tls_files_set: true,
        ..folder.http()
    };
    let refused = Tls::load(&named, Clock::system());
    assert!(matches!(refused, Err(TlsError::File { .. })));
    drop(folder.tls());
    std::fs::remove_file(folder.http().tls_key).unwrap();
    let refused = Tls::load(&folder.http(), Clock::system());
    assert!(matches!(refused, Err(TlsError::Half { .. })));
}
