//! One JSON line per request, gathered per worker.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tracing::level_filters::LevelFilter;

use super::line::{Line, Stamp, Style, key};
use super::{Log, LogWriter};
use crate::model::{Clock, Reason};

/// Lines are handed to the writer together, when they are this many bytes or this old.
const GATHER_BYTES: usize = 16 * 1024;
const GATHER_TIME: Duration = Duration::from_millis(200);

/// More than most lines take.
const LINE_BYTES: usize = 1024;

/// What is known of a request when it is over (docs/design/contract.md 9.13).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    /// Protocol of the request.
    pub proto: http::Version,
    /// The request id, ours or the client's.
    pub request_id: &'a str,
    /// Trace id, if the request has one.
    pub trace_id: Option<&'a str>,
    /// The trusted client address.
    pub remote_addr: &'a str,
    /// Method as sent.
    pub method: &'a str,
    /// Status as answered; 499 if the client left before.
    pub status: u16,
    /// Path without query, secrets already redacted.
    pub path: &'a str,
    /// From the header's end to the response's end.
    pub duration: Duration,
    /// Bytes of the response body.
    pub bytes: u64,
    /// Bytes of the request body.
    pub bytes_in: u64,
    /// Id of the account in whose name it was forwarded.
    pub user: Option<&'a str>,
    /// The route's endpoint as configured.
    pub route: Option<&'a str>,
    /// Address of the node that was asked last.
    pub backend: Option<&'a str>,
    /// What it answered, and when its answer began.
    pub answered: Option<(u16, Duration)>,
    /// What the client says it is.
    pub user_agent: Option<&'a str>,
    /// Why it was refused; such a line is written at once.
    pub reason: Option<Reason>,
}

fn has_access_lines(level: LevelFilter) -> bool {
    level >= LevelFilter::INFO
}

/// The access lines of one worker.
#[derive(Debug)]
pub(crate) struct AccessLog {
    buffer: RefCell<Vec<u8>>,
    stamp: RefCell<Stamp>,
    first_line: Rc<Notify>,
    enabled: Cell<bool>,
    style: Style,
    clock: Clock,
    writer: LogWriter,
}

impl AccessLog {
    /// An access log for the calling worker; needs its local runtime, for the 200 ms.
    #[must_use]
    pub(crate) fn start(log: &Log) -> Rc<Self> {
        let first_line = Rc::new(Notify::new());
        let mut level = log.level.changes();
        let access = Rc::new(Self {
            buffer: RefCell::default(),
            stamp: RefCell::default(),
            first_line: Rc::clone(&first_line),
            enabled: Cell::new(has_access_lines(*level.borrow_and_update())),
            style: log.style,
            clock: log.clock.clone(),
            writer: log.writer.clone(),
        });
        let told = Rc::downgrade(&access);
        tokio::task::spawn_local(async move {
            while level.changed().await.is_ok()
                && let Some(access) = told.upgrade()
            {
                let level = *level.borrow_and_update();
                access.enabled.set(has_access_lines(level));
            }
        });
        let flushed = Rc::downgrade(&access);
        tokio::task::spawn_local(async move {
            // An idle worker sleeps here, without a timer.
            loop {
                first_line.notified().await;
                tokio::time::sleep(GATHER_TIME).await;
                match flushed.upgrade() {
                    Some(access) => access.flush(),
                    None => return,
                }
            }
        });
        access
    }

    /// Whether lines are written: what only they need is not gathered else.
    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled.get()
    }

    /// Adds the line of one request; nothing if the level is below info.
    pub(crate) fn write(&self, entry: &Entry<'_>) {
        if !self.enabled.get() {
            return;
        }
        let mut buffer = self.buffer.borrow_mut();
        let is_first = buffer.is_empty();
        if is_first && entry.reason.is_none() {
            // Room for all lines of a batch and the one that ends it, so that nothing is copied on the way there.
            buffer.reserve_exact(GATHER_BYTES + LINE_BYTES);
        }
        let mut stamp = self.stamp.borrow_mut();
        let time = (&mut *stamp, self.clock.now_millis());
        push_entry(&mut buffer, self.style, time, entry);
        let is_full = buffer.len() >= GATHER_BYTES;
        drop(buffer);
        if entry.reason.is_some() {
            self.flush();
        } else if is_full {
            self.writer.send_soon(self.buffer.take());
        } else if is_first {
            self.first_line.notify_one();
        }
    }

    /// Hands what is gathered to the writer, to be written at once.
    pub(crate) fn flush(&self) {
        let mut lines = self.buffer.take();
        if lines.is_empty() {
            return;
        }
        // What waits for the writer is bounded by its length, so it may not take much more room than that.
        if lines.len() < GATHER_BYTES / 2 {
            lines.shrink_to_fit();
        }
        self.writer.send(lines);
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.flush();
        // Lets the flushing task see that nobody is left.
        self.first_line.notify_one();
    }
}

fn push_entry(out: &mut Vec<u8>, style: Style, time: (&mut Stamp, i64), entry: &Entry<'_>) {
    let mut line = Line::begin(out, style, "info", time, "access-log");
    line.token(key!("proto"), protocol(entry.proto));
    line.text(key!("request-id"), entry.request_id);
    if let Some(trace_id) = entry.trace_id {
        line.text(key!("traceid"), trace_id);
    }
    line.token(key!("remote-addr"), entry.remote_addr);
    line.text(key!("method"), entry.method);
    line.integer(key!("status"), entry.status);
    line.text(key!("path"), entry.path);
    line.millis(key!("duration"), entry.duration);
    line.integer(key!("bytes"), entry.bytes);
    line.integer(key!("bytes-in"), entry.bytes_in);
    if let Some(user) = entry.user {
        line.text(key!("user"), user);
    }
    if let Some(route) = entry.route {
        line.text(key!("route"), route);
    }
    if let Some(backend) = entry.backend {
        line.text(key!("backend"), backend);
    }
    if let Some((status, after)) = entry.answered {
        line.integer(key!("backend-status"), status);
        line.millis(key!("backend-duration"), after);
    }
    if let Some(agent) = entry.user_agent {
        line.text(key!("user-agent"), agent);
    }
    if let Some(reason) = entry.reason {
        line.token(key!("reason"), reason.code());
    }
    line.end();
}

