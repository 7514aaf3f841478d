//! Holders: how much each customer redeemed of a campaign, against the journal, without holding the customers.
//!
//! A line says what its customer has after it, and so what they had before. From the journal comes, for each campaign, the
//! sum of weight(customer, count after) - weight(customer, count before) over its lines; from the holders key the sum of
//! weight(customer, count), both mod 2^128. The weight of a count of nothing is nothing, any other a 128-bit hash keyed afresh
//! for each run, so two different sets with one sum are a matter of 2^-128, and nobody can aim at it. If the sums are equal,
//! then for each customer the lines are one chain from nothing to what they have: every count before a line is the count
//! after another, and the last is what Redis holds. Each count after a line is held against `per_customer` there.
//! Only a campaign that differs is read again with its customers, to name them.

use std::collections::HashMap;

use redis::{Pipeline, Value};
use sha2::{Digest, Sha256};

use tollgate::code::Code;
use tollgate::failure::Failure;
use tollgate::ids::{CampaignId, CustomerId};
use tollgate::journal::Line;
use tollgate::kinds::{Event, JobRequest, Operation};
use tollgate::resource::Resource;

use super::context::AuditContext;
use super::model::Model;
use super::read::{Field, each_line, field, judge, number, pairs, scanned, shown};
use super::report::Check;
use super::state::Observed;

/// Campaigns of one pipeline.
const CHUNK: usize = 32;
/// Holders that are read at once, and so at one instant.
const AT_ONCE: usize = 1_000;
/// How often a campaign is read whose seq moves meanwhile.
const TRIES: usize = 8;
/// Campaigns whose holders are named in one reading of the journal, and how many readings there may be.
const NAMED_AT_ONCE: usize = 16;
const NAMING_ROUNDS_MAX: usize = 4;

/// Weighs by a keyed hash: SHA-256 with a secret of this run in front, cut to 128 bits.
pub(super) struct MultisetHash {
    secret: [u8; 32],
}

impl MultisetHash {
    pub(super) fn fresh() -> Self {
        Self { secret: rand::random() }
    }

    /// Of a customer with a count. No customer holds a control character, so no two pairs are one text.
    pub(super) fn of_holder(&self, customer: &[u8], count: u64) -> u128 {
        match count {
            0 => 0,
            count => self.weight_of(&[customer, b"\t", count.to_string().as_bytes()].concat()),
        }
    }

    pub(super) fn weight_of(&self, bytes: &[u8]) -> u128 {
        let digest = Sha256::new().chain_update(self.secret).chain_update(bytes).finalize();
        let mut first = [0; 16];
        first.copy_from_slice(&digest[..16]);
        u128::from_be_bytes(first)
    }
}

/// What a line leaves a customer of a campaign; `None` if it changes nothing of that.
pub(super) fn left_to(line: &Line) -> Option<(&CampaignId, &CustomerId, u64)> {
    let (campaign, customer) = match (&line.event, line.code) {
        (Event::Job(JobRequest::Redeem(redeem)), Code::Redeemed) => (&redeem.campaign, &redeem.customer),
        (Event::Operation(Operation::Reverse(reverse)), Code::Reversed) => {
            (&reverse.campaign, &reverse.customer)
        }
        _ => return None,
    };
    Some((campaign, customer, line.after("held").unwrap_or_default()))
}

/// The holders of one campaign as far as they were read.
#[derive(Default)]
struct Sum {
    sum: u128,
    count: u64,
    /// Customers with a count that cannot be, and why.
    odd: Vec<(Vec<u8>, String, String)>,
}

impl Sum {
    fn add(&mut self, multiset: &MultisetHash, per_customer: Option<u64>, items: Vec<Vec<u8>>) {
        for (customer, count) in pairs(items) {
            self.count += 1;
            let found = Some(count);
            match number(&found).filter(|count| *count > 0) {
                Some(count) => {
                    self.sum = self.sum.wrapping_add(multiset.of_holder(&customer, count));
                    if let Some(most) = per_customer.filter(|most| count > *most) {
                        self.odd.push((customer, format!("at most {most}"), count.to_string()));
                    }
                }
                None => self.odd.push((customer, "a whole number from 1 on".to_owned(), shown(&found))),
            }
        }
    }
}

