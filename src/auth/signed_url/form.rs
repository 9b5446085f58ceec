//! Paths and queries as Go's `net/url` writes them, byte for byte: what was signed is the text that it makes of them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// `QueryEscape`: everything but these, and a blank is `+`.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// `escape(path)`: what a path keeps besides.
const PATH: &AsciiSet = &QUERY
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b',')
    .remove(b'/')
    .remove(b':')
    .remove(b';')
    .remove(b'=')
    .remove(b'@');

/// The pairs of a query, in order, pieces that cannot be read left out (`ParseQuery` of a server).
pub(super) fn pairs(query: &str) -> Vec<(String, String)> {
    let pieces = query.split('&').filter(|piece| !piece.is_empty());
    pieces
        .filter_map(|piece| {
            if piece.contains(';') {
                return None;
            }
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            Some((unescape(name)?, unescape(value)?))
        })
        .collect()
}

/// The pairs sorted by name, those of one name in their order (`Values.Encode`).
pub(super) fn encode<'a>(pairs: impl Iterator<Item = &'a (String, String)>) -> String {
    let mut sorted: Vec<_> = pairs.collect();
    sorted.sort_by(|one, other| one.0.as_bytes().cmp(other.0.as_bytes()));
    let pair = |(name, value): &(String, String)| format!("{}={}", escape(name), escape(value));
    sorted.into_iter().map(pair).collect::<Vec<_>>().join("&")
}

/// The path as `EscapedPath` gives it: as it came where that is a valid way to write it, else escaped anew.
pub(super) fn path(raw: &str) -> String {
    let is_kept =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@[]%/".contains(&byte);
    if raw.bytes().all(is_kept) {
        return raw.to_owned();
    }
    let bytes: Vec<u8> = percent_decode_str(raw).collect();
    percent_encoding::percent_encode(&bytes, PATH).to_string()
}

fn escape(text: &str) -> String {
    utf8_percent_encode(text, QUERY)
        .to_string()
        .replace("%20", "+")
}

/// `None`: an escape is cut or no hex, or the bytes are no text.
fn unescape(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let is_hex = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
    let escapes = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%');
    for (at, _) in escapes {
        if !is_hex(at + 1) || !is_hex(at + 2) {
            return None;
        }
    }
    let with_blanks = text.replace('+', " ");
    let decoded = percent_decode_str(&with_blanks).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_query_is_sorted_by_name_and_written_anew() {
        let read = pairs("z=%C3%BC%20%26%3D~%2A&a=b%20c&a=a&b");
        assert_eq!(encode(read.iter()), "a=b+c&a=a&b=&z=%C3%BC+%26%3D~%2A");
    }

    #[test]
    fn pieces_that_cannot_be_read_are_left_out() {
        assert_eq!(pairs("a=1&b=%&c=%4&d=%zz&e=1;f=2&=x&&g=%ff").len(), 2);
        assert_eq!(
            pairs("a=1&=x"),
            [("a".into(), "1".into()), (String::new(), "x".into())]
        );
    }

    #[test]
    fn a_path_stays_as_it_came_if_it_may() {
        for kept in [
            "/a%20b/%C3%BC%26%2B%21.txt",
            "/s$p/x",
            "/s%24p/x",
            "/a!'()*[]",
        ] {
            assert_eq!(path(kept), kept);
        }
        assert_eq!(path("/a\"b/%24$!"), "/a%22b/$$%21");
        assert_eq!(path("/\u{fc}|"), "/%C3%BC%7C");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(list in proptest::collection::vec(any::<(String, String)>(), 0..6)) {
            let mut sorted = list.clone();
            sorted.sort_by(|one, other| one.0.as_bytes().cmp(other.0.as_bytes()));
            prop_assert_eq!(pairs(&encode(list.iter())), sorted.into_iter().collect::<Vec<_>>());
        }
    }
}
