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
use crate::reads::orders::{self, Order, OrderDamage, OrderLine};

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
    /// Whether its unit came back: then nobody holds it, and nobody ever gets it again. `None` where the order is not there
    /// any more (its inventory is archived): the journal tells what was handed out, and of one order not what came back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub void: Option<bool>,
}

/// What was to tell the tickets cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TicketsDamage {
    /// The journal entry that handed them out.
    #[error(transparent)]
    Journal(#[from] JournalDamage),
    /// The order.
    #[error(transparent)]
    Order(#[from] OrderDamage),
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
        Ticket { number, code: None, item, void: Some(void) }
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

/// The tickets of the order that was decided at `seq`, or those that the job decided there handed out, as they are now;
/// nothing of any other line, or where no codes are handed out.
///
/// # Errors
/// The outer error is Redis's; the inner one names what was changed past the scripts.
pub async fn at(
    link: &mut Link,
    keys: &Keys,
    seq: u64,
) -> Result<Result<Vec<Ticket>, TicketsDamage>, Failure> {
    let line = match journal::line_at(link, keys, seq).await? {
        Ok(line) => line,
        Err(damage) => return Ok(Err(damage.into())),
    };
    let Some((line, Resource::Inventory(inventory))) =
        line.as_ref().map(|line| (line, line.event.resource()))
    else {
        return Ok(Ok(Vec::new()));
    };
    let name: Option<String> =
        link.query(redis::cmd("HGET").arg(keys.inventory(inventory)).arg("codes")).await?;
    let Some(codes) = name.as_deref().and_then(CodesName::parse) else { return Ok(Ok(Vec::new())) };
    let (order, is_all_of_it) = match &line.event {
        Event::Job(JobRequest::Purchase(_) | JobRequest::Reserve(_)) => (line.id.clone(), true),
        Event::Job(JobRequest::Commit(commit)) => (commit.reservation.clone().into(), false),
        Event::Job(JobRequest::Exchange(exchange)) => (exchange.order.clone().into(), false),
        _ => return Ok(Ok(Vec::new())),
    };
    let told: Vec<u64> = numbers(line.told("tickets").unwrap_or_default()).collect();
    Ok(match of_order(link, keys, (inventory, &codes), &order).await? {
        Ok(Some(tickets)) => {
            Ok(tickets.into_iter().filter(|it| is_all_of_it || told.contains(&it.number)).collect())
        }
        Ok(None) => {
            let ticket = |number| Ticket { number, code: None, item: None, void: None };
            Ok(with_codes(link, keys, &codes, told.into_iter().map(ticket).collect()).await?)
        }
        Err(damage) => Err(damage.into()),
    })
}

/// The tickets of an order; `None` if it is not there.
///
/// # Errors
/// The outer error is Redis's; the inner one says that the order was changed past the scripts.
pub async fn of_order(
    link: &mut Link,
    keys: &Keys,
    (inventory, codes): (&InventoryId, &CodesName),
    order: &JobId,
) -> Result<Result<Option<Vec<Ticket>>, OrderDamage>, Failure> {
    let Some(row) = orders::row_of(link, keys, inventory, order).await? else { return Ok(Ok(None)) };
    let Some(order) = Order::parse(&row) else { return Ok(Err(OrderDamage(order.clone()))) };
    of_lines(link, keys, codes, &order.lines).await.map(|tickets| Ok(Some(tickets)))
}
