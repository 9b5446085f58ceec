//! The public listener with TLS: certificates given and made, versions, ALPN, HSTS.

use std::fs;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::files::Folder;
use crate::support::gateway::TestGateway;
use crate::support::world::World;

/// A self-signed pair for `cloud.example`, as PEM files.
fn pair(folder: &Folder) -> Vec<u8> {
    let key = KeyPair::generate().unwrap();
    let names = vec!["cloud.example".to_owned()];
    let certificate = CertificateParams::new(names)
        .unwrap()
        .self_signed(&key)
        .unwrap();
    fs::write(folder.0.join("cert.pem"), certificate.pem()).unwrap();
    fs::write(folder.0.join("key.pem"), key.serialize_pem()).unwrap();
    certificate.pem().into_bytes()
}

fn trusting(pem: &[u8]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(pem).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

async fn connect(
    gateway: &TestGateway,
    config: ClientConfig,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(gateway.addr).await.unwrap();
    let name = ServerName::try_from("cloud.example").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

async fn get(stream: TlsStream<TcpStream>, token: &str) -> (StatusCode, HeaderMap) {
    let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let request = Request::get(if h2 {
        "https://cloud.example/files/a"
    } else {
        "/files/a"
    })
    .header("authorization", format!("Bearer {token}"));
    let request = if h2 {
        request
    } else {
        request.header("host", "cloud.example")
    };
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let io = TokioIo::new(stream);
    let answer = if h2 {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
                .await
                .unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    };
    let (parts, body) = answer.into_parts();
    body.collect().await.unwrap();
    (parts.status, parts.headers)
}

async fn with_pair(folder: &Folder) -> World {
    let path = |name: &str| folder.0.join(name).to_str().unwrap().to_owned();
    World::with(|gateway| {
        gateway
            .var("PROXY_TLS", "true")
            .var("PROXY_TRANSPORT_TLS_CERT", &path("cert.pem"))
            .var("PROXY_TRANSPORT_TLS_KEY", &path("key.pem"))
    })
    .await
}

#[tokio::test]
async fn both_versions_of_tls_and_http_are_served_with_hsts() {
    let folder = Folder::new("tls");
    let pem = pair(&folder);
    let world = with_pair(&folder).await;
    let token = world.issuer.token("mara").sign();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for protocol in ["http/1.1", "h2"] {
            let mut config = trusting(&pem);
            let provider = Arc::clone(config.crypto_provider());
            let roots = {
                let mut roots = RootCertStore::empty();
                roots
                    .add(CertificateDer::from_pem_slice(&pem).unwrap())
                    .unwrap();
                roots
            };
            config = ClientConfig::builder_with_provider(provider)
                .with_protocol_versions(&[version])
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
            config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
            let stream = connect(&world.gateway, config).await.unwrap();
            let chosen = stream.get_ref().1;
            assert_eq!(chosen.protocol_version(), Some(version.version));
            assert_eq!(chosen.alpn_protocol(), Some(protocol.as_bytes()));
            let (status, headers) = get(stream, &token).await;
            assert_eq!(status, 200, "{protocol} over {version:?}");
            assert!(headers.contains_key("strict-transport-security"));
            let seen = world.backend.the_request();
            assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
        }
    }
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_pair_is_made_when_none_is_given() {
    let world = World::with(|gateway| gateway.var("PROXY_TLS", "true")).await;
    let other = Folder::new("tls");
    let error = connect(&world.gateway, trusting(&pair(&other)))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("invalid peer certificate"),
        "{error}"
    );
    world.gateway.stop().await;
}

#[tokio::test]
async fn plain_http_on_the_tls_port_is_answered_or_closed_and_never_forwarded() {
    let folder = Folder::new("tls");
    pair(&folder);
    let world = with_pair(&folder).await;
    let answer = world.gateway.raw("GET /files/a HTTP/1.1").await;
    assert!(!answer.contains(" 200 "), "{answer}");
    world.backend.saw_nothing();
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_new_certificate_is_taken_up_and_connections_stay() {
    let folder = Folder::new("tls");
    let first = pair(&folder);
    let mut world = with_pair(&folder).await;
    let token = world.issuer.token("mara").sign();
    let open = connect(&world.gateway, trusting(&first)).await.unwrap();
    let second = pair(&folder);
    assert!(world.gateway.reload(|_| {}).await);
    let new = connect(&world.gateway, trusting(&second)).await.unwrap();
    assert_eq!(get(new, &token).await.0, 200);
    assert_eq!(get(open, &token).await.0, 200, "the old connection");
    assert!(connect(&world.gateway, trusting(&first)).await.is_err());
    world.gateway.stop().await;
}
