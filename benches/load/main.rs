//! `load`: the client of `make compare` and `make bench-check`. It does what wrk cannot: a fixed number of requests, a
//! fixed rate, bodies both ways, handshakes, and connections that do nothing.

mod client;
mod sink;

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use tokio::time::Instant;

use client::{Client, Error};

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    target: Target,
}

/// Who is asked, and for what.
#[derive(Debug, Clone, Args)]
struct Target {
    /// Address of the proxy.
    #[arg(long, global = true, default_value = "127.0.0.1:9200")]
    address: SocketAddr,
    /// Path and query.
    #[arg(long, global = true, default_value = "/")]
    path: String,
    /// The bearer token, if any.
    #[arg(long, global = true, default_value = "")]
    token: String,
    /// TLS, trusting whatever certificate comes.
    #[arg(long, global = true)]
    tls: bool,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// GET requests; prints how many, how many failed, requests a second, and percentiles in microseconds.
    Requests {
        #[arg(long, default_value_t = 32)]
        connections: usize,
        /// All connections together.
        #[arg(long)]
        count: u64,
        /// Requests a second of all connections together; as fast as answers come if absent. A late request counts from
        /// when it was due, so that a stalled proxy is not let off.
        #[arg(long)]
        rate: Option<f64>,
    },
    /// One body; prints the seconds it took.
    Get,
    /// The same in the other direction.
    Put {
        #[arg(long)]
        bytes: u64,
        /// HTTP/2 over TLS.
        #[arg(long)]
        http2: bool,
    },
    /// Connections with one request each, one after the other; prints microseconds per connection.
    Handshakes {
        #[arg(long)]
        count: u64,
        /// With the session ticket of the connection before.
        #[arg(long)]
        resume: bool,
    },
    /// Is a backend for uploads at the address.
    Sink,
    /// Opens connections with one request each, says so, and holds them until standard input ends.
    Idle {
        #[arg(long)]
        count: u64,
        /// HTTP/2 over TLS.
        #[arg(long)]
        http2: bool,
    },
}

fn main() -> Result<(), Error> {
    let Arguments { command, target } = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())?;
    let line = runtime.block_on(run(command, Rc::new(target)))?;
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}

async fn run(command: Command, target: Rc<Target>) -> Result<String, Error> {
    match command {
        Command::Requests {
            connections,
            count,
            rate,
        } => requests(&target, connections, count, rate).await,
        Command::Get => {
            let mut client = Client::connect(&target, true).await?;
            let started = Instant::now();
            client.get().await?;
            Ok(format!("{:.3}", started.elapsed().as_secs_f64()))
        }
        Command::Put { bytes, http2: true } => {
            let started = client::put_http2(&target, bytes).await?;
            Ok(format!("{:.3}", started.elapsed().as_secs_f64()))
        }
        Command::Put { bytes, .. } => {
            let mut client = Client::connect(&target, true).await?;
            let started = Instant::now();
            client.put(bytes).await?;
            Ok(format!("{:.3}", started.elapsed().as_secs_f64()))
        }
        Command::Handshakes { count, resume } => {
            let tls = client::tls(resume, false);
            let started = Instant::now();
            for _ in 0..count {
                let mut client = Client::connect_with(&target, tls.clone()).await?;
                client.get().await?;
            }
            Ok(format!(
                "{:.1}",
                started.elapsed().as_secs_f64() * 1e6 / count as f64
            ))
        }
        Command::Sink => sink::serve(target.address),
        Command::Idle { count, http2 } => idle(&target, count, http2).await,
    }
}

async fn requests(
    target: &Rc<Target>,
    connections: usize,
    count: u64,
    rate: Option<f64>,
) -> Result<String, Error> {
    let interval = rate.map(|rate| Duration::from_secs_f64(connections as f64 / rate));
    let started = Instant::now();
    let tasks: Vec<_> = (0..connections as u64)
        .map(|number| {
            let target = Rc::clone(target);
            // The remainder goes to the first connections, so that the count is exact.
            let share = count / connections as u64 + u64::from(number < count % connections as u64);
            let phase = interval.map(|i| i.mul_f64(number as f64 / connections as f64));
            tokio::task::spawn_local(async move {
                let mut client = Client::connect(&target, false).await?;
                let mut times = Vec::new();
                let mut failed = 0_u64;
                for turn in 0..share {
                    let mut due = Instant::now();
                    if let (Some(interval), Some(phase)) = (interval, phase) {
                        due = started + phase + interval.mul_f64(turn as f64);
                        tokio::time::sleep_until(due).await;
                    }
                    failed += u64::from(client.get().await? != 200);
                    times.push(due.elapsed());
                }
                Ok::<_, Error>((times, failed))
            })
        })
        .collect();
    let (mut times, mut failed) = (Vec::new(), 0);
    for task in tasks {
        let (more, bad) = task.await.map_err(|error| error.to_string())??;
        times.extend(more);
        failed += bad;
    }
    let seconds = started.elapsed().as_secs_f64();
    times.sort_unstable();
    let at = |share: f64| {
        let index = (times.len() as f64 * share) as usize;
        times.get(index.min(times.len().saturating_sub(1)))
    };
    let micros = |time: Option<&Duration>| time.map_or(0, Duration::as_micros);
    Ok(format!(
        "{} {failed} {:.0} {} {}",
        times.len(),
        times.len() as f64 / seconds,
        micros(at(0.5)),
        micros(at(0.99)),
    ))
}

async fn idle(target: &Rc<Target>, count: u64, http2: bool) -> Result<String, Error> {
    let tls = target.tls.then(|| client::tls(false, http2)).flatten();
    let mut held = Vec::new();
    let mut streams = Vec::new();
    for _ in 0..count {
        if http2 {
            streams.push(client::http2(target, tls.clone()).await?);
        } else {
            let mut client = Client::connect_with(target, tls.clone()).await?;
            client.get().await?;
            held.push(client);
        }
    }
    writeln!(std::io::stdout(), "ready")?;
    // HTTP/2 connections answer pings meanwhile.
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    Ok(format!("{}", held.len() + streams.len()))
}
