//! `PROXY_COMPAT=auto`: the backends say which release they are (`/status.php`), at the start and whenever one comes back.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::client::{self, Call, Client};
use crate::config::routes::{Backend, Server};
use crate::config::{Compat, Config, Flavor, Loaded};
use crate::model::Endpoint;
use crate::reload::{Reloader, Source};
use crate::services::Directory;
use crate::telemetry::{IssuerCall, START};

/// How long the start waits for a word. Whoever starts later is asked later.
const AT_START: Duration = Duration::from_secs(1);

/// Between questions while nobody answers, and once somebody did.
const UNANSWERED: Duration = Duration::from_secs(5);
const ANSWERED: Duration = Duration::from_secs(30);

/// Asks for the release.
pub(super) struct Question {
    client: Client,
    backends: Vec<Backend>,
    services: Directory,
    insecure: bool,
    flavor: Flavor,
}

impl Question {
    /// `None` where nobody is to be asked.
    pub(super) fn new(config: &Config, services: Directory) -> Option<Self> {
        if config.asked_for_release.is_empty() {
            return None;
        }
        let client = Client::new(client::Options {
            ca_file: config.upstream.cacert.clone(),
            ..client::Options::default()
        });
        Some(Self {
            client: client.ok()?,
            backends: config.asked_for_release.clone(),
            services,
            insecure: config.upstream.insecure,
            flavor: config.flavor,
        })
    }

    /// The release of the first backend that knows, with its own words.
    async fn ask(&self, timeout: Duration) -> Option<(Compat, String)> {
        for url in self.backends.iter().flat_map(|one| self.urls(one)) {
            let mut call = Call::get(IssuerCall::Discovery, url);
            call.timeout = timeout;
            call.insecure = self.insecure;
            let Ok(answer) = self.client.send(call).await else {
                continue;
            };
            if let Some(found) = release_of(&answer.body, self.flavor) {
                return Some(found);
            }
        }
        None
    }
}

impl Question {
    /// Where a backend's nodes tell it.
    fn urls(&self, backend: &Backend) -> Vec<Url> {
        let nodes = match &backend.server {
            Server::Service(name) => self.services.endpoints(name.as_str()),
            Server::Origin(endpoint) => Arc::new([Endpoint::clone(endpoint)]),
        };
        let of_node = |node: &Endpoint| {
            node.host()?;
            let scheme = if node.tls { "https" } else { "http" };
            let base = &backend.base_path;
            let url = format!("{scheme}://{}{base}/status.php", node.authority());
            url.parse().ok()
        };
        nodes.iter().filter_map(of_node).collect()
    }
}

/// Asks before anything is built: what changes only at a start then fits from the beginning.
pub(super) fn settled(loaded: Loaded, mut source: Source, control: &Runtime) -> (Loaded, Source) {
    // A registry is not looked into yet; services mostly have their usual places.
    let services = Directory::new(loaded.config.flavor);
    let Some(question) = Question::new(&loaded.config, services) else {
        return (loaded, source);
    };
    let Some((compat, version)) = control.block_on(question.ask(AT_START)) else {
        let newest = loaded.config.compat.name();
        tracing::info!(target: START, "no backend has said which release it is yet: defaults of {newest} until then (PROXY_COMPAT)");
        return (loaded, source);
    };
    tell(compat, &version);
    source.options.found_release = Some(compat);
    if compat == loaded.config.compat {
        return (loaded, source);
    }
    // What was without mistakes under another release can have one here; then the start goes on with what it was given.
    let again = Config::load(&source.options, &*source.vars);
    (again.unwrap_or(loaded), source)
}

/// Follows what the backends say. Ends with `stop`.
pub(super) async fn follow(question: Question, reloader: Arc<Reloader>, stop: CancellationToken) {
    let mut known = reloader.found_release();
    loop {
        let answer = question.ask(UNANSWERED).await;
        let pause = if answer.is_some() {
            ANSWERED
        } else {
            UNANSWERED
        };
        if let Some((compat, version)) = answer
            && known != Some(compat)
        {
            tell(compat, &version);
            known = Some(compat);
            let reloader = Arc::clone(&reloader);
            let reloaded = tokio::task::spawn_blocking(move || reloader.serve_release(compat));
            if !matches!(reloaded.await, Ok(true)) {
                tracing::error!(
                    "the defaults of {} could not be put in force",
                    compat.name()
                );
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

fn tell(compat: Compat, version: &str) {
    tracing::info!(target: START, "the backends are of version {version}: defaults of {} (PROXY_COMPAT)", compat.name());
}

/// Whoever answers with a page, or is another product, does not know.
fn release_of(body: &[u8], flavor: Flavor) -> Option<(Compat, String)> {
    let status: Value = serde_json::from_slice(body).ok()?;
    let product = status["product"].as_str().unwrap_or_default();
    let is_other = match flavor {
        Flavor::OpenCloud => product == "Infinite Scale",
        Flavor::Ocis => product == "OpenCloud",
    };
    let version = status["productversion"].as_str()?;
    let printable = version.len() <= 64 && version.bytes().all(|b| b.is_ascii_graphic());
    let compat = Compat::of_version(flavor, version)?;
    (printable && !is_other).then(|| (compat, version.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_the_product_counts_and_not_that_of_the_protocol() {
        let opencloud = br#"{"installed":true,"version":"10.11.0.0","versionstring":"10.11.0","product":"OpenCloud","productversion":"4.0.3"}"#;
        let found = release_of(opencloud, Flavor::OpenCloud);
        assert_eq!(found, Some((Compat::OpenCloud4, "4.0.3".to_owned())));
        assert_eq!(release_of(opencloud, Flavor::Ocis), None);
        let ocis = br#"{"product":"Infinite Scale","productversion":"7.1.2"}"#;
        assert_eq!(
            release_of(ocis, Flavor::Ocis),
            Some((Compat::Ocis7, "7.1.2".to_owned()))
        );
        for other in [
            &b"<html>"[..],
            b"{}",
            br#"{"productversion":7}"#,
            br#"{"productversion":"4\n5"}"#,
            br#"{"version":"10.0.0"}"#,
            b"",
        ] {
            assert_eq!(release_of(other, Flavor::OpenCloud), None);
        }
    }
}
