//! `Retry-After` of an answer (RFC 9110 section 10.2.3): seconds, or a date by the remote's own clock.

use std::time::Duration;

use http::HeaderMap;
use http::header::{DATE, HeaderName, RETRY_AFTER};

use super::Answer;

/// What is meant by no word, or none that can be read.
const SHORTEST: Duration = Duration::from_secs(1);
/// A remote cannot silence us for longer than this.
const LONGEST: Duration = Duration::from_secs(300);

impl Answer {
    /// When the remote wants to be asked again: one second to five minutes.
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        wanted(&self.headers)
            .unwrap_or(SHORTEST)
            .clamp(SHORTEST, LONGEST)
    }
}

fn wanted(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let after = text(RETRY_AFTER)?;
    if after.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number holds are a long time too.
        return Some(after.parse().map_or(LONGEST, Duration::from_secs));
    }
    // Both dates are of the remote's clock, so that a difference between the clocks does not matter.
    let until = httpdate::parse_http_date(after).ok()?;
    let sent = httpdate::parse_http_date(text(DATE)?).ok()?;
    until.duration_since(sent).ok()
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, StatusCode};

    use super::*;

    fn seconds(after: &str, date: Option<&'static str>) -> u64 {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(after).unwrap());
        if let Some(date) = date {
            headers.insert(DATE, HeaderValue::from_static(date));
        }
        let answer = Answer {
            status: StatusCode::TOO_MANY_REQUESTS,
            headers,
            body: bytes::Bytes::new(),
        };
        answer.retry_after().as_secs()
    }

    #[test]
    fn f3_seconds_are_honoured_and_capped() {
        assert_eq!(seconds("7", None), 7);
        assert_eq!(seconds("0", None), 1);
        assert_eq!(seconds("999999999", None), 300);
        assert_eq!(seconds(&"9".repeat(40), None), 300);
        assert_eq!(seconds("soon", None), 1);
    }

    #[test]
    fn f3_a_date_counts_by_the_remotes_own_clock() {
        let date = Some("Tue, 01 Apr 2031 10:00:00 GMT");
        assert_eq!(seconds("Tue, 01 Apr 2031 10:00:40 GMT", date), 40);
        assert_eq!(seconds("Tue, 01 Apr 2031 09:00:00 GMT", date), 1);
        assert_eq!(seconds("Fri, 01 Apr 2061 10:00:00 GMT", date), 300);
        assert_eq!(seconds("Tue, 01 Apr 2031 10:00:40 GMT", None), 1);
        assert_eq!(seconds("40 minutes", date), 1);
    }
}
