//! Logouts by `sid` and `sub`, of sessions that are cached, evicted, in set-up and not seen yet.

use std::sync::Arc;
use std::time::Duration;

use super::{Script, World, until};
use crate::config;
use crate::credentials::{BearerToken, Credential};
use crate::model::Reason;
use crate::session::Verdict;
use crate::session::store::EndOf;

const SID: EndOf<'static> = EndOf::Sid("login-1");
const MARA: EndOf<'static> = EndOf::Subject("mara");

fn of_login(sid: &'static str) -> Script {
    Script {
        sid: Some(sid),
        subject: Some("mara"),
        ..Script::default()
    }
}

#[tokio::test]
async fn a_logout_by_sid_ends_its_cached_sessions_and_cuts_their_streams() {
    let world = World::new();
    world.script("a", of_login("login-1"));
    world.script("b", of_login("login-1"));
    world.script("other", of_login("login-2"));
    let (a, b) = (world.obtain("a").await, world.obtain("b").await);
    let other = world.obtain("other").await.unwrap();
    assert_eq!(world.sessions.end(0, &SID), 2);
    for ended in [a.unwrap(), b.unwrap()] {
        assert_eq!(world.verdict(&ended), Verdict::Ended);
        assert!(ended.is_cut());
    }
    assert_eq!(world.refused("a").await, Reason::SessionEnded);
    assert_eq!(world.verdict(&other), Verdict::Use);
    assert!(!other.is_cut());
}

#[tokio::test]
async fn a_logout_of_another_issuer_ends_nothing() {
    let world = World::new();
    world.script("a", of_login("login-1"));
    let session = world.obtain("a").await.unwrap();
    assert_eq!(world.sessions.end(1, &SID), 0);
    assert_eq!(world.sessions.end(1, &MARA), 0);
    assert_eq!(world.sessions.end(0, &EndOf::Sid("mara")), 0);
    assert_eq!(world.verdict(&session), Verdict::Use);
}

#[tokio::test]
async fn a_logout_reaches_a_session_that_left_the_cache_but_is_held_by_a_stream() {
    let world = World::with(config::Sessions {
        cache_bytes: 8 * 1024,
        setup_timeout: Duration::from_secs(60),
    });
    world.script("a", of_login("login-1"));
    let held = world.obtain("a").await.unwrap();
    let digest = world.digest("a");
    for number in 0.. {
        assert!(number < 10_000, "never evicted");
        world.obtain(&format!("filler-{number}")).await.unwrap();
        if world.sessions.cached(&digest).is_none() {
            break;
        }
    }
    assert_eq!(world.sessions.end(0, &SID), 1);
    assert!(held.is_cut());
    assert_eq!(world.refused("a").await, Reason::SessionEnded);
}

#[tokio::test]
async fn a_logout_by_sid_refuses_tokens_that_were_not_seen_yet_and_later_ones() {
    let world = World::new();
    assert_eq!(world.sessions.end(0, &SID), 0);
    world.script("unseen", of_login("login-1"));
    assert_eq!(world.refused("unseen").await, Reason::SessionEnded);
    world.clock.advance(60);
    world.script("refreshed", of_login("login-1"));
    assert_eq!(world.refused("refreshed").await, Reason::SessionEnded);
    world.script("next login", of_login("login-2"));
    world.obtain("next login").await.unwrap();
}

#[tokio::test]
async fn a_logout_by_sub_refuses_only_tokens_given_out_before_it() {
    let world = World::new();
    let of = |issued_at| Script {
        subject: Some("mara"),
        issued_at: Some(issued_at),
        ..Script::default()
    };
    let before = world.clock.now();
    world.script("cached", of(before));
    let cached = world.obtain("cached").await.unwrap();
    world.clock.advance(10);
    assert_eq!(world.sessions.end(0, &MARA), 1);
    assert_eq!(world.verdict(&cached), Verdict::Ended);
    world.script("unseen", of(before));
    assert_eq!(world.refused("unseen").await, Reason::SessionEnded);
    world.clock.advance(10);
    world.script("new", of(world.clock.now()));
    world.obtain("new").await.unwrap();
}

#[tokio::test]
async fn a_logout_during_the_set_up_refuses_an_opaque_token_that_came_before_it() {
    let world = World::new();
    world.script(
        "opaque",
        Script {
            subject: Some("mara"),
            ..Script::default()
        },
    );
    world.hold();
    let (digest, token) = (
        world.digest("opaque"),
        Credential::from(BearerToken::new("opaque")),
    );
    let sessions = Arc::clone(&world.sessions);
    let request = tokio::spawn(async move { sessions.obtain(digest, &token).await });
    until("the set-up", || world.loads() == 1).await;
    world.clock.advance(5);
    world.sessions.end(0, &MARA);
    world.clock.advance(5);
    world.release();
    assert_eq!(
        request.await.unwrap().unwrap_err().reason(),
        Reason::SessionEnded
    );
}

#[tokio::test]
async fn a_logout_during_a_re_check_is_not_undone_by_its_answer() {
    let world = World::new();
    world.script(
        "opaque",
        Script {
            subject: Some("mara"),
            recheck_after: Some(Duration::from_secs(10)),
            ..Script::default()
        },
    );
    let old = world.obtain("opaque").await.unwrap();
    world.clock.advance(9);
    world.hold();
    let digest = world.digest("opaque");
    world
        .sessions
        .recheck_ahead(digest, &Credential::from(BearerToken::new("opaque")), &old);
    until("the re-check", || world.loads() == 2).await;
    assert_eq!(world.sessions.end(0, &MARA), 1);
    world.clock.advance(5);
    world.release();
    until("the answer", || {
        world
            .sessions
            .cached(&digest)
            .is_some_and(|session| !Arc::ptr_eq(&session, &old))
    })
    .await;
    assert_eq!(world.refused("opaque").await, Reason::SessionEnded);
}
