//! Faults of worker processes.

use std::process::Stdio;

use anyhow::{Context, bail};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use tokio::process::Command;
use tollgate_testkit::process::Guard;

use crate::run::fault::{Fault, Undo};
use crate::run::site::Site;
use crate::run::workload;

/// Busy neighbours for each core.
const NEIGHBOURS: usize = 3;
/// How often somebody is stopped in search of one with work.
const LOOKS: usize = 60;
/// One line of `worker ls`.
#[derive(Deserialize)]
struct Row {
    pid: Option<u32>,
    in_flight: u64,
}

pub(super) async fn begin(
    fault: Fault,
    site: &Site,
    random: &mut ChaCha8Rng,
) -> anyhow::Result<(String, Undo)> {
    let number = random.random_range(0..site.fleet.len());
    let on = format!("worker {}", number + 1);
    let undo = match fault {
        Fault::StopWorker => {
            let (on, number) = stop_with_work(site, number).await?;
            return Ok((on, Undo::Workers(vec![number])));
        }
        Fault::StarveWorkers => {
            let cores = std::thread::available_parallelism().map_or(2, usize::from);
            let busy = || {
                let mut command = Command::new("/bin/sh");
                command.args(["-c", "while :; do :; done"]).current_dir(site.programs.dir());
                Guard::start(command.stdin(Stdio::null()))
            };
            let neighbours = (0..cores * NEIGHBOURS).map(|_| busy()).collect::<Result<_, _>>()?;
            return Ok((format!("{} busy neighbours", cores * NEIGHBOURS), Undo::Processes(neighbours)));
        }
        Fault::KillWithWork => {
            let (on, number) = stop_with_work(site, number).await?;
            site.fleet.kill(number).await;
            return Ok((on, Undo::Nothing));
        }
        Fault::KillAllWorkers => {
            // One of them has a batch in flight, which somebody has to take over.
            let (on, _) = stop_with_work(site, number).await?;
            return Ok((format!("all, {on}"), take_all_away(site).await));
        }
        Fault::Backlog => {
            let undo = take_all_away(site).await;
            let sent = workload::backlog(site, site.backlog, random.random()).await;
            // Whatever came of it, they come back.
            if let Err(problem) = sent {
                undo.undo(site).await?;
                return Err(problem);
            }
            return Ok((format!("{} jobs wait", site.backlog), undo));
        }
        Fault::TermWorker => {
            site.fleet.terminate(number, 1, false).await;
            Undo::Nothing
        }
        Fault::TermThenKill => {
            site.fleet.terminate(number, 2, true).await;
            Undo::Nothing
        }
        Fault::FailPoint => {
            let point = site.points.get(random.random_range(0..site.points.len().max(1)));
            let point = point.context("the worker names no fail points")?;
            site.fleet.set_failpoint(number, format!("{point}:abort")).await;
            return Ok((format!("{on} at {point}"), Undo::Nothing));
        }
        _ => {
            site.fleet.kill(number).await;
            Undo::Nothing
        }
    };
    Ok((on, undo))
}

async fn take_all_away(site: &Site) -> Undo {
    let all: Vec<usize> = (0..site.fleet.len()).collect();
    for number in &all {
        site.fleet.take_away(*number).await;
    }
    Undo::Workers(all)
}

/// Stops one that has a batch in flight: looks again and again, since it is there for a moment only.
async fn stop_with_work(site: &Site, first: usize) -> anyhow::Result<(String, usize)> {
    for number in (0..site.fleet.len()).cycle().skip(first).take(LOOKS) {
        site.fleet.stop(number).await;
        let pid = site.fleet.pids().await[number];
        let listed = site.producer(&site.direct(), &["worker", "ls", "--json"], None).await;
        let rows: Vec<Row> = serde_json::from_str(&listed.stdout).unwrap_or_default();
        let in_flight: u64 = rows.iter().filter(|row| row.pid == pid).map(|row| row.in_flight).sum();
        if in_flight > 0 {
            return Ok((format!("worker {} with {in_flight} in flight", number + 1), number));
        }
        site.fleet.bring_back(number).await;
    }
    bail!("no worker had a batch in flight")
}
