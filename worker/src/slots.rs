//! The settle calls that may be in flight at a time, each with a link of its own.
//!
//! A batch holds a slot while it is worked on. One that waits for Redis to recover lets it go, so that a damaged
//! partition does not hold up the others. A suspect takes all slots: if the process dies, it was not another
//! batch that killed it.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tollgate::connect::Server;
use tollgate::failure::Failure;
use tollgate::link::Link;

/// How much of the process a batch needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// One slot.
    One,
    /// All of them.
    Alone,
}

/// All slots of the process.
#[derive(Debug)]
pub(crate) struct Slots {
    server: Server,
    count: u32,
    permits: Arc<Semaphore>,
    links: Mutex<Vec<Link>>,
}

impl Slots {
    pub(crate) fn new(server: Server, count: usize) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(count));
        Arc::new(Self { server, count: count as u32, permits, links: Mutex::default() })
    }

    /// Waits for a slot, in the order of asking. Cancel-safe.
    pub(crate) async fn take(self: &Arc<Self>, share: Share) -> Slot {
        let permit = self.permit(share).await;
        let link = self.links.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Slot { slots: self.clone(), share, permit, link }
    }

    async fn permit(&self, share: Share) -> Option<OwnedSemaphorePermit> {
        let count = match share {
            Share::One => 1,
            Share::Alone => self.count,
        };
        // An error means that the semaphore was closed, which nobody does.
        self.permits.clone().acquire_many_owned(count).await.ok()
    }

    /// How many slots are in use.
    pub(crate) fn busy(&self) -> usize {
        self.count as usize - self.permits.available_permits()
    }
}

/// One slot, given back on drop.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Arc<Slots>,
    share: Share,
    permit: Option<OwnedSemaphorePermit>,
    link: Option<Link>,
}

impl Slot {
    /// The slot's link, opened at the first use.
    pub(crate) async fn link(&mut self) -> Result<&mut Link, Failure> {
        match &mut self.link {
            Some(link) => Ok(link),
            empty => Ok(empty.insert(self.slots.server.link().await?)),
        }
    }

    /// Lets others have the slot until `rest` is over.
    pub(crate) async fn while_others<T>(&mut self, rest: impl Future<Output = T>) -> T {
        self.permit = None;
        let rested = rest.await;
        self.permit = self.slots.permit(self.share).await;
        rested
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let link = self.link.take();
        self.slots.links.lock().unwrap_or_else(PoisonError::into_inner).extend(link);
    }
}
