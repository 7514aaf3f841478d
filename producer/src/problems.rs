//! What is wrong with a namespace, worst first, each with the command that helps: the beginning of `stats`.
//!
//! One place judges, from what was read anyway: the partitions' counters ([`Overview`]) and the workers. Pure.
//! The order is that of harm: what may be lost, what stands still, what is slow, what waits for a person.

use std::fmt::{self, Write as _};

use serde::Serialize;
use tollgate::scripts::reservation::HeldBack;
use tollgate::scripts::stats::{QueueProblem, StreamIds};

use crate::overview::{Overview, QueueCounts};
use crate::table::{age, count};
use crate::workers::Row;

/// A job that waits for longer is worth a look: an idle fleet takes milliseconds.
const OLD_MS: u64 = 5 * 60_000;

/// The things that can be wrong, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    UnsafeRedis,
    PartitionUnread,
    PartitionFrozen,
    KeyMissing,
    QueueLost,
    JobsMissing,
    StreamFull,
    NoWorker,
    QueueUnserved,
    WorkerSilent,
    JobsOld,
    QueuePaused,
    ReservationsHeld,
    DeadJobs,
    IdsAhead,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Problem {
    pub(crate) problem: Kind,
    pub(crate) partitions: Vec<u16>,
    pub(crate) queue: Option<String>,
    pub(crate) what: String,
    /// What to run, or to look at first.
    pub(crate) command: String,
}

impl Problem {
    /// One of the namespace as a whole.
    pub(crate) fn new(problem: Kind, what: impl Into<String>, command: impl Into<String>) -> Self {
        let (what, command) = (what.into(), command.into());
        Self { problem, partitions: Vec::new(), queue: None, what, command }
    }

    fn of_partitions(self, partitions: Vec<u16>) -> Self {
        Self { partitions, ..self }
    }

    fn of_queue(self, queue: &str, partitions: Vec<u16>) -> Self {
        Self { queue: Some(queue.to_owned()), partitions, ..self }
    }
}

/// All that is wrong, worst first; `more` is what was found elsewhere.
pub(crate) fn of(overview: &Overview, workers: &[Row], more: Vec<Problem>) -> Vec<Problem> {
    let mut problems = more;
    problems.extend(of_partitions(overview));
    for queue in &overview.queues {
        problems.extend(of_queue(overview, workers, queue));
    }
    problems.extend(of_workers(overview, workers));
    if overview.counts.dead > 0 {
        let what = match overview.counts.dead {
            1 => "1 job is dead: nobody could decide it".to_owned(),
            dead => format!("{} jobs are dead: nobody could decide them", count(dead)),
        };
        let with_dead = overview.partitions.iter().filter(|partition| partition.counts.dead > 0);
        let partitions = with_dead.map(|partition| partition.partition).collect();
        let problem = Problem::new(Kind::DeadJobs, what, "tollgate-producer dead ls");
        problems.push(problem.of_partitions(partitions));
    }
    problems.sort();
    problems
}

fn of_partitions(overview: &Overview) -> Vec<Problem> {
    let unread = overview.unread.iter().map(|unread| {
        let what = format!("partition {} cannot be read: {}", unread.partition, unread.error);
        Problem::new(Kind::PartitionUnread, what, "tollgate-producer audit")
            .of_partitions(vec![unread.partition])
    });
    let mut problems: Vec<_> = unread.collect();
    for partition in &overview.partitions {
        let number = partition.partition;
        let mut add = |kind, what: String| {
            problems.push(Problem::new(kind, what, "tollgate-producer audit").of_partitions(vec![number]));
        };
        if partition.frozen {
            let what = "is frozen: nothing is settled until an operator has looked";
            add(Kind::PartitionFrozen, format!("partition {number} {what}"));
        }
        for missing in &partition.missing {
            let what = format!("partition {number}: the key {}: {}", missing.key, missing.what);
            add(Kind::KeyMissing, what);
        }
        // Where a queue is lost the sums cannot be right, and that is said already.
        if !partition.conservation.holds && partition.queues.iter().all(|queue| queue.problem.is_none()) {
            let what = "the conservation law does not hold: jobs were taken out past the scripts";
            add(Kind::JobsMissing, format!("partition {number}: {what}"));
        }
        if let Some(HeldBack { over_ms, by }) = &partition.held_back {
            let over = age(Some(*over_ms));
            let what = format!(
                "partition {number}: reservations have been over for {over} and do not end: an older entry of queue {by} is not settled"
            );
            let problem = Problem::new(Kind::ReservationsHeld, what, "tollgate-producer queue ls");
            problems.push(problem.of_queue(by.as_str(), vec![number]));
        }
    }
    problems
}

/// Where a queue is so that `is` holds of it.
fn partitions_where(overview: &Overview, name: &str, is: impl Fn(&QueueCounts) -> bool) -> Vec<u16> {
    let of_name = |queue: &&QueueCounts| queue.queue == name;
    let here =
        overview.partitions.iter().filter(|partition| partition.queues.iter().filter(of_name).any(&is));
    here.map(|partition| partition.partition).collect()
}

