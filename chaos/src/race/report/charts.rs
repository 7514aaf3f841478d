//! Charts as SVG: damage by cure; throughput and p99 by cure against concurrency.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Row, Tally};
use crate::race::cure::{Cure, Isolation, Service, Store};
use crate::race::play::Run;

const TEXT: &str = "sans-serif";
const GRID: RGBColor = RGBColor(0xe4, 0xe4, 0xe4);
const AXIS: RGBColor = RGBColor(0x99, 0x99, 0x99);

/// Rows that share a chart, told apart by their colours.
pub(super) struct Panel<'a> {
    pub(super) title: &'static str,
    pub(super) rows: Vec<&'a Row>,
}

/// The panels of a scenario: each store's own cures, and the locks around each store.
pub(super) fn panels(rows: &[Row]) -> Vec<Panel<'_>> {
    let panel = |title, store: Store, locks: bool| {
        let belongs = |row: &&Row| {
            !row.cell.stopped && row.cell.store == store && row.cell.cure.service().is_some() == locks
        };
        Panel { title, rows: rows.iter().filter(belongs).collect() }
    };
    let panels = [
        panel("PostgreSQL", Store::Postgres, false),
        panel("Redis", Store::Redis, false),
        panel("locks around PostgreSQL", Store::Postgres, true),
        panel("locks around Redis", Store::Redis, true),
    ];
    panels.into_iter().filter(|panel| !panel.rows.is_empty()).collect()
}

/// The colour of a row in its panel; the palette of Okabe and Ito, which the colour-blind can tell apart.
pub(super) fn colour(cure: Cure) -> RGBColor {
    match cure {
        Cure::Naive => RGBColor(0xd5, 0x5e, 0x00),
        Cure::Transaction(Isolation::ReadCommitted | Isolation::Multi) => RGBColor(0xcc, 0x79, 0xa7),
        Cure::Transaction(Isolation::RepeatableRead) => RGBColor(0x56, 0xb4, 0xe9),
        Cure::Transaction(Isolation::Serializable) => RGBColor(0x33, 0x33, 0x33),
        Cure::RowLock => RGBColor(0x8c, 0x6d, 0x31),
        Cure::Optimistic => RGBColor(0xe6, 0x9f, 0x00),
        Cure::IdempotencyKey => RGBColor(0x99, 0x99, 0x99),
        Cure::Atomic => RGBColor(0x00, 0x72, 0xb2),
        Cure::Tollgate => RGBColor(0x00, 0x9e, 0x73),
        Cure::Lock(service) | Cure::LockFence(service) => match service {
            Service::Redlock1 => RGBColor(0xe6, 0x9f, 0x00),
            Service::Redlock3 => RGBColor(0xd5, 0x5e, 0x00),
            Service::Advisory => RGBColor(0x00, 0x72, 0xb2),
            Service::Etcd => RGBColor(0x00, 0x9e, 0x73),
            Service::Zookeeper => RGBColor(0xcc, 0x79, 0xa7),
        },
    }
}

/// Locks are drawn whole, fences dashed.
pub(super) fn is_dashed(cure: Cure) -> bool {
    matches!(cure, Cure::LockFence(_))
}

/// What a line shows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Measure {
    Throughput,
    P99,
}

impl Measure {
    fn title(self) -> &'static str {
        match self {
            Self::Throughput => "requests per second",
            Self::P99 => "p99 in ms",
        }
    }

    fn of(self, run: &Run) -> f64 {
        match self {
            Self::Throughput => run.per_second(),
            Self::P99 => run.latency_ms(0.99),
        }
    }
}

/// Lines of a panel against concurrency, both axes logarithmic.
pub(super) fn lines(panel: &Panel<'_>, measure: Measure) -> anyhow::Result<String> {
    const SIZE: (u32, u32) = (380, 230);
    let points = |row: &Row| -> Vec<(f64, f64)> {
        let mut points: Vec<(f64, f64)> =
            row.runs.iter().map(|run| (run.concurrency as f64, measure.of(run).max(1e-3))).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points
    };
    let all: Vec<(f64, f64)> = panel.rows.iter().flat_map(|row| points(row)).collect();
    let mut levels: Vec<f64> = all.iter().map(|(x, _)| *x).collect();
    levels.sort_by(f64::total_cmp);
    levels.dedup();
    let span = |of: fn(&(f64, f64)) -> f64, around: f64| {
        let (least, most) =
            all.iter().map(of).fold((f64::MAX, f64::MIN), |(least, most), v| (least.min(v), most.max(v)));
        least / around..most * around
    };
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let x = span(|point| point.0, 1.15).log_scale().with_key_points(levels);
        let y = span(|point| point.1, 1.6).log_scale();
        let mut chart = ChartBuilder::on(&root)
            .caption(measure.title(), (TEXT, 13))
            .margin(6)
            .x_label_area_size(32)
            .y_label_area_size(52)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .y_max_light_lines(1)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(AXIS)
            .label_style((TEXT, 11))
            .x_desc("users at once")
            .y_labels(5)
            .y_label_formatter(&short)
            .x_label_formatter(&short)
            .draw()?;
        for row in &panel.rows {
            let style =
                colour(row.cell.cure).stroke_width(if row.cell.cure == Cure::Tollgate { 3 } else { 2 });
            let points = points(row);
            chart.draw_series(points.iter().map(|point| Circle::new(*point, 2, style.filled())))?;
            if is_dashed(row.cell.cure) {
                chart.draw_series(DashedLineSeries::new(points, 4, 3, style))?;
            } else {
                chart.draw_series(LineSeries::new(points, style))?;
            }
        }
        root.present()?;
    }
    Ok(svg)
}

