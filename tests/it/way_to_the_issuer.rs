//! Issuers that are not simply reachable: certificates of an own authority, a proxy on the way, another address inside.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::support::backend::{FakeBackend, Told};
use crate::support::client::{Answer, Call};
use crate::support::keys::Key;
use crate::support::now;
use crate::support::process::GatewayProcess;
use crate::support::scripted_issuer::ScriptedIssuer;

/// Resolves nowhere (RFC 6761 section 6.4).
const NAME: &str = "idp.test";

/// An issuer whose public name is not reachable from here; what is, is a TLS listener with a certificate of an own CA.
struct Issuer {
    scripted: ScriptedIssuer,
    tls: SocketAddr,
    ca: PathBuf,
}

impl Issuer {
    async fn start() -> Self {
        let scripted =
            ScriptedIssuer::start(&format!("https://{NAME}"), &[Key::shared().jwk()]).await;
        scripted.userinfo(&json!({"sub": "sub-mara", "preferred_username": "mara"}));
        let (config, ca) = certificate();
        let target = scripted.origin().trim_start_matches("http://").to_owned();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let tls = serve(move |client| {
            let (acceptor, target) = (acceptor.clone(), target.clone());
            async move {
                if let Ok(mut client) = acceptor.accept(client).await {
                    let mut issuer = TcpStream::connect(target).await.unwrap();
                    let _ = copy_bidirectional(&mut client, &mut issuer).await;
                }
            }
        })
        .await;
        let path = std::env::temp_dir().join(format!("davgate-ca-{}.pem", uuid::Uuid::new_v4()));
        std::fs::write(&path, ca).unwrap();
        Self {
            scripted,
            tls,
            ca: path,
        }
    }

    /// The answer to a good token of a gateway with these variables.
    async fn asked(&self, variables: &[(&str, &str)]) -> Answer {
        let backend = FakeBackend::told(Told::Headers).await;
        let route = json!({"endpoint": "/", "backend": backend.url(), "identity": "headers"});
        let yaml = json!({"policies": [{"name": "default", "routes": [route]}]});
        let name = format!("https://{NAME}");
        let mut all = vec![("PROXY_OIDC_ISSUER", name.as_str())];
        all.extend(variables);
        let gateway = GatewayProcess::start(&yaml, &all).await;
        let claims = json!({"sub": "sub-mara", "iat": now(), "exp": now() + 300});
        let token = self.scripted.token(&Key::shared(), claims).sign();
        let call = Call::new(gateway.addr, "GET", "/files/a").bearer(&token);
        call.send().await
    }

    fn backchannel(&self) -> String {
        format!("https://localhost:{}", self.tls.port())
    }

    fn ca(&self) -> &str {
        self.ca.to_str().unwrap()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.ca);
    }
}

/// A server configuration for the issuer's name and for `localhost`, and the CA that vouches for it.
fn certificate() -> (rustls::ServerConfig, String) {
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_cert = ca.self_signed(&ca_key).unwrap();
    let authority = rcgen::Issuer::new(ca, &ca_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec![NAME.to_owned(), "localhost".to_owned()];
    let cert = rcgen::CertificateParams::new(names).unwrap();
    let cert = cert.signed_by(&key, &authority).unwrap();
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], private)
        .unwrap();
    (config, ca_cert.pem())
}

/// Listens, and has each connection served as a task of its own.
async fn serve<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(serve(client));
        }
    });
    addr
}

#[tokio::test]
async fn an_own_ca_is_named_by_the_setting_or_by_the_systems_variable() {
    let issuer = Issuer::start().await;
    let inside = issuer.backchannel();
    let way = ("PROXY_OIDC_BACKCHANNEL_URL", inside.as_str());
    issuer
        .asked(&[way])
        .await
        .refused(503, "issuer_unavailable");
    for setting in ["PROXY_HTTPS_CACERT", "SSL_CERT_FILE"] {
        issuer.asked(&[way, (setting, issuer.ca())]).await.is(200);
    }
    // `iss` was the public name all the time.
    issuer
        .asked(&[way, ("PROXY_OIDC_INSECURE", "true")])
        .await
        .is(200);
}

#[tokio::test]
async fn a_proxy_on_the_way_is_used_but_for_the_hosts_that_do_without() {
    let issuer = Issuer::start().await;
    let asked_for = Arc::<Mutex<Vec<String>>>::default();
    let (seen, tls) = (Arc::clone(&asked_for), issuer.tls);
    let proxy = serve(move |mut client| {
        let seen = Arc::clone(&seen);
        async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = client.read_u8().await else {
                    return;
                };
                head.push(byte);
            }
            let head = String::from_utf8(head).unwrap();
            seen.lock()
                .unwrap()
                .push(head.lines().next().unwrap().to_owned());
            client
                .write_all(b"HTTP/1.1 200 Connected\r\n\r\n")
                .await
                .unwrap();
            let mut issuer = TcpStream::connect(tls).await.unwrap();
            let _ = copy_bidirectional(&mut client, &mut issuer).await;
        }
    })
    .await;
    let url = format!("http://{proxy}");
    let trusting = ("PROXY_HTTPS_CACERT", issuer.ca());
    for variable in ["HTTPS_PROXY", "https_proxy"] {
        issuer.asked(&[trusting, (variable, &url)]).await.is(200);
        let asked = std::mem::take(&mut *asked_for.lock().unwrap());
        assert!(!asked.is_empty());
        let tunnel = format!("CONNECT {NAME}:443 HTTP/1.1");
        assert!(asked.iter().all(|line| *line == tunnel), "{asked:?}");
    }
    // The other scheme's proxy, and a host that does without: then the name is looked for, in vain.
    for variables in [
        &[("HTTP_PROXY", url.as_str())][..],
        &[("HTTPS_PROXY", url.as_str()), ("NO_PROXY", ".test")],
    ] {
        let answer = issuer.asked(&[&[trusting], variables].concat()).await;
        answer.refused(503, "issuer_unavailable");
        assert!(asked_for.lock().unwrap().is_empty());
    }
    // A back-channel address that needs no proxy.
    let inside = issuer.backchannel();
    let variables = [
        trusting,
        ("PROXY_OIDC_BACKCHANNEL_URL", inside.as_str()),
        ("HTTPS_PROXY", url.as_str()),
        ("NO_PROXY", "localhost"),
    ];
    issuer.asked(&variables).await.is(200);
    assert!(asked_for.lock().unwrap().is_empty());
}
