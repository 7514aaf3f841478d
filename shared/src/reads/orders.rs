//! Orders as they lie under their inventories: purchases and reservations, line by line, for as long as the inventory has
//! not been archived.
//!
//! Reading only.

use std::collections::HashMap;

use redis::Pipeline;

use crate::connection::failure::Failure;
use crate::connection::link::Link;
use crate::protocol::code::Code;
use crate::protocol::fingerprint::Fingerprint;
use crate::protocol::ids::{CustomerId, InventoryId, JobId};
use crate::protocol::keys::Keys;
use crate::protocol::kinds::{Event, JobRequest};
use crate::reads::journal;

/// The row of an order was changed past the scripts, and cannot be read; `audit` says more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: order {0}: its row was changed past the scripts", code = Code::CorruptState)]
pub struct OrderDamage(pub JobId);

/// What became of an order as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderState {
    /// Something of it is reserved.
    Open,
    /// What was not given back is sold.
    Sold,
    /// It was given up.
    Released,
    /// Its time was over.
    Expired,
    /// Its inventory was cancelled while something of it was reserved.
    Cancelled,
    /// All that was sold came back.
    Returned,
}

impl OrderState {
    /// The name in Redis.
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "reserved" => Self::Open,
            "sold" => Self::Sold,
            "released" => Self::Released,
            "expired" => Self::Expired,
            "cancelled" => Self::Cancelled,
            "returned" => Self::Returned,
            _ => return None,
        })
    }

    /// The name in JSON, of a reservation.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Sold => "committed",
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Returned => "returned",
        }
    }
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order<'a> {
    /// What became of it.
    pub state: OrderState,
    /// The journal line that its receipt names.
    pub seq: u64,
    /// When a reservation may end, in milliseconds since the Unix epoch; `None` of a purchase.
    pub hold_until_ms: Option<u64>,
    /// Of the request; `None` of a purchase.
    pub fingerprint: Option<Fingerprint>,
    /// Whose it is.
    pub customer: &'a str,
    /// What it is of.
    pub lines: Vec<OrderLine<'a>>,
}

/// What became of the units of one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderLine<'a> {
    /// The item.
    pub item: &'a str,
    /// How many are set aside.
    pub reserved: u64,
    /// How many are sold.
    pub sold: u64,
    /// How many came back.
    pub given: u64,
    /// The tickets of what is sold, as ranges of numbers: `17-18,20`; empty where no codes are handed out.
    pub tickets: &'a str,
    /// The tickets that are void, likewise.
    pub void: &'a str,
}

impl<'a> Order<'a> {
    /// Reads a row: state, seq, hold_until_ms, fingerprint and customer, and the lines, each `{<quantity> <item>}` where the
    /// state says it all, else `{<reserved>,<sold>,<given back> <item>}`; where codes are handed out, with
    /// `#<tickets>!<void ones>` before the space.
    pub fn parse(text: &'a str) -> Option<Self> {
        let words: Vec<&str> = text.split('\t').collect();
        let [state, seq, hold, fingerprint, customer, lines] = words[..] else { return None };
        let state = OrderState::of(state)?;
        let lines = lines.strip_prefix('{')?.strip_suffix('}')?.split("}{");
        Some(Self {
            state,
            seq: seq.parse().ok()?,
            hold_until_ms: if hold.is_empty() { None } else { Some(hold.parse().ok()?) },
            fingerprint: if fingerprint.is_empty() { None } else { Some(Fingerprint::parse(fingerprint)?) },
            customer,
            lines: lines.map(|line| OrderLine::parse(line, state)).collect::<Option<_>>()?,
        })
    }

    /// The code that its id answers with.
    pub fn code(&self) -> Code {
        match self.state {
            _ if self.fingerprint.is_none() => Code::Purchased,
            OrderState::Expired => Code::ReservationExpired,
            OrderState::Cancelled => Code::InventoryCancelled,
            OrderState::Open | OrderState::Sold | OrderState::Released | OrderState::Returned => {
                Code::Reserved
            }
        }
    }
}

impl<'a> OrderLine<'a> {
    fn parse(text: &'a str, state: OrderState) -> Option<Self> {
        let (numbers, item) = text.split_once(' ')?;
        let (numbers, tickets) = numbers.split_once('#').unwrap_or((numbers, ""));
        let (tickets, void) = tickets.split_once('!').unwrap_or((tickets, ""));
        let numbers = numbers.split(',').map(str::parse).collect::<Result<Vec<u64>, _>>().ok()?;
        let (reserved, sold, given) = match (&numbers[..], state) {
            (&[reserved, sold, given], _) => (reserved, sold, given),
            (&[all], OrderState::Open) => (all, 0, 0),
            (&[all], OrderState::Sold) => (0, all, 0),
            (&[all], _) => (0, 0, all),
            _ => return None,
        };
        Some(Self { item, reserved, sold, given, tickets, void })
    }
}

/// Reads some of the orders of an inventory, ids and rows, from `cursor` on, and where to read on; `None` at the end. One
/// that is there all the time comes at least once.
///
/// # Errors
/// As any read: [`Failure`].
pub async fn page(
    link: &mut Link,
    keys: &Keys,
    inventory: &InventoryId,
    cursor: u64,
    count: usize,
) -> Result<(Option<u64>, Vec<(String, String)>), Failure> {
    let mut command = redis::cmd("HSCAN");
    command.arg(keys.orders(inventory)).arg(cursor).arg("COUNT").arg(count);
    let (next, orders): (u64, Vec<(String, String)>) = link.query(&command).await?;
    Ok(((next > 0).then_some(next), orders))
}

