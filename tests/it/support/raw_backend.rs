//! A backend of canned bytes: for answers no HTTP library would give, and connections that break.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Answers each request head with the same bytes. Ends when dropped.
pub(crate) struct RawBackend {
    pub(crate) addr: SocketAddr,
    requests: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

/// What happens after the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// An orderly end.
    Close,
    /// RST.
    Reset,
    /// Nothing, until the other side closes.
    Wait,
}

impl RawBackend {
    pub(crate) async fn start(answer: &'static [u8], then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let requests = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&requests);
        let server = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(answer_one(stream, answer, then, Arc::clone(&counted)));
            }
        });
        Self {
            addr,
            requests,
            server,
        }
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// A route of `proxy.yaml` that is open to everybody.
    pub(crate) fn open_route(&self, endpoint: &str) -> serde_json::Value {
        serde_json::json!({
            "endpoint": endpoint, "backend": format!("http://{}", self.addr), "unprotected": true,
        })
    }
}

impl Drop for RawBackend {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer_one(
    mut stream: TcpStream,
    answer: &'static [u8],
    then: Then,
    requests: Arc<AtomicUsize>,
) {
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => head.extend_from_slice(&buffer[..count]),
        }
    }
    requests.fetch_add(1, Ordering::Relaxed);
    let _ = stream.write_all(answer).await;
    match then {
        Then::Close => drop(stream.shutdown().await),
        Then::Reset => {
            // Sent bytes must not be thrown away with the reset that is to come after them.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            let _ = stream.set_zero_linger();
        }
        Then::Wait => while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {},
    }
}
