//! The head of a request, read once: what is known of it before anything is decided about it.

use std::rc::Rc;

use http::header::HOST;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Uri};

use super::request_id::RequestId;
use super::traced::Traced;
use crate::answer::AnswerForm;
use crate::credentials::Accepts;
use crate::forwarded::Client;
use crate::process::Snapshot;
use crate::routes::{RouteError, Target, effective_host, readable_path, redacted_path};
use crate::server::Connection;
use crate::upstream::Ingress;

/// What a head says.
pub(super) struct Arrival<'r> {
    pub(super) connection: &'r Connection,
    pub(super) snapshot: &'r Snapshot,
    /// Its client, as backends are told.
    pub(super) ingress: Ingress,
    /// Whether it names one host.
    pub(super) host: Result<(), RouteError>,
    /// Where its client has to go instead.
    pub(super) redirect: Option<HeaderValue>,
    /// What it asks for, in the one form that is matched and forwarded.
    pub(super) target: Result<Target<'r>, RouteError>,
    /// How it is told of a refusal; knows the scheme that it used.
    pub(super) form: AnswerForm,
    /// Its trace, if there are traces.
    pub(super) traced: Option<Rc<Traced>>,
}

impl<'r> Arrival<'r> {
    /// Reads a head, of which `uri` is the target.
    pub(super) fn read(
        connection: &'r Connection,
        snapshot: &'r Snapshot,
        head: &Parts,
        uri: &'r Uri,
        request_id: &RequestId,
        accepts: Accepts,
        traced: Option<Rc<Traced>>,
    ) -> Self {
        let headers = &head.headers;
        let host = effective_host(head.version, uri, headers);
        let own_host = host.ok().flatten();
        let forwarding = &snapshot.forwarding;
        let client = forwarding.client(connection.peer.ip(), connection.tls, own_host, headers);
        if connection.is_new() {
            forwarding.look_for_mistakes(&client, connection.peer.ip(), headers);
        }
        let ingress = ingress(&client, own_host, connection, headers, request_id);
        let redirect = forwarding.https_redirect(&client, uri, headers);
        let target = Target::parse(&head.method, uri, &snapshot.root);
        let form = AnswerForm::of(
            &head.method,
            readable_path(&target, uri, &snapshot.root),
            uri.query(),
            headers,
            ingress.host.clone(),
            &snapshot.config.http.agent_challenges,
            accepts.passwords,
        );
        Self {
            connection,
            snapshot,
            host: host.map(drop),
            redirect,
            target,
            form,
            ingress,
            traced,
        }
    }

    /// The path as it may be logged.
    pub(super) fn redacted_path(&self, uri: &Uri) -> String {
        redacted_path(uri.path(), &self.snapshot.root).into_owned()
    }
}

/// The client as backends are told. Values that are at hand as such are shared, not made again.
fn ingress(
    client: &Client<'_>,
    own_host: Option<&str>,
    connection: &Connection,
    headers: &HeaderMap,
    request_id: &RequestId,
) -> Ingress {
    let made =
        |text: &str| HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""));
    let sent = headers.get(HOST);
    let host = |text: &str| match sent.filter(|sent| sent.as_bytes() == text.as_bytes()) {
        Some(sent) => sent.clone(),
        None => made(text),
    };
    Ingress {
        client: if client.address == connection.peer.ip() {
            connection.peer_text.clone()
        } else {
            made(&client.address.to_string())
        },
        scheme: HeaderValue::from_static(client.scheme()),
        host: host(&client.host),
        own_host: host(own_host.unwrap_or(&client.host)),
        request_id: request_id.value(),
    }
}
