//! Logouts that the provider really sends to `/backchannel_logout`.

use http::Response;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Bytes, Frame};

use futures_util::StreamExt as _;
use futures_util::stream;

use super::Real;
use crate::support::backend::{FakeBackend, ReplyBody};
use crate::support::client::Call;

/// The backend answers with one event and then goes on for ever.
fn streams_events(backend: &FakeBackend) {
    backend.takes_over(|_| async {
        let event = Ok(Frame::data(Bytes::from_static(b"data: hello\n\n")));
        let events = stream::once(async { event }).chain(stream::pending());
        Response::builder()
            .header("content-type", "text/event-stream")
            .body(ReplyBody::new(StreamBody::new(events)))
            .unwrap()
    });
}

/// Opens the stream, waits for its event, and says later when it ended.
async fn open_events(call: Call) -> tokio::task::JoinHandle<()> {
    let mut body = call.open().await.into_body();
    let event = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(&event[..], b"data: hello\n\n");
    tokio::spawn(async move { while body.frame().await.is_some_and(|frame| frame.is_ok()) {} })
}

async fn ended(events: tokio::task::JoinHandle<()>) {
    tokio::time::timeout(std::time::Duration::from_secs(5), events)
        .await
        .expect("the stream goes on after the logout")
        .unwrap();
}

#[tokio::test]
async fn a_logout_by_session_ends_its_tokens_and_streams_and_no_others() {
    let real = Real::jwt("RS256").await;
    real.provider
        .tells_logouts_to(real.gateway.addr, true)
        .await;
    let (first, second) = (
        real.provider.login("mary").await,
        real.provider.login("mary").await,
    );
    let unseen = real.provider.refresh(&first).await;
    streams_events(&real.backend);
    let events = open_events(real.get(&first)).await;
    let others = open_events(real.get(&second)).await;
    real.provider.log_out(&first).await;
    ended(events).await;
    real.request(&first).await.refused(401, "session_ended");
    real.request(&unseen).await.refused(401, "session_ended");
    assert!(!others.is_finished(), "the other session's stream ended");
    real.get(&second).open().await;
    let again = real.provider.login("mary").await;
    assert_eq!(real.get(&again).open().await.status(), 200);
    others.abort();
    real.gateway.stop().await;
}

#[tokio::test]
async fn a_logout_by_subject_ends_opaque_tokens_and_their_streams() {
    let real = Real::opaque().await;
    real.provider
        .tells_logouts_to(real.gateway.addr, false)
        .await;
    let mary = real.provider.login("mary").await;
    let alan = real.provider.login("alan").await;
    streams_events(&real.backend);
    let events = open_events(real.get(&mary)).await;
    let others = open_events(real.get(&alan)).await;
    real.provider.log_out(&mary).await;
    ended(events).await;
    assert_eq!(real.request(&mary).await.status, 401);
    assert!(!others.is_finished(), "another user's stream ended");
    others.abort();
    real.gateway.stop().await;
}
