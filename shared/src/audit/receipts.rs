//! Receipts: each line's id must have one that names the last line of the id, with its code and its request; and
//! there must be no others.
//!
//! Read in chunks while replaying. Ids are not kept: that there are no others is seen by counting, bucket by bucket;
//! only a bucket that holds more than the journal says is read again, to name what does not belong there.

use std::collections::{HashMap, HashSet};

use redis::{Pipeline, Value};

use crate::failure::Failure;
use crate::fingerprint::Fingerprint;
use crate::ids::{Bucket, JobId};
use crate::journal::{self, Line};

use super::Room;
use super::head::{self, Head};
use super::holders::Weigher;
use super::read::{Field, fields, judge, pairs, scanned, shown};
use super::replay::Replay;
use super::report::Check;

/// Lines whose receipts are read at once.
const FLUSH_AT: usize = 5_000;
/// Ids of one HMGET.
const CHUNK: usize = 250;
/// Receipts of one HSCAN.
const SCAN_COUNT: usize = 1_000;
/// How often a count is tried that has to be of one instant.
const TRIES: usize = 50;
/// Buckets whose surplus receipts are named.
const NAMED_BUCKETS_MAX: usize = 8;

/// The receipts that the lines so far demand.
pub(super) struct Receipts {
    waiting: Vec<Waiting>,
    /// How many receipts of ours each bucket has.
    counts: HashMap<Bucket, u64>,
    /// Timed ids of earlier hours may have lost theirs; it only rises.
    floor_hour: u64,
}

/// A line whose receipt is to be read.
struct Waiting {
    id: JobId,
    seq: u64,
    /// `<fingerprint> <code> <seq>`
    receipt: String,
    /// Whether the line's seq is certain.
    is_certain: bool,
}

impl Receipts {
    pub(super) fn new(floor_hour: u64) -> Self {
        Self { waiting: Vec::new(), counts: HashMap::new(), floor_hour }
    }

    /// Takes a line. Where the journal is not contiguous its seq is not certain, and so is its receipt.
    pub(super) fn push(&mut self, line: Line, is_certain: bool) {
        let receipt = format!("{} {} {}", Fingerprint::of(&line.request), line.code, line.seq);
        self.waiting.push(Waiting { id: line.id, seq: line.seq, receipt, is_certain });
    }

    pub(super) async fn flush_if_many(&mut self, room: &mut Room<'_>) -> Result<(), Failure> {
        if self.waiting.len() >= FLUSH_AT { self.flush(room).await } else { Ok(()) }
    }

    /// Reads and judges the receipts of the lines taken so far.
    pub(super) async fn flush(&mut self, room: &mut Room<'_>) -> Result<(), Failure> {
        // More than one round only where the floor rose meanwhile: then some are to be looked up in kept.
        while !self.waiting.is_empty() {
            let mut of_bucket: HashMap<Bucket, Vec<Waiting>> = HashMap::new();
            for waiting in self.waiting.drain(..) {
                of_bucket.entry(bucket(&waiting.id, self.floor_hour)).or_default().push(waiting);
            }
            let mut pipeline = Pipeline::new();
            for (bucket, lines) in &of_bucket {
                for chunk in lines.chunks(CHUNK) {
                    pipeline.cmd("HMGET").arg(room.keys.receipts(*bucket));
                    chunk.iter().for_each(|waiting| _ = pipeline.arg(waiting.id.as_str()));
                }
            }
            let mut replies = room.link.run_pipeline(&pipeline).await?.into_iter();
            for (bucket, lines) in of_bucket {
                self.judge_bucket(room, bucket, lines, &mut replies).await?;
            }
        }
        Ok(())
    }

    async fn judge_bucket(
        &mut self,
        room: &mut Room<'_>,
        bucket: Bucket,
        lines: Vec<Waiting>,
        replies: &mut impl Iterator<Item = Result<Value, Failure>>,
    ) -> Result<(), Failure> {
        let mut damaged = None;
        let mut lines = lines.into_iter();
        while lines.len() > 0 {
            let chunk = lines.by_ref().take(CHUNK);
            match judge(replies.next().ok_or_else(|| Failure::unknown("a reply is missing"))?)? {
                Ok(value) => {
                    for (waiting, found) in chunk.zip(fields(value)) {
                        self.judge(room, bucket, waiting, found).await?;
                    }
                }
                Err(what) => {
                    chunk.for_each(drop);
                    damaged = Some(what);
                }
            }
        }
        if let Some(found) = damaged {
            let what = "the receipts cannot be read";
            room.findings.violation(Check::G4, bucket_name(bucket), &[], "a hash", found, what);
        }
        Ok(())
    }

