//! The end of reservations whose time is over, or whose inventory is cancelled: a kind of `settle` that a worker makes,
//! outside any queue.

use std::time::Duration;

use redis::Value;

use crate::connection::failure::Failure;
use crate::connection::link::Link;
use crate::protocol::ids::{InventoryId, JobId, QueueName};
use crate::protocol::keys::Keys;
use crate::protocol::kinds::Kind;
use crate::protocol::resource::Resource;

use super::error::{ScriptError, status};
use super::settle::{Answer, Assembly, Missing, Policy, SETTLE, read};
use super::stats::{self, PartitionStats};
use crate::scripts::script::millis;

/// A reservation that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// Of which inventory.
    pub inventory: InventoryId,
    /// The id of the reserve.
    pub id: JobId,
    /// When it may end, by server time in milliseconds since the Unix epoch.
    pub hold_until_ms: u64,
}

/// Whether anything may end by this time: a reservation, or what is reserved of a cancelled inventory.
///
/// # Errors
/// As [`due`].
pub async fn is_any_due(link: &mut Link, keys: &Keys, until_ms: u64) -> Result<bool, ScriptError> {
    Ok(!range(link, keys, ("-inf", until_ms), 1).await?.is_empty())
}

/// Reads up to `count` cancelled inventories of which something is reserved still.
///
/// # Errors
/// As [`due`].
pub async fn cancelled(link: &mut Link, keys: &Keys, count: usize) -> Result<Vec<InventoryId>, ScriptError> {
    let members = range(link, keys, ("-inf", 0), count).await?;
    let of_inventory = |(member, _): (String, u64)| InventoryId::parse(member.strip_suffix('\t')?).ok();
    Ok(members.into_iter().filter_map(of_inventory).collect())
}

/// Reads some of the open reservations of one inventory, from `cursor` on, and where to read on; 0 at the end. One that is
/// open all the time comes at least once.
///
/// # Errors
/// As [`due`].
pub async fn open_of(
    link: &mut Link,
    keys: &Keys,
    inventory: &InventoryId,
    cursor: u64,
    count: usize,
) -> Result<(u64, Vec<Reservation>), ScriptError> {
    let mut command = redis::cmd("ZSCAN");
    command.arg(keys.reservations()).arg(cursor).arg("MATCH").arg(format!("{}\t?*", escaped(inventory)));
    command.arg("COUNT").arg(count);
    let value = judged(keys, link.run(&command).await)?;
    let (next, page): (u64, Value) = redis::from_redis_value(value)
        .map_err(|error| Failure::unknown(format!("reservations that cannot be read: {error}")))?;
    let reservations = members(page).into_iter().filter_map(|(member, score)| read_member(&member, score));
    Ok((next, reservations.filter(|reservation| reservation.inventory == *inventory).collect()))
}

/// An id as a glob that matches it alone.
fn escaped(inventory: &InventoryId) -> String {
    let mut glob = String::new();
    for letter in inventory.as_str().chars() {
        if matches!(letter, '*' | '?' | '[' | ']' | '\\' | '^' | '-') {
            glob.push('\\');
        }
        glob.push(letter);
    }
    glob
}

/// Reads up to `count` open reservations that may end by this time, the earliest first. A member that is none is left out;
/// the audit tells it.
///
/// # Errors
/// [`ScriptError::CorruptPartition`] if `reservations` is no sorted set.
pub async fn due(
    link: &mut Link,
    keys: &Keys,
    until_ms: u64,
    count: usize,
) -> Result<Vec<Reservation>, ScriptError> {
    let members = range(link, keys, ("(0", until_ms), count).await?;
    Ok(members.into_iter().filter_map(|(member, score)| read_member(&member, score)).collect())
}

async fn range(
    link: &mut Link,
    keys: &Keys,
    (from, until_ms): (&str, u64),
    count: usize,
) -> Result<Vec<(String, u64)>, ScriptError> {
    let mut command = redis::cmd("ZRANGE");
    command.arg(keys.reservations()).arg(from).arg(until_ms).arg("BYSCORE").arg("LIMIT").arg(0).arg(count);
    command.arg("WITHSCORES");
    Ok(members(judged(keys, link.run(&command).await)?))
}

fn judged(keys: &Keys, reply: Result<Value, Failure>) -> Result<Value, ScriptError> {
    match reply {
        Ok(value) => Ok(value),
        Err(failure) if failure.is_wrong_type() => {
            Err(ScriptError::CorruptPartition(format!("{} is no sorted set", keys.reservations())))
        }
        Err(failure) => Err(failure.into()),
    }
}

