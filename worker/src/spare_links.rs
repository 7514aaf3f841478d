//! Links of agents between their rounds: most of the time all of them rest, and one link does for the next that goes on.
//!
//! What is kept is a whole link, so that no round asks whether it is still good; what is not kept is closed.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tollgate::link::Link;

/// So many agents seldom go on at the same time; a further one opens a connection of its own.
const KEPT_MAX: usize = 2;

#[derive(Debug, Default)]
pub(crate) struct SpareLinks(Mutex<Vec<Link>>);

impl SpareLinks {
    /// One that nobody uses, if there is one: the last that was used, so that the others are closed first when idle.
    pub(crate) fn take(&self) -> Option<Link> {
        self.lock().pop()
    }

    pub(crate) fn put(&self, mut link: Link) {
        let mut kept = self.lock();
        if kept.len() < KEPT_MAX {
            kept.push(link);
        } else {
            link.poison();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Link>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