/// Reads the holders of every campaign that the model has.
pub(super) async fn read_all(
    context: &mut AuditContext<'_>,
    model: &Model,
    multiset: &MultisetHash,
    observed: &mut Observed,
) -> Result<(), Failure> {
    let campaigns: Vec<&CampaignId> = model.campaigns.keys().collect();
    for chunk in campaigns.chunks(CHUNK) {
        let mut pipeline = Pipeline::with_capacity(3 * chunk.len());
        for id in chunk {
            add_reads(&mut pipeline, context, id, b"0");
        }
        let mut replies = context.link.run_pipeline(&pipeline).await?.into_iter();
        for id in chunk {
            let (Some(before), Some(page), Some(after)) = (replies.next(), replies.next(), replies.next())
            else {
                return Err(Failure::unknown("a reply is missing"));
            };
            let page = match judge(page)? {
                Ok(page) => page,
                Err(found) => {
                    let what = "its holders cannot be read";
                    context.findings.violation(Check::G1, campaign_name(id), &[], "a hash", found, what);
                    continue;
                }
            };
            let (before, after) = (seq_of(before)?, seq_of(after)?);
            let (cursor, items) = scanned(page);
            if cursor == b"0" && before == after {
                let mut sum = Sum::default();
                sum.add(multiset, per_customer(model, id), items);
                take(context, model, observed, id, before, sum);
            } else {
                read_long(context, model, multiset, observed, id).await?;
            }
        }
    }
    Ok(())
}

fn add_reads(pipeline: &mut Pipeline, context: &AuditContext<'_>, id: &CampaignId, cursor: &[u8]) {
    let key = context.keys.campaign(id);
    pipeline.cmd("HGET").arg(&key).arg("seq");
    pipeline.cmd("HSCAN").arg(context.keys.holders(id)).arg(cursor).arg("COUNT").arg(AT_ONCE);
    pipeline.cmd("HGET").arg(&key).arg("seq");
}

/// More holders than one reply takes, or one that moved: read until it does not move.
async fn read_long(
    context: &mut AuditContext<'_>,
    model: &Model,
    multiset: &MultisetHash,
    observed: &mut Observed,
    id: &CampaignId,
) -> Result<(), Failure> {
    for _ in 0..TRIES {
        let mut sum = Sum::default();
        let per_customer = per_customer(model, id);
        if let Some(seq) = scan(context, id, |items| sum.add(multiset, per_customer, items)).await? {
            take(context, model, observed, id, seq, sum);
            return Ok(());
        }
    }
    context.findings.checked.in_progress += 1;
    Ok(())
}

/// Reads all holders of a campaign, in steps; answers its seq if it did not move, `None` if it did. A holder may be
/// read twice.
async fn scan(
    context: &mut AuditContext<'_>,
    id: &CampaignId,
    mut take: impl FnMut(Vec<Vec<u8>>),
) -> Result<Option<Option<u64>>, Failure> {
    let mut cursor = b"0".to_vec();
    let mut seq: Option<Option<u64>> = None;
    loop {
        let mut pipeline = Pipeline::with_capacity(3);
        add_reads(&mut pipeline, context, id, &cursor);
        let mut replies = context.link.run_pipeline(&pipeline).await?.into_iter();
        let (Some(before), Some(page), Some(after)) = (replies.next(), replies.next(), replies.next()) else {
            return Err(Failure::unknown("a reply is missing"));
        };
        let (before, after) = (seq_of(before)?, seq_of(after)?);
        if before != after || seq.is_some_and(|seq| seq != before) {
            return Ok(None);
        }
        seq = Some(before);
        let (next, items) = scanned(judge(page)?.unwrap_or(Value::Nil));
        take(items);
        if next == b"0" {
            return Ok(seq);
        }
        cursor = next;
    }
}

fn take(
    context: &mut AuditContext<'_>,
    model: &Model,
    observed: &mut Observed,
    id: &CampaignId,
    seq: Option<u64>,
    sum: Sum,
) {
    context.findings.checked.holders += sum.count;
    for (customer, expected, found) in sum.odd {
        let what = format!("what customer {} redeemed cannot be", String::from_utf8_lossy(&customer));
        let positions: Vec<u64> = seq.into_iter().collect();
        context.findings.violation(Check::G1, campaign_name(id), &positions, expected, found, what);
    }
    observed.holders(model, id, seq, sum.sum);
}