fn short(value: &f64) -> String {
    match *value {
        value if value >= 1_000.0 => format!("{}k", value / 1_000.0),
        value => format!("{value}"),
    }
}

/// A bar for each cure and store: how many effects of a hundred requests should not have been, or were lost.
pub(super) fn damage(rows: &[Row]) -> anyhow::Result<String> {
    const BAR: u32 = 11;
    let bars = bars(rows);
    let most = bars.iter().flat_map(|bar| bar.percent).flatten().fold(1.0, f64::max);
    let height = 46 + bars.len() as u32 * (2 * BAR + 6);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (780, height)).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .caption("damage: wrong or lost effects per 100 requests", (TEXT, 13))
            .margin(6)
            .margin_right(40)
            .x_label_area_size(20)
            .y_label_area_size(210)
            .build_cartesian_2d(0.0..most * 1.05, (bars.len() as f64)..0.0)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(AXIS)
            .label_style((TEXT, 11))
            .y_labels(0)
            .x_label_formatter(&short)
            .draw()?;
        let plot = chart.plotting_area();
        for (number, bar) in bars.iter().enumerate() {
            let top = number as f64;
            let (x, y) = plot.map_coordinate(&(0.0, top + 0.5));
            let style = |size: i32, colour: &RGBColor, at: HPos| {
                (TEXT, size).into_font().color(colour).pos(Pos::new(at, VPos::Center))
            };
            root.draw(&Text::new(bar.label.clone(), (x - 6, y), style(11, &BLACK, HPos::Right)))?;
            for (at, (percent, store)) in bar.percent.iter().zip(Store::ALL).enumerate() {
                let Some(percent) = percent else { continue };
                let from = top + 0.12 + at as f64 * 0.4;
                let bar = [(0.0, from), (*percent, from + 0.34)];
                plot.draw(&Rectangle::new(bar, store_colour(store).filled()))?;
                let (x, y) = plot.map_coordinate(&(*percent, from + 0.17));
                let words = if *percent == 0.0 { "0".to_owned() } else { format!("{percent:.1}") };
                root.draw(&Text::new(words, (x + 4, y), style(10, &AXIS, HPos::Left)))?;
            }
        }
        root.present()?;
    }
    Ok(svg)
}

pub(super) fn store_colour(store: Store) -> RGBColor {
    match store {
        Store::Postgres => RGBColor(0x33, 0x67, 0x91),
        Store::Redis => RGBColor(0xc6, 0x30, 0x2b),
    }
}

/// A cure, all lock services together, on each store.
struct Bar {
    label: String,
    percent: [Option<f64>; 2],
}

fn bars(rows: &[Row]) -> Vec<Bar> {
    let mut rows: Vec<&Row> = rows.iter().collect();
    // By cure, not by store as in the tables.
    rows.sort_by_key(|row| (row.cell.cure, row.cell.stopped));
    let label = |row: &Row| match (row.cell.cure.service(), row.cell.stopped) {
        (Some(_), true) => format!("{}, holder stopped", row.cell.cure.kind().name()),
        (Some(_), false) => row.cell.cure.kind().name(),
        (None, _) => row.cell.label(),
    };
    let mut labels: Vec<String> = Vec::new();
    rows.iter().map(|row| label(row)).for_each(|label| {
        if !labels.contains(&label) {
            labels.push(label);
        }
    });
    let percent = |name: &str, store: Store| {
        let of = rows.iter().filter(|row| row.cell.store == store && label(row) == name);
        let tallies: Vec<_> = of.map(|row| row.tally()).collect();
        let sum = |count: fn(&Tally) -> u64| tallies.iter().map(count).sum::<u64>() as f64;
        (!tallies.is_empty()).then(|| sum(|tally| tally.damage) * 100.0 / sum(|tally| tally.asked).max(1.0))
    };
    let bar = |label: String| Bar { percent: Store::ALL.map(|store| percent(&label, store)), label };
    labels.into_iter().map(bar).collect()
}
