//! The steps of a payout: kinds of `settle` that one process makes for one job, outside any queue.
//!
//! begin repeats by its key, every other step by the state it left: after an unknown failure the same step
//! may be made again, whoever makes it.

use std::time::Duration;

use redis::Value;

use crate::code::Code;
use crate::failure::Failure;
use crate::ids::{AccountId, Actor, GatewayName, JobId, QueueName};
use crate::job::{Kind, Resource};
use crate::keys::Keys;
use crate::link::Link;
use crate::payout_key::PayoutKey;
use crate::script::{Call, millis, parts, script};

use super::settle::{Answer, Assembly, read};
use super::{ScriptError, common_status};

script!(PAYOUTS_DUE, "payouts_due", [parts::NUMBERS], keys [payouts], args [nonce limit]);

/// Longest note in bytes; a journal line keeps it for ever.
pub const NOTE_BYTES_MAX: usize = 200;

/// What a gateway's keys allow after an attempt whose outcome is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Try again under the same idempotency key, within the gateway's window.
    SameKey,
    /// One begin, ever: for gateways without idempotency keys.
    Never,
}

/// An attempt that wants to begin.
#[derive(Debug, Clone)]
pub struct Begin<'a> {
    /// The caller's own name for this attempt, unique for ever (a UUID): the same again is the same attempt.
    pub key: &'a str,
    /// How long no other attempt, void or operator may come between.
    pub lease: Duration,
    /// Whether a second attempt is allowed.
    pub retry: Retry,
    /// For how long after the first attempt the gateway honours the key.
    pub key_window: Duration,
    /// How long after the lease the next attempt may come.
    pub backoff: Duration,
    /// Where it goes. While an attempt at another gateway is unknown, none begins.
    pub gateway: &'a GatewayName,
    /// Under which key, if none has begun before: the first attempt's key stays.
    pub idempotency_key: &'a PayoutKey,
}

/// A step.
#[derive(Debug, Clone)]
pub enum Step<'a> {
    /// An attempt begins: `Paying`, or `NeedsReview` if the retry rule forbids it.
    Begin(Begin<'a>),
    /// The gateway says that it has paid.
    Paid {
        /// Its words.
        note: &'a str,
    },
    /// An operator says that it was paid.
    PostByHand {
        /// Who and why.
        note: &'a str,
    },
    /// The gateway refused the attempt of this fence, definitely.
    Refused {
        /// Of the attempt.
        fence: u64,
        /// Its words.
        note: &'a str,
    },
    /// The attempt of this fence got an answer that only a person can judge.
    Review {
        /// Of the attempt.
        fence: u64,
        /// The answer.
        note: &'a str,
    },
    /// The attempt of this fence has sent nothing: no connection came about. It is as if it had never begun. To be
    /// said only of errors before the first byte.
    NotSent {
        /// Of the attempt.
        fence: u64,
        /// Why.
        note: &'a str,
        /// How long the payout rests.
        pause: Duration,
    },
    /// An operator gives the money back.
    VoidByHand {
        /// Who and why.
        note: &'a str,
    },
    /// The hold's time is over and no attempt has begun.
    Expire,
}

/// Makes one step of the payout `id` from `account`.
///
/// [`Answer::Decided`] if this call made it; [`Answer::Replayed`] if it had been made; [`Answer::Undecided`] with
/// the code that says why not. Notes are cut to [`NOTE_BYTES_MAX`] and cleared of control characters.
///
/// # Errors
/// As [`settle`](super::settle::settle): after an unknown failure the same step is safe.
///
/// # Cancel safety
/// As [`settle`](super::settle::settle).
pub async fn step(
    link: &mut Link,
    keys: &Keys,
    account: &AccountId,
    id: &JobId,
    step: &Step<'_>,
) -> Result<Answer, ScriptError> {
    step_by(link, keys, account, id, step, None).await
}

/// [`step`], for the journal asked by a person.
///
/// # Errors
/// As [`step`].
///
/// # Cancel safety
/// As [`step`].
pub async fn step_by(
    link: &mut Link,
    keys: &Keys,
    account: &AccountId,
    id: &JobId,
    step: &Step<'_>,
    by: Option<&Actor>,
) -> Result<Answer, ScriptError> {
    let mut reply = assembled(keys, account, id, step, by).run(link).await?;
    let status = reply.text("status")?;
    if status != "settled" {
        return Err(common_status(&status, &mut reply));
    }
    let settlement = read(&mut reply, 1).inspect_err(|_| link.poison())?;
    settlement.answers.first().copied().ok_or_else(|| Failure::unknown("a reply without an answer").into())
}

