//! The client against servers on loopback that behave in one way each.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::header::ACCEPT;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

/// Reads one request head, without a body.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

/// Answers every request of every connection with what `answer` makes of its head.
async fn serve(answer: impl Fn(&str) -> String + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, answer.clone()));
        }
    });
    address
}

async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: impl Fn(&str) -> String,
) {
    while let Some(head) = head(&mut stream).await {
        if stream.write_all(answer(&head).as_bytes()).await.is_err() {
            return;
        }
    }
}

fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn redirect(to: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
}

fn client() -> Client {
    Client::new(Options::default()).unwrap()
}

fn get(url: &str) -> Call {
    Call::get(IssuerCall::Keys, Url::parse(url).unwrap())
}

#[tokio::test]
async fn an_answer_comes_whole_and_its_connection_is_used_again() {
    let address = serve(|head| {
        assert!(head.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("accept: x/y\r\n"), "{head}");
        ok("body")
    })
    .await;
    let client = client();
    for _ in 0..3 {
        let call =
            get(&format!("http://{address}/a?b=c")).header(ACCEPT, HeaderValue::from_static("x/y"));
        let answer = client.send(call).await.unwrap();
        assert_eq!(answer.body, "body");
    }
}

#[tokio::test]
async fn a_kept_connection_that_died_is_replaced_without_an_error() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        for _ in 0..3 {
            let (mut stream, _) = listener.accept().await.unwrap();
            head(&mut stream).await.unwrap();
            stream.write_all(ok("x").as_bytes()).await.unwrap();
        }
    });
    let client = client();
    for _ in 0..3 {
        assert_eq!(client.send(get(&url)).await.unwrap().body, "x");
    }
    server.await.unwrap();
}

#[tokio::test]
async fn row_85_large_slow_and_cut_answers_are_errors() {
    let client = client();
    let large = serve(|_| ok(&"x".repeat(MAX_BODY + 1))).await;
    let outcome = client.send(get(&format!("http://{large}/"))).await;
    assert_eq!(outcome.unwrap_err(), CallError::TooLarge);

    let slow = serve(|_| "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n".into()).await;
    let mut call = get(&format!("http://{slow}/"));
    call.timeout = Duration::from_millis(50);
    assert_eq!(client.send(call).await.unwrap_err(), CallError::Timeout);

    let nonsense = serve(|_| "SSH-2.0-x\r\n\r\n".into()).await;
    let outcome = client.send(get(&format!("http://{nonsense}/"))).await;
    assert!(
        matches!(outcome, Err(CallError::Protocol(_))),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn row_84_redirects_are_few_and_never_carry_the_token_elsewhere() {
    let seen = serve(|head| {
        assert!(
            !head.to_ascii_lowercase().contains("authorization"),
            "{head}"
        );
        ok("elsewhere")
    })
    .await;
    let there = format!("http://{seen}/x");
    let hop = serve(move |head| match head.split(' ').nth(1) {
        Some("/loop") => redirect("/loop"),
        Some("/file") => redirect("file:///etc/passwd"),
        _ => redirect(&there),
    })
    .await;
    let client = client();
    let token = HeaderValue::from_static("Bearer t");
    let call = get(&format!("http://{hop}/")).header(AUTHORIZATION, token);
    assert_eq!(client.send(call).await.unwrap().body, "elsewhere");
    for path in ["loop", "file"] {
        let outcome = client.send(get(&format!("http://{hop}/{path}"))).await;
        assert!(
            matches!(outcome, Err(CallError::Redirect(_))),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn f1_a_dead_remote_fails_at_once_and_is_not_called_again() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let client = client();
    let first = client.send(get(&url)).await.unwrap_err();
    assert!(matches!(first, CallError::Refused(_)), "{first}");
    let second = client.send(get(&url)).await.unwrap_err();
    assert!(matches!(second, CallError::Backoff { .. }), "{second}");
}

/// A TLS server with a certificate for `localhost`, which is also returned.
async fn tls_server() -> (SocketAddr, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    converse(stream, |_| ok("secret")).await;
                }
            });
        }
    });
    (address, certificate)
}

#[tokio::test]
async fn a_private_certificate_needs_to_be_named() {
    let (address, certificate) = tls_server().await;
    let url = format!("https://localhost:{}/", address.port());
    let error = client().send(get(&url)).await.unwrap_err();
    assert!(matches!(error, CallError::Tls(_)), "{error}");
    assert!(error.to_string().contains("PROXY_HTTPS_CACERT"));

    let own = Client::new(Options {
        extra_roots: vec![certificate.clone()],
        ..Options::default()
    });
    assert_eq!(own.unwrap().send(get(&url)).await.unwrap().body, "secret");

    let file = std::env::temp_dir().join(format!("davgate-client-{}.pem", std::process::id()));
    std::fs::write(&file, rcgen_pem(&certificate)).unwrap();
    let named = Client::new(Options {
        ca_file: Some(file.clone()),
        ..Options::default()
    });
    let _ = std::fs::remove_file(&file);
    assert_eq!(named.unwrap().send(get(&url)).await.unwrap().body, "secret");

    let mut insecure = get(&url);
    insecure.insecure = true;
    assert_eq!(client().send(insecure).await.unwrap().body, "secret");
}

fn rcgen_pem(certificate: &CertificateDer<'_>) -> String {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
}

#[tokio::test]
async fn a_forward_proxy_gets_a_tunnel_for_https_and_the_whole_address_for_http() {
    let tunnels = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tunnels);
    let address = serve(move |head| {
        if head.starts_with("CONNECT idp.test:443 HTTP/1.1\r\n") {
            assert!(
                head.contains("Proxy-Authorization: Basic dTpw\r\n"),
                "{head}"
            );
            counted.fetch_add(1, Ordering::Relaxed);
            return "HTTP/1.1 403 No\r\n\r\n".into();
        }
        assert!(
            head.starts_with("GET http://idp.test:80/x HTTP/1.1\r\n"),
            "{head}"
        );
        assert!(head.contains("host: idp.test\r\n"), "{head}");
        assert!(
            head.contains("proxy-authorization: Basic dTpw\r\n"),
            "{head}"
        );
        ok("through")
    })
    .await;
    let proxy = Url::parse(&format!("http://u:p@{address}")).unwrap();
    let client = Client::new(Options {
        proxies: Proxies {
            https: Some(proxy.clone()),
            http: Some(proxy),
            no_proxy: Vec::new(),
        },
        ..Options::default()
    })
    .unwrap();
    let answer = client.send(get("http://idp.test/x")).await.unwrap();
    assert_eq!(answer.body, "through");
    let refused = client.send(get("https://idp.test/x")).await.unwrap_err();
    assert!(refused.to_string().contains("proxy"), "{refused}");
    assert_eq!(tunnels.load(Ordering::Relaxed), 1);
}
