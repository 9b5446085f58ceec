//! Signals: TERM, INT and QUIT drain, a second one ends, HUP reloads.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Drain, supervisor};

/// How long the workers may take to let go once everything is cut.
const GRACE: Duration = Duration::from_secs(1);

/// The signals the process answers to. Made early, so that none that comes during the start is lost or
/// kills the process.
#[derive(Debug)]
pub(crate) struct Signals {
    ending: Ending,
    hang_up: Signal,
}

#[derive(Debug)]
struct Ending {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
}

impl Signals {
    /// Takes the signals over; needs a tokio runtime.
    ///
    /// # Errors
    /// If a handler cannot be installed.
    pub(crate) fn install() -> io::Result<Self> {
        Ok(Self {
            ending: Ending {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
                quit: signal(SignalKind::quit())?,
            },
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Runs until the process may end: calls `reload` at each HUP (also while draining), drains at the first
    /// ending signal, cuts at the second. `reload` must not block; it may spawn.
    pub(crate) async fn run(mut self, drain: &Drain, mut reload: impl FnMut()) {
        loop {
            tokio::select! {
                name = self.ending.next() => {
                    tracing::info!(signal = name, open = drain.open(), "draining");
                    break;
                }
                _ = self.hang_up.recv() => reload(),
                // Somebody else drains, or a worker failed.
                () = drain.begun() => break,
            }
        }
        supervisor::stopping();
        let mut drained = std::pin::pin!(drain.run());
        loop {
            tokio::select! {
                () = &mut drained => break,
                name = self.ending.next() => {
                    tracing::warn!(signal = name, open = drain.open(), "ending at once");
                    drain.end();
                    break;
                }
                _ = self.hang_up.recv() => reload(),
            }
        }
    }

    /// Waits for the worker threads after [`Signals::run`], a second at most; `true` if all ended.
    pub(crate) async fn join(workers: Vec<std::thread::JoinHandle<()>>) -> bool {
        let joined = tokio::task::spawn_blocking(move || {
            // All are joined, also those after one that panicked.
            workers
                .into_iter()
                .map(std::thread::JoinHandle::join)
                .filter(Result::is_err)
                .count()
        });
        matches!(tokio::time::timeout(GRACE, joined).await, Ok(Ok(0)))
    }
}

impl Ending {
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "TERM",
            _ = self.interrupt.recv() => "INT",
            _ = self.quit.recv() => "QUIT",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// No `unsafe` here, so the shell's own `kill` sends the signal.
    async fn send(name: &str) {
        let command = format!("kill -{name} {}", std::process::id());
        let sent = tokio::task::spawn_blocking(move || {
            std::process::Command::new("sh")
                .args(["-c", &command])
                .status()
        });
        assert!(sent.await.unwrap().unwrap().success());
    }

    /// One test for all, as signals are the whole process's.
    #[test]
    fn hup_reloads_the_first_term_drains_and_the_second_ends() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let drain = Drain::new(Duration::from_secs(60), Duration::from_secs(60));
            let open = drain.count();
            let signals = Signals::install().unwrap();
            let reloads = Arc::<AtomicUsize>::default();
            let counted = Arc::clone(&reloads);
            let watched = drain.clone();
            let running = tokio::spawn(async move {
                signals
                    .run(&watched, || {
                        counted.fetch_add(1, Ordering::Relaxed);
                    })
                    .await;
            });
            send("HUP").await;
            while reloads.load(Ordering::Relaxed) == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert!(!drain.is_draining());
            send("TERM").await;
            drain.begun().await;
            assert!(!running.is_finished());
            send("INT").await;
            tokio::time::timeout(Duration::from_secs(2), running)
                .await
                .unwrap()
                .unwrap();
            drop(open);
            assert!(Signals::join(vec![std::thread::spawn(|| {})]).await);
        });
    }
}
