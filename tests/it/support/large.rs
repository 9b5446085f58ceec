//! Bodies that are made while they are read.

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;

use super::backend::ReplyBody;
use super::client::CallBody;

const CHUNK: usize = 64 * 1024;

/// `bytes` of a body whose chunks all differ, and what it hashes to.
pub(crate) fn large(bytes: u64) -> (CallBody, Vec<u8>) {
    let chunk = |number: u64| {
        let mut chunk = vec![number as u8; CHUNK];
        chunk[..8].copy_from_slice(&number.to_le_bytes());
        Bytes::from(chunk)
    };
    let chunks = bytes / CHUNK as u64;
    let mut hash = Context::new(&SHA256);
    for number in 0..chunks {
        hash.update(&chunk(number));
    }
    let frames = (0..chunks).map(move |number| Ok(Frame::data(chunk(number))));
    let body = StreamBody::new(stream::iter(frames)).boxed();
    (body, hash.finish().as_ref().to_vec())
}

/// The same bytes as a backend answers with.
pub(crate) fn large_body(bytes: u64) -> ReplyBody {
    let frames = (0..bytes / CHUNK as u64).map(|number| {
        let mut chunk = vec![number as u8; CHUNK];
        chunk[..8].copy_from_slice(&number.to_le_bytes());
        Ok(Frame::data(Bytes::from(chunk)))
    });
    StreamBody::new(stream::iter(frames)).boxed()
}
