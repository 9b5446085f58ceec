use proptest::prelude::*;

use super::*;

fn request(headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::new(());
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        let value = HeaderValue::from_str(value).unwrap();
        request.headers_mut().append(name, value);
    }
    request
}

fn clean(headers: &[(&str, &str)]) -> Result<CleanHead, HeaderFault> {
    reserved().clean(request(headers)).map(|(head, ())| head)
}

/// A route tells who somebody is by `Radicale-User`, another sets `X-Script-Name` for itself.
fn reserved() -> Reserved {
    let user = HeaderName::from_static("radicale-user");
    let script = HeaderName::from_static("x-script-name");
    Reserved {
        identity: vec![user.clone()],
        configured: Some([user, script].into()),
    }
}

fn passes(name: &str) -> bool {
    let value = match name.to_ascii_lowercase().as_str() {
        "content-length" => "1",
        "transfer-encoding" => "chunked",
        _ => "x",
    };
    clean(&[(name, value)])
        .unwrap()
        .headers()
        .contains_key(name)
}

#[test]
fn rows_31_to_37_names_of_identity_and_routing_are_removed() {
    for name in [
        "x-access-token",
        "Remote-User",
        "remote-groups",
        "X-Remote-User",
        "X-Forwarded-User",
        "X-Forwarded-Email",
        "X-Forwarded-Groups",
        "X-Forwarded-Preferred-Username",
        "X-Auth-Request-User",
        "X-Auth-Request-Access-Token",
        "X-Webauth-User",
        "Ssl-Client-Cert",
        "Ssl-Client-S-Dn",
        "X-Client-Cert",
        "x-reva-token",
        "x-oc-user",
        "account-id",
        "x-account-uuid",
        "grpc-metadata-user",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Port",
        "X-Forwarded-Prefix",
        "X-Forwarded-Uri",
        "X-Forwarded-Method",
        "X-Forwarded-Server",
        "Forwarded",
        "X-Real-Ip",
        "True-Client-Ip",
        "X-Original-Url",
        "X-Rewrite-Url",
        "X-Http-Method-Override",
        "X-Multi-Factor-Authentication",
        "Radicale-User",
    ] {
        assert!(!passes(name), "{name}");
    }
}

#[test]
fn names_that_clients_need_pass() {
    for name in [
        "x-reva-transfer",
        "x-oc-mtime",
        "oc-checksum",
        "oc-total-length",
        "oc-async",
        "cookie",
        "host",
        "authorization",
        "x-request-id",
        "x-requested-with",
        "public-token",
        "upload-metadata",
        "tus-resumable",
        "destination",
        "depth",
        "if",
        "lock-token",
        "expect",
        "trailer",
        "remoteuser",
        "content-length",
        "user-agent",
        "range",
        "te-st",
        "x",
    ] {
        assert!(passes(name), "{name}");
    }
}

/// Every sign a header name may have beside letters, digits and the dash (RFC 9110 section 5.6.2).
const SIGNS: &[u8] = b"!#$%&'*+.^_`|~";

/// Names with a meaning: reserved, of one hop, fixed, of this configuration.
const WITH_A_MEANING: [&str; 53] = [
    "x-access-token",
    "remote-user",
    "remote-name",
    "remote-email",
    "remote-groups",
    "x-remote-user",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-user",
    "x-forwarded-prefix",
    "x-forwarded-preferred-username",
    "x-auth-request-user",
    "x-auth-user",
    "x-webauth-user",
    "ssl-client-cert",
    "ssl-client-s-dn",
    "x-ssl-client-verify",
    "x-client-cert",
    "x-client-ip",
    "client-cert",
    "client-cert-chain",
    "x-reva-token",
    "x-oc-user",
    "account-id",
    "x-account-uuid",
    "grpc-metadata-user",
    "x-real-ip",
    "true-client-ip",
    "x-original-url",
    "x-rewrite-url",
    "x-http-method-override",
    "x-method-override",
    "x-multi-factor-authentication",
    "proxy-authorization",
    "proxy-connection",
    "keep-alive",
    "transfer-encoding",
    "http2-settings",
    "content-length",
    "content-type",
    "content-encoding",
    "content-range",
    "set-cookie",
    "public-token",
    "x-request-id",
    "www-authenticate",
    "cache-control",
    "radicale-user",
    "x-script-name",
    "x-original-host",
    "x-original-uri",
    "x-http-method",
];

