//! The page: one HTML file that needs nothing else. The answer comes first: one interleaving, then every cure in every
//! scenario; the rest is folded.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use plotters::style::RGBColor;

use super::charts::{self, Measure, Panel};
use super::contents::{Report, Setting};
use super::damage::{self, Damage};
use super::row::{Drawn, Row, Verdict, drawn};
use super::table;
use crate::page::STYLE;
use crate::race::cure::{Cure, Store};
use crate::race::matrix::Promise;
use crate::race::scenario::Scenario;
use crate::race::timeline::Timeline;

const OWN_STYLE: &str = include_str!("page.css");

pub(super) fn page(report: &Report) -> anyhow::Result<String> {
    let faults = report.faults();
    let sections: Vec<Markup> = report
        .scenarios
        .iter()
        .map(|(scenario, rows)| section(report, *scenario, rows))
        .collect::<anyhow::Result<_>>()?;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Tollgate: the race lab" }
                style { (PreEscaped(STYLE)) (PreEscaped(OWN_STYLE)) }
            }
            body {
                main {
                    h1 { "What happens if two users do this at exactly the same time?" }
                    p.verdict.(if faults.is_empty() { "good" } else { "bad" }) {
                        @if faults.is_empty() {
                            "Every cure that promises safety was safe, and the naive way was caught."
                        } @else { "This run failed:" }
                    }
                    @if !faults.is_empty() { ul { @for fault in &faults { li { (fault) } } } }
                    @for missing in &report.setting.left_out { p { "Left out: " (missing.server) " " (prose(&missing.why)) "." } }
                    @if let Some(audit) = &report.audit { p { "Audit of Tollgate's journal afterwards: " (audit.verdict) "." } }
                    (example(report))
                    h2 { "Every cure in every scenario" }
                    p {
                        "Wrong or lost effects for every hundred requests; one request may have several. " b.safe { "safe" } ": promised, and kept. "
                        b.lucky { "0" } ": nothing is promised, and nothing happened this time. "
                        b.damaged { "12.5" } ": nothing is promised, and this many went wrong. An empty cell was not played; the "
                        "reason is given below."
                    }
                    @for store in Store::ALL { (matrix(report, store)) }
                    @for section in sections { (section) }
                    h2 { "How it was played" }
                    (how(&report.setting))
                }
            }
        }
    };
    Ok(page.into_string())
}

