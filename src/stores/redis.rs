//! Redis, alone or as the master that Sentinels name. Keys are table and key without anything between (docs/design/contract.md 4.1).

use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use redis::aio::MultiplexedConnection;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _,
    RedisConnectionInfo, RedisError, TlsCertificates, TlsMode,
};
use tokio::sync::{Mutex, mpsc};

use super::{Heard, KeyValue, Space, StoreError};
use crate::config::stores::{Remote, RemoteTls};
use crate::trust;

/// How long connecting and every answer may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Between questions whether the server is still there, and still the master: a subscription hears nothing of that.
const ASKED_EVERY: Duration = Duration::from_secs(2);

/// Full listings are so many questions apart.
const LISTED_AFTER: u32 = 30;

/// Keys of one step of a listing.
const STEP: usize = 500;

pub(super) struct Redis {
    server: Server,
    space: Space,
    connection: Mutex<Option<MultiplexedConnection>>,
}

enum Server {
    One(Client),
    Sentinels(Mutex<SentinelClient>),
}

impl Redis {
    /// `host:port`, or a `redis://` or `rediss://` URL.
    pub(super) fn one(remote: &Remote, space: Space) -> Result<Self, StoreError> {
        let address = remote.addresses.first().map_or("", String::as_str);
        let info = if address.contains("://") {
            address.into_connection_info().map_err(settings)?
        } else {
            let at = at(address, remote.tls.as_ref())?;
            at.into_connection_info().map_err(settings)?
        };
        let info = match &remote.login {
            Some(_) => info.set_redis_settings(login(remote)),
            None => info,
        };
        let client = match &remote.tls {
            None => Client::open(info),
            Some(tls) => {
                refuse_plain(&info, address)?;
                Client::build_with_tls(info, certificates(tls)?)
            }
        };
        Ok(Self::of(Server::One(client.map_err(settings)?), space))
    }

    /// `host:port/master` first, further `host:port`.
    pub(super) fn sentinel(remote: &Remote, space: Space) -> Result<Self, StoreError> {
        let mut addresses = remote.addresses.iter();
        let first = addresses.next().map_or("", String::as_str);
        let Some((first, master)) = first.split_once('/') else {
            return Err(StoreError::Settings(format!(
                "{first:?} names no master; the first sentinel is host:port/master"
            )));
        };
        let others = addresses.map(|other| other.split('/').next().unwrap_or_default());
        let sentinels = std::iter::once(first).chain(others);
        let sentinels = sentinels.map(|address| at(address, remote.tls.as_ref()));
        let sentinels: Vec<ConnectionAddr> = sentinels.collect::<Result<_, _>>()?;
        let role = SentinelServerType::Master;
        let mut client = SentinelClientBuilder::new(sentinels, master, role).map_err(settings)?;
        if let Some((user, password)) = &remote.login {
            client = client
                .set_client_to_redis_username(user)
                .set_client_to_redis_password(password.reveal());
        }
        // The master that a sentinel names is as the sentinel is: plain, or with TLS.
        if let Some(tls) = &remote.tls {
            let certificates = certificates(tls)?;
            client = client
                .set_client_to_sentinel_tls_mode(mode(tls))
                .set_client_to_sentinel_certificates(certificates.clone())
                .set_client_to_redis_tls_mode(mode(tls))
                .set_client_to_redis_certificates(certificates);
        }
        let client = client.build().map_err(settings)?;
        Ok(Self::of(Server::Sentinels(Mutex::new(client)), space))
    }

    fn of(server: Server, space: Space) -> Self {
        Self {
            server,
            space,
            connection: Mutex::new(None),
        }
    }

    fn stored_key(&self, key: &str) -> String {
        [&self.space.table, key].concat()
    }

    fn channel(&self) -> String {
        format!("davgate:{}", self.space.table)
    }

    async fn client(&self) -> Result<Client, StoreError> {
        match &self.server {
            Server::One(client) => Ok(client.clone()),
            Server::Sentinels(sentinels) => {
                let mut sentinels = sentinels.lock().await;
                let master = tokio::time::timeout(PATIENCE, sentinels.async_get_client()).await;
                master
                    .map_err(StoreError::unavailable)?
                    .map_err(StoreError::unavailable)
            }
        }
    }

    async fn connection(&self) -> Result<MultiplexedConnection, StoreError> {
        let mut connection = self.connection.lock().await;
        if let Some(connection) = &*connection {
            return Ok(connection.clone());
        }
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let client = self.client().await?;
        let opened = client
            .get_multiplexed_async_connection_with_config(&settings)
            .await
            .map_err(StoreError::unavailable)?;
        *connection = Some(opened.clone());
        Ok(opened)
    }

