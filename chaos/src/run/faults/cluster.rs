//! Faults of a cluster: slots that move, and nodes that die, are cut off, and take the place of others.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tollgate_testkit::cluster::Cluster;
use tollgate_testkit::process::Running;
use tollgate_testkit::servers::cli_program;

use super::loss::{META, Notes, lines, tags, until};
use crate::run::counted::OTHERS_WENT_ON;
use crate::run::fault::{ClusterUndo, Fault, OthersAtFirst, Undo};
use crate::run::sabotage::Planted;
use crate::run::site::Site;
use crate::run::topology::{Blocking, Topology};

/// How many slots are moved at once: each costs redis-cli a few calls, and each node writes to its disk.
const RESHARDED_MAX: usize = 40;
const RESHARDS_WITHIN: Duration = Duration::from_secs(60);

/// A partition, and where it is.
#[derive(Debug, Clone)]
struct Placed {
    partition: u64,
    tag: String,
    slot: u16,
    node: usize,
}

/// A master that has some of them, and a replica.
struct Victim {
    node: usize,
    replica: usize,
    slot: u16,
    partitions: Vec<u64>,
}

pub(super) async fn begin(
    fault: Fault,
    site: &Site,
    nodes: &Blocking<Cluster>,
    random: &mut ChaCha8Rng,
) -> anyhow::Result<(String, Undo)> {
    let (notes, draw) = (Notes::of(site), random.next_u64() as usize);
    let loses = site.planted.is_some_and(Planted::in_slots);
    let begin = move |cluster: &mut Cluster| {
        cluster.settled()?;
        match fault {
            Fault::Reshard => reshard(cluster, &notes, draw),
            Fault::HalfMoveSlot => half_move(cluster, &notes, draw, loses),
            Fault::KillMaster => kill(cluster, &notes, draw),
            Fault::FailOverMaster => fail_over(cluster, &notes, draw),
            Fault::CutOffMaster => cut_off(cluster, &notes, draw),
            Fault::MinorityGone => minority(cluster, &notes, draw),
            Fault::MajorityGone => majority(cluster, &notes, draw),
            _ => all(cluster, &notes),
        }
    };
    nodes.with(begin).await
}

pub(super) async fn undo(undo: ClusterUndo, site: &Site) -> anyhow::Result<()> {
    let Topology::Cluster(nodes) = &site.topology else { bail!("there is no cluster") };
    let notes = Notes::of(site);
    let end = move |cluster: &mut Cluster| {
        match undo {
            ClusterUndo::Restart { masters, replicas, others } => {
                if let Some(others) = others {
                    let went_on = lines_of(cluster, &others.tags)? > others.lines;
                    notes.count(OTHERS_WENT_ON, u64::from(went_on));
                }
                masters.iter().chain(&replicas).try_for_each(|node| cluster.restart(*node))?;
            }
            ClusterUndo::RestartMasters { nodes, since_us } => {
                nodes.iter().try_for_each(|(node, _)| cluster.restart(*node))?;
                cluster.settled()?;
                let masters = cluster.masters();
                for (node, partitions) in nodes.iter().filter(|(node, _)| !masters.contains(node)) {
                    notes.rollback(
                        &format!("node {node} came too late to stay the master"),
                        partitions,
                        since_us,
                    );
                }
            }
            ClusterUndo::MoveOn { slot, to } => cluster.finish_migration(slot, to)?,
            ClusterUndo::Rejoin { node, partitions, since_us } => {
                rejoin(cluster, &notes, node, &partitions, since_us)?;
            }
        }
        Ok(cluster.settled()?)
    };
    nodes.with(end).await
}

/// All partitions, in their order.
fn placed(cluster: &Cluster) -> anyhow::Result<Vec<Placed>> {
    let meta = cluster.node_of_slot(cluster.slot_of(META)?).context("no node has the namespace's own key")?;
    let place = |(partition, tag)| {
        let slot = cluster.slot_of(&format!("{tag}:head"))?;
        let node = cluster.node_of_slot(slot).with_context(|| format!("no node has slot {slot}"))?;
        Ok(Placed { partition, tag, slot, node })
    };
    tags(&|words| Ok(cluster.tell(meta, words)?))?.into_iter().map(place).collect()
}

fn victim(cluster: &Cluster, draw: usize) -> anyhow::Result<Victim> {
    let placed = placed(cluster)?;
    let masters = cluster.masters();
    let node = *masters.get(draw % masters.len().max(1)).context("no master")?;
    let own: Vec<&Placed> = placed.iter().filter(|one| one.node == node).collect();
    Ok(Victim {
        node,
        replica: *cluster.replicas_of(node).first().context("a master without a replica")?,
        slot: own.first().context("a master without a partition")?.slot,
        partitions: own.iter().map(|one| one.partition).collect(),
    })
}

/// Waits until the replicas have everything that was acknowledged by now; answers when that was.
fn replicated(cluster: &Cluster, notes: &Notes) -> anyhow::Result<u64> {
    let since_us = notes.history.now_us();
    cluster.replicated()?;
    Ok(since_us)
}

