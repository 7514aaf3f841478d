//! One payout, from due to done: ask, begin, pay, record. The agent in `agents/payer.rs` says which and when.
//!
//! Relies on `scripts::payout`: an attempt is in the journal, as unknown, before its request goes out, and the begin
//! is what keeps two attempts apart, whatever locks do. The lock per account in front of it saves waiting, and keeps
//! one payout of an account on its way at a time across the fleet.
//! Dies the process anywhere: the lease ends, and whoever comes next asks the gateway under the same key. Is a reply
//! of Redis lost: each step repeats as itself. Must not conclude anything from an answer that proves nothing.

pub(crate) mod account_locks;
#[cfg(feature = "explore")]
pub(crate) mod bank;
pub(crate) mod breaker;
pub(crate) mod gateway;
pub(crate) mod links;
pub(crate) mod options;
pub(crate) mod outcome;
pub(crate) mod rules;
pub(crate) mod setbacks;
mod token;
pub(crate) mod verdict;

use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tollgate::code::Code;
use tollgate::ids::{AccountId, JobId, Namespace};
use tollgate::keys::Keys;
use tollgate::random;
use tollgate::scripts::ScriptError;
use tollgate::scripts::payout::{self, Begin, Hold, Step};
use tollgate::scripts::settle::Answer;
use tracing::{error, info, warn};

use crate::failpoint::failpoint;
use crate::health::Health;
use crate::retry_loop::RetryLoop;
use crate::shutdown::Phase;
use gateway::Gateway;
use links::Links;
use outcome::AttemptEnd;
use rules::Rules;
use verdict::{Payment, Verdict};

/// The longest pause between two attempts.
const BACKOFF_MAX: Duration = Duration::from_secs(300);
/// What the clocks of two machines may differ in speed (1 %), and Redis's granularity: subtracted from a lease.
const DRIFT: (u32, Duration) = (100, Duration::from_millis(2));

/// What came of a begin.
enum Begun {
    /// An attempt of ours: its hold, and the instant from which its lease counts.
    Ours(Box<Hold>, Instant),
    /// None may begin now.
    Not(AttemptEnd),
}

/// One payout in flight in this process.
pub(crate) struct Attempt<'a> {
    pub(crate) links: &'a Links,
    pub(crate) gateway: &'a Gateway,
    pub(crate) rules: Rules,
    pub(crate) health: &'a Health,
    pub(crate) namespace: &'a Namespace,
    pub(crate) keys: &'a Keys,
    pub(crate) account: &'a AccountId,
    pub(crate) id: &'a JobId,
}