fn of_queue(overview: &Overview, workers: &[Row], queue: &QueueCounts) -> Vec<Problem> {
    let name = queue.queue.as_str();
    let mut problems = Vec::new();
    let mut add = |kind, what: String, command: String, partitions: Vec<u16>| {
        problems
            .push(Problem::new(kind, format!("queue {name}: {what}"), command).of_queue(name, partitions));
    };
    let repair = format!("tollgate-producer repair queue {name}");
    if let Some(problem) = queue.problem.and_then(QueueProblem::from_name) {
        let with = match queue.lost {
            0 => String::new(),
            lost => format!(", with {} jobs", count(lost)),
        };
        let partitions = partitions_where(overview, name, |queue| queue.problem.is_some());
        add(Kind::QueueLost, format!("{problem}{with}"), repair.clone(), partitions);
    }
    match queue.ids {
        StreamIds::OfTheClock => {}
        StreamIds::Full => {
            let here = partitions_where(overview, name, |queue| queue.ids == StreamIds::Full);
            let what = "its last id is the highest there is: nothing can be sent to it";
            add(Kind::StreamFull, what.to_owned(), repair.clone(), here);
        }
        StreamIds::Ahead => {
            let here = partitions_where(overview, name, |queue| queue.ids == StreamIds::Ahead);
            let what = "its ids are ahead of the clock: ages count from when a job was seen";
            add(Kind::IdsAhead, what.to_owned(), repair, here);
        }
    }
    let is_served = workers.iter().any(|worker| worker.serves(name));
    let waits = match queue.waiting {
        1 => "1 job waits".to_owned(),
        waiting => format!("{} jobs wait", count(waiting)),
    };
    let anywhere = partitions_where(overview, name, |queue| queue.waiting > 0);
    if queue.waiting == 0 || queue.problem.is_some() {
        if queue.in_flight > 0 && queue.oldest_age_ms.is_some_and(|age_ms| age_ms >= OLD_MS) {
            let what = format!("a job has been in flight for {}", age(queue.oldest_age_ms));
            add(Kind::JobsOld, what, "tollgate-producer worker ls".to_owned(), Vec::new());
        }
    } else if queue.status == "paused" {
        let oldest = age(queue.oldest_age_ms);
        let command = format!("tollgate-producer queue resume {name}");
        add(
            Kind::QueuePaused,
            format!("it is paused, and {waits}, the oldest for {oldest}"),
            command,
            anywhere,
        );
    } else if !is_served && workers.iter().any(Row::is_alive) {
        let what = format!("{waits}, and no worker serves it");
        add(Kind::QueueUnserved, what, format!("tollgate-worker -q {name}"), anywhere);
    } else if is_served && queue.oldest_age_ms.is_some_and(|age_ms| age_ms >= OLD_MS) {
        let what = format!("{waits}, the oldest for {}", age(queue.oldest_age_ms));
        add(Kind::JobsOld, what, "tollgate-producer worker ls".to_owned(), anywhere);
    }
    problems
}

fn of_workers(overview: &Overview, workers: &[Row]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let counts = &overview.counts;
    if !workers.iter().any(Row::is_alive) && counts.waiting + counts.in_flight + counts.scheduled > 0 {
        let what = format!(
            "no worker is alive: {} jobs wait, {} are in the hands of dead ones, {} are scheduled",
            count(counts.waiting),
            count(counts.in_flight),
            count(counts.scheduled)
        );
        problems.push(Problem::new(Kind::NoWorker, what, "tollgate-worker"));
        return problems;
    }
    for worker in workers.iter().filter(|worker| !worker.is_alive() && worker.in_flight > 0) {
        let beat = match worker.beat_age_ms {
            Some(_) => format!("has been silent for {}", age(worker.beat_age_ms)),
            None => "never beat".to_owned(),
        };
        let what = format!("worker {} {beat}, and holds {} jobs", worker.worker, count(worker.in_flight));
        problems.push(Problem::new(Kind::WorkerSilent, what, "tollgate-producer worker ls"));
    }
    problems
}

/// The problems for people, wrapped to a width: what is wrong, and under it the command.
pub(crate) struct Listed<'a> {
    pub(crate) problems: &'a [Problem],
    pub(crate) width: usize,
}

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in self.problems {
            for (number, line) in wrapped(&problem.what, self.width.saturating_sub(2)).iter().enumerate() {
                writeln!(f, "{}{line}", if number == 0 { "! " } else { "  " })?;
            }
            writeln!(f, "    {}", problem.command)?;
        }
        Ok(())
    }
}

