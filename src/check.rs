//! `davgate config check --online`: asks once everything the gateway would ask, and says what came of it. Nothing is
//! written anywhere, and nobody logs in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde_json::Value;
use tokio::net::TcpStream;
use url::Url;

use crate::accounts::UserDirectory;
use crate::client::{Answer, Call, CallError, Client};
use crate::config::Config;
use crate::config::oidc::Issuer;
use crate::config::routes::Server;
use crate::model::{Endpoint, Place};
use crate::rpc::otlp::Exporter;
use crate::services::Directory;
use crate::telemetry::{IssuerCall, Metrics};

/// How long a backend may take to be reached.
const CONNECT: Duration = Duration::from_secs(5);

/// How long the registry may take to name its nodes.
const REGISTRY: Duration = Duration::from_secs(3);

/// What one question came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Who was asked.
    pub subject: String,
    /// What came of it.
    pub verdict: Verdict,
    /// What was found; for all but `Fine` with the setting to change.
    pub text: String,
}

/// Whether a finding is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As it should be.
    Fine,
    /// It works, but somebody may miss something.
    Warning,
    /// It cannot work.
    Fault,
}

impl Verdict {
    /// Its word.
    #[must_use]
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Warning => "warning",
            Self::Fault => "FAULT",
        }
    }
}

/// Asks everybody in turn. `tell` hears of each finding at once, so that a slow one is seen to be slow.
pub(crate) async fn online(
    config: &Config,
    client: &Client,
    directory: &dyn UserDirectory,
    services: &Directory,
    tell: &mut dyn FnMut(Finding),
) {
    let mut say = |subject: &str, verdict, text: String| {
        tell(Finding {
            subject: subject.to_owned(),
            verdict,
            text: config.flavor.words(&text).into_owned(),
        });
    };
    public_url(config, client, &mut say).await;
    for issuer in &config.issuers {
        self::issuer(issuer, client, &mut say).await;
    }
    match directory.probe().await {
        Ok(()) => say(
            "accounts",
            Verdict::Fine,
            "the account backend answers".to_owned(),
        ),
        Err(error) => say("accounts", Verdict::Fault, error.to_string()),
    }
    backends(config, services, &mut say).await;
    collector(config, &mut say).await;
}

type Say<'a> = dyn FnMut(&str, Verdict, String) + 'a;

/// The gateway need not run while it is checked; a wrong certificate is one all the same.
async fn public_url(config: &Config, client: &Client, say: &mut Say<'_>) {
    let url = &config.http.public_url;
    let subject = format!("public URL {url}");
    match client
        .send(Call::get(IssuerCall::Discovery, url.clone()))
        .await
    {
        Ok(answer) => say(
            &subject,
            Verdict::Fine,
            format!("answers {}", answer.status),
        ),
        Err(CallError::Tls(error)) => say(
            &subject,
            Verdict::Warning,
            format!(
                "its certificate is not believed here: {error}; clients need one for {} (PROXY_TRANSPORT_TLS_CERT, or the proxy in front)",
                url.host_str().unwrap_or_default()
            ),
        ),
        Err(error) => say(
            &subject,
            Verdict::Warning,
            format!(
                "cannot be asked from here: {error}; backends call it too, so it has to lead to the gateway from their machines ({})",
                config.flavor.own("OC_URL")
            ),
        ),
    }
}

async fn issuer(issuer: &Issuer, client: &Client, say: &mut Say<'_>) {
    let subject = format!("issuer {}", issuer.issuer);
    let Some(document) = discovery(issuer, client, &subject, say).await else {
        return;
    };
    keys(issuer, client, &document, say).await;
    userinfo(issuer, client, &document, say).await;
    introspection(issuer, client, &document, say).await;
    for (clients, text) in missing(&document) {
        say(clients, Verdict::Warning, text);
    }
}

async fn discovery(
    issuer: &Issuer,
    client: &Client,
    subject: &str,
    say: &mut Say<'_>,
) -> Option<Value> {
    let text = format!(
        "{}/.well-known/openid-configuration",
        issuer.issuer.trim_end_matches('/')
    );
    let url = Url::parse(&text).ok()?;
    let answer = match ask(issuer, client, IssuerCall::Discovery, &url).await {
        Ok(answer) => answer,
        Err(error) => {
            say(
                subject,
                Verdict::Fault,
                format!(
                    "{url} cannot be asked: {error} (PROXY_OIDC_ISSUER; PROXY_OIDC_BACKCHANNEL_URL if its public name does not lead there from here)"
                ),
            );
            return None;
        }
    };
    let document: Option<Value> = (answer.status == StatusCode::OK)
        .then(|| serde_json::from_slice(&answer.body).ok())
        .flatten();
    let Some(document) = document else {
        say(
            subject,
            Verdict::Fault,
            format!(
                "{url} answers {} and no discovery document (PROXY_OIDC_ISSUER)",
                answer.status
            ),
        );
        return None;
    };
    if document["issuer"] == issuer.issuer.as_str() {
        say(
            subject,
            Verdict::Fine,
            "its discovery document is there".to_owned(),
        );
        Some(document)
    } else {
        say(
            subject,
            Verdict::Fault,
            format!(
                "its document names the issuer {}; PROXY_OIDC_ISSUER has to be that very string, the slash at the end included",
                document["issuer"]
            ),
        );
        None
    }
}

