//! (b), (c) One worker process drains a backlog, against the bare batch on the same Redis.

use anyhow::Result;

use crate::cost::Rounds;
use crate::fixture::Workload;
use crate::report::{Row, compared, verdict};
use crate::scale::Scale;
use crate::talk::talk;
use crate::{limit, ours};

const JOBS: u64 = 300_000;
const AIM: f64 = 0.8;

pub(crate) fn run(scale: Scale, workload: Workload) -> Result<Vec<Row>> {
    let jobs = scale.jobs(JOBS);
    let (mut ours, mut one, mut two) = (Rounds::default(), Rounds::default(), Rounds::default());
    for round in 1..=scale.rounds {
        ours.0.push(ours::drain(workload, jobs, 1)?);
        one.0.push(limit::drain(workload, jobs, 1, limit::BATCH)?);
        two.0.push(limit::drain(workload, jobs, 2, limit::BATCH)?);
        let (one, two) = (ours.against(&one), ours.against(&two));
        talk!("round {round}: {} of one connection, {} of two", one.rate, two.rate);
    }
    let (best, connections) =
        if two.rate() > one.rate() { (&two, "two connections") } else { (&one, "one connection") };
    let ratio = ours.against(best).rate.median;
    let what = format!("{jobs} {}, one worker; limit: {connections}", workload.name());
    Ok(vec![Row { what, aim: verdict(AIM, ratio), ..compared(&ours, best) }])
}
