//! The WebDAV file store: each user's own folder, chosen by the gateway's `Remote-User` header.
//!
//! It believes that header, so it listens on loopback only and nothing but the gateway may reach it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use dav_server::DavHandler;
use dav_server::body::Body as DavBody;
use dav_server::fakels::FakeLs;
use dav_server::localfs::LocalFs;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Body;

/// The header that names the user.
const REMOTE_USER: &str = "remote-user";

/// Folders of all users below one folder.
pub(crate) struct Store {
    data: PathBuf,
    prefix: String,
}

impl Store {
    /// A store that serves `data`/USER below the path `prefix`.
    pub(crate) fn new(data: PathBuf, prefix: String) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&data).with_context(|| format!("making {}", data.display()))?;
        let prefix = prefix.trim_end_matches('/').to_owned();
        Ok(Self { data, prefix })
    }

    /// Answers one request.
    pub(crate) async fn handle<B>(&self, request: Request<B>) -> Response<DavBody>
    where
        B: Body + Send,
        B::Data: bytes::Buf + Send + 'static,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        if !self.serves(request.uri().path()) {
            return refusal(StatusCode::NOT_FOUND);
        }
        let user = match remote_user(request.headers()) {
            Ok(user) => user.to_owned(),
            Err(status) => return refusal(status),
        };
        let folder = self.data.join(&user);
        if tokio::fs::create_dir_all(&folder).await.is_err() {
            return refusal(StatusCode::INSUFFICIENT_STORAGE);
        }
        self.webdav(&folder).handle(request).await
    }

    fn serves(&self, path: &str) -> bool {
        path.strip_prefix(&self.prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    fn webdav(&self, folder: &Path) -> DavHandler {
        // Locks are granted and forgotten: each folder has one user, and sync clients only want to see them granted.
        DavHandler::builder()
            .filesystem(LocalFs::new(folder, false, false, false))
            .locksystem(FakeLs::new())
            .strip_prefix(self.prefix.clone())
            .build_handler()
    }
}

/// The one user named, as a folder name. The gateway percent-encodes everything unusual, so what is left over from
/// these characters did not come from the gateway.
fn remote_user(headers: &HeaderMap) -> Result<&str, StatusCode> {
    let mut values = headers.get_all(REMOTE_USER).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(StatusCode::UNAUTHORIZED);
    };
    let user = value.to_str().map_err(|_| StatusCode::FORBIDDEN)?;
    let usual = |byte: u8| byte.is_ascii_alphanumeric() || b"._@+-%".contains(&byte);
    let plain =
        !user.is_empty() && !user.starts_with('.') && user.len() <= 255 && user.bytes().all(usual);
    if plain {
        Ok(user)
    } else {
        Err(StatusCode::FORBIDDEN)
    }
}

fn refusal(status: StatusCode) -> Response<DavBody> {
    let mut response = Response::new(DavBody::empty());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::{BodyExt as _, Full};

    use super::*;

    fn store(name: &str) -> Store {
        let folder =
            std::env::temp_dir().join(format!("davgate-demo-store-{}-{name}", std::process::id()));
        Store::new(folder, "/files/".into()).unwrap()
    }

    async fn ask(
        store: &Store,
        method: &str,
        path: &str,
        user: Option<&str>,
        body: &'static str,
    ) -> (StatusCode, Bytes) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(user) = user {
            request = request.header(REMOTE_USER, user);
        }
        let response = store
            .handle(request.body(Full::new(Bytes::from(body))).unwrap())
            .await;
        let status = response.status();
        (
            status,
            response.into_body().collect().await.unwrap().to_bytes(),
        )
    }

    #[tokio::test]
    async fn each_user_has_a_folder_of_their_own() {
        let store = store("folders");
        let (status, _) = ask(&store, "PUT", "/files/a.txt", Some("alan"), "by alan").await;
        assert_eq!(status, StatusCode::CREATED);
        let (status, body) = ask(&store, "GET", "/files/a.txt", Some("alan"), "").await;
        assert_eq!(
            (status, body.as_ref()),
            (StatusCode::OK, b"by alan".as_ref())
        );
        let (status, _) = ask(&store, "GET", "/files/a.txt", Some("mary"), "").await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        std::fs::remove_dir_all(&store.data).unwrap();
    }

    #[tokio::test]
    async fn without_exactly_one_user_nothing_is_served() {
        let store = store("nobody");
        let (status, _) = ask(&store, "GET", "/files/", None, "").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        let mut headers = HeaderMap::new();
        headers.append(REMOTE_USER, http::HeaderValue::from_static("alan"));
        headers.append(REMOTE_USER, http::HeaderValue::from_static("mary"));
        assert_eq!(remote_user(&headers), Err(StatusCode::UNAUTHORIZED));
        std::fs::remove_dir_all(&store.data).unwrap();
    }

    #[tokio::test]
    async fn a_name_that_leaves_the_folder_is_refused() {
        let store = store("escape");
        for user in ["..", ".", "a/b", "../mary", "a\\b", ""] {
            let (status, _) = ask(&store, "GET", "/files/", Some(user), "").await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{user:?}");
        }
        std::fs::remove_dir_all(&store.data).unwrap();
    }

    #[tokio::test]
    async fn outside_the_prefix_there_is_nothing() {
        let store = store("prefix");
        for path in ["/", "/filesystem", "/other/a.txt"] {
            let (status, _) = ask(&store, "GET", path, Some("alan"), "").await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        }
        std::fs::remove_dir_all(&store.data).unwrap();
    }

    #[tokio::test]
    async fn a_path_that_leaves_the_folder_finds_nothing() {
        let store = store("dots");
        ask(&store, "PUT", "/files/secret", Some("alan"), "x").await;
        for path in [
            "/files/../alan/secret",
            "/files/%2e%2e/alan/secret",
            "/alan/secret",
        ] {
            let (status, _) = ask(&store, "GET", path, Some("mary"), "").await;
            assert!(!status.is_success(), "{path}: {status}");
        }
        std::fs::remove_dir_all(&store.data).unwrap();
    }
}
