//! The policies step: what a request would do has to pass the policies service, if there is a query
//! (docs/design/contract.md 9.8). It is asked about the target, and about the `Destination` of a MOVE or COPY, by which a
//! file gets another name. Who cannot be asked has not said yes.

use std::pin::Pin;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::{HeaderName, Method};
use percent_encoding::percent_decode_str;

use super::Pipeline;
use super::admission::Caller;
use super::traced::Traced;
use crate::config::Secret;
use crate::error::{DeniedOperation, GatewayError};
use crate::headers::CleanHead;
use crate::routes::NormalPath;
use crate::rpc::cs3::ResourceId;
use crate::rpc::policies::{Decisions, Operation, ResourceName};
use crate::telemetry::traces;

const UPLOAD_METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const DESTINATION: HeaderName = HeaderName::from_static("destination");

/// Trees of spaces: what follows is the id of a resource.
const SPACES: [&str; 2] = ["/remote.php/dav/spaces/", "/dav/spaces/"];

/// The storage that all shares of a person are found below, and its space, which names itself.
const SHARES_SPACE: &str = "a0ca6a90-a365-4782-871e-d44447bbc668";

/// Reads base64 as the services behind do, so that no name is hidden from one reader only.
const FORGIVING: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Pipeline {
    /// The same as a part of the request's trace. Boxed, so that a gateway without a query does not carry its room.
    pub(super) fn pass_policies<'r>(
        &'r self,
        traced: Option<&'r Traced>,
        decisions: &'r Decisions,
        caller: &'r Caller<'_>,
        path: &'r NormalPath<'_>,
        head: &'r CleanHead,
    ) -> Pin<Box<dyn Future<Output = Result<(), GatewayError>> + 'r>> {
        let judged = self.judge(decisions, caller, path, head);
        let begun = traced.map(Traced::begun);
        Box::pin(traces::within(begun, "policies", judged, |judged| {
            judged
                .as_ref()
                .err()
                .map(|error| error.refusal().reason.code())
        }))
    }

    /// Lets the request go on if the policies do, whichever of its names they look at.
    async fn judge(
        &self,
        decisions: &Decisions,
        caller: &Caller<'_>,
        path: &NormalPath<'_>,
        head: &CleanHead,
    ) -> Result<(), GatewayError> {
        let session = caller.session();
        let identity = session.map(|session| session.facts.identity.told());
        let account = session.and_then(|session| session.facts.identity.account()?.account());
        let token = identity.and_then(|told| told.access_token.clone());
        let token = token.and_then(|token| Some(Secret::new(token.to_str().ok()?)));
        for (path, resource) in named(head, path.matched(), token) {
            let operation = Operation {
                method: head.method().as_str().to_owned(),
                path,
                resource,
                account: account.clone(),
            };
            pass(decisions, operation).await?;
        }
        Ok(())
    }
}

async fn pass(decisions: &Decisions, operation: Operation) -> Result<(), GatewayError> {
    let (method, path) = (operation.method.clone(), operation.path.clone());
    match decisions.decide(operation).await? {
        Ok(()) => Ok(()),
        Err(filename) => Err(GatewayError::Denied(Box::new(DeniedOperation {
            method,
            filename,
            path,
        }))),
    }
}

/// Every path and file that the request names: its target, the files that an upload names, what a MOVE or COPY makes. None
/// hides another one, or a client would choose which is judged.
fn named(head: &CleanHead, path: &str, token: Option<Secret>) -> Vec<(String, ResourceName)> {
    let mut all = vec![(path.to_owned(), target(head.method(), path, token))];
    for name in upload_names(head) {
        all.push((path.to_owned(), ResourceName::Known(name)));
    }
    for value in head.headers().get_all(DESTINATION) {
        let path = destination_path(&String::from_utf8_lossy(value.as_bytes()));
        let name = last_segment(&path).to_owned();
        all.push((path, ResourceName::Known(name)));
    }
    all
}

/// The last segment if it has an extension or lies in a space; for an upload to a resource that the path names by its id,
/// that resource.
fn target(method: &Method, path: &str, token: Option<Secret>) -> ResourceName {
    let last = last_segment(path);
    let id = SPACES.iter().find_map(|tree| path.strip_prefix(tree));
    let id = id.map(|id| id.trim_matches('/'));
    let name = match (id, token) {
        (Some(id), Some(token)) if !id.contains('/') && *method == Method::PUT => {
            return ResourceName::OfId {
                id: resource_id(id),
                token,
            };
        }
        (Some(id), _) if id.contains('/') => last,
        // A transfer's token is no name.
        (None, _) if last.contains('.') && !path.starts_with("/data/") => last,
        _ => "",
    };
    ResourceName::Known(name.to_owned())
}

/// A folder's path may end with a slash, and so may one that a backend takes for a file's.
fn last_segment(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    path.rsplit('/').next().unwrap_or_default()
}

