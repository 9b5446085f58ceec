//! What header work costs per request: the match of names, the cleaning of a head as a sync client sends it, and the
//! making of the backend's.

use std::hint::black_box;

use davgate::door::config::Mfa;
use davgate::door::headers::{Class, IdentityHeaders, Reserved, classify};
use davgate::door::routes::{NormalPath, Root, upstream_target};
use davgate::door::upstream::{Ingress, backend_headers};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};

use super::Case;
use super::many_routes::table;

const SYNC_CLIENT: [(&str, &str); 10] = [
    ("host", "files.example.org"),
    ("user-agent", "Mozilla/5.0 (Linux) mirall/5.3.1"),
    ("accept", "*/*"),
    ("accept-encoding", "gzip, deflate, br"),
    ("accept-language", "en-GB,*"),
    ("connection", "keep-alive"),
    ("authorization", "Bearer token"),
    ("x-request-id", "9be6a8dc-5f4c-4b0f-9a3c-8f6d3f3f4c6b"),
    (
        "original-request-id",
        "9be6a8dc-5f4c-4b0f-9a3c-8f6d3f3f4c6b",
    ),
    ("cookie", "a=b"),
];

const PATH: &str = "/dav/spaces/some-space/folder/file.txt";

pub(super) fn cases() -> Vec<Case> {
    let headers = head();
    let names = headers.clone();
    let (copied, cleaned) = (request(&headers), request(&headers));
    let reserved = Reserved::default();
    let classify_ten = move || {
        let is_special =
            |name: &&HeaderName| classify(black_box(name.as_str().as_bytes())) != Class::Free;
        names.keys().filter(is_special).count()
    };
    let clean = move || reserved.clean(cleaned.clone());
    vec![
        Case::new("headers_classify_ten", classify_ten),
        // The share of the two below that is only their own preparation.
        Case::new("headers_copy", move || copied.clone()),
        Case::new("headers_copy_strip", clean),
        rewrite(&headers),
    ]
}

/// From the client's head to the backend's: what is forgeable goes, forwarding and identity headers come.
fn rewrite(headers: &HeaderMap) -> Case {
    let request = request(headers);
    let text = HeaderValue::from_static;
    let ingress = Ingress {
        client: text("192.0.2.7"),
        scheme: text("https"),
        host: text("files.example.org"),
        own_host: text("files.example.org"),
        request_id: text("9be6a8dc-5f4c-4b0f-9a3c-8f6d3f3f4c6b"),
    };
    let identity = IdentityHeaders {
        access_token: Some(HeaderValue::from_str(&"r".repeat(900)).unwrap()),
        remote: None,
    };
    let mfa = Mfa {
        header: false,
        enabled: false,
        auth_level_names: Vec::new(),
    };
    let (reserved, root, table) = (Reserved::default(), Root::default(), table(10));
    Case::new("headers_copy_strip_rewrite", move || {
        let (clean, ()) = reserved.clean(request.clone()).unwrap();
        let path = NormalPath::parse(PATH, None, &root).unwrap();
        let route = table.find(clean.method(), &path).unwrap().settings();
        let target = upstream_target(route, &path, &root);
        backend_headers(clean, route, &identity, &ingress, &target, &mfa).unwrap()
    })
}

fn head() -> HeaderMap {
    let pair = |(name, value): (&'static str, &'static str)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    };
    SYNC_CLIENT.into_iter().map(pair).collect()
}

fn request(headers: &HeaderMap) -> Request<()> {
    let mut request = Request::new(());
    *request.headers_mut() = headers.clone();
    *request.uri_mut() = Uri::from_static(PATH);
    request
}
