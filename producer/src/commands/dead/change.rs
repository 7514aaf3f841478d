//! `dead retry` and `dead discard`: by id, or all that are dead now.

use anyhow::bail;
use serde_json::json;
use tollgate::Tollgate;
use tollgate::ids::JobId;
use tollgate::keys::Keys;
use tollgate::link::Link;
use tollgate::parked::{self, PAGE_MAX};
use tollgate::scripts::dead::{self, DeadResult, IDS_MAX};
use tollgate::scripts::{ScriptError, queue};

use super::list;
use super::which::Which;
use crate::context::Context;
use crate::each::in_each;
use crate::exit::Exit;
use crate::overview::Overview;
use crate::table::count;

/// What to do with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Retry,
    Discard,
}

pub(super) async fn run(context: &Context, which: Which, change: Change) -> anyhow::Result<Exit> {
    let tollgate = context.open().await?;
    if which.all {
        return all(context, &tollgate, &which, change).await;
    }
    let (results, mut exit) = by_id(&tollgate, &which.ids, change).await?;
    for (id, result) in which.ids.iter().zip(results) {
        let was_done = result == DeadResult::Absent && is_so(&tollgate, id, change).await?;
        let name = if was_done { "replayed" } else { name(result) };
        let told = context.output().answer(
            &json!({ "id": id.as_str(), "result": name }),
            match was_done {
                true => format!("{id}  {name}: not dead any more"),
                false if result == DeadResult::Absent => {
                    format!("{id}  {name}: it is not dead (see `lookup {id}`)")
                }
                false => format!("{id}  {name}"),
            },
        );
        exit = exit.combine(told);
        if !was_done && matches!(result, DeadResult::Absent | DeadResult::Damaged | DeadResult::NotKept) {
            exit = exit.combine(Exit::Refused);
        }
    }
    Ok(exit)
}

/// Whether what was asked for an id that is not dead is so already: it was put back (it waits, or was decided), or
/// nothing is left of it, as after a discard. A repeat after a lost answer ends here.
async fn is_so(tollgate: &Tollgate, id: &JobId, change: Change) -> anyhow::Result<bool> {
    let outcomes = match tollgate.lookup(std::slice::from_ref(id)).await {
        // A partition that may know it is damaged, which has been said.
        Err(error) if error.is_of_partition() => return Ok(false),
        outcomes => outcomes?,
    };
    let is_known = outcomes.iter().flatten().any(|outcome| outcome.partition.is_some());
    Ok(is_known == (change == Change::Retry))
}

fn name(result: DeadResult) -> &'static str {
    match result {
        DeadResult::Requeued => "requeued",
        DeadResult::Discarded => "discarded",
        DeadResult::Absent => "absent",
        DeadResult::Damaged => "corrupt_state",
        DeadResult::NotKept => "not_kept",
    }
}

/// One result for each id, in the order asked: of the partition where it was, if it was in one. The exit code says
/// whether a partition could not be asked.
async fn by_id(
    tollgate: &Tollgate,
    ids: &[JobId],
    change: Change,
) -> anyhow::Result<(Vec<DeadResult>, Exit)> {
    let (mut results, mut exit) = (Vec::with_capacity(ids.len()), Exit::Done);
    for chunk in ids.chunks(IDS_MAX) {
        let mut best = vec![DeadResult::Absent; chunk.len()];
        let (asked, failed) =
            in_each(tollgate, async |_, keys, link| apply(link, keys, chunk, change).await).await?;
        for (_, found) in asked {
            let found = best.iter_mut().zip(found).filter(|(_, found)| *found != DeadResult::Absent);
            found.for_each(|(best, found)| *best = found);
        }
        exit = exit.combine(failed.complain());
        results.append(&mut best);
    }
    Ok((results, exit))
}

/// All that were dead when the command began. A job that fails again at once comes back with a later time, and
/// is left alone: otherwise this and a worker would pass the same poison to and fro for ever.
async fn all(context: &Context, tollgate: &Tollgate, which: &Which, change: Change) -> anyhow::Result<Exit> {
    let overview = Overview::read(tollgate).await?;
    let begun_at_ms = overview.at_ms;
    let (all, failed) = in_each(tollgate, async |_, keys, link| {
        let (mut done, mut damaged) = (0_u64, 0_u64);
        // The position of the first job that is not done: those passed over stay in front of it.
        let mut from = 0;
        loop {
            let page = parked::dead_page(link, keys, from, PAGE_MAX).await?;
            let now: Vec<_> = page.into_iter().take_while(|dead| dead.at_ms <= begun_at_ms).collect();
            if now.is_empty() {
                return Ok((done, damaged));
            }
            let meant: Vec<JobId> = now
                .iter()
                .filter(|dead| list::matches(dead, which.reason))
                .map(|dead| dead.id.clone())
                .collect();
            from += now.len() - meant.len();
            for chunk in meant.chunks(IDS_MAX) {
                for result in apply(link, keys, chunk, change).await? {
                    match result {
                        DeadResult::Requeued | DeadResult::Discarded => done += 1,
                        DeadResult::Damaged | DeadResult::NotKept => {
                            damaged += 1;
                            from += 1;
                        }
                        // Someone else took it, and its place with it.
                        DeadResult::Absent => {}
                    }
                }
            }
        }
    })
    .await?;
    let exit = failed.complain();
    let sum = |(done, damaged), (_, (more, broken))| (done + more, damaged + broken);
    let (done, damaged) = all.into_iter().fold((0, 0), sum);
    let verb = match change {
        Change::Retry => "requeued",
        Change::Discard => "discarded",
    };
    let told = match damaged {
        0 => format!("{} {verb}", count(done)),
        _ => format!(
            "{} {verb}, {} left: their rows are damaged, or their bytes were not kept",
            count(done),
            count(damaged)
        ),
    };
    let told = context.output().answer(&json!({ verb: done, "corrupt_state": damaged }), told);
    let changed = if damaged > 0 { Exit::Refused } else { Exit::Done };
    Ok(changed.combine(told).combine(exit).combine(overview.complain()))
}

async fn apply(
    link: &mut Link,
    keys: &Keys,
    ids: &[JobId],
    change: Change,
) -> anyhow::Result<Vec<DeadResult>> {
    /// Queues are added rarely; this many in a row are damage.
    const TRIES_MAX: usize = 5;
    if change == Change::Discard {
        return Ok(dead::discard(link, keys, ids).await?);
    }
    for _ in 0..TRIES_MAX {
        let queues = queue::known(link, keys).await?;
        match dead::retry(link, keys, &queues, ids).await {
            Err(ScriptError::StaleKeys) => {}
            other => return Ok(other?),
        }
    }
    bail!("the list of queues changed at each of {TRIES_MAX} attempts: run the same command again")
}
