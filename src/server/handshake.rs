//! TLS handshakes that fail for a reason somebody has to be told of: once each, as scanners fail all day.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::{AlertDescription, Error, InvalidMessage};

/// Whether it was said: something without TLS came, a client did not believe the certificate.
static PLAIN: AtomicBool = AtomicBool::new(false);
static UNBELIEVED: AtomicBool = AtomicBool::new(false);

/// Notes a handshake that came to nothing.
pub(super) fn failed(error: &io::Error, peer: SocketAddr) {
    let cause = error
        .get_ref()
        .and_then(|cause| cause.downcast_ref::<Error>());
    match cause {
        Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) if first(&PLAIN) => {
            tracing::warn!(
                %peer,
                "something that is no TLS came to the TLS port; if it is a client of yours or your own proxy, let it use https://, or set PROXY_TLS=false where a proxy in front ends TLS"
            );
        }
        Some(Error::AlertReceived(
            alert @ (AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown),
        )) if first(&UNBELIEVED) => {
            tracing::warn!(
                %peer, ?alert,
                "a client does not believe the certificate; set PROXY_TRANSPORT_TLS_CERT and PROXY_TRANSPORT_TLS_KEY to one that your clients trust, or let them trust this one"
            );
        }
        _ => tracing::debug!(%error, %peer, "no TLS handshake"),
    }
}

fn first(told: &AtomicBool) -> bool {
    !told.swap(true, Ordering::Relaxed)
}
