//! Receipts: each line's id must have one that names the last line of the id, with its code and its request; and
//! there must be no others.
//!
//! Read in chunks while replaying. Ids are not kept: that there are no others is seen by counting, bucket by bucket;
//! only a bucket that holds more than the journal says is read again, to name what does not belong there.

use std::collections::{HashMap, HashSet};

use redis::{Pipeline, Value};

use tollgate::code::Code;
use tollgate::failure::Failure;
use tollgate::fingerprint::Fingerprint;
use tollgate::ids::{Bucket, JobId};
use tollgate::journal::Line;
use tollgate::kinds::{Event, JobRequest};

use super::context::AuditContext;
use super::given_back::{self, Originals};
use super::head::{self, Head};
use super::holders::MultisetHash;
use super::model::Model;
use super::read::{Field, each_line, field, fields, judge, line_at, number, pairs, scanned, shown};
use super::receipt_text::Stored;
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
    /// Lines that give something back, whose originals are to be read.
    pub(super) originals: Originals,
    /// How many receipts of ours each bucket has.
    counts: HashMap<Bucket, u64>,
    /// Payouts whose receipt was dropped with its bucket: their next step writes one to kept.
    absent_below_floor: u64,
    /// Timed ids of earlier hours may have lost theirs.
    floor_hour: u64,
    /// Receipts of earlier hours may be in kept as well: the floor was there once.
    floor_highest_hour: u64,
}

/// What a line demands of the receipt of its id. Only payouts have more than one line for an id: their receipt
/// names the last one, and keeps the fingerprint of the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReceiptRule {
    /// It names this line.
    Only(Fingerprint),
    /// It names this line or a later one of the same payout.
    Begun(Fingerprint),
    /// The same, of a payout that was counted when it began.
    Open(Fingerprint),
    /// The same, of a payout that has ended: only `paid_after_void` may follow. `None` where the journal does not
    /// tell what was asked.
    Ended(Option<Fingerprint>),
}

impl ReceiptRule {
    /// What the line demands, `model` being as it was before the line; `None` if a later line, or the end, will.
    pub(super) fn of(line: &Line, model: &Model) -> Option<Self> {
        match (&line.event, line.code) {
            (Event::Job(JobRequest::Payout(request)), Code::Held) => {
                Some(Self::Begun(Fingerprint::of(request)))
            }
            (Event::Job(JobRequest::Reserve(request)), Code::Reserved) => {
                Some(Self::Begun(Fingerprint::of(request)))
            }
            (Event::Reservation(_), _) => {
                let hold = model.reservations.get(&line.id).and_then(|order| order.hold);
                Some(Self::Ended(hold.map(|hold| hold.fingerprint)))
            }
            (Event::Payout(_), Code::Held | Code::Paying | Code::NeedsReview) => None,
            (Event::Payout(_), _) => {
                Some(Self::Ended(model.holds.get(&line.id).map(|hold| hold.fingerprint)))
            }
            (event, _) => Some(Self::Only(Fingerprint::of(event))),
        }
    }

    fn fingerprint(self) -> Option<Fingerprint> {
        match self {
            Self::Only(fingerprint) | Self::Begun(fingerprint) | Self::Open(fingerprint) => Some(fingerprint),
            Self::Ended(fingerprint) => fingerprint,
        }
    }

    /// Each id is counted once in its bucket.
    fn counts(self) -> bool {
        matches!(self, Self::Only(_) | Self::Begun(_))
    }
}

/// A line whose receipt is to be read.
struct Waiting {
    id: JobId,
    seq: u64,
    code: Code,
    rule: ReceiptRule,
    /// Whether the line's seq is certain.
    is_certain: bool,
    /// Whether its receipt is looked for in kept, since its own bucket does not have it.
    is_in_kept: bool,
}

impl Receipts {
    pub(super) fn new(head: Option<&Head>) -> Self {
        let (floor_hour, floor_highest_hour) =
            head.map_or((0, 0), |head| (head.floor_hour, head.floor_highest_hour));
        let (waiting, originals, counts) = Default::default();
        Self { waiting, originals, counts, absent_below_floor: 0, floor_hour, floor_highest_hour }
    }

    /// Takes a line. Where the journal is not contiguous its seq is not certain.
    pub(super) fn push(&mut self, id: JobId, seq: u64, code: Code, rule: ReceiptRule, is_certain: bool) {
        self.waiting.push(Waiting { id, seq, code, rule, is_certain, is_in_kept: false });
    }

    pub(super) async fn flush_if_many(&mut self, context: &mut AuditContext<'_>) -> Result<(), Failure> {
        if self.waiting.len() >= FLUSH_AT { self.flush(context).await } else { Ok(()) }
    }

