//! The index of open reservations: each is in it, with the time at which it may end, and nothing else is but one member of
//! each cancelled inventory, in front of all, as long as anything of it is reserved.
//!
//! What is read is older than the end of the replay: a member that was strange, or missing, is damage only if it is so by the
//! model at the end as well.

use redis::{Pipeline, Value};

use tollgate::failure::Failure;
use tollgate::ids::{InventoryId, JobId};

use super::context::AuditContext;
use super::index::scan;
use super::model::Model;
use super::read::{field, judge as judged, shown};
use super::report::Check;

/// Members of one pipeline.
const CHUNK: usize = 500;

/// What the replay did not know of when it was read.
pub(super) struct Seen {
    strange: Vec<String>,
    /// With the score that each must have, and what was found.
    wrong: Vec<(String, u64, String)>,
}

/// A member that must be there.
pub(super) struct Expected {
    pub(super) score: u64,
    /// Of the line that demands it.
    pub(super) seq: u64,
}

/// Reads the index.
pub(super) async fn read(context: &mut AuditContext<'_>, model: &Model) -> Result<Seen, Failure> {
    let key = context.keys.reservations();
    let mut wrong = Vec::new();
    for chunk in members(model).chunks(CHUNK) {
        let mut pipeline = Pipeline::with_capacity(chunk.len());
        for (member, _) in chunk {
            pipeline.cmd("ZSCORE").arg(&key).arg(member);
        }
        let mut replies = context.link.run_pipeline(&pipeline).await?.into_iter();
        for (member, expected) in chunk {
            let reply = judged(replies.next().ok_or_else(|| Failure::unknown("a reply is missing"))?)?;
            let score = match reply {
                Ok(Value::Double(score)) => Some(score.to_string().into_bytes()),
                Ok(value) => field(value),
                Err(_) => None,
            };
            if score.as_deref() != Some(expected.score.to_string().as_bytes()) {
                wrong.push((member.clone(), expected.score, shown(&score)));
            }
        }
    }
    let strange = scan(context, &key, "reservations", |member| of_member(model, member).is_none()).await?;
    Ok(Seen { strange, wrong })
}

/// Tells what no line explains, now that the replay has gone on.
pub(super) async fn judge(context: &mut AuditContext<'_>, model: &Model, seen: Seen) -> Result<(), Failure> {
    for (member, score, found) in seen.wrong {
        let still = of_member(model, &member).filter(|expected| expected.score == score);
        if let (Some(expected), Some((inventory, id))) = (still, member.split_once('\t')) {
            let what = match id {
                "" => "the inventory is cancelled and has open reservations, but nobody would end them",
                _ => "the reservation is open, but reservations does not say when it may end",
            };
            let name = format!("inventory:{inventory}");
            let must_be = format!("{id} at {score}");
            context.findings.violation(Check::G14, name, &[expected.seq], must_be, found, what);
        }
    }
    for member in seen.strange {
        let mut command = redis::cmd("ZSCORE");
        command.arg(context.keys.reservations()).arg(&member);
        let is_there = judged(context.link.run(&command).await)?.is_ok_and(|score| score != Value::Nil);
        if is_there && of_member(model, &member).is_none() {
            let what = "a reservation that the journal does not know as open";
            context.findings.violation(
                Check::G14,
                "reservations",
                &[],
                "nothing",
                format!("{member:?}"),
                what,
            );
        }
    }
    Ok(())
}

/// All members that must be there.
pub(super) fn members(model: &Model) -> Vec<(String, Expected)> {
    let reservations = model.reservations.iter().map(|(id, order)| format!("{}\t{id}", order.inventory));
    let inventories = model.inventories.keys().map(|id| format!("{id}\t"));
    reservations
        .chain(inventories)
        .filter_map(|member| {
            let expected = of_member(model, &member)?;
            Some((member, expected))
        })
        .collect()
}

/// What a member must be, `<inventory> TAB <id>`, or with no id that of a cancelled inventory; `None` if it must not be there.
fn of_member(model: &Model, member: &str) -> Option<Expected> {
    let (inventory, id) = member.split_once('\t')?;
    if id.is_empty() {
        let inventory = model.inventories.get(&InventoryId::parse(inventory).ok()?)?;
        let is_ending = inventory.is_cancelled() && inventory.open > 0;
        return is_ending.then_some(Expected { score: 0, seq: inventory.seq });
    }
    let order = model.reservations.get(&JobId::stored(id).ok()?)?;
    let score = order.hold.map_or(0, |hold| hold.until_ms);
    (order.inventory.as_str() == inventory).then_some(Expected { score, seq: order.seq })
}
