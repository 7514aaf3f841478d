//! Foreign types and values in any key of a partition, then a script: it does all of its work or nothing,
//! and never raises an error half-way.
//!
//! "Nothing" is the same DUMP of every key, which for a stream holds its groups too.
//! "All of its work" is judged from the answers: each has its receipt, its line, its acknowledgement and its
//! resource as the line says.

mod effect;
mod ground;
mod planted;

use std::collections::BTreeSet;

use proptest::prelude::*;
use tollgate::code::Code;
use tollgate::codes_name::CodesName;
use tollgate::ids::JobId;
use tollgate::kinds::{CampaignCreate, Request};
use tollgate::scripts::ScriptError;
use tollgate::scripts::park::{Destination, Parked};
use tollgate::scripts::settle::Answer;
use tollgate::scripts::{dead, promote};

use crate::property::holds;
use crate::space::*;
use effect::{Effect, rows};
use ground::{Photograph, ground};
use planted::damages;

/// One job of the batch: kind, resource, who, how much, id, entry; numbers choose from short lists.
type Choice = (usize, usize, usize, usize, usize, usize);

fn batch() -> impl Strategy<Value = Vec<Choice>> {
    prop::collection::vec((0..9_usize, 0..3_usize, 0..2_usize, 0..7_usize, 0..8_usize, 0..4_usize), 1..7)
}

const QUANTITIES: [u64; 7] = [1, 2, 1, 7, 9_007_199_254_740_990, 9_007_199_254_740_991, 1];

fn request((kind, resource, who, much, ..): Choice) -> Request {
    let (campaign, account) = (["c0", "c1", "new"][resource], ["a0", "a1", "new"][resource]);
    let (customer, number) = (["u0", "u1"][who], QUANTITIES[much]);
    match kind {
        0 | 1 => redeem(campaign, customer, number),
        2 => withdraw(account, number),
        3 => deposit(account, number),
        4 if who == 0 => create(campaign, number),
        4 => CampaignCreate { codes: Some(codes()), ..terms(campaign, 2) }.into(),
        5 => open(account, number),
        6 if who == 0 => set_limit(campaign, number, None),
        6 => close(account),
        8 => payout(account, number),
        _ if who == 0 => end(campaign),
        _ => set_limit(campaign, number, Some(3)),
    }
}

fn codes() -> CodesName {
    CodesName::parse(&"c".repeat(64)).unwrap()
}

/// A refusal that says for certain that nothing happened, as every refusal of a script must.
fn definite(error: &ScriptError) -> Result<(), String> {
    match error.code() {
        Some(_) if !matches!(error, ScriptError::Failure(_)) => Ok(()),
        _ => Err(format!("raised half-way: {error}")),
    }
}

