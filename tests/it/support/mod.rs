//! Real components the tests run against, and what several test modules share.

pub(crate) mod backend;
pub(crate) mod browser;
pub(crate) mod canary;
pub(crate) mod client;
pub(crate) mod files;
pub(crate) mod gateway;
pub(crate) mod issuer;
pub(crate) mod keys;
pub(crate) mod oidc_provider;
pub(crate) mod process;
pub(crate) mod raw_backend;
pub(crate) mod slapd;
pub(crate) mod token;
pub(crate) mod webdav;
pub(crate) mod world;

use std::time::Duration;

/// Now, as the issuer's clock says it.
pub(crate) fn now() -> i64 {
    davgate::model::Clock::system().now().0
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
