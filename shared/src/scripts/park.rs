//! `park`: moves one entry out of its stream, undecided, to scheduled or dead.

use crate::code::{Class, Code, Stored};
use crate::fingerprint::Fingerprint;
use crate::ids::{Bucket, JobId, QueueName};
use crate::instant::Instant;
use crate::keys::Keys;
use crate::link::Link;
use crate::script::{parts, script};

use super::settle::Answer;
use super::{ScriptError, common_status};

script!(
    PARK, "park", [parts::NUMBERS, parts::CHECKS, parts::PARKED_ROW, parts::DEAD_COUNT, parts::RECEIPT, parts::QUEUE_ACKED, parts::HEAD_COUNTERS],
    keys [head queue parked scheduled dead bucket kept hold],
    args [nonce consumer entry id fingerprint hour destination due_at_ms attempts queue_name reason excess envelope]
);

/// One entry to move.
#[derive(Debug, Clone, Copy)]
pub struct Parking<'a> {
    /// The queue it lies in.
    pub queue: &'a QueueName,
    /// The entry, which must be pending under `consumer`.
    pub entry: &'a str,
    /// Who moves it.
    pub consumer: &'a str,
    /// The job's id, or [`JobId::poison`].
    pub id: &'a JobId,
    /// Of its request, or of its bytes if it is poison.
    pub fingerprint: Fingerprint,
    /// How often it was tried (outside calls and users' handlers only).
    pub attempts: u32,
    /// The bytes as they came.
    pub envelope: &'a [u8],
    /// Where it goes.
    pub destination: Destination,
}

/// Where an entry goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// To `scheduled`, until the instant.
    Scheduled(Instant),
    /// To `dead`, for the reason.
    Dead(Code),
}

/// What became of the entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parked {
    /// Moved.
    Moved,
    /// Another entry of the same job waits there already; this one was acknowledged.
    AlreadyParked,
    /// Not moved: it is due, settle it.
    Due,
    /// Not moved: too many are dead for this reason; settle it by [`Missing::Refused`].
    ///
    /// [`Missing::Refused`]: super::settle::Missing::Refused
    DeadFull,
    /// Not moved: it is someone else's, or settled.
    NotOwner,
    /// Answered from a receipt (or expired), and acknowledged.
    Answered(Answer),
}

/// Moves one entry; safe to call again: then the entry is no longer ours (`NotOwner`).
///
/// # Errors
/// As [`settle`](super::settle::settle).
pub async fn park(link: &mut Link, keys: &Keys, parking: Parking<'_>) -> Result<Parked, ScriptError> {
    let Parking { queue, entry, consumer, id, fingerprint, attempts, envelope, destination } = parking;
    let bucket = id.bucket();
    let hour = match bucket {
        Bucket::Hour(hour) => hour.to_string(),
        Bucket::Kept => String::new(),
    };
    let (destination, due_at_ms, reason, excess) = match destination {
        Destination::Scheduled(at) => ("scheduled", at.ms(), "", "keep"),
        Destination::Dead(code) => ("dead", 0, code.name(), excess(code)),
    };
    let mut reply = PARK
        .call()
        .key(keys.head())
        .key(keys.queue(queue))
        .key(keys.parked())
        .key(keys.scheduled())
        .key(keys.dead())
        .key(keys.receipts(bucket))
        .key(keys.receipts(Bucket::Kept))
        .key(keys.hold(id))
        .arg(consumer)
        .arg(entry)
        .arg(id.as_str())
        .arg(fingerprint.to_string())
        .arg(hour)
        .arg(destination)
        .arg(due_at_ms)
        .arg(attempts)
        .arg(queue.as_str())
        .arg(reason)
        .arg(excess)
        .arg(envelope)
        .run(link)
        .await?;
    let status = reply.text("status")?;
    Ok(match status.as_str() {
        "parked" => Parked::Moved,
        "already_parked" => Parked::AlreadyParked,
        "due" => Parked::Due,
        "dead_full" => Parked::DeadFull,
        "not_owner" => Parked::NotOwner,
        other => match Answer::from_receipt(other) {
            Some(answer) => Parked::Answered(answer),
            None => return Err(common_status(other, &mut reply)),
        },
    })
}

/// How many jobs lie in dead for one reason in one partition, before those that come are refused or stripped.
pub const DEAD_MAX: u64 = 10_000;

/// What becomes of a job that is dead for this reason where [`DEAD_MAX`] are already. What a repair can bring back
/// is always kept.
fn excess(code: Code) -> &'static str {
    match (code.stored(), code.class()) {
        (Stored::PastBound, _) => "refuse",
        (_, Class::Undecidable) if code != Code::WrongPartition => "keep",
        _ => "strip",
    }
}
