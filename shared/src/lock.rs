//! Locks over several Redis servers (Redlock), and fences for what a lock alone cannot protect.
//!
//! ```no_run
//! # use std::time::Duration;
//! # use tollgate::ids::{LockName, Namespace};
//! # use tollgate::lock::{LockNodes, LockOptions, Locks, WorkError};
//! # type Error = Box<dyn std::error::Error>;
//! # async fn print_invoice() -> Result<(), Error> { Ok(()) }
//! # async fn example() -> Result<(), Error> {
//! let nodes = LockNodes::open(&["redis://lock-1", "redis://lock-2", "redis://lock-3"], None)?;
//! let locks = Locks::new(nodes, Namespace::default());
//! let options = LockOptions::of_ttl(Duration::from_secs(10)).wait(Duration::from_secs(30));
//! locks
//!     .with(&LockName::parse("invoice 17")?, &options, |lease| async move {
//!         tracing::info!("{:?} left, extended as long as this runs", lease.remaining());
//!         print_invoice().await
//!     })
//!     .await
//!     .map_err(WorkError::flat)?;
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
//! In one process waiters are served in order; between processes there is no order. There is no re-entrancy: a second
//! acquire of a name finds it taken, also in the same task. See `docs/locks.md`, with what each fault does.

mod attempt;
mod background;
mod call;
mod error;
mod fitness;
mod give_back;
mod guarded;
mod health;
mod held;
mod lease;
mod line;
mod locks;
mod look;
#[cfg(test)]
mod model;
mod node;
mod node_attempt;
mod nodes;
mod options;
mod queue;
mod quorum;
mod quorum_attempt;
mod token;

pub use error::{BrokenNode, LockError, Lost, LostCause, NotGranted, TakenNode, WorkError};
pub use guarded::{Fence, FenceError, FenceTextError, GUARDED_BYTES_MAX, Guarded};
pub use health::{Failing, NodeState};
pub use held::HeldLock;
pub use lease::Lease;
pub use locks::Locks;
pub use look::{Found, Look, NodeLook};
pub use nodes::{LockNodes, LockNodesError, NodeReport, NodesReport, Placement};
pub use options::{LockOptions, Renewal, TTL_MAX, TTL_MIN};
pub use queue::Waiting;
