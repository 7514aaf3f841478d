//! The lower half: seven tables, of which as many are drawn as fit.

use std::cmp::Reverse;

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::Stylize;
use ratatui::text::Span;
use ratatui::widgets::{Cell, Row, Table};

use super::super::reading::{AccountRow, CampaignRow, InventoryRow, PayoutRow, Reading};
use super::super::screen::{self, Sort};
use super::pieces::{aged, block, head, right, words};
use crate::table::{age, count};

type Draw = fn(&mut Frame<'_>, Rect, &str, &Reading, Sort);

/// The tables in the order of their digits.
const TABLES: [Draw; screen::TABLES] = [campaigns, accounts, payouts, dead, queues, workers, inventories];

/// Draws one of [`TABLES`].
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, table: usize, reading: &Reading, sort: Sort) {
    TABLES[table](frame, area, &format!(" {} ", table + 1), reading, sort);
}

/// A table, its last column to the right at the latest.
fn table<const N: usize>(
    title: String,
    header: [Cell<'static>; N],
    widths: [Constraint; N],
    rows: impl IntoIterator<Item = [Cell<'static>; N]>,
) -> Table<'static> {
    Table::new(rows.into_iter().map(Row::new), widths).header(head(header)).block(block(title))
}

/// Whether figures of the last minute are of a part of the decisions only.
fn jobs_a_minute(reading: &Reading) -> &'static str {
    if reading.is_estimate { "~jobs/min" } else { "jobs/min" }
}

/// A name that is too long for its column, without its middle: names often differ at their end alone.
fn fitting(name: &str, columns: u16) -> String {
    let (length, columns) = (name.chars().count(), usize::from(columns));
    if length <= columns || columns < 3 {
        return name.to_owned();
    }
    let before = columns / 2;
    let after = columns - before - 1;
    name.chars().take(before).chain(['…']).chain(name.chars().skip(length - after)).collect()
}

/// What is wrong with a payout, without the name of its own row: the id beside it says which that is.
fn without_key(what: &str, id: &str) -> String {
    let rest = what.split_once(&format!(":hold:{id}")).map_or(what, |(_, rest)| rest);
    rest.trim_start_matches(':').trim_start().to_owned()
}

/// A text that is too long for its column, without its beginning.
fn end_of(text: &str, columns: u16) -> String {
    let (length, columns) = (text.chars().count(), usize::from(columns));
    if length <= columns || columns < 3 {
        return text.to_owned();
    }
    ['…'].into_iter().chain(text.chars().skip(length + 1 - columns)).collect()
}

/// How many columns the first column has beside others of these widths: all that is left.
fn rest(area: Rect, others: &[u16]) -> u16 {
    let taken: u16 = others.iter().map(|width| width + 1).sum();
    area.width.saturating_sub(2).saturating_sub(taken).max(8)
}

fn campaigns(frame: &mut Frame<'_>, area: Rect, number: &str, reading: &Reading, sort: Sort) {
    let of = if reading.campaigns_complete { "" } else { " (the first, and those that move)" };
    let title = format!("{number}campaigns{of} ");
    if reading.campaigns.is_empty() {
        return frame.render_widget(words(title, "none".dark_gray()), area);
    }
    let mut campaigns: Vec<&CampaignRow> = reading.campaigns.iter().collect();
    campaigns.sort_by(|a, b| a.campaign.cmp(&b.campaign));
    match sort {
        Sort::Moved => campaigns.sort_by_key(|row| (Reverse(row.jobs), !row.is_open, row.left)),
        Sort::Left => campaigns.sort_by_key(|row| (!row.is_open, row.left)),
        Sort::Name => {}
    }
    let name = rest(area, &[9, 9, 9]);
    let rows = campaigns.into_iter().map(|row| {
        let left = match (row.left, row.limit) {
            (Some(_), _) if !row.is_open => "closed".dark_gray(),
            (Some(0), _) => "none".yellow().bold(),
            (Some(left), _) => Span::raw(count(left)).bold(),
            (None, _) => "damaged".red().bold(),
        };
        let limit = row.limit.map_or_else(|| "-".to_owned(), count);
        [Cell::from(fitting(&row.campaign, name)), right(left), right(limit), right(count(row.jobs))]
    });
    let header = [Cell::from("campaign"), right("left"), right("limit"), right(jobs_a_minute(reading))];
    let widths = [Constraint::Min(8), Constraint::Length(9), Constraint::Length(9), Constraint::Length(9)];
    frame.render_widget(table(title, header, widths, rows), area);
}

