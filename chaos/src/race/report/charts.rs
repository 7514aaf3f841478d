//! Charts as SVG: throughput and p99 by cure against concurrency. Their texts and their grid take the page's colours.

use plotters::prelude::*;

use super::row::Row;
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
        Cure::Transaction(Isolation::Serializable) => RGBColor(0x7a, 0x5b, 0xa6),
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
            Service::Consul => RGBColor(0x56, 0xb4, 0xe9),
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
            .caption(measure.title(), (TEXT, 14))
            .margin(6)
            .x_label_area_size(38)
            .y_label_area_size(52)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .y_max_light_lines(1)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(AXIS)
            .label_style((TEXT, 13))
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
