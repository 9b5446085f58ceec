//! F9-F11: a directory that is down, silent or restarted.

use std::time::{Duration, Instant};

use super::load::{Steady, slowest, with_status};
use super::report::{at_most, exactly};
use super::site::Site;
use super::support::slapd::{BIND_DN, PASSWORD, Slapd, USERS};
use super::wire::{Mode, Relay};

const SECOND: Duration = Duration::from_secs(1);

/// Accounts are looked at again after a second, so that the directory is really asked.
async fn site(uri: &str) -> Site {
    Site::new(&[
        ("PROXY_ACCOUNT_BACKEND_TYPE", "ldap"),
        ("PROXY_ACCOUNT_CACHE_TTL", "1s"),
        ("OC_LDAP_URI", uri),
        ("OC_LDAP_BIND_DN", BIND_DN),
        ("OC_LDAP_BIND_PASSWORD", PASSWORD),
    ])
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f09_a_directory_that_is_down() {
    let mut directory = Slapd::start().await;
    let site = site(&directory.uri()).await;
    let known = site.known(20).await;
    let steady = Steady::start(site.gateway.addr, &known);
    directory.stop();
    let mut new = Vec::new();
    let start = Instant::now();
    while start.elapsed() < 10 * SECOND {
        new.push(site.one_new().await);
        tokio::time::sleep(SECOND / 10).await;
    }
    let old = steady.stop().await;
    exactly(
        "F9",
        "2xx of known users, 10 s",
        with_status(&old, 200),
        old.len(),
    );
    exactly(
        "F9",
        "new tokens with 503",
        with_status(&new, 503),
        new.len(),
    );
    at_most(
        "F9",
        "slowest answer to a new token",
        slowest(&new),
        3 * SECOND,
    );
    directory.start_again().await;
    at_most(
        "F9",
        "a new token is let in after the return",
        site.until_served().await,
        10 * SECOND,
    );
    exactly(
        "F9",
        "entries of the one user",
        directory.entries(USERS).await.len(),
        1,
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f10_a_directory_that_is_silent() {
    let directory = Slapd::start().await;
    let relay = Relay::start(&directory.uri()).await;
    let site = site(&relay.uri).await;
    let known = site.known(20).await;
    let steady = Steady::start(site.gateway.addr, &known);
    relay.set(Mode::Swallow);
    let mut new = Vec::new();
    for _ in 0..4 {
        new.push(site.one_new().await);
    }
    let old = steady.stop().await;
    exactly(
        "F10",
        "2xx of known users",
        with_status(&old, 200),
        old.len(),
    );
    exactly(
        "F10",
        "new tokens with 503",
        with_status(&new, 503),
        new.len(),
    );
    at_most(
        "F10",
        "slowest answer to a known user",
        slowest(&old),
        3 * SECOND,
    );
    at_most(
        "F10",
        "slowest answer to a new token",
        slowest(&new),
        5 * SECOND,
    );
    relay.set(Mode::Forward);
    at_most(
        "F10",
        "a new token is let in after the return",
        site.until_served().await,
        10 * SECOND,
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f11_a_directory_that_is_restarted() {
    const RESTARTS: usize = 20;
    let mut directory = Slapd::start().await;
    let site = site(&directory.uri()).await;
    site.known(20).await;
    let mut first = Vec::new();
    for _ in 0..RESTARTS {
        directory.start_again().await;
        first.push(site.one_new().await);
    }
    exactly(
        "F11",
        "2xx of the first request after a restart",
        with_status(&first, 200),
        RESTARTS,
    );
    exactly(
        "F11",
        "entries of the one user",
        directory.entries(USERS).await.len(),
        1,
    );
}