fn assembled(keys: &Keys, account: &AccountId, id: &JobId, step: &Step<'_>, by: Option<&Actor>) -> Call {
    let kind = match step {
        Step::Begin(_) => Kind::PayoutBegin,
        Step::Paid { .. } | Step::PostByHand { .. } => Kind::PayoutPost,
        Step::Refused { .. } => Kind::PayoutRefuse,
        Step::Review { .. } => Kind::PayoutReview,
        Step::NotSent { .. } => Kind::PayoutNotSent,
        Step::VoidByHand { .. } | Step::Expire => Kind::PayoutVoid,
    };
    let mut assembly = Assembly::new(keys, &QueueName::default(), by);
    // A step has no fingerprint of its own: the receipt keeps the job's.
    assembly.push_job(kind, "", id, "");
    assembly.push_resource(Resource::Account(account));
    assembly.push_hold(id);
    let call = &mut assembly;
    match step {
        Step::Begin(Begin { key, lease, retry, key_window, backoff, gateway, idempotency_key }) => {
            call.push(*key);
            call.push(millis(*lease));
            call.push(match retry {
                Retry::SameKey => "same_key",
                Retry::Never => "never",
            });
            call.push(millis(*key_window));
            call.push(millis(*backoff));
            call.push(gateway.as_str());
            call.push(idempotency_key.as_str());
        }
        Step::Paid { note } => push_two(call, "gateway", note),
        Step::PostByHand { note } | Step::VoidByHand { note } => push_two(call, "operator", note),
        Step::Expire => push_two(call, "expiry", ""),
        Step::Refused { fence, note } | Step::Review { fence, note } => {
            push_two(call, &fence.to_string(), note)
        }
        Step::NotSent { fence, note, pause } => {
            push_two(call, &fence.to_string(), note);
            call.push(millis(*pause));
        }
    }
    assembly.finish()
}

fn push_two(call: &mut Assembly<'_>, first: &str, note: &str) {
    let mut line = String::new();
    for c in note.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if line.len() + c.len_utf8() > NOTE_BYTES_MAX {
            break;
        }
        line.push(c);
    }
    call.push(first);
    call.push(line);
}

/// An open payout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The job's id.
    pub id: JobId,
    /// Whose money is held.
    pub account: AccountId,
    /// How much, in minor units.
    pub amount: u64,
    /// In which currency.
    pub currency: String,
    /// Where it goes.
    pub destination: String,
    /// `Held`, `Paying` or `NeedsReview`.
    pub state: Code,
    /// How many attempts have begun.
    pub attempts: u64,
    /// How many of them the gateway refused.
    pub refused: u64,
    /// The fence of the latest.
    pub fence: u64,
    /// The caller's key of the latest.
    pub begin_key: String,
    /// Until when its lease runs, by server time in milliseconds since the Unix epoch.
    pub lease_until_ms: u64,
    /// When the state was entered, likewise.
    pub since_ms: u64,
    /// Why it needs review.
    pub reason: String,
    /// The name of the gateway that its attempts went to; empty before the first.
    pub gateway: String,
    /// Under which key; likewise.
    pub idempotency_key: String,
}

/// The fields of a hold's row that a [`Hold`] shows.
const HOLD_FIELDS: [&str; 14] = [
    "account",
    "amount",
    "currency",
    "destination",
    "state",
    "attempts",
    "refused",
    "fence",
    "begin_key",
    "lease_until_ms",
    "since_ms",
    "reason",
    "gateway",
    "idempotency_key",
];

/// Reads one open payout; `None` if there is none of this id.
///
/// # Errors
/// [`ScriptError::CorruptPartition`] if its row cannot be read.
pub async fn hold(link: &mut Link, keys: &Keys, id: &JobId) -> Result<Option<Hold>, ScriptError> {
    let mut command = redis::cmd("HMGET");
    command.arg(keys.hold(id)).arg(&HOLD_FIELDS);
    read_hold(keys, id, link.run(&command).await?)
}

fn read_hold(keys: &Keys, id: &JobId, row: Value) -> Result<Option<Hold>, ScriptError> {
    let damage = || ScriptError::CorruptPartition(format!("{} cannot be read", keys.hold(id)));
    let row: Vec<Option<String>> = redis::from_redis_value(row).map_err(|_| damage())?;
    if row.iter().all(Option::is_none) {
        return Ok(None);
    }
    let text = |at: usize| row.get(at).cloned().flatten();
    let number = |at: usize| text(at).and_then(|text| text.parse().ok());
    let read = || {
        Some(Hold {
            id: id.clone(),
            account: AccountId::parse(text(0)?).ok()?,
            amount: number(1)?,
            currency: text(2)?,
            destination: text(3)?,
            state: Code::from_name(&text(4)?)?,
            attempts: number(5)?,
            refused: number(6)?,
            fence: number(7)?,
            begin_key: text(8)?,
            lease_until_ms: number(9)?,
            since_ms: number(10)?,
            reason: text(11)?,
            gateway: text(12)?,
            idempotency_key: text(13)?,
        })
    };
    read().map(Some).ok_or_else(damage)
}