fn accounts(frame: &mut Frame<'_>, area: Rect, number: &str, reading: &Reading, sort: Sort) {
    let title = format!("{number}accounts of the last minute ");
    if reading.accounts.is_empty() {
        return frame.render_widget(words(title, "none".dark_gray()), area);
    }
    let mut accounts: Vec<&AccountRow> = reading.accounts.iter().collect();
    accounts.sort_by(|a, b| a.account.cmp(&b.account));
    match sort {
        Sort::Moved => accounts.sort_by_key(|row| Reverse(row.jobs)),
        Sort::Left => accounts.sort_by_key(|row| row.available),
        Sort::Name => {}
    }
    let is_wide = area.width >= 56;
    let taken_width = if is_wide { 14 } else { 0 };
    let name = rest(area, &[15, taken_width, 9]);
    let rows = accounts.into_iter().map(|row| {
        let taken = if is_wide { row.taken_text.clone() } else { String::new() };
        let (available, jobs) = (row.available_text.clone(), count(row.jobs));
        [Cell::from(fitting(&row.account, name)), right(available), right(taken), right(jobs)]
    });
    let taken = match (is_wide, reading.is_estimate) {
        (false, _) => "",
        (true, false) => "taken",
        (true, true) => "~taken",
    };
    let header = [Cell::from("account"), right("available"), right(taken), right(jobs_a_minute(reading))];
    let widths =
        [Constraint::Min(8), Constraint::Length(15), Constraint::Length(taken_width), Constraint::Length(9)];
    frame.render_widget(table(title, header, widths, rows), area);
}

fn inventories(frame: &mut Frame<'_>, area: Rect, number: &str, reading: &Reading, sort: Sort) {
    let of = if reading.inventories_complete { "" } else { " (the first, and those that move)" };
    let title = format!("{number}inventories{of} ");
    if reading.inventories.is_empty() {
        return frame.render_widget(words(title, "none".dark_gray()), area);
    }
    let mut inventories: Vec<&InventoryRow> = reading.inventories.iter().collect();
    inventories.sort_by(|a, b| a.inventory.cmp(&b.inventory));
    match sort {
        Sort::Moved => inventories.sort_by_key(|row| (Reverse(row.jobs), row.status != "open", row.left)),
        Sort::Left => inventories.sort_by_key(|row| (row.status != "open", row.left)),
        Sort::Name => {}
    }
    // Beside another table on a small screen, what is left is more than what is gone.
    let gone = if area.width >= 56 { 9 } else { 0 };
    let name = rest(area, &[9, gone, gone, 9]);
    let rows = inventories.into_iter().map(|row| {
        let left = match (row.left, row.status) {
            (None, _) => "damaged".red().bold(),
            (Some(0), "open") => "none".yellow().bold(),
            (Some(left), "open") => Span::raw(count(left)).bold(),
            (Some(_), status) => status.dark_gray(),
        };
        let number = |number: Option<u64>| match (number, gone) {
            (_, 0) => String::new(),
            (number, _) => number.map_or_else(|| "-".to_owned(), count),
        };
        let (reserved, sold) = (right(number(row.reserved)), right(number(row.sold)));
        [Cell::from(fitting(&row.inventory, name)), right(left), reserved, sold, right(count(row.jobs))]
    });
    let head = |name| right(if gone > 0 { name } else { "" });
    let header = [
        Cell::from("inventory"),
        right("left"),
        head("reserved"),
        head("sold"),
        right(jobs_a_minute(reading)),
    ];
    let widths = [
        Constraint::Min(8),
        Constraint::Length(9),
        Constraint::Length(gone),
        Constraint::Length(gone),
        Constraint::Length(9),
    ];
    frame.render_widget(table(title, header, widths, rows), area);
}

fn payouts(frame: &mut Frame<'_>, area: Rect, number: &str, reading: &Reading, _: Sort) {
    let payouts = &reading.payouts;
    // Beside another table on a small screen, why is more than since when.
    let is_wide = area.width >= 50;
    let damaged = match (payouts.damaged, payouts.is_sample) {
        (0, _) => String::new(),
        (damaged, false) => format!("{} damaged, ", count(damaged)),
        (damaged, true) => format!("{}+ damaged, ", count(damaged)),
    };
    let on_their_way = match payouts.open.saturating_sub(payouts.for_review + payouts.damaged) {
        on_their_way if is_wide => format!(", {} on their way", count(on_their_way)),
        _ => String::new(),
    };
    let title =
        format!("{number}payouts: {damaged}{} for a person{on_their_way} ", count(payouts.for_review));
    if payouts.rows.is_empty() {
        return frame.render_widget(words(title, "none waits for a person".dark_gray()), area);
    }
    let (amount, since) = (13, if is_wide { 7 } else { 0 });
    let for_both = rest(area, &[amount, since, 0]);
    let id_width = (for_both * 2 / 5).max(8);
    let why_width = for_both.saturating_sub(id_width);
    let rows = payouts.rows.iter().map(|row| match row {
        PayoutRow::Review { id, amount, since_ms, reason } => {
            let age_ms = reading.overview.at_ms.saturating_sub(*since_ms);
            let since = if is_wide { age(Some(age_ms)) } else { String::new() };
            let id = Cell::from(fitting(id, id_width).yellow().bold());
            [id, right(amount.clone()), right(since), Cell::from(reason.clone())]
        }
        PayoutRow::Damaged { id, what } => {
            let why = end_of(&without_key(what, id), why_width);
            let id = Cell::from(fitting(id, id_width).red().bold());
            [id, right("damaged".red().bold()), right(if is_wide { "-" } else { "" }), Cell::from(why)]
        }
    });
    let header =
        [Cell::from("id"), right("amount"), right(if is_wide { "for" } else { "" }), Cell::from("why")];
    let widths = [
        Constraint::Length(id_width),
        Constraint::Length(amount),
        Constraint::Length(since),
        Constraint::Fill(1),
    ];
    frame.render_widget(table(title, header, widths, rows), area);
}

