use proptest::prelude::*;

use super::*;

fn parse(path: &str) -> Result<NormalPath<'_>, RouteError> {
    NormalPath::parse(path, None, &Root::default())
}

fn refusal(path: &str) -> RouteError {
    match parse(path) {
        Ok(path) => panic!("accepted as {path:?}"),
        Err(error) => error,
    }
}

#[test]
fn ordinary_paths_are_borrowed_as_they_are() {
    for path in [
        "/",
        "/dav/spaces/a$b/x.txt",
        "/graph/v1.0/me",
        "/.well-known/x",
    ] {
        let normal = parse(path).unwrap();
        assert!(matches!(normal.matched, Cow::Borrowed(text) if text == path));
        assert!(matches!(normal.forwarded, Cow::Borrowed(text) if text == path));
    }
}

#[test]
fn row_48_dot_segments_are_refused() {
    for path in [
        "/data/../graph/v1.0/users",
        "/status/../graph/",
        "/dav/public-files/../spaces/x",
        "/x/..",
        "/./graph",
        "/konnect/v1/token/../../graph",
    ] {
        assert_eq!(refusal(path), RouteError::DotSegment, "{path}");
    }
    for path in ["/...", "/..x/y", "/a../b", "/.hidden"] {
        assert!(parse(path).is_ok(), "{path}");
    }
}

#[test]
fn row_49_dot_segments_with_parameters_are_refused() {
    for path in ["/data/..;/graph/", "/data/.;x/../graph", "/a/..%3Bx/b"] {
        assert_eq!(refusal(path), RouteError::DotSegment, "{path}");
    }
}

#[test]
fn row_50_escaped_dots_are_dots_and_double_escaped_ones_are_literal() {
    for path in ["/data/%2e%2e/graph", "/data/%2E./graph", "/data/.%2e/graph"] {
        assert_eq!(refusal(path), RouteError::DotSegment, "{path}");
    }
    let literal = parse("/data/%252e%252e/graph").unwrap();
    assert_eq!(literal.matched(), "/data/%2e%2e/graph");
    assert_eq!(literal.forwarded(), "/data/%252e%252e/graph");
}

#[test]
fn row_51_escaped_separators_are_kept_and_told() {
    for path in [
        "/data%2f..%2fgraph",
        "/data/x%5c..%5cgraph",
        "/dav/x/a%2F..%2Fb",
        "/dav/x/a%5C..",
    ] {
        assert_eq!(refusal(path), RouteError::DotSegment, "{path}");
    }
    let name = parse("/dav/spaces/a%2fb%5Cc").unwrap();
    assert_eq!(name.matched(), "/dav/spaces/a%2Fb%5Cc");
    assert_eq!(name.forwarded(), "/dav/spaces/a%2fb%5Cc");
    assert_eq!(name.other_readings(), ["/dav/spaces/a/b/c"]);
    assert_eq!(name.odd_name(), Some(RouteError::EscapedSeparator));
    let merged = parse("/cool/https%3A%2F%2Fa/ws").unwrap();
    assert_eq!(merged.other_readings(), ["/cool/https:/a/ws"]);
}

#[test]
fn issue_26_bytes_that_are_not_utf_8_are_kept_and_told() {
    for (path, matched) in [
        ("/dav/%E4", "/dav/%E4"),
        ("/dav/%e4%fc/b", "/dav/%E4%FC/b"),
        ("/dav/\u{fc}%ff%C3%BC", "/dav/\u{fc}%FF\u{fc}"),
        ("/dav/%c3", "/dav/%C3"),
        ("/dav/%80%bf", "/dav/%80%BF"),
    ] {
        let name = parse(path).unwrap();
        assert_eq!(name.matched(), matched, "{path}");
        assert_eq!(name.odd_name(), Some(RouteError::BadTarget), "{path}");
        assert!(name.other_readings().is_empty(), "{path}");
    }
}

