//! Where a request went and what came back, for log and metrics: written on the way, read when the request is over.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// Nothing yet.
#[derive(Debug, Default)]
pub(crate) struct Trip {
    endpoint: RefCell<Option<Rc<str>>>,
    /// Zero: no answer.
    status: Cell<u16>,
    after: Cell<Duration>,
}

/// What a backend answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answered {
    /// Its status, as it said it.
    pub status: u16,
    /// From handing the request over to the answer's head, the wait for a connection included.
    pub after: Duration,
}

impl Trip {
    /// The request goes to the node at this address.
    pub(super) fn goes_to(&self, address: &Rc<str>) {
        let mut endpoint = self.endpoint.borrow_mut();
        *endpoint = Some(Rc::clone(address));
    }

    /// An answer began.
    pub(super) fn came_back(&self, status: u16, after: Duration) {
        self.status.set(status);
        self.after.set(after);
    }

    /// The node that was tried last.
    pub(crate) fn endpoint(&self) -> Option<Rc<str>> {
        self.endpoint.borrow().clone()
    }

    /// What was answered, if anything was.
    pub(crate) fn answered(&self) -> Option<Answered> {
        let status = self.status.get();
        (status != 0).then(|| Answered {
            status,
            after: self.after.get(),
        })
    }
}
