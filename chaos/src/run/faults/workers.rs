//! Faults of worker processes.

use std::process::Stdio;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tokio::process::Command;
use tollgate_testkit::process::Guard;

use super::{Fault, Undo};
use crate::run::site::Site;

/// Busy neighbours for each core.
const NEIGHBOURS: usize = 3;
/// The steps of a job and of a payout, as the worker names them.
const POINTS: [&str; 12] = [
    "after_fetch",
    "after_decode",
    "before_settle",
    "after_settle",
    "before_park",
    "after_park",
    "after_claim",
    "before_begin",
    "after_begin",
    "after_pay",
    "before_record",
    "after_record",
];

pub(super) async fn begin(
    fault: Fault,
    site: &Site,
    random: &mut ChaCha8Rng,
) -> anyhow::Result<(String, Undo)> {
    let number = random.random_range(0..site.fleet.len());
    let on = format!("worker {}", number + 1);
    let undo = match fault {
        Fault::StopWorker => {
            site.fleet.stop(number).await;
            Undo::Workers(vec![number])
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
        Fault::KillAllWorkers => {
            let all: Vec<usize> = (0..site.fleet.len()).collect();
            for number in &all {
                site.fleet.take_away(*number).await;
            }
            return Ok(("all".to_owned(), Undo::Workers(all)));
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
            let point = POINTS[random.random_range(0..POINTS.len())];
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
