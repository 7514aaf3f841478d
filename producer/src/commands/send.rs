//! Sends one job, and waits for its outcome if asked: what `redeem` and `withdraw` share.
//!
//! The id is printed before the send: whatever happens then, the job can be looked up or sent again, and where
//! nothing certain can be said the whole command is shown with that id. Relies on
//! [`Sender`] for a Redis that is full or away. While waiting it only reads, so it may be stopped anywhere.

use std::fmt;
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use tokio::time::{Instant as Clock, sleep};
use tollgate::Tollgate;
use tollgate::code::{Class, Code};
use tollgate::fingerprint::Fingerprint;
use tollgate::ids::{JobId, QueueName};
use tollgate::input::InputError;
use tollgate::instant::Instant;
use tollgate::job::Job;
use tollgate::journal;
use tollgate::kinds::{Fields, JobRequest, first_difference};
use tollgate::link::Link;
use tollgate::outcome::{Outcome, OutcomeClass};
use tollgate::partition::Partition;
use tollgate::scripts::ScriptError;
use tollgate::span::span;
use tollgate::tickets::Ticket;

use super::lookup::{self, Coupons};
use crate::arguments;
use crate::context::Context;
use crate::exit::Exit;
use crate::expired::warn_if_young;
use crate::interrupt::Interrupt;
use crate::missing;
use crate::now;
use crate::output::{complain, hint};
use crate::progress::Progress;
use crate::repeat::ChangeId;
use crate::report;
use crate::sender::{Chunk, Route, Sender, Work};
use crate::served;

/// How long a Redis that is full or away is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// The pauses between two looks: a job at rest is settled in a millisecond, a busy fleet needs no hammering.
const LOOK_PAUSE: Duration = Duration::from_millis(1);
const LOOK_PAUSE_MAX: Duration = Duration::from_millis(50);

/// What was typed.
#[derive(Debug, clap::Args)]
pub(super) struct SendArgs {
    /// Makes the job repeatable: the same key has one effect [default: a fresh UUIDv7]
    #[arg(long, value_name = "KEY")]
    id: Option<JobId>,
    /// The queue
    #[arg(long, value_name = "NAME", default_value = tollgate::ids::DEFAULT_QUEUE)]
    queue: QueueName,
    /// Not before this time has passed
    #[arg(long = "in", value_name = "TIME", allow_hyphen_values = true, conflicts_with = "at", value_parser = arguments::duration)]
    delay: Option<Duration>,
    /// Not before this instant (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = arguments::time)]
    at: Option<Instant>,
    /// Wait for the outcome, at most this long [default of a bare --wait: 5s]
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "5s", value_parser = arguments::duration)]
    wait: Option<Duration>,
}

#[derive(Serialize)]
struct Sent<'a> {
    id: &'a str,
    partition: u16,
    queue: &'a str,
    /// Not before this instant.
    at: Option<String>,
}

/// An outcome, seen from the request that waited for it.
#[derive(Debug, Serialize)]
struct SendReport {
    #[serde(flatten)]
    outcome: Outcome,
    /// Decided before this request was sent.
    replayed: bool,
    /// The first field in which the request known under this id differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'static str>,
    /// What does not exist, where that is the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<String>,
    /// What is there now, or why there is no outcome yet, in words that may change.
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<String>,
    /// The coupon code that a redemption was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    coupon: Option<String>,
    /// The tickets that an order was given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tickets: Vec<Ticket>,
}

