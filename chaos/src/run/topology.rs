//! Where the data of a run is: on one server, on the nodes of a cluster, or on a master that Sentinels watch. What all of
//! them have in common: an address for the programs, how they are made whole again, and what they logged.
//!
//! The servers of a cluster and of Sentinels are driven by code that blocks: on a thread of its own, for which nobody
//! waits when the run is interrupted.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, anyhow};
use tollgate_testkit::cluster::{self, Cluster};
use tollgate_testkit::sentinel::{self, SENTINELS, Watched};

use super::redis::{Redis, Settings};
use super::scenario::Ground;

/// Partitions where there is one master, so that what holds within one is seen to hold within each; and on a cluster, so
/// that each master has some.
const PARTITIONS: usize = 2;
const PARTITIONS_OF_CLUSTER: usize = 8;

pub(super) enum Topology {
    One(Box<tokio::sync::Mutex<Redis>>),
    Cluster(Blocking<Cluster>),
    Sentinel(Blocking<Watched>),
}

impl Topology {
    /// Starts what the ground asks for; `one` is how the server is set up where it is one.
    pub(super) async fn start(ground: Ground, one: Settings, dir: &Path) -> anyhow::Result<Self> {
        let more = ["--appendfsync", &one.appendfsync].map(str::to_owned).to_vec();
        Ok(match ground {
            Ground::Cluster { can_be_cut_off } => {
                let settings = cluster::Settings { can_be_cut_off, more, ..cluster::Settings::default() };
                Self::Cluster(Blocking::start(move || Cluster::try_start(&settings)).await?)
            }
            Ground::Sentinel { can_be_cut_off } => {
                let settings = sentinel::Settings { can_be_cut_off, more, dir: Some(dir.to_owned()) };
                Self::Sentinel(Blocking::start(move || Watched::try_start(&settings)).await?)
            }
            _ => Self::One(Box::new(tokio::sync::Mutex::new(Redis::start(one).await?))),
        })
    }

    /// What `REDIS_URL` is for programs, past all faults of the way.
    pub(super) async fn url(&self) -> anyhow::Result<String> {
        match self {
            Self::One(redis) => Ok(redis.lock().await.url()),
            Self::Cluster(nodes) => nodes.with(|cluster| Ok(cluster.url())).await,
            Self::Sentinel(watched) => watched.with(|watched| Ok(watched.url())).await,
        }
    }

    /// Into how many partitions its data is split.
    pub(super) fn partitions(&self) -> usize {
        if matches!(self, Self::Cluster(_)) { PARTITIONS_OF_CLUSTER } else { PARTITIONS }
    }

    /// Starts whatever is not there, lets everybody reach everybody, and waits until all find all of it well. Answers
    /// whether the one server was gone.
    pub(super) async fn heal(&self) -> anyhow::Result<bool> {
        match self {
            Self::One(redis) => {
                let mut redis = redis.lock().await;
                let is_gone = redis.is_gone();
                if is_gone {
                    redis.restart().await?;
                }
                return Ok(is_gone);
            }
            Self::Cluster(nodes) => nodes.with(whole_cluster).await?,
            Self::Sentinel(watched) => watched.with(whole_pair).await?,
        }
        Ok(false)
    }

    /// Keeps what servers have logged that log elsewhere than in the run's directory.
    pub(super) async fn keep_logs(&self, dir: &Path) -> anyhow::Result<()> {
        let dir = dir.to_owned();
        match self {
            Self::One(_) => Ok(()),
            Self::Cluster(nodes) => {
                let keep = move |cluster: &mut Cluster| {
                    (0..cluster.count()).try_for_each(|node| {
                        copy_logs(cluster.dir(node), &dir, Some(&format!("node-{node}")))
                    })
                };
                nodes.with(keep).await
            }
            Self::Sentinel(watched) => {
                let keep = move |watched: &mut Watched| {
                    (0..2).try_for_each(|n| {
                        copy_logs(watched.server(n).dir(), &dir, Some(&format!("server-{n}")))
                    })
                };
                watched.with(keep).await
            }
        }
    }
}

/// Copies the logs of a directory; where it has one alone, perhaps under a name that tells whose it is.
pub(super) fn copy_logs(from: &Path, dir: &Path, name: Option<&str>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "log") {
            let own = path.file_name().unwrap_or_default().to_owned();
            std::fs::copy(&path, dir.join(name.map_or(own, |name| format!("{name}.log").into())))?;
        }
    }
    Ok(())
}

fn whole_cluster(cluster: &mut Cluster) -> anyhow::Result<()> {
    cluster.rejoin();
    for node in (0..cluster.count()).filter(|node| cluster.pid(*node).is_none()).collect::<Vec<_>>() {
        cluster.restart(node)?;
    }
    Ok(cluster.settled()?)
}

fn whole_pair(watched: &mut Watched) -> anyhow::Result<()> {
    watched.rejoin();
    for number in 0..2 {
        if watched.server(number).pid().is_none() {
            watched.server(number).restart()?;
        }
    }
    (0..SENTINELS).try_for_each(|number| watched.restart_sentinel(number))?;
    Ok(watched.settled()?)
}

/// Servers that are driven by code that blocks.
pub(super) struct Blocking<T>(Arc<Mutex<T>>);

impl<T: Send + 'static> Blocking<T> {
    async fn start<E>(start: impl FnOnce() -> Result<T, E> + Send + 'static) -> anyhow::Result<Self>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let started = on_a_thread(move || Ok(start()?)).await?;
        Ok(Self(Arc::new(Mutex::new(started))))
    }

    /// Does something with them; whoever comes next waits until it is done.
    pub(super) async fn with<R: Send + 'static>(
        &self,
        act: impl FnOnce(&mut T) -> anyhow::Result<R> + Send + 'static,
    ) -> anyhow::Result<R> {
        let shared = Arc::clone(&self.0);
        on_a_thread(move || act(&mut shared.lock().unwrap_or_else(PoisonError::into_inner))).await
    }
}

/// Not on a thread of the runtime, whose end would wait for it.
async fn on_a_thread<R: Send + 'static>(
    act: impl FnOnce() -> anyhow::Result<R> + Send + 'static,
) -> anyhow::Result<R> {
    let (tell, told) = tokio::sync::oneshot::channel();
    let runtime = tokio::runtime::Handle::current();
    std::thread::Builder::new()
        .spawn(move || {
            let _entered = runtime.enter();
            // Nobody listens any more if the run was interrupted.
            let _ = tell.send(act());
        })
        .context("a thread")?;
    told.await.map_err(|_| anyhow!("driving the servers panicked"))?
}
