use proptest::prelude::*;

use super::*;

const FOR: &str = "x-forwarded-for";
const HOST: &str = "x-forwarded-host";
const PROTO: &str = "x-forwarded-proto";

fn forwarding(trusted: &[&str], public_url: &str) -> Forwarding {
    let url: Url = public_url.parse().unwrap();
    let nets: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
    Forwarding {
        told: std::sync::Arc::default(),
        trusted: nets.iter().map(canonical_net).collect(),
        public_host: authority(&url),
        public_https: url.scheme() == "https",
    }
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn address(trusted: &[&str], peer: &str, lines: &[&str]) -> String {
    let lines: Vec<_> = lines.iter().map(|line| (FOR, *line)).collect();
    let headers = headers(&lines);
    forwarding(trusted, "https://cloud.example")
        .client(peer.parse().unwrap(), false, Some("a"), &headers)
        .address
        .to_string()
}

#[test]
fn row_37_an_untrusted_peer_is_never_believed() {
    let spoofed = headers(&[
        (FOR, "1.2.3.4"),
        (HOST, "evil"),
        (PROTO, "https"),
        ("forwarded", "for=1.2.3.4;proto=https"),
        ("x-real-ip", "1.2.3.4"),
        ("true-client-ip", "1.2.3.4"),
    ]);
    let forwarding = forwarding(&["10.0.0.0/8"], "https://cloud.example");
    let client = forwarding.client("192.0.2.7".parse().unwrap(), false, Some("a"), &spoofed);
    assert_eq!(client.address.to_string(), "192.0.2.7");
    assert_eq!(client.host, "a");
    assert_eq!(client.scheme(), "http");
    assert_eq!(
        forwarding.https_redirect(&client, &Uri::from_static("/x"), &HeaderMap::new()),
        None
    );
}

#[test]
fn row_37_from_a_trusted_peer_the_rightmost_untrusted_address_counts() {
    let nets = ["10.0.0.0/8", "fd00::/8"];
    for (lines, client) in [
        (&["1.2.3.4, 192.0.2.7, 10.0.0.2"][..], "192.0.2.7"),
        (&["1.2.3.4", "192.0.2.7", "10.0.0.2"], "192.0.2.7"),
        (&["192.0.2.7:4711"], "192.0.2.7"),
        (&["[2001:db8::1]:80"], "2001:db8::1"),
        (&["[2001:db8::1]"], "2001:db8::1"),
        (&["2001:db8::1,fd00::1"], "2001:db8::1"),
        (&["::ffff:192.0.2.7"], "192.0.2.7"),
        (&["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        (&["1.2.3.4, unknown, 10.0.0.2"], "10.0.0.2"),
        (&["unknown"], "10.0.0.1"),
        (&[""], "10.0.0.1"),
        (&[], "10.0.0.1"),
    ] {
        assert_eq!(address(&nets, "10.0.0.1", lines), client, "{lines:?}");
    }
}

#[test]
fn ipv4_inside_ipv6_is_ipv4_for_peers_and_for_networks() {
    assert_eq!(
        address(&["10.0.0.0/8"], "::ffff:10.0.0.1", &["192.0.2.7"]),
        "192.0.2.7"
    );
    let mapped = ["::ffff:10.0.0.0/104"];
    assert_eq!(address(&mapped, "10.0.0.1", &["192.0.2.7"]), "192.0.2.7");
    assert_eq!(address(&[], "::ffff:10.0.0.1", &["192.0.2.7"]), "10.0.0.1");
}

#[test]
fn a_trusted_proxy_tells_scheme_and_host() {
    let forwarding = forwarding(&["10.0.0.1/32"], "https://cloud.example:8443");
    let peer = "10.0.0.1".parse().unwrap();
    let told = headers(&[(HOST, "cloud.example"), (PROTO, "HTTPS")]);
    let client = forwarding.client(peer, false, Some("inner"), &told);
    assert_eq!(
        (client.scheme(), client.host.as_ref()),
        ("https", "cloud.example")
    );
    let odd = headers(&[(HOST, "a/b"), (PROTO, "gopher")]);
    let client = forwarding.client(peer, true, None, &odd);
    assert_eq!(
        (client.scheme(), client.host.as_ref()),
        ("https", "cloud.example:8443")
    );
}

#[test]
fn issue_15_24_of_a_list_of_schemes_the_one_of_the_clients_hop_counts() {
    let forwarding = forwarding(&["10.0.0.0/8"], "https://cloud.example");
    let uri = Uri::from_static("/x");
    for (addresses, schemes, scheme, redirects) in [
        // One proxy; what its client wrote in front is made up.
        (&["192.0.2.7"][..], &["https"][..], "https", false),
        (&["192.0.2.7"], &["http"], "http", true),
        (&["192.0.2.7"], &["https, http"], "http", true),
        (&["192.0.2.7"], &["http, https"], "https", false),
        (&["1.2.3.4, 192.0.2.7"], &["https", "http"], "http", true),
        // Two, of which the outer one saw the client.
        (&["192.0.2.7, 10.0.0.2"], &["https, http"], "https", false),
        (
            &["192.0.2.7", "10.0.0.2"],
            &["https", "http"],
            "https",
            false,
        ),
        (&["192.0.2.7, 10.0.0.2"], &["http, http"], "http", true),
        (&["192.0.2.7, 10.0.0.2"], &["http, https"], "http", false),
        (&["192.0.2.7, 10.0.0.2"], &["https"], "https", false),
        (&["192.0.2.7, 10.0.0.2"], &["http"], "http", true),
        (
            &["192.0.2.7, 10.0.0.2"],
            &["https, http, http"],
            "http",
            true,
        ),
        // WebSockets by name.
        (&["192.0.2.7"], &["wss"], "https", false),
        (&["192.0.2.7"], &["WSS"], "https", false),
        (&["192.0.2.7"], &["ws"], "http", true),
        (&["192.0.2.7, 10.0.0.2"], &["wss, ws"], "https", false),
        // Nothing that can be understood.
        (&["192.0.2.7"], &["gopher"], "http", false),
        (&[], &["https"], "https", false),
    ] {
        let mut lines: Vec<_> = addresses.iter().map(|line| (FOR, *line)).collect();
        lines.extend(schemes.iter().map(|line| (PROTO, *line)));
        let headers = headers(&lines);
        let peer = "10.0.0.1".parse().unwrap();
        let client = forwarding.client(peer, false, Some("a"), &headers);
        assert_eq!(client.scheme(), scheme, "{lines:?}");
        let redirect = forwarding.https_redirect(&client, &uri, &headers);
        assert_eq!(redirect.is_some(), redirects, "{lines:?}");
    }
}

#[test]
fn issue_15_24_an_upgrade_is_never_redirected() {
    let forwarding = forwarding(&["10.0.0.0/8"], "https://cloud.example");
    let uri = Uri::from_static("/x");
    for (upgrade, redirects) in [("websocket", false), ("WebSocket", false), ("h2c", true)] {
        let headers = headers(&[(PROTO, "http"), ("upgrade", upgrade)]);
        let client = forwarding.client("10.0.0.1".parse().unwrap(), false, None, &headers);
        let redirect = forwarding.https_redirect(&client, &uri, &headers);
        assert_eq!(redirect.is_some(), redirects, "{upgrade}");
    }
}

#[test]
fn the_redirect_goes_to_the_public_host_only_and_never_in_circles() {
    let uri = Uri::from_static("/dav/x?y=1");
    let plain = headers(&[(PROTO, "http"), (HOST, "evil")]);
    let peer = "10.0.0.1".parse().unwrap();
    let public = forwarding(&["10.0.0.1/32"], "https://cloud.example");
    let client = public.client(peer, false, Some("evil"), &plain);
    let location = public
        .https_redirect(&client, &uri, &HeaderMap::new())
        .unwrap();
    assert_eq!(location, "https://cloud.example/dav/x?y=1");
    assert_eq!(
        public.https_redirect(&client, &Uri::from_static("*"), &HeaderMap::new()),
        None
    );
    let nothing = HeaderMap::new();
    let silent = public.client(peer, false, Some("a"), &nothing);
    assert_eq!(
        public.https_redirect(&silent, &uri, &HeaderMap::new()),
        None
    );
    let inside = forwarding(&["10.0.0.1/32"], "http://cloud.example");
    let client = inside.client(peer, false, Some("a"), &plain);
    assert_eq!(
        inside.https_redirect(&client, &uri, &HeaderMap::new()),
        None
    );
}

proptest! {
    #[test]
    fn foreign_header_bytes_never_panic_and_never_become_a_bad_host(
        list in prop::collection::vec(any::<u8>(), 0..40),
        peer in any::<u32>(),
    ) {
        let Ok(value) = HeaderValue::from_bytes(&list) else { return Ok(()) };
        let mut headers = HeaderMap::new();
        for name in [FOR, HOST, PROTO] {
            headers.append(name, value.clone());
        }
        let forwarding = forwarding(&["0.0.0.0/0", "::/0"], "https://cloud.example");
        let client = forwarding.client(IpAddr::from(peer.to_be_bytes()), false, Some("a"), &headers);
        prop_assert!(is_host(&client.host));
    }
}

/// What a name may be, said part by part.
fn is_name(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let part = |part: &str| {
        (1..=63).contains(&part.len())
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    text.len() <= 253 && text.split('.').all(part)
}

#[test]
fn hosts_at_the_limits_of_their_parts_are_read_as_the_parts_say() {
    let long = ["a".repeat(63), "a".repeat(64)];
    let longest = [
        vec!["a".repeat(63); 4].join("."),
        vec!["b".repeat(62); 4].join("."),
    ];
    for name in [
        "", ".", "..", "a.", "a..", ".a", "a..b", "a_b-1", "a b", "a%62",
    ]
    .into_iter()
    .chain(long.iter().chain(&longest).map(String::as_str))
    {
        assert_eq!(is_host(name), is_name(name), "{name}");
        assert_eq!(is_host(&format!("{name}:443")), is_name(name), "{name}");
        for port in ["", "x", "65536", "+1", "1:1", "000443"] {
            assert!(!is_host(&format!("{name}:{port}")), "{name}:{port}");
        }
    }
}

proptest! {
    #[test]
    fn any_name_is_read_as_its_parts_say(name in "[a-zA-Z0-9._ä/-]{0,80}") {
        prop_assert_eq!(is_host(&name), is_name(&name));
    }
}
