//! One request, from the question to the answer: what each cure does, in the steps that the stores offer.
//!
//! Every cure is a way of reading and writing ([`Way`]), and perhaps something around it: a lock, a key. The naive
//! way is the plain one with nothing around it.

use std::time::Duration;

use super::cure::{Cure, Service};
use super::hands::Hands;
use super::matrix::Cell;
use super::sabotage::Bug;
use super::scenario::{Request, Round};
use super::stop::Stop;
use super::store::{Change, Claim, Tried, Way};
use super::trace::{Reply, State, Step, Trace, now_ns};

/// How often a request begins again before it gives up.
const ATTEMPTS_MAX: u64 = 500;
/// The longest pause before beginning again.
const PAUSE_MAX: Duration = Duration::from_millis(4);
/// Between two looks at a key that somebody else executes.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// What a request meets on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Course {
    /// Between its read and its write.
    pub(super) think: Duration,
    /// Whether its process is stopped between them.
    pub(super) stop: Stop,
}

/// Serves a request; its trace ends with the answer.
pub(super) async fn serve(
    hands: &mut Hands,
    cell: Cell,
    round: &Round,
    request: &Request,
    course: Course,
) -> anyhow::Result<Trace> {
    let mut trace = Trace::default();
    let mut context = RequestContext { hands, cell, round, request, course, trace: &mut trace };
    let answer = match cell.cure {
        Cure::Naive => context.until_done(Way::Plain).await,
        Cure::Transaction(isolation) => context.until_done(Way::Transaction(isolation)).await,
        Cure::RowLock => context.until_done(Way::RowLock).await,
        Cure::Optimistic => context.until_done(Way::Optimistic).await,
        Cure::Atomic => context.atomic().await,
        Cure::IdempotencyKey => context.under_a_key().await,
        Cure::Lock(service) | Cure::LockFence(service) => context.locked(service).await,
        Cure::Tollgate => context.as_a_job().await,
    };
    trace.note(Step::Answered(answer?));
    Ok(trace)
}

/// One request at work.
struct RequestContext<'a> {
    hands: &'a mut Hands,
    cell: Cell,
    round: &'a Round,
    request: &'a Request,
    course: Course,
    trace: &'a mut Trace,
}

