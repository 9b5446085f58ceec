//! Whether a request that failed is sent once more, and where: one table, apart from everything that sends.

use http::Method;

/// Times one request is sent, with a chance that a backend has seen it.
const MAX_SENT: u32 = 3;

/// An attempt that brought no answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failed<'m> {
    pub(super) method: &'m Method,
    pub(super) body: BodyLeft,
    /// Some byte of the request may have reached the backend.
    pub(super) sent: bool,
    /// Some byte of an answer came.
    pub(super) answered: bool,
    /// The connection had served before: the backend may have closed it for its age alone.
    pub(super) reused: bool,
    /// Attempts that were sent, this one included.
    pub(super) attempts: u32,
    /// The backend has a node that was not tried.
    pub(super) other_node: bool,
}

/// What is left of a request's body for one more attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyLeft {
    /// It has none.
    None,
    /// All of it: nothing was read from the client yet.
    Untouched,
    /// All of it: what was read is kept.
    Kept,
    /// Not all of it, or the client broke off.
    Gone,
}

/// What is done about a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Once more at this node, on a connection of its own.
    SameNode,
    /// Once more at another node.
    OtherNode,
    /// The failure is told.
    GiveUp,
}

/// The decision.
pub(super) fn verdict(failed: Failed<'_>) -> Verdict {
    let does_no_harm = !failed.sent || may_be_sent_twice(failed.method, failed.body);
    let may_repeat = does_no_harm
        && !failed.answered
        && failed.body != BodyLeft::Gone
        && failed.attempts < MAX_SENT;
    match failed {
        _ if !may_repeat => Verdict::GiveUp,
        Failed { reused: true, .. } => Verdict::SameNode,
        Failed {
            other_node: true, ..
        } => Verdict::OtherNode,
        _ => Verdict::GiveUp,
    }
}

/// Whether a backend that acted on the first does no harm by acting on the second (RFC 9110 section 9.2.2). A PUT or DELETE
/// whose body has begun may have changed something meanwhile, and somebody else's change after it would be lost.
pub(super) fn may_be_sent_twice(method: &Method, body: BodyLeft) -> bool {
    match (method.as_str(), body) {
        (_, BodyLeft::Gone) => false,
        ("GET" | "HEAD" | "OPTIONS" | "PROPFIND" | "REPORT" | "SEARCH", _) => true,
        ("PUT" | "DELETE", BodyLeft::None | BodyLeft::Untouched) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use BodyLeft::{Gone, Kept, None, Untouched};
    use Verdict::{GiveUp, OtherNode, SameNode};

    use super::*;

    /// A GET that was sent on a connection of its own, and whose backend has no other node.
    const GET: Failed<'static> = Failed {
        method: &Method::GET,
        body: None,
        sent: true,
        answered: false,
        reused: false,
        attempts: 1,
        other_node: false,
    };

    #[test]
    fn where_a_failed_attempt_goes() {
        let table = [
            ("a new connection broke, and there is one node", GET, GiveUp),
            (
                "a new connection broke, and there are others",
                Failed {
                    other_node: true,
                    ..GET
                },
                OtherNode,
            ),
            (
                "a kept connection broke: it may have been its age",
                Failed {
                    reused: true,
                    ..GET
                },
                SameNode,
            ),
            (
                "the same, where others are there",
                Failed {
                    reused: true,
                    other_node: true,
                    ..GET
                },
                SameNode,
            ),
            (
                "the answer had begun",
                Failed {
                    reused: true,
                    answered: true,
                    other_node: true,
                    ..GET
                },
                GiveUp,
            ),
            (
                "sent often enough",
                Failed {
                    attempts: 3,
                    other_node: true,
                    ..GET
                },
                GiveUp,
            ),
            (
                "no connection, so nothing was sent: any method may try elsewhere",
                Failed {
                    method: &Method::POST,
                    body: Untouched,
                    sent: false,
                    attempts: 0,
                    other_node: true,
                    ..GET
                },
                OtherNode,
            ),
            (
                "no connection to the only node",
                Failed {
                    sent: false,
                    attempts: 0,
                    ..GET
                },
                GiveUp,
            ),
            (
                "a POST that may have been seen",
                Failed {
                    method: &Method::POST,
                    reused: true,
                    other_node: true,
                    ..GET
                },
                GiveUp,
            ),
            (
                "a POST that was not written at all",
                Failed {
                    method: &Method::POST,
                    sent: false,
                    reused: true,
                    ..GET
                },
                SameNode,
            ),
            (
                "a body that is no longer whole",
                Failed {
                    body: Gone,
                    sent: false,
                    reused: true,
                    other_node: true,
                    ..GET
                },
                GiveUp,
            ),
        ];
        for (what, failed, expected) in table {
            assert_eq!(verdict(failed), expected, "{what}");
        }
    }

    #[test]
    fn which_methods_may_be_sent_twice() {
        for (methods, bodies) in [
            (
                &["GET", "HEAD", "OPTIONS", "PROPFIND", "REPORT", "SEARCH"][..],
                &[None, Untouched, Kept][..],
            ),
            (&["PUT", "DELETE"], &[None, Untouched]),
            (
                &[
                    "POST",
                    "PATCH",
                    "MKCOL",
                    "COPY",
                    "MOVE",
                    "LOCK",
                    "UNLOCK",
                    "PROPPATCH",
                    "MERGE",
                    "get",
                ],
                &[],
            ),
        ] {
            for method in methods {
                let method = Method::from_bytes(method.as_bytes()).unwrap();
                for body in [None, Untouched, Kept, Gone] {
                    let expected = bodies.contains(&body);
                    assert_eq!(
                        may_be_sent_twice(&method, body),
                        expected,
                        "{method} {body:?}"
                    );
                }
            }
        }
    }
}