    /// Reads and judges the receipts of the lines taken so far.
    pub(super) async fn flush(&mut self, context: &mut AuditContext<'_>) -> Result<(), Failure> {
        self.originals.flush(context, self.floor_hour).await?;
        // More than one round only where the floor rose meanwhile: then some are to be looked up in kept.
        while !self.waiting.is_empty() {
            let mut of_bucket: HashMap<Bucket, Vec<Waiting>> = HashMap::new();
            for waiting in self.waiting.drain(..) {
                let bucket = match waiting.is_in_kept {
                    true => Bucket::Kept,
                    false => bucket(&waiting.id, self.floor_hour),
                };
                of_bucket.entry(bucket).or_default().push(waiting);
            }
            let mut pipeline = Pipeline::new();
            for (bucket, lines) in &of_bucket {
                for chunk in lines.chunks(CHUNK) {
                    pipeline.cmd("HMGET").arg(context.keys.receipts(*bucket));
                    chunk.iter().for_each(|waiting| _ = pipeline.arg(waiting.id.as_str()));
                }
            }
            let mut replies = context.link.run_pipeline(&pipeline).await?.into_iter();
            for (bucket, lines) in of_bucket {
                self.judge_bucket(context, bucket, lines, &mut replies).await?;
            }
        }
        Ok(())
    }

    async fn judge_bucket(
        &mut self,
        context: &mut AuditContext<'_>,
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
                        self.judge(context, bucket, waiting, found).await?;
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
            context.findings.violation(Check::G4, bucket_name(bucket), &[], "a hash", found, what);
        }
        Ok(())
    }

    async fn judge(
        &mut self,
        context: &mut AuditContext<'_>,
        bucket: Bucket,
        waiting: Waiting,
        found: Field,
    ) -> Result<(), Failure> {
        let Waiting { id, seq, code, rule, is_certain, is_in_kept } = &waiting;
        let resource = || format!("receipt:{id}");
        let expected = || {
            let fingerprint =
                rule.fingerprint().map(|fingerprint| format!("{fingerprint} ")).unwrap_or_default();
            format!("{fingerprint}{code} {seq}")
        };
        let Some(bytes) = found.as_deref() else {
            // Below the floor it was dropped with its bucket, unless the id was decided below the floor: then it
            // is in kept.
            if let Bucket::Hour(hour) = id.bucket() {
                if hour < self.floor_hour {
                    self.absent_below_floor += u64::from(matches!(rule, ReceiptRule::Begun(_)));
                    return Ok(());
                }
                if let Some(head) = head::floors(context).await? {
                    (self.floor_hour, self.floor_highest_hour) = (head.floor_hour, head.floor_highest_hour);
                }
                if hour < self.floor_hour {
                    self.waiting.push(waiting);
                    return Ok(());
                }
                // Decided while the floor was above it.
                if hour < self.floor_highest_hour && !is_in_kept {
                    self.waiting.push(Waiting { is_in_kept: true, ..waiting });
                    return Ok(());
                }
            }
            let what = "the line's id has no receipt: sent again, it would be executed again";
            context.findings.violation(Check::G4, resource(), &[*seq], expected(), "nothing", what);
            return Ok(());
        };
        let count = u64::from(rule.counts());
        context.findings.checked.receipts += count;
        let stored = Stored::parse(bytes);
        if let Some(told) = stored.as_ref().and_then(|stored| stored.given_back) {
            given_back::verify(context, id, told, &found).await?;
        }
        let is_same_request = |stored: &Stored<'_>| {
            rule.fingerprint().is_none_or(|ours| ours.to_string() == stored.fingerprint)
        };
        match stored {
            Some(stored) if stored.seq == *seq && stored.code == code.name() && is_same_request(&stored) => {}
            // A later line of a payout: judged where it is replayed, except the fingerprint.
            Some(stored)
                if matches!(rule, ReceiptRule::Begun(_)) && stored.seq > *seq && is_same_request(&stored) => {
            }
            Some(stored) if stored.seq != *seq => {
                // It may name another line of the same id.
                let line = line_at(context.link, context.keys, stored.seq).await?;
                match line.filter(|line| line.id == *id) {
                    Some(later) if may_follow(*rule, *seq, &later) => {}
                    Some(_) if *is_certain => {
                        let (expected, what) = ("one decision for each id", "the id was decided twice");
                        let positions = [*seq, stored.seq];
                        context.findings.violation(Check::G3, resource(), &positions, expected, "two", what);
                        // The other line counts it.
                        return Ok(());
                    }
                    Some(_) => return Ok(()),
                    None if *is_certain => {
                        let what = "the receipt names a line of something else";
                        context.findings.violation(
                            Check::G4,
                            resource(),
                            &[*seq],
                            expected(),
                            shown(&found),
                            what,
                        );
                    }
                    None => {}
                }
            }
            Some(stored) if !is_same_request(&stored) && *is_certain => {
                let what = "the receipt is of another request than the line";
                context.findings.violation(Check::G5, resource(), &[*seq], expected(), shown(&found), what);
            }
            _ if *is_certain => {
                let what = "the receipt says something else than the line";
                context.findings.violation(Check::G4, resource(), &[*seq], expected(), shown(&found), what);
            }
            _ => {}
        }
        *self.counts.entry(bucket).or_default() += count;
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

