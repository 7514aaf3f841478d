//! What takes locks.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::attempt::{self, Wanted};
use super::error::{LockError, WorkError};
use super::held::HeldLock;
use super::lease::Lease;
use super::look::Look;
use super::nodes::LockNodes;
use super::options::LockOptions;
use super::queue::Waiting;
use crate::protocol::ids::{LockName, Namespace};
use crate::protocol::keys::Keys;

/// How long [`Locks::look`] waits for a node.
const LOOK_WITHIN: Duration = Duration::from_secs(1);

/// Takes locks. Cheap to clone; belongs to the runtime it is first used on, as links do.
#[derive(Clone)]
pub struct Locks {
    nodes: LockNodes,
    namespace: Namespace,
    owner: Arc<str>,
}

impl fmt::Debug for Locks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locks").field("nodes", &self.nodes).field("owner", &self.owner).finish()
    }
}

impl Locks {
    /// Locks of this namespace on these nodes. Others see this process as `host:pid`.
    pub fn new(nodes: LockNodes, namespace: Namespace) -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let owner = format!("{host}:{}", std::process::id()).into();
        Self { nodes, namespace, owner }
    }

    /// The same under another name for [`TakenNode::owner`](super::TakenNode::owner): a worker's, say.
    #[must_use]
    pub fn owned_by(self, owner: &str) -> Self {
        Self { owner: owner.into(), ..self }
    }

    /// The nodes.
    pub fn nodes(&self) -> &LockNodes {
        &self.nodes
    }

    /// Does `work` while holding the lock `name`, and gives it back. `Ok` means that all of the work was done
    /// within the lease. The work answers a `Result`, and its error and the lock's are one: neither is dropped for the
    /// other.
    ///
    /// # Errors
    /// [`WorkError::Work`]: the work's own. Otherwise [`WorkError::Lock`]. The work never began:
    /// [`LockError::Options`], [`Taken`](LockError::Taken), [`Broken`](LockError::Broken),
    /// [`NoLink`](LockError::NoLink), [`TooLate`](LockError::TooLate). It was cancelled: [`Lost`](LockError::Lost).
    /// It finished too late: [`Overran`](LockError::Overran).
    ///
    /// # Cancel safety
    /// Dropped at any point, it drops the work and gives back in the background what it has or may still get.
    pub async fn with<T, E, W>(
        &self,
        name: &LockName,
        options: &LockOptions,
        work: impl FnOnce(Lease) -> W,
    ) -> Result<T, WorkError<E>>
    where
        W: Future<Output = Result<T, E>>,
    {
        let lock = self.acquire(name, options).await?;
        let result = lock.guard(work(lock.lease())).await;
        // The work was covered, or told that it was not; whether every node has heard of its end does not change that.
        let _ = lock.release().await;
        result
    }

    /// Takes the lock `name`, trying for as long as [`LockOptions::wait`] says.
    ///
    /// One attempt asks all nodes at once, under a token of its own. Where others want the same lock on several nodes,
    /// one node says whose turn it is: whoever is next in line asks them all, the others that one. An attempt lasts at
    /// most two time-outs per node, an eighth of the TTL more where a part of the nodes is ours and our turn, and once
    /// more two time-outs to give back what a failed one got; a node that does not answer is not waited for then.
    ///
    /// In one process, only the first in line makes attempts, after growing random pauses; the others wait behind it,
    /// first come, first served, and while the lock is held in this process nobody asks the nodes at all. On one node
    /// a process that has had a lock for twenty of the longest pauses, almost without a break, leaves it to others for
    /// one.
    ///
    /// # Errors
    /// What the last attempt within [`LockOptions::wait`] failed on, of this caller or of another that asked for the
    /// same meanwhile. Then no node keeps a part of it, but for nodes that have not answered: these are told again in
    /// the background, until the TTL is over.
    ///
    /// # Cancel safety
    /// Dropped at any point, it gives back in the background what was or will be granted.
    pub async fn acquire(&self, name: &LockName, options: &LockOptions) -> Result<HeldLock, LockError> {
        let options = options.checked()?;
        let key = Keys::lock(&self.namespace, name);
        let next_key = Keys::lock_next(&self.namespace, name);
        let wanted =
            Wanted { nodes: &self.nodes, owner: &self.owner, name, key: &key, next_key, options: &options };
        let queue = self.nodes.queues().of(&key, name, &self.owner);
        wanted.acquire(&queue).await
    }

    /// Asks every node who has the lock `name`, and for how long.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn look(&self, name: &LockName) -> Look {
        attempt::look(&self.nodes, &Keys::lock(&self.namespace, name), LOOK_WITHIN).await
    }

    /// Who waits for a lock in this process, or holds one, and what the nodes said last about it.
    pub fn waiting(&self) -> Vec<Waiting> {
        self.nodes.queues().waiting()
    }

    /// Waits until everything is given back that was dropped, cancelled or released before, but for `within` at
    /// most; how many calls are still on their way or to be made again.
    ///
    /// For the end of `main`: what is dropped right before the runtime goes is otherwise left to its TTL.
    ///
    /// # Cancel safety
    /// Safe: it only waits.
    pub async fn finish(&self, within: Duration) -> usize {
        self.nodes.background().done(Instant::now() + within).await
    }
}
