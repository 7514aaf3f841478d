//! (a) `tollgate-producer enqueue` of a file, against redis-benchmark's XADD of an entry of the same size.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use tollgate::env;

use crate::cost::{Cost, Rounds};
use crate::fixture::{Fixture, Workload};
use crate::private::Private;
use crate::process;
use crate::report::{Row, compared, verdict};
use crate::scale::Scale;
use crate::talk::talk;

const JOBS: u64 = 500_000;
const AIM: f64 = 0.7;

pub(crate) fn run(scale: Scale) -> Result<Vec<Row>> {
    let jobs = scale.jobs(JOBS);
    let file = tempfile::NamedTempFile::new()?;
    let mut lines = BufWriter::new(File::create(file.path())?);
    for n in 0..jobs {
        writeln!(lines, "{}", Workload::Redeem.job(n)?.encode())?;
    }
    lines.flush()?;
    let payload = Workload::Redeem.job(0)?.encode();
    let (mut ours, mut limit) = (Rounds::default(), Rounds::default());
    for round in 1..=scale.rounds {
        ours.0.push(producer(file.path(), jobs)?);
        limit.0.push(redis_benchmark(&payload, jobs)?);
        talk!("round {round}: {}", ours.against(&limit).rate);
    }
    let ratio = ours.against(&limit).rate.median;
    let what = format!("{jobs} redemptions of {} bytes from a file", payload.len());
    Ok(vec![Row { what, aim: verdict(AIM, ratio), ..compared(&ours, &limit) }])
}

fn producer(file: &std::path::Path, jobs: u64) -> Result<Cost> {
    let mut private = Private::start()?;
    let fixture = Fixture::open(&private, Workload::Redeem)?;
    let mut command = Command::new(process::binary("tollgate-producer")?);
    command.arg("enqueue").arg(file).env(env::REDIS_URL, private.url()).env_remove(env::TOLLGATE_NAMESPACE);
    let cost = timed(&mut private, &mut command, jobs)?;
    expect(&mut private, &fixture.keys().queue(fixture.queue()), jobs)?;
    Ok(cost)
}

fn redis_benchmark(payload: &str, jobs: u64) -> Result<Cost> {
    let mut private = Private::start()?;
    let mut command = Command::new("redis-benchmark");
    command.arg("-s").arg(private.socket());
    command.args(["-c", "1", "-P", "200", "-q", "-n"]).arg(jobs.to_string());
    command.args(["XADD", "stream", "*", "job", payload]);
    let cost = timed(&mut private, &mut command, jobs)?;
    // It sends whole pipelines of 200.
    expect(&mut private, "stream", jobs.next_multiple_of(200))?;
    Ok(cost)
}

/// The whole life of a process, from its start to its end.
fn timed(private: &mut Private, command: &mut Command, jobs: u64) -> Result<Cost> {
    let (redis_before, client_before, begun) = (private.cpu()?, process::children_cpu()?, Instant::now());
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{command:?}"))?;
    let wall = begun.elapsed();
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(Cost {
        jobs,
        wall,
        redis_cpu: (private.cpu()? - redis_before) / jobs as f64,
        client_cpu: (process::children_cpu()? - client_before) / jobs as f64,
    })
}

fn expect(private: &mut Private, stream: &str, entries: u64) -> Result<()> {
    let found: u64 = private.ask(&["XLEN", stream])?;
    ensure!(found == entries, "{stream} has {found} entries, not {entries}");
    Ok(())
}
