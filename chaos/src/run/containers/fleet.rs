//! The containers of a run: who is there, what they take, that all of them are whole again, what they said.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::schedule::Whom;
use crate::compose::container::Container;
use crate::compose::engine::docker;
use crate::compose::project::Project;
use crate::run::history::{Event, Footprint, History};

/// How long a worker may take to say how it is.
const METRICS_WITHIN: Duration = Duration::from_millis(300);
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Where a worker serves its pages, as the image says.
const PAGES: u16 = 9090;

pub(super) struct Fleet {
    network: String,
    pub(super) history: Arc<History>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// By service, in the order of their numbers.
    services: BTreeMap<String, Vec<Container>>,
    /// Ids of those whose process this run has just killed.
    killed: HashSet<String>,
    /// What each worker process has counted as taken over, as far as somebody asked in time.
    reclaimed: HashMap<u32, u64>,
    /// What those said that compose took away.
    logs: Vec<(String, String)>,
    /// Faults that are under way, each on a container.
    broken: HashSet<String>,
}

impl Fleet {
    pub(super) async fn of(project: &Project, history: Arc<History>) -> anyhow::Result<Self> {
        let fleet = Self { network: project.network(), history, inner: Mutex::default() };
        fleet.look(project).await?;
        Ok(fleet)
    }

