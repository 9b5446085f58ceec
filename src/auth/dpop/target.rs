//! The URL a proof is about, in a form in which two spellings of one URL are equal.

use url::Url;

/// Scheme, host, port and path of a request (RFC 9449 section 4.3, normalised by RFC 3986 section 6.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    origin: String,
    path: String,
}

impl Target {
    /// Reads an absolute URL. Query and fragment do not count.
    #[must_use]
    pub fn parse(url: &str) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        let is_plain = url.username().is_empty() && url.password().is_none();
        (is_plain && matches!(url.scheme(), "http" | "https")).then(|| Self {
            origin: url.origin().ascii_serialization(),
            path: normal(url.path()),
        })
    }
}

/// Escapes in capital letters, and none where none is needed.
fn normal(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let byte = after
            .get(..2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                out.push(char::from(byte));
                rest = &after[2..];
            }
            Some(byte) => {
                out.push_str(&format!("%{byte:02X}"));
                rest = &after[2..];
            }
            None => {
                out.push('%');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_same(one: &str, other: &str) -> bool {
        let (one, other) = (Target::parse(one), Target::parse(other));
        one.is_some() && one == other
    }

    #[test]
    fn spellings_of_one_url_are_equal() {
        let url = "https://cloud.example/dav/a%20b/%C3%A9~";
        for other in [
            "HTTPS://Cloud.Example:443/dav/a%20b/%c3%a9%7e",
            "https://cloud.example/dav/a%20b/%C3%A9~?query#fragment",
            "https://cloud.example/x/../dav/a b/é~",
        ] {
            assert!(is_same(url, other), "{other}");
        }
        for other in [
            "http://cloud.example/dav/a%20b/%C3%A9~",
            "https://cloud.example:8443/dav/a%20b/%C3%A9~",
            "https://other.example/dav/a%20b/%C3%A9~",
            "https://cloud.example/dav/a%20b/%C3%A9~/",
            "https://cloud.example/dav%2Fa%20b/%C3%A9~",
            "https://u:p@cloud.example/dav/a%20b/%C3%A9~",
            "/dav/a%20b/%C3%A9~",
            "ftp://cloud.example/dav/a%20b/%C3%A9~",
        ] {
            assert!(!is_same(url, other), "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_escape_becomes_a_separator_or_two_spellings_two_targets(path in "[a-zA-Z0-9%/._~é-]{0,40}") {
            let once = normal(&path);
            prop_assert_eq!(once.matches('/').count(), path.matches('/').count());
            let url = format!("https://a.example/{path}");
            prop_assert_eq!(Target::parse(&url), Target::parse(&format!("{url}?query")));
        }
    }
}
