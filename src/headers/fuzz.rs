//! Heads of any bytes: what is left says nothing of identity, routing and framing that is davgate's to say.

use http::Request;

use super::*;
use crate::fuzz::fuzz;

const WORDS: [&str; 20] = [
    "x-access-token",
    "X_Access_Token",
    "remote-user",
    "Connection: ",
    "transfer-encoding: chunked",
    "content-length: ",
    "x-forwarded-for: ",
    "keep-alive",
    "traceparent: ",
    "te: trailers",
    "upgrade: ",
    "proxy-",
    "grpc-metadata-",
    "ssl-client-",
    "x-remote-",
    "\n",
    ": ",
    ",",
    "_",
    "authorization",
];

/// The lines of a head as the HTTP library would hand them over.
fn head(bytes: &[u8]) -> Option<Request<()>> {
    let mut request = Request::new(());
    for line in bytes.split(|byte| *byte == b'\n').take(300) {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
        request.headers_mut().append(name, value);
    }
    Some(request)
}

#[test]
fn fuzz_head() {
    let reserved = Reserved::default();
    fuzz("head", &[], &WORDS, |bytes| {
        let Some(request) = head(bytes) else {
            return Err(None::<String>);
        };
        let given = request.headers().len();
        let (clean, ()) = reserved
            .clean(request)
            .map_err(|fault| Some(fault.to_string()))?;
        for (name, value) in clean.headers() {
            let shown = format!("{name}: {value:?}");
            let text = name.as_str().as_bytes();
            let class = classify(text);
            assert!(
                !matches!(class, Class::Reserved | Class::HopByHop),
                "{shown}"
            );
            assert!(names::is_plain(text), "{shown}");
        }
        let mut again = Request::new(());
        *again.headers_mut() = clean.headers().clone();
        let left = clean.headers().clone();
        let (twice, ()) = reserved.clean(again).expect("what is clean stays so");
        assert_eq!(*twice.headers(), left);
        Ok((given.min(40), left.len().min(40), clean.wants_upgrade()))
    });
}
