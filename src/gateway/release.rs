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

    /// What the first backend says that knows its release, else that one of them is the other product.
    async fn ask(&self, timeout: Duration) -> Said {
        let mut said = Said::Nothing;
        for url in self.backends.iter().flat_map(|one| self.urls(one)) {
            let mut call = Call::get(IssuerCall::Discovery, url);
            call.timeout = timeout;
            call.insecure = self.insecure;
            let Ok(answer) = self.client.send(call).await else {
                continue;
            };
            match release_of(&answer.body, self.flavor) {
                Said::Nothing => {}
                other @ Said::Other(_) => said = other,
                release @ Said::Release(..) => return release,
            }
        }
        said
    }
}

/// What backends say they are.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    /// Nobody answered who knows.
    Nothing,
    /// They are the product that the settings are not for.
    Other(Flavor),
    /// Their release, with its own words.
    Release(Compat, String),
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
    let Said::Release(compat, version) = control.block_on(question.ask(AT_START)) else {
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
    let mut is_other_told = false;
    loop {
        let said = question.ask(UNANSWERED).await;
        let pause = if said == Said::Nothing {
            UNANSWERED
        } else {
            ANSWERED
        };
        if let Said::Other(product) = said
            && !std::mem::replace(&mut is_other_told, true)
        {
            tracing::warn!(
                "the backends are {product}, and names of services, defaults and variables are those of {set}; set PROXY_FLAVOR={product}",
                product = product.name(),
                set = question.flavor.name(),
            );
        }
        if let Said::Release(compat, version) = said
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

/// Whoever answers with a page does not know.
fn release_of(body: &[u8], flavor: Flavor) -> Said {
    let Ok(status) = serde_json::from_slice::<Value>(body) else {
        return Said::Nothing;
    };
    let product = match status["product"].as_str() {
        Some("Infinite Scale") => Flavor::Ocis,
        Some("OpenCloud") => Flavor::OpenCloud,
        _ => flavor,
    };
    if product != flavor {
        return Said::Other(product);
    }
    let version = status["productversion"].as_str().unwrap_or_default();
    let printable = version.len() <= 64 && version.bytes().all(|b| b.is_ascii_graphic());
    match Compat::of_version(flavor, version) {
        Some(compat) if printable => Said::Release(compat, version.to_owned()),
        _ => Said::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_the_product_counts_and_not_that_of_the_protocol() {
        let opencloud = br#"{"installed":true,"version":"10.11.0.0","versionstring":"10.11.0","product":"OpenCloud","productversion":"4.0.3"}"#;
        let found = release_of(opencloud, Flavor::OpenCloud);
        assert_eq!(found, Said::Release(Compat::OpenCloud4, "4.0.3".to_owned()));
        assert_eq!(
            release_of(opencloud, Flavor::Ocis),
            Said::Other(Flavor::OpenCloud)
        );
        let ocis = br#"{"product":"Infinite Scale","productversion":"7.1.2"}"#;
        assert_eq!(
            release_of(ocis, Flavor::Ocis),
            Said::Release(Compat::Ocis7, "7.1.2".to_owned())
        );
        assert_eq!(
            release_of(ocis, Flavor::OpenCloud),
            Said::Other(Flavor::Ocis)
        );
        for other in [
            &b"<html>"[..],
            b"{}",
            br#"{"productversion":7}"#,
            br#"{"productversion":"4\n5"}"#,
            br#"{"version":"10.0.0"}"#,
            b"",
        ] {
            assert_eq!(release_of(other, Flavor::OpenCloud), Said::Nothing);
        }
    }
}