    /// A connection that failed is not used again: it may lead to a master that is none any more.
    async fn run<T: redis::FromRedisValue>(
        &self,
        command: &redis::Pipeline,
    ) -> Result<T, StoreError> {
        let mut connection = self.connection().await?;
        match command.query_async(&mut connection).await {
            Ok(value) => Ok(value),
            Err(first) => {
                *self.connection.lock().await = None;
                if !may_be_stale(&first) {
                    return Err(StoreError::unavailable(first));
                }
                let mut connection = self.connection().await?;
                let again = command.query_async(&mut connection).await;
                if again.is_err() {
                    *self.connection.lock().await = None;
                }
                again.map_err(StoreError::unavailable)
            }
        }
    }

    async fn tell_all(&self, heard: &mpsc::Sender<Heard>) -> Result<(), StoreError> {
        let pattern = format!("{}*", escaped(&self.space.table));
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::pipe();
            scan.cmd("SCAN")
                .arg(cursor)
                .arg("MATCH")
                .arg(&pattern)
                .arg("COUNT")
                .arg(STEP);
            let ((next, keys),): ((u64, Vec<String>),) = self.run(&scan).await?;
            if !keys.is_empty() {
                let mut get = redis::pipe();
                get.cmd("MGET").arg(&keys);
                let (values,): (Vec<Option<Vec<u8>>>,) = self.run(&get).await?;
                for (key, value) in keys.into_iter().zip(values) {
                    if let (Some(key), Some(value)) = (key.strip_prefix(&self.space.table), value) {
                        tell(heard, key, value).await?;
                    }
                }
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }

    /// An error once the server is away, or another one is the master.
    async fn still_leads_to(&self, server: &Client) -> Result<(), StoreError> {
        let mut ping = redis::pipe();
        ping.cmd("PING").ignore();
        let () = self.run(&ping).await?;
        let now = self.client().await?;
        if now.get_connection_info().addr() != server.get_connection_info().addr() {
            *self.connection.lock().await = None;
            return Err(StoreError::unavailable("another server is the master now"));
        }
        Ok(())
    }

    async fn watch_until_error(&self, heard: &mpsc::Sender<Heard>) -> Result<(), StoreError> {
        let client = self.client().await?;
        let pubsub = tokio::time::timeout(PATIENCE, client.get_async_pubsub()).await;
        let mut pubsub = pubsub
            .map_err(StoreError::unavailable)?
            .map_err(StoreError::unavailable)?;
        let subscribed = pubsub.subscribe(self.channel()).await;
        subscribed.map_err(StoreError::unavailable)?;
        let mut messages = pubsub.into_on_message();
        self.tell_all(heard).await?;
        let mut asked = 0;
        let mut ticks = tokio::time::interval(ASKED_EVERY);
        loop {
            tokio::select! {
                message = messages.next() => {
                    let ended = || StoreError::unavailable("the subscription ended");
                    let message = message.ok_or_else(ended)?;
                    let payload: Vec<u8> = message.get_payload().map_err(StoreError::unavailable)?;
                    if let Some((key, value)) = announced(&payload) {
                        tell(heard, key, value.to_vec()).await?;
                    }
                }
                _ = ticks.tick() => {
                    asked += 1;
                    if asked % LISTED_AFTER == 0 {
                        self.tell_all(heard).await?;
                    }
                    self.still_leads_to(&client).await?;
                }
            }
        }
    }
}

async fn tell(heard: &mpsc::Sender<Heard>, key: &str, value: Vec<u8>) -> Result<(), StoreError> {
    let key = key.to_owned();
    let told = heard.send(Heard { key, value }).await;
    told.map_err(|_| StoreError::unavailable("nobody listens any more"))
}

/// Key and value of an announcement.
fn announced(payload: &[u8]) -> Option<(&str, &[u8])> {
    let end = payload.iter().position(|byte| *byte == 0)?;
    let (key, value) = payload.split_at(end);
    Some((std::str::from_utf8(key).ok()?, &value[1..]))
}

/// A pattern of `SCAN` that means the text itself.
fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

fn may_be_stale(error: &RedisError) -> bool {
    error.is_io_error() || error.is_connection_dropped() || error.code() == Some("READONLY")
}

fn at(address: &str, tls: Option<&RemoteTls>) -> Result<ConnectionAddr, StoreError> {
    let split = address.rsplit_once(':');
    let parsed = split.and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    let (host, port) =
        parsed.ok_or_else(|| StoreError::Settings(format!("{address:?} is no host:port")))?;
    let host = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    Ok(match tls {
        None => ConnectionAddr::Tcp(host, port),
        Some(tls) => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: is_unverified(tls),
            tls_params: None,
        },
    })
}

fn login(remote: &Remote) -> RedisConnectionInfo {
    let info = RedisConnectionInfo::default();
    match &remote.login {
        Some((user, password)) => info.set_username(user).set_password(password.reveal()),
        None => info,
    }
}

fn settings(error: impl std::fmt::Display) -> StoreError {
    StoreError::Settings(error.to_string())
}

/// A file of authorities makes `insecure` void, as for the other stores.
fn is_unverified(tls: &RemoteTls) -> bool {
    tls.insecure && tls.ca_file.is_none()
}

