//! settle alone: this process reads batches and settles them, one after the other, against the bare batch read
//! in the same way. No worker, no pipelining: the figure that counts is Redis's CPU, the rate is a by-product.

use std::time::Instant;

use anyhow::Result;

use crate::cost::{Cost, Rounds};
use crate::gate::{Gate, Workload};
use crate::limit;
use crate::private::Private;
use crate::process;
use crate::report::Row;
use crate::sections::{ACCOUNTS, Scale, compared};

const JOBS: u64 = 100_000;

pub(crate) fn run(scale: Scale) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for workload in [Workload::Redeem, Workload::Withdraw { accounts: ACCOUNTS }] {
        for batch in [100, 250] {
            let (mut ours, mut limit) = (Rounds::default(), Rounds::default());
            for round in 1..=scale.rounds {
                ours.0.push(settle_all(workload, scale.jobs(JOBS), batch)?);
                limit.0.push(limit::drain(workload, scale.jobs(JOBS), 1, batch)?);
                crate::talk!(
                    "{}, {batch} a batch, round {round}: {}",
                    workload.name(),
                    ours.against(&limit).redis_cpu
                );
            }
            rows.push(Row {
                what: format!("{}, {batch} a batch", workload.name()),
                ..compared(&ours, &limit)
            });
        }
    }
    Ok(rows)
}

fn settle_all(workload: Workload, jobs: u64, batch: usize) -> Result<Cost> {
    let mut private = Private::start()?;
    let mut gate = Gate::open(&private, workload)?;
    gate.load(workload, jobs)?;
    let mut reader = private.connect()?;
    let stream = gate.keys().queue(gate.queue());
    let (redis_before, client_before, begun) = (private.cpu()?, process::own_cpu()?, Instant::now());
    loop {
        let entries = limit::read(&mut reader, &stream, "reader", batch)?;
        if entries.is_empty() {
            break;
        }
        gate.settle(&entries)?;
    }
    let wall = begun.elapsed();
    Ok(Cost {
        jobs,
        wall,
        redis_cpu: (private.cpu()? - redis_before) / jobs as f64,
        client_cpu: (process::own_cpu()? - client_before) / jobs as f64,
    })
}
