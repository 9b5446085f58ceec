use super::*;

async fn seen_by_backend(setup: impl FnOnce(SocketAddr) -> Setup, request: &str) -> String {
    let (backend, heads) = answering(OK).await;
    let gateway = setup(backend).start().await;
    let answer = gateway.once(request).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let head = heads.borrow().last().cloned();
    head.expect("the backend saw the request")
}

fn signed_in(backend: SocketAddr) -> Setup {
    Setup::new(backend).with_identity()
}

#[test]
fn the_request_reaches_the_backend_byte_for_byte_but_for_what_is_ours() {
    on_worker(async {
        let request = "GET /dav/spaces/a%2Fb%20c/%C3%BC;v=1?x=%2f&&y HTTP/1.1\r\nUser-Agent: odd  agent\r\nX-A: 1\r\nX-A: 2\r\n\r\n";
        let head = seen_by_backend(Setup::new, request).await;
        let (line, headers) = head.split_once("\r\n").unwrap();
        assert_eq!(
            line,
            "GET /dav/spaces/a%2Fb%20c/%C3%BC;v=1?x=%2f&&y HTTP/1.1"
        );
        let mut lines: Vec<&str> = headers.trim_end().split("\r\n").collect();
        lines.sort_unstable();
        assert_eq!(
            lines,
            [
                "host: files.example",
                "user-agent: odd  agent",
                "x-a: 1",
                "x-a: 2",
                "x-forwarded-for: 192.0.2.7",
                "x-forwarded-host: files.example",
                "x-forwarded-proto: https",
                "x-request-id: id-1",
            ]
        );
    });
}

#[test]
fn rows_31_and_32_only_our_access_token_reaches_a_backend() {
    on_worker(async {
        for spelling in ["x-access-token", "X-ACCESS-TOKEN", "X-Access-Token"] {
            let request = format!(
                "GET / HTTP/1.1\r\n{spelling}: theirs\r\n{spelling}: twice \r\nx-access-token:\r\n\r\n"
            );
            let head = seen_by_backend(signed_in, &request).await;
            assert_eq!(values(&head, "x-access-token"), ["reva-token"]);
            let head = seen_by_backend(Setup::new, &request).await;
            assert!(values(&head, "x-access-token").is_empty());
            let skipping = |backend| {
                let mut setup = signed_in(backend);
                setup.route.skip_x_access_token = true;
                setup
            };
            let head = seen_by_backend(skipping, &request).await;
            assert!(values(&head, "x-access-token").is_empty());
        }
    });
}

#[test]
fn row_34_an_underscore_spelling_is_400_and_reaches_no_backend() {
    on_worker(async {
        let (backend, heads) = answering(OK).await;
        let gateway = Setup::new(backend).start().await;
        for name in [
            "x_access_token",
            "X_Access-Token",
            "Transfer_Encoding",
            "remote_user",
        ] {
            let answer = gateway
                .once(&format!("GET / HTTP/1.1\r\n{name}: x\r\n\r\n"))
                .await;
            assert!(answer.starts_with("HTTP/1.1 400"), "{name}: {answer}");
            assert!(answer.contains("underscore"));
        }
        assert!(heads.borrow().is_empty());
    });
}

#[test]
fn row_37_forwarding_headers_are_rebuilt_from_the_connection() {
    on_worker(async {
        let request = "GET / HTTP/1.1\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Prefix: /x\r\nX-Forwarded-Port: 1\r\nForwarded: for=6.6.6.6\r\nX-Real-Ip: 6.6.6.6\r\nTrue-Client-Ip: 6.6.6.6\r\nX-Original-Url: /x\r\nX-Http-Method-Override: DELETE\r\n\r\n";
        let head = seen_by_backend(Setup::new, request).await;
        assert_eq!(values(&head, "x-forwarded-for"), ["192.0.2.7"]);
        assert_eq!(values(&head, "x-forwarded-host"), ["files.example"]);
        assert_eq!(values(&head, "x-forwarded-proto"), ["https"]);
        for name in [
            "x-forwarded-prefix",
            "x-forwarded-port",
            "forwarded",
            "x-real-ip",
            "true-client-ip",
            "x-original-url",
            "x-http-method-override",
        ] {
            assert!(values(&head, name).is_empty(), "{name}: {head}");
        }
    });
}

#[test]
fn row_38_connection_cannot_take_away_what_is_ours() {
    on_worker(async {
        let (backend, heads) = answering(OK).await;
        let gateway = signed_in(backend).start().await;
        let mut client = gateway.connect().await;
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: files.example\r\nCookie: a=b\r\nX-Access-Token: theirs\r\nAuthorization: Bearer t\r\nConnection: x-access-token, x-forwarded-for, authorization, host, cookie, x-request-id, close\r\n\r\n")
            .await
            .unwrap();
        read_to_end(&mut client).await;
        let head = heads.borrow()[0].clone();
        assert_eq!(values(&head, "x-access-token"), ["reva-token"]);
        assert_eq!(values(&head, "x-forwarded-for"), ["192.0.2.7"]);
        assert_eq!(values(&head, "host"), ["files.example"]);
        assert_eq!(values(&head, "x-request-id"), ["id-1"]);
        for name in ["cookie", "authorization", "connection"] {
            assert!(values(&head, name).is_empty(), "{name}: {head}");
        }
    });
}

