//! One id for log, backend, client and refusal body.

use std::cell::Cell;

use http::{HeaderMap, HeaderName, HeaderValue};

/// The id of one request.
#[derive(Debug, Clone)]
pub(super) struct RequestId(HeaderValue);

/// Makes ids that are unique over workers, restarts and replicas: a random prefix per worker and a counter.
#[derive(Debug)]
pub(super) struct RequestIds {
    prefix: String,
    next: Cell<u64>,
}

/// Longest id of a client that is kept.
const MAX_LENGTH: usize = 128;

impl RequestId {
    /// The header, towards client and backend.
    pub(super) const NAME: HeaderName = HeaderName::from_static("x-request-id");

    pub(super) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    pub(super) fn value(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl RequestIds {
    pub(super) fn new() -> Self {
        Self {
            prefix: uuid::Uuid::now_v7().simple().to_string(),
            next: Cell::new(0),
        }
    }

    /// The client's own id if it is one and harmless, else a new one (docs/design/design.md 2, Request id).
    pub(super) fn of(&self, headers: &HeaderMap) -> RequestId {
        let mut sent = headers.get_all(RequestId::NAME).iter();
        match (sent.next(), sent.next()) {
            (Some(id), None) if is_harmless(id.as_bytes()) => RequestId(id.clone()),
            _ => self.make(),
        }
    }

    /// A new id.
    pub(super) fn make(&self) -> RequestId {
        let number = self.next.get();
        self.next.set(number.wrapping_add(1));
        let mut text = String::with_capacity(self.prefix.len() + 21);
        text.push_str(&self.prefix);
        text.push('-');
        text.push_str(itoa::Buffer::new().format(number));
        RequestId(HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("unknown")))
    }
}

fn is_harmless(id: &[u8]) -> bool {
    (1..=MAX_LENGTH).contains(&id.len()) && id.iter().all(|byte| (0x20..0x7f).contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(
                RequestId::NAME,
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        RequestIds::new().of(&headers).as_str().to_owned()
    }

    #[test]
    fn a_harmless_id_is_kept() {
        assert_eq!(of(&["abc-1"]), "abc-1");
    }

    #[test]
    fn a_long_odd_or_doubled_id_is_replaced() {
        for sent in [
            vec!["x".repeat(129)],
            vec!["ä".to_owned()],
            vec![String::new()],
            vec!["a".into(), "b".into()],
        ] {
            let sent: Vec<&str> = sent.iter().map(String::as_str).collect();
            assert!(!sent.contains(&of(&sent).as_str()));
        }
    }
}
