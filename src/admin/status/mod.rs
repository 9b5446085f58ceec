//! The status page: one file without anything from elsewhere, which asks for `/status.json` and shows it.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use http::{HeaderValue, Response};
use http_body_util::Full;

const PAGE: &str = include_str!("status.html");

/// Only its own style and script count, by their digests, and it talks to nobody but the listener it came from.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let [style, script] = ["style", "script"].map(|element| {
        let text = content(element);
        STANDARD.encode(digest(&SHA256, text.as_bytes()))
    });
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

/// What stands in the page's only element of that name.
fn content(element: &str) -> &'static str {
    let after = PAGE.split_once(&format!("<{element}>"));
    let inside = after.and_then(|(_, rest)| rest.split_once(&format!("</{element}>")));
    inside.map_or("", |(inside, _)| inside)
}

/// The page, which has no data of its own.
pub(super) fn page() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(PAGE));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if let Ok(policy) = HeaderValue::from_str(&POLICY) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_one_file_with_one_style_and_one_script() {
        for element in ["style", "script"] {
            assert_eq!(PAGE.matches(&format!("<{element}")).count(), 1);
            assert!(content(element).len() > 500, "{element}");
        }
        for foreign in ["http://", "https://", "src=", "@import", "url(", "style=\""] {
            assert!(!PAGE.contains(foreign), "{foreign}");
        }
        assert!(!PAGE.contains("innerHTML"), "texts are texts");
    }
}
