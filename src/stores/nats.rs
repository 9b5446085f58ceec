//! NATS: one connection that mends itself, and the key-value buckets of JetStream as they lie on the wire.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::pull::Config;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy};
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::{self, ErrorCode};
use async_nats::{Client, ConnectOptions, Event, HeaderMap};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::Notify;

use super::StoreError;
use crate::config::stores::{Remote, RemoteTls};
use crate::trust;

/// How long anything may take that is asked of the server.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Pauses between attempts to connect grow up to this one.
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// Messages of one bucket that are taken at once.
const BATCH: usize = 4096;

/// A connection. It stands from the beginning, whether or not the server is there yet.
#[derive(Debug, Clone)]
pub(crate) struct Nats {
    /// The client.
    pub client: Client,
    /// Rung at each (re)connect, so that what may have been missed is looked at.
    pub connected: Arc<Notify>,
}

/// What one key of a bucket has, or had.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    /// The key as stored.
    pub key: String,
    /// Its value; `None`: it was deleted.
    pub value: Option<Bytes>,
}

impl Nats {
    /// Begins to connect. Only unusable settings are an error: a server that is not there is waited for.
    ///
    /// # Errors
    /// See [`StoreError::Settings`].
    pub(crate) async fn connect(
        remote: &Remote,
        purpose: &'static str,
    ) -> Result<Self, StoreError> {
        let connected = Arc::new(Notify::new());
        let rung = Arc::clone(&connected);
        let mut options = ConnectOptions::new()
            .name(format!("davgate:{purpose}"))
            .retry_on_initial_connect()
            .connection_timeout(PATIENCE)
            .request_timeout(Some(PATIENCE))
            .reconnect_delay_callback(|attempts| {
                let attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
                MAX_PAUSE.min(Duration::from_millis(50) * 2_u32.saturating_pow(attempts.min(10)))
            })
            .event_callback(move |event| {
                let rung = Arc::clone(&rung);
                async move {
                    tracing::debug!(purpose, %event, "NATS");
                    if event == Event::Connected {
                        rung.notify_one();
                    }
                }
            });
        if let Some((user, password)) = &remote.login {
            options = options.user_and_password(user.clone(), password.reveal().to_owned());
        }
        if let Some(tls) = &remote.tls {
            let tls = client_tls(tls).map_err(StoreError::Settings)?;
            options = options.tls_client_config(tls).require_tls(true);
        }
        let addresses: Vec<String> = remote.addresses.clone();
        let client = options
            .connect(addresses)
            .await
            .map_err(|error| StoreError::Settings(error.to_string()))?;
        Ok(Self { client, connected })
    }

    /// JetStream of this server.
    #[must_use]
    pub(crate) fn jetstream(&self) -> jetstream::Context {
        let mut context = jetstream::new(self.client.clone());
        context.set_timeout(PATIENCE);
        context
    }

    /// Every key of a bucket with its last value, or the mark of its deletion. A bucket that is not there has none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn list(&self, bucket: &str) -> Result<Vec<Change>, StoreError> {
        let listed = tokio::time::timeout(PATIENCE, self.list_patiently(bucket));
        listed.await.map_err(StoreError::unavailable)?
    }

    async fn list_patiently(&self, bucket: &str) -> Result<Vec<Change>, StoreError> {
        let stream = match self.jetstream().get_stream(format!("KV_{bucket}")).await {
            Ok(stream) => stream,
            Err(error) => {
                return match error.kind() {
                    GetStreamErrorKind::JetStream(error)
                        if error.error_code() == ErrorCode::STREAM_NOT_FOUND =>
                    {
                        Ok(Vec::new())
                    }
                    _ => Err(StoreError::unavailable(error)),
                };
            }
        };
        let consumer = stream
            .create_consumer(Config {
                deliver_policy: DeliverPolicy::LastPerSubject,
                ack_policy: AckPolicy::None,
                filter_subject: subject(bucket, ">"),
                inactive_threshold: PATIENCE,
                memory_storage: true,
                ..Config::default()
            })
            .await
            .map_err(StoreError::unavailable)?;
        let mut changes = Vec::new();
        loop {
            let batch = consumer.fetch().max_messages(BATCH).messages().await;
            let mut batch = batch.map_err(StoreError::unavailable)?;
            let before = changes.len();
            while let Some(message) = batch.next().await {
                let message = message.map_err(StoreError::unavailable)?.message;
                let of = change(bucket, &message);
                changes.extend(of);
            }
            if changes.len() - before < BATCH {
                return Ok(changes);
            }
        }
    }
}

/// What a message on a bucket's subject says.
#[must_use]
pub(crate) fn change(bucket: &str, message: &async_nats::Message) -> Option<Change> {
    let key = message.subject.strip_prefix(&subject(bucket, ""))?;
    Some(Change {
        key: key.to_owned(),
        value: (!is_deletion(message.headers.as_ref())).then(|| message.payload.clone()),
    })
}

/// The subject of a key, or of all with `>`.
#[must_use]
pub(crate) fn subject(bucket: &str, key: &str) -> String {
    format!("$KV.{bucket}.{key}")
}

fn is_deletion(headers: Option<&HeaderMap>) -> bool {
    let operation = headers.and_then(|headers| headers.get("KV-Operation"));
    operation.is_some_and(|operation| matches!(operation.as_str(), "DEL" | "PURGE"))
}

/// As the services read these settings: a file of authorities makes `insecure` void.
pub(super) fn client_tls(settings: &RemoteTls) -> Result<rustls::ClientConfig, String> {
    let tls = match &settings.ca_file {
        None if settings.insecure => trust::unverified(),
        ca_file => {
            let roots = trust::roots(ca_file.as_deref()).map_err(|error| error.to_string())?;
            trust::verifying(roots)
        }
    };
    tls.map_err(|error| error.to_string())
}
