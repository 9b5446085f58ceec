//! The little HTTP that issuer and store share: an accept loop, short answers, form bodies.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use tokio::net::TcpListener;

/// A short answer.
pub(crate) type Answer = Response<Full<Bytes>>;

/// More than any form of the demo needs.
const MAX_FORM: usize = 64 * 1024;

/// Accepts connections for ever and answers each request with `handler`.
pub(crate) async fn serve<H, F, B>(listener: TcpListener, handler: H)
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    loop {
        // An accept error is about one connection, or about descriptors that are free again soon.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let handler = handler.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let answer = handler(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            // A client that leaves in the middle is nothing to report.
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// An answer with a body of this type, which nobody may store.
pub(crate) fn answer(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Answer {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, value: &Value) -> Answer {
    answer(status, "application/json", value.to_string())
}

/// A redirect that turns the login form's POST into a GET.
pub(crate) fn see_other(target: &str) -> Answer {
    let mut response = answer(StatusCode::SEE_OTHER, "text/plain", Bytes::new());
    match HeaderValue::from_str(target) {
        Ok(location) => {
            response.headers_mut().insert(header::LOCATION, location);
        }
        Err(_) => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    response
}

/// The fields of a query or a form. `None` if one is given twice, which OAuth forbids (RFC 6749 section 3.1).
pub(crate) fn fields(text: &[u8]) -> Option<HashMap<String, String>> {
    let mut fields = HashMap::new();
    for (name, value) in url::form_urlencoded::parse(text) {
        if fields
            .insert(name.into_owned(), value.into_owned())
            .is_some()
        {
            return None;
        }
    }
    Some(fields)
}

/// The fields of a request's form body. `None` if it is too long, cut off, or has a field twice.
pub(crate) async fn form<B: Body>(body: B) -> Option<HashMap<String, String>>
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let bytes = Limited::new(body, MAX_FORM)
        .collect()
        .await
        .ok()?
        .to_bytes();
    fields(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_given_twice_is_refused() {
        assert_eq!(
            fields(b"a=1&b=%20x").map(|fields| fields["b"].clone()),
            Some(" x".into())
        );
        assert_eq!(fields(b"a=1&a=2"), None);
    }

    #[test]
    fn a_redirect_target_cannot_break_the_header() {
        assert_eq!(
            see_other("http://127.0.0.1/?code=x").status(),
            StatusCode::SEE_OTHER
        );
        assert_eq!(
            see_other("http://127.0.0.1/\r\nx: y").status(),
            StatusCode::BAD_REQUEST
        );
    }

    #[tokio::test]
    async fn a_form_that_is_too_long_is_refused() {
        let long = Full::new(Bytes::from(vec![b'a'; MAX_FORM + 1]));
        assert_eq!(form(long).await, None);
    }
}
