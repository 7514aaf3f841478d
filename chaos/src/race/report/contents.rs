//! What a report holds: the rows of every scenario, and the verdict over them.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

use super::row::{Row, Verdict};
use crate::race::cure::Cure;
use crate::race::matrix::{Promise, Senseless};
use crate::race::options::Args;
use crate::race::scenario::Scenario;
use crate::race::servers::{LeftOut, Servers};

/// How the run was set up.
#[derive(Debug, Clone, Serialize)]
pub(in crate::race) struct Setting {
    pub(super) seed: u64,
    pub(super) think: String,
    pub(super) time: String,
    /// At least.
    pub(super) rounds: u64,
    pub(super) pause: Option<String>,
    pub(super) concurrency: Vec<u64>,
    pub(super) left_out: Vec<LeftOut>,
}

impl Setting {
    pub(in crate::race) fn new(args: &Args, servers: &Servers) -> Self {
        Self {
            seed: args.seed,
            think: args.think.to_string(),
            time: humantime::format_duration(args.time).to_string(),
            rounds: args.rounds,
            pause: args.pause.map(|pause| humantime::format_duration(pause).to_string()),
            concurrency: args.concurrency.clone(),
            left_out: servers.left_out.clone(),
        }
    }
}

/// What `audit --json` says of the job system afterwards.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(in crate::race) struct Audit {
    pub(super) verdict: String,
}

pub(in crate::race) struct Report {
    pub(super) setting: Setting,
    pub(super) senseless: Vec<Senseless>,
    pub(super) scenarios: Vec<(Scenario, Vec<Row>)>,
    pub(super) audit: Option<Audit>,
}

impl Report {
    pub(in crate::race) fn new(setting: Setting, senseless: Vec<Senseless>) -> Self {
        Self { setting, senseless, scenarios: Vec::new(), audit: None }
    }

    pub(in crate::race) fn add(&mut self, scenario: Scenario, rows: Vec<Row>) {
        self.scenarios.push((scenario, rows));
    }

    pub(in crate::race) fn audited(&mut self, audit: Audit) {
        self.audit = Some(audit);
    }

    /// What is said before the first table.
    pub(in crate::race) fn head(&self) -> String {
        let Setting { seed, think, time, rounds: _, pause, concurrency, left_out } = &self.setting;
        let levels: Vec<String> = concurrency.iter().map(u64::to_string).collect();
        let stop =
            pause.as_ref().map_or_else(String::new, |pause| format!(", holders stopped for {pause} at most"));
        let mut head = format!(
            "Tollgate: races, with {} users at once, {time} each, {think} between read and write{stop}, seed {seed}\n",
            levels.join(", ")
        );
        left_out.iter().for_each(|LeftOut { server, why }| _ = write!(head, "\n  left out: {server} {why}"));
        head
    }

    pub(super) fn senseless_in(&self, scenario: Scenario) -> impl Iterator<Item = &Senseless> {
        self.senseless.iter().filter(move |other| other.scenario == scenario)
    }

    fn caught(&self) -> bool {
        self.scenarios.iter().flat_map(|(_, rows)| rows).any(|row| row.cell.cure == Cure::Naive)
    }

