//! The steps of a payout: kinds of `settle` that one process makes for one job, outside any queue.
//!
//! begin repeats by its key, every other step by the state it left: after an unknown failure the same step
//! may be made again, whoever makes it.

use std::borrow::Cow;
use std::time::Duration;

use crate::connection::failure::Failure;
use crate::connection::link::Link;
use crate::protocol::ids::{AccountId, Actor, GatewayName, JobId, QueueName};
use crate::protocol::keys::Keys;
use crate::protocol::kinds::Kind;
use crate::protocol::payout_key::PayoutKey;
use crate::protocol::resource::Resource;
use crate::scripts::script::{Call, Reply, millis};

pub(crate) mod open;
mod review;

pub use open::{Damaged, Due, Hold, Listed, due, due_from, expired, hold, is_listed, listed, of_account};
pub use review::{ForReview, for_review};

use super::error::{ScriptError, status};
use super::settle::{Answer, Assembly, Missing, Policy, SETTLE, read};

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

fn kind_of(step: &Step<'_>) -> Kind {
    match step {
        Step::Begin(_) => Kind::PayoutBegin,
        Step::Paid { .. } | Step::PostByHand { .. } => Kind::PayoutPost,
        Step::Refused { .. } => Kind::PayoutRefuse,
        Step::Review { .. } => Kind::PayoutReview,
        Step::NotSent { .. } => Kind::PayoutNotSent,
        Step::VoidByHand { .. } | Step::Expire => Kind::PayoutVoid,
    }
}

fn assembled(keys: &Keys, account: &AccountId, id: &JobId, step: &Step<'_>, by: Option<&Actor>) -> Call {
    let kind = kind_of(step);
    let mut assembly =
        Assembly::new(SETTLE.call(), keys, &QueueName::default(), Policy { by, ..Policy::default() }, "");
    // A step has no fingerprint of its own: the receipt keeps the job's.
    assembly.push_job(kind, id, "");
    assembly.push_resource(Resource::Account(account));
    assembly.push_hold(id);
    arguments(step).iter().for_each(|(_, text)| assembly.push(text));
    assembly.finish()
}

/// What a step sends past its account and hold, in the order of its kind's file.
fn arguments<'a>(step: &Step<'a>) -> Vec<(&'static str, Cow<'a, str>)> {
    let note = |text: &str| ("note", Cow::Owned(cleaned(text)));
    let fence = |fence: u64| ("fence", Cow::Owned(fence.to_string()));
    let source = |source| ("source", Cow::Borrowed(source));
    let ms = |name, duration| (name, Cow::Owned(millis(duration).to_string()));
    match *step {
        Step::Begin(Begin { key, lease, retry, key_window, backoff, gateway, idempotency_key }) => {
            let retry = match retry {
                Retry::SameKey => "same_key",
                Retry::Never => "never",
            };
            vec![
                ("begin_key", key.into()),
                ms("lease_ms", lease),
                ("retry", retry.into()),
                ms("key_window_ms", key_window),
                ms("backoff_ms", backoff),
                ("gateway", gateway.as_str().into()),
                ("idempotency_key", idempotency_key.as_str().into()),
            ]
        }
        Step::Paid { note: text } => vec![source("gateway"), note(text)],
        Step::PostByHand { note: text } | Step::VoidByHand { note: text } => {
            vec![source("operator"), note(text)]
        }
        Step::Expire => vec![source("expiry"), note("")],
        Step::Refused { fence: of, note: text } | Step::Review { fence: of, note: text } => {
            vec![fence(of), note(text)]
        }
        Step::NotSent { fence: of, note: text, pause } => vec![fence(of), note(text), ms("pause_ms", pause)],
    }
}

/// A note of at most [`NOTE_BYTES_MAX`], without control characters: a journal line is one line.
fn cleaned(note: &str) -> String {
    let mut line = String::new();
    for c in note.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if line.len() + c.len_utf8() > NOTE_BYTES_MAX {
            break;
        }
        line.push(c);
    }
    line
}

#[cfg(test)]
pub(in crate::scripts) mod tests {
    use super::*;
    use crate::protocol::ids::Namespace;

    /// The kind of each step, and what it sends past its account and hold.
    pub(in crate::scripts) fn all() -> Vec<(Kind, Vec<&'static str>)> {
        let (gateway, account) = (GatewayName::of_address("http://bank"), AccountId::parse("a").unwrap());
        let id = JobId::parse("j").unwrap();
        let idempotency_key = &PayoutKey::of(None, &Namespace::default(), &account, &id);
        let begin = Begin {
            key: "k",
            lease: Duration::ZERO,
            retry: Retry::Never,
            key_window: Duration::ZERO,
            backoff: Duration::ZERO,
            gateway: &gateway,
            idempotency_key,
        };
        let (fence, note, pause) = (1, "", Duration::ZERO);
        let steps = [
            Step::Begin(begin),
            Step::Paid { note },
            Step::PostByHand { note },
            Step::Refused { fence, note },
            Step::Review { fence, note },
            Step::NotSent { fence, note, pause },
            Step::VoidByHand { note },
            Step::Expire,
        ];
        let names = |step| arguments(step).into_iter().map(|(name, _)| name).collect();
        steps.iter().map(|step| (kind_of(step), names(step))).collect()
    }
}
