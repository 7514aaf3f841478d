//! What the screen looks like. Pure: it draws a [`Screen`] and reads nothing.

use std::time::Instant;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Cell, Paragraph, RenderDirection, Row, Sparkline, Table, Wrap};

use super::Screen;
use super::history::Rates;
use super::reading::Reading;
use crate::table::{age, count};

/// Jobs older than this are shown in yellow, and ten times that in red.
const OLD_MS: u64 = 10_000;

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, screen: &Screen, now: Instant) {
    let curve_height = if frame.area().height >= 34 { 10 } else { 5 };
    let [title, top, curve, bottom, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(9),
        Constraint::Length(curve_height),
        Constraint::Min(3),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(headline(screen), title);
    frame.render_widget(status(screen, now), foot);
    let Some((reading, _)) = &screen.history.last else {
        frame.render_widget(Paragraph::new("reading…").centered(), top);
        return;
    };
    let [jobs, rates, reasons] =
        Layout::horizontal([Constraint::Length(26), Constraint::Length(26), Constraint::Min(20)]).areas(top);
    frame.render_widget(self::jobs(reading), jobs);
    frame.render_widget(self::rates(screen.history.rates, reading), rates);
    draw_reasons(frame, reasons, reading);
    draw_curve(frame, curve, screen);
    let [queues, workers] =
        Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(bottom);
    draw_queues(frame, queues, reading);
    draw_workers(frame, workers, reading);
}

fn block(title: impl Into<Line<'static>>) -> Block<'static> {
    Block::bordered().border_type(BorderType::Rounded).border_style(Style::new().dark_gray()).title(title)
}

fn headline(screen: &Screen) -> Line<'_> {
    let mut line = Line::from(vec![" tollgate ".bold().reversed(), " ".into(), Span::raw(&screen.title)]);
    if let Some((reading, _)) = &screen.history.last {
        if !reading.overview.conservation.holds {
            line.push_span("  JOBS ARE MISSING: run audit".red().bold());
        }
        let frozen = reading.overview.partitions.iter().filter(|partition| partition.frozen).count();
        let unread = reading.overview.unread.len();
        if unread > 0 {
            line.push_span(format!("  {unread} PARTITIONS CANNOT BE READ: run audit").red().bold());
        }
        let problems = reading.problems.len();
        if problems > 0 {
            line.push_span(format!("  {problems} problems: see stats").red().bold());
        }
        if frozen > 0 {
            line.push_span(format!("  {frozen} PARTITIONS FROZEN").red().bold());
        }
    }
    line
}

/// The last line: whether what is shown is true now.
fn status(screen: &Screen, now: Instant) -> Line<'_> {
    let ago = screen.history.last.as_ref().map(|(_, at)| now.saturating_duration_since(*at).as_secs());
    let state = match (&screen.away, ago) {
        (Some(error), Some(seconds)) => {
            format!(" redis is away, numbers are {seconds}s old, trying again: {error}").red().bold()
        }
        (Some(error), None) => format!(" redis is away, trying again: {error}").red().bold(),
        (None, _) => format!(" q quits, every {}", crate::table::duration(screen.interval)).dark_gray(),
    };
    Line::from(state)
}

/// Rows of a name and a number, the number to the right.
fn numbers(title: &'static str, rows: Vec<(&'static str, Span<'static>)>) -> Table<'static> {
    let rows = rows
        .into_iter()
        .map(|(name, number)| Row::new([Cell::from(name), Cell::from(Line::from(number).right_aligned())]));
    Table::new(rows, [Constraint::Length(10), Constraint::Min(8)]).block(block(format!(" {title} ")))
}

fn jobs(reading: &Reading) -> Table<'static> {
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

fn aged(age_ms: Option<u64>) -> Span<'static> {
    let text = Span::raw(age(age_ms));
    match age_ms {
        Some(ms) if ms >= 10 * OLD_MS => text.red().bold(),
        Some(ms) if ms >= OLD_MS => text.yellow(),
        _ => text,
    }
}

fn rates(rates: Option<Rates>, reading: &Reading) -> Table<'static> {
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

