//! Expiry, re-checks of opaque tokens at their issuer, and what goes on while the issuer is away.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{HERE, MAX_STALE, Script, World, bad_token, issuer_down, no_account, until};
use crate::credentials::{BearerToken, Credential};
use crate::model::Reason;
use crate::session::{Session, Verdict};

const TTL: i64 = 10;

fn opaque() -> Script {
    Script {
        recheck_after: Some(Duration::from_secs(TTL as u64)),
        ..Script::default()
    }
}

fn unreachable() -> Script {
    Script {
        refusal: Some(issuer_down()),
        ..opaque()
    }
}

/// What the pipeline does on [`Verdict::UseAndRecheck`], until the re-check ended.
async fn recheck_ahead(world: &World, session: &Session) {
    assert_eq!(world.verdict(session), Verdict::UseAndRecheck);
    let before = world.loads();
    let digest = world.digest("opaque");
    world.sessions.recheck_ahead(
        digest,
        &Credential::from(BearerToken::new("opaque")),
        session,
    );
    until("the re-check", || world.loads() > before).await;
    let _ = world.obtain("opaque").await;
}

#[tokio::test]
async fn a_session_ends_with_its_token_and_the_leeway() {
    let world = World::new();
    let expires_at = Some(world.clock.now().plus(Duration::from_secs(20)));
    world.script(
        "jwt",
        Script {
            expires_at,
            ..Script::default()
        },
    );
    let session = world.obtain("jwt").await.unwrap();
    world.clock.advance(18);
    assert_eq!(world.verdict(&session), Verdict::Use);
    world.clock.advance(4);
    assert_eq!(world.verdict(&session), Verdict::Use, "within the leeway");
    world.clock.advance(4);
    assert_eq!(world.verdict(&session), Verdict::Stale);
    assert!(!session.is_cut(), "transfers go on");
    world.refuse("jwt", bad_token(Reason::TokenExpired));
    assert_eq!(world.refused("jwt").await, Reason::TokenExpired);
}

#[tokio::test]
async fn a_reload_has_every_session_made_anew_and_leaves_streams_alone() {
    let world = World::new();
    let old = world.obtain("jwt").await.unwrap();
    let loader = Arc::clone(&world.loader);
    world.sessions.replace_loader(loader);
    assert_eq!(world.verdict(&old), Verdict::Stale);
    let new = world.obtain("jwt").await.unwrap();
    assert_eq!(world.verdict(&new), Verdict::Use);
    assert!(!old.is_cut());
}

#[tokio::test]
async fn an_opaque_token_is_asked_about_ahead_of_need_while_requests_go_on() {
    let world = World::new();
    world.script("opaque", opaque());
    let old = world.obtain("opaque").await.unwrap();
    world.clock.advance(TTL - 3);
    assert_eq!(world.verdict(&old), Verdict::Use);
    world.clock.advance(2);
    world.hold();
    let (digest, token) = (
        world.digest("opaque"),
        Credential::from(BearerToken::new("opaque")),
    );
    assert_eq!(world.verdict(&old), Verdict::UseAndRecheck);
    world.sessions.recheck_ahead(digest, &token, &old);
    assert_eq!(world.verdict(&old), Verdict::Use, "one re-check is enough");
    world.release();
    until("the new session", || world.verdict(&old) == Verdict::Stale).await;
    let new = world.obtain("opaque").await.unwrap();
    assert_eq!(world.verdict(&new), Verdict::Use);
    assert_eq!(world.loads(), 2);
}

#[tokio::test]
async fn an_opaque_token_that_was_not_asked_about_in_time_is_asked_about_first() {
    let world = World::new();
    world.script("opaque", opaque());
    let old = world.obtain("opaque").await.unwrap();
    world.clock.advance(TTL + 1);
    assert_eq!(world.verdict(&old), Verdict::Renew);
    let new = world.obtain("opaque").await.unwrap();
    assert!(!Arc::ptr_eq(&old, &new));
}

