//! Targets and Destinations of any bytes: what is matched is what is forwarded, and no other backend is reached.

use http::{HeaderMap, HeaderValue, Method, Uri};

use super::destination::{DestinationScope, rewritten_destinations};
use super::target::Target;
use super::{NormalPath, Root, Table, fixture, upstream_target};
use crate::config::routes::PathNames;
use crate::fuzz::fuzz;

const WORDS: [&str; 27] = [
    "/dav/",
    "/remote.php/",
    "/graph/",
    "/files/",
    "/status",
    "..",
    "%2e%2e",
    "%2f",
    "%5c",
    "%252f",
    ";",
    ";a=b",
    "//",
    "/./",
    "%00",
    "%c0%af",
    "%C3%A9",
    "é",
    "?",
    "#",
    "\\",
    "http://",
    "https://cloud.example",
    "@",
    ":443",
    "` |",
    "?preview=1",
];

fn table() -> Table {
    let mut stripped = fixture::prefix("/files/", "ocdav");
    stripped.strip_prefix = Some("/files".to_owned());
    let mut bytes = fixture::prefix("/bytes/", "ocdav");
    bytes.path_names = PathNames::Bytes;
    let mut routes = vec![stripped, bytes];
    routes.extend(fixture::default_routes());
    fixture::table(routes)
}

#[test]
fn fuzz_target() {
    let table = table();
    let roots = [Root::default(), Root::new("/cloud")];
    fuzz("target", &[], &WORDS, |bytes| {
        let (which, text) = bytes.split_first().unwrap_or((&0, &[]));
        let root = &roots[usize::from(*which % 2)];
        let Ok(uri) = Uri::try_from(text) else {
            return Err("no URI".to_owned());
        };
        let target = Target::parse(&Method::GET, &uri, root).map_err(|error| error.to_string())?;
        let Target::Path(path) = target else {
            return Err("the server".to_owned());
        };
        let forwarded = path.forwarded();
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\\#".contains(&byte);
        assert!(forwarded.bytes().all(is_plain), "{forwarded}");
        assert!(
            forwarded.starts_with('/') && !forwarded.contains("//"),
            "{forwarded}"
        );
        let dots = forwarded
            .split('/')
            .any(|segment| segment == "." || segment == "..");
        assert!(!dots, "{forwarded}");
        let again = NormalPath::parse(forwarded, path.query(), &Root::default());
        let again = again.unwrap_or_else(|error| panic!("{forwarded}: {error}"));
        assert_eq!(again.matched(), path.matched(), "{forwarded}");
        assert_eq!(again.forwarded(), forwarded);
        assert_eq!(again.query(), path.query());
        let route = table
            .find(&Method::GET, &path)
            .map_err(|error| error.to_string())?;
        let sent = upstream_target(route.settings(), &path, root);
        let sent = sent.path_and_query().into_owned();
        assert!(
            sent.starts_with('/') && sent.parse::<Uri>().is_ok(),
            "{sent}"
        );
        Ok((
            route.settings().endpoint.clone(),
            path.is_dav(),
            forwarded.contains('%'),
            path.query().is_some(),
        ))
    });
}

#[test]
fn fuzz_destination() {
    let table = table();
    let root = Root::default();
    let moves = Method::from_bytes(b"MOVE").unwrap();
    let path = NormalPath::parse("/dav/a", None, &root).unwrap();
    let scope = DestinationScope {
        table: &table,
        root: &root,
        method: &moves,
        route: table.find(&moves, &path).unwrap(),
        hosts: &["cloud.example", "inner:9200"],
        upstream_host: "backend:8080",
        upstream_tls: false,
    };
    fuzz("destination", &[], &WORDS, |bytes| {
        let (which, value) = bytes.split_first().unwrap_or((&0, &[]));
        let is_if = which % 2 == 1;
        let name = if is_if { "if" } else { "destination" };
        let Ok(value) = HeaderValue::from_bytes(value) else {
            return Err("no value".to_owned());
        };
        let mut headers = HeaderMap::new();
        headers.insert(name, value);
        let rewritten =
            rewritten_destinations(&headers, scope).map_err(|error| error.to_string())?;
        for (_, value) in &rewritten {
            let text = value.to_str().unwrap_or_default();
            assert!(
                !text.contains("cloud.example")
                    || text.contains('?')
                    || is_if
                    || text.starts_with("http://backend:8080/")
                    || text.starts_with('/'),
                "{text}"
            );
            if is_if {
                continue;
            }
            // What the backend makes of it is a path of a route that leads there, too.
            let target = text.strip_prefix("http://backend:8080").unwrap_or(text);
            let (target, query) = target
                .split_once('?')
                .map_or((target, None), |(t, q)| (t, Some(q)));
            let path = NormalPath::parse(target, query, &root)
                .unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(path.forwarded(), target, "{text}");
        }
        Ok((rewritten.len(), is_if))
    });
}
