//! (e) What things weigh in Redis: `used_memory` before and after for what waits, MEMORY USAGE of whole keys for
//! what stays, both divided by the number of things.

use anyhow::{Context, Result, ensure};

use crate::fixture::{ACCOUNTS, Fixture, Workload};
use crate::ours::{said, seq, wait};
use crate::private::Private;
use crate::process::Worker;
use crate::report::Row;
use crate::scale::Scale;

const JOBS: u64 = 100_000;
const BATCH: usize = 256;

pub(crate) fn run(scale: Scale) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for workload in [Workload::Redeem, Workload::Withdraw { accounts: ACCOUNTS }] {
        rows.extend(weigh(workload, scale.jobs(JOBS))?);
    }
    Ok(rows)
}

fn weigh(workload: Workload, jobs: u64) -> Result<Vec<Row>> {
    let mut private = Private::start()?;
    let mut fixture = Fixture::open(&private, workload)?;
    let name = workload.name();
    let row = |what: String, bytes: u64| Row {
        what,
        ours: format!("{:.0} bytes", bytes as f64 / jobs as f64),
        ..Row::default()
    };
    let empty = private.memory()?;
    let journal = fixture.keys().journal();
    let journal_before = size_of(&mut private, &journal)?;
    fixture.load(workload, jobs)?;
    let mut rows = vec![row(format!("a waiting job, {name}"), private.memory()?.saturating_sub(empty))];

    let (head, logs) = (fixture.keys().head(), tempfile::tempdir()?);
    let before = seq(&mut private, &head)?;
    let batch = BATCH.to_string();
    let options = ["--batch", &batch, "--batch-min", &batch];
    let mut fleet = [Worker::start_with(&private.url(), &options, &logs.path().join("worker.log"))?];
    wait(&mut private, &head, before + jobs, &mut fleet).with_context(|| said(logs.path()))?;
    fleet.into_iter().try_for_each(Worker::stop)?;
    let mut receipts = 0;
    let (mut counted, kept) = (0_u64, fixture.keys().receipts(tollgate::ids::Bucket::Kept));
    for bucket in private.ask::<Vec<String>>(&["KEYS", "*receipts:*"])? {
        if bucket != kept {
            receipts += size_of(&mut private, &bucket)?;
            counted += private.ask::<u64>(&["HLEN", &bucket])?;
        }
    }
    ensure!(counted == jobs, "{counted} receipts of {jobs} jobs");
    rows.push(row(format!("a receipt, {name}"), receipts));
    let journal_after = size_of(&mut private, &journal)?;
    rows.push(row(format!("a journal line in batches of {BATCH}, {name}"), journal_after - journal_before));
    if let Some(campaign) = workload.campaign()? {
        let holders = fixture.keys().holders(&campaign);
        rows.push(row("a holder of one campaign".to_owned(), size_of(&mut private, &holders)?));
    }
    Ok(rows)
}

/// Bytes of a key, every element looked at; 0 if there is none.
fn size_of(private: &mut Private, key: &str) -> Result<u64> {
    Ok(private.ask::<Option<u64>>(&["MEMORY", "USAGE", key, "SAMPLES", "0"])?.unwrap_or(0))
}
