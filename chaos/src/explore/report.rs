//! What came of an exploration, told to a person or a program.

use std::fmt::Write as _;

use super::bound::Bound;
use super::step::{Step, written};
use super::timeline::Timeline;
use crate::stage::{print, thousands};

/// What was done.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub(super) struct Figures {
    /// Orders that were walked to their end.
    pub(super) orders: u64,
    /// Branches that were cut, since their state was seen.
    pub(super) cut: u64,
    /// Of those, walked to their end all the same.
    pub(super) cut_walked: u64,
    pub(super) states: u64,
    /// Different ends, each judged.
    pub(super) ends: u64,
    /// Orders that were made for real, and again with a restart of Redis in them.
    pub(super) real: u64,
    pub(super) steps_most: usize,
    /// States of the database, and calls that Redis was really asked.
    pub(super) databases: usize,
    pub(super) asked: u64,
    /// Histories of processes, and how often a living process was told something.
    pub(super) histories: usize,
    pub(super) told: u64,
    pub(super) seconds: f64,
    /// Whether every order within the bound was walked or cut.
    pub(super) is_whole: bool,
    /// How much was walked whole together, if not all.
    pub(super) whole_together: Option<u8>,
    /// Branches that were not followed.
    pub(super) left_over: usize,
}

/// An order whose end is wrong.
#[derive(Debug, Clone)]
pub(super) struct Failing {
    pub(super) steps: Vec<Step>,
    pub(super) wrong: Vec<String>,
    pub(super) timeline: Timeline,
}

/// What came of one fleet.
pub(super) struct Explored {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) bound: Bound,
    pub(super) figures: Figures,
    pub(super) found: Option<Failing>,
    /// Whether what was found, and nothing else, is known to go wrong.
    pub(super) is_as_known: bool,
}

impl Explored {
    fn verdict(&self) -> &'static str {
        match (&self.found, self.is_as_known) {
            (Some(_), true) => "FOUND what is known to be wrong",
            (Some(_), false) => "FAIL",
            (None, true) if self.figures.is_whole => "PASS",
            (None, true) => "NOT WHOLE, nothing found",
            (None, false) => "FAIL: what is known to be wrong was not found",
        }
    }
}

pub(super) fn verdict_on(wrong: &[String]) -> String {
    if wrong.is_empty() { "all is well".to_owned() } else { wrong.join("\n") }
}

pub(super) fn tell(explored: &Explored, sabotage: Option<&str>) {
    let Explored { name, about, bound, figures, found, .. } = explored;
    print(format_args!("{name}: {}", explored.verdict()));
    print(format_args!("  {about}"));
    print(format_args!("  bound: {bound}"));
    print(format_args!(
        "  {} orders of up to {} steps, {} branches cut, {} states, {} different ends judged; {:.1} s",
        figures.orders, figures.steps_most, figures.cut, figures.states, figures.ends, figures.seconds
    ));
    print(format_args!(
        "  checked: {} cut branches walked all the same; {} orders made for real, and again with a restart of Redis",
        figures.cut_walked, figures.real
    ));
    if !figures.is_whole && found.is_none() {
        let whole =
            figures.whole_together.map_or_else(|| "nothing".to_owned(), |all| format!("{all} together"));
        print(format_args!("  walked whole: {whole}; of more, {} branches are left over", figures.left_over));
    }
    if let Some(Failing { steps, wrong, timeline }) = found {
        let planted = sabotage.map(|name| format!(" --sabotage {name}")).unwrap_or_default();
        print(format_args!("\n{timeline}\n  {}", wrong.join("\n  ")));
        print(format_args!(
            "  again: tollgate-chaos explore --fleet {name}{planted} --order '{}'\n",
            written(steps)
        ));
    }
}

/// The table of docs/chaos.md.
pub(super) fn table(all: &[Explored]) -> String {
    let mut table = "\n| fleet | verdict | goes wrong together | orders | branches cut | states | different ends judged | \
                     cut, walked all the same | made for real, and with a restart | s |\n|---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for explored in all {
        let Figures { orders, cut, cut_walked, states, ends, real, seconds, .. } = explored.figures;
        let (name, verdict, all) = (explored.name, explored.verdict(), explored.bound.all);
        let [orders, cut, states, cut_walked] = [orders, cut, states, cut_walked].map(thousands);
        let _ = writeln!(
            table,
            "| `{name}` | {verdict} | {all} | {orders} | {cut} | {states} | {ends} | {cut_walked} | {real} | \
             {seconds:.1} |"
        );
    }
    table.trim_end().to_owned()
}

pub(super) fn document(all: &[Explored]) -> String {
    let rows = all.iter().map(|explored| {
        let found = explored.found.as_ref().map(|found| {
            serde_json::json!({
                "order": written(&found.steps),
                "wrong": found.wrong,
                "timeline": found.timeline.to_string(),
            })
        });
        serde_json::json!({
            "fleet": explored.name,
            "verdict": explored.verdict(),
            "bound": explored.bound.to_string(),
            "together": explored.bound.all,
            "figures": explored.figures,
            "found": found,
            "as_known": explored.is_as_known,
        })
    });
    serde_json::json!({ "fleets": rows.collect::<Vec<_>>() }).to_string()
}
