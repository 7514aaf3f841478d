//! The upper half: counters, rates, and what is wrong.

use ratatui::layout::Constraint;
use ratatui::style::{Style, Stylize};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Cell, Paragraph, Row, Table, Wrap};

use super::super::history::Rates;
use super::super::reading::Reading;
use super::pieces::{aged, block, right};
use crate::table::{age, count, counted};

/// Rows of a name and a number, the number to the right.
fn numbers(title: &'static str, rows: Vec<(&'static str, Span<'static>)>) -> Table<'static> {
    let rows = rows.into_iter().map(|(name, number)| Row::new([Cell::from(name), right(number)]));
    Table::new(rows, [Constraint::Length(10), Constraint::Min(8)]).block(block(format!(" {title} ")))
}

pub(super) fn jobs(reading: &Reading) -> Table<'static> {
    let counts = &reading.overview.counts;
    let plain = |number| Span::raw(count(number));
    let dead = if counts.dead > 0 { plain(counts.dead).yellow().bold() } else { plain(0) };
    numbers(
        "jobs",
        vec![
            ("waiting", plain(counts.waiting).bold()),
            ("in flight", plain(counts.in_flight)),
            ("scheduled", plain(counts.scheduled)),
            ("dead", dead),
            ("oldest", aged(counts.oldest_age_ms)),
            ("decided", plain(counts.decided).bold()),
            ("replayed", plain(counts.replayed)),
        ],
    )
}

pub(super) fn rates(rates: Option<Rates>, reading: &Reading) -> Table<'static> {
    let rows = match rates {
        None => vec![("measuring…", Span::raw(""))],
        Some(rates) => {
            let refused = if rates.refused_is_estimate { "~" } else { "" };
            let plain = |number| Span::raw(count(number));
            vec![
                ("decided", plain(rates.decided).green().bold()),
                ("refused", Span::raw(format!("{refused}{}", count(rates.refused)))),
                ("replayed", plain(rates.replayed)),
                ("mismatched", plain(rates.mismatched)),
                ("expired", plain(rates.expired)),
                ("backlog", Span::raw(signed(rates.backlog))),
                ("empty in", Span::raw(empty_in(rates, reading))),
            ]
        }
    };
    numbers("per second", rows)
}

fn signed(number: i64) -> String {
    match number {
        0 => "0".to_owned(),
        _ => format!("{}{}", if number < 0 { '-' } else { '+' }, count(number.unsigned_abs())),
    }
}

/// How long until nothing waits, at the rate of the last interval.
fn empty_in(rates: Rates, reading: &Reading) -> String {
    let backlog = reading.overview.counts.waiting + reading.overview.counts.in_flight;
    match (backlog, rates.backlog) {
        (0, _) => "-".to_owned(),
        (_, 0..) => "never".to_owned(),
        (_, rate) => age(backlog.saturating_mul(1_000).checked_div(rate.unsigned_abs())),
    }
}

/// What is wrong, in one line: how much, and the worst of it.
pub(super) fn worst(reading: &Reading) -> Line<'static> {
    let Some(worst) = reading.problems.first() else { return Line::default() };
    let number = counted(reading.problems.len() as u64, "problem", "problems");
    Line::from(format!(" {number}, see stats: {}", worst.what)).style(Style::new().red().bold())
}

/// What is wrong, worst first, each with the command that helps.
pub(super) fn problems(reading: &Reading) -> Paragraph<'static> {
    let title = match reading.problems.len() as u64 {
        0 => " problems: none ".to_owned(),
        number => format!(" {}: see stats ", counted(number, "problem", "problems")),
    };
    let mut text = Text::default();
    for problem in &reading.problems {
        text.push_line(Line::from(problem.what.clone()).style(Style::new().red().bold()));
        text.push_line(Line::from(format!("  {}", problem.command)));
    }
    Paragraph::new(text).wrap(Wrap { trim: false }).block(block(title))
}
