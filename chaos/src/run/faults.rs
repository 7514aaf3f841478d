//! Faults begin and end here. What they do is in the files beside this; which there are is in `fault.rs`, and which
//! happen when is drawn in `schedule.rs`.

mod clock;
mod cluster;
mod data;
mod load;
mod loss;
mod redis;
mod sentinel;
mod way;
mod workers;

use anyhow::bail;
use rand_chacha::ChaCha8Rng;

use super::fault::{Fault, Undo};
use super::site::Site;
use super::topology::Topology;

pub(super) use self::load::KILLERS;

impl Fault {
    /// Begins; says on what, and what its end has to undo.
    pub(super) async fn begin(self, site: &Site, random: &mut ChaCha8Rng) -> anyhow::Result<(String, Undo)> {
        match self {
            Self::KillWorker
            | Self::StopWorker
            | Self::StarveWorkers
            | Self::KillWithWork
            | Self::KillAllWorkers
            | Self::Backlog
            | Self::TermWorker
            | Self::TermThenKill
            | Self::FailPoint => workers::begin(self, site, random).await,
            Self::LoseReplies
            | Self::LoseRequests
            | Self::CutReplies
            | Self::FlipBytes
            | Self::DoubleReplies
            | Self::SilenceRequests
            | Self::SilenceReplies
            | Self::SlowWay
            | Self::Drip
            | Self::ResetAll
            | Self::CutOffWorker => way::begin(self, site, random),
            Self::StallBank
            | Self::RepeatId
            | Self::Hostile
            | Self::HugePayload
            | Self::Poison
            | Self::PoisonJob
            | Self::RaceForLast
            | Self::Flood
            | Self::DiscardDead => load::begin(self, site, random).await,
            Self::StepClock => clock::step(site, random),
            _ if self.is_of_topology() => match &site.topology {
                Topology::Cluster(nodes) => cluster::begin(self, site, nodes, random).await,
                Topology::Sentinel(watched) => sentinel::begin(self, site, watched).await,
                Topology::One(_) => bail!("one server has no topology"),
            },
            _ => redis::begin(self, site, random).await,
        }
    }
}

impl Undo {
    pub(super) async fn undo(self, site: &Site) -> anyhow::Result<()> {
        match self {
            Self::Nothing => {}
            Self::Workers(numbers) => {
                for number in numbers {
                    site.fleet.bring_back(number).await;
                }
            }
            Self::Way => site.proxies.iter().for_each(tollgate_testkit::proxy::Proxy::heal),
            Self::Redis(undo) => redis::undo(undo, site).await?,
            Self::Processes(processes) => drop(processes),
            Self::Flood => site.load.flood.store(false, std::sync::atomic::Ordering::Relaxed),
            Self::Clock(clock) => clock.right()?,
            Self::Cluster(undo) => cluster::undo(undo, site).await?,
            Self::Sentinel(undo) => sentinel::undo(undo, site).await?,
            Self::LockNodes(numbers) => {
                for number in numbers {
                    site.lock_nodes[number].lock().await.restart().await?;
                }
            }
            Self::Bank => {
                if let Some(bank) = &site.bank {
                    bank.process.lock().await.signal(tollgate_testkit::process::Signal::CONT);
                }
            }
        }
        Ok(())
    }
}
