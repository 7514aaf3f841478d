//! The one interface behind which every lock service stands. A further service is one more file here, its name in
//! `Service`, and a line in `open.rs`.

mod advisory;
mod consul;
mod etcd;
pub(super) mod open;
mod redlock;
mod zookeeper;

use futures_util::future::BoxFuture;

/// One client's way to take locks. It holds one at a time.
pub(super) trait Lock: Send {
    /// Waits until the lock `name` is ours.
    fn take<'a>(&'a mut self, name: &'a str) -> BoxFuture<'a, anyhow::Result<()>>;

    /// Whether it is still ours, as far as this process knows: without asking anybody.
    fn is_held(&self) -> bool;

    /// A number for this holding of the lock, larger than that of every earlier holder.
    fn token(&mut self) -> BoxFuture<'_, anyhow::Result<i64>>;

    /// Gives it back. That it had ended before is no error: whoever asks too late finds that out by the fence, or
    /// not at all.
    fn release(&mut self) -> BoxFuture<'_, anyhow::Result<()>>;
}
