//! What the screen looks like. Pure: it draws a [`Screen`] and reads nothing.
//!
//! From the top: the title, what is wrong, the counters, the curve, as many tables as fit, and the keys. What is shown
//! by a colour is also said by a word.

mod counters;
mod pieces;
mod tables;

use std::time::Instant;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, RenderDirection, Sparkline};

use super::screen::{Screen, TABLES};
use crate::table::{count, duration};
use pieces::block;

/// From this width on what is wrong has a table of its own, and tables stand side by side from the second one on.
const WIDE: u16 = 100;
const TWO_TABLES_WIDTH: u16 = 76;
/// A table with two lines in it, its head and its border.
const TABLE_HEIGHT: u16 = 5;

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, screen: &Screen, now: Instant) {
    let area = frame.area();
    let last = screen.history.last.as_ref();
    let is_wrong = last.is_some_and(|(reading, _)| !reading.problems.is_empty());
    let [title, wrong, top, curve, bottom, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(u16::from(is_wrong && area.width < WIDE)),
        Constraint::Length(9),
        Constraint::Length(if area.height >= 30 { 6 } else { 4 }),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(headline(screen), title);
    frame.render_widget(footer(screen, now, area.width), foot);
    let Some((reading, _)) = last else {
        frame.render_widget(Paragraph::new("reading…").centered(), top);
        return;
    };
    frame.render_widget(counters::worst(reading), wrong);
    if area.width < WIDE {
        let [jobs, rates] = Layout::horizontal([Constraint::Fill(1); 2]).areas(top);
        frame.render_widget(counters::jobs(reading), jobs);
        frame.render_widget(counters::rates(screen.history.rates, reading), rates);
    } else {
        let widths = [Constraint::Length(26), Constraint::Length(26), Constraint::Min(20)];
        let [jobs, rates, problems] = Layout::horizontal(widths).areas(top);
        frame.render_widget(counters::jobs(reading), jobs);
        frame.render_widget(counters::rates(screen.history.rates, reading), rates);
        frame.render_widget(counters::problems(reading), problems);
    }
    draw_curve(frame, curve, screen);
    // As many as fit, from the chosen one on.
    let columns = if bottom.width >= TWO_TABLES_WIDTH { 2 } else { 1 };
    let rows = usize::from(bottom.height / TABLE_HEIGHT).clamp(1, TABLES.div_ceil(columns));
    let mut shown = (0..TABLES).map(|at| (screen.table + at) % TABLES);
    for row in Layout::vertical(vec![Constraint::Fill(1); rows]).split(bottom).iter() {
        for cell in Layout::horizontal(vec![Constraint::Fill(1); columns]).split(*row).iter() {
            if let Some(table) = shown.next() {
                tables::draw(frame, *cell, table, reading, screen.sort);
            }
        }
    }
}

/// Where a line is cut off, that is the address's end.
fn headline(screen: &Screen) -> Line<'_> {
    let mut line = Line::from(vec![" tollgate ".bold().reversed(), " ".into()]);
    if screen.is_paused {
        line.push_span("PAUSED ".yellow().bold());
    }
    line.push_span(Span::raw(&screen.title));
    line
}

/// The last line: whether what is shown is true now, and the keys.
fn footer(screen: &Screen, now: Instant, width: u16) -> Line<'_> {
    let ago = screen.history.last.as_ref().map(|(_, at)| now.saturating_duration_since(*at).as_secs());
    let state = match (&screen.away, ago) {
        (Some(error), Some(seconds)) => {
            format!(" redis is away, numbers are {seconds}s old, trying again: {error}").red().bold()
        }
        (Some(error), None) => format!(" redis is away, trying again: {error}").red().bold(),
        (None, Some(seconds)) if screen.is_paused => {
            format!(" p goes on, numbers are {seconds}s old | q quit | tab table").yellow()
        }
        (None, _) => {
            let keys = format!(" q quit | p pause | s sort: {} | tab or 1-7 table", screen.sort.name());
            match width {
                0..72 => keys.dark_gray(),
                _ => format!("{keys} | read every {}", duration(screen.interval)).dark_gray(),
            }
        }
    };
    Line::from(state)
}

fn draw_curve(frame: &mut Frame<'_>, area: Rect, screen: &Screen) {
    let shown = usize::from(area.width.saturating_sub(2));
    let (scale, highest) = screen.history.scale(shown);
    let title = match highest > scale {
        false => format!(" decided per second, at most {} ", count(highest)),
        true => format!(" decided per second, to {}; once {} ", count(scale), count(highest)),
    };
    let curve = Sparkline::default()
        .block(block(title))
        .data(screen.history.decided.iter().take(shown).map(|rate| (*rate).min(scale)))
        .max(scale.max(1))
        .direction(RenderDirection::RightToLeft)
        .style(Style::new().fg(Color::Green));
    frame.render_widget(curve, area);
}

#[cfg(test)]
pub(super) mod tests;