#[test]
fn row_34_no_sign_in_place_of_a_dash_makes_another_name() {
    for name in WITH_A_MEANING {
        for (at, _) in name.match_indices('-') {
            for sign in SIGNS {
                let mut odd = name.as_bytes().to_vec();
                odd[at] = *sign;
                let odd = String::from_utf8(odd).unwrap();
                let fault = clean(&[(&odd, "x")]).err();
                assert_eq!(fault, Some(HeaderFault::Underscore), "{odd}");
                // Also where all of them are replaced.
                let all = name.replace('-', std::str::from_utf8(&[*sign]).unwrap());
                let fault = clean(&[(&all, "x")]).err();
                assert_eq!(fault, Some(HeaderFault::Underscore), "{all}");
            }
        }
    }
}

#[test]
fn row_34_no_name_with_a_sign_in_it_reaches_a_backend() {
    for name in WITH_A_MEANING.into_iter().chain(["x", "my-header"]) {
        for at in 0..=name.len() {
            for sign in SIGNS {
                let mut inserted = name.as_bytes().to_vec();
                inserted.insert(at, *sign);
                let mut replaced = name.as_bytes().to_vec();
                replaced[at.min(name.len() - 1)] = *sign;
                for odd in [inserted, replaced] {
                    let odd = String::from_utf8(odd).unwrap();
                    if let Ok(head) = clean(&[(&odd, "x")]) {
                        assert!(head.headers().is_empty(), "{odd}");
                    }
                    let mut trailers = request(&[(&odd, "x")]).headers().clone();
                    filter_trailers(&mut trailers, &[]);
                    assert!(trailers.is_empty(), "{odd}");
                }
            }
        }
    }
}

#[test]
fn row_22_no_trailer_has_a_name_with_a_meaning() {
    let configured = reserved().configured.unwrap();
    for name in WITH_A_MEANING {
        let mut trailers = request(&[(name, "1"), ("x-checksum", "x")])
            .headers()
            .clone();
        filter_trailers(&mut trailers, &configured);
        assert_eq!(trailers.len(), 1, "{name}");
    }
}

#[test]
fn what_a_route_sets_for_itself_is_the_clients_elsewhere_in_its_plain_spelling_only() {
    assert!(passes("X-Script-Name"));
    assert!(!passes("Radicale-User"));
    assert_eq!(
        clean(&[("x.script_name", "/")]).err(),
        Some(HeaderFault::Underscore)
    );
}

#[test]
fn names_with_signs_that_mean_nothing_are_dropped() {
    for name in [
        "my_header",
        "my.header",
        "authorization_",
        "authorization!",
        "~",
        "hos.t",
    ] {
        assert!(!passes(name), "{name}");
    }
}

#[test]
fn the_proxy_header_of_old_is_dropped() {
    assert!(!passes("Proxy"));
}

#[test]
fn row_36_trace_context_passes_if_it_is_well_formed() {
    let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let head = clean(&[("traceparent", good), ("tracestate", "a=b")]).unwrap();
    assert_eq!(head.headers().len(), 2);
    for bad in [
        "",
        "x",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ] {
        let head = clean(&[("traceparent", bad), ("tracestate", "a=b")]).unwrap();
        assert!(head.headers().is_empty(), "{bad}");
    }
    let twice = clean(&[("traceparent", good), ("traceparent", good)]).unwrap();
    assert!(twice.headers().is_empty());
    assert!(
        clean(&[("tracestate", "a=b")])
            .unwrap()
            .headers()
            .is_empty()
    );
}

#[test]
fn row_38_what_connection_names_goes_but_host_and_authorization_are_still_read() {
    let head = clean(&[
        ("connection", "x-a, Cookie ,, authorization"),
        ("connection", "host"),
        ("x-a", "1"),
        ("x-b", "2"),
        ("cookie", "c"),
        ("host", "h"),
        ("authorization", "Bearer t"),
    ])
    .unwrap();
    let mut names: Vec<&str> = head.headers().keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["authorization", "host", "x-b"]);
    assert!(head.authorization_is_hop_by_hop);
}

