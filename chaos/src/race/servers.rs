//! The real servers of a run, each private to it: Redis by Tollgate's own launcher, the others the same way.
//!
//! They end with this process, however it ends, and leave nothing behind. All listen on unix sockets or loopback. Only
//! Consul is somebody else's, and is played where it is named.

pub(super) mod consul;
pub(super) mod etcd;
mod postgres;
mod process;
mod zookeeper;

use std::path::PathBuf;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tollgate::embedded::Temporary;

use super::cure::{Service, Store};
use super::matrix::Cell;
use process::Found;

/// How to reach them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Addresses {
    /// The socket of the Redis that Tollgate's workers use.
    pub(super) tollgate: PathBuf,
    /// The socket of the Redis that keeps records.
    pub(super) redis: PathBuf,
    /// The sockets of the three that keep locks.
    pub(super) lock_nodes: Vec<PathBuf>,
    /// The directory of PostgreSQL's socket.
    pub(super) postgres: Option<PathBuf>,
    pub(super) etcd: Option<String>,
    pub(super) zookeeper: Option<String>,
    pub(super) consul: Option<consul::Address>,
}

impl Addresses {
    /// Whether everything runs that this cell needs.
    pub(super) fn serve(&self, cell: Cell) -> bool {
        let service = match cell.cure.service() {
            Some(Service::Advisory) => self.postgres.is_some(),
            Some(Service::Etcd) => self.etcd.is_some(),
            Some(Service::Zookeeper) => self.zookeeper.is_some(),
            Some(Service::Consul) => self.consul.is_some(),
            Some(Service::Redlock1 | Service::Redlock3) | None => true,
        };
        service && (cell.store == Store::Redis || self.postgres.is_some())
    }
}

/// The servers of a run; they end with this value.
pub(super) struct Servers {
    pub(super) addresses: Addresses,
    /// What does not run here, and why.
    pub(super) left_out: Vec<LeftOut>,
    _redis: Vec<Temporary>,
    _others: Vec<process::Server>,
}

/// A server that could not be had.
#[derive(Debug, Clone, Serialize)]
pub(super) struct LeftOut {
    pub(super) server: &'static str,
    pub(super) why: String,
}

impl Servers {
    /// Starts what these cells need. `tollgate` is the socket of the Redis that its workers use.
    pub(super) async fn start(cells: &[Cell], tollgate: PathBuf) -> anyhow::Result<Self> {
        let redis = tokio::task::spawn_blocking(|| {
            (0..4).map(|_| Temporary::start(&[])).collect::<Result<Vec<_>, _>>()
        });
        let uses = |service: Service| cells.iter().any(|cell| cell.cure.service() == Some(service));
        let records_in_postgres = cells.iter().any(|cell| cell.store == Store::Postgres);
        let consul = if uses(Service::Consul) { consul::find().await? } else { None };
        let (redis, postgres, etcd, zookeeper) = tokio::join!(
            redis,
            when(records_in_postgres || uses(Service::Advisory), postgres::start()),
            when(uses(Service::Etcd), etcd::start()),
            when(uses(Service::Zookeeper), zookeeper::start()),
        );
        let redis = redis.context("starting Redis")?.context("starting Redis")?;
        let socket = |redis: &Temporary| redis.socket().to_owned();
        let mut servers = Self {
            addresses: Addresses {
                tollgate,
                redis: redis.first().map(socket).context("no Redis")?,
                lock_nodes: redis.iter().skip(1).map(socket).collect(),
                postgres: None,
                etcd: None,
                zookeeper: None,
                consul,
            },
            left_out: Vec::new(),
            _redis: redis,
            _others: Vec::new(),
        };
        servers.addresses.postgres = servers.keep("PostgreSQL", postgres?).map(PathBuf::from);
        servers.addresses.etcd = servers.keep("etcd", etcd?);
        servers.addresses.zookeeper = servers.keep("ZooKeeper", zookeeper?);
        Ok(servers)
    }

    /// Removes what the run has made on servers that go on.
    pub(super) async fn clean_up(&self) -> anyhow::Result<()> {
        match &self.addresses.consul {
            Some(address) => {
                consul::clean_up(address).await.context("removing keys and sessions from Consul")
            }
            None => Ok(()),
        }
    }

    /// What does not run here and why, in one line.
    pub(super) fn missing(&self) -> String {
        let mut missing: Vec<String> =
            self.left_out.iter().map(|server| format!("{} {}", server.server, server.why)).collect();
        if self.addresses.consul.is_none() {
            missing.push(format!("Consul is not named by {}", tollgate::env::CONSUL_ADDR));
        }
        missing.join("; ")
    }

    fn keep(&mut self, server: &'static str, found: Option<Found>) -> Option<String> {
        match found? {
            Found::Running(process, address) => {
                self._others.push(*process);
                Some(address)
            }
            Found::Missing(hint) => {
                self.left_out.push(LeftOut { server, why: format!("is not installed; {hint}") });
                None
            }
        }
    }
}

async fn when(
    needed: bool,
    start: impl Future<Output = anyhow::Result<Found>>,
) -> anyhow::Result<Option<Found>> {
    if needed { start.await.map(Some) } else { Ok(None) }
}
