//! The page: one HTML file that needs nothing else.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use plotters::style::RGBColor;

use super::charts::{self, Measure, Panel};
use super::{Drawn, Report, Row, Setting, drawn, table};
use crate::race::cure::Store;
use crate::race::drawing::Drawing;
use crate::race::matrix::Promise;
use crate::race::scenario::Scenario;

const STYLE: &str = include_str!("page.css");

pub(super) fn page(report: &Report) -> anyhow::Result<String> {
    let Setting { seed, think, time, pause, concurrency, left_out } = &report.setting;
    let faults = report.faults();
    let mut sections = Vec::new();
    for (scenario, rows) in &report.scenarios {
        sections.push(section(report, *scenario, rows)?);
    }
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Tollgate: the race lab" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "What happens if two users do this at exactly the same time?" }
                p.verdict.(if faults.is_empty() { "good" } else { "bad" }) {
                    @if faults.is_empty() {
                        "Every cure that promises safety was safe, and the naive way was caught."
                    } @else { "This run failed:" }
                }
                @if !faults.is_empty() { ul { @for fault in &faults { li { (fault) } } } }
                @for missing in left_out { p { "Left out: " (missing.server) " " (missing.why) "." } }
                @if let Some(audit) = &report.audit { p { "Audit of Tollgate's journal afterwards: " (audit.verdict) "." } }
                p {
                    "Real servers on one machine. Each cure was played for " (time) " at each of "
                    (concurrency.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")) " users at once, "
                    (think) " passing between read and write"
                    @if let Some(pause) = pause { "; holders of locks were stopped for " (pause) " at most" }
                    "; seed " (seed) ". Counts are of all rounds; rates and latencies are of the most users. "
                    "Rates compare within this page only. `atomic` and `tollgate` decide within the store, so nothing passes "
                    "between their read and their write."
                }
                nav { @for (scenario, _) in &report.scenarios { a href={ "#" (scenario.name()) } { (scenario.name()) } " " } }
                @for section in sections { (section) }
            }
        }
    };
    Ok(page.into_string())
}

fn section(report: &Report, scenario: Scenario, rows: &[Row]) -> anyhow::Result<Markup> {
    let story = scenario.story();
    let damage = charts::damage(rows)?;
    let mut panels = Vec::new();
    for panel in charts::panels(rows) {
        let [throughput, p99] =
            [Measure::Throughput, Measure::P99].map(|measure| charts::lines(&panel, measure));
        panels.push(html! {
            figure {
                figcaption { (panel.title) }
                (PreEscaped(throughput?)) (PreEscaped(p99?))
                (legend(&panel))
            }
        });
    }
    Ok(html! {
        section id=(story.name) {
            h2 { (story.name) }
            p { (story.story) }
            p { b { "Scarce: " } (story.resource) ". " b { "Must hold: " } (story.invariant) " (" (story.guarantees) ")." }
            figure.damage {
                (PreEscaped(damage))
                ul.legend {
                    @for store in Store::ALL { li { (swatch(charts::store_colour(store), false)) (store.name()) } }
                }
            }
            h3 { "What it costs" }
            div.panels { @for panel in panels { (panel) } }
            h3 { "Counts" }
            (counts(scenario, rows))
            @for other in report.senseless_in(scenario) {
                p.aside { "Not on " (other.store.name()) ": " (other.cure) ", since " (other.why) "." }
            }
            h3 { "How it broke" }
            @for drawn in drawn(rows) { (interleaving(&drawn)) }
        }
    })
}

fn legend(panel: &Panel<'_>) -> Markup {
    html! {
        ul.legend {
            @for row in &panel.rows {
                li { (swatch(charts::colour(row.cell.cure), charts::is_dashed(row.cell.cure))) (row.cell.label()) }
            }
        }
    }
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
    html! {
        div.scroll {
            table.counts {
                thead { tr { @for head in table::HEADS { th { (head) } } } }
                tbody {
                    @for row in rows {
                        tr.(row.verdict().name().to_lowercase()) {
                            @for cell in table::cells(scenario, row) { td { (cell) } }
                        }
                    }
                }
            }
        }
    }
}

fn interleaving(drawn: &Drawn<'_>) -> Markup {
    let Drawing { outcome, columns, lines } = drawn.drawing;
    html! {
        div.interleaving {
            h4 { (drawn.names()) }
            @if let Some(Promise::Nothing(why)) = drawn.rows.first().map(|row| row.cell.promise()) { p { (why) "." } }
            table {
                thead { tr { th {} @for column in columns { th { (column) } } } }
                tbody {
                    @for line in lines {
                        tr {
                            td.time { (format!("{:.2} ms", line.at_ms)) }
                            @for column in 0..2 { td { @if line.column == column { (line.words) } } }
                        }
                    }
                }
            }
            p.outcome { (outcome) }
        }
    }
}
