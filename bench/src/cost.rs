//! What a run of jobs cost, and what several rounds of two runs say together. Pure arithmetic.

use std::time::Duration;

/// One run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// How many jobs the wall time covers.
    pub(crate) jobs: u64,
    pub(crate) wall: Duration,
    /// CPU of redis-server for one job, user and system, in seconds.
    pub(crate) redis_cpu: f64,
    /// CPU of the client's process for one job, in seconds.
    pub(crate) client_cpu: f64,
}

impl Cost {
    /// Jobs per second.
    pub(crate) fn rate(&self) -> f64 {
        self.jobs as f64 / self.wall.as_secs_f64()
    }
}

/// Several runs of one thing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rounds(pub(crate) Vec<Cost>);

impl Rounds {
    pub(crate) fn rate(&self) -> f64 {
        median(self.0.iter().map(Cost::rate))
    }

    /// Seconds of Redis CPU for 100,000 jobs.
    pub(crate) fn redis_cpu(&self) -> f64 {
        median(self.0.iter().map(|cost| cost.redis_cpu * 1e5))
    }

    /// Seconds of client CPU for 100,000 jobs.
    pub(crate) fn client_cpu(&self) -> f64 {
        median(self.0.iter().map(|cost| cost.client_cpu * 1e5))
    }

    /// How this compares with `limit`, round by round.
    pub(crate) fn against(&self, limit: &Self) -> Ratio {
        let pairs = || self.0.iter().zip(&limit.0);
        Ratio {
            rate: Spread::of(pairs().map(|(ours, limit)| ours.rate() / limit.rate()).collect()),
            redis_cpu: Spread::of(pairs().map(|(ours, limit)| limit.redis_cpu / ours.redis_cpu).collect()),
        }
    }
}

/// Ours to the limit; 1 is as good as the limit, for the rate and for the CPU alike.
#[derive(Debug, Clone)]
pub(crate) struct Ratio {
    pub(crate) rate: Spread,
    pub(crate) redis_cpu: Spread,
}

/// The middle and the ends of several figures.
#[derive(Debug, Clone)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    pub(crate) fn of(figures: Vec<f64>) -> Self {
        Self {
            median: median(figures.iter().copied()),
            least: figures.iter().copied().fold(f64::INFINITY, f64::min),
            most: figures.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} ({:.2}–{:.2})", self.median, self.least, self.most)
    }
}

/// The middle figure; of an even number the mean of the two in the middle.
pub(crate) fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = figures.collect();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => sorted[length / 2],
        length => (sorted[length / 2 - 1] + sorted[length / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_compares_the_runs_of_one_round() {
        let cost = |jobs, redis_cpu| Cost { jobs, wall: Duration::from_secs(1), redis_cpu, client_cpu: 0.0 };
        // The machine was twice as slow in the second round: it met both, so the ratio stays.
        let ours = Rounds(vec![cost(80, 2e-5), cost(40, 4e-5), cost(80, 2e-5)]);
        let limit = Rounds(vec![cost(100, 1e-5), cost(50, 2e-5), cost(100, 1e-5)]);
        let ratio = ours.against(&limit);
        assert!((ratio.rate.median - 0.8).abs() < 1e-9 && (ratio.rate.least - 0.8).abs() < 1e-9);
        assert!((ratio.redis_cpu.median - 0.5).abs() < 1e-9);
        assert!((ours.redis_cpu() - 2.0).abs() < 1e-9);
        assert!((median([4.0, 1.0, 3.0, 2.0].into_iter()) - 2.5).abs() < 1e-9);
    }
}