    async fn judge(
        &mut self,
        room: &mut Room<'_>,
        bucket: Bucket,
        waiting: Waiting,
        found: Field,
    ) -> Result<(), Failure> {
        let Waiting { id, seq, receipt, is_certain } = &waiting;
        let resource = || format!("receipt:{id}");
        let Some(bytes) = found.as_deref() else {
            // Below the floor it was dropped with its bucket, unless the id was decided below the floor: then it
            // is in kept.
            if let Bucket::Hour(hour) = id.bucket() {
                if hour < self.floor_hour {
                    return Ok(());
                }
                self.floor_hour = floor_hour(room).await?.unwrap_or(self.floor_hour);
                if hour < self.floor_hour {
                    self.waiting.push(waiting);
                    return Ok(());
                }
            }
            let what = "the line's id has no receipt: sent again, it would be executed again";
            room.findings.violation(Check::G4, resource(), &[*seq], receipt, "nothing", what);
            return Ok(());
        };
        room.findings.checked.receipts += 1;
        if bytes == receipt.as_bytes() {
            *self.counts.entry(bucket).or_default() += 1;
            return Ok(());
        }
        // It may name another line of the same id: an id has one line (until payouts come).
        let text = String::from_utf8_lossy(bytes).into_owned();
        let words: Vec<&str> = text.split(' ').collect();
        let names = words.get(2).and_then(|word| word.parse::<u64>().ok()).filter(|named| named != seq);
        if let Some(named) = names
            && let Ok(Some(line)) = journal::line_at(room.link, room.keys, named).await?
            && line.id == *id
        {
            if *is_certain {
                let what = "the id was decided twice";
                let expected = "one line for each id";
                room.findings.violation(Check::G3, resource(), &[*seq, named], expected, "two lines", what);
            }
            return Ok(());
        }
        *self.counts.entry(bucket).or_default() += 1;
        if *is_certain {
            let is_other_request = words.len() == 3 && !receipt.starts_with(words[0]);
            let (check, what) = if is_other_request {
                (Check::G5, "the receipt is of another request than the line")
            } else {
                (Check::G4, "the receipt says something else than the line")
            };
            room.findings.violation(check, resource(), &[*seq], format!("{receipt:?}"), shown(&found), what);
        }
        Ok(())
    }

    /// Whether the bucket of this hour is at or above the receipts floor, as far as was read.
    pub(super) fn is_current(&self, hour: u64) -> bool {
        hour >= self.floor_hour
    }

    /// How many receipts of this bucket the journal accounts for.
    pub(super) fn count(&self, bucket: Bucket) -> u64 {
        self.counts.get(&bucket).copied().unwrap_or_default()
    }
}

/// Where an id's receipt is, if it has one.
fn bucket(id: &JobId, floor_hour: u64) -> Bucket {
    match id.bucket() {
        Bucket::Hour(hour) if hour < floor_hour => Bucket::Kept,
        other => other,
    }
}

fn bucket_name(bucket: Bucket) -> String {
    match bucket {
        Bucket::Hour(hour) => format!("receipts:{hour}"),
        Bucket::Kept => "receipts:kept".to_owned(),
    }
}

async fn floor_hour(room: &mut Room<'_>) -> Result<Option<u64>, Failure> {
    let mut command = redis::cmd("HMGET");
    command.arg(room.keys.head()).arg(&head::FIELDS);
    Ok(judge(room.link.run(&command).await)?
        .ok()
        .and_then(|value| head::of_fields(&fields(value)))
        .map(|head| head.floor_hour))
}

/// How many receipts each bucket held when the head was at `seq`.
pub(super) struct Sizes {
    /// Where the replay has to be to compare them.
    pub(super) seq: u64,
    /// The head at that moment; `None` if it is damaged.
    pub(super) head: Option<Head>,
    /// Empty if they could not be read at one instant.
    sizes: Vec<(Bucket, u64)>,
}