#[tokio::test]
async fn the_old_answer_serves_on_while_the_issuer_is_away_until_it_is_too_old() {
    let world = World::new();
    world.script("opaque", opaque());
    let session = world.obtain("opaque").await.unwrap();
    world.script("opaque", unreachable());
    world.clock.advance(TTL + 1);
    assert!(Arc::ptr_eq(
        &session,
        &world.obtain("opaque").await.unwrap()
    ));
    assert_eq!(world.verdict(&session), Verdict::Use);
    world.clock.advance(6);
    recheck_ahead(&world, &session).await;
    assert_eq!(world.verdict(&session), Verdict::Use);
    world.clock.advance(MAX_STALE.as_secs() as i64);
    assert_eq!(world.verdict(&session), Verdict::Renew);
    assert_eq!(world.refused("opaque").await, Reason::IssuerUnavailable);
    world.script("opaque", opaque());
    world.obtain("opaque").await.unwrap();
}

#[tokio::test]
async fn a_re_check_that_hangs_holds_a_request_up_for_a_moment_only() {
    let world = World::impatient();
    world.script("opaque", opaque());
    let session = world.obtain("opaque").await.unwrap();
    world.hold();
    world.clock.advance(TTL + 1);
    for _ in 0..2 {
        let served = world.obtain("opaque").await.unwrap();
        assert!(Arc::ptr_eq(&session, &served));
    }
    assert_eq!(world.verdict(&session), Verdict::Use);
    assert_eq!(world.loads(), 2, "nobody asks a second time meanwhile");
    world.release();
}

#[tokio::test]
async fn an_account_refresh_that_hangs_holds_a_request_up_for_a_moment_only() {
    let world = World::impatient();
    let session = world.obtain("jwt").await.unwrap();
    world.hold();
    world.clock.advance(31);
    assert_eq!(world.verdict(&session), Verdict::Renew);
    world.obtain("jwt").await.unwrap();
    assert_eq!(world.verdict(&session), Verdict::Use);
    assert_eq!(world.loader.refreshes.load(Ordering::Relaxed), 1);
    world.release();
}

#[tokio::test]
async fn a_renewal_that_finds_no_room_leaves_the_old_session_in_use() {
    let world = World::impatient();
    let session = world.obtain("jwt").await.unwrap();
    world.hold();
    for number in 0..1024 {
        let token = Credential::from(BearerToken::new(format!("cold-{number}")));
        let digest = world.digester.credential(&token);
        let sessions = Arc::clone(&world.sessions);
        tokio::spawn(async move { sessions.obtain(digest, &token, HERE).await });
    }
    until("1,024 set-ups", || world.loads() == 1025).await;
    world.clock.advance(31);
    let served = world.obtain("jwt").await.unwrap();
    assert!(Arc::ptr_eq(&session, &served));
    world.release();
}

#[tokio::test]
async fn a_refusal_at_the_re_check_cuts_streams_and_lasts_as_long_as_any_refusal() {
    for (refusal, reason, lifetime) in [
        (
            bad_token(Reason::TokenRejected),
            Reason::TokenRejected,
            Duration::from_secs(30),
        ),
        (no_account(), Reason::AccountUnknown, Duration::from_secs(5)),
    ] {
        let world = World::new();
        world.script("opaque", opaque());
        let session = world.obtain("opaque").await.unwrap();
        world.refuse("opaque", refusal);
        world.clock.advance(TTL + 1);
        assert_eq!(world.refused("opaque").await, reason);
        assert_eq!(world.verdict(&session), Verdict::Stale);
        assert!(session.is_cut());
        world.script("opaque", opaque());
        assert_eq!(world.refused("opaque").await, reason);
        world.clock.advance(lifetime.as_secs() as i64 + 1);
        let new = world.obtain("opaque").await.unwrap();
        assert!(!new.is_cut(), "its streams are its own");
    }
}