fn dead(frame: &mut Frame<'_>, area: Rect, number: &str, reading: &Reading, _: Sort) {
    let title = format!("{number}dead letters: {} ", count(reading.overview.counts.dead));
    if reading.overview.dead_by_reason.is_empty() {
        return frame.render_widget(words(title, "none".dark_gray()), area);
    }
    let mut reasons: Vec<_> = reading.overview.dead_by_reason.iter().collect();
    reasons.sort_by_key(|reason| Reverse(reason.count));
    let rows = reasons
        .into_iter()
        .map(|reason| [Cell::from(reason.reason.clone().yellow()), right(count(reason.count))]);
    let header = [Cell::from("reason"), right("jobs")];
    frame.render_widget(table(title, header, [Constraint::Min(8), Constraint::Length(9)], rows), area);
}

fn queues(frame: &mut Frame<'_>, area: Rect, number: &str, reading: &Reading, _: Sort) {
    let title = format!("{number}queues ");
    if reading.overview.queues.is_empty() {
        return frame.render_widget(words(title, "none".dark_gray()), area);
    }
    let name = rest(area, &[8, 9, 9, 7]);
    let rows = reading.overview.queues.iter().map(|queue| {
        let status = match queue.status {
            "active" => Span::raw("active"),
            other => Span::raw(other).yellow().bold(),
        };
        [
            Cell::from(fitting(&queue.queue, name)),
            Cell::from(status),
            right(count(queue.waiting)),
            right(count(queue.in_flight)),
            right(aged(queue.oldest_age_ms)),
        ]
    });
    let widths = [
        Constraint::Min(7),
        Constraint::Length(8),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Length(7),
    ];
    let header =
        [Cell::from("queue"), Cell::from("status"), right("waiting"), right("in flight"), right("oldest")];
    frame.render_widget(table(title, header, widths, rows), area);
}

fn workers(frame: &mut Frame<'_>, area: Rect, number: &str, reading: &Reading, _: Sort) {
    let alive = reading.workers.iter().filter(|worker| worker.is_alive()).count();
    let title = format!("{number}workers: {alive} of {} alive ", reading.workers.len());
    if reading.workers.is_empty() {
        return frame.render_widget(words(title, "none: nothing is settled until one starts".yellow()), area);
    }
    let name_columns = rest(area, &[6, 7, 9]);
    // A worker that is silent comes first: on a small screen the rest is cut off.
    let mut workers: Vec<_> = reading.workers.iter().collect();
    workers.sort_by_key(|worker| worker.is_alive());
    let rows = workers.into_iter().map(|worker| {
        let name = match (&worker.host, worker.pid) {
            (Some(host), Some(pid)) => format!("{host}:{pid}"),
            _ => worker.worker.clone(),
        };
        let name = fitting(&name, name_columns);
        let state = match worker.state {
            "alive" => Span::raw("alive").green(),
            other => Span::raw(other).yellow().bold(),
        };
        let beat = right(age(worker.beat_age_ms));
        [Cell::from(name), Cell::from(state), beat, right(count(worker.in_flight))]
    });
    let widths = [Constraint::Min(10), Constraint::Length(6), Constraint::Length(7), Constraint::Length(9)];
    let header = [Cell::from("worker"), Cell::from("state"), right("beat"), right("in flight")];
    frame.render_widget(table(title, header, widths, rows), area);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_damaged_payout_the_cause_is_shown() {
        assert_eq!(without_key("{t.0}:hold:p1: amount cannot be read", "p1"), "amount cannot be read");
        assert_eq!(without_key("{t.0}:hold:p1 is gone", "p1"), "is gone");
        let nameless = "{t.0}:payouts holds what is no account and id";
        assert_eq!(without_key(nameless, "x"), nameless);
        assert_eq!(end_of(nameless, 21), "…is no account and id");
        assert_eq!(end_of("is gone", 7), "is gone");
    }

    #[test]
    fn a_name_that_is_cut_keeps_its_end() {
        assert_eq!(fitting("summer", 6), "summer");
        assert_eq!(fitting("burst-d77c7bd696-11", 9), "burs…6-11");
        assert_eq!(fitting("кампания-1", 8), "камп…я-1");
        assert_eq!(fitting("summer", 2), "summer");
    }
}
