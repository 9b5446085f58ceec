//! A head kept for the one repetition on a fresh connection.

use std::fmt;

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use super::head::Head;

/// A head as bytes. Nearly no spare is ever used, and copying bytes costs less than a clone, which counts the holders of every
/// value up and down again (docs/performance.md).
pub(super) struct Spare {
    method: Method,
    /// The target, then each field as `MARK NAME:VALUE`, each ended by a line feed, which neither may have.
    lines: Vec<u8>,
}

/// Marks of a field: whether HTTP/2 may keep the value in its tables (RFC 7541 section 7.1.3).
const PLAIN: u8 = b' ';
const SENSITIVE: u8 = b'!';

impl Spare {
    pub(super) fn of(head: &Head) -> Self {
        let target = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let fields = head.headers.iter();
        let length: usize = fields.map(|(n, v)| n.as_str().len() + v.len() + 3).sum();
        let mut lines = Vec::with_capacity(target.len() + 1 + length);
        lines.extend_from_slice(target.as_bytes());
        lines.push(b'\n');
        for (name, value) in &head.headers {
            lines.push(if value.is_sensitive() {
                SENSITIVE
            } else {
                PLAIN
            });
            lines.extend_from_slice(name.as_str().as_bytes());
            lines.push(b':');
            lines.extend_from_slice(value.as_bytes());
            lines.push(b'\n');
        }
        let method = head.method.clone();
        Self { method, lines }
    }

    pub(super) fn method(&self) -> &Method {
        &self.method
    }

    /// The head again. `None` cannot be: what was a head is one.
    pub(super) fn into_head(self) -> Option<Head> {
        let mut lines = self.lines.split(|byte| *byte == b'\n');
        let target = PathAndQuery::try_from(lines.next()?).ok()?;
        let mut headers = HeaderMap::new();
        for line in lines {
            // After the last line feed nothing comes.
            let Some((mark, field)) = line.split_first() else {
                continue;
            };
            let colon = field.iter().position(|byte| *byte == b':')?;
            let (name, value) = field.split_at_checked(colon)?;
            let mut value = HeaderValue::from_bytes(value.get(1..)?).ok()?;
            value.set_sensitive(*mark == SENSITIVE);
            headers.append(HeaderName::from_bytes(name).ok()?, value);
        }
        Some(Head {
            method: self.method,
            uri: Uri::from(target),
            headers,
        })
    }
}

/// Without the fields: tokens are among them.
impl fmt::Debug for Spare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spare")
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fields() -> impl Strategy<Value = Vec<(HeaderName, HeaderValue)>> {
        let value = prop::collection::vec(prop_oneof![Just(b'\t'), 32_u8..127, 128_u8..], 0..40);
        let field = ("[!#$%&'*+.^_`|~0-9a-z-]{1,20}", value, any::<bool>());
        let parsed = field.prop_map(|(name, value, sensitive)| {
            let mut value = HeaderValue::from_bytes(&value).unwrap();
            value.set_sensitive(sensitive);
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), value)
        });
        prop::collection::vec(parsed, 0..20)
    }

    proptest! {
        #[test]
        fn a_spare_is_the_head_it_was_made_of(
            fields in fields(), twice in any::<bool>(), target in "/[!-~&&[^#<>\"`\\\\^{|}]]{0,40}",
        ) {
            let mut headers: HeaderMap = fields.iter().cloned().collect();
            if twice {
                for (name, value) in fields {
                    headers.append(name, value);
                }
            }
            let head = Head {
                method: Method::from_bytes(b"PROPFIND").unwrap(),
                uri: Uri::try_from(target).unwrap(),
                headers,
            };
            let again = Spare::of(&head).into_head().unwrap();
            prop_assert_eq!(&again.method, &head.method);
            prop_assert_eq!(&again.uri, &head.uri);
            let all = |head: &Head| -> Vec<_> {
                let field = |(name, value): (&HeaderName, &HeaderValue)| {
                    (name.clone(), value.clone(), value.is_sensitive())
                };
                head.headers.iter().map(field).collect()
            };
            prop_assert_eq!(all(&again), all(&head));
        }
    }

    #[test]
    fn what_a_log_may_show_of_a_spare_has_no_token() {
        let mut head = Head {
            method: Method::GET,
            uri: Uri::from_static("/"),
            headers: HeaderMap::new(),
        };
        let token = HeaderValue::from_static("secret");
        head.headers.insert("x-access-token", token);
        let shown = format!("{:?}", Spare::of(&head));
        assert_eq!(shown, "Spare { method: GET, .. }");
    }
}
