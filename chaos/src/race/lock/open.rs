//! Every lock service by its name.

use std::time::Duration;

use super::Lock;
use super::advisory::Advisory;
use super::consul::Consul;
use super::etcd::Etcd;
use super::redlock::Redlock;
use super::zookeeper::Zookeeper;
use crate::race::cure::Service;
use crate::race::servers::Addresses;
use crate::race::store::postgres::Postgres;

/// Connects one client to a service whose locks end, without a sign of life, after about `ttl`. An advisory lock is
/// taken in the client's own session with PostgreSQL, the one that also writes there, as people do.
pub(in crate::race) async fn open(
    service: Service,
    addresses: &Addresses,
    ttl: Duration,
    postgres: Option<&Postgres>,
) -> anyhow::Result<Box<dyn Lock>> {
    Ok(match service {
        Service::Redlock1 => Box::new(Redlock::open(addresses, 1, ttl)?),
        Service::Redlock3 => Box::new(Redlock::open(addresses, 3, ttl)?),
        Service::Advisory => Box::new(Advisory::open(postgres).await?),
        Service::Etcd => Box::new(Etcd::open(addresses, ttl)?),
        Service::Zookeeper => Box::new(Zookeeper::open(addresses, ttl)?),
        Service::Consul => Box::new(Consul::open(addresses, ttl)?),
    })
}
