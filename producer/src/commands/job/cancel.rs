//! `job cancel ID`: decides against a job that waits for its time.
//!
//! The request is read from the job's parked row and decided by `settle` under the job's own id. If the process dies,
//! the answer is lost, or the row moves in between: the same command again is a replay, or says what is so by then.

use anyhow::bail;
use futures_util::StreamExt;
use serde::Serialize;
use tollgate::code::Code;
use tollgate::envelope::Envelope;
use tollgate::ids::{JobId, QueueName};
use tollgate::kinds::{Fields, JobRequest};
use tollgate::link::Link;
use tollgate::outcome::{Outcome, OutcomeClass};
use tollgate::parked;
use tollgate::scripts::lookup::ParkedState;
use tollgate::scripts::settle::Answer;
use tollgate::{Tollgate, abreast};

use crate::context::Context;
use crate::exit::Exit;
use crate::operation;
use crate::output::{complain, hint};
use crate::repeat::ChangeId;
use crate::report;
use crate::served;

/// What came of it: the outcome as of `lookup`, and whether the job is cancelled by now.
#[derive(Serialize)]
struct Told {
    cancelled: bool,
    #[serde(flatten)]
    outcome: Outcome,
}

pub(super) async fn run(context: &Context, id: &JobId) -> anyhow::Result<Exit> {
    let tollgate = context.acting(context.open().await?).await?;
    let mut link = tollgate.server().link().await?;
    let requests = requests(&tollgate, id).await?;
    let change = ChangeId::of_name(id.clone());
    let mut exit = Exit::Done;
    // One, unless the id was used in several partitions.
    for request in &requests {
        change.announce();
        let ask = async |link: &mut Link| tollgate.cancel(link, id, request).await;
        let seq = match operation::insist(&mut link, ask).await? {
            Ok(Answer::Decided { seq, .. }) => seq,
            Ok(Answer::Undecided(code)) => return what_is_so(context, &tollgate, id, code).await,
            // Somebody else has decided it meanwhile, or has put another job in its place.
            Ok(_) => return what_is_so(context, &tollgate, id, Code::NotScheduled).await,
            Err(error) => {
                let what = format!("cancelling {id}, a {} of {}", request.kind(), request.resource());
                let failed = report::report(&anyhow::Error::from(error).context(what));
                change.hint_to_repeat();
                return Ok(failed);
            }
        };
        let outcome = Outcome {
            id: id.clone(),
            partition: Some(tollgate.partition_of(request.resource())),
            class: OutcomeClass::Refused,
            code: Some(Code::Cancelled.name()),
            seq: Some(seq),
            fingerprint: None,
            given_back: None,
            reservation: None,
        };
        let words = format!("{id}  cancelled: {} of {}", request.kind(), request.resource());
        exit = exit.combine(context.output().answer(&Told { cancelled: true, outcome }, words));
    }
    match requests.is_empty() {
        true => what_is_so(context, &tollgate, id, Code::NotScheduled).await,
        false => Ok(exit),
    }
}

/// What is asked for under `id` by jobs that wait for their time, or are back in their queue since then.
async fn requests(tollgate: &Tollgate, id: &JobId) -> anyhow::Result<Vec<JobRequest>> {
    let mut requests = Vec::new();
    let rows = abreast(tollgate.partitions().iter(), |partition| async move {
        parked::row(&mut tollgate.server().link().await?, tollgate.keys(partition), id).await
    });
    for (partition, row) in rows.collect::<Vec<_>>().await {
        let row = match row? {
            None => continue,
            Some(Ok(row)) if row.state == ParkedState::Dead => continue,
            Some(row) => row,
        };
        match row.ok().and_then(|row| Envelope::decode_job(&row.envelope).ok()) {
            Some(job) => requests.push(job.request),
            None => bail!("partition {partition}: the row of {id} is damaged: `audit`, then `repair parked`"),
        }
    }
    Ok(requests)
}

/// Says what is so of a job that was not cancelled by this command, `code` being why not. What was cancelled before is
/// as asked.
async fn what_is_so(context: &Context, tollgate: &Tollgate, id: &JobId, code: Code) -> anyhow::Result<Exit> {
    let outcomes = tollgate.lookup(std::slice::from_ref(id)).await?;
    let Some(outcome) = outcomes.into_iter().flatten().next() else { bail!("nothing is known of {id}") };
    let known = outcome.code.unwrap_or_default();
    let cancelled = known == Code::Cancelled.name();
    let class = outcome.class;
    let words = match (cancelled, known) {
        (true, _) => format!("{id}  cancelled before: nothing is left to do"),
        (false, "") => format!("{id}  {class}"),
        (false, known) => format!("{id}  {class} {known}"),
    };
    let told = context.output().answer(&Told { cancelled, outcome }, words);
    if cancelled {
        return Ok(told);
    }
    let say = |what: &str| complain(format_args!("not cancelled: {what}"));
    match class {
        _ if code != Code::NotScheduled => say(&format!("{code}: {}", code.meaning())),
        OutcomeClass::Applied | OutcomeClass::Refused => say(&format!("{id} was decided before: {known}")),
        OutcomeClass::Pending => {
            say(&format!("{id} is a payout that has begun"));
            hint(format_args!(
                "`payout show {id}` says how far it is, `payout void {id}` gives its money back"
            ));
        }
        OutcomeClass::Dead => {
            say(&format!("{id} is dead"));
            hint(format_args!("`dead discard {id}` gives it up"));
        }
        OutcomeClass::Expired => say(Code::IdExpired.meaning()),
        OutcomeClass::NotDecided => {
            say(&format!("{id} is not scheduled: it waits in its queue, is in flight, or never arrived"));
            hint(
                "a job can be cancelled once a worker has put it aside for its time; `job waiting` lists what waits",
            );
            served::warn(tollgate, &QueueName::default()).await;
        }
    }
    Ok(Exit::Refused.combine(told))
}