/// The row of an order as it lies in Redis, for [`Order::parse`]; `None` if it is not there.
///
/// # Errors
/// As any read: [`Failure`].
pub async fn row_of(
    link: &mut Link,
    keys: &Keys,
    inventory: &InventoryId,
    order: &JobId,
) -> Result<Option<String>, Failure> {
    link.query(redis::cmd("HGET").arg(keys.orders(inventory)).arg(order.as_str())).await
}

/// Whose an order is; `None` if it is not there, or cannot be read.
///
/// # Errors
/// As any read: [`Failure`].
pub async fn customer_of(
    link: &mut Link,
    keys: &Keys,
    inventory: &InventoryId,
    order: &JobId,
) -> Result<Option<CustomerId>, Failure> {
    let row = row_of(link, keys, inventory, order).await?;
    Ok(row.as_deref().and_then(Order::parse).and_then(|order| CustomerId::parse(order.customer).ok()))
}

/// What has become of a reservation by now, or that its row is `damaged`: the line at `seq`, which decided the reserve,
/// names its inventory. `None` if it is not there any more.
///
/// # Errors
/// As any read: [`Failure`].
pub(crate) async fn of_reserve(
    link: &mut Link,
    keys: &Keys,
    id: &JobId,
    seq: u64,
) -> Result<Option<&'static str>, Failure> {
    let line = journal::line_at(link, keys, seq).await?.ok().flatten();
    let Some(Event::Job(JobRequest::Reserve(reserve))) =
        line.filter(|line| line.id == *id).map(|line| line.event)
    else {
        return Ok(None);
    };
    let row = row_of(link, keys, &reserve.inventory, id).await?;
    Ok(row.map(|row| Order::parse(&row).map_or("damaged", |order| order.state.name())))
}

/// Inventories that are looked through at once.
const INVENTORIES: usize = 200;

/// Looks for these ids among the orders of all inventories of a partition: of an id whose receipt was dropped nobody knows
/// any more which inventory it is of. One round trip for 200 inventories.
///
/// # Errors
/// As any read: [`Failure`].
pub(crate) async fn find(
    link: &mut Link,
    keys: &Keys,
    ids: &[&JobId],
) -> Result<HashMap<JobId, String>, Failure> {
    let mut found = HashMap::new();
    let mut after = "[inventory:".to_owned();
    while found.len() < ids.len() {
        let mut page = redis::cmd("ZRANGE");
        page.arg(keys.resources()).arg(&after).arg("(inventory;").arg("BYLEX");
        page.arg("LIMIT").arg(0).arg(INVENTORIES);
        let names: Vec<String> = link.query(&page).await?;
        let Some(last) = names.last() else { break };
        after = format!("({last}");
        let of_name = |name: &String| InventoryId::parse(name.strip_prefix("inventory:")?).ok();
        let mut pipeline = Pipeline::new();
        for inventory in names.iter().filter_map(of_name) {
            pipeline.cmd("HMGET").arg(keys.orders(&inventory));
            ids.iter().for_each(|id| _ = pipeline.arg(id.as_str()));
        }
        for reply in link.run_pipeline(&pipeline).await? {
            let rows = match reply {
                Ok(value) => redis::from_redis_value::<Vec<Option<String>>>(value).unwrap_or_default(),
                Err(failure) if failure.is_wrong_type() => continue,
                Err(failure) => return Err(failure),
            };
            let rows = ids.iter().zip(rows).filter_map(|(id, row)| Some(((*id).clone(), row?)));
            found.extend(rows.filter(|(_, row)| Order::parse(row).is_some()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_as_settle_writes_it() {
        let order =
            Order::parse("reserved\t7\t9000\t0123456789abcdef\tu v\t{2 A-1}{1,2,3 the floor}").unwrap();
        assert_eq!((order.state, order.seq, order.hold_until_ms), (OrderState::Open, 7, Some(9000)));
        assert_eq!((order.customer, order.code()), ("u v", Code::Reserved));
        let line =
            |item, reserved, sold, given| OrderLine { item, reserved, sold, given, tickets: "", void: "" };
        let given_back = Order::parse("sold\t7\t\t\tu\t{0,2,1#17-18!19 A-1}").unwrap();
        assert_eq!((given_back.lines[0].tickets, given_back.lines[0].void), ("17-18", "19"));
        assert_eq!(order.lines, [line("A-1", 2, 0, 0), line("the floor", 1, 2, 3)]);
        let sold = Order::parse("sold\t7\t\t\tu\t{2 A-1}").unwrap();
        assert_eq!((sold.hold_until_ms, sold.code(), sold.lines[0].sold), (None, Code::Purchased, 2));
        let expired = Order::parse("expired\t8\t9\t0123456789abcdef\tu\t{0,1,1 A-1}").unwrap();
        assert_eq!(expired.code(), Code::ReservationExpired);
        for wrong in [
            "",
            "sold\t7\t\t\tu\t",
            "gone\t7\t\t\tu\t{2 a}",
            "sold\t7\t\t\tu\t{2,3 a}",
            "sold\tx\t\t\tu\t{2 a}",
        ] {
            assert_eq!(Order::parse(wrong), None, "{wrong:?}");
        }
    }
}
