//! (f) Whether the drain rate depends on how much waits.

use anyhow::Result;

use crate::cost::{Rounds, Spread};
use crate::fixture::Workload;
use crate::ours;
use crate::report::Row;
use crate::scale::Scale;
use crate::talk::talk;

const BACKLOGS: [u64; 3] = [10_000, 100_000, 1_000_000];
/// A backlog of ten thousand is gone in a tenth of a second: one such run says little.
const RUNS_OF_SMALLEST: usize = 5;
const AIM: f64 = 0.1;

pub(crate) fn run(scale: Scale) -> Result<Vec<Row>> {
    let mut rounds = BACKLOGS.map(|jobs| (scale.jobs(jobs), Rounds::default()));
    for round in 1..=scale.rounds.min(3) {
        for (n, (jobs, costs)) in rounds.iter_mut().enumerate() {
            for _ in 0..if n == 0 { RUNS_OF_SMALLEST } else { 1 } {
                costs.0.push(ours::drain(Workload::Redeem, *jobs, 1)?);
            }
            talk!("round {round}, {jobs} jobs: {:.0}/s", costs.rate());
        }
    }
    let middle = rounds[1].1.rate();
    let row = |(jobs, costs): &(u64, Rounds)| {
        let ratio = costs.rate() / middle;
        Row {
            what: format!("{jobs} redemptions waiting, one worker"),
            ours: format!("{:.0}/s", costs.rate()),
            ratio: format!(
                "{} of the second",
                Spread::of(costs.0.iter().map(|cost| cost.rate() / middle).collect())
            ),
            redis_cpu: format!("{:.2}", costs.redis_cpu()),
            client_cpu: format!("{:.2}", costs.client_cpu()),
            aim: format!("within 10 %: {}", if (ratio - 1.0).abs() <= AIM { "met" } else { "missed" }),
            ..Row::default()
        }
    };
    Ok(rounds.iter().map(row).collect())
}
