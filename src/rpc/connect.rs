//! A connection for gRPC: TCP or a Unix socket, plain or with TLS by our own rustls.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::config::deployment::GrpcTls;
use crate::model::Place;
use crate::trust::{self, CaFileError};

/// TLS as the configuration wants it could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of certificate authorities cannot be used.
    #[error("certificate authorities of the deployment's services: {0}")]
    CaFile(#[from] CaFileError),
    /// rustls refused the configuration.
    #[error("TLS to the deployment's services: {0}")]
    Tls(#[from] rustls::Error),
}

/// What connections are made with; `None`: no TLS. Blocks on the file of authorities.
pub(super) fn client(tls: &GrpcTls) -> Result<Option<Arc<ClientConfig>>, TlsError> {
    let mut config = match tls {
        GrpcTls::Off => return Ok(None),
        GrpcTls::Insecure => trust::unverified()?,
        GrpcTls::On(ca_file) => trust::verifying(trust::roots(ca_file.as_deref())?)?,
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Some(Arc::new(config)))
}

/// A silent peer is noticed by the system, since gRPC servers punish clients that send PINGs of their own.
const TCP_KEEPALIVE: Duration = Duration::from_secs(15);

/// Opens a connection.
pub(super) async fn connect(
    place: Place,
    tls: Option<Arc<ClientConfig>>,
) -> io::Result<TokioIo<Stream>> {
    let host = match &place {
        Place::Tcp { host, .. } => host.clone(),
        Place::Unix(_) => "localhost".to_owned(),
    };
    let plain = match place {
        Place::Tcp { host, port } => {
            let stream = TcpStream::connect((host.as_str(), port)).await?;
            stream.set_nodelay(true)?;
            let keepalive = TcpKeepalive::new()
                .with_time(TCP_KEEPALIVE)
                .with_interval(TCP_KEEPALIVE);
            SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
            Box::new(stream) as Box<dyn Socket>
        }
        Place::Unix(path) => Box::new(UnixStream::connect(path).await?),
    };
    let Some(tls) = tls else {
        return Ok(TokioIo::new(Stream(plain)));
    };
    let name = ServerName::try_from(host).map_err(io::Error::other)?;
    let stream = TlsConnector::from(tls).connect(name, plain).await?;
    Ok(TokioIo::new(Stream(Box::new(stream))))
}

/// What bytes go over.
trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// A connection of whatever kind.
pub(super) struct Stream(Box<dyn Socket>);

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