/// Words in lines of at most `width` characters, as far as a word is not longer.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                let _ = write!(line, " {word}");
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use tollgate::scripts::integrity::MissingKey;

    use super::*;
    use crate::exit::Exit;
    use crate::overview::{Conservation, Counts, PartitionCounts, Unread};

    fn queue(name: &str, waiting: u64) -> QueueCounts {
        QueueCounts { queue: name.to_owned(), waiting, oldest_age_ms: Some(1_000), ..QueueCounts::default() }
    }

    fn worker(name: &str, queues: &[&str]) -> Row {
        let queues = queues.iter().map(ToString::to_string).collect();
        Row { worker: name.to_owned(), state: "alive", beat_age_ms: Some(10), queues, ..Row::silent(name) }
    }

    fn overview(queues: Vec<QueueCounts>) -> Overview {
        let counts = Counts { waiting: queues.iter().map(|queue| queue.waiting).sum(), ..Counts::default() };
        let conservation = Conservation { holds: true, ..Conservation::default() };
        let partition = PartitionCounts {
            partition: 0,
            counts,
            conservation,
            frozen: false,
            receipts_floor_at_ms: 0,
            retention_ms: 0,
            queues: queues.clone(),
            missing: Vec::new(),
            held_back: None,
        };
        Overview {
            at_ms: 1,
            counts,
            dead_by_reason: Vec::new(),
            conservation,
            queues,
            partitions: vec![partition],
            unread: Vec::new(),
        }
    }

    #[test]
    fn nothing_is_wrong_with_a_fresh_or_a_busy_namespace() {
        assert_eq!(of(&overview(vec![queue("default", 0)]), &[], Vec::new()), []);
        assert_eq!(of(&overview(vec![queue("default", 9)]), &[worker("w", &["default"])], Vec::new()), []);
    }

    #[test]
    fn several_things_come_worst_first_each_with_its_command() {
        let lost = QueueCounts { problem: Some("no_stream"), lost: 366, ..queue("mail", 0) };
        let old = QueueCounts { oldest_age_ms: Some(3_600_000), ..queue("slow", 5) };
        let paused = QueueCounts { status: "paused", ..queue("bulk", 7) };
        let full = QueueCounts { ids: StreamIds::Full, ..queue("full", 0) };
        let mut overview = overview(vec![queue("defualt", 3), lost, old, paused, full]);
        overview.counts.dead = 2;
        overview.partitions[0].frozen = true;
        let missing = MissingKey { key: "journal".to_owned(), what: "it is gone".to_owned() };
        overview.partitions[0].missing.push(missing);
        overview.unread =
            vec![Unread { partition: 3, error: "it is damaged".to_owned(), exit: Exit::Refused }];
        let silent = Row { in_flight: 4, ..Row::silent("gone") };
        let more = vec![Problem::new(
            Kind::UnsafeRedis,
            "eviction is on",
            "redis-cli CONFIG SET maxmemory-policy noeviction",
        )];
        let problems = of(&overview, &[worker("w", &["slow"]), silent], more);
        let said: Vec<_> = problems.iter().map(|one| (one.problem, one.command.as_str())).collect();
        let ours = |command: &'static str| command;
        assert_eq!(
            said,
            [
                (Kind::UnsafeRedis, "redis-cli CONFIG SET maxmemory-policy noeviction"),
                (Kind::PartitionUnread, "tollgate-producer audit"),
                (Kind::PartitionFrozen, "tollgate-producer audit"),
                (Kind::KeyMissing, "tollgate-producer audit"),
                (Kind::QueueLost, "tollgate-producer repair queue mail"),
                (Kind::StreamFull, "tollgate-producer repair queue full"),
                (Kind::QueueUnserved, "tollgate-worker -q defualt"),
                (Kind::WorkerSilent, "tollgate-producer worker ls"),
                (Kind::JobsOld, "tollgate-producer worker ls"),
                (Kind::QueuePaused, "tollgate-producer queue resume bulk"),
                (Kind::DeadJobs, ours("tollgate-producer dead ls")),
            ]
        );
        assert!(problems[4].what.contains("its stream is gone, with 366 jobs"), "{:?}", problems[4]);
        assert_eq!(
            (problems[4].queue.as_deref(), problems[4].partitions.as_slice()),
            (Some("mail"), &[0][..])
        );
    }

    #[test]
    fn no_worker_at_all_is_said_once() {
        let problems = of(&overview(vec![queue("a", 3), queue("b", 4)]), &[], Vec::new());
        assert_eq!(problems.iter().map(|one| one.problem).collect::<Vec<_>>(), [Kind::NoWorker]);
    }

    #[test]
    fn lines_fit_the_width() {
        let problem = Problem::new(Kind::JobsOld, "one two three four five", "x");
        let listed = Listed { problems: &[problem], width: 12 }.to_string();
        assert_eq!(listed, "! one two\n  three four\n  five\n    x\n");
        assert_eq!(wrapped("aaaaaaaaaaaa b", 4), ["aaaaaaaaaaaa", "b"]);
    }
}
