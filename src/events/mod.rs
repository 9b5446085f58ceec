//! What other services are told of.

mod nats;

use std::fmt::Debug;

use async_trait::async_trait;

pub(crate) use nats::NatsEvents;

use crate::model::{Account, UnixTime};

/// Tells other services what happened here. Nobody waits for it, and what cannot be told is logged by the sink.
#[async_trait]
pub trait EventSink: Debug + Send + Sync {
    /// Somebody logged in: once for each login at an issuer, not for each of its tokens.
    async fn signed_in(&self, account: &Account, at: UnixTime);

    /// An issuer ended the session with this `sid` of an account that was in use here.
    async fn logged_out(&self, account_id: &str, sid: &str, at: UnixTime);
}

/// Nobody wants to know.
#[derive(Debug)]
pub struct NoEvents;

#[async_trait]
impl EventSink for NoEvents {
    async fn signed_in(&self, _: &Account, _: UnixTime) {}

    async fn logged_out(&self, _: &str, _: &str, _: UnixTime) {}
}
