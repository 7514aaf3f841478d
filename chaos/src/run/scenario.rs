//! The named scenarios: which faults come how often, what a run must have seen to show anything, and what it may lose.
//! `docs/chaos.md` maps the faults that Tollgate is to survive to these, and a test compares the two.

pub(super) mod list;
mod topology;

use std::time::Duration;

use super::fault::Fault;
use super::workload::Load;

/// What a scenario stands on beside a Redis, proxies and workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ground {
    Plain,
    /// The data directory on a small disk of its own; needs root.
    SmallDisk,
    /// Workers that were built with fail points.
    FailPoints,
    /// An `fdatasync` that takes its time; needs strace.
    SlowFsync,
    /// Clocks that step; needs a C compiler.
    Clocks,
    /// Workers that were built with fail points, and jobs that kill them.
    Killers,
    /// Three lock servers of their own, which fail.
    LockNodes,
    /// Another build of the worker beside this one.
    TwoVersions,
    /// The data on a cluster of three masters with a replica each; perhaps with ways between them that can be cut.
    Cluster {
        can_be_cut_off: bool,
    },
    /// The data on a master with a replica, which three Sentinels watch; likewise.
    Sentinel {
        can_be_cut_off: bool,
    },
}

/// Something without which a run shows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bite {
    /// Entries were taken over from another worker.
    Reclaim,
    /// A repeated id was answered from its receipt.
    Replay,
    /// Somebody did not hear an answer.
    Unknown,
    /// What was counted under this name.
    Counted(&'static str),
}

impl Bite {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Reclaim => "reclaimed",
            Self::Replay => "replayed",
            Self::Unknown => "unknown",
            Self::Counted(name) => name,
        }
    }
}

/// A fault that comes again and again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recurring {
    pub(super) fault: Fault,
    pub(super) every: Duration,
    pub(super) lasts: Duration,
}

#[derive(Debug, Clone)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    /// The faults of docs/chaos.md that it shows: a test compares the two.
    pub(super) rows: &'static [&'static str],
    pub(super) faults: Vec<Recurring>,
    pub(super) ground: Ground,
    pub(super) load: Load,
    pub(super) appendfsync: &'static str,
    pub(super) bites: Vec<Bite>,
    pub(super) may_lose: bool,
    /// Words of log lines at the level ERROR that belong to the fault.
    pub(super) expects: Vec<&'static str>,
    /// Ends of workers that belong to the fault.
    pub(super) may_end: &'static [&'static str],
    /// How long it takes in a smoke run.
    pub(super) smoke: Duration,
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What a worker says while the bank locks everybody out.
pub(super) const LOCKED_OUT: &str = "credentials are wrong";

const LOAD: Load = Load {
    askers: 3,
    file: 60,
    file_every: ms(120),
    payouts: false,
    poison: true,
    pauses: true,
    unheard: None,
    backlog: 0,
};

fn scenario(name: &'static str, about: &'static str, rows: &'static [&'static str]) -> Scenario {
    Scenario {
        name,
        about,
        rows,
        faults: Vec::new(),
        ground: Ground::Plain,
        load: LOAD,
        appendfsync: "everysec",
        bites: vec![Bite::Replay],
        may_lose: false,
        expects: Vec::new(),
        may_end: &[],
        smoke: ms(4_000),
    }
}

impl Scenario {
    /// Names of what must have happened: what it lists, and each of its faults.
    pub(super) fn must_bite(&self) -> Vec<String> {
        let faults = self.faults.iter().map(|recurring| recurring.fault.name());
        self.bites.iter().map(|bite| bite.name()).chain(faults).map(str::to_owned).collect()
    }

    fn fault(mut self, fault: Fault, every: u64, lasts: u64) -> Self {
        self.faults.push(Recurring { fault, every: ms(every), lasts: ms(lasts) });
        self
    }

    fn bites(mut self, bite: Bite) -> Self {
        self.bites.push(bite);
        self
    }

    /// With payouts through a bank that locks everybody out at times, which workers rightly complain of.
    fn pays(mut self) -> Self {
        self.load.payouts = true;
        self.expects.push(LOCKED_OUT);
        self.appendfsync = "always";
        self
    }

    fn on(mut self, ground: Ground) -> Self {
        self.ground = ground;
        self
    }
}

/// Anything that can come together, with quiet stretches; see `schedule.rs`.
pub(super) fn mix() -> Scenario {
    Scenario {
        rows: &[],
        bites: vec![Bite::Replay, Bite::Unknown, Bite::Reclaim],
        ..scenario("mix", "random faults, overlapping, in periods with quiet ones between", &[]).pays()
    }
}

/// What a mix draws from: nothing that needs more than a plain ground, and nothing that may lose what was acknowledged.
pub(super) const MIXED: &[(Fault, u64)] = &[
    (Fault::KillWorker, 0),
    (Fault::KillWithWork, 0),
    (Fault::StopWorker, 2_600),
    (Fault::StarveWorkers, 800),
    (Fault::KillAllWorkers, 900),
    (Fault::TermWorker, 0),
    (Fault::TermThenKill, 0),
    (Fault::KillRedis, 200),
    (Fault::KillRedisRewriting, 200),
    (Fault::StopRedis, 700),
    (Fault::FlushScripts, 0),
    (Fault::KillClients, 0),
    (Fault::PauseClients, 0),
    (Fault::FillMemory, 600),
    (Fault::BusyScript, 500),
    (Fault::DeleteLocks, 0),
    (Fault::MoveTtls, 0),
    (Fault::DeliverTwice, 0),
    (Fault::LoseReplies, 700),
    (Fault::LoseReplies, 700),
    (Fault::LoseRequests, 700),
    (Fault::CutReplies, 700),
    (Fault::FlipBytes, 600),
    (Fault::DoubleReplies, 600),
    (Fault::SilenceRequests, 700),
    (Fault::SilenceReplies, 700),
    (Fault::SlowWay, 900),
    (Fault::Drip, 600),
    (Fault::ResetAll, 0),
    (Fault::CutOffWorker, 1_200),
    (Fault::StallBank, 800),
    (Fault::RepeatId, 0),
    (Fault::RaceForLast, 0),
    (Fault::HugePayload, 0),
    (Fault::Poison, 0),
    (Fault::Flood, 600),
    (Fault::DiscardDead, 0),
];

#[cfg(test)]
mod tests {
    use super::list::all;

    /// The table of docs/chaos.md.
    fn table() -> String {
        let mut table = "| fault | scenario |\n|---|---|\n".to_owned();
        for scenario in all() {
            for row in scenario.rows {
                table.push_str(&format!("| {row} | `{}` |\n", scenario.name));
            }
        }
        table
    }

    #[test]
    fn docs_chaos_has_every_fault_and_its_scenario() {
        let docs = include_str!("../../../docs/chaos.md");
        let (_, rest) = docs.split_once("<!-- faults: begin -->\n").unwrap();
        let (listed, _) = rest.split_once("<!-- faults: end -->").unwrap();
        assert_eq!(listed, table());
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = all().iter().map(|scenario| scenario.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all().len());
    }
}
