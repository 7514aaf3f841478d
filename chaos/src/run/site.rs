//! What a run of processes stands on: a Redis, a proxy on every way to it, the workers, perhaps a bank.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Mutex;
use tollgate_testkit::process::Guard;
use tollgate_testkit::proxy::Proxy;

use super::client::Client;
use super::fleet::Fleet;
use super::redis::Redis;

pub(super) struct Site {
    pub(super) client: Arc<Client>,
    pub(super) fleet: Fleet,
    pub(super) bank: Option<Bank>,
    /// The way of the producers, then one for each worker.
    pub(super) proxies: Vec<Proxy>,
    pub(super) redis: Mutex<Redis>,
    /// Servers for locks alone, where the scenario has some.
    pub(super) lock_nodes: Vec<Mutex<Redis>>,
}

/// A bank and its own file.
pub(super) struct Bank {
    pub(super) process: Mutex<Guard>,
    pub(super) ledger: PathBuf,
    pub(super) url: String,
}

impl Deref for Site {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Site {
    pub(super) fn lead_to(&self, socket: &Path) {
        self.client.lead_to(socket);
        self.proxies.iter().for_each(|proxy| proxy.lead_to(socket));
    }
}