/// Runs the command.
pub(super) async fn run(context: &Context, args: SendArgs, request: JobRequest) -> anyhow::Result<Exit> {
    let tollgate = context.open_or_init().await?;
    tollgate.check_partitions(&request)?;
    let mut link = tollgate.server().link().await?;
    let partition = tollgate.partition_of(request.resource());
    let at = match args.delay {
        Some(delay) => Some(later(tollgate.now(&mut link, partition).await?, delay)?),
        None => args.at,
    };
    let change = ChangeId::given_or_fresh(args.id);
    let job = Job { id: change.id().clone(), at, request };
    let sent = Sent {
        id: job.id.as_str(),
        partition: partition.number(),
        queue: args.queue.as_str(),
        at: at.map(|at| at.to_string()),
    };
    let mut interrupt = Interrupt::listen()?;
    change.announce();
    // Whoever cannot read the id could not ask about the job.
    context.output().data(&sent, || job.id.clone()).context("nothing was sent")?;

    let waiting = match args.wait {
        Some(within) => {
            Some(Waiting::begin(&tollgate, &mut link, partition, &job, &args.queue, within).await?)
        }
        None => None,
    };
    let mut exit = send(&tollgate, args.queue.clone(), job.clone(), interrupt.clone()).await?;
    if exit == Exit::Done {
        served::warn(&tollgate, &args.queue).await;
    }
    if let (Exit::Done, Some(waiting)) = (exit, waiting) {
        exit = match waiting.answer(&tollgate, &mut link, &job, &mut interrupt).await {
            Ok(answer) => {
                let told = context.output().answer(&answer, &answer);
                if answer.outcome.class == OutcomeClass::Expired {
                    warn_if_young(&tollgate, &mut link, &job.id).await;
                }
                if answer.missing.is_some() && answer.outcome.class == OutcomeClass::Dead {
                    let id = &job.id;
                    hint(format_args!(
                        "it is kept: when it exists, `tollgate-producer dead retry {id}`, or send it again with `--id {id}`"
                    ));
                }
                Exit::of_outcome(answer.outcome.class).combine(told)
            }
            // It was sent, whatever else failed.
            Err(error) => report::report(&error).combine(Exit::Undecided),
        };
    }
    if exit != Exit::Done && exit != Exit::Refused {
        change.hint_to_repeat();
    }
    Ok(exit)
}

fn later(now: Instant, delay: Duration) -> Result<Instant, InputError> {
    u64::try_from(delay.as_millis())
        .ok()
        .and_then(|delay_ms| Instant::from_ms(now.ms().checked_add(delay_ms)?))
        .ok_or_else(|| {
            InputError::new(
                Code::TimeMalformed,
                "--in",
                &span(delay),
                "a time after which the year is at most 9999",
            )
        })
}

async fn send(tollgate: &Tollgate, queue: QueueName, job: Job, interrupt: Interrupt) -> anyhow::Result<Exit> {
    let route = Route { queue, queue_max: None, wait_max: PATIENCE };
    let mut sender = Sender::new(tollgate, route, interrupt.clone(), Progress::of_nothing()).await?;
    let mut told = interrupt;
    tokio::select! {
        () = sender.send(Chunk::of(tollgate, 1, Work::Job(job))) => {}
        () = told.told() => {
            complain("interrupted before the answer came: it may have been sent");
            return Ok(Exit::Undecided);
        }
    }
    if let Some(why) = sender.tally().stopped() {
        let done = if sender.tally().unknown > 0 { "it may have been sent" } else { "it was not sent" };
        complain(format_args!("{done}: {why}"));
        why.hint().into_iter().for_each(hint);
    }
    // Whoever is told 3 or 1 may take it that nothing happened.
    Ok(if sender.tally().unknown > 0 { Exit::Undecided } else { sender.tally().exit() })
}

/// What was known before the send, so that what is new can be told from what is not.
struct Waiting {
    partition: Partition,
    queue: QueueName,
    until: Clock,
    /// The partition's seq.
    seq: u64,
    /// What was known of the id.
    before: Option<Outcome>,
}

impl Waiting {
    async fn begin(
        tollgate: &Tollgate,
        link: &mut Link,
        partition: Partition,
        job: &Job,
        queue: &QueueName,
        within: Duration,
    ) -> Result<Self, ScriptError> {
        let until = Clock::now() + within;
        let (seq, mut outcomes) = tollgate.lookup_in(link, partition, std::slice::from_ref(&job.id)).await?;
        Ok(Self { partition, queue: queue.clone(), until, seq, before: outcomes.pop() })
    }

