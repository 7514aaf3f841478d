//! The head of a partition: its form, what it says of the journal, and the conservation law.

use redis::Value;

use tollgate::failure::Failure;
use tollgate::ids::HOUR_MS;
use tollgate::instant::Instant;
use tollgate::scripts::init::FORMAT;
use tollgate::scripts::stats::{QueueStats, StreamIds};
use tollgate::scripts::{ScriptError, stats};

use super::context::AuditContext;
use super::read::{Field, damage, field, fields, judge, number, shown};
use super::report::Check;

/// What the head says of journal and receipts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) seq: u64,
    pub(super) hash: String,
    pub(super) floor_hour: u64,
    /// The highest floor that there ever was; the floor itself if that cannot be read, which [`read`] tells.
    pub(super) floor_highest_hour: u64,
    /// Parked jobs that went with a decision; `None` if that is no number, which is told by [`read`].
    pub(super) overtaken: Option<u64>,
}

/// Its fields that this module's [`of_fields`] reads, in order.
pub(super) const FIELDS: [&str; 5] = ["seq", "hash", "receipts_floor", "overtaken", "floor_highest"];

/// The counters that must be there, whatever their value.
const COUNTERS: [&str; 17] = [
    "seq",
    "receipts_floor",
    "floor_highest",
    "dropped_hour_highest",
    "floor_credit_ms",
    "floor_step_ms",
    "retention_ms",
    "acked",
    "to_scheduled",
    "to_dead",
    "requeued",
    "discarded",
    "overtaken",
    "replayed",
    "mismatched",
    "expired",
    "frozen",
];

/// Reads these fields; `None` if the first three are damaged.
pub(super) fn of_fields(found: &[Field]) -> Option<Head> {
    let [seq, hash, floor, overtaken, highest] = found else { return None };
    let hash = String::from_utf8(hash.clone()?).ok()?;
    let floor_hour = number(floor)?;
    Some(Head {
        seq: number(seq)?,
        hash,
        floor_hour,
        floor_highest_hour: number(highest).unwrap_or(floor_hour),
        overtaken: number(overtaken),
    })
}

/// Reads the head and judges its form.
pub(super) async fn read(context: &mut AuditContext<'_>) -> Result<Option<Head>, Failure> {
    let names: Vec<&str> =
        COUNTERS.into_iter().chain(["format", "identity", "partition", "partitions", "hash"]).collect();
    let mut command = redis::cmd("HMGET");
    command.arg(context.keys.head()).arg(&names);
    let found = match judge(context.link.run(&command).await)? {
        Ok(value) => fields(value),
        Err(what) => {
            context.findings.violation(Check::G9, "head", &[], "a hash", &what, "the head cannot be read");
            return Ok(None);
        }
    };
    if found.iter().all(Option::is_none) {
        let what = "the partition has no head: restore what was lost";
        context.findings.violation(Check::G9, "head", &[], "a head", "nothing", what);
        return Ok(None);
    }
    let value = |name: &str| {
        names.iter().zip(&found).find(|(at, _)| **at == name).and_then(|(_, field)| field.clone())
    };
    for name in COUNTERS.into_iter().filter(|name| number(&value(name)).is_none()) {
        let what = format!("{name} of the head is no number");
        context.findings.violation(Check::G10, "head", &[], "a whole number", shown(&value(name)), what);
    }
    let (partition, partitions) =
        (context.partition.to_string(), context.tollgate.partitions().count().to_string());
    let identity = context.tollgate.identity().as_str().to_owned();
    for (name, expected) in
        [("format", FORMAT), ("identity", &identity), ("partition", &partition), ("partitions", &partitions)]
    {
        if value(name).as_deref() != Some(expected.as_bytes()) {
            let what = format!("{name} of the head is another");
            context.findings.violation(
                Check::G9,
                "head",
                &[],
                format!("{expected:?}"),
                shown(&value(name)),
                what,
            );
        }
    }
    if value("hash").is_none() {
        let what = "the head does not say the hash of the journal's last entry";
        context.findings.violation(Check::G9, "head", &[], "a hash", "nothing", what);
    }
    let head = of_fields(&FIELDS.map(value));
    if let Some(head) = &head {
        let hour = Instant::now().ms() / HOUR_MS;
        // A day of slack: the clock here is not the server's.
        if head.floor_hour > hour + 24 {
            let what = "the receipts floor lies in the future: it would expire every id";
            context.findings.violation(
                Check::G4,
                "head",
                &[],
                format!("at most {hour}"),
                head.floor_hour,
                what,
            );
        }
        let dropped = number(&value("dropped_hour_highest"));
        if head.floor_highest_hour < head.floor_hour
            || dropped.is_some_and(|hour| hour >= head.floor_hour.max(1))
        {
            let what =
                "the floors contradict one another: an id whose receipt was dropped could execute again";
            let found = format!(
                "{} <= {} <= {}",
                shown(&value("dropped_hour_highest")),
                head.floor_hour,
                head.floor_highest_hour
            );
            let expected = "highest hour dropped < floor <= highest floor";
            context.findings.violation(Check::G3, "head", &[], expected, found, what);
        }
    }
    Ok(head)
}