fn expect(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

fn nothing_changed(before: &Photograph, after: &Photograph) -> Result<(), String> {
    let changed = before.changed(after);
    expect(changed.is_empty(), || format!("nothing was decided, but {changed:?} changed"))
}

#[test]
fn settle_does_everything_or_nothing() {
    holds(600, (damages(), batch()), ground, async |ground, (damages, choices)| {
        ground.restore().await;
        ground.damage(&damages).await;
        let requests: Vec<Request> = choices.iter().map(|choice| request(*choice)).collect();
        let ids: Vec<JobId> = choices.iter().map(|choice| ground.ids[choice.4].clone()).collect();
        // Settled directly, or from one of the rows.
        let entries: Vec<Option<String>> = match choices[0].5 {
            0 => vec![None; choices.len()],
            row => ground.entries[row % 2].iter().cloned().map(Some).collect(),
        };
        let jobs: Vec<_> = (0..choices.len().min(entries.len()))
            .map(|i| (entries[i].as_deref(), &ids[i], &requests[i]))
            .collect();
        let before = ground.photograph().await;
        let typed_before = ground.space.dump().await;
        match ground.space.settle(&jobs).await {
            Err(error) => definite(&error).and(nothing_changed(&before, &ground.photograph().await)),
            Ok(settlement)
                if settlement
                    .answers
                    .iter()
                    .all(|answer| matches!(answer, Answer::Undecided(_) | Answer::NotOwner)) =>
            {
                nothing_changed(&before, &ground.photograph().await)
            }
            Ok(settlement) => {
                let after = ground.space.dump().await;
                let effect = Effect {
                    jobs: &jobs,
                    settlement: &settlement,
                    whole: &ground.entries[1],
                    before: &typed_before,
                    after: &after,
                };
                effect.judge(&mut ground.space).await
            }
        }
    });
}

/// The two sides of the conservation law, subtracted; `None` where damage keeps it from being read.
async fn imbalance(space: &mut Space) -> Option<i128> {
    let queues = [space.queue.clone()];
    let stats = tollgate::scripts::stats::stats(&mut space.link, &space.keys, &queues).await.ok()?;
    let head = &stats.head;
    let added: u64 = stats.queues.iter().map(|queue| queue.entries_added).sum();
    if head.acked < head.to_scheduled + head.to_dead || added < head.requeued {
        return None; // the counters themselves are damaged, and clamped where they are read
    }
    if stats.queues.iter().any(|queue| queue.problem.is_some()) {
        return None; // what a lost queue held counts as lost only once it is repaired
    }
    let (accepted, found) = stats.conservation();
    Some(i128::from(accepted) - i128::from(found))
}

/// How many ids are both scheduled and dead.
fn counted_twice(dump: &Dump) -> i128 {
    let dead: BTreeSet<String> = dump.members_or_none("dead").into_iter().collect();
    dump.members_or_none("scheduled").iter().filter(|id| dead.contains(*id)).count() as i128
}

/// Whether a parked job is not in the set that its row names.
fn has_lost_its_place(dump: &Dump, id: &JobId) -> bool {
    let rows = rows(dump, "parked");
    let state = rows.get(id.as_str()).and_then(|row| row.split('\t').next());
    state.is_some_and(|state| {
        ["scheduled", "dead"].contains(&state) && !dump.members_or_none(state).contains(&id.to_string())
    })
}

/// The moves: they change all that belongs together or nothing, and keep the conservation law as it was.
#[test]
fn moves_do_everything_or_nothing() {
    holds(
        800,
        (damages(), 0..4_usize, 0..3_usize, 0..6_usize),
        ground,
        async |ground, (damages, script, id, entry)| {
            ground.restore().await;
            ground.damage(&damages).await;
            let before = ground.photograph().await;
            let imbalance_before = imbalance(&mut ground.space).await;
            let twice_before = counted_twice(&ground.space.dump().await);
            let (dead, due) = (ground.dead.clone(), ground.due.clone());
            let entry = ground.entries.concat()[entry].clone();
            let space = &mut ground.space;
            let queues = [space.queue.clone()];
            let ids = [dead, due, JobId::fresh()];
            let mut put_back = 0;
            let verdict = match script {
                0 => dead::retry(&mut space.link, &space.keys, &queues, &ids).await.map(drop),
                1 => dead::discard(&mut space.link, &space.keys, &ids).await.map(drop),
                2 => promote::promote(&mut space.link, &space.keys, &queues, 10).await.map(drop),
                _ => {
                    let parked = (entry, job(&ids[id], redeem("c0", "u0", 1)));
                    let has_lost_its_place = has_lost_its_place(&space.dump().await, &ids[id]);
                    let parked = space.park(&parked, Destination::Dead(Code::WorkerLost)).await;
                    let is_put_back = has_lost_its_place && matches!(parked, Ok(Parked::AlreadyParked));
                    put_back = i128::from(is_put_back);
                    parked.map(drop)
                }
            };
            let after = ground.photograph().await;
            match verdict {
                Err(ScriptError::StaleKeys) => nothing_changed(&before, &after),
                Err(error) => definite(&error).and(nothing_changed(&before, &after)),
                Ok(()) => {
                    let own = ["head", "parked", "scheduled", "dead", "queue:default", "in_flight:default"];
                    let mut stray = before.changed(&after);
                    stray.retain(|key| !own.contains(&key.as_str()));
                    let now = imbalance(&mut ground.space).await;
                    // A job that gets its lost place back is found again; one that lay in two places was found twice.
                    let twice = counted_twice(&ground.space.dump().await);
                    let expected = imbalance_before.map(|before| before - put_back + twice_before - twice);
                    expect(stray.is_empty(), || format!("{stray:?} changed too"))
                        .and(expect(expected.is_none() || now == expected, || {
                            format!("the law was off by {imbalance_before:?}, now by {now:?}")
                        }))
                }
            }
        },
    );
}
