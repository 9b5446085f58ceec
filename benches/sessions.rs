//! `cargo run --release --example sessions [COUNT]`: bytes that a session of a user with five groups takes, by the
//! process's resident memory, beside what the cache believes (design.md 4: at most 2 KiB, indexes included).

mod crowd;

use std::io::Write as _;

use crowd::{Crowd, Error};

fn main() -> Result<(), Error> {
    let count = std::env::args().nth(1).map_or(Ok(200_000), |n| n.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(fill(count))
}

async fn fill(count: u64) -> Result<(), Error> {
    let crowd = Crowd::new(1 << 40, 5)?;
    let before = resident()?;
    for number in 0..count {
        crowd.enter(number).await?;
    }
    crowd.settle().await;
    let measured = (resident()? - before) as f64 / count as f64;
    let (entries, weight) = crowd.sessions.size();
    writeln!(
        std::io::stdout(),
        "{count} sessions: {measured:.0} bytes each by resident memory; the cache counts {entries} of {:.0} bytes",
        weight as f64 / entries.max(1) as f64
    )?;
    Ok(())
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