    /// What is wrong with the run: promises that were broken, and what should have broken and did not.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (scenario, rows) in &self.scenarios {
            let name = scenario.name();
            let broken = rows.iter().filter(|row| row.verdict() == Verdict::Broken);
            faults.extend(broken.map(|row| format!("{} promises safety and did damage", row.cell.name())));
            // A checker that cannot fail is a defect: what must break, has to.
            let must_break = |what: &str, of: &dyn Fn(&&Row) -> bool| {
                let mut played = rows.iter().filter(of).peekable();
                let unseen = played.peek().is_some() && played.all(|row| row.verdict() != Verdict::Damaged);
                unseen.then(|| format!("{name}: {what}, so this run shows nothing"))
            };
            faults.extend(must_break("the naive way was never caught", &|row| row.cell.cure == Cure::Naive));
            faults.extend(must_break("stopping a holder broke no lock", &|row| {
                row.cell.stopped && row.cell.promise() != Promise::Safe
            }));
        }
        if let Some(Audit { verdict }) = self.audit.as_ref().filter(|audit| audit.verdict != "pass") {
            faults.push(format!("tollgate: the audit says {verdict}"));
        }
        faults
    }

    pub(in crate::race) fn exit_code(&self) -> ExitCode {
        match (self.faults().is_empty(), self.setting.left_out.is_empty()) {
            (false, _) => ExitCode::FAILURE,
            (true, false) => ExitCode::from(4),
            (true, true) => ExitCode::SUCCESS,
        }
    }

    /// The last lines.
    pub(in crate::race) fn verdict(&self) -> String {
        let mut words = String::new();
        if let Some(Audit { verdict }) = &self.audit {
            let _ = writeln!(words, "audit of Tollgate's journal: {verdict}\n");
        }
        let faults = self.faults();
        match faults.is_empty() {
            true if self.caught() => {
                words.push_str("PASS: what promises safety was safe, and the naive way was caught")
            }
            true => words.push_str("PASS: what promises safety was safe; the naive way was not played"),
            false => _ = write!(words, "FAIL: {}", faults.join("\n      ")),
        }
        for LeftOut { server, why } in &self.setting.left_out {
            let _ = write!(words, "\nLEFT OUT: {server} {why}");
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use crate::race::cure::{Service, Store};
    use crate::race::judge::Tally;
    use crate::race::matrix::Cell;
    use crate::race::play::Run;
    use crate::race::report::row::Row;

    use super::*;

    fn row(cure: Cure, damage: u64, stopped: bool) -> Row {
        let cell = Cell { scenario: Scenario::Ticket, cure, store: Store::Redis, stopped };
        let mut run = Run::new(2);
        run.tally = Tally { asked: 2, damage, ..Tally::default() };
        Row { cell, runs: vec![run] }
    }

    fn report(rows: Vec<Row>, left_out: &[&'static str]) -> Report {
        let left_out = left_out.iter().map(|server| LeftOut { server, why: "is not installed".to_owned() });
        let setting = Setting {
            seed: 1,
            think: String::new(),
            time: String::new(),
            rounds: 1,
            pause: None,
            concurrency: vec![2],
            left_out: left_out.collect(),
        };
        let mut report = Report::new(setting, Vec::new());
        report.add(Scenario::Ticket, rows);
        report
    }

    fn code(report: &Report) -> String {
        format!("{:?}", report.exit_code())
    }

    #[test]
    fn it_passes_only_if_promises_are_kept_and_the_naive_way_was_caught() {
        let exit = |code: u8| format!("{:?}", ExitCode::from(code));
        let good = || vec![row(Cure::Naive, 3, false), row(Cure::Atomic, 0, false)];
        assert_eq!(code(&report(good(), &[])), exit(0));
        assert_eq!(code(&report(good(), &["etcd"])), exit(4));
        let broken = vec![row(Cure::Naive, 3, false), row(Cure::Atomic, 1, false)];
        assert_eq!(code(&report(broken, &["etcd"])), exit(1));
        let lucky = report(vec![row(Cure::Naive, 0, false), row(Cure::Atomic, 0, false)], &[]);
        assert_eq!(code(&lucky), exit(1));
        assert!(lucky.verdict().contains("the naive way was never caught"), "{}", lucky.verdict());
        let mut audited = report(good(), &[]);
        audited.audited(Audit { verdict: "fail".to_owned() });
        assert_eq!(code(&audited), exit(1));
    }

    #[test]
    fn a_stop_that_breaks_no_lock_shows_nothing() {
        let stop = |damage| vec![row(Cure::Lock(Service::Etcd), damage, true)];
        assert!(report(stop(1), &[]).faults().is_empty());
        assert_eq!(report(stop(0), &[]).faults().len(), 1);
        // An advisory lock does not end while its holder is stopped: it promises to be safe.
        let advisory = |damage| vec![row(Cure::Lock(Service::Advisory), damage, true)];
        assert!(report(advisory(0), &[]).faults().is_empty());
        assert_eq!(report(advisory(1), &[]).faults().len(), 1);
    }
}