fn protocol(version: http::Version) -> &'static str {
    match version {
        http::Version::HTTP_10 => "HTTP/1.0",
        http::Version::HTTP_11 => "HTTP/1.1",
        http::Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::telemetry::LogLevel;
    use crate::telemetry::writer::tests::Kept;

    fn entry<'a>() -> Entry<'a> {
        Entry {
            proto: http::Version::HTTP_11,
            request_id: "0190-a",
            trace_id: None,
            remote_addr: "127.0.0.1",
            method: "PROPFIND",
            status: 207,
            path: "/dav/files",
            duration: Duration::from_micros(12_034),
            bytes: 5,
            bytes_in: 7,
            user: Some("u-1"),
            route: Some("/dav/"),
            backend: Some("127.0.0.1:9140"),
            answered: Some((207, Duration::from_millis(11))),
            user_agent: Some("rclone/1.60"),
            reason: None,
        }
    }

    fn local<T>(test: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build_local(tokio::runtime::LocalOptions::default())
            .unwrap()
            .block_on(test)
    }

    fn log(kept: &Kept) -> Log {
        Log {
            writer: LogWriter::start_on(kept.clone()).unwrap(),
            style: Style::Json,
            level: LogLevel::new(LevelFilter::INFO),
            clock: Clock::system(),
        }
    }

    #[test]
    fn a_line_has_the_fields_of_the_existing_service_and_those_of_the_way_behind() {
        let mut out = Vec::new();
        push_entry(&mut out, Style::Json, (&mut Stamp::default(), 0), &entry());
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"level\":\"info\",\"service\":\"proxy\",\"time\":\"1970-01-01T00:00:00.000Z\",\
             \"message\":\"access-log\",\"proto\":\"HTTP/1.1\",\"request-id\":\"0190-a\",\
             \"remote-addr\":\"127.0.0.1\",\"method\":\"PROPFIND\",\"status\":207,\
             \"path\":\"/dav/files\",\"duration\":12.034,\"bytes\":5,\"bytes-in\":7,\
             \"user\":\"u-1\",\"route\":\"/dav/\",\"backend\":\"127.0.0.1:9140\",\
             \"backend-status\":207,\"backend-duration\":11,\"user-agent\":\"rclone/1.60\"}\n"
        );
    }

    #[test]
    fn lines_wait_for_200_ms_or_16_kib_but_a_refusal_does_not() {
        local(async {
            let kept = Kept::default();
            let log = log(&kept);
            let access = AccessLog::start(&log);
            access.write(&entry());
            log.writer.flush();
            assert_eq!(kept.text(), "");
            // Long enough for a loaded machine; 200 ms where it is not.
            for _ in 0..200 {
                tokio::time::sleep(Duration::from_millis(50)).await;
                log.writer.flush();
                if !kept.text().is_empty() {
                    break;
                }
            }
            assert_eq!(kept.text().lines().count(), 1);

            access.write(&entry());
            access.write(&Entry {
                reason: Some(Reason::NoRoute),
                ..entry()
            });
            log.writer.flush();
            assert_eq!(kept.text().lines().count(), 3);

            for _ in 0..80 {
                access.write(&entry());
            }
            log.writer.flush();
            // Those that filled 16 KiB; the rest waits.
            assert!(kept.text().lines().count() > 40);
            drop(access);
            log.writer.flush();
            assert_eq!(kept.text().lines().count(), 83);
        });
    }

    #[test]
    fn lines_begin_and_end_with_the_level() {
        local(async {
            let kept = Kept::default();
            let log = log(&kept);
            let access = AccessLog::start(&log);
            for (level, expected) in [
                (LevelFilter::WARN, false),
                (LevelFilter::DEBUG, true),
                (LevelFilter::OFF, false),
            ] {
                log.level.set(level, "a test");
                while access.is_enabled() != expected {
                    tokio::task::yield_now().await;
                }
                access.write(&entry());
            }
            drop(access);
            log.writer.flush();
            assert_eq!(kept.text().lines().count(), 1);
        });
    }

    proptest! {
        #[test]
        fn row_126_whatever_a_client_sends_is_one_line_of_json(
            path in any::<String>(), id in any::<String>(), method in ".{0,40}", agent in any::<String>(),
            status in any::<u16>(), bytes in any::<u64>(), micros in any::<u64>(),
        ) {
            let entry = Entry {
                request_id: &id, path: &path, method: &method, status, bytes, user_agent: Some(&agent),
                duration: Duration::from_micros(micros), ..entry()
            };
            let mut out = Vec::new();
            push_entry(&mut out, Style::Json, (&mut Stamp::default(), 1_764_021_599_042), &entry);
            let line = out.strip_suffix(b"\n").unwrap();
            prop_assert!(!line.iter().any(|byte| *byte < 0x20 || *byte == 0x7f));
            let read: Value = serde_json::from_slice(line).unwrap();
            prop_assert!(path.starts_with(read["path"].as_str().unwrap()));
            prop_assert!(read["path"].as_str().unwrap().len() <= 1024);
            prop_assert_eq!(read["status"].as_u64(), Some(u64::from(status)));
            prop_assert_eq!(read["bytes"].as_u64(), Some(bytes));
        }
    }
}
