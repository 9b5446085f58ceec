//! Events on JetStream, in the form of OpenCloud and oCIS (docs/design/contract.md 5).

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::EventSink;
use crate::config::stores::Events;
use crate::model::{Account, Reason, UnixTime, UserType};
use crate::stores::StoreError;
use crate::stores::nats::Nats;
use crate::telemetry::traces;

/// Subject and stream, fixed in every release. The stream is another service's to make.
const QUEUE: &str = "main-queue";

/// Events that wait for the bus; more are dropped. Nobody who serves requests waits for it.
const WAITING: usize = 1024;

/// Publishes events in the background.
#[derive(Debug)]
pub(crate) struct NatsEvents {
    waiting: mpsc::Sender<Event>,
    /// `idp` of every account, as the reva token says it.
    idp: String,
    is_full: AtomicBool,
}

#[derive(Debug, PartialEq, Eq)]
struct Event {
    kind: &'static str,
    at: UnixTime,
    payload: Vec<u8>,
    /// The span in which it happened, if any.
    traceparent: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct UserSignedIn<'a> {
    executant: UserId<'a>,
    timestamp: Timestamp,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct BackchannelLogout<'a> {
    executant: UserId<'a>,
    session_id: &'a str,
    timestamp: Timestamp,
}

#[derive(Serialize)]
struct UserId<'a> {
    idp: &'a str,
    opaque_id: &'a str,
    #[serde(rename = "type")]
    kind: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Timestamp {
    seconds: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Envelope<'a> {
    timestamp: String,
    metadata: Metadata<'a>,
    #[serde(rename = "ID")]
    id: String,
    topic: &'a str,
    payload: String,
}

#[derive(Serialize)]
struct Metadata<'a> {
    eventtype: &'a str,
    eventid: String,
    traceparent: &'a str,
    initiatorid: &'a str,
}

impl NatsEvents {
    /// A sink, and the task that publishes what comes into it.
    pub(crate) fn new(
        settings: Events,
        idp: String,
        stop: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (sender, receiver) = mpsc::channel(WAITING);
        let sink = Self {
            waiting: sender,
            idp,
            is_full: AtomicBool::new(false),
        };
        let task = async move {
            stop.run_until_cancelled(publish_all(settings, receiver))
                .await;
        };
        (sink, task)
    }

    fn user<'a>(&'a self, account: &'a Account) -> UserId<'a> {
        UserId {
            idp: &self.idp,
            opaque_id: &account.id,
            kind: match account.user_type {
                UserType::Member => 1,
                UserType::Guest => 5,
                UserType::Lightweight => 7,
            },
            tenant_id: account.tenant.as_deref(),
        }
    }

    fn send(&self, kind: &'static str, at: UnixTime, payload: Result<Vec<u8>, serde_json::Error>) {
        let Ok(payload) = payload else { return };
        let sent = self.waiting.try_send(Event {
            kind,
            at,
            payload,
            traceparent: traces::current().map_or_else(String::new, |context| context.text()),
        });
        if sent.is_err() && !self.is_full.swap(true, Ordering::Relaxed) {
            tracing::warn!(reason = %Reason::EventsUnavailable, "events are dropped: too many wait for the event bus");
        }
    }
}

#[async_trait]
impl EventSink for NatsEvents {
    async fn signed_in(&self, account: &Account, at: UnixTime) {
        let payload = serde_json::to_vec(&UserSignedIn {
            executant: self.user(account),
            timestamp: Timestamp { seconds: at.0 },
        });
        self.send("events.UserSignedIn", at, payload);
    }

    async fn logged_out(&self, account_id: &str, sid: &str, at: UnixTime) {
        let payload = serde_json::to_vec(&BackchannelLogout {
            // Consumers look at the id alone.
            executant: UserId {
                idp: &self.idp,
                opaque_id: account_id,
                kind: 1,
                tenant_id: None,
            },
            session_id: sid,
            timestamp: Timestamp { seconds: at.0 },
        });
        self.send("events.BackchannelLogout", at, payload);
    }
}

