//! What a run of processes stands on: where its data is, a proxy on every way to a Redis that is one server, the workers,
//! perhaps a bank.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::bail;
use tokio::sync::{Mutex, MutexGuard};
use tollgate_testkit::process::Guard;
use tollgate_testkit::proxy::Proxy;

use super::client::Client;
use super::clocks::Clock;
use super::fleet::Fleet;
use super::redis::Redis;
use super::topology::Topology;

/// Files among the programs with ends of journals that somebody noted: perhaps they are gone, or certainly.
pub(super) const EXPECTED_HEADS: &str = "expected-heads";
pub(super) const LOST_HEADS: &str = "lost-heads";

pub(super) struct Site {
    pub(super) client: Arc<Client>,
    pub(super) fleet: Fleet,
    pub(super) bank: Option<Bank>,
    /// The way of the producers, then one for each worker; none where servers say themselves where they are.
    pub(super) proxies: Vec<Proxy>,
    pub(super) topology: Topology,
    /// Servers for locks alone, where the scenario has some.
    pub(super) lock_nodes: Vec<Mutex<Redis>>,
    /// Clocks that can be stepped, where the scenario has some.
    pub(super) clocks: Vec<Clock>,
    /// The fail points of the steps of a job and of a payout, as the worker names them.
    pub(super) points: Vec<String>,
    /// How many jobs are sent while all workers are gone.
    pub(super) backlog: usize,
}

/// A bank and its own file.
pub(super) struct Bank {
    pub(super) process: Mutex<Guard>,
    pub(super) ledger: PathBuf,
    pub(super) url: String,
}

impl Bank {
    /// How many transfers are in its file as paid.
    fn paid(&self) -> u64 {
        let text = std::fs::read_to_string(&self.ledger).unwrap_or_default();
        text.lines().filter(|line| line.contains(r#""outcome":"paid""#)).count() as u64
    }
}

impl Deref for Site {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Site {
    /// How often something happened so far, by the name under which a scenario asks for it: until it has, the run goes
    /// on. The verdict counts again, from the files.
    pub(super) fn happened(&self, name: &str) -> u64 {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        match name {
            "reclaimed" => self.fleet.reclaimed.sum(),
            "fenced" => self.fleet.fenced.sum(),
            "unknown" => load(&self.load.unknown),
            "replayed" => load(&self.load.replayed),
            "dead" => load(&self.load.dead),
            "decided" => load(&self.load.decided),
            "payouts paid" => self.bank.as_ref().map_or(0, Bank::paid),
            _ => self.history.counted(name) + self.fates(name) + self.load.heard(name),
        }
    }

    /// The Redis that is one server.
    pub(super) async fn redis(&self) -> anyhow::Result<MutexGuard<'_, Redis>> {
        match &self.topology {
            Topology::One(redis) => Ok(redis.lock().await),
            Topology::Cluster(_) | Topology::Sentinel(_) => {
                bail!("this scenario has no Redis that is one server")
            }
        }
    }

    /// How often the ways to Redis did so to a command.
    fn fates(&self, name: &str) -> u64 {
        let counts = self.proxies.iter().flat_map(Proxy::counts);
        counts.filter(|(fate, _)| fate.name() == name).map(|(_, count)| count).sum()
    }

    pub(super) fn lead_to(&self, socket: &Path) {
        self.client.lead_to(socket);
        self.proxies.iter().for_each(|proxy| proxy.lead_to(socket));
    }
}
