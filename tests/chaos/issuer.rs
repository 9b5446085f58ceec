//! F1-F3 and F5-F8: an issuer that is away, slow, talks nonsense, or is asked by many at once.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::load::{Sample, Steady, burst, slowest, with_status};
use super::report::{at_most, exactly, milliseconds, no_more_than, quantile, row, told};
use super::site::Site;
use super::support::client::{raw, status};
use super::support::issuer::{Endpoint, FakeIssuer, Fault};
use super::support::world::World;

const SECOND: Duration = Duration::from_secs(1);

/// An hour of the injected clock, a minute at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f01_an_issuer_that_is_down_for_an_hour() {
    for (mode, new_tokens) in [("with userinfo", 503), ("JWT only", 200)] {
        let world = match new_tokens {
            503 => World::new().await,
            _ => World::token_only().await,
        };
        let token = |name: &str| world.issuer.token(name).expires_in(36_000).sign();
        let known: Vec<_> = (0..10).map(|_| token("mara")).collect();
        burst(world.gateway.addr, &known).await;
        world.issuer.go_down().await;
        let (mut old, mut new) = (Vec::new(), Vec::new());
        for _ in 0..60 {
            world.gateway.clock.advance(60);
            old.extend(burst(world.gateway.addr, &known).await);
            new.extend(burst(world.gateway.addr, &[token("alan")]).await);
        }
        let answers = old.len();
        exactly(
            "F1",
            &format!("{mode}: 2xx of known tokens in an hour"),
            with_status(&old, 200),
            answers,
        );
        exactly(
            "F1",
            &format!("{mode}: new tokens with {new_tokens}"),
            with_status(&new, new_tokens),
            60,
        );
        exactly(
            "F1",
            &format!("{mode}: 401"),
            with_status(&[old, new.clone()].concat(), 401),
            0,
        );
        at_most(
            "F1",
            &format!("{mode}: slowest answer to a new token"),
            slowest(&new),
            3 * SECOND,
        );
        world.issuer.come_back().await;
        let start = Instant::now();
        while burst(world.gateway.addr, &[token("alan")]).await[0].status != 200 {
            assert!(start.elapsed() < 30 * SECOND, "never served again");
        }
        at_most(
            "F1",
            &format!("{mode}: a new token is let in after the return"),
            start.elapsed(),
            10 * SECOND,
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f01_an_issuer_that_swallows_everything() {
    let site = Site::new(&[]).await;
    let known = site.known(10).await;
    for endpoint in [Endpoint::Discovery, Endpoint::Jwks, Endpoint::Userinfo] {
        site.issuer.fault(endpoint, Fault::Hang);
    }
    let steady = Steady::start(site.gateway.addr, &known);
    let mut new = Vec::new();
    for _ in 0..4 {
        new.push(site.one_new().await);
    }
    let old = steady.stop().await;
    exactly(
        "F1",
        "swallowed: 2xx of known tokens",
        with_status(&old, 200),
        old.len(),
    );
    exactly(
        "F1",
        "swallowed: new tokens with 503",
        with_status(&new, 503),
        4,
    );
    let limit = 3 * SECOND + SECOND / 10;
    at_most(
        "F1",
        "swallowed: slowest answer to a new token",
        slowest(&new),
        limit,
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f01_an_issuer_that_hangs_up() {
    const SECONDS: u32 = 10;
    let site = Site::new(&[]).await;
    site.known(1).await;
    site.issuer.go_down().await;
    // In the issuer's place somebody who counts and hangs up.
    let address = site.issuer.url().trim_start_matches("http://");
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let connections = tokio::spawn(async move {
        let mut count = 0;
        let counting = async {
            while listener.accept().await.is_ok() {
                count += 1;
            }
        };
        let _ = tokio::time::timeout(SECONDS * SECOND, counting).await;
        count
    });
    let mut new = Vec::new();
    while !connections.is_finished() {
        new.extend(site.burst(&site.tokens(10)).await);
        tokio::time::sleep(SECOND / 10).await;
    }
    exactly(
        "F1",
        "hung up: new tokens with 503",
        with_status(&new, 503),
        new.len(),
    );
    let count = connections.await.unwrap();
    // The first three, and those that are under way with them.
    let met = count <= SECONDS + 10;
    let what = format!(
        "hung up: connections to the issuer in 10 s, {} tokens",
        new.len()
    );
    row("F1", &what, &count.to_string(), "<= 1/s + 10", met);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f02_an_issuer_that_takes_thirty_seconds() {
    let site = Site::new(&[]).await;
    let known = site.known(20).await;
    let steady = Steady::start(site.gateway.addr, &known);
    tokio::time::sleep(3 * SECOND).await;
    let before = steady.stop().await;
    // What a burst costs that asks nobody: client, gateway and backend share the cores, which the issuer has no part in.
    let steady = Steady::start(site.gateway.addr, &known);
    site.burst(&vec!["no token, two words".to_owned(); 1_200])
        .await;
    let beside = steady.stop().await;

    site.issuer
        .fault(Endpoint::Userinfo, Fault::Slow(30 * SECOND));
    let tokens = site.tokens(1_200);
    let steady = Steady::start(site.gateway.addr, &known);
    let addr = site.gateway.addr;
    let new = tokio::spawn(async move { burst(addr, &tokens).await });
    tokio::time::sleep(SECOND).await;
    let in_burst = steady.stop().await;
    let steady = Steady::start(site.gateway.addr, &known);
    let new = new.await.unwrap();
    let waiting = steady.stop().await;
    for (what, samples) in [("in the burst", &in_burst), ("while they wait", &waiting)] {
        exactly(
            "F2",
            &format!("2xx of known tokens {what}"),
            with_status(samples, 200),
            samples.len(),
        );
    }
    exactly(
        "F2",
        "1,200 new tokens at once: 503",
        with_status(&new, 503),
        1_200,
    );
    let at_once = new.iter().filter(|sample| sample.took < 2 * SECOND).count();
    exactly(
        "F2",
        "of them at once, because 1,024 wait already",
        at_once,
        176,
    );
    let p99 = |samples: &[Sample]| quantile(samples.iter().map(|sample| sample.took), 0.99);
    at_most(
        "F2",
        "more time for known tokens, p99, while 1,024 logins wait",
        p99(&waiting).saturating_sub(p99(&before)),
        SECOND / 2_000,
    );
    told(
        "F2",
        "more time for known tokens, p99, beside 1,200 requests without token",
        &milliseconds(p99(&beside).saturating_sub(p99(&before))),
    );
    told(
        "F2",
        "more time for known tokens, p99, beside 1,200 new tokens",
        &milliseconds(p99(&in_burst).saturating_sub(p99(&before))),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f03_an_issuer_that_talks_nonsense() {
    let site = Site::new(&[]).await;
    let known = site.known(10).await;
    let steady = Steady::start(site.gateway.addr, &known);
    let mut new = Vec::new();
    for fault in [
        Fault::Status(500),
        Fault::Status(503),
        Fault::Body("<html>sorry</html>"),
        Fault::Body("null"),
        Fault::Body("{\"sub\": \"sub-mara\""),
        Fault::Body(""),
    ] {
        for endpoint in [Endpoint::Discovery, Endpoint::Jwks, Endpoint::Userinfo] {
            site.issuer.fault(endpoint, fault.clone());
        }
        new.extend(site.burst(&site.tokens(20)).await);
    }
    exactly(
        "F3",
        "nonsense: new tokens with 503",
        with_status(&new, 503),
        new.len(),
    );
    for endpoint in [Endpoint::Discovery, Endpoint::Jwks] {
        site.issuer.heal(endpoint);
    }
    site.issuer.fault(Endpoint::Userinfo, Fault::Status(500));
    site.issuer.heal(Endpoint::Userinfo);
    at_most(
        "F3",
        "a new token is let in afterwards",
        site.until_served().await,
        10 * SECOND,
    );

    site.issuer.fault(Endpoint::Userinfo, Fault::TooMany(5));
    let start = Instant::now();
    site.one_new().await;
    let calls = site.issuer.calls(Endpoint::Userinfo);
    while start.elapsed() < 4 * SECOND {
        assert_eq!(site.one_new().await.status, 503);
        tokio::time::sleep(SECOND / 10).await;
    }
    exactly(
        "F3",
        "429: calls while Retry-After runs",
        site.issuer.calls(Endpoint::Userinfo) - calls,
        0,
    );
    site.issuer.heal(Endpoint::Userinfo);
    at_most(
        "F3",
        "a new token is let in afterwards",
        site.until_served().await,
        10 * SECOND,
    );
    let old = steady.stop().await;
    exactly(
        "F3",
        "2xx of known tokens all the time",
        with_status(&old, 200),
        old.len(),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f05_starting_before_the_issuer() {
    let issuer = FakeIssuer::start().await;
    issuer.go_down().await;
    let site = Site::with_issuer(issuer, &[]).await;
    let debug = async |path: &str| {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        status(&raw(site.gateway.debug_addr, request.as_bytes()).await)
    };
    exactly(
        "F5",
        "/healthz while the issuer is away",
        debug("/healthz").await.into(),
        200,
    );
    exactly(
        "F5",
        "/readyz while the issuer is away",
        debug("/readyz").await.into(),
        503,
    );
    exactly(
        "F5",
        "a token while the issuer is away",
        site.one_new().await.status.into(),
        503,
    );
    tokio::time::sleep(10 * SECOND).await;
    site.issuer.come_back().await;
    let start = Instant::now();
    while debug("/readyz").await != 200 {
        assert!(start.elapsed() < 60 * SECOND, "never ready");
        tokio::time::sleep(SECOND / 50).await;
    }
    at_most(
        "F5",
        "ready after the issuer's return",
        start.elapsed(),
        10 * SECOND,
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f06_ten_thousand_requests_with_one_cold_token() {
    const REQUESTS: usize = 10_000;
    let site = Site::new(&[("PROXY_SESSION_SETUP_TIMEOUT", "30s")]).await;
    let latency = Duration::from_millis(500);
    site.issuer.fault(Endpoint::Userinfo, Fault::Slow(latency));
    let token = site.tokens(1).remove(0);
    let cpu = site.cpu();
    let samples = site.burst(&vec![token.clone(); REQUESTS]).await;
    let cpu = site.cpu().saturating_sub(cpu);
    exactly("F6", "2xx", with_status(&samples, 200), REQUESTS);
    exactly(
        "F6",
        "userinfo calls",
        site.issuer.calls(Endpoint::Userinfo),
        1,
    );
    // How long client, gateway and backend take for so many answers, all on the same cores.
    let known = site.burst(&vec![token; REQUESTS]).await;
    let limit = latency + Duration::from_millis(150);
    at_most(
        "F6",
        "slowest answer, beyond what the same requests take with a known token",
        slowest(&samples).saturating_sub(slowest(&known)),
        limit,
    );
    told(
        "F6",
        "slowest answer, with a known token",
        &milliseconds(slowest(&known)),
    );
    at_most(
        "F6",
        "slowest answer (<= 650 ms needs 60,000 requests a second)",
        slowest(&samples),
        limit,
    );
    told("F6", "CPU time of the gateway", &milliseconds(cpu));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f07_many_distinct_tokens_at_once() {
    let site = Site::new(&[("PROXY_SESSION_SETUP_TIMEOUT", "30s")]).await;
    site.known(1).await;
    let before = site.issuer.calls(Endpoint::Userinfo);
    site.issuer
        .fault(Endpoint::Userinfo, Fault::Slow(3 * SECOND));
    let tokens = site.tokens(1_000);
    let addr = site.gateway.addr;
    let waiting = tokio::spawn(async move { burst(addr, &tokens).await });
    tokio::time::sleep(2 * SECOND).await;
    let at_once = site.issuer.calls(Endpoint::Userinfo) - before;
    no_more_than("F7", "userinfo calls at once for 1,000 tokens", at_once, 64);
    site.issuer.heal(Endpoint::Userinfo);
    let samples = waiting.await.unwrap();
    exactly("F7", "2xx of the 1,000", with_status(&samples, 200), 1_000);
    assert!(site.gateway.log().len() < 10_000_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f08_sessions_that_fall_due_in_the_same_second() {
    const USERS: usize = 2_000;
    let world = World::with(|gateway| {
        gateway
            .var("PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD", "none")
            .var("PROXY_OIDC_USERINFO_CACHE_TTL", "60s")
            .var("PROXY_SESSION_SETUP_TIMEOUT", "30s")
    })
    .await;
    let tokens: Vec<_> = (0..USERS)
        .map(|_| world.issuer.opaque("mara", Value::Null))
        .collect();
    for part in tokens.chunks(500) {
        burst(world.gateway.addr, part).await;
    }
    let ask = async |fault: &str, what: &str| {
        let calls = world.issuer.calls(Endpoint::Userinfo);
        let mut samples = Vec::new();
        for part in tokens.chunks(500) {
            samples.extend(burst(world.gateway.addr, part).await);
        }
        exactly(
            fault,
            &format!("{what}: 2xx"),
            with_status(&samples, 200),
            USERS,
        );
        let calls = world.issuer.calls(Endpoint::Userinfo) - calls;
        let p99 = quantile(samples.iter().map(|sample| sample.took), 0.99);
        (p99, calls)
    };
    let (warm, _) = ask("F8", "before").await;
    // In the time in which they are renewed ahead; whoever asks has the old answer at once.
    world.gateway.clock.advance(50);
    let (ahead, mut calls) = ask("F8", "shortly before they fall due").await;
    at_most("F8", "p99 shortly before they fall due", ahead, warm * 2);
    tokio::time::sleep(3 * SECOND).await;
    world.gateway.clock.advance(8);
    let (due, more) = ask("F8", "when they fall due").await;
    at_most("F8", "p99 when they fall due", due, warm * 2);
    calls += more;
    let most = USERS + USERS / 100;
    row(
        "F8",
        "userinfo calls for 2,000 tokens",
        &calls.to_string(),
        "<= 1 a token",
        calls <= most,
    );
}
