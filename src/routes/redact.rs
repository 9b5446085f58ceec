//! Paths as they may be logged.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::Root;

/// The path for the access log: what stands below `/data/` is a transfer token and becomes `***`. Queries hold
/// `OC-Signature` and `access_token` and are never logged, so one that is passed in is cut off.
///
/// It takes the path as the client sent it, because refused requests are logged too.
#[must_use]
pub fn redacted_path<'p>(path: &'p str, root: &Root) -> Cow<'p, str> {
    if root.as_str().is_empty() && begins_elsewhere(path.as_bytes()) {
        return Cow::Borrowed(without_query(path));
    }
    let path = without_query(path);
    let mut expected = root
        .as_str()
        .split('/')
        .filter(|segment| !segment.is_empty())
        .chain(["data"]);
    let mut at = 0;
    for segment in path.split('/') {
        at += segment.len() + 1;
        if segment.is_empty() || segment == "." {
            continue;
        }
        match expected.next() {
            Some(word) if percent_decode_str(segment).eq(word.bytes()) => {}
            Some(_) => return Cow::Borrowed(path),
            None => return Cow::Owned(format!("{}***", &path[..at - segment.len() - 1])),
        }
    }
    Cow::Borrowed(path)
}

/// Whether the first segment cannot be `data` in any spelling, as with most paths.
fn begins_elsewhere(path: &[u8]) -> bool {
    matches!(path, [b'/', first, ..] if !matches!(first, b'd' | b'%' | b'/' | b'.'))
}

fn without_query(path: &str) -> &str {
    let end = memchr::memchr2(b'?', b'#', path.as_bytes());
    end.and_then(|end| path.get(..end)).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_44_tokens_in_path_and_query_are_never_logged() {
        let none = Root::default();
        for (path, logged) in [
            ("/data/eyJ.x.y", "/data/***"),
            ("//data//eyJ/x", "//data//***"),
            ("/%64ata/eyJ", "/%64ata/***"),
            ("/data/", "/data/"),
            ("/data", "/data"),
            ("/database/x", "/database/x"),
            ("/dav/data/x", "/dav/data/x"),
            ("/dav/x?access_token=y", "/dav/x"),
            ("/dav/x?OC-Signature=y", "/dav/x"),
            ("*", "*"),
        ] {
            assert_eq!(redacted_path(path, &none), logged, "{path}");
        }
        assert_eq!(
            redacted_path("/cloud/data/eyJ", &Root::new("/cloud")),
            "/cloud/data/***"
        );
    }

    proptest::proptest! {
        #[test]
        fn redacting_never_panics(path in "\\PC{0,40}") {
            let _ = redacted_path(&path, &Root::new("/cloud"));
        }
    }
}
