//! A hop that adds a bearer token, for clients that know none. It stands before a server alone too, to make both runs equal.

use std::convert::Infallible;
use std::net::SocketAddr;

use http::HeaderValue;
use http::header::AUTHORIZATION;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

/// Where requests are passed on to `to`, with that token if there is one.
pub(crate) async fn hop(to: SocketAddr, token: Option<String>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let credential = token.map(|token| HeaderValue::try_from(format!("Bearer {token}")).unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let credential = credential.clone();
            let service = service_fn(move |request| pass(to, request, credential.clone()));
            let serve = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(serve);
        }
    });
    addr
}

async fn pass(
    to: SocketAddr,
    mut request: Request<Incoming>,
    credential: Option<HeaderValue>,
) -> Result<Response<Incoming>, Infallible> {
    if let Some(credential) = credential {
        request.headers_mut().insert(AUTHORIZATION, credential);
    }
    let io = TokioIo::new(TcpStream::connect(to).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    Ok(sender.send_request(request).await.unwrap())
}