async fn publish_all(settings: Events, mut events: mpsc::Receiver<Event>) {
    let nats = match Nats::connect(&settings.remote, "events").await {
        Ok(nats) => nats,
        Err(error) => {
            tracing::error!(reason = %Reason::EventsUnavailable, %error, "events are not published");
            return;
        }
    };
    let mut is_told = false;
    while let Some(event) = events.recv().await {
        match publish(&nats, &event).await {
            Ok(()) => is_told = false,
            Err(error) => {
                // Not tried again: an event that is late by hours says something else.
                if std::mem::replace(&mut is_told, true) {
                    continue;
                }
                let reason = Reason::EventsUnavailable;
                if settings.is_named {
                    tracing::warn!(%reason, %error, "an event is not published; neither are those to come, until the event bus answers");
                } else {
                    // Nobody asked for one.
                    tracing::info!(%reason, %error, "no event bus, so no events");
                }
            }
        }
    }
}

async fn publish(nats: &Nats, event: &Event) -> Result<(), StoreError> {
    let id = || uuid::Uuid::new_v4().to_string();
    let message = enveloped(event, id(), id());
    let published = nats.jetstream().publish(QUEUE, message.into()).await;
    let acknowledged = published.map_err(StoreError::unavailable)?.await;
    acknowledged.map(drop).map_err(StoreError::unavailable)
}

fn enveloped(event: &Event, id: String, event_id: String) -> Vec<u8> {
    let at = OffsetDateTime::from_unix_timestamp(event.at.0).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let envelope = Envelope {
        timestamp: at.format(&Rfc3339).unwrap_or_default(),
        metadata: Metadata {
            eventtype: event.kind,
            eventid: event_id,
            traceparent: &event.traceparent,
            initiatorid: "",
        },
        id,
        topic: QUEUE,
        payload: STANDARD.encode(&event.payload),
    };
    serde_json::to_vec(&envelope).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        Account {
            id: "b1f74ec4-dd7e-11ef-a543-03775734d0f7".into(),
            username: "alan".into(),
            aliases: Vec::new(),
            display_name: "Alan Turing".into(),
            mail: None,
            user_type: UserType::Member,
            enabled: true,
            groups: Vec::new(),
            role: None,
            identities: Vec::new(),
            tenant: None,
            uid_number: None,
            gid_number: None,
        }
    }

    /// The bytes that graph and clientlog were seen to understand, with their times to the second.
    #[tokio::test]
    async fn events_are_those_that_the_services_understand() {
        let (sender, mut waiting) = mpsc::channel(4);
        let sink = NatsEvents {
            waiting: sender,
            idp: "http://127.0.0.1:9300".into(),
            is_full: AtomicBool::new(false),
        };
        let at = UnixTime(1_795_951_881);
        sink.signed_in(&account(), at).await;
        let id = account().id;
        sink.logged_out(&id, "contract-session-1", at).await;
        let signed_in = waiting.recv().await.unwrap();
        let logged_out = waiting.recv().await.unwrap();
        assert_eq!(
            String::from_utf8(signed_in.payload.clone()).unwrap(),
            r#"{"Executant":{"idp":"http://127.0.0.1:9300","opaque_id":"b1f74ec4-dd7e-11ef-a543-03775734d0f7","type":1},"Timestamp":{"seconds":1795951881}}"#
        );
        assert_eq!(
            String::from_utf8(logged_out.payload.clone()).unwrap(),
            r#"{"Executant":{"idp":"http://127.0.0.1:9300","opaque_id":"b1f74ec4-dd7e-11ef-a543-03775734d0f7","type":1},"SessionId":"contract-session-1","Timestamp":{"seconds":1795951881}}"#
        );
        let message = enveloped(&signed_in, "ID-1".into(), "event-1".into());
        let expected = format!(
            r#"{{"Timestamp":"2026-11-29T11:31:21Z","Metadata":{{"eventtype":"events.UserSignedIn","eventid":"event-1","traceparent":"","initiatorid":""}},"ID":"ID-1","Topic":"main-queue","Payload":"{}"}}"#,
            STANDARD.encode(&signed_in.payload)
        );
        assert_eq!(String::from_utf8(message).unwrap(), expected);
    }

    #[tokio::test]
    async fn a_bus_that_is_away_holds_nobody_up() {
        let (sender, _waiting) = mpsc::channel(1);
        let sink = NatsEvents {
            waiting: sender,
            idp: String::new(),
            is_full: AtomicBool::new(false),
        };
        for _ in 0..3 {
            sink.signed_in(&account(), UnixTime(0)).await;
        }
        assert!(sink.is_full.load(Ordering::Relaxed));
    }
}
