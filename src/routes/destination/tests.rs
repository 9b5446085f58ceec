use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::routes::fixture;

fn table() -> Table {
    let mut fresh = fixture::prefix("/dav/fresh/", "ocdav");
    fresh.max_age = Some(Duration::from_secs(60));
    let mut stripped = fixture::prefix("/files/", "ocdav");
    stripped.strip_prefix = Some("/files".to_owned());
    stripped.backend.base_path = "/base".to_owned();
    let mut routes = vec![fresh, stripped, fixture::open("/open/", "ocdav")];
    routes.extend(fixture::default_routes());
    fixture::table(routes)
}

/// `header: value` of a MOVE of `path`, below `root`.
fn rewritten(
    root: &str,
    path: &str,
    header: &'static str,
    value: &[u8],
) -> Result<String, RouteError> {
    let (table, root) = (table(), Root::new(root));
    let method = Method::from_bytes(b"MOVE").unwrap();
    let path = NormalPath::parse(path, None, &root).unwrap();
    let scope = DestinationScope {
        table: &table,
        root: &root,
        method: &method,
        route: table.find(&method, &path).unwrap(),
        hosts: &["cloud.example", "inner:9200"],
        upstream_host: "backend:8080",
        upstream_tls: false,
    };
    let mut headers = HeaderMap::new();
    headers.insert(header, HeaderValue::from_bytes(value).unwrap());
    for (name, value) in rewritten_destinations(&headers, scope)? {
        headers.insert(name, value);
    }
    Ok(String::from_utf8(headers[header].as_bytes().to_vec()).unwrap())
}

fn destination(value: &str) -> Result<String, RouteError> {
    rewritten("/", "/dav/a", "destination", value.as_bytes())
}

#[test]
fn a_destination_is_rewritten_as_the_request_is() {
    for (value, expected) in [
        (
            "https://cloud.example/dav/b%20c",
            "http://backend:8080/dav/b%20c",
        ),
        (
            "HTTP://CLOUD.example:443/dav/b",
            "http://backend:8080/dav/b",
        ),
        ("http://inner:9200//dav//b", "http://backend:8080/dav/b"),
        ("/dav/ü%2Fx", "/dav/%C3%BC%2Fx"),
        (
            "https://cloud.example/files/b",
            "http://backend:8080/base/b",
        ),
        (" /dav/b ", "/dav/b"),
    ] {
        assert_eq!(destination(value).as_deref(), Ok(expected), "{value}");
    }
    let below = rewritten(
        "/cloud",
        "/cloud/dav/a",
        "destination",
        b"https://cloud.example/cloud/dav/b",
    );
    assert_eq!(below.as_deref(), Ok("http://backend:8080/dav/b"));
}

#[test]
fn a_destination_elsewhere_is_refused() {
    for (value, error) in [
        ("https://evil/dav/b", RouteError::ForeignHost),
        ("https://cloud.example@evil/dav/b", RouteError::ForeignHost),
        ("https://cloud.example:1/dav/b", RouteError::ForeignHost),
        ("//evil/dav/b", RouteError::BadDestination),
        ("ftp://cloud.example/dav/b", RouteError::BadDestination),
        ("dav/b", RouteError::BadDestination),
        ("", RouteError::BadDestination),
        ("/graph/v1.0/me", RouteError::ForeignDestination),
        ("https://cloud.example", RouteError::ForeignDestination),
        ("/dav/%2e%2e/graph", RouteError::DotSegment),
        ("/dav/../graph", RouteError::DotSegment),
        ("/graph%2Fx", RouteError::EscapedSeparator),
        ("/dav/b#c", RouteError::BadTarget),
        ("/dav/fresh/b", RouteError::ForeignDestination),
    ] {
        assert_eq!(destination(value), Err(error), "{value}");
    }
    let outside = rewritten("/cloud", "/cloud/dav/a", "destination", b"/dav/b");
    assert_eq!(outside, Err(RouteError::ForeignDestination));
}

#[test]
fn a_request_without_login_cannot_name_a_protected_destination() {
    let secret = rewritten("/", "/open/a", "destination", b"/dav/b");
    assert_eq!(secret, Err(RouteError::ForeignDestination));
    let open = rewritten("/", "/open/a", "destination", b"/open/b");
    assert_eq!(open.as_deref(), Ok("/open/b"));
}

