//! Links of agents between their visits: most of the time all of them rest, and one link does for the next that goes on.
//!
//! What is kept is a whole link, so that no visit asks whether it is still good; what is not kept is closed. Of a cluster
//! each is kept for the node that it was used for, so that it does not come to have a connection to each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tollgate::link::Link;

/// So many agents seldom visit a node at the same time; a further one opens a connection of its own.
const KEPT_MAX: usize = 2;

#[derive(Debug, Default)]
pub(crate) struct SpareLinks(Mutex<HashMap<Option<Arc<str>>, Vec<Link>>>);

impl SpareLinks {
    /// One that nobody uses, if there is one: the last that was used, so that the others are closed first when idle.
    pub(crate) fn take(&self, node: Option<&Arc<str>>) -> Option<Link> {
        self.lock().get_mut(&node.cloned())?.pop()
    }

    pub(crate) fn put(&self, node: Option<&Arc<str>>, mut link: Link) {
        let mut all = self.lock();
        let kept = all.entry(node.cloned()).or_default();
        if kept.len() < KEPT_MAX {
            kept.push(link);
        } else {
            link.poison();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Option<Arc<str>>, Vec<Link>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