/// Members with their scores, in whichever form the protocol's version has them.
fn members(value: Value) -> Vec<(String, u64)> {
    let flat: Vec<String> = match redis::from_redis_value::<Vec<String>>(value.clone()) {
        Ok(flat) => flat,
        Err(_) => {
            let pairs: Vec<(String, f64)> = redis::from_redis_value(value).unwrap_or_default();
            return pairs.into_iter().map(|(member, score)| (member, score as u64)).collect();
        }
    };
    flat.chunks_exact(2)
        .filter_map(|pair| Some((pair[0].clone(), pair[1].parse::<f64>().ok()? as u64)))
        .collect()
}

fn read_member(member: &str, hold_until_ms: u64) -> Option<Reservation> {
    let (inventory, id) = member.split_once('\t')?;
    Some(Reservation {
        inventory: InventoryId::parse(inventory).ok()?,
        id: JobId::stored(id).ok()?,
        hold_until_ms,
    })
}

/// Up to which time reservations of a partition may end now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Horizon {
    /// Server time.
    pub at_ms: u64,
    /// No entry that is not settled was sent before this time, nor will be found to have been.
    pub as_of_ms: u64,
    /// The queue whose oldest unsettled entry holds it back, if one does.
    pub held_back_by: Option<QueueName>,
}

/// Reads server time and the oldest unsettled entry of each queue, at one instant. Whatever is unsettled later was there at
/// this instant, or was sent after it. What cannot be dated (an id ahead of the clock, a queue that is lost) was perhaps sent
/// long ago: then nothing ends.
///
/// # Errors
/// As [`stats::read`].
pub async fn horizon(link: &mut Link, keys: &Keys) -> Result<Horizon, ScriptError> {
    Ok(Horizon::of(&stats::read(link, keys).await?))
}

impl Horizon {
    /// Of counters that were read at one instant.
    pub fn of(read: &PartitionStats) -> Self {
        let mut horizon = Self { at_ms: read.at_ms, as_of_ms: read.at_ms, held_back_by: None };
        for queue in &read.queues {
            let since_ms = match (queue.problem, queue.oldest_at_ms) {
                (Some(_), _) => 0,
                (None, Some(_)) if !queue.is_dated => 0,
                (None, Some(at_ms)) => at_ms,
                (None, None) => continue,
            };
            if since_ms < horizon.as_of_ms {
                (horizon.as_of_ms, horizon.held_back_by) = (since_ms, Some(queue.name.clone()));
            }
        }
        horizon
    }
}

/// A reservation that is over and does not end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldBack {
    /// For how long it has been over, in milliseconds.
    pub over_ms: u64,
    /// The queue whose oldest unsettled entry is older than its end.
    pub by: QueueName,
}

/// Reads which queue keeps reservations of a partition from ending that have been over for longer than `grace`; `None` if
/// there are none.
///
/// # Errors
/// As [`due`].
pub async fn held_back(
    link: &mut Link,
    keys: &Keys,
    read: &PartitionStats,
    grace: Duration,
) -> Result<Option<HeldBack>, ScriptError> {
    let over_by = read.at_ms.saturating_sub(millis(grace));
    let Some(first) = due(link, keys, over_by, 1).await?.pop() else { return Ok(None) };
    let horizon = Horizon::of(read);
    let is_held = first.hold_until_ms > horizon.as_of_ms;
    let over_ms = read.at_ms.saturating_sub(first.hold_until_ms);
    Ok(horizon.held_back_by.filter(|_| is_held).map(|by| HeldBack { over_ms, by }))
}

/// Ends these reservations where their time is over by `as_of_ms` and by the server's clock, or their inventory is cancelled;
/// one answer for each:
/// [`Answer::Decided`] if this call ended it, [`Answer::Replayed`] if an earlier one had,
/// [`Answer::Undecided`] if it is not open, or its time is not over.
///
/// # Errors
/// As [`settle`](super::settle::settle): after an unknown failure the same call is safe.
///
/// # Cancel safety
/// As [`settle`](super::settle::settle).
pub async fn expire(
    link: &mut Link,
    keys: &Keys,
    reservations: &[Reservation],
    as_of_ms: u64,
) -> Result<Vec<Answer>, ScriptError> {
    let mut assembly = Assembly::new(SETTLE.call(), keys, &QueueName::default(), Policy::default(), "");
    for Reservation { inventory, id, .. } in reservations {
        // It has no fingerprint of its own: the receipt keeps the reservation's.
        assembly.push_job(Kind::Expire, id, "");
        assembly.push_resource(Resource::Inventory(inventory));
        assembly.push_digits(as_of_ms);
    }
    let mut reply = assembly.finish().run(link).await?;
    let super::settle::Status::Settled = status(&mut reply)?;
    let settlement =
        read(&mut reply, reservations.len(), Missing::Undecided).inspect_err(|_: &Failure| link.poison())?;
    Ok(settlement.answers)
}
