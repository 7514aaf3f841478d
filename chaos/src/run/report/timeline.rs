//! The drawing of a run over time: each fault as bars in a row of its own, and below them what was decided, how deep the
//! queues were, how long answers took and what they were, the faults shaded behind. The drawings stretch to whatever
//! width there is; words are beside them, so that they stay legible.

use std::fmt::Write as _;

use maud::{Markup, PreEscaped, html};

use crate::run::history::{Event, Response};
use crate::run::judge::Record;

/// The drawings' own units, whatever their size on the page.
const WIDTH: f64 = 1_000.0;
const HEIGHT: f64 = 100.0;
/// A fault of no duration is still seen.
const WIDTH_MIN: f64 = 3.0;
/// Answers are counted in so many pieces of time.
const PIECES: usize = 80;

struct Interval<'a> {
    fault: &'a str,
    from_us: u64,
    to_us: u64,
}

struct Time {
    end_us: u64,
}

impl Time {
    fn x(&self, at_us: u64) -> f64 {
        at_us as f64 * WIDTH / self.end_us.max(1) as f64
    }

    fn piece(&self, at_us: u64) -> usize {
        ((at_us as f64 * PIECES as f64 / self.end_us.max(1) as f64) as usize).min(PIECES - 1)
    }
}

/// All of it.
pub(super) fn timeline(record: &Record) -> Markup {
    let time = Time { end_us: ends_us(record) };
    let intervals = intervals(record, time.end_us);
    let shade = shade(&intervals, &time);
    html! {
        div.timeline {
            (faults(&intervals, &time))
            (processes(record, &time))
            (decided(record, &time, &shade))
            (depth(record, &time, &shade))
            (latency(record, &time, &shade))
            (outcomes(record, &time, &shade))
            div.axis { @for tick in 0..=4 { span { (format!("{:.0} s", time.end_us as f64 / 4e6 * f64::from(tick))) } } }
        }
    }
}

/// When everything was settled; what comes after it is reading.
fn ends_us(record: &Record) -> u64 {
    let of = |is: fn(&Event) -> bool| {
        record.entries.iter().rev().find(|entry| is(&entry.event)).map(|entry| entry.at_us)
    };
    let drained = of(|event| matches!(event, Event::Drained));
    drained.or_else(|| record.entries.last().map(|entry| entry.at_us)).unwrap_or(1)
}

fn intervals(record: &Record, end_us: u64) -> Vec<Interval<'_>> {
    let mut intervals: Vec<(usize, Interval<'_>)> = Vec::new();
    for entry in &record.entries {
        match &entry.event {
            Event::FaultBegins { number, fault, .. } => {
                intervals.push((*number, Interval { fault, from_us: entry.at_us, to_us: end_us }));
            }
            Event::FaultEnds { number } => {
                if let Some((_, interval)) = intervals.iter_mut().find(|(other, _)| other == number) {
                    interval.to_us = entry.at_us;
                }
            }
            _ => {}
        }
    }
    intervals.into_iter().map(|(_, interval)| interval).collect()
}

fn bar(from: f64, to: f64, class: &str) -> String {
    let width = (to - from).max(WIDTH_MIN);
    format!("<rect class=\"{class}\" x=\"{from:.1}\" y=\"0\" width=\"{width:.1}\" height=\"{HEIGHT}\"/>")
}

