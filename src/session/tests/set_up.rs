//! One set-up a token, how long requests wait for it, and how long refusals last.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{CountingLoader, HERE, Script, World, bad_token, issuer_down, no_account, until};
use crate::config;
use crate::credentials::{BearerToken, Credential};
use crate::model::Reason;
use crate::session::Verdict;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_requests_of_one_token_set_it_up_once() {
    let world = World::new();
    world.hold();
    let (digest, token) = (
        world.digest("cold"),
        Credential::from(BearerToken::new("cold")),
    );
    let requests: Vec<_> = (0..10_000)
        .map(|_| {
            let (sessions, token) = (Arc::clone(&world.sessions), token.clone());
            tokio::spawn(async move { sessions.obtain(digest, &token, HERE).await })
        })
        .collect();
    let counters = world.sessions.counters();
    until("the waiting", || {
        counters.joined.load(Ordering::Relaxed) == 9_999
    })
    .await;
    world.release();
    let first = world.obtain("cold").await.unwrap();
    for request in requests {
        assert!(Arc::ptr_eq(&first, &request.await.unwrap().unwrap()));
    }
    assert_eq!(world.loads(), 1);
}

#[tokio::test]
async fn a_set_up_goes_on_when_the_request_that_started_it_leaves() {
    let world = World::new();
    world.hold();
    let (digest, token) = (
        world.digest("cold"),
        Credential::from(BearerToken::new("cold")),
    );
    let sessions = Arc::clone(&world.sessions);
    let leader = tokio::spawn(async move { sessions.obtain(digest, &token, HERE).await });
    until("the set-up", || world.loads() == 1).await;
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    world.release();
    until("the session", || world.sessions.cached(&digest).is_some()).await;
    world.obtain("cold").await.unwrap();
    assert_eq!(world.loads(), 1);
}

#[tokio::test]
async fn a_slow_set_up_is_a_timeout_for_the_request_and_a_session_for_the_next() {
    let world = World::impatient();
    world.hold();
    assert_eq!(world.refused("cold").await, Reason::SetupTimeout);
    assert_eq!(world.refused("cold").await, Reason::SetupTimeout);
    world.release();
    let digest = world.digest("cold");
    until("the session", || world.sessions.cached(&digest).is_some()).await;
    world.obtain("cold").await.unwrap();
    assert_eq!(world.loads(), 1);
}

#[tokio::test]
async fn the_1025th_set_up_at_once_is_told_to_come_back() {
    let world = World::impatient();
    world.hold();
    for number in 0..1024 {
        let token = Credential::from(BearerToken::new(format!("cold-{number}")));
        let digest = world.digester.credential(&token);
        let sessions = Arc::clone(&world.sessions);
        tokio::spawn(async move { sessions.obtain(digest, &token, HERE).await });
    }
    until("1,024 set-ups", || world.loads() == 1024).await;
    assert_eq!(world.refused("one more").await, Reason::SetupOverload);
    world.release();
    let last = world.digest("cold-1023");
    until("the last session", || {
        world.sessions.cached(&last).is_some()
    })
    .await;
    // Its patience is short on purpose, so a loaded machine may need more than one try.
    let mut tries = 0;
    while let Err(error) = world.obtain("one more").await {
        assert!(error.is_temporary(), "{error}");
        tries += 1;
        assert!(tries < 200, "no room after {tries} tries: {error}");
    }
}

#[tokio::test]
async fn a_set_up_that_dies_is_told_and_forgotten() {
    let world = World::new();
    world
        .sessions
        .replace_loader(Arc::new(DyingLoader) as Arc<_>);
    assert_eq!(world.refused("cold").await, Reason::Internal);
    let loader = Arc::clone(&world.loader);
    world.sessions.replace_loader(loader);
    world.obtain("cold").await.unwrap();
}

#[derive(Debug)]
struct DyingLoader;

#[async_trait::async_trait]
impl super::SessionLoader for DyingLoader {
    async fn load(
        &self,
        _: &Credential,
        _: u64,
    ) -> Result<super::Loaded, crate::session::LoadError> {
        panic!("scripted")
    }

