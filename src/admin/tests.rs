use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::config::Flavor;
use crate::telemetry::Log;

struct Fixture {
    addr: SocketAddr,
    ready: Arc<AtomicBool>,
    _runtime: tokio::runtime::Runtime,
}

fn start(token: Option<&str>) -> Fixture {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let addr = listener.local_addr().unwrap();
    let ready = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&ready);
    let admin = Admin {
        readiness: Box::new(move || {
            if asked.load(Ordering::Relaxed) {
                Readiness::Ready
            } else {
                Readiness::NotReady("issuer keys are missing".into())
            }
        }),
        config: Box::new(|| r#"{"jwt_secret":"***"}"#.into()),
        status: Box::new(|| serde_json::json!({"counted": {}})),
        metrics: Metrics::new(Flavor::OpenCloud, "1.2.3", 1, Arc::default()),
        log_level: Log::disabled().level().clone(),
        token: token.map(Secret::new),
        version: "1.2.3",
    };
    runtime.spawn(admin.serve(listener));
    Fixture {
        addr,
        ready,
        _runtime: runtime,
    }
}

impl Fixture {
    /// Sends a request with these header lines and returns the whole answer.
    fn send(&self, method: &str, path: &str, headers: &str) -> String {
        let mut socket = TcpStream::connect(self.addr).unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    }

    fn get(&self, path: &str) -> String {
        self.send("GET", path, "Host: localhost:9205\r\n")
    }
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap()
}

#[test]
fn healthz_and_readyz_answer_without_a_token_and_health_reads_them() {
    let server = start(Some("secret"));
    let health = server.get("/healthz");
    assert_eq!(status(&health), "200");
    assert!(health.ends_with("\r\n\r\nOK"));
    assert!(health.contains("x-proxy-version: 1.2.3"));
    assert!(health.contains("cache-control: no-cache"));
    let unready = server.get("/readyz");
    assert_eq!(status(&unready), "503");
    assert!(unready.ends_with("issuer keys are missing"));
    check_health(server.addr, false).unwrap();
    let error = check_health(server.addr, true).unwrap_err().to_string();
    assert!(
        error.contains("503") && error.contains("issuer keys are missing"),
        "{error}"
    );
    server.ready.store(true, Ordering::Relaxed);
    assert_eq!(status(&server.get("/readyz")), "200");
    check_health(server.addr, true).unwrap();
}

#[test]
fn without_a_token_set_metrics_are_open_and_the_configuration_is_not_there() {
    let server = start(None);
    let metrics = server.get("/metrics");
    assert_eq!(status(&metrics), "200");
    assert!(metrics.contains("content-type: text/plain; version=0.0.4"));
    assert!(metrics.contains(r#"opencloud_proxy_build_info{version="1.2.3"} 1"#));
    assert_eq!(status(&server.get("/config")), "404");
}

#[test]
fn with_a_token_set_both_want_exactly_it() {
    let server = start(Some("secret"));
    for path in ["/metrics", "/config"] {
        for wrong in [
            "",
            "Authorization: Bearer secre\r\n",
            "Authorization: Bearer secret2\r\n",
            "Authorization: Basic secret\r\n",
            "Authorization: secret\r\n",
            "Authorization: Bearer \u{e9}\r\n",
            "Authorization: Bearer secret\r\nAuthorization: Bearer secret\r\n",
        ] {
            let answer = server.send("GET", path, &format!("Host: localhost\r\n{wrong}"));
            assert_eq!(status(&answer), "401", "{wrong}");
            assert!(answer.contains(r#"{"error":{"code":"unauthenticated""#));
        }
        let right = server.send(
            "GET",
            path,
            "Host: localhost\r\nauthorization: bearer  secret\r\n",
        );
        assert_eq!(status(&right), "200");
    }
}

#[test]
fn on_loopback_only_loopback_hosts_are_answered() {
    let server = start(None);
    for host in [
        "localhost",
        "LOCALHOST:1",
        "127.0.0.1:9205",
        "127.8.9.10",
        "[::1]:9205",
    ] {
        let answer = server.send("GET", "/healthz", &format!("Host: {host}\r\n"));
        assert_eq!(status(&answer), "200", "{host}");
    }
    for host in [
        "evil.example.org",
        "localhost.evil.org",
        "10.0.0.1",
        "u@localhost:x",
        "",
    ] {
        let answer = server.send("GET", "/metrics", &format!("Host: {host}\r\n"));
        assert_eq!(status(&answer), "403", "{host}");
    }
    assert_eq!(status(&server.send("GET", "/metrics", "")), "403");
    let two = server.send("GET", "/metrics", "Host: localhost\r\nHost: localhost\r\n");
    assert_eq!(status(&two), "403");
}

#[test]
fn other_paths_and_methods_are_refused() {
    let server = start(Some("secret"));
    for path in ["/", "/debug", "/debug/pprof/", "/healthz/", "/healthz2"] {
        assert_eq!(status(&server.get(path)), "404", "{path}");
    }
    assert_eq!(
        status(&server.send("POST", "/healthz", "Host: localhost\r\n")),
        "405"
    );
    for (method, path, allowed) in [
        ("PUT", "/healthz", "GET, HEAD"),
        ("POST", "/log", "GET, HEAD, PUT"),
    ] {
        let answer = server.send(method, path, "Host: localhost\r\n");
        assert_eq!(status(&answer), "405", "{path}");
        let line = format!("\r\nallow: {}\r\n", allowed.to_lowercase());
        assert!(answer.to_lowercase().contains(&line), "{answer}");
    }
    let head = server.send("HEAD", "/healthz", "Host: localhost\r\n");
    assert!(status(&head) == "200" && head.ends_with("\r\n\r\n"));
}

#[test]
fn health_reports_a_process_that_does_not_listen() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    assert!(check_health(addr, false).is_err());
    let any = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 9205);
    assert_eq!(reachable(any), "127.0.0.1:9205".parse().unwrap());
    assert_eq!(
        reachable("[::]:9205".parse().unwrap()),
        "[::1]:9205".parse().unwrap()
    );
}

#[test]
fn the_status_page_has_no_data_of_its_own_and_its_data_need_the_token() {
    let server = start(Some("secret"));
    let page = server.get("/status");
    assert_eq!(status(&page), "200");
    assert!(page.contains("content-security-policy: default-src 'none'"));
    assert!(!page.contains("counted\":"));
    assert_eq!(status(&server.get("/status.json")), "401");
    let with_token = "Host: localhost\r\nAuthorization: Bearer secret\r\n";
    let data = server.send("GET", "/status.json", with_token);
    assert_eq!(status(&data), "200");
    assert!(
        data.contains("\"ready\":\"issuer keys are missing\""),
        "{data}"
    );
    let open = start(None);
    assert_eq!(status(&open.get("/status.json")), "200", "on loopback");
    let elsewhere = open.send("GET", "/status.json", "Host: cloud.example\r\n");
    assert_eq!(status(&elsewhere), "403");
}
