//! The page: one HTML file that needs nothing else.

use std::collections::BTreeMap;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::meaning::meaning;
use super::timeline::timeline;
use crate::page::STYLE;
use crate::run::history::Event;
use crate::run::judge::{Finding, Judgement, Record, Summary, Verdict};
use crate::stage::thousands;

const OWN_STYLE: &str = include_str!("page.css");

pub(in crate::run) fn page(record: &Record, judgement: &Judgement) -> String {
    let (run, summary) = (&record.beginning, &judgement.summary);
    let class = if judgement.verdict == Verdict::Pass { "good" } else { "bad" };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Tollgate: " (run.scenario) ", seed " (run.seed) }
                style { (PreEscaped(STYLE)) (PreEscaped(OWN_STYLE)) }
            }
            body { main {
                h1 { "Break everything, lose nothing: " (run.scenario) }
                p.soft {
                    "Seed " (run.seed) ", " (run.workers) " workers, " (format!("{:.0} s", run.duration_ms as f64 / 1e3))
                    " with faults, appendfsync " (run.appendfsync) ", " (run.server) ", " (run.at)
                    @if !run.release { ", a build for tests" }
                    @if let Some(bug) = &run.sabotage { ", with a planted bug: " (bug) }
                }
                p.verdict.(class) { (judgement.verdict.name()) ": " (meaning(judgement)) }
                @for bite in judgement.bites.iter().filter(|bite| bite.count == 0) {
                    p { "Never seen, though this scenario is about it: " b { (bite.name) } }
                }
                @for finding in &judgement.findings { (show(finding)) }
                (numbers(summary))
                h2 { "What happened" }
                (timeline(record))
                h2 { "Counts" }
                div.two {
                    (counts("Faults", &summary.faults))
                    (counts("Decided", &summary.outcomes))
                    (counts("Seen", &seen(judgement)))
                }
                (processes(record))
                h2 { "Again" }
                p { "The same faults at the same times: " code { (run.repeat) } }
                p { "The same verdict from the files beside this page: " code { "tollgate-chaos check DIR" } }
            } }
        }
    };
    page.into_string()
}

fn show(finding: &Finding) -> Markup {
    html! {
        div.finding {
            b { "Check " (finding.check) ", " (finding.guarantee) ": " } (finding.what)
            @if finding.more > 0 { span.soft { " (and " (finding.more) " more)" } }
            @if !finding.evidence.is_empty() { pre { (finding.evidence.join("\n")) } }
        }
    }
}

fn numbers(summary: &Summary) -> Markup {
    let faults: u64 = summary.faults.values().sum();
    let cells = [
        (thousands(summary.jobs), "jobs asked for"),
        (thousands(summary.decided), "journal lines"),
        (thousands(faults), "faults"),
        (thousands(summary.count("replayed")), "replayed"),
        (thousands(summary.count("reclaimed")), "taken over"),
        (thousands(summary.unknown), "calls without an answer"),
        (thousands(summary.unknown_decided), "ids of such calls that were decided"),
        (format!("{:.0}/s", summary.rate_with_faults), "decided while faults ran"),
        (format!("{:.0}/s", summary.rate_without), "decided without"),
        (
            format!("{:.0} / {:.0} ms", summary.recovery_ms[0], summary.recovery_ms[1]),
            "next answer after a fault, p50 / p99",
        ),
        (format!("{:.0} / {:.0} ms", summary.latency_ms[0], summary.latency_ms[1]), "an answer, p50 / p99"),
        (format!("{} ms", thousands(summary.drain_ms)), "to drain, after the last fault"),
        (
            format!("{:.0} / {:.0} ms", summary.stood_still_ms[0], summary.stood_still_ms[1]),
            "partitions stood still without their server, p50 / the longest",
        ),
        (thousands(summary.lost), "acknowledged and lost"),
        (format!("{} MiB", summary.resident_kib_most / 1024), "the largest worker"),
    ];
    html! { ul.numbers { @for (number, what) in cells { li { b { (number) } span.soft { (what) } } } } }
}

/// What had to be seen, and what else was counted.
fn seen(judgement: &Judgement) -> BTreeMap<String, u64> {
    let bites = judgement.bites.iter().map(|bite| (bite.name.clone(), bite.count));
    let counts = judgement.summary.counts.iter().map(|(name, count)| (name.clone(), *count));
    counts.chain(bites).collect()
}

fn counts(title: &str, counts: &BTreeMap<String, u64>) -> Markup {
    html! {
        div {
            h3 { (title) }
            table { @for (name, count) in counts { tr { td { (name) } td.n { (thousands(*count)) } } } }
        }
    }
}

/// Who came and went.
fn processes(record: &Record) -> Markup {
    let ends: Vec<String> = record
        .entries
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::Process { name, pid, what } => {
                Some(format!("{:8.3} s  {name} (pid {pid}) {what}", entry.at_us as f64 / 1e6))
            }
            Event::FaultBegins { fault, .. } => Some(format!("{:8.3} s  {fault}", entry.at_us as f64 / 1e6)),
            Event::Rollback { what, .. } => {
                Some(format!("{:8.3} s  rolled back: {what}", entry.at_us as f64 / 1e6))
            }
            _ => None,
        })
        .collect();
    html! { details { summary { "Faults and processes, line by line (" (ends.len()) ")" } pre { (ends.join("\n")) } } }
}