/// Reads up to `count` open payouts, those due first, from the `from`-th on. While payouts begin and end, a page
/// may repeat or miss one.
///
/// # Errors
/// [`ScriptError::CorruptPartition`] if a row cannot be read.
pub async fn open(link: &mut Link, keys: &Keys, from: usize, count: usize) -> Result<Vec<Hold>, ScriptError> {
    let mut command = redis::cmd("ZRANGE");
    command.arg(keys.payouts()).arg(from).arg(from + count - 1);
    let members: Vec<String> = link.query(&command).await?;
    let due = members.iter().map(|member| read_member(keys, member)).collect::<Result<Vec<_>, _>>()?;
    let mut pipeline = redis::Pipeline::with_capacity(due.len());
    for (_, id) in &due {
        pipeline.cmd("HMGET").arg(keys.hold(id)).arg(&HOLD_FIELDS);
    }
    let rows = link.run_pipeline(&pipeline).await?;
    let mut holds = Vec::with_capacity(due.len());
    for ((_, id), row) in due.iter().zip(rows) {
        // One that ended in between has no row any more.
        holds.extend(read_hold(keys, id, row?)?);
    }
    Ok(holds)
}

/// Reads the open payouts of one account, `count` at most, in no order.
///
/// Goes over all open payouts of the partition, a page at a time: for people, not for programs.
///
/// # Errors
/// [`ScriptError::CorruptPartition`] if a row cannot be read.
pub async fn of_account(
    link: &mut Link,
    keys: &Keys,
    account: &AccountId,
    count: usize,
) -> Result<Vec<Hold>, ScriptError> {
    /// How many members one page goes over.
    const PAGE: usize = 1_000;
    // What MATCH takes for a pattern is taken literally.
    let literal =
        |c: char| if matches!(c, '*' | '?' | '[' | ']' | '\\' | '^') { vec!['\\', c] } else { vec![c] };
    let pattern: String = account.as_str().chars().flat_map(literal).chain(['\t', '*']).collect();
    let (mut cursor, mut holds) = ("0".to_owned(), Vec::new());
    loop {
        let mut command = redis::cmd("ZSCAN");
        command.arg(keys.payouts()).arg(&cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(PAGE);
        let (next, page): (String, Vec<(String, String)>) = link.query(&command).await?;
        for (member, _) in page {
            let (_, id) = read_member(keys, &member)?;
            // A scan may name a member twice.
            if holds.len() < count && !holds.iter().any(|hold: &Hold| hold.id == id) {
                holds.extend(hold(link, keys, &id).await?);
            }
        }
        if next == "0" || holds.len() == count {
            return Ok(holds);
        }
        cursor = next;
    }
}

/// Reads `<account> TAB <id>`.
fn read_member(keys: &Keys, member: &str) -> Result<(AccountId, JobId), ScriptError> {
    let read = || {
        let (account, id) = member.split_once('\t')?;
        Some((AccountId::parse(account).ok()?, JobId::stored(id).ok()?))
    };
    read().ok_or_else(|| ScriptError::CorruptPartition(format!("{} holds {member:?}", keys.payouts())))
}

/// Payouts that are due for a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Server time, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Whose they are and their ids, the longest due first.
    pub payouts: Vec<(AccountId, JobId)>,
    /// When the next one is due, likewise.
    pub next_due_ms: Option<u64>,
}

/// Reads up to `limit` payouts that are due by server time.
///
/// # Errors
/// As [`settle`](super::settle::settle); it only reads.
pub async fn due(link: &mut Link, keys: &Keys, limit: usize) -> Result<Due, ScriptError> {
    let mut reply = PAYOUTS_DUE.call().key(keys.payouts()).arg(limit).run(link).await?;
    let status = reply.text("status")?;
    if status != "due" {
        return Err(common_status(&status, &mut reply));
    }
    let at_ms = reply.number("at_ms")?;
    let next_due_ms = reply.text("next due")?.parse::<f64>().ok().map(|due_ms| due_ms as u64);
    let mut payouts = Vec::new();
    while !reply.is_empty() {
        payouts.push(read_member(keys, &reply.text("payout")?)?);
    }
    Ok(Due { at_ms, payouts, next_due_ms })
}
