//! The index of open reservations: each is in it, with the time at which it may end, and nothing else is.
//!
//! What is read is older than the end of the replay: a member that was strange, or missing, is damage only if it is so by the
//! model at the end as well.

use redis::{Pipeline, Value};

use tollgate::failure::Failure;
use tollgate::ids::JobId;

use super::context::AuditContext;
use super::index::scan;
use super::model::Model;
use super::order::Order;
use super::read::{field, judge as judged, shown};
use super::report::Check;

/// Reservations of one pipeline.
const CHUNK: usize = 500;

/// What the replay did not know of when it was read.
pub(super) struct Seen {
    strange: Vec<String>,
    /// With the time at which it may end, and what was found.
    wrong: Vec<(JobId, u64, String)>,
}

/// Reads the index.
pub(super) async fn read(context: &mut AuditContext<'_>, model: &Model) -> Result<Seen, Failure> {
    let key = context.keys.reservations();
    let mut wrong = Vec::new();
    let all: Vec<(&JobId, &Order)> = model.reservations.iter().collect();
    for chunk in all.chunks(CHUNK) {
        let mut pipeline = Pipeline::with_capacity(chunk.len());
        for (id, order) in chunk {
            pipeline.cmd("ZSCORE").arg(&key).arg(format!("{}\t{id}", order.inventory));
        }
        let mut replies = context.link.run_pipeline(&pipeline).await?.into_iter();
        for (id, order) in chunk {
            let reply = judged(replies.next().ok_or_else(|| Failure::unknown("a reply is missing"))?)?;
            let score = match reply {
                Ok(Value::Double(score)) => Some(score.to_string().into_bytes()),
                Ok(value) => field(value),
                Err(_) => None,
            };
            let until_ms = order.hold.map_or(0, |hold| hold.until_ms);
            if score.as_deref() != Some(until_ms.to_string().as_bytes()) {
                wrong.push(((*id).clone(), until_ms, shown(&score)));
            }
        }
    }
    let strange = scan(context, &key, "reservations", |member| of_member(model, member).is_none()).await?;
    Ok(Seen { strange, wrong })
}

/// Tells what no line explains, now that the replay has gone on.
pub(super) async fn judge(context: &mut AuditContext<'_>, model: &Model, seen: Seen) -> Result<(), Failure> {
    for (id, until_ms, found) in seen.wrong {
        let still = model
            .reservations
            .get(&id)
            .filter(|order| order.hold.is_some_and(|hold| hold.until_ms == until_ms));
        if let Some(order) = still {
            let what = "the reservation is open, but reservations does not say when it may end";
            let name = format!("inventory:{}", order.inventory);
            context.findings.violation(
                Check::G14,
                name,
                &[order.seq],
                format!("{id} at {until_ms}"),
                found,
                what,
            );
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

/// The open reservation that a member names, `<inventory> TAB <id>`.
fn of_member<'a>(model: &'a Model, member: &str) -> Option<&'a Order> {
    let (inventory, id) = member.split_once('\t')?;
    let order = JobId::stored(id).ok().and_then(|id| model.reservations.get(&id));
    order.filter(|order| order.inventory.as_str() == inventory)
}