fn shade(intervals: &[Interval<'_>], time: &Time) -> String {
    intervals.iter().map(|one| bar(time.x(one.from_us), time.x(one.to_us), "shade")).collect()
}

fn drawing(class: &str, name: &str, body: &str) -> Markup {
    html! {
        svg class=(class) viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(name) {
            (PreEscaped(body.to_owned()))
        }
    }
}

fn faults(intervals: &[Interval<'_>], time: &Time) -> Markup {
    let mut names: Vec<&str> = Vec::new();
    intervals.iter().for_each(|one| {
        if !names.contains(&one.fault) {
            names.push(one.fault)
        }
    });
    html! {
        h3 { "Faults" }
        @for name in names {
            @let of = intervals.iter().filter(|one| one.fault == name);
            @let body = of.clone().map(|one| bar(time.x(one.from_us), time.x(one.to_us), "fault")).collect::<String>();
            div.row { span { (name) } (drawing("thin", name, &body)) }
        }
    }
}

/// Every process or container that came, went or stood still.
fn processes(record: &Record, time: &Time) -> Markup {
    let moved = record.entries.iter().filter(|entry| matches!(entry.event, Event::Process { .. }));
    let body: String = moved.map(|entry| bar(time.x(entry.at_us), time.x(entry.at_us), "a")).collect();
    html! {
        div.row { span { "starts and ends" } (drawing("thin", "starts, ends and pauses of processes", &body)) }
    }
}

/// A lane of the drawing with its words.
fn lane(title: &str, most: &str, body: &str) -> Markup {
    html! {
        h3 { (title) " " small { (most) } }
        (drawing("lane", title, body))
    }
}

/// A filled line through points of time and value.
fn area(points: &[(f64, f64)], most: f64, class: &str) -> String {
    let (Some((first, _)), Some((last, _))) = (points.first(), points.last()) else { return String::new() };
    let mut path = format!("M{first:.1},{HEIGHT}");
    for (x, value) in points {
        let _ = write!(path, " L{x:.1},{:.1}", HEIGHT - value / most.max(1e-9) * HEIGHT * 0.95);
    }
    format!("<path class=\"{class}\" d=\"{path} L{last:.1},{HEIGHT} Z\"/>")
}

fn decided(record: &Record, time: &Time, shade: &str) -> Markup {
    let (mut points, mut before) = (Vec::new(), None::<(u64, u64)>);
    for entry in &record.entries {
        if let Event::Sample { decided, .. } = entry.event {
            if let Some((at_us, then)) = before.filter(|(at_us, _)| entry.at_us > *at_us) {
                let rate = decided.saturating_sub(then) as f64 * 1e6 / (entry.at_us - at_us) as f64;
                points.push((time.x(entry.at_us), rate));
            }
            before = Some((entry.at_us, decided));
        }
    }
    let most = points.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
    lane(
        "Decided",
        &format!("jobs a second, up to {most:.0}"),
        &(shade.to_owned() + &area(&points, most, "a")),
    )
}

fn depth(record: &Record, time: &Time, shade: &str) -> Markup {
    let points: Vec<(f64, f64)> = record
        .entries
        .iter()
        .filter_map(|entry| match entry.event {
            Event::Sample { waiting, in_flight, .. } => {
                Some((time.x(entry.at_us), (waiting + in_flight) as f64))
            }
            _ => None,
        })
        .collect();
    let most = points.iter().map(|(_, depth)| *depth).fold(0.0, f64::max);
    lane(
        "Depth",
        &format!("jobs that wait or are in flight, at most {most:.0}"),
        &(shade.to_owned() + &area(&points, most, "b")),
    )
}

/// Each answer as a dot, on a scale of powers of ten.
fn latency(record: &Record, time: &Time, shade: &str) -> Markup {
    let mut body = shade.to_owned();
    let mut most: f64 = 1.0;
    for call in &record.calls {
        if let Some((told_us, Response::Told { .. })) = &call.told {
            let ms = (told_us - call.sent_us) as f64 / 1e3;
            most = most.max(ms);
            let y = HEIGHT - (ms.max(1.0).log10() / 4.0 * HEIGHT).min(HEIGHT);
            // A line of no length with round ends is a dot, however the drawing is stretched.
            let _ = write!(body, "<path class=\"dot\" d=\"M{x:.1},{y:.1} h0\"/>", x = time.x(*told_us));
        }
    }
    lane(
        "Answers",
        &format!("each a dot, from 1 ms below to 10 s above, powers of ten; the slowest {most:.0} ms"),
        &body,
    )
}

fn outcomes(record: &Record, time: &Time, shade: &str) -> Markup {
    let mut counts = [[0_u32; 3]; PIECES];
    for call in &record.calls {
        let (at_us, kind) = match &call.told {
            Some((at_us, Response::Told { .. } | Response::Accepted)) => (*at_us, 0),
            Some((at_us, Response::NotApplied { .. })) => (*at_us, 1),
            Some((at_us, Response::Unknown { .. })) => (*at_us, 2),
            None => (call.sent_us, 2),
        };
        counts[time.piece(at_us)][kind] += 1;
    }
    let most = counts.iter().map(|piece| piece.iter().sum::<u32>()).max().unwrap_or(1).max(1);
    let (mut body, width) = (shade.to_owned(), WIDTH / PIECES as f64);
    for (number, piece) in counts.iter().enumerate() {
        let mut top = HEIGHT;
        for (count, class) in piece.iter().zip(["ok", "fail", "unknown"]) {
            let height = f64::from(*count) / f64::from(most) * HEIGHT * 0.95;
            top -= height;
            if *count > 0 {
                let x = number as f64 * width;
                let _ = write!(
                    body,
                    "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{top:.1}\" width=\"{w:.1}\" height=\"{height:.1}\"/>",
                    w = width * 0.85
                );
            }
        }
    }
    html! {
        (lane("Outcomes", "of calls", &body))
        ul.legend {
            li { i.ok {} "ok" } li { i.fail {} "certainly not applied" } li { i.unknown {} "unknown, resolved at the end" } li { i.shade {} "some fault" }
        }
    }
}