    async fn refresh_account(
        &self,
        _: &crate::session::AccountState,
    ) -> Result<(), crate::session::LoadError> {
        panic!("scripted")
    }
}

#[tokio::test]
async fn a_bad_token_is_looked_at_once_in_30_seconds() {
    let world = World::new();
    world.refuse("bad", bad_token(Reason::BadSignature));
    for _ in 0..3 {
        assert_eq!(world.refused("bad").await, Reason::BadSignature);
    }
    assert_eq!(world.loads(), 1);
    world.clock.advance(31);
    assert_eq!(world.refused("bad").await, Reason::BadSignature);
    assert_eq!(world.loads(), 2);
}

#[tokio::test]
async fn a_missing_account_is_looked_for_again_after_5_seconds() {
    let world = World::new();
    world.refuse("mara", no_account());
    assert_eq!(world.refused("mara").await, Reason::AccountUnknown);
    world.script("mara", Script::default());
    assert_eq!(world.refused("mara").await, Reason::AccountUnknown);
    world.clock.advance(6);
    world.obtain("mara").await.unwrap();
}

#[tokio::test]
async fn a_token_that_is_not_valid_yet_is_looked_at_each_time() {
    let world = World::new();
    world.refuse("early", bad_token(Reason::TokenNotYetValid));
    assert_eq!(world.refused("early").await, Reason::TokenNotYetValid);
    world.script("early", Script::default());
    world.obtain("early").await.unwrap();
}

#[tokio::test]
async fn an_outage_is_never_kept_with_the_token() {
    let world = World::new();
    world.refuse("mara", issuer_down());
    assert_eq!(world.refused("mara").await, Reason::IssuerUnavailable);
    world.script("mara", Script::default());
    world.obtain("mara").await.unwrap();
}

#[tokio::test]
async fn refusals_end_with_new_keys_and_with_a_new_configuration() {
    let world = World::new();
    type Flush = fn(&World);
    let flushes: [(&str, Flush); 2] = [
        ("before new keys", |world| world.sessions.forget_refusals()),
        ("before a reload", |world| {
            let loader = Arc::clone(&world.loader) as Arc<CountingLoader>;
            world.sessions.replace_loader(loader);
        }),
    ];
    for (token, flush) in flushes {
        let loads = world.loads();
        world.refuse(token, bad_token(Reason::UnknownKey));
        world.refused(token).await;
        world.refused(token).await;
        flush(&world);
        world.refused(token).await;
        assert_eq!(world.loads(), loads + 2);
    }
}

#[tokio::test]
async fn a_set_up_that_a_reload_overtook_counts_as_one_of_the_old_configuration() {
    let world = World::new();
    world.hold();
    let (digest, token) = (
        world.digest("cold"),
        Credential::from(BearerToken::new("cold")),
    );
    let sessions = Arc::clone(&world.sessions);
    let request = tokio::spawn(async move { sessions.obtain(digest, &token, HERE).await });
    until("the set-up", || world.loads() == 1).await;
    let loader = Arc::clone(&world.loader);
    world.sessions.replace_loader(loader);
    world.release();
    let old = request.await.unwrap().unwrap();
    assert_eq!(world.verdict(&old), Verdict::Stale);
    let new = world.obtain("cold").await.unwrap();
    assert_eq!(world.verdict(&new), Verdict::Use);
}

#[tokio::test]
async fn the_cache_is_bounded_in_bytes_and_still_takes_new_sessions_in() {
    let cache_bytes = 256 * 1024;
    let world = World::with(config::Sessions {
        cache_bytes,
        setup_timeout: Duration::from_secs(60),
    });
    for number in 0..1_000 {
        let token = format!("token-{number}");
        for _ in 0..3 {
            world.obtain(&token).await.unwrap();
        }
    }
    let (count, bytes) = world.sessions.size();
    assert!(count > 50, "{count} sessions in 256 KiB");
    assert!(bytes <= cache_bytes, "{bytes} bytes");
    world.obtain("newest").await.unwrap();
    let loads = world.loads();
    world.obtain("newest").await.unwrap();
    assert_eq!(world.loads(), loads, "the newest session was not kept");
}