/// Whether a receipt may name the later line instead of the one that demands it.
fn may_follow(rule: ReceiptRule, seq: u64, later: &Line) -> bool {
    let is_step = matches!(later.event, Event::Payout(_) | Event::Reservation(_));
    later.seq > seq
        && match rule {
            ReceiptRule::Only(_) => false,
            ReceiptRule::Begun(_) | ReceiptRule::Open(_) => is_step,
            ReceiptRule::Ended(_) => later.code == Code::PaidAfterVoid,
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
pub(super) async fn sizes(context: &mut AuditContext<'_>, receipts: &Receipts) -> Result<Sizes, Failure> {
    let mut buckets: Vec<Bucket> = receipts.counts.keys().copied().chain([Bucket::Kept]).collect();
    buckets.sort_unstable();
    buckets.dedup();
    let mut pipeline = Pipeline::new();
    pipeline.cmd("HMGET").arg(context.keys.head()).arg(&head::FIELDS);
    for bucket in &buckets {
        pipeline.cmd("HLEN").arg(context.keys.receipts(*bucket));
    }
    pipeline.cmd("HMGET").arg(context.keys.head()).arg(&head::FIELDS);
    let mut last = None;
    // A pipeline is no transaction, but seldom interrupted: equal heads before and after are one instant.
    for _ in 0..TRIES {
        let mut replies = Vec::with_capacity(pipeline.len());
        for reply in context.link.run_pipeline(&pipeline).await? {
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
    context.findings.checked.in_progress += buckets.len() as u64;
    Ok(Sizes { seq: last.as_ref().map_or(0, |head| head.seq), head: last, sizes: Vec::new() })
}

/// Compares the counts with the journal's, the replay being where they were taken.
pub(super) async fn compare_sizes(
    context: &mut AuditContext<'_>,
    receipts: &Receipts,
    sizes: &Sizes,
) -> Result<(), Failure> {
    let floor = sizes.head.as_ref().map_or(0, |head| head.floor_hour);
    let mut named = 0;
    for (bucket, size) in sizes.sizes.iter().copied() {
        let expected = receipts.count(bucket);
        let is_settled = match bucket {
            Bucket::Hour(hour) => size == expected || hour < floor,
            // The floor may have risen under a payout that is still open.
            Bucket::Kept => (expected..=expected + receipts.absent_below_floor).contains(&size),
        };
        if is_settled {
            continue;
        }
        named += 1;
        let is_named = size > expected && named <= NAMED_BUCKETS_MAX && name_surplus(context, bucket).await?;
        if !is_named {
            let what = "the bucket has another number of receipts than the journal has ids for it";
            context.findings.violation(Check::G4, bucket_name(bucket), &[], expected, size, what);
        }
    }
    Ok(())
}

/// Names the receipts of a bucket whose ids the journal does not have; false if there are none (any more).
/// Holds eight bytes for each id of that bucket.
pub(super) async fn name_surplus(context: &mut AuditContext<'_>, bucket: Bucket) -> Result<bool, Failure> {
    let multiset = MultisetHash::fresh();
    let weigh = |id: &[u8]| multiset.weight_of(id) as u64;
    let mut known = HashSet::new();
    let mut seq = 0;
    let keep = |line: Line| {
        if bucket == Bucket::Kept || line.id.bucket() == bucket {
            known.insert(weigh(line.id.as_str().as_bytes()));
        }
        seq = line.seq;
        true
    };
    each_line(context.link, context.keys, keep).await?;
    let mut found_any = false;
    let mut cursor = b"0".to_vec();
    let mut told = HashSet::new();
    loop {
        let mut pipeline = Pipeline::with_capacity(2);
        pipeline.cmd("HSCAN").arg(context.keys.receipts(bucket)).arg(&cursor).arg("COUNT").arg(SCAN_COUNT);
        pipeline.cmd("HGET").arg(context.keys.head()).arg("seq");
        let mut replies = context.link.run_pipeline(&pipeline).await?.into_iter();
        let (Some(page), Some(head)) = (replies.next(), replies.next()) else {
            return Err(Failure::unknown("a reply is missing"));
        };
        let Ok(page) = judge(page)? else { return Ok(false) };
        let head = judge(head)?.ok().and_then(|value| number(&field(value))).unwrap_or_default();
        let (next, items) = scanned(page);
        for (id, receipt) in pairs(items) {
            if known.contains(&weigh(&id)) || context.findings.is_full() || !told.insert(weigh(&id)) {
                continue;
            }
            // Decided since the journal was read. Not looked up one by one: beside workers this must be
            // faster than they are.
            let named = Stored::parse(&receipt).map(|stored| stored.seq);
            if named.is_some_and(|named| named > seq && named <= head) {
                continue;
            }
            found_any = true;
            let resource = format!("receipt:{}", String::from_utf8_lossy(&id));
            let positions: Vec<u64> = named.into_iter().collect();
            let what = "a receipt without a line: the id would be answered for what never happened";
            context.findings.violation(
                Check::G4,
                resource,
                &positions,
                "nothing",
                shown(&Some(receipt)),
                what,
            );
        }
        if next == b"0" {
            return Ok(found_any);
        }
        cursor = next;
    }
}
