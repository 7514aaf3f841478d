//! Locks over several Redis servers (Redlock), and fences for what a lock alone cannot protect.
//!
//! ```no_run
//! # use std::time::Duration;
//! # use tollgate::ids::{LockName, Namespace};
//! # use tollgate::lock::{LockNodes, LockOptions, Locks};
//! # async fn print_invoice() {}
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let nodes = LockNodes::open(&["redis://lock-1", "redis://lock-2", "redis://lock-3"], None)?;
//! let locks = Locks::new(nodes, Namespace::default());
//! let options = LockOptions::of_ttl(Duration::from_secs(10)).wait(Duration::from_secs(30));
//! locks
//!     .with(&LockName::parse("invoice 17")?, &options, |lease| async move {
//!         tracing::info!("{:?} left, extended as long as this runs", lease.remaining());
//!         print_invoice().await
//!     })
//!     .await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What it protects
//! At most one holder works at a time, as long as a majority of the nodes remembers what it granted, their clocks
//! run at the same speed as ours within 1 % and 2 ms, and this process is not stopped between a check and an
//! effect. The work is cancelled *before* the lease's validity ends. That saves wasted and doubled work, and
//! serialises calls to the outside.
//!
//! # What only a fence in the effect protects
//! A process that is paused (a long pause of the machine, SIGSTOP, a suspended VM, whose monotonic clock may stand
//! still meanwhile) goes on with the very next instruction, however long ago its lease ended; so does a request
//! that is on its way. A lock node that restarts empty grants again what it had granted. Where the effect itself
//! compares a token ([`Guarded`], or a column in your database), the older holder is refused. Tollgate's own state
//! never rests on a lock: `settle` decides it.
//!
//! # What nothing protects
//! An effect outside that neither compares a token nor honours an idempotency key.
//!
//! There is no fairness (who waits longest need not be next) and no re-entrancy (a second acquire of a name finds
//! it taken, also in the same task). See `docs/locks.md`.

mod claim;
mod error;
mod guarded;
mod held;
mod lease;
mod nodes;
mod options;
mod quorum;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use error::{Against, BrokenNode, LockError, Lost, LostCause, TakenNode};
pub use guarded::{Fence, FenceError, GUARDED_BYTES_MAX, Guarded};
pub use held::HeldLock;
pub use lease::Lease;
pub use nodes::{LockNodes, LockNodesError, Placement};
pub use options::{LockOptions, Renewal, TTL_MAX, TTL_MIN};

use claim::Claim;
use quorum::Standing;

use crate::ids::{LockName, Namespace};
use crate::keys::Keys;

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

    /// The same under another name for [`TakenNode::owner`]: a worker's, say.
    #[must_use]
    pub fn owned_by(self, owner: &str) -> Self {
        Self { owner: owner.into(), ..self }
    }

    /// The nodes.
    pub fn nodes(&self) -> &LockNodes {
        &self.nodes
    }

    /// Does `work` while holding the lock `name`, and gives it back. `Ok` means that all of the work was done
    /// within the lease.
    ///
    /// # Errors
    /// The work never began: [`LockError::Options`], [`Taken`](LockError::Taken), [`Broken`](LockError::Broken),
    /// [`TooLate`](LockError::TooLate). It was cancelled: [`Lost`](LockError::Lost). It finished too late:
    /// [`Overran`](LockError::Overran).
    ///
    /// # Cancel safety
    /// Dropped at any point, it drops the work and gives back in the background what it has or may still get.
    pub async fn with<T, W: Future<Output = T>>(
        &self,
        name: &LockName,
        options: &LockOptions,
        work: impl FnOnce(Lease) -> W,
    ) -> Result<T, LockError> {
        let lock = self.acquire(name, options).await?;
        let value = lock.guard(work(lock.lease())).await?;
        // The work was covered; whether every node has heard of its end does not change that.
        let _ = lock.release().await;
        Ok(value)
    }

    /// Takes the lock `name`. Each attempt asks all nodes at once, under a token of its own, and lasts at most two
    /// time-outs per node, the second to give back what a failed one got.
    ///
    /// # Errors
    /// What the last attempt within [`LockOptions::wait`] failed on; then no node keeps a part of it, but for nodes
    /// that could not be reached, where the TTL ends it.
    ///
    /// # Cancel safety
    /// Dropped at any point, it gives back in the background what was or will be granted.
    pub async fn acquire(&self, name: &LockName, options: &LockOptions) -> Result<HeldLock, LockError> {
        let options = options.checked()?;
        let begun = Instant::now();
        loop {
            let error = match self.attempt(name, &options).await {
                Ok(lock) => return Ok(lock),
                Err(error) => error,
            };
            let pause = pause(options.retry_delay_max);
            if begun.elapsed().saturating_add(pause) >= options.wait {
                return Err(error);
            }
            tracing::trace!(%error, ?pause, "trying again");
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(&self, name: &LockName, options: &LockOptions) -> Result<HeldLock, LockError> {
        let LockOptions { ttl, node_timeout, .. } = *options;
        let key = Keys::lock(&self.namespace, name);
        let claim = Claim::new(&self.nodes, &key, &self.token(), ttl, node_timeout);
        // Before the first send: whatever the nodes count, it began later.
        let sent_at = Instant::now();
        let tally = claim.take(sent_at).await;
        let took = sent_at.elapsed();
        let name = name.clone();
        let against = || Against::of(&tally, claim.names());
        let error = match tally.standing() {
            Standing::Ours => {
                let lease = Lease::new(name.clone(), ttl, quorum::valid_until(sent_at, ttl));
                match lease.check() {
                    Ok(()) => return Ok(HeldLock::new(claim, lease, options, sent_at)),
                    Err(_) => LockError::TooLate { name, ttl, took },
                }
            }
            Standing::Broken => LockError::Broken { name, against: against() },
            Standing::NotOurs | Standing::Split | Standing::Open => {
                LockError::Taken { name, against: against() }
            }
        };
        claim.abandon().await;
        Err(error)
    }

    /// A token that no other attempt anywhere has: who, then 128 random bits.
    fn token(&self) -> String {
        format!("{}/{:032x}", self.owner, rand::random::<u128>())
    }
}

/// Random, so that those who split the nodes between them do not do it again.
fn pause(max: Duration) -> Duration {
    rand::random_range(max / 4..=max)
}
