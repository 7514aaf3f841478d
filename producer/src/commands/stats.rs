//! `stats`: counters of the namespace, its queues and partitions.

use std::fmt::Write as _;

use crate::context::Context;
use crate::exit::Exit;
use crate::overview::{Conservation, Counts, Overview, QueueCounts};
use crate::table::{Table, age, count};

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs the command.
pub(crate) async fn run(context: &Context, _args: Args) -> anyhow::Result<Exit> {
    let overview = Overview::read(&context.open().await?).await?;
    context.output().data(&overview, || human(&overview))?;
    Ok(overview.complain())
}

fn human(overview: &Overview) -> String {
    let Counts {
        waiting,
        pending,
        scheduled,
        dead,
        decided,
        replayed,
        mismatched,
        expired,
        discarded,
        overtaken,
        ..
    } = overview.counts;
    let mut text = String::new();
    let mut line = |name: &str, value: String| _ = writeln!(text, "{name:<12}{value:>15}");
    line("waiting", count(waiting));
    line("pending", count(pending));
    line("scheduled", count(scheduled));
    line("dead", count(dead));
    line("oldest", age(overview.counts.oldest_age_ms));
    line("decided", count(decided));
    line("replayed", count(replayed));
    line("mismatched", count(mismatched));
    line("expired", count(expired));
    line("discarded", count(discarded));
    line("overtaken", count(overtaken));
    let Conservation { accepted, settled, holds } = overview.conservation;
    let verdict = if holds { "holds" } else { "BROKEN: run `tollgate-producer audit`" };
    _ = writeln!(
        text,
        "\nconservation: {} accepted = {} settled + {} waiting + {} pending + {} scheduled + {} dead + {} discarded + {} overtaken: {verdict}",
        count(accepted),
        count(settled),
        count(waiting),
        count(pending),
        count(scheduled),
        count(dead),
        count(discarded),
        count(overtaken),
    );
    _ = write!(text, "\n{}", queues(&overview.queues));
    if overview.partitions.len() + overview.unread.len() > 1 {
        _ = write!(text, "\n\n{}", partitions(overview));
    }
    for unread in &overview.unread {
        _ = write!(text, "\npartition {} CANNOT BE READ, and is in none of these sums", unread.partition);
    }
    for partition in overview.partitions.iter().filter(|partition| partition.frozen) {
        _ = write!(
            text,
            "\npartition {} is FROZEN: nothing is settled until an operator has looked",
            partition.partition
        );
    }
    text
}

fn queues(queues: &[QueueCounts]) -> Table {
    let mut table = Table::new(&["queue", "status", ">waiting", ">pending", ">oldest"]);
    for queue in queues {
        table.row([
            queue.queue.clone(),
            queue.status.to_owned(),
            count(queue.waiting),
            count(queue.pending),
            age(queue.oldest_age_ms),
        ]);
    }
    table
}

fn partitions(overview: &Overview) -> Table {
    let columns = [
        ">partition",
        ">waiting",
        ">pending",
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
            count(counts.pending),
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