fn how(setting: &Setting) -> Markup {
    let Setting { seed, think, time, pause, concurrency, .. } = setting;
    html! {
        p {
            "Real servers on one machine. Each cure was played for " (time) " at each of "
            (concurrency.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")) " users at once, "
            (think) " passing between read and write"
            @if let Some(pause) = pause { "; holders of locks were stopped for " (pause) " at most" }
            "; seed " (seed) ". Counts are of all rounds; rates and latencies are of the most users. "
            "Rates compare within this page only. " code { "atomic" } " and " code { "tollgate" }
            " decide within the store, so nothing passes between their read and their write."
        }
    }
}

/// The first interleaving of the naive way: the answer to the title.
fn example(report: &Report) -> Markup {
    let rows =
        report.scenarios.iter().flat_map(|(scenario, rows)| rows.iter().map(move |row| (scenario, row)));
    let mut naive = rows.filter(|(_, row)| row.cell.cure == Cure::Naive);
    let first = naive.find_map(|(scenario, row)| Some((scenario, row, row.timeline()?)));
    html! {
        @if let Some((scenario, row, timeline)) = first {
            h2 { "This, for example" }
            p { (prose(scenario.story().story)) " Played the naive way, on " (row.cell.store.name()) ":" }
            (steps("the example", timeline))
        }
    }
}

fn matrix(report: &Report, store: Store) -> Markup {
    let lines = damage::lines(report, store);
    html! {
        @if !lines.is_empty() {
            (scrolled(&format!("damage on {}", store.name()), html! {
                table.matrix {
                    caption { "on " (store.name()) }
                    thead { tr {
                        th scope="col" { "cure" }
                        @for (scenario, _) in &report.scenarios {
                            th scope="col" { a href={ "#" (scenario.name()) } { (scenario.name()) } }
                        }
                    } }
                    tbody {
                        @for line in &lines {
                            tr { th scope="row" { (line.label) } @for cell in &line.cells { (matrix_cell(*cell)) } }
                        }
                    }
                }
            }))
        }
    }
}

fn matrix_cell(damage: Option<Damage>) -> Markup {
    html! {
        @match damage {
            None => td {},
            Some(Damage { verdict: Verdict::Safe, .. }) => td.safe { "safe" },
            Some(Damage { verdict: Verdict::Lucky, .. }) => td.lucky { "0" },
            Some(Damage { verdict: Verdict::Damaged, percent }) => td.damaged { (format!("{percent:.1}")) },
            Some(Damage { verdict: Verdict::Broken, percent }) => td.broken { "BROKEN " (format!("{percent:.1}")) },
        }
    }
}

fn section(report: &Report, scenario: Scenario, rows: &[Row]) -> anyhow::Result<Markup> {
    let story = scenario.story();
    let panels: Vec<Markup> = charts::panels(rows).iter().map(panel).collect::<anyhow::Result<_>>()?;
    let drawn = drawn(rows);
    Ok(html! {
        section id=(story.name) {
            h2 { (story.name) }
            p { (prose(story.story)) }
            p { b { "Scarce: " } (story.resource) ". " b { "Must hold: " } (story.invariant) " (" (story.guarantees) "). " b { "For Tollgate: " } "the kind " code { (story.kind) } "." }
            @for other in report.senseless_in(scenario) {
                p.aside { "Not on " (other.store.name()) ": " (other.cure) ", since " (prose(other.why)) "." }
            }
            details {
                summary { "How it broke: " (drawn.len()) (if drawn.len() == 1 { " interleaving" } else { " interleavings" }) }
                @for drawn in &drawn { (interleaving(scenario, drawn)) }
            }
            details {
                summary { "What it costs: rate and p99 by users at once" }
                @for panel in panels { (panel) }
            }
            details {
                summary { "Counts of each cure" }
                (counts(scenario, rows))
            }
        }
    })
}

fn panel(panel: &Panel<'_>) -> anyhow::Result<Markup> {
    let charts = [(Measure::Throughput, "requests per second"), (Measure::P99, "p99 in ms")];
    let charts = charts.map(|(measure, name)| charts::lines(panel, measure).map(|svg| (name, svg)));
    Ok(html! {
        figure {
            figcaption { (panel.title) }
            @for chart in charts {
                @let (name, svg) = chart?;
                div.chart role="img" aria-label={ (panel.title) ": " (name) " by users at once; figures are in Counts" } {
                    (PreEscaped(svg))
                }
            }
            ul.legend {
                @for row in &panel.rows {
                    li { (swatch(charts::colour(row.cell.cure), charts::is_dashed(row.cell.cure))) (row.cell.label()) }
                }
            }
        }
    })
}

fn swatch(RGBColor(r, g, b): RGBColor, dashed: bool) -> Markup {
    let dashes = if dashed { "4 3" } else { "none" };
    html! {
        svg width="22" height="8" aria-hidden="true" {
            line x1="0" y1="4" x2="20" y2="4" stroke=(format!("rgb({r},{g},{b})")) stroke-width="3"
                stroke-dasharray=(dashes) {}
        }
    }
}

fn counts(scenario: Scenario, rows: &[Row]) -> Markup {
    let named = |head: &'static str| if head.is_empty() { "verdict" } else { head };
    scrolled(
        &format!("counts of {}", scenario.name()),
        html! {
            table.counts {
                thead { tr { @for head in table::HEADS { th scope="col" { (named(head)) } } } }
                tbody {
                    @for row in rows {
                        tr.(row.verdict().name().to_lowercase()) {
                            @for cell in table::cells(scenario, row) { td { (cell) } }
                        }
                    }
                }
            }
        },
    )
}

fn interleaving(scenario: Scenario, drawn: &Drawn<'_>) -> Markup {
    html! {
        h3 { (drawn.names()) }
        @if let Some(Promise::Nothing(why)) = drawn.rows.first().map(|row| row.cell.promise()) { p { (prose(why)) "." } }
        (steps(&format!("{}, {}", scenario.name(), drawn.names()), drawn.timeline))
    }
}

/// Two columns in the order of what happened; what should not have been is marked.
fn steps(name: &str, timeline: &Timeline) -> Markup {
    let Timeline { outcome, columns, lines, wrong } = timeline;
    html! {
        (scrolled(&format!("interleaving: {name}"), html! {
            table.steps {
                thead { tr { th scope="col" { "time" } @for column in columns { th scope="col" { (column) } } } }
                tbody {
                    @for (place, line) in lines.iter().enumerate() {
                        tr.wrong[place == *wrong] {
                            td.time { (format!("{:.2} ms", line.at_ms)) }
                            @for column in 0..2 {
                                td {
                                    @if line.column == column {
                                        (line.words)
                                        @if place == *wrong { " " b { "← wrong" } }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }))
        p.outcome { (outcome) }
    }
}

/// What may be wider than the page; by the keyboard, too.
fn scrolled(name: &str, inside: Markup) -> Markup {
    html! { div.scroll tabindex="0" role="region" aria-label=(name) { (inside) } }
}

/// Words of the source, in which `code` is marked.
fn prose(words: &str) -> Markup {
    html! {
        @for (place, part) in words.split('`').enumerate() {
            @if place % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}