#[test]
fn row_39_framing_in_connection_is_refused_and_hop_by_hop_headers_go() {
    for name in [
        "content-length",
        "Transfer-Encoding",
        "close, content-length",
    ] {
        let fault = clean(&[("connection", name), ("content-length", "3")]).err();
        assert_eq!(fault, Some(HeaderFault::Framing), "{name}");
    }
    for name in [
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "proxy-authenticate",
        "te",
        "transfer-encoding",
        "upgrade",
        "connection",
        "http2-settings",
    ] {
        assert!(!passes(name), "{name}");
    }
}

#[test]
fn an_upgrade_counts_only_if_connection_names_it_and_only_in_http_1_1() {
    let asked = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "websocket"),
    ];
    assert_eq!(clean(&asked).unwrap().upgrade.unwrap(), "websocket");
    assert!(clean(&asked[1..]).unwrap().upgrade.is_none());
    for version in [Version::HTTP_10, Version::HTTP_2] {
        let mut request = request(&asked);
        *request.version_mut() = version;
        let (head, ()) = Reserved::default().clean(request).unwrap();
        assert!(head.upgrade.is_none());
    }
}

#[test]
fn every_configured_identity_header_is_reserved_once() {
    let mut route = crate::config::routes::Route {
        kind: crate::config::routes::RouteKind::Prefix,
        method: None,
        endpoint: "/".to_owned(),
        backend: crate::config::routes::Backend {
            name: String::new(),
            server: crate::config::routes::Server::Service("files".into()),
            base_path: String::new(),
            base_query: String::new(),
        },
        apache_vhost: false,
        unprotected: false,
        identity: crate::config::routes::IdentityMode::None,
        strip_prefix: None,
        additional_headers: Vec::new(),
        remote_user_header: Some(HeaderName::from_static("radicale-user")),
        skip_x_access_token: false,
        required_claims: Vec::new(),
        max_age: None,
        path_names: crate::config::routes::PathNames::default(),
        place: String::new(),
    };
    let one = route.clone();
    route.remote_user_header = Some(HeaderName::from_static("x-remote-user"));
    let value = HeaderValue::from_static("x");
    route.additional_headers = ["x-script-name", "x_api.key"]
        .map(|name| (HeaderName::from_static(name), value.clone()))
        .to_vec();
    let policy = Policy {
        name: "default".to_owned(),
        routes: vec![one.clone(), one, route],
    };
    let reserved = Reserved::new(&[policy]);
    assert_eq!(reserved.identity, ["radicale-user", "x-api-key"]);
    let configured = reserved.configured.unwrap();
    assert_eq!(*configured, ["radicale-user", "x-api-key", "x-script-name"]);
}

#[test]
fn a_header_is_rewritten_only_if_the_client_sent_it() {
    let mut head = clean(&[("destination", "/a")]).unwrap();
    head.rewrite(
        &HeaderName::from_static("destination"),
        HeaderValue::from_static("/b"),
    );
    head.rewrite(&ACCESS_TOKEN, HeaderValue::from_static("t"));
    assert_eq!(head.headers()["destination"], "/b");
    assert_eq!(head.headers().len(), 1);
}

proptest! {
    #[test]
    fn no_head_keeps_a_name_of_ours(
        names in proptest::collection::vec("[a-zA-Z_.~!|*-]{1,12}|[xX][-_.][a-z]{1,9}([-_.][a-z]{1,9}){0,2}|remote-user|x-access-token|connection|te", 0..12),
        values in proptest::collection::vec("[ -~]{0,24}|(x-access-token|host|te|cookie|close|,| ){0,6}", 12),
    ) {
        let headers: Vec<(&str, &str)> = names
            .iter()
            .zip(&values)
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        if let Ok(head) = clean(&headers) {
            for name in head.headers().keys() {
                let bytes = name.as_str().as_bytes();
                prop_assert!(matches!(classify(bytes), Class::Free | Class::Trace), "{name}");
                prop_assert!(bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-'), "{name}");
            }
        }
    }

    #[test]
    fn any_trailers_lose_what_has_a_meaning(names in proptest::collection::vec("[a-z_-]{1,16}|host|cookie|x-access-token|authorization", 0..12)) {
        let mut trailers = HeaderMap::new();
        for name in &names {
            trailers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static("x"));
        }
        filter_trailers(&mut trailers, &[]);
        for name in trailers.keys() {
            prop_assert_eq!(classify(name.as_str().as_bytes()), Class::Free);
            prop_assert!(!["host", "cookie", "authorization", "content-length"].contains(&name.as_str()));
        }
    }
}
