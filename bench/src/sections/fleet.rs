//! (g) More worker processes on the same partition: Redis is one thread, so they add resilience rather than speed.

use anyhow::Result;

use crate::cost::Rounds;
use crate::fixture::Workload;
use crate::ours;
use crate::report::Row;
use crate::scale::Scale;
use crate::talk::talk;

const JOBS: u64 = 300_000;
const FLEETS: [usize; 3] = [1, 2, 4];

pub(crate) fn run(scale: Scale) -> Result<Vec<Row>> {
    let jobs = scale.jobs(JOBS);
    let mut rounds = FLEETS.map(|workers| (workers, Rounds::default()));
    for round in 1..=scale.rounds.min(3) {
        for (workers, costs) in &mut rounds {
            costs.0.push(ours::drain(Workload::Redeem, jobs, *workers)?);
            talk!("round {round}, {workers} workers: {:.0}/s", costs.rate());
        }
    }
    let [(_, one), ..] = &rounds;
    let row = |(workers, costs): &(usize, Rounds)| Row {
        what: format!("{jobs} redemptions, worker processes: {workers}"),
        ours: format!("{:.0}/s", costs.rate()),
        ratio: format!("{} of one", costs.against(one).rate),
        redis_cpu: format!("{:.2}", costs.redis_cpu()),
        client_cpu: format!("{:.2}", costs.client_cpu()),
        ..Row::default()
    };
    Ok(rounds.iter().map(row).collect())
}
