//! One cell at one concurrency: rounds of fresh records, whose requests start at a barrier.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::hands::Hands;
use super::judge::{Tally, judge};
use super::matrix::Cell;
use super::paused_holder::paused_holder;
use super::scenario::Round;
use super::serve::{Course, serve};
use super::servers::Addresses;
use super::stop::Stop;
use super::timeline::Timeline;
use super::trace::{State, Trace};
use crate::span::Span;

/// A cell ends after so many times its time (once it has had its rounds), records made and read included: where a round is short, these are most
/// of it.
const WALL_CLOCK_MAX: u32 = 4;

/// How every cell is played.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) seed: u64,
    pub(super) think: Span,
    /// How long a cell is played at one concurrency.
    pub(super) time: Duration,
    /// And how many rounds at least.
    pub(super) rounds: u64,
}

/// What came of a cell at one concurrency.
pub(super) struct Run {
    pub(super) concurrency: usize,
    pub(super) rounds: u64,
    pub(super) tally: Tally,
    /// From the barrier to the last answer, all rounds together.
    pub(super) busy: Duration,
    /// Of each request, in microseconds.
    pub(super) latency: Histogram<u64>,
    /// The first broken invariant.
    pub(super) timeline: Option<Timeline>,
}

impl Run {
    pub(super) fn new(concurrency: usize) -> Self {
        let (rounds, tally, busy, timeline) = (0, Tally::default(), Duration::ZERO, None);
        // One hour at three significant digits: constants that hdrhistogram accepts.
        let latency = Histogram::new_with_bounds(1, 3_600_000_000, 3).unwrap_or_else(|_| unreachable!());
        Self { concurrency, rounds, tally, busy, latency, timeline }
    }

    pub(super) fn per_second(&self) -> f64 {
        self.tally.asked as f64 / self.busy.as_secs_f64().max(1e-9)
    }

    pub(super) fn latency_ms(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1_000.0
    }

    /// Judges a round that was played.
    fn add(&mut self, cell: Cell, round: &Round, served: &[(usize, Trace)], states: &[State]) {
        let judged = judge(round, served, states);
        self.rounds += 1;
        self.tally += judged.tally;
        if self.timeline.is_none() {
            self.timeline = judged.case.map(|case| Timeline::new(cell, round, served, states, case));
        }
    }

    fn record(&mut self, latency: Duration) {
        self.latency.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
    }
}

/// A name that no other round of this run has.
fn tag(cell: Cell) -> String {
    static ROUNDS: AtomicU64 = AtomicU64::new(1);
    format!("{}-{}", cell.scenario.name(), ROUNDS.fetch_add(1, Ordering::Relaxed))
}

/// Plays `cell` with as many users at once as there are hands; gives the hands back.
pub(super) async fn crowd(
    cell: Cell,
    mut hands: Vec<Hands>,
    rules: Rules,
) -> anyhow::Result<(Vec<Hands>, Run)> {
    for hands in &mut hands {
        hands.reach_for(cell).await?;
    }
    let mut run = Run::new(hands.len());
    let begun = Instant::now();
    while run.rounds < rules.rounds
        || (run.busy < rules.time && begun.elapsed() < rules.time * WALL_CLOCK_MAX)
    {
        // The same for every cure: each meets the same stories and the same pauses.
        let mut random = ChaCha8Rng::seed_from_u64(rules.seed ^ run.rounds << 8 ^ hands.len() as u64);
        let round = Arc::new((cell.scenario.story().crowd)(hands.len(), &tag(cell), &mut random));
        hands[0].set_up(cell, &round).await?;
        let thinks: Vec<Duration> = round.requests.iter().map(|_| rules.think.draw(&mut random)).collect();
        let (served, took);
        (hands, served, took) = race(cell, hands, round.clone(), thinks, rules.time).await?;
        let states = hands[0].states(cell, &round).await?;
        run.busy += took;
        served.iter().for_each(|served| run.record(served.latency));
        let traces: Vec<(usize, Trace)> =
            served.into_iter().map(|served| (served.request, served.trace)).collect();
        run.add(cell, &round, &traces, &states);
    }
    Ok((hands, run))
}

struct Served {
    request: usize,
    trace: Trace,
    latency: Duration,
}

/// Serves the requests of one round, and says how long it took.
async fn race(
    cell: Cell,
    hands: Vec<Hands>,
    round: Arc<Round>,
    thinks: Vec<Duration>,
    time: Duration,
) -> anyhow::Result<(Vec<Hands>, Vec<Served>, Duration)> {
    let barrier = Arc::new(Barrier::new(hands.len()));
    let (next, thinks) = (Arc::new(AtomicUsize::new(0)), Arc::new(thinks));
    let mut users = JoinSet::new();
    for mut hands in hands {
        let (round, barrier, next, thinks) = (round.clone(), barrier.clone(), next.clone(), thinks.clone());
        users.spawn(async move {
            barrier.wait().await;
            let begun = Instant::now();
            let mut served = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(request) = round.requests.get(number) else { break };
                if number >= round.enough && begun.elapsed() > time {
                    break;
                }
                let asked_at = Instant::now();
                let course = Course { think: thinks[number], stop: Stop::Never };
                let trace = serve(&mut hands, cell, &round, request, course).await?;
                served.push(Served { request: number, trace, latency: asked_at.elapsed() });
            }
            anyhow::Ok((hands, served, begun.elapsed()))
        });
    }
    let (mut back, mut all, mut took) = (Vec::new(), Vec::new(), Duration::ZERO);
    while let Some(user) = users.join_next().await {
        let (hands, served, busy) = user??;
        back.push(hands);
        all.extend(served);
        took = took.max(busy);
    }
    all.sort_by_key(|served| served.request);
    Ok((back, all, took))
}

/// Plays `cell` with two users of whom the first is stopped while it holds the lock.
pub(super) async fn stopped(
    cell: Cell,
    hands: &mut Hands,
    addresses: &Addresses,
    pause: Duration,
) -> anyhow::Result<Run> {
    hands.reach_for(cell).await?;
    let round = (cell.scenario.story().paused_holder)(&tag(cell));
    hands.set_up(cell, &round).await?;
    let paused_holder = paused_holder(hands, addresses, cell, round, pause).await?;
    let states = hands.states(cell, &paused_holder.round).await?;
    let traces: Vec<(usize, Trace)> = paused_holder.traces.into_iter().enumerate().collect();
    let mut run = Run::new(2);
    run.busy = paused_holder.waited;
    run.record(paused_holder.waited);
    run.add(cell, &paused_holder.round, &traces, &states);
    Ok(run)
}