impl Attempt<'_> {
    /// Takes the payout as far as it goes now. The permit is free for another once the gateway has decided: what is left
    /// are writes to Redis. What the gateway says of itself is heard first: it may make all others pause.
    ///
    /// # Errors
    /// Redis refused before the request went out: nothing was paid by this call.
    ///
    /// # Cancel safety
    /// Dropped anywhere, the attempt is unknown, which is what Redis says of it already.
    pub(crate) async fn run(
        &self,
        permit: &mut Option<OwnedSemaphorePermit>,
    ) -> Result<AttemptEnd, ScriptError> {
        let hold = match self.hold().await {
            Ok(Some(hold)) => hold,
            Ok(None) => return self.missing().await,
            Err(ScriptError::CorruptPartition(what)) => return Ok(AttemptEnd::Damaged { what }),
            Err(error) => return Err(error),
        };
        if hold.state == Code::NeedsReview {
            return Ok(AttemptEnd::NotOurs);
        }
        if hold.attempts > 0 && hold.gateway == self.gateway.name().as_str() {
            // An earlier attempt is unknown. Proof that it paid counts at any time, also without an attempt of ours.
            match self.gateway.ask(&payment_of(&hold)).await {
                Verdict::Paid { note } => return self.record(Step::Paid { note: &note }).await,
                Verdict::Misconfigured { note } => return Ok(AttemptEnd::Misconfigured { note }),
                Verdict::NotSent { note } => return Ok(AttemptEnd::NotSent { note }),
                _ => {}
            }
        }
        failpoint!("before_begin", crate::failpoint::quoted(self.id).iter().map(Vec::as_slice));
        let (hold, begun) = match self.begin(&hold).await? {
            Begun::Ours(hold, begun) => (hold, begun),
            Begun::Not(outcome) => return Ok(outcome),
        };
        failpoint!("after_begin", crate::failpoint::quoted(self.id).iter().map(Vec::as_slice));
        // The lease runs on Redis's clock from some time after `begun`; ours may be slower by the drift.
        let drift = self.rules.lease / DRIFT.0 + DRIFT.1;
        let remaining = self.rules.lease.saturating_sub(begun.elapsed() + drift);
        if remaining.is_zero() {
            self.take_back(hold.fence, "its lease was over before it was sent").await?;
            return Ok(AttemptEnd::NotOurs);
        }
        let (fence, verdict) = (hold.fence, self.gateway.pay(&payment_of(&hold), remaining).await);
        if matches!(verdict, Verdict::Paid { .. } | Verdict::Refused { .. } | Verdict::Review { .. }) {
            drop(permit.take());
        }
        failpoint!("after_pay", crate::failpoint::quoted(self.id).iter().map(Vec::as_slice));
        match verdict {
            Verdict::Paid { note } => self.record(Step::Paid { note: &note }).await,
            Verdict::Refused { note } => self.record(Step::Refused { fence, note: &note }).await,
            Verdict::Review { note } => self.record(Step::Review { fence, note: &note }).await,
            Verdict::Misconfigured { note } => Ok(AttemptEnd::Misconfigured { note }),
            Verdict::NotSent { note } => {
                self.take_back(fence, &note).await?;
                Ok(AttemptEnd::NotSent { note })
            }
            Verdict::Unknown { note } => {
                warn!(id = %self.id, attempt = hold.attempts, "the outcome of a payout is unknown: {note}");
                self.health.metrics.payout("unknown");
                Ok(AttemptEnd::Unknown)
            }
            // Answers to questions that were not asked.
            Verdict::NeverSeen | Verdict::CannotBeAsked => Ok(AttemptEnd::Unknown),
        }
    }

    /// What a payout without a hold is: it has ended since it was listed, or is damaged.
    async fn missing(&self) -> Result<AttemptEnd, ScriptError> {
        let mut link = self.links.take().await?;
        let is_listed = payout::is_listed(&mut link, self.keys, self.account, self.id).await?;
        self.links.put_back(link);
        let what = format!("{} is gone", self.keys.hold(self.id));
        Ok(if is_listed { AttemptEnd::Damaged { what } } else { AttemptEnd::NotOurs })
    }

    /// Records an attempt, if one may begin now.
    async fn begin(&self, hold: &Hold) -> Result<Begun, ScriptError> {
        let key = format!("{:032x}", random::random::<u128>());
        let begun = Instant::now();
        let step = Step::Begin(Begin {
            key: &key,
            lease: self.rules.lease,
            retry: self.rules.retry,
            key_window: self.rules.key_window,
            backoff: self.backoff(hold.attempts),
            gateway: self.gateway.name(),
            idempotency_key: &self.gateway.key(self.namespace, self.account, self.id),
        });
        let (answer, attempt) = self.insist(&step, Phase::Draining).await?;
        match answer {
            Answer::Decided { code: Code::Paying, .. } | Answer::Replayed { code: Code::Paying, .. } => {}
            Answer::Decided { code: Code::NeedsReview, .. } => {
                self.health.metrics.payout(Code::NeedsReview.name());
                warn!(id = %self.id, "a payout needs review: `tollgate-producer payout show {}`", self.id);
                return Ok(Begun::Not(AttemptEnd::NotOurs));
            }
            Answer::Undecided(Code::HoldExpired) => {
                return self.record(Step::Expire).await.map(|_| Begun::Not(AttemptEnd::NotOurs));
            }
            Answer::Undecided(Code::CorruptState) => return Ok(Begun::Not(self.damaged())),
            _ => return Ok(Begun::Not(AttemptEnd::NotOurs)),
        }
        if let Some(payout::Attempt { fence, idempotency_key }) = attempt {
            // What is paid, and to whom, never changes.
            let (attempts, begin_key) = (hold.attempts + 1, key);
            let hold = Hold { attempts, fence, idempotency_key, begin_key, ..hold.clone() };
            return Ok(Begun::Ours(Box::new(hold), begun));
        }
        // The answer to the begin itself was lost.
        let hold = self.hold().await?.filter(|hold| hold.begin_key == key);
        Ok(hold.map_or(Begun::Not(AttemptEnd::NotOurs), |hold| Begun::Ours(Box::new(hold), begun)))
    }

    /// What settle does not say more of.
    fn damaged(&self) -> AttemptEnd {
        let [hold, account] = [self.keys.hold(self.id), self.keys.account(self.account)];
        AttemptEnd::Damaged { what: format!("{hold}, {account} or {} is damaged", self.keys.payouts()) }
    }

    /// Writes down what an answer proves.
    async fn record(&self, step: Step<'_>) -> Result<AttemptEnd, ScriptError> {
        failpoint!("before_record", crate::failpoint::quoted(self.id).iter().map(Vec::as_slice));
        let (answer, _) = self.insist(&step, Phase::Over).await?;
        let code = answer.direct_code();
        if matches!(answer, Answer::Decided { .. }) {
            self.health.metrics.payout(code.name());
        }
        match code {
            Code::PaidAfterVoid => {
                error!(id = %self.id, "PAID AFTER VOID: the gateway has paid what was given back")
            }
            Code::NeedsReview => {
                warn!(id = %self.id, "a payout needs review: `tollgate-producer payout show {}`", self.id);
            }
            Code::Fenced => self.fenced(),
            // What the gateway says of it can be asked again.
            Code::CorruptState => return Ok(self.damaged()),
            _ => {}
        }
        failpoint!("after_record", crate::failpoint::quoted(self.id).iter().map(Vec::as_slice));
        Ok(AttemptEnd::Recorded(code))
    }

    /// Takes the begin of this fence back: nothing was sent. If the process dies before, the attempt stays unknown; if
    /// the reply is lost, the step repeats as itself; after a newer begin it is fenced.
    async fn take_back(&self, fence: u64, note: &str) -> Result<(), ScriptError> {
        let step = Step::NotSent { fence, note, pause: self.rules.backoff.min(BACKOFF_MAX) };
        match self.insist(&step, Phase::Over).await?.0 {
            Answer::Decided { .. } => self.health.metrics.payout("not_sent"),
            Answer::Undecided(Code::Fenced) => self.fenced(),
            _ => {}
        }
        Ok(())
    }

    /// Another worker began anew meanwhile: what is proved is found by its attempt.
    fn fenced(&self) {
        self.health.metrics.payout(Code::Fenced.name());
        info!(id = %self.id, "fenced: a newer attempt has begun, so this one records nothing");
    }

    async fn hold(&self) -> Result<Option<Hold>, ScriptError> {
        let mut link = self.links.take().await?;
        let hold = payout::hold(&mut link, self.keys, self.id).await?;
        self.links.put_back(link);
        Ok(hold)
    }

    async fn step(&self, step: &Step<'_>) -> Result<(Answer, Option<payout::Attempt>), ScriptError> {
        let mut link = self.links.take().await?;
        let made = payout::step_and_attempt(&mut link, self.keys, self.account, self.id, step).await?;
        self.links.put_back(link);
        Ok(made)
    }

    /// Makes a step until Redis has an answer: each repeats as itself, and proof must not be lost.
    async fn insist(
        &self,
        step: &Step<'_>,
        until: Phase,
    ) -> Result<(Answer, Option<payout::Attempt>), ScriptError> {
        let mut retry = RetryLoop::new(self.health, until, "payout");
        loop {
            match self.step(step).await {
                Ok(made) => {
                    retry.succeeded();
                    return Ok(made);
                }
                // Nothing was begun, and this partition has to be looked at first: the others need our permits.
                Err(error) if until < Phase::Over && !matches!(error, ScriptError::Failure(_)) => {
                    retry.gave_up();
                    return Err(error);
                }
                Err(error) if retry.after(&error).await.is_err() => return Err(error),
                Err(_) => {}
            }
        }
    }

    fn backoff(&self, attempts: u64) -> Duration {
        let doubled = self.rules.backoff.saturating_mul(1 << attempts.min(16));
        doubled.min(BACKOFF_MAX).mul_f64(random::in_range(0.5..=1.0))
    }
}

/// What is asked of the gateway, once an attempt has begun.
fn payment_of(hold: &Hold) -> Payment {
    Payment {
        key: hold.idempotency_key.clone(),
        id: hold.id.to_string(),
        account: hold.account.to_string(),
        amount: hold.amount,
        currency: hold.currency.clone(),
        destination: hold.destination.clone(),
    }
}