#[test]
fn issue_26_dots_separators_and_controls_in_longer_forms_are_what_they_are() {
    let dot = [
        "%c0%ae",
        "%e0%80%ae",
        "%f0%80%80%ae",
        "%f8%80%80%80%ae",
        "%fc%80%80%80%80%ae",
    ];
    for dot in dot {
        for path in [
            format!("/a/{dot}{dot}/b"),
            format!("/a/.{dot}"),
            format!("/{dot}/b"),
        ] {
            assert_eq!(refusal(&path), RouteError::DotSegment, "{path}");
        }
    }
    for (slash, backslash) in [("%c0%af", "%c1%9c"), ("%e0%80%af", "%e0%81%9c")] {
        for separator in [slash, backslash] {
            let path = format!("/a/x{separator}..{separator}b");
            assert_eq!(refusal(&path), RouteError::DotSegment, "{path}");
            let path = format!("/a{separator}b");
            assert_eq!(parse(&path).unwrap().other_readings(), ["/a/b"], "{path}");
        }
    }
    for control in ["%c0%80", "%c0%8a", "%e0%80%8d", "%c1%bf"] {
        assert_eq!(
            refusal(&format!("/a{control}b")),
            RouteError::BadTarget,
            "{control}"
        );
    }
    let letter = parse("/gr%c1%a1ph/x").unwrap();
    assert_eq!(letter.other_readings(), ["/graph/x"]);
}

#[test]
fn issue_10_parameters_of_segments_are_told() {
    for (path, reading) in [
        ("/graph;x/v1.0", "/graph/v1.0"),
        ("/graph%3Bx/v1.0", "/graph/v1.0"),
        ("/;x/graph", "/graph"),
        ("/a;b=c/d;e", "/a/d"),
        ("/a;", "/a"),
    ] {
        let normal = parse(path).unwrap();
        assert_eq!(normal.other_readings(), [reading], "{path}");
        assert_eq!(normal.odd_name(), None, "{path}");
    }
    let both = parse("/a%2Fb;x/c").unwrap();
    assert_eq!(both.other_readings(), ["/a/b;x/c", "/a/b/c"]);
}

#[test]
fn issue_26_a_backtick_stands_in_a_query_and_in_no_path() {
    let path = NormalPath::parse("/a", Some("q=`x`&y={|}^"), &Root::default()).unwrap();
    assert_eq!(path.query(), Some("q=`x`&y={|}^"));
    assert_eq!(refusal("/a`b"), RouteError::BadTarget);
}

#[test]
fn row_53_slashes_are_merged() {
    let path = parse("//graph///v1.0/me").unwrap();
    assert_eq!(path.matched(), "/graph/v1.0/me");
    assert_eq!(path.forwarded(), "/graph/v1.0/me");
    assert_eq!(parse("///status").unwrap().matched(), "/status");
}

#[test]
fn row_54_broken_escapes_and_control_bytes_are_refused() {
    for path in [
        "/a%00b",
        "/a%0d%0aX: y",
        "/a%zz",
        "/a%",
        "/a%2",
        "/a%7f",
        "/a\u{1}b",
    ] {
        assert_eq!(refusal(path), RouteError::BadTarget, "{path}");
    }
}

#[test]
fn row_55_a_backslash_is_refused_and_raw_utf8_is_escaped_once() {
    assert_eq!(refusal(r"/a\..\b"), RouteError::BadTarget);
    let path = parse("/dav/ü/%C3%BC").unwrap();
    assert_eq!(path.matched(), "/dav/ü/ü");
    assert_eq!(path.forwarded(), "/dav/%C3%BC/%C3%BC");
}

#[test]
fn row_57_a_fragment_is_refused() {
    assert_eq!(refusal("/graph/#/status"), RouteError::BadTarget);
    let query = NormalPath::parse("/a", Some("b#c"), &Root::default());
    assert_eq!(query, Err(RouteError::BadTarget));
}