    /// Looks until there is an answer, or time is up, or the user has enough: then what is known by then.
    async fn answer(
        self,
        tollgate: &Tollgate,
        link: &mut Link,
        job: &Job,
        interrupt: &mut Interrupt,
    ) -> anyhow::Result<SendReport> {
        let mut pause = LOOK_PAUSE;
        let outcome = loop {
            let looked = tollgate.lookup_in(link, self.partition, std::slice::from_ref(&job.id)).await;
            let time_is_up = Clock::now() >= self.until || interrupt.is_set();
            match looked.map(|(_, mut outcomes)| outcomes.pop()) {
                Ok(Some(outcome)) if time_is_up || self.is_news(&outcome, &job.request) => break outcome,
                Ok(_) => {}
                Err(ScriptError::Failure(failure)) if failure.is_transient() && !time_is_up => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("waiting for the outcome of {}", job.id));
                }
            }
            let pausing = pause.min(self.until.saturating_duration_since(Clock::now()));
            tokio::select! {
                () = sleep(pausing) => {}
                () = interrupt.told() => {}
            }
            pause = (pause * 2).min(LOOK_PAUSE_MAX);
        };
        self.judge(tollgate, link, outcome, &job.request).await
    }

    /// Is there no more to wait for? A job that was dead before it was sent again may well be decided now.
    fn is_news(&self, outcome: &Outcome, request: &JobRequest) -> bool {
        if is_of_another(outcome, request) {
            return true;
        }
        let was_dead = outcome.class == OutcomeClass::Dead && self.before.as_ref() == Some(outcome);
        outcome.is_final() && !was_dead
    }

    async fn judge(
        self,
        tollgate: &Tollgate,
        link: &mut Link,
        outcome: Outcome,
        request: &JobRequest,
    ) -> anyhow::Result<SendReport> {
        if is_of_another(&outcome, request) {
            let line = match outcome.seq {
                Some(seq) => journal::line_at(link, tollgate.keys(self.partition), seq).await?.ok().flatten(),
                None => None,
            };
            let field = line.and_then(|line| first_difference(request, &line.event));
            let (class, code) = (OutcomeClass::Refused, Some(Code::IdMismatch.name()));
            let outcome = Outcome { class, code, ..outcome };
            return Ok(SendReport {
                outcome,
                replayed: false,
                field,
                missing: None,
                now: None,
                coupon: None,
                tickets: Vec::new(),
            });
        }
        let replayed = outcome.seq.is_some_and(|seq| seq <= self.seq);
        let mut coupons = Coupons::Asked;
        let coupon = coupons.of(tollgate, link, &outcome).await?;
        // Where they cannot be read that is said; the exit code is that of the outcome.
        let (tickets, _) = coupons.tickets_of(tollgate, link, &outcome).await?;
        let code = outcome.code.and_then(Code::from_name);
        let missing = match code {
            Some(code) => missing::of(tollgate, link, code, request).await,
            None => None,
        };
        let now = match (outcome.class, code) {
            (OutcomeClass::NotDecided, _) => Some(served::why_it_waits(tollgate, link, &self.queue).await),
            (_, Some(code)) => now::of(tollgate, link, (code, missing.as_deref()), replayed, request).await,
            (_, None) => None,
        };
        Ok(SendReport { outcome, replayed, field: None, missing, now, coupon, tickets })
    }
}

fn is_of_another(outcome: &Outcome, request: &JobRequest) -> bool {
    outcome.fingerprint.is_some_and(|fingerprint| fingerprint != Fingerprint::of(request))
}

impl fmt::Display for SendReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.outcome.code.unwrap_or_default();
        match self.outcome.class {
            OutcomeClass::NotDecided => {
                let why = self.now.as_deref().unwrap_or_default();
                return write!(
                    f,
                    "not decided yet: {why}; `lookup {}` says later what became of it, and sending the same id again is safe",
                    self.outcome.id
                );
            }
            OutcomeClass::Applied => f.write_str(code)?,
            class => write!(f, "{class}: {code}")?,
        }
        if let Some(meaning) =
            Code::from_name(code).filter(|code| code.class() != Class::Applied).map(Code::meaning)
        {
            write!(f, ": {meaning}")?;
        }
        if let Some(missing) = &self.missing {
            write!(f, ": {missing}")?;
        }
        if let Some(now) = &self.now {
            write!(f, "; {now}")?;
        }
        if let Some(field) = self.field {
            write!(f, ", and its {field} differs")?;
        }
        if let Some(coupon) = &self.coupon {
            write!(f, "  coupon {coupon}")?;
        }
        if let Some(tickets) = lookup::in_words(&self.tickets) {
            write!(f, "  tickets {tickets}")?;
        }
        if self.replayed {
            f.write_str(" (replayed: decided before)")?;
        }
        Ok(())
    }
}
