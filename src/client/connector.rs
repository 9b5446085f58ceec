//! A connection to an issuer: by a forward proxy or straight, with TLS or without. What is kept and used again is
//! hyper-util's business.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderValue, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tower::{Service, ServiceExt as _};
use url::Url;

use super::CallError;

/// For everything until the first request can be sent: name, TCP, tunnel and TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Called without a proxy, whatever the variables say.
const ALWAYS_DIRECT: &str = "localhost,127.0.0.0/8,::1";

/// Forward proxies for calls to issuers: `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`, as the configuration read them.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// For `https` addresses, reached by CONNECT.
    pub https: Option<Url>,
    /// For `http` addresses.
    pub http: Option<Url>,
    /// Hosts, domain suffixes, addresses and networks that are called directly; `*` means all.
    pub no_proxy: Vec<String>,
}

impl Proxies {
    fn matcher(&self) -> Matcher {
        let text = |proxy: &Option<Url>| proxy.as_ref().map(Url::to_string).unwrap_or_default();
        let direct = [&[ALWAYS_DIRECT.to_owned()], self.no_proxy.as_slice()].concat();
        Matcher::builder()
            .https(text(&self.https))
            .http(text(&self.http))
            .no(direct.join(","))
            .build()
    }
}

/// Makes connections. Clones are cheap.
#[derive(Clone)]
pub(super) struct Connector {
    tcp: HttpConnector,
    tls: TlsConnector,
    proxies: Arc<Matcher>,
}

impl Connector {
    pub(super) fn new(tls: TlsConnector, proxies: &Proxies) -> Self {
        let mut tcp = HttpConnector::new();
        // The scheme is looked at here.
        tcp.enforce_http(false);
        // Requests are one small write each; waiting for more only costs time.
        tcp.set_nodelay(true);
        Self {
            tcp,
            tls,
            proxies: Arc::new(proxies.matcher()),
        }
    }

    /// What a proxy wants to see in each request that is sent through it in the clear.
    pub(super) fn proxy_authorization(&self, to: &Uri) -> Option<HeaderValue> {
        let proxy = self.proxies.intercept(to).filter(|_| !is_https(to))?;
        proxy.basic_auth().cloned()
    }

    async fn connect(mut self, to: Uri) -> Result<IssuerConnection, CallError> {
        let proxy = self.proxies.intercept(&to);
        if !is_https(&to) {
            let through = proxy.as_ref().map_or(&to, Intercept::uri).clone();
            let stream = dial(&mut self.tcp, through).await?.into_inner();
            return Ok(IssuerConnection::new(stream, proxy.is_some()));
        }
        let stream = match proxy {
            None => dial(&mut self.tcp, to.clone()).await?,
            Some(proxy) => {
                let mut tunnel = Tunnel::new(proxy.uri().clone(), self.tcp.clone());
                if let Some(value) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(value.clone());
                }
                tunnel
                    .oneshot(to.clone())
                    .await
                    .map_err(|error| CallError::Refused(format!("proxy: {}", chain(&error))))?
            }
        };
        let host = to.host().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned())
            .map_err(|_| CallError::Address("host is no server name".into()))?;
        let stream = self
            .tls
            .connect(name, stream.into_inner())
            .await
            .map_err(|error| CallError::Tls(error.to_string()))?;
        Ok(IssuerConnection::new(stream, false))
    }
}

async fn dial(tcp: &mut HttpConnector, to: Uri) -> Result<TokioIo<TcpStream>, CallError> {
    let place = to.authority().map(ToString::to_string).unwrap_or_default();
    tcp.ready()
        .await
        .map_err(|error| CallError::Refused(format!("{place}: {}", chain(&error))))?
        .call(to)
        .await
        .map_err(|error| CallError::Refused(format!("{place}: {}", chain(&error))))
}

fn is_https(uri: &Uri) -> bool {
    uri.scheme_str() == Some("https")
}

/// An error with its causes.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

impl Service<Uri> for Connector {
    type Response = IssuerConnection;
    type Error = CallError;
    type Future = Pin<Box<dyn Future<Output = Result<IssuerConnection, CallError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            tokio::time::timeout(CONNECT_TIMEOUT, this.connect(to))
                .await
                .map_err(|_| CallError::Timeout)?
        })
    }
}

/// Whether a connection has carried an answer before: only then its end may be no more than its age.
#[derive(Debug, Clone, Default)]
pub(super) struct Used(Arc<AtomicBool>);

impl Used {
    pub(super) fn mark(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn is(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A connection that is ready for requests.
pub(super) struct IssuerConnection {
    io: TokioIo<Box<dyn Stream>>,
    /// To a proxy that wants whole addresses.
    proxied: bool,
    used: Used,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl IssuerConnection {
    fn new(stream: impl Stream + 'static, proxied: bool) -> Self {
        Self {
            io: TokioIo::new(Box::new(stream)),
            proxied,
            used: Used::default(),
        }
    }
}

impl Connection for IssuerConnection {
    fn connected(&self) -> Connected {
        Connected::new()
            .proxy(self.proxied)
            .extra(self.used.clone())
    }
}

impl Read for IssuerConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl Write for IssuerConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_suffixes_networks_and_loopback_are_called_directly() {
        let matcher = Proxies {
            https: Some(Url::parse("http://proxy:3128").unwrap()),
            http: None,
            no_proxy: vec![".corp.test".into(), "idp.test".into(), "10.0.0.0/8".into()],
        }
        .matcher();
        let proxied = |uri: &str| matcher.intercept(&uri.parse().unwrap()).is_some();
        assert!(proxied("https://login.test/"));
        assert!(proxied("https://myidp.test/"));
        for direct in [
            "http://login.test/",
            "https://a.corp.test/",
            "https://idp.test:8443/",
            "https://10.1.2.3/",
            "https://localhost:9200/",
            "https://127.0.0.1/",
            "https://[::1]:9200/",
        ] {
            assert!(!proxied(direct), "{direct}");
        }
    }

    #[test]
    fn a_star_calls_everything_directly() {
        let matcher = Proxies {
            https: Some(Url::parse("http://proxy:3128").unwrap()),
            http: None,
            no_proxy: vec!["*".into()],
        }
        .matcher();
        assert!(
            matcher
                .intercept(&Uri::from_static("https://login.test/"))
                .is_none()
        );
    }
}
