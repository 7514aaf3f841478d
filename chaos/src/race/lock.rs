//! The one interface behind which every lock service stands. A further service is one more file here, and its name
//! in [`Service`].

mod advisory;
mod etcd;
mod redlock;
mod zookeeper;

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::cure::Service;
use super::servers::Addresses;
use super::store::Postgres;

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

/// Connects one client to a service whose locks end, without a sign of life, after about `ttl`. An advisory lock is
/// taken in the client's own session with PostgreSQL, the one that also writes there, as people do.
pub(super) async fn open(
    service: Service,
    addresses: &Addresses,
    ttl: Duration,
    postgres: Option<&Postgres>,
) -> anyhow::Result<Box<dyn Lock>> {
    Ok(match service {
        Service::Redlock1 => Box::new(redlock::Redlock::open(addresses, 1, ttl)?),
        Service::Redlock3 => Box::new(redlock::Redlock::open(addresses, 3, ttl)?),
        Service::Advisory => Box::new(advisory::Advisory::open(postgres).await?),
        Service::Etcd => Box::new(etcd::Etcd::open(addresses, ttl)?),
        Service::Zookeeper => Box::new(zookeeper::Zookeeper::open(addresses, ttl)?),
    })
}
