//! Content codings of answers (RFC 9110 section 8.4.1). Nobody asks for one, but some servers compress all the same.

use std::io::Read as _;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::HeaderValue;
use http::header::CONTENT_ENCODING;

use super::{Answer, CallError};

/// The answer without its content coding; its plain body is bounded as any other.
///
/// # Errors
/// [`CallError::TooLarge`], and [`CallError::Protocol`] for a coding that is not gzip or is broken.
pub(super) fn plain(mut answer: Answer, max_body: usize) -> Result<Answer, CallError> {
    let coding = answer.headers.get(CONTENT_ENCODING);
    let coding = coding.map_or(&b""[..], HeaderValue::as_bytes).trim_ascii();
    if coding.is_empty() || coding.eq_ignore_ascii_case(b"identity") || answer.body.is_empty() {
        return Ok(answer);
    }
    if !coding.eq_ignore_ascii_case(b"gzip") && !coding.eq_ignore_ascii_case(b"x-gzip") {
        return Err(CallError::Protocol(
            "a content coding that nobody asked for".into(),
        ));
    }
    let mut text = Vec::new();
    let limit = u64::try_from(max_body)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    MultiGzDecoder::new(&*answer.body)
        .take(limit)
        .read_to_end(&mut text)
        .map_err(|error| CallError::Protocol(format!("gzip: {error}")))?;
    if text.len() > max_body {
        return Err(CallError::TooLarge);
    }
    answer.body = Bytes::from(text);
    Ok(answer)
}
