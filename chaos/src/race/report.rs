//! What came of a run: rows, judged by what their cures promise; shown as tables, JSON or a page.

mod charts;
mod damage;
mod json;
mod page;
mod table;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

use super::cure::Cure;
use super::drawing::Drawing;
use super::judge::Tally;
use super::matrix::{Cell, Promise, Senseless};
use super::options::Args;
use super::play::Run;
use super::scenario::Scenario;
use super::servers::{LeftOut, Servers};

/// How the run was set up.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Setting {
    seed: u64,
    think: String,
    time: String,
    pause: Option<String>,
    concurrency: Vec<u64>,
    left_out: Vec<LeftOut>,
}

impl Setting {
    pub(super) fn new(args: &Args, servers: &Servers) -> Self {
        Self {
            seed: args.seed,
            think: args.think.to_string(),
            time: humantime::format_duration(args.time).to_string(),
            pause: args.pause.map(|pause| humantime::format_duration(pause).to_string()),
            concurrency: args.concurrency.clone(),
            left_out: servers.left_out.clone(),
        }
    }
}

/// Makes the directory of the page, and sees that it can be written to: better before a run than after it.
pub(super) fn check_dir(dir: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir)?;
    tempfile::NamedTempFile::new_in(dir)?;
    Ok(())
}

/// A cure on a store in a scenario, at every concurrency.
pub(super) struct Row {
    pub(super) cell: Cell,
    pub(super) runs: Vec<Run>,
}

/// What a row says about its cure, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// Promised and kept.
    Safe,
    /// Nothing was promised, and no damage was seen.
    Lucky,
    /// Nothing was promised, and damage was done.
    Damaged,
    /// Promised and broken.
    Broken,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Broken => "BROKEN",
            Self::Damaged => "damaged",
            Self::Lucky => "lucky",
        }
    }
}

impl Row {
    /// All concurrencies together.
    fn tally(&self) -> Tally {
        self.runs.iter().fold(Tally::default(), |mut sum, run| {
            sum += run.tally;
            sum
        })
    }

    /// The run with the most users.
    fn busiest(&self) -> Option<&Run> {
        self.runs.iter().max_by_key(|run| run.concurrency)
    }

    fn drawing(&self) -> Option<&Drawing> {
        self.runs.iter().find_map(|run| run.drawing.as_ref())
    }

    fn verdict(&self) -> Verdict {
        match (self.cell.promise(), self.tally().damage) {
            (Promise::Safe, 0) => Verdict::Safe,
            (Promise::Safe, _) => Verdict::Broken,
            (Promise::Nothing(_), 0) => Verdict::Lucky,
            (Promise::Nothing(_), _) => Verdict::Damaged,
        }
    }
}

/// Drawings of one shape, for one reason: the same steps in the same order.
struct Drawn<'a> {
    rows: Vec<&'a Row>,
    drawing: &'a Drawing,
}

impl Drawn<'_> {
    /// `naive on PostgreSQL and Redis; …`.
    fn names(&self) -> String {
        let mut names: Vec<(String, Vec<&str>)> = Vec::new();
        for row in &self.rows {
            let (label, store) = (row.cell.label(), row.cell.store.name());
            match names.iter_mut().find(|(known, _)| *known == label) {
                Some((_, stores)) => stores.push(store),
                None => names.push((label, vec![store])),
            }
        }
        let names = names.iter().map(|(label, stores)| format!("{label} on {}", stores.join(" and ")));
        names.collect::<Vec<_>>().join("; ")
    }
}

/// Every broken invariant's interleaving; those of one shape once, with all their rows.
fn drawn(rows: &[Row]) -> Vec<Drawn<'_>> {
    let mut all: Vec<Drawn<'_>> = Vec::new();
    for row in rows {
        let Some(drawing) = row.drawing() else { continue };
        let alike = |drawn: &&mut Drawn<'_>| {
            drawn.rows[0].cell.promise() == row.cell.promise() && drawn.drawing.shape() == drawing.shape()
        };
        match all.iter_mut().find(alike) {
            Some(drawn) => drawn.rows.push(row),
            None => all.push(Drawn { rows: vec![row], drawing }),
        }
    }
    all
}

/// What `audit --json` says of the job system afterwards.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(super) struct Audit {
    verdict: String,
}

pub(super) struct Report {
    setting: Setting,
    senseless: Vec<Senseless>,
    scenarios: Vec<(Scenario, Vec<Row>)>,
    audit: Option<Audit>,
}

impl Report {
    pub(super) fn new(setting: Setting, senseless: Vec<Senseless>) -> Self {
        Self { setting, senseless, scenarios: Vec::new(), audit: None }
    }

    pub(super) fn add(&mut self, scenario: Scenario, rows: Vec<Row>) {
        self.scenarios.push((scenario, rows));
    }

    pub(super) fn audited(&mut self, audit: Audit) {
        self.audit = Some(audit);
    }

    /// What is said before the first table.
    pub(super) fn head(&self) -> String {
        let Setting { seed, think, time, pause, concurrency, left_out } = &self.setting;
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

    /// The table of the scenario that was added last, and what broke it.
    pub(super) fn last_scenario(&self) -> String {
        let Some((scenario, rows)) = self.scenarios.last() else { return String::new() };
        let senseless: Vec<&Senseless> = self.senseless_in(*scenario).collect();
        table::scenario(*scenario, rows, &senseless)
    }

    fn senseless_in(&self, scenario: Scenario) -> impl Iterator<Item = &Senseless> {
        self.senseless.iter().filter(move |other| other.scenario == scenario)
    }

    pub(super) fn json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string(&json::document(self))?)
    }

    /// Writes the page; answers where.
    pub(super) fn write_page(&self, dir: &Path) -> anyhow::Result<PathBuf> {
        let path = dir.join("index.html");
        std::fs::write(&path, page::page(self)?)?;
        Ok(path)
    }

    fn caught(&self) -> bool {
        self.scenarios.iter().flat_map(|(_, rows)| rows).any(|row| row.cell.cure == Cure::Naive)
    }

    /// What is wrong with the run: promises that were broken, and what should have broken and did not.
    fn faults(&self) -> Vec<String> {
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

    pub(super) fn exit_code(&self) -> ExitCode {
        match (self.faults().is_empty(), self.setting.left_out.is_empty()) {
            (false, _) => ExitCode::FAILURE,
            (true, false) => ExitCode::from(4),
            (true, true) => ExitCode::SUCCESS,
        }
    }

    /// The last lines.
    pub(super) fn verdict(&self) -> String {
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
    use super::super::cure::{Service, Store};
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
