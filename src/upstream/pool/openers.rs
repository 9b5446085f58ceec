//! Requests whose own connection is being opened: one that becomes idle before it stands is as good.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::pin;
use std::rc::Rc;

use tokio::sync::oneshot;

use super::BackendPool;
use super::backend::Opened;
use super::lease::{Connection, Lease, Permit};
use crate::upstream::BackendFault;

/// Who waits for a connection to stand, in the order they came.
#[derive(Debug, Default)]
pub(super) struct Openers(RefCell<VecDeque<oneshot::Sender<Connection>>>);

/// Above so many the list is looked through for those who are done.
const TIDY_ABOVE: usize = 64;

impl Openers {
    fn enter(&self) -> oneshot::Receiver<Connection> {
        let (sender, receiver) = oneshot::channel();
        let mut openers = self.0.borrow_mut();
        if openers.len() >= TIDY_ABOVE {
            openers.retain(|opener| !opener.is_closed());
        }
        openers.push_back(sender);
        receiver
    }

    /// Gives a free connection to the first of them; comes back with it if there is none.
    pub(super) fn take(&self, mut connection: Connection) -> Option<Connection> {
        loop {
            // In a statement of its own: a connection that is dropped reaches back into the pool.
            let opener = self.0.borrow_mut().pop_front();
            let Some(opener) = opener else {
                return Some(connection);
            };
            match opener.send(connection) {
                Ok(()) => return None,
                Err(returned) => connection = returned,
            }
        }
    }
}

impl BackendPool {
    /// A new connection, or one that becomes idle before it stands. A backend whose queue of connections is full lets the
    /// next one wait a second for its second try, while its other connections may be free long before.
    pub(super) async fn open_or_reuse(
        self: &Rc<Self>,
        permit: Permit,
    ) -> Result<Lease, BackendFault> {
        let mut idle = self.openers.enter();
        let mut opening = pin!(self.open(permit, false));
        let opened = tokio::select! {
            biased;
            opened = &mut opening => opened,
            Ok(connection) = &mut idle => {
                return Ok(Lease::reused(connection, Rc::clone(self)));
            }
        };
        // Both at once: the other one is for somebody else.
        if let Ok(connection) = idle.try_recv() {
            self.give_back(connection);
        }
        self.leased(opened?)
    }

    /// A connection that was opened without a wish for HTTP/2.
    pub(super) fn leased(self: &Rc<Self>, opened: Opened) -> Result<Lease, BackendFault> {
        match opened {
            Opened::Http1(connection) => Ok(Lease::fresh(connection, Rc::clone(self))),
            Opened::Http2(_) => Err(BackendFault::Unreachable(
                "it speaks HTTP/2 without being asked".to_owned(),
            )),
        }
    }
}