async fn keys(issuer: &Issuer, client: &Client, document: &Value, say: &mut Say<'_>) {
    let Some(url) = endpoint(document, "jwks_uri") else {
        say(
            "keys",
            Verdict::Warning,
            "the issuer names none; only introspection or userinfo can decide".to_owned(),
        );
        return;
    };
    let set = match ask(issuer, client, IssuerCall::Keys, &url).await {
        Ok(answer) => serde_json::from_slice::<Value>(&answer.body).ok(),
        Err(error) => {
            say("keys", Verdict::Fault, format!("{url}: {error}"));
            return;
        }
    };
    match set.as_ref().and_then(|set| set["keys"].as_array()) {
        Some(keys) if !keys.is_empty() => {
            say("keys", Verdict::Fine, format!("{} published", keys.len()));
        }
        _ => say("keys", Verdict::Fault, format!("{url} has no keys")),
    }
}

async fn userinfo(issuer: &Issuer, client: &Client, document: &Value, say: &mut Say<'_>) {
    if issuer.skip_user_info {
        return;
    }
    let Some(url) = endpoint(document, "userinfo_endpoint") else {
        say("userinfo", Verdict::Fault, "the issuer names none; set PROXY_OIDC_SKIP_USER_INFO=true if its tokens have all claims".to_owned());
        return;
    };
    match ask(issuer, client, IssuerCall::Userinfo, &url).await {
        Ok(answer) if answer.status.is_client_error() => {
            say(
                "userinfo",
                Verdict::Fine,
                format!("refuses who has no token ({})", answer.status),
            );
        }
        Ok(answer) => say(
            "userinfo",
            Verdict::Warning,
            format!("{url} answers {} to who has no token", answer.status),
        ),
        Err(error) => say("userinfo", Verdict::Fault, format!("{url}: {error}")),
    }
}

/// Whether our own credentials are good, asked with a token that nobody gave out.
async fn introspection(issuer: &Issuer, client: &Client, document: &Value, say: &mut Say<'_>) {
    let Some(credentials) = &issuer.client else {
        return;
    };
    let named = || endpoint(document, "introspection_endpoint");
    let Some(url) = issuer.introspection_url.clone().or_else(named) else {
        say(
            "introspection",
            Verdict::Fault,
            "the issuer names no endpoint for it, but PROXY_OIDC_CLIENT_ID is set; PROXY_OIDC_INTROSPECTION_URL names one"
                .to_owned(),
        );
        return;
    };
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("token", "davgate-config-check")
        .append_pair("client_id", &credentials.id)
        .append_pair("client_secret", credentials.secret.reveal())
        .finish();
    let mut call = Call::get(IssuerCall::Introspection, url.clone());
    call.method = http::Method::POST;
    call.insecure = issuer.insecure;
    call.headers.insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static("application/x-www-form-urlencoded"),
    );
    call.body = form.into();
    match client.send(call).await {
        Ok(answer) if answer.status == StatusCode::OK => {
            say(
                "introspection",
                Verdict::Fine,
                "our credentials are taken".to_owned(),
            );
        }
        Ok(answer) => say(
            "introspection",
            Verdict::Warning,
            format!(
                "{url} answers {} to credentials in the form; compare PROXY_OIDC_CLIENT_ID and PROXY_OIDC_CLIENT_SECRET, unless the issuer takes them in the header only",
                answer.status
            ),
        ),
        Err(error) => say("introspection", Verdict::Fault, format!("{url}: {error}")),
    }
}

async fn ask(
    issuer: &Issuer,
    client: &Client,
    kind: IssuerCall,
    url: &Url,
) -> Result<Answer, CallError> {
    let mut call = Call::get(kind, url.clone());
    call.insecure = issuer.insecure;
    if let (Some(base), Ok(public)) = (&issuer.backchannel_url, Url::parse(&issuer.issuer)) {
        call.backchannel = Some(std::sync::Arc::new(crate::client::Backchannel::new(
            public,
            base.clone(),
        )));
    }
    client.send(call).await
}

fn endpoint(document: &Value, name: &str) -> Option<Url> {
    Url::parse(document.get(name)?.as_str()?).ok()
}