/// The seq of the journal's last entry, whoever wrote it.
pub(super) async fn journal_tail(context: &mut AuditContext<'_>) -> Result<u64, Failure> {
    let mut command = redis::cmd("XREVRANGE");
    command.arg(context.keys.journal()).arg("+").arg("-").arg("COUNT").arg(1);
    let Ok(Value::Array(rows)) = judge(context.link.run(&command).await)? else { return Ok(0) };
    let Some(Value::Array(row)) = rows.into_iter().next() else { return Ok(0) };
    let id = row.into_iter().next().and_then(field).unwrap_or_default();
    let id = String::from_utf8_lossy(&id);
    Ok(id.split('-').next().and_then(|seq| seq.parse().ok()).unwrap_or_default())
}

/// How far the journal's stream has counted, by the id that Redis keeps beside the entries.
///
/// It survives XDEL: someone who adds an entry with a higher id and takes it out again leaves a journal that looks
/// whole and that no settle can add to.
pub(super) async fn journal_counted(context: &mut AuditContext<'_>) -> Result<u64, Failure> {
    let mut command = redis::cmd("XINFO");
    command.arg("STREAM").arg(context.keys.journal());
    let rows = match context.link.run(&command).await {
        // No journal yet, or damage that `journal_tail` and the replay tell.
        Err(Failure::Server { code, .. }) if code == "ERR" || code == "WRONGTYPE" => return Ok(0),
        reply => fields(reply?),
    };
    let last = rows.iter().skip_while(|row| row.as_deref() != Some(b"last-generated-id")).nth(1);
    let id = last.cloned().flatten().unwrap_or_default();
    Ok(String::from_utf8_lossy(&id).split('-').next().and_then(|seq| seq.parse().ok()).unwrap_or_default())
}

/// Told if the stream has counted past `head`, which was read later, and past `tail`, which is told anyway.
pub(super) fn judge_counted(context: &mut AuditContext<'_>, counted: u64, tail: u64, head: Option<&Head>) {
    let Some(head) = head else { return };
    if counted > head.seq.max(tail) {
        let what =
            "the stream has counted past the head, so settle cannot add to it: set its last id back (XSETID)";
        let expected = format!("last id {}", head.seq);
        context.findings.violation(Check::G9, "journal", &[head.seq], expected, counted, what);
    }
}

