//! Nonces that clients put into their proofs (RFC 9449 section 9): a proof made with one was made lately, whatever the
//! client's clock says, and none can be made in advance.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::WINDOW_SECONDS;
use crate::model::UnixTime;

/// Nothing is kept: a nonce is the keyed digest of the two minutes it was given out in. It is good in those and the next
/// two, so for as long as a proof without nonce. Replicas with one secret take each other's.
#[derive(Debug)]
pub struct Nonces(hmac::Key);

/// Half a digest is beyond guessing.
const BYTES: usize = 16;

impl Nonces {
    /// Nonces of the gateways with this secret, which is used for nothing that could be mistaken for one.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let own = hmac::sign(&secret, b"davgate: nonces for DPoP proofs");
        Self(hmac::Key::new(hmac::HMAC_SHA256, own.as_ref()))
    }

    /// The nonce to use from now on.
    #[must_use]
    pub fn current(&self, now: UnixTime) -> String {
        self.of(slot(now))
    }

    /// Whether a proof may still have it. No secret is compared: who knows a nonce was given it.
    pub(super) fn is_good(&self, nonce: &str, now: UnixTime) -> bool {
        let slot = slot(now);
        nonce == self.of(slot) || nonce == self.of(slot - 1)
    }

    fn of(&self, slot: i64) -> String {
        let tag = hmac::sign(&self.0, &slot.to_be_bytes());
        URL_SAFE_NO_PAD.encode(&tag.as_ref()[..BYTES])
    }
}

const fn slot(now: UnixTime) -> i64 {
    now.0.div_euclid(WINDOW_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_good_for_two_to_four_minutes_and_at_the_gateways_with_its_secret() {
        let (ours, replica, other) = (Nonces::new(b"a"), Nonces::new(b"a"), Nonces::new(b"b"));
        let start = 1_000 * WINDOW_SECONDS;
        for given_at in [start, start + WINDOW_SECONDS - 1] {
            let nonce = ours.current(UnixTime(given_at));
            let last = start + 2 * WINDOW_SECONDS - 1;
            for at in [given_at, last] {
                assert!(replica.is_good(&nonce, UnixTime(at)), "{given_at} {at}");
                assert!(!other.is_good(&nonce, UnixTime(at)));
            }
            assert!(!ours.is_good(&nonce, UnixTime(last + 1)));
            assert!(!ours.is_good(&nonce, UnixTime(start - 1)), "not before");
        }
        assert!(!ours.is_good("", UnixTime(start)));
    }
}
