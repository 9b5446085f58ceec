//! The thread that writes log lines, so that a slow terminal or a full disk never stops a worker.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::Thread;
use std::time::Duration;

/// What may wait for the writer; more is dropped and counted.
const WAITING_CHUNKS: usize = 4096;
const WAITING_BYTES: usize = 4 * 1024 * 1024;

/// How much is written with one call.
const BATCH: usize = 64 * 1024;

/// After more than this, more comes soon: the writer rests, so that it is woken for several batches and not for each. What
/// must be written at once ends its rest, and so does much that waits.
const BUSY: usize = 8 * 1024;
const REST: Duration = Duration::from_millis(5);
const MUCH: usize = WAITING_BYTES / 4;

/// Takes finished lines; never blocks. Clones write to the same place.
#[derive(Debug, Clone)]
pub struct LogWriter {
    writing: Option<Writing>,
    waiting: Arc<AtomicUsize>,
    dropped: Arc<AtomicU64>,
}

/// The way to the thread.
#[derive(Debug, Clone)]
struct Writing {
    sender: SyncSender<Message>,
    thread: Thread,
}

#[derive(Debug)]
enum Message {
    Lines(Vec<u8>),
    Flush(SyncSender<()>),
}

impl LogWriter {
    /// A writer to `file`, or to standard error. Its thread ends with the last clone.
    ///
    /// # Errors
    /// If the file cannot be opened for appending, or the thread not be started.
    pub fn start(file: Option<&Path>) -> io::Result<Self> {
        match file {
            None => Self::start_on(io::stderr()),
            Some(path) => {
                let named = |error: io::Error| {
                    let text = format!(
                        "cannot open {} (`log.file`, PROXY_LOG_FILE): {error}",
                        path.display()
                    );
                    io::Error::new(error.kind(), text)
                };
                let opened = OpenOptions::new().append(true).create(true).open(path);
                Self::start_on(opened.map_err(named)?)
            }
        }
    }

    /// A writer to anything.
    pub(super) fn start_on(sink: impl Write + Send + 'static) -> io::Result<Self> {
        Self::start_resting(sink, REST)
    }

    fn start_resting(sink: impl Write + Send + 'static, rest: Duration) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(WAITING_CHUNKS);
        let waiting = Arc::<AtomicUsize>::default();
        let written = Arc::clone(&waiting);
        let thread = std::thread::Builder::new()
            .name("log".into())
            .spawn(move || write_all(&receiver, sink, &written, rest))?;
        let thread = thread.thread().clone();
        Ok(Self {
            writing: Some(Writing { sender, thread }),
            waiting,
            dropped: Arc::default(),
        })
    }

    /// A writer that throws everything away, for tests.
    #[must_use]
    pub fn disabled() -> Self {
        Self {
            writing: None,
            waiting: Arc::default(),
            dropped: Arc::default(),
        }
    }

    /// Lines that were dropped because the writer could not keep up; for [`super::Metrics::new`].
    #[must_use]
    pub fn dropped(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.dropped)
    }

    /// Hands over whole lines, each with its line feed, to be written at once.
    pub(super) fn send(&self, lines: Vec<u8>) {
        let Some(writing) = &self.writing else { return };
        self.hand_over(writing, lines);
        writing.thread.unpark();
    }

    /// The same for lines that may wait until the writer has rested.
    pub(super) fn send_soon(&self, lines: Vec<u8>) {
        let Some(writing) = &self.writing else { return };
        if self.hand_over(writing, lines) > MUCH {
            writing.thread.unpark();
        }
    }

    /// How many bytes were waiting before.
    fn hand_over(&self, writing: &Writing, lines: Vec<u8>) -> usize {
        let length = lines.len();
        let waiting = self.waiting.fetch_add(length, Ordering::Relaxed);
        let refused = if waiting + length > WAITING_BYTES {
            Some(lines)
        } else {
            match writing.sender.try_send(Message::Lines(lines)) {
                Ok(()) => None,
                Err(TrySendError::Full(Message::Lines(lines)))
                | Err(TrySendError::Disconnected(Message::Lines(lines))) => Some(lines),
                Err(_) => None,
            }
        };
        if let Some(lines) = refused {
            self.waiting.fetch_sub(length, Ordering::Relaxed);
            let count = lines.iter().filter(|byte| **byte == b'\n').count();
            self.dropped.fetch_add(count as u64, Ordering::Relaxed);
        }
        waiting
    }

    /// Waits until everything sent so far is written, a second at most.
    pub fn flush(&self) {
        let Some(writing) = &self.writing else { return };
        let (done, wait) = sync_channel(1);
        let deadline = Duration::from_secs(1);
        if writing.sender.try_send(Message::Flush(done)).is_ok() {
            writing.thread.unpark();
            let _ = wait.recv_timeout(deadline);
        }
    }
}