/// Names the customers of the campaigns whose holders differ: reads both sides again, with the customers.
pub(super) async fn name_differences(
    context: &mut AuditContext<'_>,
    differing: Vec<CampaignId>,
) -> Result<(), Failure> {
    for (round, group) in differing.chunks(NAMED_AT_ONCE).enumerate() {
        let mut readings = HashMap::new();
        for id in group {
            let reading = if round < NAMING_ROUNDS_MAX && !context.findings.is_full() {
                read_named(context, id).await?
            } else {
                None
            };
            match reading {
                Some(reading) => _ = readings.insert(id.clone(), reading),
                None => {
                    let what = "its holders do not add up to what the journal says";
                    let (expected, found) = ("the journal's redemptions", "another sum");
                    context.findings.violation(Check::G1, campaign_name(id), &[], expected, found, what);
                }
            }
        }
        if !readings.is_empty() {
            compare_named(context, readings).await?;
        }
    }
    Ok(())
}

/// What a campaign's holders were at a seq (or whenever, if it has none).
struct Reading {
    seq: u64,
    holders: HashMap<Vec<u8>, Field>,
}

async fn read_named(context: &mut AuditContext<'_>, id: &CampaignId) -> Result<Option<Reading>, Failure> {
    for _ in 0..TRIES {
        let mut holders = HashMap::new();
        let keep =
            |items| pairs(items).for_each(|(customer, count)| _ = holders.insert(customer, Some(count)));
        if let Some(seq) = scan(context, id, keep).await? {
            return Ok(Some(Reading { seq: seq.unwrap_or(u64::MAX), holders }));
        }
    }
    Ok(None)
}

async fn compare_named(
    context: &mut AuditContext<'_>,
    mut readings: HashMap<CampaignId, Reading>,
) -> Result<(), Failure> {
    // What each customer should hold, and the last line that says so.
    let mut expected: HashMap<CampaignId, HashMap<Vec<u8>, (u64, u64)>> = HashMap::new();
    let seq_max = readings.values().map(|reading| reading.seq).max().unwrap_or_default();
    let keep = |line: Line| {
        if let Some((campaign, customer, held)) = left_to(&line)
            && readings.get(campaign).is_some_and(|reading| line.seq <= reading.seq)
        {
            let customers = expected.entry(campaign.clone()).or_default();
            customers.insert(customer.as_str().as_bytes().to_vec(), (held, line.seq));
        }
        line.seq <= seq_max
    };
    each_line(context.link, context.keys, keep).await?;
    for (id, reading) in &mut readings {
        let name = campaign_name(id);
        let tell = |context: &mut AuditContext<'_>,
                    customer: &[u8],
                    positions: &[u64],
                    expected: String,
                    found: &Field| {
            let customer = String::from_utf8_lossy(customer);
            let what = format!("customer {customer} holds another quantity than the journal says");
            context.findings.violation(Check::G1, name.as_str(), positions, expected, shown(found), what);
        };
        for (customer, (count, seq)) in expected.remove(id).unwrap_or_default() {
            let found = reading.holders.remove(&customer).flatten();
            // Who has nothing left is no holder.
            let expected = (count > 0).then(|| count.to_string());
            if found.as_deref() != expected.as_deref().map(str::as_bytes) {
                let expected = expected.map_or("nothing".to_owned(), |count| format!("\"{count}\""));
                tell(context, &customer, &[seq], expected, &found);
            }
        }
        for (customer, found) in reading.holders.drain() {
            tell(context, &customer, &[], "nothing".to_owned(), &found);
        }
    }
    Ok(())
}

fn campaign_name(id: &CampaignId) -> String {
    Resource::Campaign(id).to_string()
}

fn per_customer(model: &Model, id: &CampaignId) -> Option<u64> {
    model.campaigns.get(id).filter(|campaign| !campaign.unknown).and_then(|campaign| campaign.per_customer)
}

/// The campaign's seq; `None` if it has none that can be read.
fn seq_of(reply: Result<Value, Failure>) -> Result<Option<u64>, Failure> {
    Ok(judge(reply)?.ok().and_then(|value| number(&field(value))))
}
