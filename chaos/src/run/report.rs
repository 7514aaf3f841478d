//! What came of a run: a summary for the terminal, a JSON document, one page.

mod meaning;
mod page;
mod timeline;

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use super::history::Beginning;
use super::judge::{Finding, Judgement, Record, Summary};
use super::plan::Plan;
use crate::stage::thousands;

pub(super) use self::page::page;

use self::meaning::meaning;

/// What is said before anything happens.
pub(super) fn head(plans: &[Plan]) -> String {
    match plans {
        [one] => format!(
            "Tollgate: {} ({}), seed {}, {} with faults, {} workers\n",
            one.scenario.name,
            one.scenario.about,
            one.seed,
            humantime::format_duration(one.duration),
            one.workers
        ),
        many => {
            let seed = many.first().map_or(0, |plan| plan.seed);
            format!("Tollgate: {} scenarios, seed {seed}\n", many.len())
        }
    }
}

/// One run among many.
pub(super) fn line(record: &Record, judgement: &Judgement, dir: &Path) -> String {
    let summary = &judgement.summary;
    let faults: u64 = summary.faults.values().sum();
    let mut text = format!(
        "  {:<24} {:<8} {} jobs, {} decided, {faults} faults, {} replayed, {} reclaimed, {} unknown, drained in {} ms",
        record.beginning.scenario,
        judgement.verdict.name(),
        thousands(summary.jobs),
        thousands(summary.decided),
        thousands(summary.count("replayed")),
        thousands(summary.count("reclaimed")),
        summary.unknown,
        summary.drain_ms,
    );
    if summary.stood_still_ms[1] > 0.0 {
        let _ = write!(text, ", {}", outage(summary));
    }
    if judgement.verdict != super::judge::Verdict::Pass {
        text.push_str(&problems(judgement));
        let _ = write!(text, "\n    report {}\n    repeat {}", dir.display(), record.beginning.repeat);
    }
    text
}

/// What the loss of a server cost.
fn outage(summary: &Summary) -> String {
    format!(
        "stood still for {:.0} ms (p50) and {:.0} ms at most, {} lost, {} of them decided again",
        summary.stood_still_ms[0], summary.stood_still_ms[1], summary.lost, summary.decided_again
    )
}

/// What is wrong.
fn problems(judgement: &Judgement) -> String {
    let mut text = String::new();
    for Finding { check, guarantee, what, evidence, more } in &judgement.findings {
        let _ = write!(text, "\n    check {check}, {guarantee}: {what}");
        evidence.iter().for_each(|line| _ = write!(text, "\n      {line}"));
        if *more > 0 {
            let _ = write!(text, " (and {more} more of this check)");
        }
    }
    for bite in judgement.bites.iter().filter(|bite| bite.count == 0) {
        let _ = write!(text, "\n    never seen, so this run shows nothing of it: {}", bite.name);
    }
    text
}

/// One run by itself.
pub(super) fn terminal(judgement: &Judgement, dir: &Path) -> String {
    let summary = &judgement.summary;
    let mut text = String::new();
    let mut row = |name: &str, words: String| _ = writeln!(text, "  {name:<12}{words}");
    let list = |counts: &std::collections::BTreeMap<String, u64>| {
        let words: Vec<String> =
            counts.iter().map(|(name, count)| format!("{name} {}", thousands(*count))).collect();
        words.join(", ")
    };
    row(
        "asked",
        format!(
            "{} jobs in {} calls: {} ok, {} not applied, {} unknown",
            thousands(summary.jobs),
            thousands(summary.calls),
            thousands(summary.ok),
            summary.fail,
            summary.unknown
        ),
    );
    row("decided", format!("{}: {}", thousands(summary.decided), list(&summary.outcomes)));
    row("faults", list(&summary.faults));
    row(
        "seen",
        format!(
            "{} replayed, {} reclaimed, {} dead, {} of the unknown turned out decided, {} acknowledged and lost",
            thousands(summary.count("replayed")),
            thousands(summary.count("reclaimed")),
            summary.count("dead"),
            summary.unknown_decided,
            summary.lost
        ),
    );
    row(
        "rate",
        format!(
            "{:.0} decided/s while faults ran, {:.0} without",
            summary.rate_with_faults, summary.rate_without
        ),
    );
    row(
        "time",
        format!(
            "an answer p50 {:.0} ms, p99 {:.0} ms; after a fault p50 {:.0} ms, p99 {:.0} ms; drained in {} ms",
            summary.latency_ms[0],
            summary.latency_ms[1],
            summary.recovery_ms[0],
            summary.recovery_ms[1],
            summary.drain_ms
        ),
    );
    if summary.stood_still_ms[1] > 0.0 {
        row("outages", outage(summary));
    }
    row(
        "workers",
        format!(
            "{} MiB and {} descriptors at most",
            summary.resident_kib_most / 1024,
            summary.descriptors_most
        ),
    );
    row("report", dir.join("index.html").display().to_string());
    let _ = write!(text, "\n{}{}", judgement.verdict.name(), problems(judgement));
    if judgement.verdict == super::judge::Verdict::Pass {
        let _ = write!(text, ": {}", meaning(judgement));
    }
    text
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    judgement: &'a Judgement,
    run: &'a Beginning,
}

pub(super) fn json(record: &Record, judgement: &Judgement) -> anyhow::Result<String> {
    Ok(serde_json::to_string(&Document { judgement, run: &record.beginning })?)
}