impl RequestContext<'_> {
    /// Read, decide, think, write: one attempt; or why to begin again. `lock` is asked, right before the write,
    /// whether it still holds.
    async fn attempt(&mut self, way: Way, lock: Option<Service>) -> anyhow::Result<Result<Reply, Step>> {
        let way = if Bug::EveryWayIsNaive.is_planted() { Way::Plain } else { way };
        let wants = self.round.wants(self.request);
        let keys: Vec<&str> = wants.iter().map(|(key, _)| *key).collect();
        let records = self.hands.records(self.cell.store)?;
        let sent_at = now_ns();
        let seen = match done(records.read(way, &keys).await?) {
            Ok(seen) => seen,
            Err(why) => return Ok(Err(why)),
        };
        self.trace.note_at(sent_at, Step::Read { seen: seen.clone() });
        if wants.iter().zip(&seen).any(|((_, amount), state)| state.quantity < *amount) {
            records.leave(way).await?;
            return Ok(Ok(Reply::Refused));
        }
        if !self.course.think.is_zero() {
            tokio::time::sleep(self.course.think).await;
        }
        if let Some(service) = lock
            && !self.hands.lock(service)?.is_held()
        {
            return Ok(Err(Step::LockEnded));
        }
        self.course.stop.here(self.trace);
        let next: Vec<State> =
            wants.iter().zip(&seen).map(|((_, amount), state)| after(*state, *amount)).collect();
        let changes: Vec<Change<'_>> = keys
            .iter()
            .zip(seen.iter().zip(&next))
            .map(|(key, (seen, next))| Change { key, seen: *seen, next: *next })
            .collect();
        let written = done(self.hands.records(self.cell.store)?.write(way, &changes).await?);
        Ok(written.map(|()| {
            self.trace.note(Step::Wrote { next });
            Reply::Granted { receipt: None }
        }))
    }

    /// Attempts until one is not overtaken.
    async fn until_done(&mut self, way: Way) -> anyhow::Result<Reply> {
        for number in 1..=ATTEMPTS_MAX {
            match self.attempt(way, None).await? {
                Ok(answer) => return Ok(answer),
                Err(why) => self.begin_again(why, number).await,
            }
        }
        Ok(Reply::GaveUp)
    }

    async fn atomic(&mut self) -> anyhow::Result<Reply> {
        if Bug::EveryWayIsNaive.is_planted() {
            return self.until_done(Way::Plain).await;
        }
        let wants = self.round.wants(self.request);
        for number in 1..=ATTEMPTS_MAX {
            match done(self.hands.records(self.cell.store)?.take(&wants).await?) {
                Ok(true) => {
                    self.trace.note(Step::Took);
                    return Ok(Reply::Granted { receipt: None });
                }
                Ok(false) => return Ok(Reply::Refused),
                Err(why) => self.begin_again(why, number).await,
            }
        }
        Ok(Reply::GaveUp)
    }

    /// Whoever claims the key first executes the request; the others wait for that answer. The cure has a hole of its
    /// own, which ends the run here: who dies between claim and answer leaves the key claimed, and nobody knows what the
    /// request did.
    async fn under_a_key(&mut self) -> anyhow::Result<Reply> {
        let id = match Bug::KeyForgotten.is_planted() {
            true => &format!("{}-{}", self.request.id, now_ns()),
            false => &self.request.id,
        };
        let answered = |granted: bool| match granted {
            true => Reply::Granted { receipt: Some(id.clone()) },
            false => Reply::Refused,
        };
        loop {
            match self.hands.records(self.cell.store)?.claim(id).await? {
                Claim::Ours => break,
                Claim::Underway => tokio::time::sleep(LOOK_EVERY).await,
                Claim::Answered { granted } => {
                    self.trace.note(Step::KeyKnown);
                    return Ok(answered(granted));
                }
            }
        }
        let granted = matches!(self.until_done(Way::Plain).await?, Reply::Granted { .. });
        self.hands.records(self.cell.store)?.answer(id, granted).await?;
        Ok(answered(granted))
    }

    /// The plain way under a lock; or with the lock's token, where the resource checks it.
    async fn locked(&mut self, service: Service) -> anyhow::Result<Reply> {
        let fenced = matches!(self.cell.cure, Cure::LockFence(_));
        let name = match Bug::LockForAll.is_planted() {
            true => &format!("{}-{}", self.request.id, now_ns()),
            false => &self.request.lock,
        };
        for number in 1..=ATTEMPTS_MAX {
            let lock = self.hands.lock(service)?;
            lock.take(name).await?;
            let token = if fenced { Some(lock.token().await?) } else { None };
            self.trace.note(Step::Locked { token });
            let way = token.map_or(Way::Plain, Way::Fenced);
            let tried = self.attempt(way, Some(service)).await;
            let released = self.hands.lock(service)?.release().await;
            // What went wrong first is told first.
            let tried = tried?;
            released?;
            match tried {
                Ok(answer) => return Ok(answer),
                Err(why) => self.begin_again(why, number).await,
            }
        }
        Ok(Reply::GaveUp)
    }

    async fn as_a_job(&mut self) -> anyhow::Result<Reply> {
        self.trace.note(Step::Enqueued);
        self.hands.jobs()?.ask(self.round, self.request).await
    }

    /// Notes why, and waits a little, longer each time.
    async fn begin_again(&mut self, why: Step, number: u64) {
        self.trace.note(why);
        let most = PAUSE_MAX.min(Duration::from_micros(250 * number));
        tokio::time::sleep(rand::random_range(Duration::ZERO..=most)).await;
    }
}

/// What a store did, or why to begin again.
fn done<T>(tried: Tried<T>) -> Result<T, Step> {
    match tried {
        Tried::Done(value) => Ok(value),
        Tried::Overtaken => Err(Step::Overtaken),
        Tried::Fenced => Err(Step::Fenced),
    }
}

fn after(state: State, amount: i64) -> State {
    State { quantity: state.quantity - amount, version: state.version + 1 }
}
