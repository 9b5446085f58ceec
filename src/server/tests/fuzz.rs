//! Chunked framing of any bytes, through the whole server: no handler sees a body, or a request, that a strict reader does not.

use super::*;
use crate::fuzz::fuzz;

const HEAD: &[u8] = b"POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

const WORDS: [&str; 18] = [
    "0\r\n\r\n",
    "5\r\nabcde\r\n",
    "\r\n",
    "\n",
    "a;b=c\r\n",
    "00005\r\n",
    "0x5\r\n",
    "+5\r\n",
    "5 \r\n",
    "fffffffffffffffff\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "A: b\r\n",
    "Content-Length: 3\r\n",
    ";",
    "-1\r\n",
    "1\r\na\r\n",
    "\t",
    "\u{7f}",
];

/// The length of a body that is chunked as RFC 9112 section 7.1 writes it, and what comes after it.
fn strictly(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (mut rest, mut length) = (bytes, 0_usize);
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let line = &rest[..end];
        rest = &rest[end + 2..];
        let digits = line
            .iter()
            .take_while(|byte| byte.is_ascii_hexdigit())
            .count();
        let size = usize::from_str_radix(std::str::from_utf8(&line[..digits]).ok()?, 16).ok()?;
        if size == 0 {
            break;
        }
        let data_end = size.checked_add(2)?;
        if rest.get(size..data_end)? != b"\r\n" {
            return None;
        }
        length += size;
        rest = &rest[data_end..];
    }
    // Trailers up to an empty line.
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let line = &rest[..end];
        rest = &rest[end + 2..];
        if line.is_empty() {
            return Some((length, rest));
        }
    }
}

/// Everything that is answered until the server closes.
fn answers(server: &Fixture, body: &[u8]) -> String {
    let mut socket = server.connect();
    // So many closed connections would wait for their ports otherwise.
    socket2::SockRef::from(&socket)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    // A server that has refused the head of it need not take the rest.
    let _ = socket.write_all(&[HEAD, body].concat());
    let _ = socket.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn fuzz_chunked() {
    let server = Fixture::start(1, long());
    fuzz("chunked", &[], &WORDS, |bytes| {
        let answer = answers(&server, bytes);
        let strict = strictly(bytes);
        let statuses: Vec<&str> = answer
            .match_indices("HTTP/1.1 ")
            .map(|(at, _)| answer.get(at + 9..at + 12).unwrap_or_default())
            .collect();
        let uploaded = answer.contains(" bytes");
        match strict {
            Some((length, after)) => {
                assert!(
                    !uploaded || answer.contains(&format!("{length} bytes")),
                    "{answer}"
                );
                let more = after
                    .windows(9)
                    .filter(|at| at.starts_with(b"HTTP/1.1"))
                    .count()
                    + usize::from(!after.is_empty());
                assert!(statuses.len() <= 1 + more, "{answer}");
            }
            None => {
                assert!(!uploaded, "{answer}");
                assert!(statuses.len() <= 1, "{answer}");
            }
        }
        (
            statuses
                .iter()
                .map(|status| (*status).to_owned())
                .collect::<Vec<_>>(),
            uploaded,
            strict.is_some(),
        )
    });
}
