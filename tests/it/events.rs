//! What other services are told of, on a real JetStream.

use std::time::Duration;

use async_nats::jetstream::{self, consumer, stream};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use crate::support::nats::Nats;
use crate::support::until;
use crate::support::world::World;

const QUEUE: &str = "main-queue";

/// The stream, as the first consumer makes it, and its messages from the beginning.
async fn queue(nats: &Nats) -> consumer::pull::Stream {
    let jetstream = jetstream::new(nats.client().await);
    let made = jetstream.create_stream(stream::Config {
        name: QUEUE.to_owned(),
        subjects: vec![QUEUE.to_owned()],
        ..stream::Config::default()
    });
    let made = made.await.unwrap();
    let consumer = made.create_consumer(consumer::pull::Config {
        ack_policy: consumer::AckPolicy::None,
        ..consumer::pull::Config::default()
    });
    consumer.await.unwrap().messages().await.unwrap()
}

/// The next event.
async fn envelope(queue: &mut consumer::pull::Stream) -> Value {
    let message = tokio::time::timeout(Duration::from_secs(20), queue.next()).await;
    let message = message.expect("no event").unwrap().unwrap();
    assert!(message.headers.is_none());
    serde_json::from_slice(&message.payload).unwrap()
}

/// Type and payload of the next event.
async fn next(queue: &mut consumer::pull::Stream) -> (String, Value) {
    let envelope = envelope(queue).await;
    assert_eq!(envelope["Topic"], QUEUE);
    assert!(envelope["Timestamp"].as_str().unwrap().ends_with('Z'));
    for id in [&envelope["ID"], &envelope["Metadata"]["eventid"]] {
        assert!(uuid::Uuid::parse_str(id.as_str().unwrap()).is_ok());
    }
    let payload = STANDARD.decode(envelope["Payload"].as_str().unwrap());
    let payload = serde_json::from_slice(&payload.unwrap()).unwrap();
    let kind = envelope["Metadata"]["eventtype"].as_str().unwrap();
    (kind.to_owned(), payload)
}

#[tokio::test]
async fn a_login_is_told_of_once_and_so_is_the_end_of_a_session() {
    let nats = Nats::start().await;
    let mut queue = queue(&nats).await;
    let world = World::set(&[("PROXY_EVENTS_ENDPOINT", &nats.address())]).await;
    let token = |sid: &str| world.issuer.token("mara").claim("sid", sid).sign();
    // Two tokens of one login, and one of another.
    let first = token("login-1");
    world.request(&first).await.is(200);
    world.request(&token("login-1")).await.is(200);
    world.request(&token("login-2")).await.is(200);
    let account = world.gateway.accounts()[0].id.clone();
    for _ in 0..2 {
        let (kind, payload) = next(&mut queue).await;
        assert_eq!(kind, "events.UserSignedIn");
        let executant = &payload["Executant"];
        assert_eq!(executant["opaque_id"], account.as_str());
        assert_eq!(executant["type"], 1);
        assert!(payload["Timestamp"]["seconds"].as_i64().unwrap() > 1_700_000_000);
    }
    let event = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
    let logout = world
        .issuer
        .token("mara")
        .header("typ", "logout+jwt")
        .claim("events", event)
        .claim("sid", "login-1")
        .sign();
    let call = world.gateway.call("POST", "/backchannel_logout");
    let call = call.header("Content-Type", "application/x-www-form-urlencoded");
    let form = format!("logout_token={logout}");
    call.body(form).send().await.is(200);
    let (kind, payload) = next(&mut queue).await;
    assert_eq!(kind, "events.BackchannelLogout");
    assert_eq!(payload["SessionId"], "login-1");
    assert_eq!(payload["Executant"]["opaque_id"], account.as_str());
    world.gateway.stop().await;
}

#[tokio::test]
async fn an_event_names_the_trace_of_the_login() {
    let nats = Nats::start().await;
    let mut queue = queue(&nats).await;
    let world = World::set(&[
        ("PROXY_EVENTS_ENDPOINT", &nats.address()),
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
    ])
    .await;
    let token = world.issuer.token("mara").sign();
    let request = world.get("/files/a").bearer(&token);
    let trace = "00-0af7651916cd43dd8448eb211c80319c-";
    let context = format!("{trace}b7ad6b7169203331-01");
    request.header("traceparent", &context).send().await.is(200);
    let event = envelope(&mut queue).await;
    let told = event["Metadata"]["traceparent"].as_str().unwrap();
    assert!(told.starts_with(trace) && told != context, "{told}");
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_bus_that_is_away_or_has_no_queue_holds_no_login_up() {
    let mut nats = Nats::start().await;
    nats.kill();
    let world = World::set(&[("PROXY_EVENTS_ENDPOINT", &nats.address())]).await;
    let token = |sid: &str| world.issuer.token("mara").claim("sid", sid).sign();
    world.request(&token("login-1")).await.is(200);
    until("the outage is told", || {
        !world.gateway.log_lines("events_unavailable").is_empty()
    })
    .await;
    nats.start_again().await;
    // There, but nobody made the queue yet, as right after a start.
    world.request(&token("login-2")).await.is(200);
    let mut queue = queue(&nats).await;
    world.request(&token("login-3")).await.is(200);
    assert_eq!(next(&mut queue).await.0, "events.UserSignedIn");
    world.gateway.stop().await;
}