/// Every entry that was accepted is in exactly one place: read by one script, so exact at any instant.
pub(super) async fn conservation(context: &mut AuditContext<'_>) -> Result<(), Failure> {
    let what = match stats::read(context.link, context.keys).await {
        Ok(stats) => {
            let head = &stats.head;
            let sum = |counts: &[u64]| counts.iter().map(|count| i128::from(*count)).sum::<i128>();
            let queues = &stats.queues;
            let added: Vec<u64> = queues.iter().map(|queue| queue.entries_added).collect();
            let in_queues: Vec<u64> =
                queues.iter().flat_map(|queue| [queue.waiting, queue.in_flight]).collect();
            let accepted = sum(&added) + i128::from(head.added_before) - i128::from(head.requeued);
            let settled = i128::from(head.acked) - sum(&[head.to_scheduled, head.to_dead, head.vanished]);
            let gone = sum(&[head.discarded, head.overtaken, head.lost, head.vanished]);
            let places = settled + sum(&in_queues) + sum(&[stats.scheduled, stats.dead]) + gone;
            for queue in queues {
                lost_queue(context, queue);
            }
            if accepted != places {
                let found = format!(
                    "{places} = {settled} settled + {} in queues + {} scheduled + {} dead + {} discarded + {} overtaken + {} lost + {} vanished",
                    sum(&in_queues),
                    stats.scheduled,
                    stats.dead,
                    head.discarded,
                    head.overtaken,
                    head.lost,
                    head.vanished
                );
                let expected = format!(
                    "{accepted} accepted = {} added - {} requeued",
                    accepted + i128::from(head.requeued),
                    head.requeued
                );
                let what = "the conservation law does not hold: jobs were lost, invented or counted twice";
                context.findings.violation(Check::G10, "head", &[], expected, found, what);
            }
            if head.vanished > 0 {
                let what = "jobs were deleted from their streams past the scripts, undecided: nobody can settle them";
                context.findings.violation(Check::G10, "head", &[], 0, head.vanished, what);
            }
            let by_reason: u64 = head.dead_by_reason.values().sum();
            if by_reason != stats.dead {
                let what = "the head counts other dead jobs by reason than there are";
                context.findings.violation(Check::G10, "head", &[], stats.dead, by_reason, what);
            }
            if let Some(queue) = stats.contradicted_queue() {
                let resource = format!("queue:{}", queue.name);
                let found = if queue.has_waiting { "entries" } else { "none" };
                let expected = format!("{} that were never taken", queue.waiting);
                let what = "entries were taken out of the stream past the scripts";
                context.findings.violation(Check::G10, resource, &[], expected, found, what);
            }
            return Ok(());
        }
        Err(ScriptError::Failure(failure)) => damage(failure)?,
        // Told by `read`.
        Err(ScriptError::Uninitialised) => return Ok(()),
        Err(error) => error.to_string(),
    };
    context.findings.violation(
        Check::G10,
        "head",
        &[],
        "counters and queues",
        what,
        "head or queues cannot be counted",
    );
    Ok(())
}

/// Names what of a queue had been there and is gone, how much went with it, and ids that follow no clock.
fn lost_queue(context: &mut AuditContext<'_>, queue: &QueueStats) {
    let resource = format!("queue:{}", queue.name);
    if let Some(problem) = queue.problem {
        let found = match queue.lost {
            0 => "none that is known to be gone; it may be that some were added and never counted".to_owned(),
            lost => format!("{lost} of them are gone"),
        };
        let what = format!("the queue was lost: {problem}");
        let expected = format!("{} entries ever added", queue.entries_added);
        context.findings.violation(Check::G10, &resource, &[], expected, found, what);
    }
    if queue.ids == StreamIds::Full {
        let what = "nothing can be added to the queue any more";
        let expected = "a last id that the clock will reach";
        context.findings.violation(Check::G10, &resource, &[], expected, "the highest id there is", what);
    }
}

/// The head as it is now.
pub(super) async fn floors(context: &mut AuditContext<'_>) -> Result<Option<Head>, Failure> {
    let mut command = redis::cmd("HMGET");
    command.arg(context.keys.head()).arg(&FIELDS);
    Ok(judge(context.link.run(&command).await)?.ok().and_then(|value| of_fields(&fields(value))))
}