#[test]
fn a_consumed_bearer_is_not_passed_on_unless_configured() {
    on_worker(async {
        let request = "GET / HTTP/1.1\r\nAuthorization: Bearer t\r\n\r\n";
        let head = seen_by_backend(signed_in, request).await;
        assert!(values(&head, "authorization").is_empty());
        let head = seen_by_backend(Setup::new, request).await;
        assert_eq!(values(&head, "authorization"), ["Bearer t"]);
        let forwarding = |backend| {
            let mut setup = signed_in(backend);
            setup.rules.forward_authorization = true;
            setup
        };
        let head = seen_by_backend(forwarding, request).await;
        assert_eq!(values(&head, "authorization"), ["Bearer t"]);
    });
}

#[test]
fn a_plain_backend_is_told_the_user_in_headers() {
    on_worker(async {
        let setup = |backend| {
            let mut setup = signed_in(backend);
            setup.route.identity = IdentityMode::Headers;
            setup
        };
        let request = "GET / HTTP/1.1\r\nRemote-User: admin\r\nRemote-Groups: admins\r\n\r\n";
        let head = seen_by_backend(setup, request).await;
        assert_eq!(values(&head, "remote-user"), ["einstein"]);
        assert_eq!(values(&head, "remote-name"), ["Albert Einstein"]);
        assert_eq!(values(&head, "remote-email"), ["einstein@example.org"]);
        assert_eq!(values(&head, "remote-groups"), ["physics,sailing"]);
        assert!(values(&head, "x-access-token").is_empty());
        let head = seen_by_backend(Setup::new, request).await;
        assert!(values(&head, "remote-user").is_empty());
    });
}

#[test]
fn a_route_may_name_the_header_that_receives_the_account_id_and_no_client_can_send_it() {
    on_worker(async {
        let setup = |backend| {
            let mut setup = Setup::new(backend);
            setup.route.remote_user_header = Some("radicale-user".parse().unwrap());
            let script = "x-script-name".parse().unwrap();
            setup.route.additional_headers = vec![(script, HeaderValue::from_static("/caldav"))];
            setup
        };
        let request = "GET / HTTP/1.1\r\nRadicale-User: admin\r\nX-Script-Name: /x\r\n\r\n";
        let head = seen_by_backend(|b| setup(b).with_identity(), request).await;
        assert_eq!(values(&head, "radicale-user"), ["account-1"]);
        assert_eq!(values(&head, "x-script-name"), ["/caldav"]);
        let head = seen_by_backend(setup, request).await;
        assert!(values(&head, "radicale-user").is_empty());
    });
}

#[test]
fn backends_always_hear_whether_there_was_a_second_factor() {
    on_worker(async {
        let request = "GET / HTTP/1.1\r\nX-Multi-Factor-Authentication: true\r\n\r\n";
        for (header, enabled, identity, expected) in [
            (true, false, false, &["true"][..]),
            (true, true, false, &["false"]),
            (true, true, true, &["true"]),
            (false, false, true, &[]),
        ] {
            let setup = |backend| {
                let mut setup = Setup::new(backend);
                setup.rules.mfa.header = header;
                setup.rules.mfa.enabled = enabled;
                if identity {
                    setup.with_identity()
                } else {
                    setup
                }
            };
            let head = seen_by_backend(setup, request).await;
            assert_eq!(values(&head, "x-multi-factor-authentication"), expected);
        }
    });
}

#[test]
fn headers_that_sync_clients_need_pass() {
    on_worker(async {
        let request = "PUT /a HTTP/1.1\r\nX-Reva-Transfer: t\r\nOC-Checksum: SHA1:x\r\nX-OC-Mtime: 1\r\nOC-Total-Length: 0\r\nContent-Length: 0\r\n\r\n";
        let head = seen_by_backend(Setup::new, request).await;
        for name in [
            "x-reva-transfer",
            "oc-checksum",
            "x-oc-mtime",
            "oc-total-length",
        ] {
            assert_eq!(values(&head, name).len(), 1, "{name}: {head}");
        }
        assert_eq!(values(&head, "content-length"), ["0"]);
    });
}

#[test]
fn a_virtual_host_backend_gets_its_own_name() {
    on_worker(async {
        let (backend, heads) = answering(OK).await;
        let mut setup = Setup::new(backend);
        setup.route.apache_vhost = true;
        setup.start().await.once("GET / HTTP/1.1\r\n\r\n").await;
        let head = heads.borrow()[0].clone();
        assert_eq!(values(&head, "host"), [backend.to_string()]);
        assert_eq!(values(&head, "x-forwarded-host"), ["files.example"]);
    });
}

#[test]
fn row_40_a_backend_can_tell_the_client_neither_a_token_nor_about_its_connection() {
    on_worker(async {
        let (backend, _) = answering("HTTP/1.1 200 OK\r\nX-Access-Token: secret\r\nConnection: keep-alive, x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nServer: apache\r\nContent-Length: 2\r\n\r\nok").await;
        let answer = Setup::new(backend)
            .start()
            .await
            .once("GET / HTTP/1.1\r\n\r\n")
            .await;
        for name in ["x-access-token", "x-hop", "keep-alive"] {
            assert!(values(&answer, name).is_empty(), "{name}: {answer}");
        }
        assert_eq!(values(&answer, "server"), ["apache"]);
    });
}
