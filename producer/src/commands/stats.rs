//! `stats`: counters of the namespace, its queues and partitions.

use std::fmt::Write as _;

use serde::Serialize;

use crate::context::Context;
use crate::exit::Exit;
use crate::overview::{Conservation, Counts, Overview, QueueCounts, Reason};
use crate::problems::{self, Listed, Problem, wrapped};
use crate::table::{Table, age, count};
use crate::workers;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// What `stats --json` prints: what is wrong first.
#[derive(Debug, Serialize)]
struct Stats<'a> {
    problems: &'a [Problem],
    #[serde(flatten)]
    overview: &'a Overview,
}

/// Runs the command.
pub(crate) async fn run(context: &Context, _args: Args) -> anyhow::Result<Exit> {
    let tollgate = context.open().await?;
    let overview = Overview::read(&tollgate).await?;
    // Where the workers of a partition cannot be read, that is said of the partition itself.
    let (workers, _) = workers::read(&tollgate, &overview).await?;
    let problems = problems::of(&overview, &workers, context.unsafe_redis_problems().await?);
    let stats = Stats { problems: &problems, overview: &overview };
    context.output().data(&stats, || human(&problems, &overview, width()))?;
    Ok(overview.complain())
}

/// Of the terminal, or what a page of text has.
fn width() -> usize {
    const WIDTH_DEFAULT: usize = 80;
    const WIDTH_MIN: usize = 40;
    let size = rustix::termios::tcgetwinsize(std::io::stdout());
    size.map_or(WIDTH_DEFAULT, |size| usize::from(size.ws_col).max(WIDTH_MIN))
}

fn human(problems: &[Problem], overview: &Overview, width: usize) -> String {
    let Counts {
        waiting,
        in_flight,
        scheduled,
        dead,
        decided,
        replayed,
        mismatched,
        expired,
        discarded,
        overtaken,
        lost,
        ..
    } = overview.counts;
    let mut text = String::new();
    if !problems.is_empty() {
        _ = writeln!(text, "{}", Listed { problems, width });
    }
    let mut line = |name: &str, value: String| _ = writeln!(text, "{name:<12}{value:>15}");
    line("waiting", count(waiting));
    line("in flight", count(in_flight));
    line("scheduled", count(scheduled));
    line("dead", count(dead));
    line("oldest", age(overview.counts.oldest_age_ms));
    line("decided", count(decided));
    line("replayed", count(replayed));
    line("mismatched", count(mismatched));
    line("expired", count(expired));
    line("discarded", count(discarded));
    line("overtaken", count(overtaken));
    line("lost", count(lost));
    for Reason { reason, count: dead } in &overview.dead_by_reason {
        _ = writeln!(text, "  dead as {reason}: {}", count(*dead));
    }
    alarms(&mut text, &overview.counts);
    _ = writeln!(text, "\n{}", wrapped(&law(overview), width.saturating_sub(2)).join("\n  "));
    _ = write!(text, "\n{}", queues(&overview.queues));
    if overview.partitions.len() + overview.unread.len() > 1 {
        _ = write!(text, "\n\n{}", partitions(overview));
    }
    for unread in &overview.unread {
        _ = write!(text, "\npartition {} CANNOT BE READ, and is in none of these sums", unread.partition);
    }
    text
}

/// Jobs of which less is kept than of others, and that nobody may overlook.
fn alarms(text: &mut String, counts: &Counts) {
    let Counts { dead_refused, dead_stripped, .. } = *counts;
    if dead_refused > 0 {
        _ = writeln!(
            text,
            "ALARM: {} jobs were REFUSED FOR GOOD: their campaign or account does not exist, and too many waited in dead for that already",
            count(dead_refused)
        );
    }
    if dead_stripped > 0 {
        _ = writeln!(
            text,
            "ALARM: of {} dead jobs only length and digest are kept: too many were dead for the same reason",
            count(dead_stripped)
        );
    }
}

/// The conservation law with its figures, and whether it holds.
fn law(overview: &Overview) -> String {
    let Counts { waiting, in_flight, scheduled, dead, discarded, overtaken, lost, .. } = overview.counts;
    let Conservation { accepted, settled, holds } = overview.conservation;
    let verdict = if holds { "holds" } else { "BROKEN: run `tollgate-producer audit`" };
    format!(
        "conservation: {} accepted = {} settled + {} waiting + {} in flight + {} scheduled + {} dead + {} discarded + {} overtaken + {} lost: {verdict}",
        count(accepted),
        count(settled),
        count(waiting),
        count(in_flight),
        count(scheduled),
        count(dead),
        count(discarded),
        count(overtaken),
        count(lost),
    )
}

fn queues(queues: &[QueueCounts]) -> Table {
    let mut table = Table::new(&["queue", "status", ">waiting", ">in flight", ">oldest"]);
    for queue in queues {
        table.row([
            queue.queue.clone(),
            if queue.problem.is_some() { "lost" } else { queue.status }.to_owned(),
            count(queue.waiting),
            count(queue.in_flight),
            age(queue.oldest_age_ms),
        ]);
    }
    table
}

fn partitions(overview: &Overview) -> Table {
    let columns = [
        ">partition",
        ">waiting",
        ">in flight",
        ">scheduled",
        ">dead",
        ">decided",
        ">replayed",
        ">oldest",
        "conservation",
    ];
    let mut table = Table::new(&columns);
    for partition in &overview.partitions {
        let counts = &partition.counts;
        table.row([
            partition.partition.to_string(),
            count(counts.waiting),
            count(counts.in_flight),
            count(counts.scheduled),
            count(counts.dead),
            count(counts.decided),
            count(counts.replayed),
            age(counts.oldest_age_ms),
            if partition.conservation.holds { "holds" } else { "BROKEN" }.to_owned(),
        ]);
    }
    table
}
