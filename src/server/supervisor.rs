//! Whoever started the process: what it is told (sd_notify(3)), and the sockets it hands over (sd_listen_fds(3)). Without one
//! nothing of this does anything.

use std::io;
use std::net::TcpListener;

use listenfd::ListenFd;
use sd_notify::NotifyState;

/// The public listener, if one was handed over: the first of the sockets. To be called before there are threads, because the
/// variables that say so are taken out of the environment.
///
/// # Errors
/// If what was handed over is no TCP listener.
pub(crate) fn handed_over() -> io::Result<Option<TcpListener>> {
    let mut sockets = ListenFd::from_env();
    if sockets.len() > 1 {
        let error = "more than one socket was handed over; there is one public listener";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, error));
    }
    sockets.take_tcp_listener(0)
}

/// Requests are answered from now on, or again after [`reloading`].
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The configuration is being read again. The time lets the supervisor tell this answer from an earlier one.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "no monotonic time"),
    }
}

/// No new connections any more.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager (NOTIFY_SOCKET) cannot be told");
    }
}
