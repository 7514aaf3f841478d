//! Whose turn it is: of the agents of one role, one visits a node at a time.
//!
//! So one link a role and node is enough, and a node that does not answer is waited for by the agents of its own
//! partitions. A server by itself is one node. Where a slot has just moved, its agent may visit the new node beside another
//! one; that is no harm.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;
use tollgate::connect::Server;
use tollgate::failure::Failure;
use tollgate::link::Link;

use crate::spare_links::SpareLinks;

/// The turns of the agents of one role, by the name of the node.
#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<Option<Arc<str>>, Arc<Node>>>);

#[derive(Default)]
struct Node {
    /// How many have the turn or wait for it.
    wanted: AtomicUsize,
    place: Arc<tokio::sync::Mutex<Place>>,
}

#[derive(Default)]
struct Place {
    link: Option<Link>,
    /// What this server refuses to one it refuses to all, until then.
    refused_until: Option<Instant>,
}

/// The turn of one agent, until it is dropped.
pub(crate) struct Turn<'a> {
    spare_links: &'a SpareLinks,
    name: Option<Arc<str>>,
    wanted: Wanted,
    place: OwnedMutexGuard<Place>,
}

struct Wanted(Arc<Node>);

impl Turns {
    /// Waits for the turn of this node, in the order of asking.
    ///
    /// # Cancel safety
    /// Whoever gives up has had no turn.
    pub(crate) async fn take<'a>(&self, spare_links: &'a SpareLinks, name: Option<Arc<str>>) -> Turn<'a> {
        let node = {
            let mut nodes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            nodes.entry(name.clone()).or_default().clone()
        };
        node.wanted.fetch_add(1, Ordering::AcqRel);
        let wanted = Wanted(node.clone());
        let mut place = node.place.clone().lock_owned().await;
        if let Some(until) = place.refused_until {
            tokio::time::sleep_until(until).await;
            place.refused_until = None;
        }
        Turn { spare_links, name, wanted, place }
    }
}

impl Turn<'_> {
    /// The link to this node.
    ///
    /// # Errors
    /// As [`Server::link`].
    pub(crate) async fn link(&mut self, server: &Server) -> Result<&mut Link, Failure> {
        match &mut self.place.link {
            Some(link) => Ok(link),
            empty => Ok(empty.insert(match self.spare_links.take(self.name.as_ref()) {
                Some(link) => link,
                None => server.link().await?,
            })),
        }
    }

    /// Takes note that the server refuses what it is asked, whoever asks.
    pub(crate) fn is_refused_for(&mut self, pause: Duration) {
        self.place.refused_until = Some(Instant::now() + pause);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // The next one goes on with the link; if there is none, somebody else may.
        if self.wanted.0.wanted.load(Ordering::Acquire) == 1
            && let Some(link) = self.place.link.take()
        {
            self.spare_links.put(self.name.as_ref(), link);
        }
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.wanted.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_agent_visits_a_node_and_others_visit_the_others() {
        let (turns, spare) = (Turns::default(), SpareLinks::default());
        let name = |name: &str| Some(Arc::from(name));
        let first = turns.take(&spare, name("a")).now_or_never().unwrap();
        assert!(turns.take(&spare, name("a")).now_or_never().is_none(), "two at a time");
        assert!(turns.take(&spare, name("b")).now_or_never().is_some(), "another node's waits");
        drop(first);
        assert!(turns.take(&spare, name("a")).now_or_never().is_some(), "nobody has it");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_to_one_is_not_asked_by_the_next_until_it_is_time() {
        let (turns, spare) = (Turns::default(), SpareLinks::default());
        let mut first = turns.take(&spare, None).now_or_never().unwrap();
        first.is_refused_for(Duration::from_secs(1));
        drop(first);
        assert!(turns.take(&spare, None).now_or_never().is_none());
        tokio::time::advance(Duration::from_secs(1)).await;
        drop(turns.take(&spare, None).await);
        assert!(turns.take(&spare, None).now_or_never().is_some(), "it is asked again, once");
    }
}
