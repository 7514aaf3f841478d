//! (m) What a fleet costs that has nothing to do, against a Redis that nobody asks for anything.
//!
//! The limit is the same Redis before the fleet came: its own timer. What a fleet does is counted by command, for the
//! one that is to be mended next; set `TOLLGATE_BENCH_COMMANDS` to see it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tollgate::env;

use crate::fixture::{Fixture, Workload};
use crate::ours::said;
use crate::private::Private;
use crate::process::Worker;
use crate::report::Row;
use crate::scale::Scale;
use crate::talk::talk;

const FLEETS: [usize; 3] = [1, 10, 100];
const QUEUES: [&str; 6] = ["-q", "alpha", "-q", "beta", "-q", "gamma"];
/// Until all have started, and each has waited as long as it ever waits.
const SETTLES_WITHIN: Duration = Duration::from_secs(25);
const WATCHED_FOR: Duration = Duration::from_secs(30);

pub(crate) fn run(scale: Scale) -> Result<Vec<Row>> {
    let watched_for = if scale.is_quick() { WATCHED_FOR / 3 } else { WATCHED_FOR };
    FLEETS.iter().map(|workers| fleet(*workers, watched_for)).collect()
}

fn fleet(workers: usize, watched_for: Duration) -> Result<Row> {
    let mut private = Private::start()?;
    drop(Fixture::open(&private, Workload::Redeem)?);
    let alone = share(&mut private, watched_for / 3)?;
    let logs = tempfile::tempdir()?;
    let mut fleet = Vec::with_capacity(workers);
    for n in 0..workers {
        let log = logs.path().join(format!("worker-{n}.log"));
        fleet.push(Worker::start_with(&private.url(), &QUEUES, &log)?);
    }
    std::thread::sleep(SETTLES_WITHIN);
    let _: () = private.ask(&["CONFIG", "RESETSTAT"])?;
    let idle = share(&mut private, watched_for)?;
    for worker in &mut fleet {
        ensure!(worker.is_running()?, "a worker has ended; {}", said(logs.path()));
    }
    let commands = private.commands()?;
    let connections = private.info("clients", "connected_clients")?.parse::<f64>().context("INFO clients")?;
    fleet.into_iter().try_for_each(Worker::stop)?;
    let calls: u64 = commands.iter().map(|(_, calls)| calls).sum();
    if env::text(env::TOLLGATE_BENCH_COMMANDS).is_some() {
        commands.iter().for_each(|(name, calls)| {
            talk!("  {name}: {:.1}/s", *calls as f64 / watched_for.as_secs_f64());
        });
    }
    let row = Row {
        what: format!("idle workers on three queues: {workers}"),
        ours: format!(
            "{:.2} % of a core, {:.0} commands/s",
            idle * 100.0,
            calls as f64 / watched_for.as_secs_f64()
        ),
        limit: format!("{:.2} %", alone * 100.0),
        // This program's own connection is none of theirs.
        ratio: format!("{:.1} connections a worker", (connections - 1.0) / workers as f64),
        ..Row::default()
    };
    talk!("{}: {}", row.what, row.ours);
    Ok(row)
}

/// The share of a core that Redis needs for that long.
fn share(private: &mut Private, watched_for: Duration) -> Result<f64> {
    let before = private.cpu()?;
    std::thread::sleep(watched_for);
    Ok((private.cpu()? - before) / watched_for.as_secs_f64())
}
