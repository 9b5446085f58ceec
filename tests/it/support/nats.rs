//! A real NATS server with JetStream of its own for one test, and the registry that services keep in it.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::{self, kv, stream};
use davgate::door::stores::record;
use tokio::net::TcpStream;

use super::free_address;

const REGISTRY: &str = "service-registry";

/// A running server. Stopped and removed when dropped.
pub(crate) struct Nats {
    folder: PathBuf,
    address: SocketAddr,
    child: Option<Child>,
}

impl Nats {
    pub(crate) async fn start() -> Self {
        Self::start_with("").await
    }

    /// With further lines of its configuration.
    pub(crate) async fn start_with(lines: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("davgate-nats-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&folder).unwrap();
        for _ in 0..5 {
            let mut server = Self {
                folder: folder.clone(),
                address: free_address(),
                child: None,
            };
            server.configure(lines);
            if server.spawn().await {
                return server;
            }
            server.folder = PathBuf::new();
        }
        panic!("nats-server does not start; see {}", folder.display());
    }

    fn configure(&self, lines: &str) {
        let data = self.folder.join("data");
        let text = format!(
            "listen: \"{}\"\njetstream {{ store_dir: {:?} }}\n{lines}\n",
            self.address,
            data.to_str().unwrap()
        );
        fs::write(self.folder.join("nats.conf"), text).unwrap();
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Ends it at once, as a crash does. What it had in memory is gone.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub(crate) async fn start_again(&mut self) {
        self.kill();
        assert!(self.spawn().await, "nats-server does not come back");
    }

    /// Stops and continues its process: it accepts, and says nothing.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(sent.success());
    }

    async fn spawn(&mut self) -> bool {
        let log = fs::File::create(self.folder.join("nats.log")).unwrap();
        let program = ["/usr/sbin/nats-server", "/usr/local/bin/nats-server"]
            .into_iter()
            .find(|program| fs::exists(program).unwrap())
            .expect("install nats-server (Debian: apt-get install nats-server)");
        let mut child = Command::new(program)
            .arg("--config")
            .arg(self.folder.join("nats.conf"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        for _ in 0..2000 {
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            if TcpStream::connect(self.address).await.is_ok() {
                self.child = Some(child);
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        child.kill().unwrap();
        false
    }

    pub(crate) async fn client(&self) -> async_nats::Client {
        async_nats::connect(self.address()).await.unwrap()
    }

    /// The registry's bucket, made as the first service to start makes it.
    pub(crate) async fn registry(&self, age: Duration) -> Registry {
        let bucket = self.bucket(REGISTRY, age).await;
        let client = self.client().await;
        Registry { client, bucket }
    }

    /// A bucket as services make theirs.
    pub(crate) async fn bucket(&self, name: &str, age: Duration) -> kv::Store {
        let jetstream = jetstream::new(self.client().await);
        jetstream
            .create_stream(stream::Config {
                name: format!("KV_{name}"),
                subjects: vec![format!("$KV.{name}.>")],
                max_messages_per_subject: 1,
                max_age: age,
                storage: stream::StorageType::Memory,
                discard: stream::DiscardPolicy::New,
                duplicate_window: age.min(Duration::from_secs(120)),
                allow_rollup: true,
                deny_delete: true,
                allow_direct: true,
                ..stream::Config::default()
            })
            .await
            .unwrap();
        jetstream.get_key_value(name).await.unwrap()
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// What services do with the registry.
pub(crate) struct Registry {
    client: async_nats::Client,
    pub(crate) bucket: kv::Store,
}

impl Registry {
    /// A process registers one node of a service, as it does every 25 seconds.
    pub(crate) async fn register(&self, service: &str, process: &str, address: &str) {
        let plain = format!("{service}@{process}@1.0.0");
        let node = serde_json::json!({
            "name": service, "version": "1.0.0", "metadata": null, "endpoints": [],
            "nodes": [{
                "metadata": {"protocol": "http", "registry": "cache", "server": "http"},
                "id": format!("{service}-{process}"), "address": address,
            }],
        });
        let value = record::envelope(&plain, node.to_string().as_bytes());
        self.put(&key(service, process), &value).await;
    }

    pub(crate) async fn put(&self, key: &str, value: &[u8]) {
        let value = value.to_vec().into();
        self.bucket.put(key, value).await.unwrap();
    }

    /// An orderly stop of a process.
    pub(crate) async fn deregister(&self, service: &str, process: &str) {
        let mut headers = HeaderMap::new();
        headers.insert("KV-Operation", "DEL");
        let subject = format!("$KV.{REGISTRY}.{}", key(service, process));
        let sent = self
            .client
            .publish_with_headers(subject, headers, "".into());
        sent.await.unwrap();
        self.client.flush().await.unwrap();
    }
}

fn key(service: &str, process: &str) -> String {
    record::stored_key(REGISTRY, &format!("{service}@{process}@1.0.0"))
}
