//! The steps of a payout: kinds of `settle` that one process makes for one job, outside any queue.
//!
//! begin repeats by its key, every other step by the state it left: after an unknown failure the same step
//! may be made again, whoever makes it.

use std::time::Duration;

use crate::failure::Failure;
use crate::ids::{AccountId, Actor, GatewayName, JobId, QueueName};
use crate::job::{Kind, Resource};
use crate::keys::Keys;
use crate::link::Link;
use crate::payout_key::PayoutKey;
use crate::script::{Call, Reply, millis};

pub(crate) mod open;

pub use open::{
    Damaged, Due, ForReview, Hold, Listed, due, due_from, expired, for_review, hold, is_listed, listed,
    of_account,
};

use super::settle::{Answer, Assembly, Missing, Policy, read};
use super::{ScriptError, status};

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
    decided(link, keys, account, id, step, by).await.map(|(answer, _)| answer)
}

/// An attempt that this call began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its fence.
    pub fence: u64,
    /// The key under which it is paid: the first attempt's, unless nothing was sent under that one.
    pub idempotency_key: String,
}

/// [`step`], and the attempt if this call began one. A begin that repeats an earlier one does not know it: the hold does.
///
/// # Errors
/// As [`step`].
///
/// # Cancel safety
/// As [`step`].
pub async fn step_and_attempt(
    link: &mut Link,
    keys: &Keys,
    account: &AccountId,
    id: &JobId,
    step: &Step<'_>,
) -> Result<(Answer, Option<Attempt>), ScriptError> {
    let (answer, mut told) = decided(link, keys, account, id, step, None).await?;
    if told.is_empty() {
        return Ok((answer, None));
    }
    let mut read =
        || Ok(Attempt { fence: told.number("fence")?, idempotency_key: told.text("idempotency key")? });
    let attempt = read().inspect_err(|_: &Failure| link.poison())?;
    Ok((answer, Some(attempt)))
}

async fn decided(
    link: &mut Link,
    keys: &Keys,
    account: &AccountId,
    id: &JobId,
    step: &Step<'_>,
    by: Option<&Actor>,
) -> Result<(Answer, Reply), ScriptError> {
    let mut reply = assembled(keys, account, id, step, by).run(link).await?;
    let super::settle::Status::Settled = status(&mut reply)?;
    let settlement = read(&mut reply, 1, Missing::Undecided).inspect_err(|_| link.poison())?;
    let answer = settlement.answers.first().copied();
    answer.map(|answer| (answer, reply)).ok_or_else(|| Failure::unknown("a reply without an answer").into())
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
    let mut assembly = Assembly::new(keys, &QueueName::default(), Policy { by, ..Policy::default() }, "");
    // A step has no fingerprint of its own: the receipt keeps the job's.
    assembly.push_job(kind, id, "");
    assembly.push_resource(Resource::Account(account));
    assembly.push_hold(id);
    let call = &mut assembly;
    match step {
        Step::Begin(Begin { key, lease, retry, key_window, backoff, gateway, idempotency_key }) => {
            call.push(key);
            call.push_digits(millis(*lease));
            call.push(match retry {
                Retry::SameKey => "same_key",
                Retry::Never => "never",
            });
            call.push_digits(millis(*key_window));
            call.push_digits(millis(*backoff));
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
            call.push_digits(millis(*pause));
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
    call.push(&line);
}