    /// Reads anew which containers there are.
    pub(super) async fn look(&self, project: &Project) -> anyhow::Result<()> {
        for service in ["worker", "redis", "lock-1", "lock-2", "lock-3", "bank", "producer"] {
            let containers = project.containers(service).await?;
            self.inner().services.insert(service.to_owned(), containers);
        }
        Ok(())
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn network(&self) -> &str {
        &self.network
    }

    pub(super) fn workers(&self) -> Vec<Container> {
        self.inner().services.get("worker").cloned().unwrap_or_default()
    }

    /// Whom a strike means; nobody, if compose has taken that worker away.
    pub(super) fn containers(&self, whom: Whom) -> Vec<Container> {
        let inner = self.inner();
        let of = |service: &str, number: usize| {
            inner.services.get(service).and_then(|all| all.get(number)).cloned()
        };
        let lock = |number: usize| of(&format!("lock-{}", number + 1), 0);
        match whom {
            Whom::Worker(number) => of("worker", number).into_iter().collect(),
            Whom::Redis => of("redis", 0).into_iter().collect(),
            Whom::Bank => of("bank", 0).into_iter().collect(),
            Whom::LockNode(number) => lock(number).into_iter().collect(),
            Whom::LockMajority => [0, 1].into_iter().filter_map(lock).collect(),
        }
    }

    /// All of which nothing may be missing at the end.
    fn everybody(&self) -> Vec<Container> {
        self.inner().services.values().flatten().cloned().collect()
    }

    /// Takes these containers for one fault; false if one of them is broken already.
    pub(super) fn take(&self, containers: &[Container]) -> bool {
        let mut inner = self.inner();
        if containers.iter().any(|one| inner.broken.contains(&one.id)) {
            return false;
        }
        inner.broken.extend(containers.iter().map(|one| one.id.clone()));
        true
    }

    pub(super) fn give_back(&self, containers: &[Container]) {
        let mut inner = self.inner();
        containers.iter().for_each(|one| _ = inner.broken.remove(&one.id));
    }

    pub(super) fn will_be_killed(&self, container: &Container) {
        self.inner().killed.insert(container.id.clone());
    }

    /// Whether the run killed it; it may die of that once.
    pub(super) fn was_killed(&self, id: &str) -> bool {
        self.inner().killed.remove(id)
    }

    /// What the engine's events call a container.
    pub(super) fn name_of(&self, id: &str) -> Option<String> {
        let inner = self.inner();
        inner.services.values().flatten().find(|one| one.id == id).map(|one| one.name.clone())
    }

    /// Notes the processes that are there from the start.
    pub(super) async fn all_started(&self) -> anyhow::Result<()> {
        for container in self.everybody() {
            let pid = container.pid().await?.with_context(|| format!("{} does not run", container.name))?;
            self.history.add(Event::Process { name: container.name, pid, what: "started".to_owned() });
        }
        Ok(())
    }

    /// Memory and descriptors of every worker; asks each what it has counted meanwhile.
    pub(super) async fn footprints(&self) -> anyhow::Result<Vec<Footprint>> {
        let workers = self.workers();
        let mut words = vec!["inspect".to_owned()];
        words.extend(workers.iter().map(|worker| worker.id.clone()));
        let said: Vec<Value> = serde_json::from_str(&docker(&words).await?)?;
        let mut footprints = Vec::new();
        for (slot, said) in said.iter().enumerate() {
            let Some(pid) = said["State"]["Pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()) else {
                continue;
            };
            if pid == 0 {
                continue;
            }
            let address =
                said["NetworkSettings"]["Networks"][&self.network]["IPAddress"].as_str().unwrap_or_default();
            self.read_metrics(pid, address).await;
            footprints.extend(footprint(slot, pid));
        }
        Ok(footprints)
    }

    async fn read_metrics(&self, pid: u32, address: &str) {
        let asked = tokio::time::timeout(METRICS_WITHIN, metrics(address)).await;
        if let Ok(Ok(text)) = asked {
            let lines = text.lines().filter(|line| line.starts_with("tollgate_entries_reclaimed_total"));
            let count = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>();
            self.inner().reclaimed.insert(pid, count as u64);
        }
    }

    pub(super) fn reclaimed(&self) -> u64 {
        self.inner().reclaimed.values().sum()
    }

    /// Waits until every process runs and is on the network; what does not come is told, and started.
    pub(super) async fn whole(&self, within: Duration) -> anyhow::Result<()> {
        let begun = Instant::now();
        for container in self.everybody() {
            loop {
                let said = container.inspect().await?;
                let state = &said["State"];
                if state["Paused"] == true {
                    container.unpause().await?;
                }
                if said["NetworkSettings"]["Networks"].get(&self.network).is_none() {
                    container.connect(&self.network).await?;
                }
                if state["Running"] == true && state["Paused"] == false {
                    break;
                }
                if begun.elapsed() > within {
                    let what = format!("{} did not come back: {}", container.name, state["Status"]);
                    self.history.add(Event::Unexpected { what });
                    container.start().await?;
                    break;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        Ok(())
    }

    pub(super) async fn copy_ledger(&self, dir: &Path) -> anyhow::Result<()> {
        let bank = self.containers(Whom::Bank).pop().context("no bank")?;
        let to = dir.join("bank.ndjson").display().to_string();
        docker(["cp", &format!("{}:/data/ledger.ndjson", bank.id), &to]).await.map(drop)
    }

    /// Ends them as an operator would.
    pub(super) async fn stop_workers(&self) -> anyhow::Result<()> {
        let _ = self.footprints().await?;
        let mut words = vec!["stop".to_owned()];
        words.extend(self.workers().iter().map(|worker| worker.id.clone()));
        docker(&words).await?;
        for worker in self.workers() {
            let code = worker.exit_code().await?;
            ensure!(code == 0, "{} drained with exit code {code}", worker.name);
        }
        Ok(())
    }

    /// Keeps what containers said that compose is about to take away, or has.
    pub(super) fn keep_log(&self, name: String, text: String) {
        self.inner().logs.push((name, text));
    }

    pub(super) async fn keep_logs(&self, dir: &Path) -> anyhow::Result<()> {
        for container in self.everybody() {
            let name = format!("{}.log", container.name.replace(' ', "-"));
            std::fs::write(dir.join(name), container.logs().await?)?;
        }
        for (name, text) in &self.inner().logs {
            std::fs::write(dir.join(name), text)?;
        }
        Ok(())
    }
}

fn footprint(slot: usize, pid: u32) -> Option<Footprint> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let resident_kib = resident.split_whitespace().next()?.parse().ok()?;
    // Another user's descriptors are counted by root alone.
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count) as u64;
    Some(Footprint { slot, pid, resident_kib, descriptors })
}

async fn metrics(address: &str) -> std::io::Result<String> {
    let mut stream = tokio::net::TcpStream::connect((address, PAGES)).await?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}