#[test]
fn row_19_a_long_target_is_refused() {
    let long = format!("/{}", "a".repeat(MAX_TARGET));
    assert_eq!(refusal(&long), RouteError::TargetTooLong);
    assert!(parse(&long[..MAX_TARGET]).is_ok());
    let query = NormalPath::parse("/a", Some(&long[3..]), &Root::default());
    assert_eq!(query, Err(RouteError::TargetTooLong));
}

#[test]
fn the_root_comes_off_in_every_spelling() {
    let root = Root::new("/cloud/");
    for (path, matched, forwarded) in [
        ("/cloud/dav/a", "/dav/a", "/dav/a"),
        ("/cloud", "/", "/"),
        ("/cloud/", "/", "/"),
        ("/cl%6Fud/dav/a%20b", "/dav/a b", "/dav/a%20b"),
        ("//cloud//x", "/x", "/x"),
        ("/cloud/dav/a%2Fb", "/dav/a%2Fb", "/dav/a%2Fb"),
    ] {
        let normal = NormalPath::parse(path, None, &root).unwrap();
        assert_eq!((normal.matched(), normal.forwarded()), (matched, forwarded));
    }
    for path in ["/clouds/x", "/dav/x", "/"] {
        let outside = NormalPath::parse(path, None, &root);
        assert_eq!(outside, Err(RouteError::OutsideRoot), "{path}");
    }
    let outside = NormalPath::parse("/cloud%2Fdav/a", None, &root);
    assert_eq!(outside, Err(RouteError::EscapedSeparator));
}

/// Any text that is mostly made of what path rules are about.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("/"),
        Just("."),
        Just(".."),
        Just(";"),
        Just("%2f"),
        Just("%2F"),
        Just("%5c"),
        Just("%2e"),
        Just("%25"),
        Just("%00"),
        Just("%"),
        Just("dav"),
        Just("%64av"),
        Just("public-files"),
        Just("data"),
        Just("ü"),
        Just("%C3%BC"),
        Just("%c0%ae"),
        Just("%E4"),
        Just(";x"),
        Just("\\"),
        Just("a"),
    ];
    prop::collection::vec(piece, 0..14).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #[test]
    fn nothing_panics(path in "\\PC{0,60}", root in "/?[a-z]{0,3}/?") {
        let _ = NormalPath::parse(&path, Some(&path), &Root::new(&root));
    }

    #[test]
    fn a_forwarded_path_normalises_to_itself(path in hostile()) {
        if let Ok(normal) = parse(&path) {
            let again = parse(normal.forwarded()).unwrap();
            prop_assert_eq!(again.forwarded(), normal.forwarded());
            prop_assert_eq!(again.matched(), normal.matched());
        }
    }

    #[test]
    fn what_is_matched_is_what_a_backend_decodes(path in hostile()) {
        if let Ok(normal) = parse(&path) {
            let decoded = percent_encoding::percent_decode_str(normal.forwarded())
                .decode_utf8_lossy();
            if normal.odd_name().is_none() {
                prop_assert_eq!(decoded.as_ref(), normal.matched());
            }
            for reading in normal.other_readings() {
                prop_assert!(reading.starts_with('/') && !reading.contains("//"), "{}", reading);
            }
            prop_assert!(decoded.split(['/', '\\']).all(|segment| !matches!(segment, "." | "..")));
        }
    }

    #[test]
    fn escaping_a_letter_changes_nothing_that_is_matched(
        path in "(/[a-z.]{1,6}){1,4}", at in any::<prop::sample::Index>(),
    ) {
        let at = at.index(path.len());
        let byte = path.as_bytes()[at];
        prop_assume!(byte != b'/');
        let escaped = format!("{}%{byte:02x}{}", &path[..at], &path[at + 1..]);
        match (parse(&path), parse(&escaped)) {
            (Ok(plain), Ok(escaped)) => prop_assert_eq!(plain.matched(), escaped.matched()),
            (plain, escaped) => prop_assert_eq!(plain.err(), escaped.err()),
        }
    }
}
