//! `tollgate-chaos run` and `check`: real workers and producers on a real Redis, broken from a seed, healed, drained, read
//! to the last id, and judged.
//!
//! The life of a run is [`play()`]; what is asked is `workload.rs`, what breaks is `scenario.rs`, `schedule.rs` and
//! `faults/`; the verdict is [`judge`], over the files of the run alone. Exit code 0: PASS; 5: FAIL; 4: INVALID, since
//! too little happened to show anything, or a part was left out since this machine has not what it takes; 1: it could
//! not be run; 2: usage.

mod client;
mod clocks;
pub(crate) mod containers;
mod counted;
mod fault;
mod faults;
mod finish;
mod fleet;
mod ground;
mod history;
pub(crate) mod judge;
mod masters;
mod options;
mod plan;
mod play;
mod progress;
mod redis;
mod report;
mod sale;
// Without the feature nobody plants any.
#[cfg_attr(not(feature = "sabotage"), expect(dead_code))]
mod sabotage;
mod saboteur;
mod scenario;
mod schedule;
mod site;
mod topology;
mod workload;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use tokio::task::JoinSet;

pub(crate) use self::options::{Args, CheckArgs};

use self::judge::Verdict;
use self::plan::Plan;
use self::play::play;
use self::progress::Progress;
use crate::stage::{complain, interrupted, print};

/// How one scenario ended.
struct Done {
    /// Its verdict; none, with why, where it was left out.
    verdict: Option<Verdict>,
    /// Its line, with what is wrong.
    line: String,
}

/// Plays one scenario or several.
pub(crate) async fn run(args: Args) -> ExitCode {
    if args.list {
        for scenario in scenario::list::all() {
            print(format_args!("  {:<24} {}", scenario.name, scenario.about));
            print(format_args!("  {:<24}   shows: {}", "", scenario.rows.join("; ")));
        }
        return ExitCode::SUCCESS;
    }
    let plans = match args.plans() {
        Ok(plans) => plans,
        Err(problem) => {
            complain(format_args!("error: {problem:#}"));
            return ExitCode::from(2);
        }
    };
    tokio::select! {
        () = interrupted() => {
            complain("\ninterrupted; nothing is left running");
            ExitCode::FAILURE
        }
        code = run_all(Arc::new(args), plans) => code,
    }
}

async fn run_all(args: Arc<Args>, plans: Vec<Plan>) -> ExitCode {
    if !args.json {
        print(report::head(&plans));
    }
    let (mut left, mut tasks, mut done) = (plans.into_iter(), JoinSet::new(), Vec::new());
    let alone = left.len() == 1;
    loop {
        while tasks.len() < args.jobs {
            let Some(plan) = left.next() else { break };
            let args = Arc::clone(&args);
            tasks.spawn(async move { one(&args, &plan, alone).await });
        }
        let Some(ended) = tasks.join_next().await else { break };
        match ended.context("a scenario").and_then(|ended| ended) {
            Ok(ended) => done.push(ended),
            Err(problem) => {
                complain(format_args!("error: {problem:#}"));
                return ExitCode::FAILURE;
            }
        }
    }
    if !args.json && !alone {
        // What is wrong is said once more: whoever reads the end alone, of a log or in a terminal, sees it.
        let passed = |done: &&Done| done.verdict == Some(Verdict::Pass);
        print(format_args!("\n{} of {} scenarios passed", done.iter().filter(passed).count(), done.len()));
        done.iter().filter(|done| !passed(done)).for_each(|done| print(&done.line));
    }
    // The worst is told: a failure before what shows nothing, and that before what was left out.
    let left_out = if args.may_leave_out { 0 } else { Verdict::Invalid.exit_code() };
    let code = done.iter().map(|done| done.verdict.map_or(left_out, Verdict::exit_code)).max();
    ExitCode::from(code.unwrap_or(1))
}

/// Plays and judges one; its directory is there afterwards.
async fn one(args: &Args, plan: &Plan, alone: bool) -> anyhow::Result<Done> {
    let name = plan.scenario.name;
    let dir = args.report.join(format!("{name}-{}", plan.seed));
    if dir.exists() {
        std::fs::remove_dir_all(&dir)?;
    }
    std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    let progress = Progress::of(name, alone);
    let played = play(plan, &dir, &progress).await;
    progress.done();
    if let Some(why) = played.with_context(|| format!("{name}, seed {}", plan.seed))? {
        std::fs::remove_dir_all(&dir)?;
        let line = format!("  {name:<24} LEFT OUT  {why}");
        if !args.json {
            print(&line);
        }
        return Ok(Done { verdict: None, line });
    }
    let (verdict, line) = judged(&dir, args.json, alone)?;
    print(&line);
    if alone && !args.json {
        print(format_args!("\nrepeat: {}", plan.repeat));
    }
    Ok(Done { verdict: Some(verdict), line })
}

/// Judges a directory, writes what came of it, and says it.
fn judged(dir: &Path, json: bool, alone: bool) -> anyhow::Result<(Verdict, String)> {
    let (record, judgement) = judge::judge(dir).with_context(|| format!("judging {}", dir.display()))?;
    let document = report::json(&record, &judgement)?;
    std::fs::write(dir.join("report.json"), &document)?;
    std::fs::write(dir.join("index.html"), report::page(&record, &judgement))?;
    let said = match (json, alone) {
        (true, _) => document,
        (false, true) => report::terminal(&judgement, dir),
        (false, false) => report::line(&record, &judgement, dir),
    };
    Ok((judgement.verdict, said))
}

/// Judges a run again, from its files.
pub(crate) fn check(args: &CheckArgs) -> ExitCode {
    match judged(&args.dir, args.json, true) {
        Ok((verdict, said)) => {
            print(said);
            ExitCode::from(verdict.exit_code())
        }
        Err(problem) => {
            complain(format_args!("error: {problem:#}"));
            ExitCode::FAILURE
        }
    }
}