/// The thread: takes what is there, writes it together.
fn write_all(
    receiver: &Receiver<Message>,
    mut sink: impl Write,
    waiting: &AtomicUsize,
    rest: Duration,
) {
    let mut batch = Vec::new();
    while let Ok(first) = receiver.recv() {
        let mut next = Some(first);
        let mut flushed = None;
        while let Some(message) = next.take() {
            match message {
                Message::Lines(lines) if batch.is_empty() => batch = lines,
                Message::Lines(lines) => batch.extend_from_slice(&lines),
                Message::Flush(done) => flushed = Some(done),
            }
            if batch.len() < BATCH && flushed.is_none() {
                next = receiver.try_recv().ok();
            }
        }
        // Nowhere is left to report a failure to; the next line may succeed.
        let _ = sink.write_all(&batch).and_then(|()| sink.flush());
        waiting.fetch_sub(batch.len(), Ordering::Relaxed);
        let rests = flushed.is_none() && (BUSY..BATCH).contains(&batch.len());
        batch = Vec::new();
        if let Some(done) = flushed {
            let _ = done.try_send(());
        }
        if rests {
            std::thread::park_timeout(rest);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::sync::{Mutex, mpsc};

    /// Keeps what is written.
    #[derive(Debug, Clone, Default)]
    pub(in crate::telemetry) struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Kept {
        pub(in crate::telemetry) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Kept {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(buf);
            Ok(buf.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Blocks until the test says so, as a full pipe does.
    struct Blocked(mpsc::Receiver<()>);

    impl Write for Blocked {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(buf.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_written_in_order_and_a_flush_waits_for_them() {
        let kept = Kept::default();
        let writer = LogWriter::start_on(kept.clone()).unwrap();
        for n in 0..100 {
            writer.send(format!("{n}\n").into_bytes());
        }
        writer.flush();
        let expected: String = (0..100).map(|n| format!("{n}\n")).collect();
        assert_eq!(kept.text(), expected);
    }

    #[test]
    fn a_resting_writer_is_woken_by_a_line_that_is_to_be_written_at_once_and_by_much_that_waits() {
        let kept = Kept::default();
        let writer = LogWriter::start_resting(kept.clone(), Duration::from_secs(3600)).unwrap();
        let written = |length: usize| {
            let end = std::time::Instant::now() + Duration::from_secs(20);
            while kept.text().len() < length {
                assert!(std::time::Instant::now() < end, "{}", kept.text().len());
                std::thread::yield_now();
            }
        };
        let batch = || {
            let mut lines = vec![b'x'; 2 * BUSY];
            lines.push(b'\n');
            lines
        };
        let mut length = batch().len();
        writer.send_soon(batch());
        written(length);
        writer.send(b"refused\n".to_vec());
        length += 8;
        written(length);
        while writer.waiting.load(Ordering::Relaxed) <= MUCH && length < 4 * MUCH {
            writer.send_soon(batch());
            length += batch().len();
        }
        writer.send_soon(batch());
        written(length + batch().len());
        writer.flush();
        assert_eq!(writer.dropped().load(Ordering::Relaxed), 0);
    }

    #[test]
    fn f32_a_blocked_pipe_drops_and_counts_lines_but_never_blocks_the_sender() {
        let (unblock, blocked) = mpsc::channel();
        let writer = LogWriter::start_on(Blocked(blocked)).unwrap();
        let line = [b'x'; 1023].into_iter().chain([b'\n']).collect::<Vec<_>>();
        for _ in 0..6000 {
            writer.send(line.clone());
        }
        let dropped = writer.dropped().load(Ordering::Relaxed);
        assert!((1800..6000).contains(&dropped), "{dropped}");
        drop(unblock);
        writer.flush();
        assert!(writer.waiting.load(Ordering::Relaxed) < WAITING_BYTES);
    }
}
