//! The tickets of an order: the codes that its units were given, and those of them that are void.
//!
//! Relies on the order's row as long as it lies under its inventory, and then on the journal line that handed them out.
//! Reading only.

use serde::Serialize;

use crate::connection::failure::Failure;
use crate::connection::link::Link;
use crate::protocol::codes_name::CodesName;
use crate::protocol::ids::{InventoryId, JobId};
use crate::protocol::keys::Keys;
use crate::protocol::kinds::{Event, Fields, JobRequest};
use crate::protocol::resource::Resource;
use crate::protocol::ticket_ranges::numbers;
use crate::reads::journal::{self, JournalDamage};
use crate::reads::orders::{Order, OrderLine};

/// Codes of one reply.
const PAGE: usize = 500;

/// A ticket of a unit that was sold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ticket {
    /// The number of the code in the list, from 1.
    pub number: u64,
    /// The code; `None` if the list lost it.
    pub code: Option<String>,
    /// Of which item; `None` where the order is not there any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// Its unit came back: nobody holds it, and nobody ever gets it again.
    pub void: bool,
}

/// The tickets of these lines of an order.
///
/// # Errors
/// As any read: [`Failure`].
pub async fn of_lines(
    link: &mut Link,
    keys: &Keys,
    codes: &CodesName,
    lines: &[OrderLine<'_>],
) -> Result<Vec<Ticket>, Failure> {
    let ticket = |number, line: &OrderLine<'_>, void| {
        let item = Some(line.item.to_owned());
        Ticket { number, code: None, item, void }
    };
    let tickets = lines.iter().flat_map(|line| {
        let held = numbers(line.tickets).map(move |number| ticket(number, line, false));
        held.chain(numbers(line.void).map(move |number| ticket(number, line, true)))
    });
    with_codes(link, keys, codes, tickets.collect()).await
}

async fn with_codes(
    link: &mut Link,
    keys: &Keys,
    name: &CodesName,
    mut tickets: Vec<Ticket>,
) -> Result<Vec<Ticket>, Failure> {
    for page in tickets.chunks_mut(PAGE) {
        let mut command = redis::cmd("HMGET");
        command.arg(keys.codes(name));
        page.iter().for_each(|ticket| _ = command.arg(ticket.number));
        let codes: Vec<Option<String>> = link.query(&command).await?;
        page.iter_mut().zip(codes).for_each(|(ticket, code)| ticket.code = code);
    }
    Ok(tickets)
}

/// The tickets of the order that was decided at `seq`, as they are now, or those that the job decided there handed out;
/// nothing of any other line, or where no codes are handed out.
///
/// # Errors
/// The outer error is Redis's; the inner one names a journal entry that is not ours.
pub async fn at(
    link: &mut Link,
    keys: &Keys,
    seq: u64,
) -> Result<Result<Vec<Ticket>, JournalDamage>, Failure> {
    let line = match journal::line_at(link, keys, seq).await? {
        Ok(line) => line,
        Err(damage) => return Ok(Err(damage)),
    };
    let Some((line, Resource::Inventory(inventory))) =
        line.as_ref().map(|line| (line, line.event.resource()))
    else {
        return Ok(Ok(Vec::new()));
    };
    let name: Option<String> =
        link.query(redis::cmd("HGET").arg(keys.inventory(inventory)).arg("codes")).await?;
    let Some(codes) = name.as_deref().and_then(CodesName::parse) else { return Ok(Ok(Vec::new())) };
    if let Event::Job(JobRequest::Purchase(_) | JobRequest::Reserve(_)) = &line.event
        && let Some(tickets) = of_order(link, keys, (inventory, &codes), &line.id).await?
    {
        return Ok(Ok(tickets));
    }
    let told = line.told("tickets").unwrap_or_default();
    let tickets = numbers(told).map(|number| Ticket { number, code: None, item: None, void: false });
    with_codes(link, keys, &codes, tickets.collect()).await.map(Ok)
}

/// The tickets of an order; `None` if it is not there.
///
/// # Errors
/// As any read: [`Failure`].
pub async fn of_order(
    link: &mut Link,
    keys: &Keys,
    (inventory, codes): (&InventoryId, &CodesName),
    order: &JobId,
) -> Result<Option<Vec<Ticket>>, Failure> {
    let row: Option<String> =
        link.query(redis::cmd("HGET").arg(keys.orders(inventory)).arg(order.as_str())).await?;
    match row.as_deref().and_then(Order::parse) {
        Some(order) => of_lines(link, keys, codes, &order.lines).await.map(Some),
        None => Ok(None),
    }
}
