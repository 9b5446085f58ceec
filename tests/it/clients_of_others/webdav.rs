//! Clients of WebDAV: npm's `webdav`, Python's `webdav4`, cadaver.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::support::gateway::TestGateway;
use crate::support::hop::hop;
use crate::support::issuer::FakeIssuer;
use crate::support::tools::{lines, node, python, run};
use crate::support::webdav::WebDav;

/// A server with an empty folder, and the gateway before it if there is a token.
struct Tree {
    server: WebDav,
    gateway: Option<(FakeIssuer, TestGateway, String)>,
}

impl Tree {
    async fn direct() -> Self {
        Self {
            server: WebDav::start().await,
            gateway: None,
        }
    }

    async fn guarded() -> Self {
        let server = WebDav::start().await;
        let issuer = FakeIssuer::start().await;
        let route = json!({
            "endpoint": "/", "backend": server.url(), "identity": "headers", "path_names": "bytes",
        });
        let gateway = TestGateway::new().issuer(&issuer).raw_route(route);
        let gateway = gateway.spawn().await;
        let token = issuer.token("mara").sign();
        Self {
            server,
            gateway: Some((issuer, gateway, token)),
        }
    }

    fn address(&self) -> SocketAddr {
        let gateway = self.gateway.as_ref();
        gateway.map_or(self.server.addr, |(_, gateway, _)| gateway.addr)
    }

    fn token(&self) -> Option<String> {
        self.gateway.as_ref().map(|(_, _, token)| token.clone())
    }

    async fn stop(self) {
        if let Some((_, gateway, _)) = self.gateway {
            gateway.stop().await;
        }
    }
}

/// What a script of `tests/clients` tells of a tree.
async fn told(mut script: Command, tree: &Tree) -> Vec<String> {
    script.arg(format!("http://{}/files", tree.address()));
    script.args(tree.token());
    let output = run(script).await;
    let lines = lines(&output);
    assert!(output.status.success(), "{lines:#?}");
    lines
}

/// Both say the same, and enough of it went well for that to mean something.
async fn same(script: impl Fn() -> Command, well: &[&str]) {
    let (direct, guarded) = (Tree::direct().await, Tree::guarded().await);
    let expected = told(script(), &direct).await;
    for line in well {
        assert!(expected.iter().any(|l| l == line), "{line}: {expected:#?}");
    }
    assert_eq!(told(script(), &guarded).await, expected);
    direct.stop().await;
    guarded.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn npms_webdav_says_the_same_of_both() {
    let well = [
        "put #hash?.txt true",
        "get range true",
        "stream up 201",
        "move onto {\"refused\":412}",
        "lock {\"without\":423,\"within\":true,\"freed\":204,\"after\":true}",
        "random true",
    ];
    same(|| node("webdav.mjs"), &well).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pythons_webdav4_says_the_same_of_both() {
    let well = ["get large true", "move null", "remove null"];
    same(|| python("python_webdav4.py"), &well).await;
}

const CADAVER: &str = "mkcol folder
put /etc/services folder/one
copy folder/one folder/two
move folder/two \"folder/three and four\"
ls folder
lock folder/one
put /etc/hosts folder/one
unlock folder/one
propget folder/one getcontentlength
propset folder/one colour blue
cat folder/one
delete folder/nothing
delete folder/one
rmcol folder/nothing
rmcol folder
ls
quit
";

/// What cadaver prints, without times, ports and the bars of its progress.
async fn cadaver(tree: &Tree) -> Vec<String> {
    let address = hop(tree.address(), tree.token()).await;
    let talk = move || {
        let mut cadaver = Command::new("cadaver")
            .arg(format!("http://{address}/files/"))
            .env("HOME", "/nonexistent")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cadaver: {error}; run `make tools`"));
        let mut input = cadaver.stdin.take().unwrap();
        input.write_all(CADAVER.as_bytes()).unwrap();
        drop(input);
        cadaver.wait_with_output().unwrap()
    };
    let output = tokio::task::spawn_blocking(talk).await.unwrap();
    let passing = r"\[[.=>]*(?: [0-9]+)?[^\[\]\n]*\]|\[\.+|[0-9]{2}:[0-9]{2}|127\.0\.0\.1:[0-9]+";
    let passing = regex::Regex::new(passing).unwrap();
    let line = |line: String| {
        let last = line.rsplit('\r').next().unwrap_or_default().to_owned();
        passing.replace_all(&last, "").into_owned()
    };
    lines(&output).into_iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cadaver_says_the_same_of_both() {
    let (direct, guarded) = (Tree::direct().await, Tree::guarded().await);
    let expected = cadaver(&direct).await;
    let went_well = expected.iter().filter(|line| line.contains("succeeded"));
    assert!(went_well.count() >= 10, "{expected:#?}");
    assert_eq!(cadaver(&guarded).await, expected);
    direct.stop().await;
    guarded.stop().await;
}
