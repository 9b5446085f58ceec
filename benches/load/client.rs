//! One connection of the load: HTTP/1.1 as bytes, so that the client costs little beside what it measures.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body, Frame, SizeHint};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::Target;

/// Whatever went wrong; the load is over then.
pub(super) type Error = Box<dyn std::error::Error + Send + Sync>;

trait Stream: AsyncRead + AsyncWrite {}
impl<S: AsyncRead + AsyncWrite> Stream for S {}

/// A kept-alive connection with one request at a time.
pub(super) struct Client {
    stream: Pin<Box<dyn Stream>>,
    buffer: Vec<u8>,
    get: Vec<u8>,
    put: Vec<u8>,
}

impl Client {
    /// Connects as the target says; with large reads where bodies are large.
    pub(super) async fn connect(target: &Target, bulk: bool) -> Result<Self, Error> {
        let tls = target.tls.then(|| tls(false, false)).flatten();
        let mut client = Self::connect_with(target, tls).await?;
        if bulk {
            client.buffer.resize(1024 * 1024, 0);
        }
        Ok(client)
    }

    pub(super) async fn connect_with(
        target: &Target,
        tls: Option<Arc<ClientConfig>>,
    ) -> Result<Self, Error> {
        let tcp = TcpStream::connect(target.address).await?;
        tcp.set_nodelay(true)?;
        let stream: Pin<Box<dyn Stream>> = match tls.filter(|_| target.tls) {
            None => Box::pin(tcp),
            Some(config) => Box::pin(over_tls(config, tcp).await?),
        };
        let mut head = format!("{} HTTP/1.1\r\nHost: {}\r\n", target.path, target.address);
        if !target.token.is_empty() {
            head += &format!("Authorization: Bearer {}\r\n", target.token);
        }
        Ok(Self {
            stream,
            buffer: vec![0; 16 * 1024],
            get: format!("GET {head}\r\n").into_bytes(),
            put: format!("PUT {head}").into_bytes(),
        })
    }

    /// One GET, its body read to the end; the status.
    pub(super) async fn get(&mut self) -> Result<u16, Error> {
        self.stream.write_all(&self.get).await?;
        self.stream.flush().await?;
        self.answer().await
    }

    /// One PUT of zeros.
    pub(super) async fn put(&mut self, bytes: u64) -> Result<u16, Error> {
        self.stream.write_all(&self.put).await?;
        let length = format!("Content-Length: {bytes}\r\n\r\n");
        self.stream.write_all(length.as_bytes()).await?;
        let zeros = vec![0; 256 * 1024];
        let mut left = bytes;
        while left > 0 {
            let part = zeros.len().min(usize::try_from(left)?);
            self.stream
                .write_all(zeros.get(..part).unwrap_or_default())
                .await?;
            left -= part as u64;
        }
        self.stream.flush().await?;
        let status = self.answer().await?;
        if !(200..300).contains(&status) {
            return Err(format!("PUT was answered {status}").into());
        }
        Ok(status)
    }

    /// Reads an answer that has a Content-Length, or no body.
    async fn answer(&mut self) -> Result<u16, Error> {
        let mut filled = 0;
        let head_end = loop {
            let rest = self.buffer.get_mut(filled..).unwrap_or_default();
            let read = self.stream.read(rest).await?;
            if read == 0 {
                return Err("the connection was closed before an answer".into());
            }
            filled += read;
            let seen = self.buffer.get(..filled).unwrap_or_default();
            if let Some(at) = seen.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
        };
        let head = std::str::from_utf8(self.buffer.get(..head_end).unwrap_or_default())?;
        let status = head.get(9..12).unwrap_or_default().parse()?;
        let length = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(Ok(0), |(_, value)| value.trim().parse::<u64>())?;
        let mut left = length.saturating_sub((filled - head_end) as u64);
        while left > 0 {
            let read = self.stream.read(&mut self.buffer).await?;
            if read == 0 {
                return Err("the answer was cut".into());
            }
            left = left.saturating_sub(read as u64);
        }
        Ok(status)
    }
}

/// An HTTP/2 connection that has answered one request, and is held.
pub(super) async fn http2(
    target: &Target,
    tls: Option<Arc<ClientConfig>>,
) -> Result<SendRequest<Empty<Bytes>>, Error> {
    let config = tls.ok_or("HTTP/2 needs --tls")?;
    let tcp = TcpStream::connect(target.address).await?;
    let stream = over_tls(config, tcp).await?;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut request = http::Request::get(format!("https://{}{}", target.address, target.path));
    if !target.token.is_empty() {
        request = request.header("authorization", format!("Bearer {}", target.token));
    }
    let response = sender.send_request(request.body(Empty::new())?).await?;
    response.into_body().collect().await?;
    Ok(sender)
}

/// One PUT of zeros over HTTP/2; when it began, the connection being there. As much is under way as the other side's windows allow.
pub(super) async fn put_http2(target: &Target, bytes: u64) -> Result<Instant, Error> {
    let config = tls(false, true).ok_or("no TLS")?;
    let tcp = TcpStream::connect(target.address).await?;
    let stream = over_tls(config, tcp).await?;
    let (mut sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .max_send_buf_size(16 * 1024 * 1024)
        .handshake(TokioIo::new(stream))
        .await?;
    tokio::spawn(connection);
    let started = Instant::now();
    let request = http::Request::put(format!("https://{}{}", target.address, target.path))
        .header("authorization", format!("Bearer {}", target.token))
        .body(Zeros { left: bytes })?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    if !status.is_success() {
        return Err(format!("PUT was answered {status}").into());
    }
    response.into_body().collect().await?;
    Ok(started)
}

/// A body of zeros of a known length.
struct Zeros {
    left: u64,
}

impl Body for Zeros {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let part = ZEROS
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= part as u64;
        let zeros = Bytes::from_static(&ZEROS).slice(..part);
        Poll::Ready(Some(Ok(Frame::data(zeros))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

async fn over_tls(
    config: Arc<ClientConfig>,
    tcp: TcpStream,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Error> {
    let name = ServerName::try_from("localhost")?;
    Ok(TlsConnector::from(config).connect(name, tcp).await?)
}

/// TLS 1.3 that trusts any certificate: the peers of a measurement have none that anybody signed.
pub(super) fn tls(resume: bool, http2: bool) -> Option<Arc<ClientConfig>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .ok()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TrustAnybody(provider)))
        .with_no_client_auth();
    if !resume {
        config.resumption = Resumption::disabled();
    }
    if http2 {
        config.alpn_protocols = vec![b"h2".to_vec()];
    }
    Some(Arc::new(config))
}

/// Checks that the other side has the certificate's key, not who it is.
#[derive(Debug)]
struct TrustAnybody(Arc<CryptoProvider>);

impl ServerCertVerifier for TrustAnybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
