//! LDAP servers and networks that misbehave: a relay in front of a real server, and a server of canned answers.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// What a relay does with the server's bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mode {
    Forward,
    /// Keeps connections open and lets nothing through, as a firewall that forgot them.
    Swallow,
    /// Lets requests through, closes instead of passing the next answer on, then forwards again.
    CutNextAnswer,
}

/// A TCP relay on a free loopback port.
pub(crate) struct Relay {
    pub(crate) uri: String,
    mode: Arc<AtomicU8>,
}

impl Relay {
    pub(crate) async fn start(target: &str) -> Self {
        let target = target.strip_prefix("ldap://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("ldap://{}", listener.local_addr().unwrap());
        let mode = Arc::new(AtomicU8::new(Mode::Forward as u8));
        let shared = Arc::clone(&mode);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(&target).await else {
                    continue;
                };
                let (client_in, client_out) = client.into_split();
                let (server_in, server_out) = server.into_split();
                tokio::spawn(pump(client_in, server_out, Arc::clone(&shared), false));
                tokio::spawn(pump(server_in, client_out, Arc::clone(&shared), true));
            }
        });
        Self { uri, mode }
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.store(mode as u8, Ordering::SeqCst);
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mode: Arc<AtomicU8>, answers: bool) {
    let mut buffer = vec![0; 65_536];
    // A connection that once was forgotten stays forgotten.
    let mut forgotten = false;
    loop {
        let count = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        forgotten |= mode.load(Ordering::SeqCst) == Mode::Swallow as u8;
        if forgotten {
            continue;
        }
        let cut = Mode::CutNextAnswer as u8;
        if answers && mode.load(Ordering::SeqCst) == cut {
            mode.store(Mode::Forward as u8, Ordering::SeqCst);
            break;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
}

/// A server that gives the same answer to every request of a kind and keeps what it received.
pub(super) struct FakeServer {
    pub(super) uri: String,
    received: Arc<Mutex<Vec<u8>>>,
    connections: Arc<AtomicUsize>,
}

impl FakeServer {
    /// `answers` gives the protocol operations for a request's tag; empty: silence.
    pub(super) async fn start(
        answers: impl Fn(u8) -> Vec<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("ldap://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let (log, count, answers) = (
            Arc::clone(&received),
            Arc::clone(&connections),
            Arc::new(answers),
        );
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let (log, answers) = (Arc::clone(&log), Arc::clone(&answers));
                tokio::spawn(async move { serve(stream, &log, answers.as_ref()).await });
            }
        });
        Self {
            uri,
            received,
            connections,
        }
    }

    /// Whether these bytes ever came in, in clear.
    pub(super) fn has_received(&self, bytes: &[u8]) -> bool {
        let received = self.received.lock().unwrap();
        received.windows(bytes.len()).any(|window| window == bytes)
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve(
    mut stream: TcpStream,
    log: &Mutex<Vec<u8>>,
    answers: &(impl Fn(u8) -> Vec<Vec<u8>> + Sync),
) {
    let mut buffer = vec![0; 65_536];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        let request = &buffer[..count];
        log.lock().unwrap().extend_from_slice(request);
        let Some((id, tag)) = message(request) else {
            continue;
        };
        for operation in answers(tag) {
            let mut body = tlv(0x02, &[id]);
            body.extend(operation);
            if stream.write_all(&tlv(0x30, &body)).await.is_err() {
                return;
            }
        }
    }
}

/// Id and operation of a request that arrived in one piece, with an id below 128.
fn message(bytes: &[u8]) -> Option<(u8, u8)> {
    let skip = match bytes.get(1)? {
        length @ 0x80.. => usize::from(length & 0x7f),
        _ => 0,
    };
    match bytes.get(2 + skip..)? {
        [0x02, 0x01, id, tag, ..] => Some((*id, *tag)),
        _ => None,
    }
}

pub(super) const BIND: u8 = 0x60;
pub(super) const SEARCH: u8 = 0x63;
pub(super) const MODIFY: u8 = 0x66;
pub(super) const EXTENDED: u8 = 0x77;

/// A result of that operation: code, nothing matched, no text.
pub(super) fn result(request: u8, code: u8) -> Vec<u8> {
    let answer = match request {
        SEARCH => 0x65,
        EXTENDED => 0x78,
        MODIFY => 0x67,
        _ => 0x61,
    };
    tlv(answer, &[0x0a, 1, code, 0x04, 0, 0x04, 0])
}

/// A search result entry.
pub(super) fn entry(dn: &str, attributes: &[(&str, &str)]) -> Vec<u8> {
    let list: Vec<u8> = attributes
        .iter()
        .flat_map(|(name, value)| {
            let values = tlv(0x31, &tlv(0x04, value.as_bytes()));
            tlv(0x30, &[tlv(0x04, name.as_bytes()), values].concat())
        })
        .collect();
    tlv(0x64, &[tlv(0x04, dn.as_bytes()), tlv(0x30, &list)].concat())
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap();
    let mut bytes = vec![tag];
    match length {
        0..128 => bytes.push(length.to_be_bytes()[1]),
        _ => bytes.extend([&[0x82], length.to_be_bytes().as_slice()].concat()),
    }
    bytes.extend_from_slice(content);
    bytes
}