/// Which clients would fail at this issuer, and why.
fn missing(document: &Value) -> Vec<(&'static str, String)> {
    let offers = |name: &str, value: &str| {
        document
            .get(name)
            .and_then(Value::as_array)
            .is_none_or(|all| all.iter().any(|one| one == value))
    };
    let mut found = Vec::new();
    if !offers("response_types_supported", "code") {
        found.push((
            "browser, desktop, mobile",
            "the issuer does not offer response_type code, which all clients use".to_owned(),
        ));
    }
    if !offers("code_challenge_methods_supported", "S256") {
        found.push((
            "browser, desktop, mobile",
            "the issuer does not offer PKCE with S256; the clients are public and use it"
                .to_owned(),
        ));
    }
    if !offers("scopes_supported", "offline_access") {
        found.push(("desktop, mobile, rclone", "the issuer does not offer the scope offline_access; whoever asks for it is logged out when the browser's session ends".to_owned()));
    }
    if !offers("token_endpoint_auth_methods_supported", "none") {
        found.push(("browser, desktop, mobile", "the issuer does not offer clients without a secret (token_endpoint_auth_methods_supported: none); they have to be public".to_owned()));
    }
    found
}

/// A connection to each node of each backend, with one of the routes that lead there.
async fn backends(config: &Config, services: &Directory, say: &mut Say<'_>) {
    let mut changes = services.changes();
    if config.services.registry.is_some() {
        // The registry has its say within moments, or is away, and then the default addresses count.
        let _ = tokio::time::timeout(REGISTRY, changes.changed()).await;
    }
    let mut places: BTreeMap<(String, Endpoint), String> = BTreeMap::new();
    for route in config.policies.iter().flat_map(|policy| &policy.routes) {
        let backend = &route.backend;
        let endpoints: Vec<Endpoint> = match &backend.server {
            Server::Service(name) => services.endpoints(name.as_str()).to_vec(),
            Server::Origin(endpoint) => vec![(**endpoint).clone()],
        };
        if endpoints.is_empty() {
            let text = unreached(
                "no address",
                "nobody knows this service",
                &route.endpoint,
                &backend.name,
            );
            say(&format!("backend {}", backend.name), Verdict::Fault, text);
        }
        for endpoint in endpoints {
            places
                .entry((backend.name.clone(), endpoint))
                .or_insert_with(|| route.endpoint.clone());
        }
    }
    for ((name, node), endpoint) in places {
        let subject = format!("backend {name}");
        let place = node.authority();
        match tokio::time::timeout(CONNECT, reach(&node)).await {
            Ok(Ok(())) => say(&subject, Verdict::Fine, format!("{place} is reached")),
            Ok(Err(error)) => say(
                &subject,
                Verdict::Fault,
                unreached(&place, &error.to_string(), &endpoint, &name),
            ),
            Err(_) => say(
                &subject,
                Verdict::Fault,
                unreached(&place, "no answer within 5 s", &endpoint, &name),
            ),
        }
    }
}

/// Nobody is kept out without it, so that it is no fault.
async fn collector(config: &Config, say: &mut Say<'_>) {
    let Some(traces) = &config.traces else { return };
    let subject = format!(
        "collector of traces {}:{}",
        traces.collector.host, traces.collector.port
    );
    let metrics = Metrics::new(config.flavor, "", 1, Arc::default()).control();
    let directory = Directory::new(config.flavor);
    let asked = match Exporter::new(traces, env!("CARGO_PKG_VERSION"), directory, metrics) {
        Ok(exporter) => exporter.probe().await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match asked {
        Ok(()) => say(&subject, Verdict::Fine, "takes traces".to_owned()),
        Err(error) => say(
            &subject,
            Verdict::Warning,
            format!(
                "{error}; traces are lost (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL, OTEL_EXPORTER_OTLP_HEADERS)"
            ),
        ),
    }
}

async fn reach(node: &Endpoint) -> std::io::Result<()> {
    match &node.place {
        Place::Tcp { host, port } => TcpStream::connect((host.as_str(), *port)).await.map(drop),
        Place::Unix(path) => tokio::net::UnixStream::connect(path).await.map(drop),
    }
}

fn unreached(place: &str, why: &str, endpoint: &str, name: &str) -> String {
    format!(
        "{place}: {why}; the route {endpoint} leads there (services.{name} or backend of the route, in proxy.yaml)"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_issuer_that_lacks_what_a_client_needs_is_told_by_client() {
        let document = json!({
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["plain"],
            "scopes_supported": ["openid"],
        });
        let clients: Vec<&str> = missing(&document)
            .iter()
            .map(|(clients, _)| *clients)
            .collect();
        assert_eq!(
            clients,
            ["browser, desktop, mobile", "desktop, mobile, rclone"]
        );
        assert_eq!(missing(&json!({})), []);
    }
}
