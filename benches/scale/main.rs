//! `scale`: what grows with sessions, routes and groups, and what does not. benches/scale.sh runs it; by hand:
//! `cargo run --release --example scale -- sessions 1000000`. Everything but issuer and directory is the gateway's own.
//!
//! Each line is a name, a size and numbers, for benches/plot.py.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "the lines are what the program is for, and it has nobody to report to"
)]

#[path = "../crowd.rs"]
mod crowd;
#[path = "../many_routes.rs"]
mod many_routes;

use std::hint::black_box;

use clap::{Parser, Subcommand};
use davgate::door::model::Clock;
use davgate::door::pipeline::WorkerSessions;
use davgate::door::routes::{NormalPath, Root};
use davgate::door::session::Digest;
use http::Method;

use crowd::{Crowd, Error};

/// As the shipped binary, whose sessions weigh what this allocator makes of them.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sessions of as many users with five groups, in a cache of so many bytes: `sessions COUNT HELD BYTES-EACH
    /// WEIGHED-EACH RESIDENT-MIB NANOSECONDS-A-LOOK MICROSECONDS-A-SET-UP`, times being those on a CPU.
    Sessions {
        count: u64,
        #[arg(long, default_value_t = 2 << 30)]
        cache_bytes: u64,
    },
    /// A look for a route: `routes COUNT NANOSECONDS`.
    Routes { count: usize },
    /// Sessions of users in so many groups: `groups COUNT BYTES-EACH MICROSECONDS-A-SET-UP`.
    Groups { count: usize },
}

fn main() -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    match Arguments::parse().command {
        Command::Sessions { count, cache_bytes } => runtime.block_on(sessions(count, cache_bytes)),
        Command::Routes { count } => look_for_routes(count),
        Command::Groups { count } => runtime.block_on(groups(count)),
    }
}

async fn sessions(count: u64, cache_bytes: u64) -> Result<(), Error> {
    let crowd = Crowd::new(cache_bytes, 5)?;
    let before = resident()?;
    let started = cpu_time()?;
    for number in 0..count {
        crowd.enter(number).await?;
    }
    let set_up = (cpu_time()? - started) / 1_000 / count;
    crowd.settle().await;
    let (held, weight) = crowd.sessions.size();
    let grown = resident()?.saturating_sub(before);
    if weight > cache_bytes {
        return Err(format!("{weight} bytes are held, {cache_bytes} are allowed").into());
    }
    if held < count {
        evicted_users_come_back(&crowd, count).await?;
    }
    println!(
        "sessions {count} {held} {} {} {} {} {set_up}",
        grown / held.max(1),
        weight / held.max(1),
        grown >> 20,
        nanoseconds_of_a_look(&crowd, count)?,
    );
    Ok(())
}

/// The cache is full: who came last is in, who came first is set up anew, and everybody is who they are.
async fn evicted_users_come_back(crowd: &Crowd, count: u64) -> Result<(), Error> {
    let mut away = 0;
    for number in (0..100).chain(count - 100..count) {
        let digest = crowd.digest(number);
        away += u64::from(crowd.sessions.cached(&digest).is_none());
        crowd.enter(number).await?;
        let session = crowd.sessions.cached(&digest).ok_or("a session is lost")?;
        let name = format!("c0ffee00-1234-4abc-9def-{number:012}");
        let account = session.facts.identity.account();
        let found = account.map(|account| &*account.id);
        if found != Some(&*name) {
            return Err(format!("user {number} is {found:?}").into());
        }
    }
    match away {
        100 => Ok(()),
        _ => Err(format!("{away} of the first 100 users were evicted").into()),
    }
}

/// What a warm request pays: worker's map, on a miss the shared cache, and the verdict. Users come in no order.
fn nanoseconds_of_a_look(crowd: &Crowd, count: u64) -> std::io::Result<u64> {
    const LOOKS: u64 = 1_000_000;
    let held = |number: &u64| crowd.sessions.cached(&crowd.digest(*number)).is_some();
    // A multiplicative step visits users all over; those who were evicted are left out.
    let users: Vec<u64> = (0..LOOKS.min(count))
        .map(|turn| turn.wrapping_mul(7_919) % count)
        .filter(held)
        .collect();
    let digests: Vec<Digest> = users.iter().map(|user| crowd.digest(*user)).collect();
    let (worker, clock) = (WorkerSessions::default(), Clock::system());
    let started = cpu_time()?;
    for turn in 0..LOOKS {
        let Some(digest) = digests.get(turn as usize % digests.len()) else {
            continue;
        };
        let session = worker.find(digest).or_else(|| {
            let session = crowd.sessions.cached(digest)?;
            worker.keep(*digest, &session);
            Some(session)
        });
        let verdict = session.map(|s| s.verdict(clock.now(), crowd.sessions.generation()));
        black_box(verdict);
    }
    Ok((cpu_time()? - started) / LOOKS)
}

fn look_for_routes(count: usize) -> Result<(), Error> {
    const LOOKS: u64 = 1_000_000;
    let (table, root) = (many_routes::table(count), Root::default());
    let started = cpu_time()?;
    for _ in 0..LOOKS {
        let path = black_box("/dav/spaces/some-space/folder/file.txt");
        let path = NormalPath::parse(path, None, &root).map_err(|e| e.to_string())?;
        black_box(table.find(&Method::GET, &path).is_ok());
    }
    println!("routes {count} {}", (cpu_time()? - started) / LOOKS);
    Ok(())
}

async fn groups(count: usize) -> Result<(), Error> {
    const USERS: u64 = 20;
    let crowd = Crowd::new(2 << 30, count)?;
    let started = cpu_time()?;
    for number in 0..USERS {
        crowd.enter(number).await?;
    }
    let took = (cpu_time()? - started) / 1_000 / USERS;
    crowd.settle().await;
    let (held, weight) = crowd.sessions.size();
    println!("groups {count} {} {took}", weight / held.max(1));
    Ok(())
}

/// Nanoseconds that all threads were on a CPU, which a busy machine changes least.
fn cpu_time() -> std::io::Result<u64> {
    let mut total = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let spent = std::fs::read_to_string(task?.path().join("schedstat"))?;
        let first = spent.split_whitespace().next();
        total += first.and_then(|text| text.parse().ok()).unwrap_or(0);
    }
    Ok(total)
}

/// Bytes.
fn resident() -> std::io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let digits = line.and_then(|line| line.split_whitespace().next());
    Ok(digits
        .and_then(|text| text.parse::<u64>().ok())
        .unwrap_or(0)
        * 1024)
}