#[test]
fn two_destinations_are_refused() {
    let (table, root, method) = (table(), Root::default(), Method::GET);
    let path = NormalPath::parse("/dav/a", None, &root).unwrap();
    let scope = DestinationScope {
        table: &table,
        root: &root,
        method: &method,
        route: table.find(&method, &path).unwrap(),
        hosts: &[],
        upstream_host: "x",
        upstream_tls: false,
    };
    let mut headers = HeaderMap::new();
    assert_eq!(rewritten_destinations(&headers, scope), Ok(Vec::new()));
    headers.append(DESTINATION, HeaderValue::from_static("/dav/b"));
    headers.append(DESTINATION, HeaderValue::from_static("/dav/c"));
    let refused = rewritten_destinations(&headers, scope);
    assert_eq!(refused, Err(RouteError::BadDestination));
}

#[test]
fn tags_of_if_are_rewritten_and_the_rest_stays() {
    let value = br#"<https://cloud.example/dav/a> (<urn:uuid:1> ["e"])(Not <DAV:no-lock>) </dav/b>([W/"x>"])"#;
    let expected =
        r#"<http://backend:8080/dav/a> (<urn:uuid:1> ["e"])(Not <DAV:no-lock>) </dav/b>([W/"x>"])"#;
    assert_eq!(
        rewritten("/", "/dav/a", "if", value).as_deref(),
        Ok(expected)
    );
    let untagged = br#"(<opaquelocktoken:1>) (["<http://evil/>"])"#;
    let same = rewritten("/", "/dav/a", "if", untagged).unwrap();
    assert_eq!(same.as_bytes(), untagged);
}

#[test]
fn tags_of_if_elsewhere_and_malformed_lists_are_refused() {
    for (value, error) in [
        ("<http://evil/dav/a> (<x:1>)", RouteError::ForeignHost),
        ("</graph/x> (<x:1>)", RouteError::ForeignDestination),
        ("</dav/../x> (<x:1>)", RouteError::DotSegment),
    ] {
        let refused = rewritten("/", "/dav/a", "if", value.as_bytes());
        assert_eq!(refused, Err(error), "{value}");
    }
    for value in [
        "",
        "()",
        "(",
        "(<a>",
        "<a>",
        "</dav/a> </dav/b> (<x>)",
        "(<x>) </dav/a> (<x>)",
        "(x)",
        "(Nope <x>)",
        "(<>)",
        "([x])",
        "([\"x\")",
        "(<x>) y",
        "(<a<b>)",
        "(Not)",
        "(N",
    ] {
        let refused = rewritten("/", "/dav/a", "if", value.as_bytes());
        assert_eq!(refused, Err(RouteError::BadDestination), "{value}");
    }
}

proptest! {
    #[test]
    fn the_parser_never_panics_and_tags_stand_in_brackets(
        value in prop::collection::vec(prop::sample::select(&b"<>()[]\"W/Not aN\xff"[..]), 0..40),
    ) {
        for tag in resource_tags(&value).unwrap_or_default() {
            prop_assert_eq!(value[tag.start - 1], b'<');
            prop_assert_eq!(value[tag.end], b'>');
        }
    }

    #[test]
    fn what_the_grammar_makes_is_read_with_all_its_tags(
        lists in prop::collection::vec(
            ("</[a-z]{1,5}>", prop::collection::vec("(Not )?(<[a-z:]{1,6}>|\\[(W/)?\"[a-z<>()]{0,4}\"\\])", 1..4)),
            1..5,
        ),
        blank in "[ \t]{0,2}",
    ) {
        let text: String = lists
            .iter()
            .map(|(tag, conditions)| format!("{tag}{blank}({blank}{}){blank}", conditions.join(&blank)))
            .collect();
        let tags = resource_tags(text.as_bytes());
        let read: Option<Vec<String>> =
            tags.map(|tags| tags.into_iter().map(|tag| format!("<{}>", &text[tag])).collect());
        let made: Vec<String> = lists.into_iter().map(|(tag, _)| tag).collect();
        prop_assert_eq!(read, Some(made));
    }

    #[test]
    fn a_destination_never_panics(value in prop::collection::vec(any::<u8>(), 0..60)) {
        if HeaderValue::from_bytes(&value).is_ok() {
            let _ = rewritten("/", "/dav/a", "destination", &value);
        }
    }
}