/// Counts every bucket that the journal so far names, at one seq.
pub(super) async fn sizes(room: &mut Room<'_>, receipts: &Receipts) -> Result<Sizes, Failure> {
    let mut buckets: Vec<Bucket> = receipts.counts.keys().copied().chain([Bucket::Kept]).collect();
    buckets.sort_unstable();
    buckets.dedup();
    let mut pipeline = Pipeline::new();
    pipeline.cmd("HMGET").arg(room.keys.head()).arg(&head::FIELDS);
    for bucket in &buckets {
        pipeline.cmd("HLEN").arg(room.keys.receipts(*bucket));
    }
    pipeline.cmd("HMGET").arg(room.keys.head()).arg(&head::FIELDS);
    let mut last = None;
    // A pipeline is no transaction, but seldom interrupted: equal heads before and after are one instant.
    for _ in 0..TRIES {
        let mut replies = Vec::with_capacity(pipeline.len());
        for reply in room.link.run_pipeline(&pipeline).await? {
            replies.push(judge(reply)?.unwrap_or(Value::Nil));
        }
        let head = |value: Option<Value>| value.and_then(|value| head::of_fields(&fields(value)));
        let (after, before) = (head(replies.pop()), head(Some(replies.remove(0))));
        let is_one_instant = before == after;
        last = after;
        if is_one_instant {
            let size = |value| match value {
                Value::Int(size) => u64::try_from(size).ok(),
                // Told when it was read for its lines.
                _ => None,
            };
            let sizes =
                buckets.iter().zip(replies).filter_map(|(bucket, value)| Some((*bucket, size(value)?)));
            return Ok(Sizes {
                seq: last.as_ref().map_or(0, |head| head.seq),
                sizes: sizes.collect(),
                head: last,
            });
        }
    }
    room.findings.checked.in_progress += buckets.len() as u64;
    Ok(Sizes { seq: last.as_ref().map_or(0, |head| head.seq), head: last, sizes: Vec::new() })
}

/// Compares the counts with the journal's, the replay being where they were taken.
pub(super) async fn compare_sizes(
    room: &mut Room<'_>,
    replay: &mut Replay,
    sizes: &Sizes,
) -> Result<(), Failure> {
    let floor = sizes.head.as_ref().map_or(0, |head| head.floor_hour);
    let mut named = 0;
    for (bucket, size) in sizes.sizes.iter().copied() {
        let expected = replay.receipts.count(bucket);
        if size == expected || matches!(bucket, Bucket::Hour(hour) if hour < floor) {
            continue;
        }
        named += 1;
        let is_named = size > expected && named <= NAMED_BUCKETS_MAX && name_surplus(room, bucket).await?;
        if !is_named {
            let what = "the bucket has another number of receipts than the journal has ids for it";
            room.findings.violation(Check::G4, bucket_name(bucket), &[], expected, size, what);
        }
    }
    Ok(())
}

/// Names the receipts of a bucket whose ids the journal does not have; false if there are none (any more).
/// Holds eight bytes for each id of that bucket.
pub(super) async fn name_surplus(room: &mut Room<'_>, bucket: Bucket) -> Result<bool, Failure> {
    let weigher = Weigher::fresh();
    let weigh = |id: &[u8]| weigher.weight_of(id) as u64;
    let mut known = HashSet::new();
    let (mut after, mut seq) = (None, 0);
    loop {
        let page = journal::page(room.link, room.keys, after.as_deref(), 200).await?;
        for row in &page {
            after = Some(match row {
                Ok(entry) => {
                    for line in entry.each_line().flatten() {
                        let lies_here = match bucket {
                            Bucket::Kept => true,
                            Bucket::Hour(_) => line.id.bucket() == bucket,
                        };
                        if lies_here {
                            known.insert(weigh(line.id.as_str().as_bytes()));
                        }
                    }
                    seq = entry.seq_last;
                    format!("{seq}-0")
                }
                Err(damage) => damage.entry.clone(),
            });
        }
        if page.len() < 200 {
            break;
        }
    }
    let mut found_any = false;
    let mut cursor = b"0".to_vec();
    let mut told = HashSet::new();
    loop {
        let mut command = redis::cmd("HSCAN");
        command.arg(room.keys.receipts(bucket)).arg(&cursor).arg("COUNT").arg(SCAN_COUNT);
        let Ok(value) = judge(room.link.run(&command).await)? else { return Ok(false) };
        let (next, items) = scanned(value);
        for (id, receipt) in pairs(items) {
            if known.contains(&weigh(&id)) || room.findings.is_full() || !told.insert(weigh(&id)) {
                continue;
            }
            // Decided since the journal was read?
            let named = receipt_seq(&receipt);
            if let Some(named) = named.filter(|named| *named > seq)
                && let Ok(Some(line)) = journal::line_at(room.link, room.keys, named).await?
                && line.id.as_str().as_bytes() == id
            {
                continue;
            }
            found_any = true;
            let resource = format!("receipt:{}", String::from_utf8_lossy(&id));
            let positions: Vec<u64> = named.into_iter().collect();
            let what = "a receipt without a line: the id would be answered for what never happened";
            room.findings.violation(Check::G4, resource, &positions, "nothing", shown(&Some(receipt)), what);
        }
        if next == b"0" {
            return Ok(found_any);
        }
        cursor = next;
    }
}

fn receipt_seq(receipt: &[u8]) -> Option<u64> {
    std::str::from_utf8(receipt).ok()?.split(' ').nth(2)?.parse().ok()
}
