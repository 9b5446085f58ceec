//! Logouts by `sid` and `sub`, of sessions that are cached, evicted, in set-up and not seen yet.

use std::sync::Arc;
use std::time::Duration;

use super::{HERE, Script, World, until};
use crate::auth::Logout;
use crate::config;
use crate::credentials::{BearerToken, Credential};
use crate::model::{Reason, UnixTime};
use crate::session::Verdict;

fn of_login(sid: &'static str) -> Script {
    Script {
        sid: Some(sid),
        subject: Some("mara"),
        ..Script::default()
    }
}

fn after(time: UnixTime, seconds: i64) -> Option<UnixTime> {
    Some(UnixTime(time.0 + seconds))
}

impl World {
    /// The logout of the session `login-1`, now.
    fn by_session(&self) -> Logout {
        Logout {
            issuer: 0,
            subject: Some("mara".into()),
            sid: Some("login-1".into()),
            issued_at: self.clock.now(),
            ends_offline_access: false,
        }
    }

    /// The logout of the person, now.
    fn by_subject(&self) -> Logout {
        Logout {
            sid: None,
            ..self.by_session()
        }
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
    assert_eq!(world.sessions.end(&world.by_session()), 2);
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
    for mut logout in [world.by_session(), world.by_subject()] {
        logout.issuer = 1;
        assert_eq!(world.sessions.end(&logout), 0);
    }
    let mut logout = world.by_session();
    logout.sid = Some("mara".into());
    assert_eq!(world.sessions.end(&logout), 0);
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
    assert_eq!(world.sessions.end(&world.by_session()), 1);
    assert!(held.is_cut());
    assert_eq!(world.refused("a").await, Reason::SessionEnded);
}

#[tokio::test]
async fn issue_14_1_a_token_issued_after_the_logout_counts_under_the_same_sid() {
    let world = World::new();
    let logout = world.by_session();
    let of = |issued_at| Script {
        issued_at,
        ..of_login("login-1")
    };
    let at = logout.issued_at;
    world.script("cached and later", of(after(at, 1)));
    let later = world.obtain("cached and later").await.unwrap();
    assert_eq!(world.sessions.end(&logout), 0);
    assert_eq!(world.verdict(&later), Verdict::Use);
    for (token, issued_at, counts) in [
        ("long before", after(at, -600), false),
        ("in the same second", after(at, 0), false),
        ("of unknown age", None, false),
        ("a second later", after(at, 1), true),
        ("an hour later", after(at, 3_600), true),
    ] {
        world.script(token, of(issued_at));
        if counts {
            world.obtain(token).await.unwrap();
        } else {
            assert_eq!(world.refused(token).await, Reason::SessionEnded, "{token}");
        }
    }
    world.script("next login", of_login("login-2"));
    world.obtain("next login").await.unwrap();

    let for_good = Logout {
        ends_offline_access: true,
        ..logout
    };
    assert_eq!(world.sessions.end(&for_good), 3);
    world.script("refreshed once more", of(after(at, 7_200)));
    assert_eq!(
        world.refused("refreshed once more").await,
        Reason::SessionEnded
    );
}

#[tokio::test]
async fn issue_14_1_by_subject_and_in_the_same_second_the_issuer_is_asked() {
    let world = World::new();
    let logout = world.by_subject();
    let of = |was_asked_about| Script {
        subject: Some("mara"),
        issued_at: Some(logout.issued_at),
        was_asked_about,
        ..Script::default()
    };
    world.script("asked", of(true));
    world.script("not asked", of(false));
    let asked = world.obtain("asked").await.unwrap();
    let not_asked = world.obtain("not asked").await.unwrap();
    let loads = world.loads();
    assert_eq!(world.sessions.end(&logout), 2);
    assert_eq!(world.verdict(&asked), Verdict::Stale);
    let again = world.obtain("asked").await.unwrap();
    assert_eq!(world.loads(), loads + 1, "the issuer is asked anew");
    assert!(!again.is_cut());
    assert_eq!(world.refused("not asked").await, Reason::SessionEnded);
    assert!(not_asked.is_cut());
    world.script("asked, and first seen now", of(true));
    world.obtain("asked, and first seen now").await.unwrap();
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
    assert_eq!(world.sessions.end(&world.by_subject()), 1);
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
    let request = tokio::spawn(async move { sessions.obtain(digest, &token, HERE).await });
    until("the set-up", || world.loads() == 1).await;
    world.clock.advance(5);
    world.sessions.end(&world.by_subject());
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
    assert_eq!(world.sessions.end(&world.by_subject()), 1);
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