fn draw_reasons(frame: &mut Frame<'_>, area: Rect, reading: &Reading) {
    let title =
        if reading.reasons_complete { " dead by reason " } else { " dead by reason (of the oldest) " };
    if reading.reasons.is_empty() {
        frame.render_widget(Paragraph::new("none".dark_gray()).block(block(title)), area);
        return;
    }
    let rows = reading.reasons.iter().map(|(reason, number)| {
        let number = Line::from(count(*number)).right_aligned();
        Row::new([Cell::from(reason.clone()), Cell::from(number)])
    });
    frame.render_widget(
        Table::new(rows, [Constraint::Min(8), Constraint::Length(9)]).block(block(title)),
        area,
    );
}

fn draw_curve(frame: &mut Frame<'_>, area: Rect, screen: &Screen) {
    let shown = usize::from(area.width.saturating_sub(2));
    let most = screen.history.decided.iter().take(shown).max().copied().unwrap_or(0);
    let curve = Sparkline::default()
        .block(block(format!(" decided per second, at most {} ", count(most))))
        .data(screen.history.decided.iter().take(shown).copied())
        .max(most.max(1))
        .direction(RenderDirection::RightToLeft)
        .style(Style::new().fg(Color::Green));
    frame.render_widget(curve, area);
}

fn draw_queues(frame: &mut Frame<'_>, area: Rect, reading: &Reading) {
    let rows = reading.overview.queues.iter().map(|queue| {
        let status = match queue.status {
            "active" => Span::raw("active"),
            other => Span::raw(other).yellow().bold(),
        };
        Row::new([
            Cell::from(queue.queue.clone()),
            Cell::from(status),
            right(count(queue.waiting)),
            right(count(queue.in_flight)),
            Cell::from(Line::from(aged(queue.oldest_age_ms)).right_aligned()),
        ])
    });
    let widths = [
        Constraint::Min(7),
        Constraint::Length(6),
        Constraint::Length(9),
        Constraint::Length(5),
        Constraint::Length(7),
    ];
    let header =
        [Cell::from("queue"), Cell::from("status"), right("waiting"), right("in flight"), right("oldest")];
    frame.render_widget(Table::new(rows, widths).header(head(header)).block(block(" queues ")), area);
}

fn draw_workers(frame: &mut Frame<'_>, area: Rect, reading: &Reading) {
    let alive = reading.workers.iter().filter(|worker| worker.state != "silent").count();
    let title = format!(" workers: {alive} of {} alive ", reading.workers.len());
    if reading.workers.is_empty() {
        let words =
            Paragraph::new("none: nothing is settled until one starts".yellow()).wrap(Wrap { trim: true });
        frame.render_widget(words.block(block(title)), area);
        return;
    }
    // Who is in trouble comes first: on a small screen the rest is cut off.
    let mut workers: Vec<_> = reading.workers.iter().collect();
    workers.sort_by_key(|worker| worker.state != "silent");
    let rows = workers.into_iter().map(|worker| {
        let name = match (&worker.host, worker.pid) {
            (Some(host), Some(pid)) => format!("{host}:{pid}"),
            _ => worker.worker.clone(),
        };
        let state = match worker.state {
            "alive" => Span::raw("alive").green(),
            other => Span::raw(other).yellow().bold(),
        };
        let beat = right(age(worker.beat_age_ms));
        Row::new([Cell::from(name), Cell::from(state), beat, right(count(worker.in_flight))])
    });
    let widths = [Constraint::Min(10), Constraint::Length(6), Constraint::Length(7), Constraint::Length(7)];
    let header = [Cell::from("worker"), Cell::from("state"), right("beat"), right("in flight")];
    frame.render_widget(Table::new(rows, widths).header(head(header)).block(block(title)), area);
}

fn right(text: impl Into<String>) -> Cell<'static> {
    Cell::from(Line::from(text.into()).right_aligned())
}

