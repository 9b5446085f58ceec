//! The policies step: what a request would do has to pass the policies service, if there is a query
//! (docs/design/contract.md 9.8). It is asked about the target, and about the `Destination` of a MOVE or COPY, by which a
//! file gets another name. Who cannot be asked has not said yes.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, Method};
use percent_encoding::percent_decode_str;

use super::Pipeline;
use super::admission::Caller;
use crate::config::Secret;
use crate::error::{DeniedOperation, GatewayError};
use crate::headers::CleanHead;
use crate::model::Account;
use crate::routes::NormalPath;
use crate::rpc::cs3::ResourceId;
use crate::rpc::policies::{Decisions, Operation, ResourceName};

const UPLOAD_METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const DESTINATION: HeaderName = HeaderName::from_static("destination");

/// Trees of spaces: what follows is the id of a resource.
const SPACES: [&str; 2] = ["/remote.php/dav/spaces/", "/dav/spaces/"];

/// The storage that all shares of a person are found below, and its space, which names itself.
const SHARES_SPACE: &str = "a0ca6a90-a365-4782-871e-d44447bbc668";

impl Pipeline {
    /// Lets the request go on if the policies do.
    pub(super) async fn pass_policies(
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
        let target = Operation {
            method: head.method().as_str().to_owned(),
            path: path.matched().to_owned(),
            resource: resource(head, path.matched(), token),
            account: account.clone(),
        };
        pass(decisions, target).await?;
        match destination(head, account) {
            Some(operation) => pass(decisions, operation).await,
            None => Ok(()),
        }
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

/// What the request is about: the file that an upload names, else the last segment if it has an extension, else, for an
/// upload to a resource that the path names by its id, that resource.
fn resource(head: &CleanHead, path: &str, token: Option<Secret>) -> ResourceName {
    if let Some(name) = upload_name(head) {
        return ResourceName::Known(name);
    }
    let last = path.rsplit('/').next().unwrap_or_default();
    let id = SPACES.iter().find_map(|tree| path.strip_prefix(tree));
    match (id.filter(|id| !id.contains('/')), token) {
        (Some(id), Some(token)) if *head.method() == Method::PUT => ResourceName::OfId {
            id: resource_id(id),
            token,
        },
        (None, _) if last.contains('.') || id.is_some() => ResourceName::Known(last.to_owned()),
        _ => ResourceName::Known(String::new()),
    }
}

/// `filename` of `Upload-Metadata` (tus 1.0.0, Creation).
fn upload_name(head: &CleanHead) -> Option<String> {
    let metadata = head.headers().get(UPLOAD_METADATA)?.to_str().ok()?;
    let pair = metadata.split(',').find_map(|pair| {
        let (key, value) = pair.trim().split_once(' ')?;
        (key == "filename").then_some(value)
    });
    let bytes = STANDARD.decode(pair?.trim()).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// What a MOVE or COPY makes.
fn destination(head: &CleanHead, account: Option<Arc<Account>>) -> Option<Operation> {
    let value = head.headers().get(DESTINATION)?.to_str().ok()?;
    let path = match value.split_once("://") {
        Some((_, rest)) => &rest[rest.find('/')?..],
        None => value,
    };
    let path = percent_decode_str(path).decode_utf8_lossy();
    let name = path.trim_end_matches('/').rsplit('/').next()?;
    Some(Operation {
        method: head.method().as_str().to_owned(),
        resource: ResourceName::Known(name.to_owned()),
        path: path.to_string(),
        account,
    })
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

    fn name(method: &str, path: &str, headers: &[(&'static str, &'static str)]) -> String {
        match resource(&head(method, headers), path, Some(Secret::new("t"))) {
            ResourceName::Known(name) => name,
            ResourceName::OfId { id, .. } => {
                format!("{}|{}|{}", id.storage_id, id.space_id, id.opaque_id)
            }
        }
    }

    #[test]
    fn a_request_is_about_the_file_it_names() {
        let spaces = "/remote.php/dav/spaces/";
        for (method, path, headers, expected) in [
            ("GET", "/remote.php/webdav/a b.exe", &[][..], "a b.exe"),
            ("GET", "/remote.php/webdav/folder", &[], ""),
            ("GET", "/graph/v1.0/me", &[], ""),
            (
                "POST",
                "/remote.php/webdav/x.txt",
                &[("upload-metadata", "mtime MQ==,filename ZXZpbC5leGU=")],
                "evil.exe",
            ),
            ("PUT", &format!("{spaces}s$p!n"), &[], "s|p|n"),
            ("PUT", &format!("{spaces}p"), &[], "|p|"),
            (
                "PUT",
                &format!("{spaces}{SHARES_SPACE}!n"),
                &[],
                &format!("{SHARES_SPACE}|{SHARES_SPACE}|n"),
            ),
            ("PUT", &format!("{spaces}s$p/README"), &[], "README"),
            ("GET", &format!("{spaces}s$p!n.x"), &[], ""),
        ] {
            assert_eq!(name(method, path, headers), expected, "{method} {path}");
        }
    }

    #[test]
    fn a_destination_is_an_operation_of_its_own() {
        for (value, path, name) in [
            ("https://c.test/dav/a%20b.exe", "/dav/a b.exe", "a b.exe"),
            ("/dav/folder/", "/dav/folder/", "folder"),
        ] {
            let head = head("MOVE", &[("destination", value)]);
            let operation = destination(&head, None).unwrap();
            assert_eq!(operation.path, path);
            let ResourceName::Known(known) = operation.resource else {
                panic!("{value}")
            };
            assert_eq!(known, name);
        }
        assert!(destination(&head("MOVE", &[]), None).is_none());
    }
}
