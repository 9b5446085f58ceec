//! Real components the tests run against, and what several test modules share.

pub(crate) mod backend;
pub(crate) mod browser;
pub(crate) mod canary;
pub(crate) mod child;
pub(crate) mod client;
pub(crate) mod code_flow;
pub(crate) mod collector;
pub(crate) mod deployment;
pub(crate) mod files;
pub(crate) mod gateway;
pub(crate) mod glewlwyd;
pub(crate) mod hop;
pub(crate) mod hydra;
pub(crate) mod installed;
pub(crate) mod issuer;
pub(crate) mod keycloak;
pub(crate) mod keys;
pub(crate) mod large;
pub(crate) mod mutated;
pub(crate) mod nats;
pub(crate) mod oidc_provider;
pub(crate) mod process;
pub(crate) mod proof;
pub(crate) mod raw_backend;
pub(crate) mod redis;
pub(crate) mod sample;
pub(crate) mod scripted_issuer;
pub(crate) mod slapd;
pub(crate) mod sources;
pub(crate) mod token;
pub(crate) mod tools;
pub(crate) mod user_agent;
pub(crate) mod webdav;
pub(crate) mod wheels;
pub(crate) mod world;
pub(crate) mod zitadel;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

/// Now, as the issuer's clock says it.
pub(crate) fn now() -> i64 {
    davgate::door::model::Clock::system().now().0
}

/// Waits until `condition` holds. The time is for a machine under load; nothing takes as long.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait)
        .await
        .unwrap_or_else(|_| panic!("{what}: waited in vain"));
}

/// Whether somebody listens at an address.
#[expect(
    clippy::disallowed_methods,
    reason = "a test waits for a server, and blocks nobody"
)]
pub(crate) fn is_taken(address: SocketAddr) -> bool {
    std::net::TcpStream::connect(address).is_ok()
}

/// An address at which nobody listens, for a server that has to be told one. Below the ports that the system gives out by itself, so that nobody
/// takes it meanwhile.
pub(crate) fn free_address() -> SocketAddr {
    loop {
        let offset = uuid::Uuid::new_v4().as_u128() % 10_000;
        let port = u16::try_from(10_000 + offset).unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
