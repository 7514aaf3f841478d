//! `park`: moves entries of one row out of their stream, undecided, to scheduled or dead.

use crate::connection::failure::{Failure, Refusal};
use crate::connection::link::Link;
use crate::protocol::code::{Class, Code, Stored};
use crate::protocol::fingerprint::Fingerprint;
use crate::protocol::ids::{Bucket, JobId, QueueName};
use crate::protocol::instant::Instant;
use crate::protocol::keys::Keys;
use crate::scripts::script::{Keyword, keywords, parts, script};

use super::error::{ScriptError, status};
use super::settle::{Answer, Source};

script!(
    PARK, "park",
    [
        parts::NUMBERS, parts::CLOCK, parts::FORMAT, parts::HEAD_COUNTERS, parts::CHECKS, parts::PARKED_ROW,
        parts::DEAD_COUNT, parts::RECEIPT, parts::QUEUE_FIELDS, parts::IN_FLIGHT, parts::ROW,
    ],
    keys [head queue in_flight parked scheduled dead kept; receipts hold],
    args [
        nonce queue_name row token left;
        entry id fingerprint hour destination due_at_ms attempts reason excess envelope
    ],
    status Status,
    each Word,
    refusals [uninitialised partition_frozen corrupt_partition]
);

keywords!(
    enum Status {
        Done = "done",
    }
);

keywords! {
    enum Word {
        Parked = "parked",
        AlreadyParked = "already_parked",
        Due = "due",
        DeadFull = "dead_full",
        NotOwner = "not_owner",
        Replayed = "replayed",
        Mismatch = "id_mismatch",
        Expired = "id_expired",
    }
}

/// One entry to move.
#[derive(Debug, Clone, Copy)]
pub struct Parking<'a> {
    /// The entry.
    pub entry: &'a str,
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
    /// Another entry of the same job waits there already; this one has left its row.
    AlreadyParked,
    /// Not moved: it is due, settle it.
    Due,
    /// Not moved: too many are dead for this reason; settle it by [`Missing::Refused`].
    ///
    /// [`Missing::Refused`]: super::settle::Missing::Refused
    DeadFull,
    /// Not moved: it does not lie in the caller's row any more.
    NotOwner,
    /// Answered from a receipt (or expired), and acknowledged.
    Answered(Answer),
}

/// Most entries in one call.
pub const PARKED_MAX: usize = 500;

/// Moves entries of one row of `queue`; answers one for each, in order. Safe to call again: what was moved is no longer
/// in the row ([`Parked::NotOwner`]).
///
/// # Errors
/// As [`settle`](super::settle::settle).
pub async fn park(
    link: &mut Link,
    keys: &Keys,
    queue: &QueueName,
    source: Source<'_>,
    parkings: &[Parking<'_>],
) -> Result<Vec<Parked>, ScriptError> {
    if parkings.len() > PARKED_MAX {
        let detail = format!("{} entries to park in one call; at most {PARKED_MAX}", parkings.len());
        return Err(Failure::not_applied(Refusal::Client, detail).into());
    }
    let mut call = PARK
        .call()
        .key(keys.head())
        .key(keys.queue(queue))
        .key(keys.in_flight(queue))
        .key(keys.parked())
        .key(keys.scheduled())
        .key(keys.dead())
        .key(keys.receipts(Bucket::Kept))
        .arg(queue.as_str())
        .arg(&source.row.key)
        .arg(&source.row.token)
        .arg(source.left.join(" "));
    for Parking { entry, id, fingerprint, attempts, envelope, destination } in parkings {
        let bucket = id.bucket();
        let hour = match bucket {
            Bucket::Hour(hour) => hour.to_string(),
            Bucket::Kept => String::new(),
        };
        let (destination, due_at_ms, reason, excess) = match destination {
            Destination::Scheduled(at) => ("scheduled", at.ms(), "", "keep"),
            Destination::Dead(code) => ("dead", 0, code.name(), excess(*code)),
        };
        call.push_key(keys.receipts(bucket));
        call.push_key(keys.hold(id));
        call.push_arg(*entry);
        call.push_arg(id.as_str());
        call.push_arg(fingerprint.to_string());
        call.push_arg(hour);
        call.push_arg(destination);
        call.push_arg(due_at_ms);
        call.push_arg(*attempts);
        call.push_arg(reason);
        call.push_arg(excess);
        call.push_arg(*envelope);
    }
    let mut reply = call.run(link).await?;
    let Status::Done = status(&mut reply)?;
    let answers = parkings.iter().map(|_| read(&reply.text("answer")?));
    answers.collect::<Result<_, _>>().inspect_err(|_| link.poison()).map_err(ScriptError::from)
}

fn read(answer: &str) -> Result<Parked, Failure> {
    let unknown = || Failure::unknown(format!("an answer that this release does not know: {answer}"));
    // What a receipt answers has more words, behind colons.
    let word = answer.split_once(':').map_or(answer, |(word, _)| word);
    Ok(match Word::of(word).ok_or_else(unknown)? {
        Word::Parked => Parked::Moved,
        Word::AlreadyParked => Parked::AlreadyParked,
        Word::Due => Parked::Due,
        Word::DeadFull => Parked::DeadFull,
        Word::NotOwner => Parked::NotOwner,
        Word::Replayed | Word::Mismatch | Word::Expired => {
            Parked::Answered(Answer::from_receipt(answer).ok_or_else(unknown)?)
        }
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