/// Waits until another node has its slot; answers which, after how long.
fn taken_over(cluster: &Cluster, victim: &Victim) -> anyhow::Result<String> {
    let begun = Instant::now();
    let new = until("a replica to take over", || {
        Ok(cluster.node_of_slot(victim.slot).filter(|node| *node != victim.node))
    })?;
    let (node, partitions, after) = (victim.node, &victim.partitions, begun.elapsed().as_millis());
    Ok(format!("node {node} with partitions {partitions:?}; node {new} had its place after {after} ms"))
}

fn kill(cluster: &mut Cluster, notes: &Notes, draw: usize) -> anyhow::Result<(String, Undo)> {
    let victim = victim(cluster, draw)?;
    let since_us = replicated(cluster, notes)?;
    cluster.kill(victim.node);
    notes.interrupted(&victim.partitions);
    notes.rollback("a master died, and its replica took over", &victim.partitions, since_us);
    let what = taken_over(cluster, &victim)?;
    let (masters, replicas) = (vec![victim.node], Vec::new());
    Ok((what, Undo::Cluster(ClusterUndo::Restart { masters, replicas, others: None })))
}

fn fail_over(cluster: &Cluster, notes: &Notes, draw: usize) -> anyhow::Result<(String, Undo)> {
    let victim = victim(cluster, draw)?;
    notes.interrupted(&victim.partitions);
    cluster.fail_over(victim.replica)?;
    Ok((taken_over(cluster, &victim)?, Undo::Nothing))
}

fn cut_off(cluster: &Cluster, notes: &Notes, draw: usize) -> anyhow::Result<(String, Undo)> {
    let victim = victim(cluster, draw)?;
    let node = victim.node;
    // What it has at the end is read while it finds the cluster down.
    cluster.set(node, &[("cluster-allow-reads-when-down", "yes")])?;
    let since_us = replicated(cluster, notes)?;
    cluster.cut_off(node);
    notes.interrupted(&victim.partitions);
    let what = taken_over(cluster, &victim)?;
    Ok((what, Undo::Cluster(ClusterUndo::Rejoin { node, partitions: victim.partitions, since_us })))
}

/// It has taken no writes for a while: whoever reaches no majority of the masters finds the cluster down.
fn rejoin(
    cluster: &Cluster,
    notes: &Notes,
    node: usize,
    partitions: &[u64],
    since_us: u64,
) -> anyhow::Result<()> {
    let all = placed(cluster)?;
    let own: Vec<&Placed> = all.iter().filter(|one| partitions.contains(&one.partition)).collect();
    let new = own.first().context("it had no partition")?.node;
    let tags: Vec<(u64, String)> = own.iter().map(|one| (one.partition, one.tag.clone())).collect();
    notes.lost(&tags, &|words| Ok(cluster.tell(node, words)?), &|words| Ok(cluster.tell(new, words)?))?;
    cluster.rejoin();
    until("it to follow its successor", || Ok(cluster.replicas_of(new).contains(&node).then_some(())))?;
    notes.rollback("a master that was cut off came back as a replica", partitions, since_us);
    Ok(())
}

/// One master and its replica: nobody can take its place.
fn minority(cluster: &mut Cluster, notes: &Notes, draw: usize) -> anyhow::Result<(String, Undo)> {
    let victim = victim(cluster, draw)?;
    let all = placed(cluster)?;
    let others = all.into_iter().filter(|one| one.node != victim.node);
    let tags: Vec<(String, usize)> = others.map(|one| (one.tag, one.node)).collect();
    cluster.kill(victim.replica);
    cluster.kill(victim.node);
    notes.interrupted(&victim.partitions);
    let what = format!("nodes {} and {}, partitions {:?}", victim.node, victim.replica, victim.partitions);
    let others = OthersAtFirst { lines: lines_of(cluster, &tags)?, tags };
    let (masters, replicas) = (vec![victim.node], vec![victim.replica]);
    Ok((what, Undo::Cluster(ClusterUndo::Restart { masters, replicas, others: Some(others) })))
}

/// Two masters of three: their replicas are there, and find nobody who may vote.
fn majority(cluster: &mut Cluster, notes: &Notes, draw: usize) -> anyhow::Result<(String, Undo)> {
    let (all, masters) = (placed(cluster)?, cluster.masters());
    let since_us = replicated(cluster, notes)?;
    let count = masters.len() / 2 + 1;
    let gone = masters.iter().cycle().skip(draw % masters.len().max(1)).take(count);
    let of = |node| all.iter().filter(|one| one.node == node).map(|one| one.partition).collect::<Vec<u64>>();
    let nodes: Vec<(usize, Vec<u64>)> = gone.map(|node| (*node, of(*node))).collect();
    nodes.iter().for_each(|(node, _)| cluster.kill(*node));
    notes.interrupted(&all.iter().map(|one| one.partition).collect::<Vec<_>>());
    Ok((format!("{nodes:?}"), Undo::Cluster(ClusterUndo::RestartMasters { nodes, since_us })))
}

