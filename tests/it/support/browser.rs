//! A headless Chromium, driven by `chromedriver` over the WebDriver protocol.
#![expect(
    clippy::disallowed_methods,
    reason = "the driver is asked with blocking calls, which nothing else waits for"
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::until;

/// The browser with one session. Closed when dropped.
pub(crate) struct Browser {
    driver: Child,
    addr: SocketAddr,
    session: String,
    folder: PathBuf,
}

/// How long anything in a page may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

const ARGUMENTS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

impl Browser {
    pub(crate) async fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("davgate-web-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&folder).unwrap();
        let log = folder.join("log");
        // A group of its own, so that no part of the browser outlives the test.
        let driver = Command::new("chromedriver")
            .arg("--port=0")
            .env("HOME", &folder)
            .stdin(Stdio::null())
            .stdout(fs::File::create(&log).unwrap())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("chromedriver: {error}; run `make tools`"));
        let mut browser = Self {
            driver,
            addr: ([127, 0, 0, 1], 0).into(),
            session: String::new(),
            folder,
        };
        until("chromedriver's port", || {
            let text = fs::read_to_string(&log).unwrap();
            let line = text.split("successfully on port ").nth(1);
            let port = line.and_then(|rest| rest.split('.').next()?.parse().ok());
            browser.addr.set_port(port.unwrap_or_default());
            browser.addr.port() != 0
        })
        .await;
        let profile = format!(
            "--user-data-dir={}",
            browser.folder.join("profile").display()
        );
        let arguments: Vec<_> = ARGUMENTS.into_iter().chain([profile.as_str()]).collect();
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": {"args": arguments},
        }}});
        let made = browser.send("POST", "/session", &capabilities);
        browser.session = format!("/session/{}", made["sessionId"].as_str().unwrap());
        browser
    }

    pub(crate) fn open(&self, url: &str) {
        self.call("POST", "/url", &json!({"url": url}));
    }

    /// Opens another tab and goes there.
    pub(crate) fn open_tab(&self) -> String {
        let made = self.call("POST", "/window/new", &json!({"type": "tab"}));
        let tab = made["handle"].as_str().unwrap().to_owned();
        self.to_tab(&tab);
        tab
    }

    pub(crate) fn tab(&self) -> String {
        self.call("GET", "/window", &Value::Null)
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub(crate) fn to_tab(&self, tab: &str) {
        self.call("POST", "/window", &json!({"handle": tab}));
    }

    /// The value of an expression in the page.
    pub(crate) fn value(&self, expression: &str) -> Value {
        let script = json!({"script": format!("return {expression}"), "args": []});
        self.call("POST", "/execute/sync", &script)
    }

    /// Waits for a value that is not null.
    pub(crate) fn wait_for(&self, expression: &str) -> Value {
        let start = Instant::now();
        loop {
            let value = self.value(expression);
            if !value.is_null() {
                return value;
            }
            let page = || self.value("location.href + ' ' + document.documentElement.outerHTML");
            assert!(start.elapsed() < PATIENCE, "no {expression} in {}", page());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The window as a picture in PNG.
    pub(crate) fn picture(&self) -> Vec<u8> {
        let taken = self.call("GET", "/screenshot", &Value::Null);
        BASE64.decode(taken.as_str().unwrap()).unwrap()
    }

    pub(crate) fn size(&self, width: u32, height: u32) {
        let rect = json!({"width": width, "height": height});
        self.call("POST", "/window/rect", &rect);
    }

    /// Whether the user has asked the system for dark or light pages.
    pub(crate) fn prefers(&self, scheme: &str) {
        let feature = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        let command = json!({"cmd": "Emulation.setEmulatedMedia", "params": {"features": feature}});
        self.call("POST", "/goog/cdp/execute", &command);
    }

    /// Presses keys one after the other; special ones are those of the WebDriver protocol (section 17.4.2).
    pub(crate) fn press(&self, keys: &str) {
        let steps: Vec<Value> = keys
            .chars()
            .flat_map(|key| {
                ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key.to_string()}))
            })
            .collect();
        let actions = json!({"actions": [{"type": "key", "id": "keys", "actions": steps}]});
        self.call("POST", "/actions", &actions);
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        self.send(method, &format!("{}{path}", self.session), body)
    }

    fn send(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let mut stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            self.addr,
            body.len()
        )
        .unwrap();
        // The driver keeps its connections, so the length says where the answer ends.
        let mut answer = BufReader::new(stream);
        let (mut head, mut length) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            let start = head.len();
            answer.read_line(&mut head).unwrap();
            let line = head[start..].to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        answer.read_exact(&mut body).unwrap();
        let mut value: Value = serde_json::from_slice(&body).unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{method} {path}: {value}");
        value["value"].take()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let group = format!("-{}", self.driver.id());
        let _ = Command::new("kill")
            .args(["-s", "KILL", "--", &group])
            .status();
        let _ = self.driver.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