fn mode(tls: &RemoteTls) -> TlsMode {
    if is_unverified(tls) {
        TlsMode::Insecure
    } else {
        TlsMode::Secure
    }
}

/// The library takes a file of authorities in place of the system's.
fn certificates(tls: &RemoteTls) -> Result<TlsCertificates, StoreError> {
    let root_cert = match &tls.ca_file {
        None => None,
        Some(path) => {
            trust::roots(Some(path)).map_err(settings)?;
            Some(std::fs::read(path).map_err(settings)?)
        }
    };
    Ok(TlsCertificates {
        client_tls: None,
        root_cert,
    })
}

fn refuse_plain(info: &ConnectionInfo, address: &str) -> Result<(), StoreError> {
    match info.addr() {
        ConnectionAddr::TcpTls { .. } => Ok(()),
        _ => {
            let shown = address.rsplit('@').next().unwrap_or_default();
            Err(StoreError::Settings(format!(
                "{shown:?} is plain while enable_tls is on; write host:port or rediss://"
            )))
        }
    }
}

#[async_trait]
impl KeyValue for Redis {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let mut get = redis::pipe();
        get.cmd("GET").arg(self.stored_key(key));
        let (value,): (Option<Vec<u8>>,) = self.run(&get).await?;
        Ok(value)
    }

    async fn put(&self, key: &str, value: &[u8], life: Duration) -> Result<(), StoreError> {
        let mut put = redis::pipe();
        put.cmd("SET")
            .arg(self.stored_key(key))
            .arg(value)
            .arg("PX")
            .arg(u64::try_from(life.as_millis().max(1)).unwrap_or(u64::MAX))
            .ignore();
        if self.space.own.is_some() {
            let announcement = [key.as_bytes(), &[0], value].concat();
            put.cmd("PUBLISH")
                .arg(self.channel())
                .arg(announcement)
                .ignore();
        }
        let () = self.run(&put).await?;
        Ok(())
    }

    async fn watch(&self, heard: mpsc::Sender<Heard>) -> StoreError {
        match self.watch_until_error(&heard).await {
            Err(error) => error,
            Ok(()) => StoreError::unavailable("the watch ended"),
        }
    }
}

/// Without the login.
impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis")
            .field("space", &self.space)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(addresses: &[&str]) -> Remote {
        Remote {
            addresses: addresses.iter().map(|one| (*one).to_owned()).collect(),
            login: None,
            tls: None,
        }
    }

    fn space() -> Space {
        Space {
            database: String::new(),
            table: "t".to_owned(),
            own: None,
        }
    }

    #[test]
    fn addresses_are_read_as_the_services_write_them() {
        for good in ["127.0.0.1:6379", "[::1]:6379", "redis://h:1/3"] {
            assert!(Redis::one(&remote(&[good]), space()).is_ok(), "{good}");
        }
        assert!(Redis::one(&remote(&["h"]), space()).is_err());
        let sentinels = |all: &[&str]| Redis::sentinel(&remote(all), space()).is_ok();
        assert!(sentinels(&["a:26379/mymaster", "b:26379"]));
        assert!(sentinels(&["a:26379/mymaster", "b:26379/mymaster"]));
        assert!(!sentinels(&["a:26379"]));
        assert!(!sentinels(&["a/mymaster"]));
    }

    #[test]
    fn with_tls_no_address_may_be_plain() {
        let with_tls = |address: &str, ca_file: Option<&str>| Remote {
            tls: Some(RemoteTls {
                insecure: false,
                ca_file: ca_file.map(Into::into),
            }),
            ..remote(&[address])
        };
        for good in ["127.0.0.1:6379", "rediss://:secret@h:1/3"] {
            assert!(Redis::one(&with_tls(good, None), space()).is_ok(), "{good}");
        }
        assert!(Redis::one(&remote(&["rediss://h:1"]), space()).is_ok());
        let error = Redis::one(&with_tls("redis://:secret@h:1", None), space());
        let text = error.unwrap_err().to_string();
        assert!(text.contains("rediss://"), "{text}");
        assert!(!text.contains("secret"), "{text}");
        for address in ["h:1", "h:1/mymaster"] {
            let remote = with_tls(address, Some("/nonexistent/ca.pem"));
            let made = match address {
                "h:1" => Redis::one(&remote, space()),
                _ => Redis::sentinel(&remote, space()),
            };
            assert!(made.unwrap_err().to_string().contains("ca.pem"));
        }
    }

    #[test]
    fn an_announcement_is_key_and_value() {
        assert_eq!(announced(b"k\0v\0w"), Some(("k", &b"v\0w"[..])));
        assert_eq!(announced(b"kv"), None);
        assert_eq!(announced(b"\xff\0v"), None);
        assert_eq!(escaped("a*[b]?\\"), "a\\*\\[b\\]\\?\\\\");
    }
}
