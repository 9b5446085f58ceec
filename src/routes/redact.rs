//! Paths as they may be logged.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use super::Root;

/// What is secret in a path: whoever has the text may go there.
struct Secret {
    /// The segments before it.
    before: &'static [&'static str],
    /// Whether what follows it may be seen.
    rest_is_open: bool,
}

const fn one(before: &'static [&'static str]) -> Secret {
    Secret {
        before,
        rest_is_open: true,
    }
}

/// Transfer tokens, and the tokens of links and of shares with other servers.
const SECRETS: [Secret; 8] = [
    Secret {
        before: &["data"],
        rest_is_open: false,
    },
    one(&["s"]),
    one(&["dav", "public-files"]),
    one(&["dav", "ocm"]),
    one(&["remote.php", "dav", "public-files"]),
    one(&["remote.php", "dav", "ocm"]),
    one(&["files", "link", "public"]),
    one(&[
        "ocs",
        ANY,
        "apps",
        "files_sharing",
        "api",
        "v1",
        "tokeninfo",
        ANY,
    ]),
];

/// A segment whatever it says: a version, or whether a login is asked for.
const ANY: &str = "*";

/// The path for the access log, with `***` in place of what is secret. Queries hold `OC-Signature` and `access_token` and
/// are never logged, so one that is passed in is cut off.
///
/// It takes the path as the client sent it, because refused requests are logged too.
#[must_use]
pub(crate) fn redacted_path<'p>(path: &'p str, root: &Root) -> Cow<'p, str> {
    let path = without_query(path);
    if root.as_str().is_empty() && begins_elsewhere(path.as_bytes()) {
        return Cow::Borrowed(path);
    }
    let mut root = root.as_str().split('/').filter(|part| !part.is_empty());
    // One bit for each of the secrets that the path may still lead to.
    let mut possible = (1_u16 << SECRETS.len()) - 1;
    let mut depth = 0;
    let mut at = 0;
    for segment in path.as_bytes().split(|byte| *byte == b'/') {
        let start = at;
        at += segment.len() + 1;
        if segment.is_empty() || segment == b"." {
            continue;
        }
        let is_escaped = segment.contains(&b'%');
        let is = |word: &str| {
            word == ANY
                || segment == word.as_bytes()
                || is_escaped && percent_decode(segment).eq(word.bytes())
        };
        if let Some(word) = root.next() {
            if is(word) {
                continue;
            }
            return Cow::Borrowed(path);
        }
        let mut untried = possible;
        while let Some(secret) = SECRETS.get(untried.trailing_zeros() as usize) {
            let bit = untried & untried.wrapping_neg();
            untried &= !bit;
            match secret.before.get(depth) {
                Some(word) if is(word) => {}
                Some(_) => possible &= !bit,
                None => {
                    let rest = path.get(start + segment.len()..).unwrap_or_default();
                    let rest = if secret.rest_is_open { rest } else { "" };
                    return Cow::Owned(format!("{}***{rest}", &path[..start]));
                }
            }
        }
        if possible == 0 {
            return Cow::Borrowed(path);
        }
        depth += 1;
    }
    Cow::Borrowed(path)
}

/// Whether the first segment cannot begin one of the secrets' paths in any spelling, as with many paths.
fn begins_elsewhere(path: &[u8]) -> bool {
    let may_begin =
        |byte: u8| matches!(byte, b'd' | b's' | b'r' | b'f' | b'o' | b'%' | b'/' | b'.');
    matches!(path, [b'/', first, ..] if !may_begin(*first))
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
            ("/graph/v1.0/me?access_token=y", "/graph/v1.0/me"),
            ("*", "*"),
        ] {
            assert_eq!(redacted_path(path, &none), logged, "{path}");
        }
        assert_eq!(
            redacted_path("/cloud/data/eyJ", &Root::new("/cloud")),
            "/cloud/data/***"
        );
    }

    #[test]
    fn issue_15_10_links_are_never_logged() {
        let none = Root::default();
        let tokeninfo = "apps/files_sharing/api/v1/tokeninfo";
        for below in [
            "/s",
            "/dav/public-files",
            "/remote.php/dav/public-files",
            "/dav/ocm",
            "/remote.php/dav/ocm",
            "/files/link/public",
            &format!("/ocs/v1.php/{tokeninfo}/unprotected"),
            &format!("/ocs/v2.php/{tokeninfo}/protected"),
        ] {
            for (spelling, rest) in [
                (below.to_owned(), ""),
                (below.to_owned(), "/"),
                (below.to_owned(), "/folder/a%20b.txt"),
                (below.replace('/', "//"), "//a"),
                (below.replace('s', "%73"), "/a"),
                (below.replace('/', "/./"), ""),
            ] {
                let path = format!("{spelling}/PYvPzCcTgAbKyGd{rest}");
                let logged = redacted_path(&path, &none);
                assert_eq!(logged, format!("{spelling}/***{rest}"), "{path}");
                let root = Root::new("/cloud");
                let logged = redacted_path(&path, &root);
                assert_eq!(logged, path, "outside of the root nothing is served");
                let inside = format!("/cloud{path}");
                let logged = redacted_path(&inside, &root);
                assert!(!logged.contains("PYvPzCcTgAbKyGd"), "{logged}");
            }
        }
        for harmless in [
            "/s",
            "/s/",
            "/settings/x",
            "/dav/spaces/a",
            "/files/link/a",
            "/ocs/v1.php/x",
        ] {
            assert_eq!(redacted_path(harmless, &none), harmless);
        }
    }

    proptest::proptest! {
        #[test]
        fn redacting_never_panics(path in "\\PC{0,40}") {
            let _ = redacted_path(&path, &Root::new("/cloud"));
            let _ = redacted_path(&path, &Root::default());
        }
    }
}