/// `filename` of `Upload-Metadata` (tus 1.0.0, Creation), each time it stands there. What cannot be decoded is a name as it is
/// written.
fn upload_names(head: &CleanHead) -> Vec<String> {
    let mut names = Vec::new();
    for metadata in head.headers().get_all(UPLOAD_METADATA) {
        let text = String::from_utf8_lossy(metadata.as_bytes());
        for pair in text.split(',') {
            let mut words = pair.split_ascii_whitespace();
            let (Some("filename" | "name"), Some(value)) = (words.next(), words.next()) else {
                continue;
            };
            let decoded = FORGIVING.decode(value);
            names.push(match decoded {
                Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                Err(_) => value.to_owned(),
            });
        }
    }
    names
}

/// The path of a `Destination`, decoded, without query and fragment.
fn destination_path(value: &str) -> String {
    let path = match value.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => value,
    };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    percent_decode_str(path).decode_utf8_lossy().into_owned()
}

/// `[storage$]space[!node]`.
fn resource_id(text: &str) -> ResourceId {
    let (storage, rest) = text.split_once('$').unwrap_or(("", text));
    let (space, node) = rest.split_once('!').unwrap_or((rest, ""));
    let storage = if storage.is_empty() && space == SHARES_SPACE {
        space
    } else {
        storage
    };
    ResourceId {
        storage_id: storage.to_owned(),
        opaque_id: node.to_owned(),
        space_id: space.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::headers::Reserved;

    fn head(method: &str, headers: &[(&'static str, &'static str)]) -> CleanHead {
        let mut request = Request::builder().method(method).uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let reserved = Reserved::new(&[]);
        reserved.clean(request.body(()).unwrap()).unwrap().0
    }

    /// Each name, as `storage|space|node` where it is an id's.
    fn names(method: &str, path: &str, headers: &[(&'static str, &'static str)]) -> Vec<String> {
        let head = head(method, headers);
        let all = named(&head, path, Some(Secret::new("t"))).into_iter();
        let name = |(_, resource)| match resource {
            ResourceName::Known(name) => name,
            ResourceName::OfId { id, .. } => {
                format!("{}|{}|{}", id.storage_id, id.space_id, id.opaque_id)
            }
        };
        all.map(name).collect()
    }

    #[test]
    fn a_request_is_about_the_file_it_names() {
        let spaces = "/remote.php/dav/spaces/";
        for (method, path, expected) in [
            ("GET", "/remote.php/webdav/a b.exe", "a b.exe"),
            ("PUT", "/remote.php/webdav/a.exe/", "a.exe"),
            ("GET", "/remote.php/webdav/folder", ""),
            ("GET", "/graph/v1.0/me", ""),
            ("PUT", "/data/eyJh.eyJl.c2ln", ""),
            ("PUT", &format!("{spaces}s$p!n"), "s|p|n"),
            ("PUT", &format!("{spaces}p/"), "|p|"),
            (
                "PUT",
                &format!("{spaces}{SHARES_SPACE}!n"),
                &format!("{SHARES_SPACE}|{SHARES_SPACE}|n"),
            ),
            ("PUT", &format!("{spaces}s$p/README"), "README"),
            ("GET", &format!("{spaces}s$p!n.x"), ""),
        ] {
            assert_eq!(names(method, path, &[]), [expected], "{method} {path}");
        }
    }

    #[test]
    fn no_name_of_an_upload_hides_another_one() {
        // `b.txt`, `evil.exe`; the same with a bit set that says nothing, and without its padding.
        for hidden in ["ZXZpbC5leGU=", "ZXZpbC5leGV=", "ZXZpbC5leGU"] {
            let one = format!("filename Yi50eHQ=,filename {hidden}").leak();
            let seen = names("POST", "/dav/a.exe", &[("upload-metadata", one)]);
            assert_eq!(seen, ["a.exe", "b.txt", "evil.exe"], "{hidden}");
        }
        let two = [
            ("upload-metadata", "filename Yi50eHQ="),
            ("upload-metadata", "mtime MQ==, filename  ZXZpbC5leGU="),
        ];
        assert_eq!(names("POST", "/dav/x", &two), ["", "b.txt", "evil.exe"]);
        let broken = [("upload-metadata", "filename evil.exe")];
        assert_eq!(names("POST", "/dav/x", &broken), ["", "evil.exe"]);
    }

    #[test]
    fn a_destination_is_a_name_whatever_follows_it() {
        for value in [
            "https://c.test/dav/a%20b.exe",
            "https://c.test/dav/a%20b.exe?x=y.txt",
            "/dav/a b.exe#y.txt",
            "/dav/a b.exe/",
        ] {
            let seen = names("MOVE", "/dav/c.txt", &[("destination", value)]);
            assert_eq!(seen, ["c.txt", "a b.exe"], "{value}");
        }
    }
}
