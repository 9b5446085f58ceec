use proptest::prelude::*;

use super::*;

/// The number of the first odd request, and what it is.
fn seen(pieces: &[&[u8]]) -> Option<(u32, OddHead)> {
    let activity = Arc::new(Activity::for_tests());
    let mut framing = Framing::new(Arc::clone(&activity));
    for piece in pieces {
        framing.see(piece);
    }
    first_odd(&activity)
}

fn first_odd(activity: &Arc<Activity>) -> Option<(u32, OddHead)> {
    (1..=8).find_map(|request| {
        let odd = activity.take_odd_head();
        drop(activity.request(false));
        odd.map(|odd| (request, odd))
    })
}

/// At once, byte by byte, and cut in two at every place: always the same.
fn seen_in_pieces(bytes: &[u8]) -> Option<(u32, OddHead)> {
    let whole = seen(&[bytes]);
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(seen(&single), whole);
    for at in 0..bytes.len() {
        let (first, second) = bytes.split_at(at);
        assert_eq!(seen(&[first, second]), whole, "cut at {at}");
    }
    whole
}

/// Heads that are odd, with what they are.
const ODD: &[(&str, OddHead)] = &[
    (
        "GET /graph/#/status HTTP/1.1\r\nHost: a\r\n\r\n",
        OddHead::Fragment,
    ),
    (
        "POST / HTTP/1.1\r\nContent-Length: 3\r\nA: b\r\ncontent-length: 3\r\n\r\nabc",
        OddHead::Framing,
    ),
    (
        "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
        OddHead::Framing,
    ),
    (
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
        OddHead::Framing,
    ),
    (
        "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\nabc",
        OddHead::Framing,
    ),
    (
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
        OddHead::Framing,
    ),
    (
        "POST / HTTP/1.1\r\nContent-Length: +3\r\n\r\nabc",
        OddHead::Framing,
    ),
    (
        "POST / HTTP/1.1\r\nContent-Length:\r\n\r\nabc",
        OddHead::Framing,
    ),
    ("GET / HTTP/1.1\nHost: a\r\n\r\n", OddHead::Framing),
    ("GET / HTTP/1.1\r\nHost: a\n\r\n", OddHead::Framing),
    ("GET / HTTP/1.1\r\nHost: a\r\n\n", OddHead::Framing),
    (
        "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        OddHead::Framing,
    ),
];

/// Requests that are not, whatever their bodies are.
const PLAIN: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "\r\n\r\nGET /?a HTTP/1.1\r\n\r\n",
    "POST / HTTP/1.1\r\nA: #\r\nContent-Length: 15\r\nContent-Length-X: 1\r\n\r\n#\n\nGET /#\nA\r\n\r\n",
    "PUT / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    "POST / HTTP/1.1\r\nTransfer-Encoding:  Chunked \r\n\r\n5;a=#\r\n\n#\n\r\n\r\n19\r\nGET / HTTP/1.1\n#\n\r\n\r\n\n\n\n\n\r\n0\r\nX: #\r\n\r\n",
    "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
];

#[test]
fn rows_1_2_5_10_25_and_57_odd_heads_are_seen_at_every_place_of_a_connection() {
    for (head, odd) in ODD {
        assert_eq!(seen_in_pieces(head.as_bytes()), Some((1, *odd)), "{head:?}");
        for plain in PLAIN {
            let after = format!("{plain}{head}");
            assert_eq!(
                seen_in_pieces(after.as_bytes()),
                Some((2, *odd)),
                "{after:?}"
            );
        }
    }
}

#[test]
fn plain_requests_are_not_odd_in_whatever_order_they_come() {
    for first in PLAIN {
        for second in PLAIN {
            let bytes = format!("{first}{second}{first}");
            assert_eq!(seen_in_pieces(bytes.as_bytes()), None, "{bytes:?}");
        }
    }
}

#[test]
fn a_head_that_comes_while_a_request_runs_is_looked_at() {
    for (head, odd) in ODD {
        let activity = Arc::new(Activity::for_tests());
        let mut framing = Framing::new(Arc::clone(&activity));
        framing.see(PLAIN[0].as_bytes());
        let running = activity.request(false);
        framing.see(head.as_bytes());
        assert_eq!(activity.take_odd_head(), Some(*odd), "{head:?}");
        drop(running);
    }
}

#[test]
fn behind_framing_that_nobody_can_follow_every_head_is_odd() {
    for body in [
        "x\r\n",
        "5\nabcde\r\n",
        "\r\n",
        "1\r\nab\r\n",
        "-1\r\n",
        "11111111111111111\r\n",
    ] {
        let first = format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        let bytes = format!("{first}{}", PLAIN[0]);
        let verdict = seen_in_pieces(bytes.as_bytes());
        assert_eq!(verdict, Some((2, OddHead::Framing)), "{bytes:?}");
    }
}

#[test]
fn what_passes_through_a_tunnel_is_not_looked_at() {
    let activity = Arc::new(Activity::for_tests());
    let mut framing = Framing::new(Arc::clone(&activity));
    framing.see(PLAIN[0].as_bytes());
    activity.is_opaque_now();
    framing.see(ODD[0].0.as_bytes());
    drop(activity.request(false));
    assert_eq!(activity.take_odd_head(), None);
}

proptest! {
    #[test]
    fn the_verdict_does_not_depend_on_the_pieces(
        head in "(POST / HTTP/1.1\r\n)?(Content-Length: [0-9]{1,2}\r\n|Transfer-Encoding: chunked\r\n){0,2}[GC#:a0-3\r\n]{0,40}",
        size in 1_usize..9,
    ) {
        let pieces: Vec<&[u8]> = head.as_bytes().chunks(size).collect();
        prop_assert_eq!(seen(&pieces), seen(&[head.as_bytes()]));
    }

    #[test]
    fn a_body_is_skipped_whatever_is_in_it(
        body in prop::collection::vec(any::<u8>(), 0..200),
        chunks in prop::collection::vec(1_usize..40, 0..12),
        size in 1_usize..60,
    ) {
        let mut bytes = Vec::new();
        if chunks.is_empty() {
            bytes.extend(format!("PUT / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len()).bytes());
            bytes.extend(&body);
        } else {
            bytes.extend(b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
            let mut rest = &body[..];
            for chunk in chunks {
                let (data, more) = rest.split_at(chunk.min(rest.len()));
                rest = more;
                if !data.is_empty() {
                    bytes.extend(format!("{:x}\r\n", data.len()).bytes());
                    bytes.extend(data);
                    bytes.extend(b"\r\n");
                }
            }
            bytes.extend(b"0\r\n\r\n");
        }
        bytes.extend(ODD[0].0.bytes());
        let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
        prop_assert_eq!(seen(&pieces), Some((2, OddHead::Fragment)));
    }
}