fn head<const N: usize>(cells: [Cell<'static>; N]) -> Row<'static> {
    Row::new(cells).style(Style::new().add_modifier(Modifier::DIM))
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::history::History;
    use super::super::reading::Sampled;
    use super::*;
    use crate::commands::worker;
    use crate::overview::{Conservation, Counts, Overview, QueueCounts};

    /// A look at a namespace with a bit of everything.
    pub(in super::super) fn reading() -> Reading {
        let worker = |name: &str, state| worker::Row {
            worker: name.to_owned(),
            host: Some("box".to_owned()),
            pid: Some(42),
            version: None,
            queues: vec!["default".to_owned()],
            every_queue: false,
            concurrency: Some(2),
            started_at_ms: Some(1),
            state,
            beat_age_ms: Some(900),
            in_flight: 256,
        };
        let counts = Counts {
            waiting: 1_234_567,
            in_flight: 512,
            dead: 13,
            decided: 9_876_543,
            replayed: 77,
            oldest_age_ms: Some(75_000),
            ..Counts::default()
        };
        let queue = QueueCounts {
            queue: "default".to_owned(),
            status: "paused",
            waiting: 1_234_567,
            in_flight: 512,
            oldest_age_ms: Some(75_000),
            ..QueueCounts::default()
        };
        Reading {
            overview: Overview {
                at_ms: 1_000_000,
                counts,
                dead_by_reason: Vec::new(),
                conservation: Conservation { accepted: 0, settled: 0, holds: true },
                queues: vec![queue],
                partitions: Vec::new(),
                unread: Vec::new(),
            },
            workers: vec![worker("a", "alive"), worker("b", "silent")],
            reasons: vec![("malformed_json".to_owned(), 12), ("worker_lost".to_owned(), 1)],
            reasons_complete: true,
            sampled: Sampled::default(),
            problems: Vec::new(),
        }
    }

    fn screen(looks: usize) -> (Screen, Instant) {
        let mut screen = Screen {
            title: "tollgate on unix:///run/redis.sock".to_owned(),
            interval: Duration::from_secs(1),
            history: History::default(),
            away: None,
        };
        let mut now = Instant::now();
        for look in 0..looks {
            now += Duration::from_secs(1);
            let mut reading = reading();
            reading.overview.counts.decided += 1_000 * (look * look) as u64;
            reading.overview.counts.waiting -= 1_000 * look as u64;
            screen.history.add(reading, now);
        }
        (screen, now)
    }

    fn drawn(screen: &Screen, now: Instant, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, screen, now)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn everything_is_there_at_the_usual_sizes() {
        let (screen, now) = screen(6);
        for (width, height) in [(80, 24), (120, 40)] {
            let text = drawn(&screen, now, width, height);
            for word in [
                "tollgate on unix:///run/redis.sock",
                "1,229,567",
                "1m 15s",
                "malformed_json",
                "9,000",
                "-1,000",
                "20m 30s",
                "workers: 1 of 2 alive",
                "paused",
                "box:42",
                "silent",
                "q quits, every 1.0s",
            ] {
                assert!(text.contains(word), "{word} at {width}x{height}:\n{text}");
            }
            assert!(text.contains('█'), "{text}");
        }
    }

    #[test]
    fn a_redis_that_is_away_is_said_and_forgotten_when_it_is_back() {
        let (mut screen, now) = screen(2);
        screen.away = Some("not applied: unreachable".to_owned());
        let text = drawn(&screen, now + Duration::from_secs(7), 120, 24);
        assert!(
            text.contains("redis is away, numbers are 7s old, trying again: not applied: unreachable"),
            "{text}"
        );
        screen.away = None;
        assert!(!drawn(&screen, now, 120, 24).contains("away"));
    }

    #[test]
    fn alarms_are_in_the_title() {
        let mut alarming = reading();
        alarming.overview.conservation.holds = false;
        let (mut screen, now) = screen(0);
        assert!(drawn(&screen, now, 80, 24).contains("reading…"));
        screen.history.add(alarming, now);
        let text = drawn(&screen, now, 80, 24);
        assert!(text.contains("JOBS ARE MISSING"), "{text}");
        assert!(text.contains("measuring…"), "{text}");
    }

    #[test]
    fn no_size_is_too_small() {
        let (screen, now) = screen(3);
        for (width, height) in [(1, 1), (10, 3), (20, 5), (40, 12), (300, 100)] {
            drawn(&screen, now, width, height);
        }
    }
}
