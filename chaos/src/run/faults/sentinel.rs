//! Faults of a master that Sentinels watch, and of the Sentinels.

use anyhow::{bail, ensure};
use tollgate_testkit::sentinel::{SENTINELS, Watched};

use super::loss::{Notes, tags, until};
use crate::run::fault::{Fault, SentinelUndo, Undo};
use crate::run::site::Site;
use crate::run::topology::{Blocking, Topology};

pub(super) async fn begin(
    fault: Fault,
    site: &Site,
    watched: &Blocking<Watched>,
) -> anyhow::Result<(String, Undo)> {
    let notes = Notes::of(site);
    let begin = move |watched: &mut Watched| {
        watched.settled()?;
        match fault {
            Fault::KillMaster => kill(watched, &notes, &[]),
            Fault::MinorityGone => kill(watched, &notes, &[0]),
            Fault::FailOverMaster => fail_over(watched, &notes),
            Fault::CutOffMaster => cut_off(watched, &notes),
            Fault::MajorityGone => majority(watched, &notes),
            Fault::AllRestarted => all(watched, &notes),
            _ => bail!("Sentinels have no slots"),
        }
    };
    watched.with(begin).await
}

pub(super) async fn undo(undo: SentinelUndo, site: &Site) -> anyhow::Result<()> {
    let Topology::Sentinel(watched) = &site.topology else { bail!("there are no Sentinels") };
    let notes = Notes::of(site);
    let end = move |watched: &mut Watched| {
        match undo {
            SentinelUndo::Restart { servers, sentinels } => {
                servers.iter().try_for_each(|number| watched.server(*number).restart())?;
                sentinels.iter().try_for_each(|number| watched.restart_sentinel(*number))?;
            }
            SentinelUndo::Rejoin { server, since_us } => {
                let partitions = partitions(watched)?;
                let (old, new) = (server, 1 - server);
                notes.lost(&partitions, &|words| Ok(watched.tell(old, words)?), &|words| {
                    Ok(watched.tell(new, words)?)
                })?;
                watched.rejoin();
                until("it to follow its successor", || Ok((watched.roles()[old] == "slave").then_some(())))?;
                notes.rollback(
                    "a master that was cut off came back as a replica",
                    &numbers(&partitions),
                    since_us,
                );
            }
        }
        Ok(watched.settled()?)
    };
    watched.with(end).await
}

/// Number and tag of each, as the master says.
fn partitions(watched: &Watched) -> anyhow::Result<Vec<(u64, String)>> {
    let master = watched.master().unwrap_or(0);
    tags(&|words| Ok(watched.tell(master, words)?))
}

fn numbers(partitions: &[(u64, String)]) -> Vec<u64> {
    partitions.iter().map(|(number, _)| *number).collect()
}

/// The master, all partitions, and when the replica had everything that was acknowledged by then.
fn ready(watched: &Watched, notes: &Notes) -> anyhow::Result<(usize, Vec<u64>, u64)> {
    let Some(master) = watched.master() else { bail!("the Sentinels name no master") };
    let numbers = numbers(&partitions(watched)?);
    let since_us = notes.history.now_us();
    watched.replicated()?;
    Ok((master, numbers, since_us))
}

/// Waits until the other server is the master.
fn taken_over(watched: &Watched, old: usize) -> anyhow::Result<String> {
    let begun = std::time::Instant::now();
    let new = 1 - old;
    until("the replica to take over", || {
        Ok((watched.master() == Some(new) && watched.roles()[new] == "master").then_some(()))
    })?;
    Ok(format!("server {old}; server {new} had its place after {} ms", begun.elapsed().as_millis()))
}

/// The master dies, while some of the Sentinels are gone.
fn kill(watched: &mut Watched, notes: &Notes, gone: &[usize]) -> anyhow::Result<(String, Undo)> {
    gone.iter().for_each(|number| watched.kill_sentinel(*number));
    let (master, partitions, since_us) = ready(watched, notes)?;
    watched.server(master).kill();
    notes.interrupted(&partitions);
    notes.rollback("the master died, and its replica took over", &partitions, since_us);
    let what = taken_over(watched, master)?;
    Ok((what, Undo::Sentinel(SentinelUndo::Restart { servers: vec![master], sentinels: gone.to_vec() })))
}

/// The old master takes writes until a Sentinel has made it a replica: nobody asks it to wait.
fn fail_over(watched: &Watched, notes: &Notes) -> anyhow::Result<(String, Undo)> {
    let (master, partitions, since_us) = ready(watched, notes)?;
    notes.interrupted(&partitions);
    watched.fail_over()?;
    let what = taken_over(watched, master)?;
    until("the old master to follow", || Ok((watched.roles()[master] == "slave").then_some(())))?;
    notes.rollback("the Sentinels made the replica the master", &partitions, since_us);
    Ok((what, Undo::Nothing))
}

fn cut_off(watched: &Watched, notes: &Notes) -> anyhow::Result<(String, Undo)> {
    let (master, partitions, since_us) = ready(watched, notes)?;
    watched.cut_off(master);
    notes.interrupted(&partitions);
    let what = taken_over(watched, master)?;
    Ok((what, Undo::Sentinel(SentinelUndo::Rejoin { server: master, since_us })))
}

/// One Sentinel is left when the master dies: nobody takes its place.
fn majority(watched: &mut Watched, notes: &Notes) -> anyhow::Result<(String, Undo)> {
    let (master, partitions, _) = ready(watched, notes)?;
    // Started again it is what it was when it was first started.
    ensure!(master == 0, "the master is another than at first");
    (1..SENTINELS).for_each(|number| watched.kill_sentinel(number));
    watched.server(master).kill();
    notes.interrupted(&partitions);
    let undo = SentinelUndo::Restart { servers: vec![master], sentinels: (1..SENTINELS).collect() };
    Ok(("two Sentinels and the master".to_owned(), Undo::Sentinel(undo)))
}

fn all(watched: &mut Watched, notes: &Notes) -> anyhow::Result<(String, Undo)> {
    let (master, partitions, _) = ready(watched, notes)?;
    ensure!(master == 0, "the master is another than at first");
    // Nobody shall take a place that is empty for a moment.
    (0..SENTINELS).for_each(|number| watched.kill_sentinel(number));
    [1, 0].into_iter().for_each(|number| watched.server(number).kill());
    notes.interrupted(&partitions);
    let undo = SentinelUndo::Restart { servers: vec![0, 1], sentinels: (0..SENTINELS).collect() };
    Ok(("both servers and all Sentinels".to_owned(), Undo::Sentinel(undo)))
}
