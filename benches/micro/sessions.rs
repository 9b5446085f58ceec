//! What finding a warm session costs: in the worker's own map, and in the cache that all workers share.

use std::hint::black_box;
use std::sync::Arc;

use davgate::door::model::Clock;
use davgate::door::pipeline::WorkerSessions;
use davgate::door::session::{Digest, Verdict};

use super::Case;
use super::crowd::Crowd;

/// As many as a worker's map holds.
const USERS: u64 = 4_000;

pub(super) fn cases() -> Vec<Case> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let crowd = runtime.block_on(async {
        let crowd = Crowd::new(1 << 30, 5).unwrap();
        for number in 0..USERS {
            crowd.enter(number).await.unwrap();
        }
        Arc::new(crowd)
    });

    let worker = WorkerSessions::default();
    let digests: Vec<_> = (0..USERS).map(|number| crowd.digest(number)).collect();
    for digest in &digests {
        let session = crowd.sessions.cached(digest).unwrap();
        worker.keep(*digest, &session);
    }
    let digest = digests[digests.len() / 2];
    let session = crowd.sessions.cached(&digest).unwrap();
    let (clock, shared) = (Clock::system(), Arc::clone(&crowd));
    vec![
        Case::new("session_worker_map", move || {
            worker.find(black_box(&digest)).is_some()
        }),
        // Many at once: where one lies in the table is chance, and now and then a look does the cache's housekeeping.
        Case::new("session_shared_cache_100_looks", move || {
            let look = |digest: &&Digest| shared.sessions.cached(black_box(digest)).is_some();
            digests.iter().step_by(40).filter(look).count()
        }),
        Case::new("session_verdict", move || {
            session.verdict(clock.now(), crowd.sessions.generation()) == Verdict::Use
        }),
    ]
}