fn all(cluster: &mut Cluster, notes: &Notes) -> anyhow::Result<(String, Undo)> {
    let (all, masters) = (placed(cluster)?, cluster.masters());
    let replicas: Vec<usize> = (0..cluster.count()).filter(|node| !masters.contains(node)).collect();
    // Nobody shall take a place that is empty for a moment.
    replicas.iter().chain(&masters).for_each(|node| cluster.kill(*node));
    notes.interrupted(&all.iter().map(|one| one.partition).collect::<Vec<_>>());
    Ok(("all nodes".to_owned(), Undo::Cluster(ClusterUndo::Restart { masters, replicas, others: None })))
}

/// Half of a partition's keys go; the others stay until the end of the fault. With a planted bug that half is lost.
fn half_move(cluster: &Cluster, notes: &Notes, draw: usize, loses: bool) -> anyhow::Result<(String, Undo)> {
    let (all, masters) = (placed(cluster)?, cluster.masters());
    let Placed { partition, slot, node, .. } = all[draw % all.len()].clone();
    let others: Vec<usize> = masters.into_iter().filter(|other| *other != node).collect();
    let to = *others.get(draw / all.len() % others.len().max(1)).context("no other master")?;
    let keys = cluster.keys_in(node, slot)?;
    notes.interrupted(&[partition]);
    cluster.begin_migration(slot, to)?;
    if loses {
        let (number, half) = (slot.to_string(), (keys / 2).to_string());
        let lost: Vec<String> = cluster.tell(node, &["CLUSTER", "GETKEYSINSLOT", &number, &half])?;
        lost.iter().try_for_each(|key| cluster.tell::<()>(node, &["DEL", key]))?;
    }
    let moved = if loses { 0 } else { cluster.move_keys(slot, to, keys / 2)? };
    let what = format!("{moved} of {keys} keys of partition {partition}, from node {node} to {to}");
    Ok((what, Undo::Cluster(ClusterUndo::MoveOn { slot, to })))
}

/// By redis-cli, which takes a node's first slots, up to the first that has keys. Most of those before it go at once.
fn reshard(cluster: &Cluster, notes: &Notes, draw: usize) -> anyhow::Result<(String, Undo)> {
    let (all, masters) = (placed(cluster)?, cluster.masters());
    let has_some: Vec<usize> =
        masters.iter().copied().filter(|node| all.iter().any(|one| one.node == *node)).collect();
    let from = *has_some.get(draw % has_some.len().max(1)).context("no master has a partition")?;
    let others: Vec<usize> = masters.into_iter().filter(|other| *other != from).collect();
    let to = *others.get(draw / 7 % others.len().max(1)).context("no other master")?;
    let own = || all.iter().filter(|one| one.node == from);
    let slots = own().map(|one| one.slot).chain([cluster.slot_of(META)?]);
    let slots: Vec<u16> = slots.filter(|slot| cluster.node_of_slot(*slot) == Some(from)).collect();
    let first = *slots.iter().min().context("a master without a key")?;
    let moved: Vec<u64> = own().filter(|one| one.slot == first).map(|one| one.partition).collect();
    let mut before: Vec<u16> = cluster.slots_of(from).into_iter().filter(|slot| *slot <= first).collect();
    let count = before.len().min(RESHARDED_MAX);
    before.truncate(before.len() - count);
    for empty in before.chunk_by(|one, next| one + 1 == *next) {
        if let [first, ..] = empty {
            cluster.hand_over(&(*first..=*first + empty.len() as u16 - 1), to)?;
        }
    }
    cluster.settled()?;
    notes.interrupted(&moved);
    redis_cli(cluster, &notes.dir, from, to, count)?;
    ensure!(cluster.node_of_slot(first) == Some(to), "redis-cli says that it has moved slot {first}");
    Ok((format!("{count} slots from node {from} to {to}, partitions {moved:?} among them"), Undo::Nothing))
}

fn redis_cli(cluster: &Cluster, dir: &Path, from: usize, to: usize, count: usize) -> anyhow::Result<()> {
    let log = dir.join("reshard.log");
    let said = std::fs::OpenOptions::new().create(true).append(true).open(&log)?;
    let node = format!("127.0.0.1:{}", cluster.port(from));
    let mut command = Command::new(cli_program());
    command.args(["--cluster", "reshard", &node, "--cluster-from", cluster.id(from), "--cluster-to"]);
    command.args([cluster.id(to), "--cluster-slots", &count.to_string(), "--cluster-yes"]);
    command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said);
    let mut running = Running::spawn(&mut command).context("starting redis-cli")?;
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = running.try_wait()? {
            break status;
        }
        ensure!(begun.elapsed() < RESHARDS_WITHIN, "redis-cli does not end");
        std::thread::sleep(Duration::from_millis(10));
    };
    let last =
        || std::fs::read_to_string(&log).unwrap_or_default().lines().last().unwrap_or_default().to_owned();
    ensure!(status.success(), "redis-cli --cluster reshard: {status}: {}", last());
    Ok(())
}

/// How many lines the journals of these have, each on its node.
fn lines_of(cluster: &Cluster, tags: &[(String, usize)]) -> anyhow::Result<u64> {
    tags.iter().map(|(tag, node)| lines(tag, &|words| Ok(cluster.tell(*node, words)?))).sum()
}
